"""Claims that are taken back: what each payer still has of one, the money that goes back to it, and
by when.

An overpayment is on file from the day it was known until the payer has its money again: taken back
by the payer (``reversed``, ``kept`` from another payment), sent back by us (``refunded``), or found
to be none (``stands``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Row, func, select, update

from groupclaim.model.claim import VOID, ClaimVersion
from groupclaim.model.money import Cents
from groupclaim.rules.voids import NOTE_WITHDRAWN
from groupclaim.store import ledger, practice
from groupclaim.store.claims import read_version
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.ledger import Account, Booking
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import (
    acknowledgment,
    batch,
    batch_claim,
    claim,
    claim_version,
    note,
    overpayment,
    participant,
    provider_adjustment,
    ready_claim,
    remittance,
    remittance_claim,
    transfer,
)

_DENIED = "4"
"""CLP02."""

Outcome = Literal["reversed", "kept", "refunded", "stands"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A payer's decision in force. ``share``: what it left to the patient."""

    remittance_id: int
    position: int
    payer_id: str
    denied: bool
    paid: Cents
    share: Cents
    paid_on: date | None
    number: str | None


@dataclass(frozen=True, slots=True)
class Held:
    """What one payer has of a claim; ``version`` is None where it got it from another payer.

    ``void``: our newest claim that takes it back, if it has left: ``told_at`` when it was taken,
    ``refused`` by the payer's front end or by its decision. ``stage``: how far ``version`` is known
    to have come, ``billed_at`` since when.
    """

    place: int
    version: ClaimVersion | None
    number: str | None
    undecided: bool
    stage: Literal["ready", "submitted", "accepted"]
    billed_at: datetime | None
    decision: Decision | None
    void: int | None
    refused: bool
    told_at: datetime | None


async def unbillable_reason(reading: Reading, claim_number: str) -> str | None:
    """Why nothing can be billed for a participant, as things stand; None where it can."""
    row = await reading.first(
        select(participant.c.not_billable, note.c.withdrawn_at)
        .outerjoin(
            note,
            (note.c.session_id == participant.c.session_id)
            & (note.c.patient_id == participant.c.patient_id),
        )
        .where(participant.c.claim_number == claim_number)
    )
    if row is None:
        raise UnknownRecord(f"claim {claim_number}")
    reason: str | None = row.not_billable
    return reason or (NOTE_WITHDRAWN if row.withdrawn_at is not None else None)


async def has_left(reading: Reading, claim_number: str) -> bool:
    """Whether a version of a claim is in a batch and was neither refused nor rejected."""
    left = await reading.first(
        select(claim.c.claim_number).where(
            claim.c.claim_number == claim_number, practice.has_left(claim.c.claim_number)
        )
    )
    return left is not None


async def withdraw_waiting(tx: Transaction, claim_number: str, at: datetime) -> None:
    """Take what waits for a batch out of the queue. The rows are locked: a batch being cut either
    has them, which is seen after this, or finds them gone."""
    waits = (
        ready_claim.c.claim_number == claim_number,
        ready_claim.c.batch_id.is_(None),
        ready_claim.c.withdrawn_at.is_(None),
    )
    await tx.rows(
        select(ready_claim.c.version)
        .where(ready_claim.c.claim_number == claim_number)
        .order_by(ready_claim.c.version)
        .with_for_update(key_share=True)
    )
    await tx.execute(update(ready_claim).where(*waits).values(withdrawn_at=at))


async def held_by_payers(reading: Reading, claim_number: str) -> tuple[Held, ...]:
    """What each payer has of a claim, the first payer first."""
    left = await _left(reading, claim_number)
    rows = await reading.rows(
        select(remittance_claim, remittance.c.payer_id, remittance.c.payment_date)
        .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
        .where(
            remittance_claim.c.claim_number == claim_number,
            remittance_claim.c.posting.in_(("applied", "denied", "information")),
            remittance.c.state == "posted",
        )
        .order_by(
            remittance.c.payment_date, remittance_claim.c.remittance_id, remittance_claim.c.position
        )
    )
    voids = {one.version.version for one in left if one.version.frequency == VOID}
    places = {one.version.payer_sequence for one in left} | {
        row.payer_sequence for row in rows if row.version not in voids
    }
    base = max(
        (
            one.version.version
            for one in left
            if one.version.frequency != VOID and one.version.payer_sequence == 1 and not one.refused
        ),
        default=0,
    )
    return tuple([_held(place, base, left, rows, voids) for place in sorted(places)])


