"""One dispute: its lines with what proves them, its letter, and how it ends."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from activities import disputing
from groupclaim.console.access import Allow, Permission, Person, sees_all
from groupclaim.console.show import page
from groupclaim.store import disputes, practice
from groupclaim.store.practice import UnknownRecord

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]
Revealer = Annotated[Person, Depends(Allow(Permission.REVEAL))]
Approver = Annotated[Person, Depends(Allow(Permission.APPROVE))]
Text = Annotated[str, Form(max_length=2000)]
Key = Annotated[str, Form(alias="request", max_length=64, pattern="^[0-9a-f]*$")]

_MOST_LINES = 500


def _number(person: Person, number: str) -> int:
    """A dispute reaches over the practice: who sees a part of it sees none. Raises
    UnknownRecord."""
    if not sees_all(person) or not number.isdecimal() or len(number) > 17:
        raise UnknownRecord("dispute")
    return int(number)


@router.get("/disputes/{number}")
async def show(request: Request, person: Viewer, number: str) -> Response:
    console = request.app.state.console
    key = _number(person, number)
    now = await console.clock.now()
    async with console.database.reading() as reading:
        zone = await practice.time_zone(reading)
        found = await disputing.case_file(reading, console.policies, key)
    return page(
        request,
        "dispute.html",
        person,
        zone=zone,
        now=now,
        found=found,
        case=found.case,
        lines=found.lines[:_MOST_LINES],
        outcomes=disputes.OUTCOMES[found.case.kind],
        told=request.query_params.get("told", ""),
    )


@router.post("/disputes/{number}/letter")
async def letter(request: Request, person: Revealer, number: str) -> Response:
    """Its letter: a draft until it is approved. Each look is in the audit log."""
    console = request.app.state.console
    content = await disputing.write_letter(
        console.database, console.policies, _number(person, number), person.name
    )
    return Response(
        content,
        media_type="application/pdf",
        headers={"content-disposition": f'attachment; filename="dispute-{int(number)}.pdf"'},
    )


@router.post("/disputes/{number}/approve")
async def approve(
    request: Request, person: Approver, number: str, reason: Text, request_key: Key = ""
) -> Response:
    """Have the letter go out, by who may approve it."""
    await request.app.state.console.desk.approve_dispute(
        _number(person, number), by=person.name, reason=reason, request=request_key or None
    )
    return RedirectResponse(f"/disputes/{int(number)}?told=approved", status_code=303)


@router.post("/disputes/{number}/close")
async def close(
    request: Request,
    person: Approver,
    number: str,
    outcome: Text,
    reason: Text,
    request_key: Key = "",
) -> Response:
    """End it and say how, by who may give so much up or pay it back."""
    await request.app.state.console.desk.close_dispute(
        _number(person, number),
        outcome=outcome,
        by=person.name,
        reason=reason,
        request=request_key or None,
    )
    return RedirectResponse(f"/disputes/{int(number)}?told=closed", status_code=303)
