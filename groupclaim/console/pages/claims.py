"""One claim: why it is where it is, what happened, evidence, rules, money, what may be done."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select, text

from activities.binders import Binders
from groupclaim.console.access import Allow, Permission, Person, sees_all, sessions_seen
from groupclaim.console.show import dollars, page
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.transition import held_back, write_off_refused
from groupclaim.lifecycle.transition import look_again as look_again_step
from groupclaim.lifecycle.why import why
from groupclaim.policy.playbook import Playbook
from groupclaim.store import audit, claims, denials, practice, voids, waiting, work
from groupclaim.store.database import Reading
from groupclaim.store.schema import (
    acknowledgment,
    batch_claim,
    claim,
    claim_version,
    note,
    remittance,
    remittance_claim,
)

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]
Revealer = Annotated[Person, Depends(Allow(Permission.REVEAL))]
Releaser = Annotated[Person, Depends(Allow(Permission.RELEASE))]
Approver = Annotated[Person, Depends(Allow(Permission.APPROVE))]
Signer = Annotated[Person, Depends(Allow(Permission.SIGN))]
Cashier = Annotated[Person, Depends(Allow(Permission.MONEY))]
Worker = Annotated[Person, Depends(Allow(Permission.WORK))]
Text = Annotated[str, Form(max_length=2000)]
Item = Annotated[str, Form(max_length=64)]
Key = Annotated[str, Form(alias="request", max_length=64, pattern="^[0-9a-f]*$")]


_AGAIN: tuple[Literal["rules", "status"], ...] = ("rules", "status")


async def check_seen(reading: Reading, person: Person, number: str) -> None:
    """Raises :class:`UnknownRecord` for a claim that is not there, or not for ``person``."""
    known = await reading.scalar(
        select(claim.c.claim_number).where(
            claim.c.claim_number == number, claim.c.session_id.in_(sessions_seen(person))
        )
    )
    if known is None:
        raise practice.UnknownRecord("claim")


@router.get("/find")
async def find(request: Request, person: Viewer, number: str = "") -> Response:
    """To the claim of that number."""
    wanted = number.strip().upper()
    async with request.app.state.console.database.reading() as reading:
        await check_seen(reading, person, wanted)
    return RedirectResponse(f"/claims/{quote(wanted, safe='')}", status_code=303)


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
        rules = {
            row.version: await claims.rules_of_version(reading, number, row.version)
            for row in versions
        }
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
        proposed = await work.waiver_proposed(reading, state)
        asked = await work.asked_about(reading, number)
        owed = await voids.of_claim(reading, number)
        names = await practice.names(reading)
        signed = await reading.scalar(
            select(note.c.signed_at)
            .join(claim, claim.c.session_id == note.c.session_id)
            .where(
                claim.c.claim_number == number,
                note.c.patient_id == claim.c.patient_id,
                note.c.withdrawn_at.is_(None),
            )
        )
        denied = await denials.find_open(reading, number)
        letters = await denials.letters_of(reading, number, denied.number) if denied else ()
        items = await _items(reading, number, denied)
        payments = await reading.rows(
            select(
                remittance_claim.c.remittance_id,
                remittance_claim.c.posting,
                remittance_claim.c.paid_cents,
                remittance_claim.c.reversed_by,
                remittance.c.trace,
                remittance.c.payment_date,
            )
            .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
            .where(remittance_claim.c.claim_number == number)
            .order_by(remittance.c.payment_date, remittance.c.id)
        )
        now = await console.clock.now()
        reasons = why(state, await waiting.suspended(reading, number))
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
        reasons=reasons,
        hold=HOLDS[state.hold.code] if state.hold else None,
        findings=found,
        events=list(reversed(events)),
        versions=versions,
        rules=rules,
        answers=answers,
        money=money,
        bar=_bar(money),
        transfers=transfers,
        told=request.query_params.get("told", ""),
        now=now,
        proposed=proposed,
        asked=asked,
        owed=owed,
        payers=names,
        signed=signed,
        denied=denied,
        letter=letters[-1] if letters else None,
        people=_people(console.playbook, denied),
        payments=payments,
        whole=sees_all(person),
        items=items,
        undecided=write_off_refused(state) is None,
        back=held_back(state),
        again=[what for what in _AGAIN if look_again_step(state, what) is not None],
    )


async def _items(reading: Reading, number: str, denied: denials.Denial | None) -> dict[str, str]:
    """The work items that stand open about the claim's hold and its denial, by kind."""
    subjects = {"hold": number}
    if denied is not None:
        subjects["denial"] = f"{number}/{denied.number}"
    return {
        kind: item.id
        for kind, subject in subjects.items()
        for item in await work.newest(reading, kind, subject)
        if item.state is not work.WorkState.RESOLVED
    }