async def statements(reading: Reading, remittance_id: int) -> frozenset[int]:
    """The positions of a payment that speak of claims which take others back."""
    rows = await reading.rows(
        select(remittance_claim.c.position)
        .join(
            claim_version,
            (claim_version.c.claim_number == remittance_claim.c.claim_number)
            & (claim_version.c.version == remittance_claim.c.version),
        )
        .where(
            remittance_claim.c.remittance_id == remittance_id,
            remittance_claim.c.posting == "information",
            claim_version.c.frequency == VOID,
        )
    )
    return frozenset(row.position for row in rows)


@dataclass(frozen=True, slots=True)
class _Left:
    version: ClaimVersion
    refused: bool
    number: str | None
    stage: Literal["ready", "submitted", "accepted"]
    taken_at: datetime | None


async def _left(reading: Reading, claim_number: str) -> tuple[_Left, ...]:
    """The versions of a claim that are in a batch, the oldest first."""
    rows = await reading.rows(
        select(batch_claim.c.version, batch.c.state, batch.c.sent_at)
        .join(batch, batch.c.id == batch_claim.c.batch_id)
        .where(batch_claim.c.claim_number == claim_number)
        .order_by(batch_claim.c.version)
    )
    answers = await reading.rows(
        select(acknowledgment)
        .where(acknowledgment.c.claim_number == claim_number)
        .order_by(acknowledgment.c.id)
    )
    found = []
    for row in rows:
        mine = [item for item in answers if item.version == row.version]
        accepted = next((item for item in mine if item.kind == "277CA" and item.accepted), None)
        numbers = [item.payer_claim_number for item in mine if item.payer_claim_number]
        sent: Literal["ready", "submitted"] = "submitted" if row.sent_at else "ready"
        found.append(
            _Left(
                await read_version(reading, claim_number, row.version),
                row.state == "refused" or any(not item.accepted for item in mine),
                numbers[-1] if numbers else None,
                "accepted" if accepted else sent,
                accepted.received_at if accepted else row.sent_at,
            )
        )
    return tuple(found)


def _held(
    place: int, base: int, left: Sequence[_Left], rows: Sequence[Row[Any]], voids: set[int]
) -> Held:
    """``base`` is the newest version for the first payer: a void before it was of an earlier one,
    which has been carried out."""
    mine = [one for one in left if one.version.payer_sequence == place]
    billed = [one for one in mine if one.version.frequency != VOID and not one.refused]
    told = [one for one in mine if one.version.frequency == VOID and one.version.version > base]
    newest = billed[-1] if billed else None
    void = told[-1] if told else None
    decisions = [
        row
        for row in rows
        if row.payer_sequence == place
        and row.version not in voids
        and row.posting in ("applied", "denied")
    ]
    standing = [row for row in decisions if row.reversed_by is None]
    paying = [row for row in standing if row.posting == "applied"]
    in_force = next(iter([*reversed(paying), *reversed(standing)]), None)
    decided_up_to = max((row.version or 0 for row in decisions), default=0)
    numbers = [one.number for one in billed if one.number]
    refused = void is not None and (
        void.refused
        or any(row.version == void.version.version and row.status == _DENIED for row in rows)
    )
    of_decision = in_force.payer_claim_number if in_force is not None else None
    return Held(
        place=place,
        version=newest.version if newest else None,
        number=of_decision or (numbers[-1] if numbers else None),
        undecided=newest is not None and newest.version.version > decided_up_to,
        stage=newest.stage if newest else "ready",
        billed_at=newest.taken_at if newest else None,
        decision=_decision(in_force) if in_force is not None else None,
        void=void.version.version if void else None,
        refused=refused,
        told_at=void.taken_at if void else None,
    )


