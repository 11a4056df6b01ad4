"""Group sessions: the list, and one session's participants by the gates their claims pass."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from activities.binders import Binders
from groupclaim.console.access import Allow, Permission, Person
from groupclaim.console.show import chosen, day, page
from groupclaim.store import audit, practice, session_matrix

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]
Revealer = Annotated[Person, Depends(Allow(Permission.REVEAL))]

Registrar = Annotated[Person, Depends(Allow(Permission.INTAKE))]
Text = Annotated[str, Form(max_length=2000)]

PAGE = 50
_STAGES = ("", "open", "closed")
_SORTS = ("newest", "oldest")


@router.get("/sessions")
async def sessions(
    request: Request,
    person: Viewer,
    stage: str = "",
    sort: str = "",
    first: str = "",
    last: str = "",
    number: int = 1,
) -> Response:
    """Every session that the person may see, each with whether its sums come out."""
    console = request.app.state.console
    stage, sort = chosen(stage, _STAGES, "stage"), chosen(sort, _SORTS, "sort")
    wanted = session_matrix.Chosen(person.rows, stage, day(first, "first"), day(last, "last"))
    number = max(number, 1)
    now = await console.clock.now()
    async with console.database.reading() as reading:
        zone = await practice.time_zone(reading)
        total = await session_matrix.count(reading, wanted)
        found = await session_matrix.lines(
            reading, wanted, order=sort, limit=PAGE, offset=(number - 1) * PAGE
        )
    return page(
        request,
        "sessions.html",
        person,
        zone=zone,
        now=now,
        sessions=found,
        total=total,
        more=number * PAGE < total,
        number=number,
        stage=stage,
        sort=sort,
        first=first,
        last=last,
    )


@router.get("/sessions/{session_id}")
async def session(request: Request, person: Viewer, session_id: str) -> Response:
    """The matrix of one session; its participants are claim numbers."""
    return await _matrix(request, person, session_id, revealed=False)


@router.post("/sessions/{session_id}/reveal")
async def reveal(request: Request, person: Revealer, session_id: str) -> Response:
    """The same with names. Each participant seen is in the audit log."""
    return await _matrix(request, person, session_id, revealed=True)


@router.post("/sessions/{session_id}/binder")
async def binder(request: Request, person: Revealer, session_id: str) -> Response:
    """The audit-defence binder of every claim of the session; it is in the audit log of each."""
    console = request.app.state.console
    async with console.database.reading() as reading:
        await session_matrix.line(reading, session_id, person.rows)
    made = await Binders(console.database).of_session(session_id, person.name)
    return Response(
        made.pdf,
        media_type="application/pdf",
        headers={"content-disposition": f'attachment; filename="{session_id}-binder.pdf"'},
    )


@router.post("/sessions/{session_id}/amend")
async def amend(
    request: Request, person: Registrar, session_id: str, add: Text = "", remove: Text = ""
) -> Response:
    """Put patients on the roster or take them off, by the practice's own ids of them."""
    console = request.app.state.console
    async with console.database.reading() as reading:
        await session_matrix.line(reading, session_id, person.rows)
        kept = await practice.kept_session(reading, session_id)
    added, removed = add.replace(",", " ").split(), remove.replace(",", " ").split()
    if kept is None or not (added or removed):
        raise HTTPException(422, "add, remove: at least one patient")
    await console.desk.amend_roster(kept.ref, add=added, remove=removed, by=person.name)
    return RedirectResponse(f"/sessions/{session_id}?told=amended", status_code=303)


async def _matrix(request: Request, person: Person, session_id: str, *, revealed: bool) -> Response:
    console = request.app.state.console
    now = await console.clock.now()
    names = {}
    async with console.database.reading() as reading:
        zone = await practice.time_zone(reading)
        line = await session_matrix.line(reading, session_id, person.rows)
        seats = await session_matrix.seats(reading, session_id)
    if revealed:
        async with console.database.transaction() as tx:
            for seat in seats:
                patient = await practice.patient_of_claim(tx, seat.claim_number)
                names[seat.claim_number] = f"{patient.first_name} {patient.last_name}"
                await audit.record(tx, now, person.name, "reveal_patient", seat.claim_number)
    return page(
        request,
        "session.html",
        person,
        zone=zone,
        now=now,
        line=line,
        seats=seats,
        names=names,
        told=request.query_params.get("told", ""),
    )