def _people(playbook: Playbook, denied: denials.Denial | None) -> int:
    """How many must agree to the letter that an open denial is about; 0 where it is no letter."""
    if denied is None or denied.action is None:
        return 0
    return playbook.action(denied.action).people or 0


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
    item: Item = "",
    request_key: Key = "",
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
        request=request_key or None,
        item=item or None,
    )
    return _told(number, "released")


@router.post("/claims/{number}/waiver")
async def propose_waiver(
    request: Request, person: Releaser, number: str, code: Text, reason: Text, until: Text
) -> Response:
    """Propose to waive a hold that takes two people; a second one agrees on the same page."""
    console = request.app.state.console
    async with console.database.reading() as reading:
        await check_seen(reading, person, number)
        zone = await practice.time_zone(reading)
    end = _end(until, zone)
    if end is None:
        raise HTTPException(422, "until: by when the waiver ends")
    await console.desk.propose_waiver(number, code=code, by=person.name, reason=reason, until=end)
    return _told(number, "proposed")


@router.post("/claims/{number}/waiver/agree")
async def agree(request: Request, person: Approver, number: str) -> Response:
    """Be the second person of the waiver that is proposed."""
    console = request.app.state.console
    await _seen(request, person, number)
    await console.desk.agree_to_waiver(number, by=person.name)
    return _told(number, "released")


@router.post("/claims/{number}/note-signed")
async def note_signed(request: Request, person: Signer, number: str, signed: Text) -> Response:
    """Say when the note was signed, where it lives; its text is read there when it is checked."""
    console = request.app.state.console
    async with console.database.reading() as reading:
        await check_seen(reading, person, number)
        zone = await practice.time_zone(reading)
        facts = await practice.claim_facts(reading, number)
        held = await practice.kept_session(reading, facts.session_id)
    at = _end(signed, zone)
    if held is None or at is None or at > await console.clock.now():
        raise HTTPException(422, "signed: a day and time that has been")
    await console.desk.sign_note(held.ref, facts.patient.ref, at, person.name)
    return _told(number, "signed")


@router.post("/claims/{number}/note-withdrawn")
async def note_withdrawn(
    request: Request, person: Signer, number: str, reason: Text, confirmed: Text = ""
) -> Response:
    """Say that the signed note does not support the claim; what follows is shown before."""
    console = request.app.state.console
    now = await console.clock.now()
    async with console.database.reading() as reading:
        await check_seen(reading, person, number)
        zone = await practice.time_zone(reading)
        facts = await practice.claim_facts(reading, number)
        held = await practice.kept_session(reading, facts.session_id)
        sent = await voids.has_left(reading, number)
        money = await reading.first(
            text("SELECT paid_cents FROM claim_money WHERE claim_number = :claim").bindparams(
                claim=number
            )
        )
    if held is None or facts.note_signed_at is None:
        raise HTTPException(409, "No note of this claim is signed.")
    if not reason.strip():
        raise HTTPException(422, "reason: say why the note is not valid")
    if not confirmed:
        return page(
            request,
            "withdraw.html",
            person,
            zone=zone,
            now=now,
            number=number,
            reason=reason,
            signed=facts.note_signed_at,
            sent=sent,
            paid=money.paid_cents if money else 0,
        )
    await console.desk.withdraw_note(held.ref, facts.patient.ref, reason, person.name)
    return _told(number, "withdrawn")


@router.post("/claims/{number}/letter/approve")
async def approve_letter(
    request: Request,
    person: Approver,
    number: str,
    reason: Text,
    item: Item = "",
    request_key: Key = "",
) -> Response:
    """Let the letter about the claim's denial go to the payer."""
    console = request.app.state.console
    async with console.database.reading() as reading:
        await check_seen(reading, person, number)
        denied = await denials.find_open(reading, number)
    if denied is None:
        raise HTTPException(409, "No denial of this claim is open.")
    if _people(console.playbook, denied) != 1:
        raise HTTPException(409, "This letter takes two people: groupclaim denial decide --second.")
    await console.desk.decide_denial(
        number,
        denied.number,
        "approve",
        by=person.name,
        reason=reason,
        request=request_key or None,
        item=item or None,
    )
    return _told(number, "approved")


