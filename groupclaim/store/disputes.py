"""Audited lines, and the cases that gather what one payer got wrong in one way.

A case is of one payer, code and pattern, for underpayments and overpayments apart. It gathers lines
until a person approves its letter; what is found after that begins the next case. A line that has
been told to the payer never changes: when the payer corrects it, what came is noted beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Row, delete, func, select, update

from groupclaim.model.money import Cents
from groupclaim.rules.line_audit import LineAudit, Pattern
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import (
    audited_line,
    claim,
    dispute_case,
    remittance,
    remittance_claim,
)

Kind = Literal["underpayment", "overpayment"]
State = Literal["gathering", "to_approve", "told", "closed"]
Outcome = Literal[
    "recovered", "partly_recovered", "given_up", "taken_back", "refunded", "kept", "withdrawn"
]

OUTCOMES: dict[Kind, tuple[Outcome, ...]] = {
    "underpayment": ("recovered", "partly_recovered", "given_up", "withdrawn"),
    "overpayment": ("taken_back", "refunded", "kept", "withdrawn"),
}
"""How a case of each kind can end."""

MENDED: dict[Kind, Outcome] = {"underpayment": "recovered", "overpayment": "taken_back"}
"""How it ends when the payer has corrected all of it."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Where and when a payer settled what is audited. ``position`` is the claim's place in the
    remittance, 0 for a provider adjustment; ``limit_on`` the last day to act on it."""

    remittance_id: int
    position: int
    charge: Cents
    received_on: date | None
    paid_on: date
    underpayment_limit_on: date
    overpayment_limit_on: date


@dataclass(frozen=True, slots=True)
class Case:
    """``identified`` is what all its lines are short, or too much, in cents above zero;
    ``recovered`` what of it the payer has corrected since. ``limit_on``: the last day to act on
    the first of them; None when it has no lines any more."""

    id: int
    kind: Kind
    payer_key: str
    code: str
    pattern: Pattern
    state: State
    opened_at: datetime
    told_at: datetime | None
    due_at: datetime | None
    follow_ups: int
    outcome: Outcome | None
    closed_at: datetime | None
    lines: int
    claims: int
    identified: Cents
    recovered: Cents
    limit_on: date | None

    @property
    def outstanding(self) -> Cents:
        return self.identified - self.recovered


@dataclass(frozen=True, slots=True)
class CaseLine:
    """One line of a case with what proves it. ``difference`` is above zero in every case.
    ``limit_on``: the last day to act on it; ``withdrawn_at``: since when it is asked for no more,
    although the payer was told of it."""

    claim_number: str
    payer_claim_number: str | None
    service_date: date
    code: str
    charge: Cents
    expected: Cents
    allowed: Cents
    difference: Cents
    recovered: Cents
    working: str
    received_on: date | None
    paid_on: date
    trace: str
    remittance_id: int
    position: int
    limit_on: date
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class WithdrawnFrom:
    """What a case that its payer was told of no longer asks for of one claim."""

    case_id: int
    payer_key: str
    outstanding: Cents


async def record_audit(
    tx: Transaction,
    claim_number: str,
    payer_key: str,
    settled: Settled,
    audits: Sequence[LineAudit],
    at: datetime,
) -> tuple[int, ...]:
    """Keep the audits of one settled claim, each that is off in the open case of its pattern.

    Audited again, what is found then stands, but for lines that the payer has been told of. The
    cases touched come back, those left by a line among them.
    """
    here = {"remittance_id": settled.remittance_id, "claim_position": settled.position}
    told = select(dispute_case.c.id).where(dispute_case.c.state.in_(("told", "closed")))
    kept = await tx.rows(select(audited_line).filter_by(**here, claim_number=claim_number))
    fixed_cases = {row.id for row in await tx.rows(told)} if kept else set()
    fixed = {(row.line_position, row.pattern) for row in kept if row.case_id in fixed_cases}
    touched = {row.case_id for row in kept if row.case_id is not None} - fixed_cases
    gone = [row.id for row in kept if row.case_id not in fixed_cases]
    if gone:
        await tx.execute(delete(audited_line).where(audited_line.c.id.in_(gone)))
    lines = []
    for audit in audits:
        pattern = audit.pattern.value if audit.pattern else ""
        if (audit.line, pattern) in fixed:
            continue
        kind: Kind = "underpayment" if audit.shortfall > 0 else "overpayment"
        case_id = None
        if audit.shortfall:
            case_id = await _gathering(tx, kind, payer_key, audit.code, pattern, at)
            touched.add(case_id)
        lines.append(
            {
                **here,
                "claim_number": claim_number,
                "line_position": audit.line,
                "pattern": pattern,
                "code": audit.code,
                "charge_cents": settled.charge,
                "expected_cents": audit.expected,
                "allowed_cents": audit.allowed,
                "shortfall_cents": audit.shortfall,
                "recovered_cents": 0,
                "working": audit.working,
                "received_on": settled.received_on,
                "paid_on": settled.paid_on,
                "limit_on": settled.overpayment_limit_on
                if kind == "overpayment"
                else settled.underpayment_limit_on,
                "audited_at": at,
                "case_id": case_id,
            }
        )
    await tx.insert_all(audited_line, lines)
    return tuple(sorted(touched))


async def _gathering(
    tx: Transaction, kind: Kind, payer_key: str, code: str, pattern: str, at: datetime
) -> int:
    """The case that gathers such lines now; a new one where there is none."""
    gathers = f"{kind}|{payer_key}|{code}|{pattern}"
    while True:
        await tx.insert_new(
            dispute_case,
            {
                "kind": kind,
                "payer_key": payer_key,
                "code": code,
                "pattern": pattern,
                "gathers": gathers,
                "state": "gathering",
                "opened_at": at,
                "follow_ups": 0,
            },
        )
        found = await tx.scalar(
            select(dispute_case.c.id)
            .where(dispute_case.c.gathers == gathers)
            .with_for_update(key_share=True)
        )
        if found is not None:  # else it was told or closed in between
            return int(found)


async def withdraw(tx: Transaction, claim_number: str, at: datetime) -> tuple[int, ...]:
    """Nothing is asked of a payer, or returned, for a claim that is taken back: its lines leave the
    cases that no payer has been told of, and count no more in those that one has. The cases touched
    come back."""
    rows = await tx.rows(
        select(audited_line.c.id, audited_line.c.case_id, dispute_case.c.state)
        .outerjoin(dispute_case, dispute_case.c.id == audited_line.c.case_id)
        .where(audited_line.c.claim_number == claim_number, audited_line.c.withdrawn_at.is_(None))
    )
    told = [row for row in rows if row.state == "told"]
    untold = [row for row in rows if row.state not in ("told", "closed")]
    await tx.execute(delete(audited_line).where(audited_line.c.id.in_([row.id for row in untold])))
    await tx.execute(
        update(audited_line)
        .where(audited_line.c.id.in_([row.id for row in told]))
        .values(withdrawn_at=at)
    )
    return tuple(sorted({row.case_id for row in (*told, *untold) if row.case_id is not None}))


async def withdrawn(reading: Reading, claim_number: str) -> tuple[WithdrawnFrom, ...]:
    """The cases that ask for nothing more of a claim, although their payers were told of it."""
    off = func.sum(func.abs(audited_line.c.shortfall_cents) - audited_line.c.recovered_cents)
    rows = await reading.rows(
        select(dispute_case.c.id, dispute_case.c.payer_key, off.label("cents"))
        .join(dispute_case, dispute_case.c.id == audited_line.c.case_id)
        .where(
            audited_line.c.claim_number == claim_number, audited_line.c.withdrawn_at.is_not(None)
        )
        .group_by(dispute_case.c.id, dispute_case.c.payer_key)
        .order_by(dispute_case.c.id)
    )
    return tuple(WithdrawnFrom(row.id, row.payer_key, Cents(int(row.cents))) for row in rows)


async def reinstate(tx: Transaction, claim_number: str) -> tuple[int, ...]:
    """The claim was true after all: its lines count again in the cases that are still open. The
    cases touched come back."""
    told = select(dispute_case.c.id).where(dispute_case.c.state == "told")
    lines = (
        audited_line.c.claim_number == claim_number,
        audited_line.c.withdrawn_at.is_not(None),
        audited_line.c.case_id.in_(told),
    )
    rows = await tx.rows(select(audited_line.c.case_id).where(*lines).distinct())
    await tx.execute(update(audited_line).where(*lines).values(withdrawn_at=None))
    return tuple(sorted(row.case_id for row in rows))


async def record_corrections(tx: Transaction, claim_number: str) -> tuple[int, ...]:
    """Note on each line of ``claim_number`` whose remittance was reversed what the payer has put
    right since: its difference less what is off by now. The cases touched come back.

    A reversal alone puts nothing right: only what the payer decided after it.
    """
    rows = await tx.rows(
        select(audited_line, remittance_claim.c.reversed_by)
        .join(
            remittance_claim,
            (remittance_claim.c.remittance_id == audited_line.c.remittance_id)
            & (remittance_claim.c.position == audited_line.c.claim_position),
        )
        .where(audited_line.c.claim_number == claim_number)
        .order_by(audited_line.c.id)
    )
    now_off: dict[tuple[str, bool], int] = {}
    for row in rows:
        if row.reversed_by is None:
            key = (row.code, row.shortfall_cents < 0)
            now_off[key] = now_off.get(key, 0) + abs(row.shortfall_cents)
    decided_again = any(row.reversed_by is None for row in rows)
    touched = set()
    for row in rows:
        if row.case_id is None or row.reversed_by is None or not decided_again:
            continue
        left = now_off.get((row.code, row.shortfall_cents < 0), 0)
        recovered = max(0, abs(row.shortfall_cents) - left)
        if recovered != row.recovered_cents:
            touched.add(row.case_id)
            await tx.execute(
                update(audited_line)
                .where(audited_line.c.id == row.id)
                .values(recovered_cents=recovered)
            )
    return tuple(sorted(touched))


# --- cases


_CASES = (
    select(
        dispute_case,
        func.count(audited_line.c.id).label("lines"),
        func.count(audited_line.c.claim_number.distinct()).label("claims"),
        func.coalesce(func.sum(func.abs(audited_line.c.shortfall_cents)), 0).label("identified"),
        func.coalesce(func.sum(audited_line.c.recovered_cents), 0).label("recovered"),
        func.min(audited_line.c.limit_on).label("limit_on"),
    )
    .join(
        audited_line,
        (audited_line.c.case_id == dispute_case.c.id) & audited_line.c.withdrawn_at.is_(None),
        isouter=True,
    )
    .group_by(dispute_case.c.id)
    .order_by(dispute_case.c.id)
)


async def cases(
    reading: Reading, *, closed: bool = False, limit: int | None = None, offset: int = 0
) -> tuple[Case, ...]:
    """Open cases, the first opened first, at most ``limit``; with ``closed`` those that have ended
    too."""
    ids = select(dispute_case.c.id).order_by(dispute_case.c.id).limit(limit).offset(offset)
    if not closed:
        ids = ids.where(dispute_case.c.state != "closed")
    wanted = [row.id for row in await reading.rows(ids)]
    rows = await reading.rows(_CASES.where(dispute_case.c.id.in_(wanted)))
    return tuple(_case(row) for row in rows)


async def count_cases(reading: Reading) -> int:
    """How many cases there are, those that have ended among them."""
    found: int = await reading.scalar(select(func.count()).select_from(dispute_case))
    return found


async def read_case(reading: Reading, case_id: int) -> Case:
    """One case. Raises :class:`UnknownRecord`."""
    row = await reading.first(_CASES.where(dispute_case.c.id == case_id))
    if row is None:
        raise UnknownRecord(f"dispute {case_id}")
    return _case(row)


def _case(row: Row[Any]) -> Case:
    return Case(
        id=row.id,
        kind=row.kind,
        payer_key=row.payer_key,
        code=row.code,
        pattern=Pattern(row.pattern),
        state=row.state,
        opened_at=row.opened_at,
        told_at=row.told_at,
        due_at=row.due_at,
        follow_ups=row.follow_ups,
        outcome=row.outcome,
        closed_at=row.closed_at,
        lines=row.lines,
        claims=row.claims,
        identified=Cents(int(row.identified)),
        recovered=Cents(int(row.recovered)),
        limit_on=row.limit_on,
    )


async def lock_case(tx: Transaction, case_id: int) -> Case:
    """The case, held until the transaction ends. Raises :class:`UnknownRecord`."""
    await tx.execute(
        select(dispute_case.c.id).where(dispute_case.c.id == case_id).with_for_update()
    )
    return await read_case(tx, case_id)


async def case_lines(reading: Reading, case_id: int) -> tuple[CaseLine, ...]:
    """The lines of a case by claim, with the remittance that each stands in."""
    rows = await reading.rows(
        select(
            audited_line,
            claim.c.service_date,
            remittance.c.trace,
            remittance_claim.c.payer_claim_number,
        )
        .join(claim, claim.c.claim_number == audited_line.c.claim_number)
        .join(remittance, remittance.c.id == audited_line.c.remittance_id)
        .join(
            remittance_claim,
            (remittance_claim.c.remittance_id == audited_line.c.remittance_id)
            & (remittance_claim.c.position == audited_line.c.claim_position),
            isouter=True,
        )
        .where(audited_line.c.case_id == case_id)
        .order_by(claim.c.service_date, audited_line.c.claim_number, audited_line.c.id)
    )
    return tuple(
        CaseLine(
            claim_number=row.claim_number,
            payer_claim_number=row.payer_claim_number,
            service_date=row.service_date,
            code=row.code,
            charge=Cents(row.charge_cents),
            expected=Cents(row.expected_cents),
            allowed=Cents(row.allowed_cents),
            difference=Cents(abs(row.shortfall_cents)),
            recovered=Cents(row.recovered_cents),
            working=row.working,
            received_on=row.received_on,
            paid_on=row.paid_on,
            trace=row.trace,
            remittance_id=row.remittance_id,
            position=row.claim_position,
            limit_on=row.limit_on,
            withdrawn_at=row.withdrawn_at,
        )
        for row in rows
    )


async def at_stake(reading: Reading, claim_number: str) -> Cents:
    """What the open cases say of one claim: paid too little or too much, and not yet mended."""
    off = func.sum(func.abs(audited_line.c.shortfall_cents) - audited_line.c.recovered_cents)
    found = await reading.scalar(
        select(func.coalesce(off, 0))
        .join(dispute_case, dispute_case.c.id == audited_line.c.case_id)
        .where(
            audited_line.c.claim_number == claim_number,
            audited_line.c.withdrawn_at.is_(None),
            dispute_case.c.state != "closed",
        )
    )
    return Cents(int(found))


RELEASING: tuple[Outcome, ...] = ("given_up", "refunded", "kept")
"""Outcomes after which no claim waits for the payer any more."""


def release_request(case_id: int) -> str:
    """How the release of a claim is asked for that follows from the end of a case."""
    return f"dispute-{case_id}"


async def ended_for(reading: Reading, claim_number: str, request: str) -> bool:
    """Whether ``request`` is that of a case which has ended so that ``claim_number`` is let go."""
    rows = await reading.rows(
        select(dispute_case.c.id)
        .join(audited_line, audited_line.c.case_id == dispute_case.c.id)
        .where(
            audited_line.c.claim_number == claim_number,
            dispute_case.c.state == "closed",
            dispute_case.c.outcome.in_(RELEASING),
        )
    )
    return request in {release_request(row.id) for row in rows}


async def worth_a_letter(tx: Transaction, case_id: int) -> None:
    """From now on a person is asked to approve the case's letter."""
    await _change(tx, case_id, "gathering", state="to_approve")


async def told(tx: Transaction, case_id: int, at: datetime) -> None:
    """The letter goes out: its lines are fixed, later ones begin another case."""
    await _change(tx, case_id, "to_approve", state="told", told_at=at, gathers=None, follow_ups=0)


async def close(tx: Transaction, case_id: int, outcome: Outcome, at: datetime) -> None:
    await tx.execute(
        update(dispute_case)
        .where(dispute_case.c.id == case_id, dispute_case.c.state != "closed")
        .values(state="closed", outcome=outcome, closed_at=at, gathers=None, due_at=None)
    )


async def look_again(
    tx: Transaction, case_id: int, due_at: datetime | None, follow_ups: int
) -> None:
    """When the case is looked at next, and how often that was for want of an answer."""
    await tx.execute(
        update(dispute_case)
        .where(dispute_case.c.id == case_id, dispute_case.c.state != "closed")
        .values(due_at=due_at, follow_ups=follow_ups)
    )


async def _change(tx: Transaction, case_id: int, before: State, **values: Any) -> None:
    await tx.execute(
        update(dispute_case)
        .where(dispute_case.c.id == case_id, dispute_case.c.state == before)
        .values(**values)
    )
