"""One claim: why it is where it is, what happened, evidence, rules, money, what may be done."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select, text

from groupclaim.console.access import Allow, Permission, Person, sessions_seen
from groupclaim.console.show import page
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.why import why
from groupclaim.store import audit, claims, practice
from groupclaim.store.database import Reading
from groupclaim.store.schema import acknowledgment, batch_claim, claim, claim_version

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]
Revealer = Annotated[Person, Depends(Allow(Permission.REVEAL))]
Releaser = Annotated[Person, Depends(Allow(Permission.RELEASE))]
Text = Annotated[str, Form(max_length=2000)]


async def check_seen(reading: Reading, person: Person, number: str) -> None:
    """Raises :class:`UnknownRecord` for a claim that is not there, or not for ``person``."""
    known = await reading.scalar(
        select(claim.c.claim_number).where(
            claim.c.claim_number == number, claim.c.session_id.in_(sessions_seen(person))
        )
    )
    if known is None:
        raise practice.UnknownRecord("claim")


@router.get("/claims/{number}")
async def show(request: Request, person: Viewer, number: str) -> Response:
    console = request.app.state.console
    async with console.database.reading() as reading:
        await check_seen(reading, person, number)
        state = await claims.load_state(reading, number)
        zone = await practice.time_zone(reading)
        found = await claims.read_findings(reading, number)
        events = await claims.timeline(reading, number)
        versions = await reading.rows(
            select(
                claim_version.c.version,
                claim_version.c.control_number,
                claim_version.c.frequency,
                claim_version.c.charge_cents,
                claim_version.c.created_at,
                batch_claim.c.batch_id,
            )
            .outerjoin(
                batch_claim,
                (batch_claim.c.claim_number == claim_version.c.claim_number)
                & (batch_claim.c.version == claim_version.c.version),
            )
            .where(claim_version.c.claim_number == number)
            .order_by(claim_version.c.version)
        )
        answers = await reading.rows(
            select(
                acknowledgment.c.kind,
                acknowledgment.c.accepted,
                acknowledgment.c.codes,
                acknowledgment.c.version,
                acknowledgment.c.received_at,
            )
            .where(acknowledgment.c.claim_number == number)
            .order_by(acknowledgment.c.id)
        )
        money = await reading.first(
            text("SELECT * FROM claim_money WHERE claim_number = :claim").bindparams(claim=number)
        )
        transfers = await reading.rows(
            text(
                "SELECT posted_at, kind, debit, credit, cents FROM transfer"
                " WHERE claim_number = :claim ORDER BY id"
            ).bindparams(claim=number)
        )
        session = await reading.scalar(
            select(claim.c.session_id).where(claim.c.claim_number == number)
        )
    return page(
        request,
        "claim.html",
        person,
        zone=zone,
        number=number,
        session=session,
        state=state,
        reasons=why(state),
        hold=HOLDS[state.hold.code] if state.hold else None,
        findings=found,
        events=list(reversed(events)),
        versions=versions,
        answers=answers,
        money=money,
        bar=_bar(money),
        transfers=transfers,
        told=request.query_params.get("told", ""),
    )


def _bar(money: Any) -> list[tuple[str, int, float, float]]:
    """Parts of what was charged: name, cents, and where each begins and how wide, in percent.

    billed = paid + contractual + patient + open with the payer.
    """
    if money is None or money.charge_cents <= 0:
        return []
    parts = (
        ("paid", money.paid_cents),
        ("contractual", money.contractual_cents),
        ("patient", money.patient_cents),
        ("open", money.payer_open_cents),
    )
    bar, at = [], 0.0
    for name, cents in parts:
        width = max(cents, 0) * 100 / money.charge_cents
        bar.append((name, cents, at, width))
        at += width
    return bar


@router.post("/claims/{number}/reveal")
async def reveal(request: Request, person: Revealer, number: str) -> Response:
    """Whom the claim is for. Each look is in the audit log."""
    console = request.app.state.console
    now = await console.clock.now()
    async with console.database.transaction() as tx:
        await check_seen(tx, person, number)
        patient = await practice.patient_of_claim(tx, number)
        await audit.record(tx, now, person.name, "reveal_patient", number)
    return page(request, "patient.html", person, patient=patient)


@router.post("/claims/{number}/release")
async def release(
    request: Request,
    person: Releaser,
    number: str,
    code: Text,
    reason: Text,
    until: Text = "",
) -> Response:
    """Let a held claim go on. One that needs two people is not released by one alone."""
    console = request.app.state.console
    async with console.database.reading() as reading:
        await check_seen(reading, person, number)
        state = await claims.load_state(reading, number)
        zone = await practice.time_zone(reading)
    if state.hold is not None and state.hold.two_people:
        raise HTTPException(409, "This hold is waived by two people: ask for the second's consent.")
    await console.desk.release_hold(
        number,
        code=code,
        by=person.name,
        reason=reason,
        until=_end(until, zone),
    )
    return RedirectResponse(f"/claims/{number}?told=released", status_code=303)


def _end(value: str, zone: str) -> datetime | None:
    if not value:
        return None
    try:
        return datetime.fromisoformat(value).replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        raise HTTPException(422, "until: a day and time as 2026-03-31T17:00") from None