@router.post("/claims/{number}/letter")
async def read_letter(request: Request, person: Revealer, number: str) -> Response:
    """The letter about the claim's denial. It names the patient: each look is in the audit log."""
    console = request.app.state.console
    now = await console.clock.now()
    async with console.database.transaction() as tx:
        await check_seen(tx, person, number)
        denied = await denials.find_open(tx, number)
        letters = await denials.letters_of(tx, number, denied.number) if denied else ()
        if denied is None or not letters:
            raise practice.UnknownRecord("letter")
        content = await denials.read_packet(tx, number, denied.number, letters[-1].position)
        await audit.record(tx, now, person.name, "read_letter", number, {"denial": denied.number})
    return Response(
        content,
        media_type="application/pdf",
        headers={"content-disposition": f'attachment; filename="{number}.pdf"'},
    )


@router.post("/claims/{number}/binder")
async def binder(request: Request, person: Revealer, number: str) -> Response:
    """The audit-defence binder of the claim. It names the patient: it is in the audit log."""
    console = request.app.state.console
    await _seen(request, person, number)
    made = await Binders(console.database).of_claim(number, person.name)
    return Response(
        made.pdf,
        media_type="application/pdf",
        headers={"content-disposition": f'attachment; filename="{number}-binder.pdf"'},
    )


@router.post("/claims/{number}/look-again")
async def look_again(
    request: Request,
    person: Worker,
    number: str,
    what: Annotated[Literal["rules", "status"], Form()],
    request_key: Key = "",
) -> Response:
    """Run the rules again, or ask the payer for the claim's status."""
    console = request.app.state.console
    await _seen(request, person, number)
    named = request_key or uuid.uuid4().hex
    await console.second_look.ask(number, what, by=person.name, request=named)
    return _told(number, what)


@router.post("/claims/{number}/write-off")
async def write_off(
    request: Request, person: Approver, number: str, reason: Text, request_key: Key = ""
) -> Response:
    """Give up what the payer owes that never decided, or was never sent in time. What takes two
    people is refused here."""
    console = request.app.state.console
    await _seen(request, person, number)
    await console.desk.write_off(number, by=person.name, reason=reason, request=request_key or None)
    return _told(number, "written_off")


@router.post("/claims/{number}/payment")
async def patient_paid(
    request: Request, person: Cashier, number: str, amount: Text, receipt: Text
) -> Response:
    """Book what the patient paid; the same receipt is taken once."""
    book = request.app.state.console.desk.patient_payment
    return await _booked(request, person, number, amount, receipt, book, "paid")


@router.post("/claims/{number}/refund")
async def patient_refunded(
    request: Request, person: Cashier, number: str, amount: Text, receipt: Text
) -> Response:
    """Book what went back to the patient, by who may pay so much back."""
    book = request.app.state.console.desk.patient_refund
    return await _booked(request, person, number, amount, receipt, book, "refunded")


@router.post("/claims/{number}/overpayment")
async def payer_refunded(
    request: Request, person: Cashier, number: str, amount: Text, receipt: Text
) -> Response:
    """Book that a payer's money went back to it, whole, by who may pay so much back."""
    book = request.app.state.console.desk.refund_payer
    return await _booked(request, person, number, amount, receipt, book, "returned")


async def _booked(
    request: Request,
    person: Person,
    number: str,
    amount: str,
    receipt: str,
    book: Callable[..., Awaitable[bool]],
    said: str,
) -> Response:
    """Book an amount of money under its receipt, which is taken once."""
    await _seen(request, person, number)
    new = await book(number, dollars(amount, "amount"), receipt.strip(), by=person.name)
    return _told(number, said if new else "known")


async def _seen(request: Request, person: Person, number: str) -> None:
    """Raise UnknownRecord where the claim is not within what the person may see."""
    async with request.app.state.console.database.reading() as reading:
        await check_seen(reading, person, number)


def _told(number: str, what: str) -> Response:
    """Back to the claim's page, which says what was done."""
    return RedirectResponse(f"/claims/{number}?told={what}", status_code=303)


def _end(value: str, zone: str) -> datetime | None:
    if not value:
        return None
    try:
        return datetime.fromisoformat(value).replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        raise HTTPException(422, "until: a day and time as 2026-03-31T17:00") from None