def _decision(row: Row[Any]) -> Decision:
    return Decision(
        row.remittance_id,
        row.position,
        row.payer_id,
        row.posting == "denied",
        Cents(row.paid_cents),
        Cents(row.patient_cents),
        row.payment_date,
        row.payer_claim_number,
    )


# --- money that goes back


async def kept_by_payer(reading: Reading, claim_number: str, payer_id: str) -> Cents:
    """What a payer has kept of other payments for this claim (PLB WO, FB, 72) and that nothing has
    been set against yet."""
    taken = await reading.scalar(
        select(func.coalesce(func.sum(provider_adjustment.c.cents), 0))
        .join(remittance, remittance.c.id == provider_adjustment.c.remittance_id)
        .where(
            provider_adjustment.c.claim_number == claim_number,
            provider_adjustment.c.account == Account.TAKEBACK.value,
            remittance.c.state == "posted",
            remittance.c.payer_id == payer_id,
        )
    )
    settled = await reading.scalar(
        select(func.coalesce(func.sum(transfer.c.cents), 0)).where(
            transfer.c.claim_number == claim_number, transfer.c.credit == Account.TAKEBACK.value
        )
    )
    return Cents(max(0, int(taken or 0) - int(settled or 0)))


async def take_back(
    tx: Transaction,
    claim_number: str,
    decision: Decision,
    account: Literal[Account.TAKEBACK, Account.PAYER_REFUND],
    at: datetime,
) -> None:
    """Book that a decision is undone although its payer sends no reversal: what it paid has gone
    back by ``account``, and what it took off or left to the patient is nobody's any more."""
    await ledger.lock_claim(tx, claim_number)
    here = {"remittance_id": decision.remittance_id, "remittance_position": decision.position}
    booked = await tx.rows(select(transfer).filter_by(**here).order_by(transfer.c.id))
    name = f"void|{claim_number}|{decision.remittance_id}|{decision.position}"
    bookings = []
    for number, item in enumerate(booked, 1):
        swap = {Account.CLEARING: account}
        debit, credit = Account(item.credit), Account(item.debit)
        bookings.append(
            Booking(
                f"{name}|{number}",
                f"taken back {item.kind}"[:40],
                swap.get(debit, debit),
                swap.get(credit, credit),
                item.cents,
                claim_number,
            )
        )
    for booking in bookings:
        await ledger.book(tx, booking, at)
    await tx.execute(
        update(remittance_claim)
        .filter_by(remittance_id=decision.remittance_id, position=decision.position)
        .values(reversed_by=f"void|{account.value}")
    )


class RefundRefused(Exception):
    """What is said to have gone back to a payer is not what has to; the text says why."""


async def book_refund(
    tx: Transaction, claim_number: str, cents: Cents, receipt: str, at: datetime
) -> bool:
    """Book that an overpayment was sent back to its payer, whole; the same receipt counts once.
    True when it is new. The claim is locked by the caller. Raises :class:`RefundRefused`."""
    found = await of_claim(tx, claim_number)
    done = next((one for one in found if one.receipt == receipt), None)
    if done is not None and done.cents != cents:
        raise RefundRefused("receipt: recorded before with another amount")
    if done is not None:
        return False
    due = [one for one in found if one.outcome is None]
    decisions = {one.place: one.decision for one in await held_by_payers(tx, claim_number)}
    for one in reversed(due):
        decision = decisions.get(one.payer_sequence)
        if one.cents == cents and decision is not None:
            await take_back(tx, claim_number, decision, Account.PAYER_REFUND, at)
            await close_overpayment(tx, one, "refunded", at, receipt)
            return True
    owed = ", ".join(str(one.cents) for one in due) or "nothing"
    raise RefundRefused(f"{owed} of a payer's money is to be returned for this claim")


async def close_account(tx: Transaction, claim_number: str, at: datetime) -> None:
    """Nothing of the claim is with any payer: what was charged is charged no longer, and what the
    patient has paid for it is held for them."""
    await ledger.take_charge_back(tx, claim_number, at)
    await ledger.apply_prepaid(tx, [claim_number], f"void|{at.isoformat()}", at)


# --- overpayments and their clock


@dataclass(frozen=True, slots=True)
class Overpayment:
    """Money of a payer that is known not to be due. ``refund_by`` is None where the law asks
    nothing back; ``working`` says how it was found."""

    claim_number: str
    number: int
    payer_sequence: int
    payer_key: str
    reason: str
    route: str
    cents: Cents
    identified_on: date
    paid_on: date | None
    refund_by: datetime | None
    working: str
    outcome: Outcome | None
    receipt: str | None
    closed_at: datetime | None


async def note_overpayment(
    tx: Transaction,
    claim_number: str,
    place: int,
    payer_key: str,
    *,
    reason: str,
    route: str,
    decision: Decision,
    identified_on: date,
    refund_by: datetime | None,
    working: str,
) -> Overpayment:
    """Put an overpayment on file, once: its clock is that of the day it was first known."""
    known = await open_overpayment(tx, claim_number, place)
    if known is not None:
        if known.cents != decision.paid:
            await _change(tx, known, {"cents": decision.paid, "paid_on": decision.paid_on})
        return known
    last = await tx.scalar(
        select(func.coalesce(func.max(overpayment.c.number), 0)).where(
            overpayment.c.claim_number == claim_number
        )
    )
    await tx.execute(
        overpayment.insert().values(
            claim_number=claim_number,
            number=int(last or 0) + 1,
            payer_sequence=place,
            payer_key=payer_key,
            reason=reason,
            route=route,
            cents=int(decision.paid),
            identified_on=identified_on,
            paid_on=decision.paid_on,
            refund_by=refund_by,
            working=working,
        )
    )
    noted = await open_overpayment(tx, claim_number, place)
    if noted is None:
        raise AssertionError("it was just written")
    return noted


async def open_overpayment(reading: Reading, claim_number: str, place: int) -> Overpayment | None:
    found = await of_claim(reading, claim_number)
    return next((one for one in found if one.outcome is None and one.payer_sequence == place), None)


async def of_claim(reading: Reading, claim_number: str) -> tuple[Overpayment, ...]:
    """The overpayments of one claim, the oldest first."""
    rows = await reading.rows(
        select(overpayment)
        .where(overpayment.c.claim_number == claim_number)
        .order_by(overpayment.c.number)
    )
    return tuple(_overpayment(row) for row in rows)


async def overpayments(reading: Reading, *, closed: bool = False) -> tuple[Overpayment, ...]:
    """Overpayments that are not closed, the one due first first; or those that are."""
    wanted = overpayment.c.outcome.is_not(None) if closed else overpayment.c.outcome.is_(None)
    rows = await reading.rows(
        select(overpayment)
        .where(wanted)
        .order_by(
            overpayment.c.refund_by.is_(None),
            overpayment.c.refund_by,
            overpayment.c.claim_number,
            overpayment.c.number,
        )
    )
    return tuple(_overpayment(row) for row in rows)


async def close_overpayment(
    tx: Transaction, one: Overpayment, outcome: Outcome, at: datetime, receipt: str | None = None
) -> None:
    await _change(tx, one, {"outcome": outcome, "closed_at": at, "receipt": receipt})


async def _change(tx: Transaction, one: Overpayment, values: dict[str, Any]) -> None:
    await tx.execute(
        update(overpayment)
        .filter_by(claim_number=one.claim_number, number=one.number)
        .where(overpayment.c.outcome.is_(None))
        .values(**values)
    )


def _overpayment(row: Row[Any]) -> Overpayment:
    values = {name: getattr(row, name) for name in Overpayment.__dataclass_fields__}
    return Overpayment(**{**values, "cents": Cents(row.cents)})
