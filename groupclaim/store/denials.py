"""Denials as they are worked: each with its plan, the case it belongs to, and its letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Select, case, delete, func, select, update

from groupclaim.model.letter import Channel
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import denial, denial_case, denial_letter

Outcome = Literal["corrected", "written_off", "patient", "paid", "superseded"]
"""How a denial ended: sent again, given up, asked of the patient, paid after all, or overtaken by
another version of the claim, or because the claim itself was not true."""

LetterState = Literal["drafted", "approved", "in_doubt", "received", "upheld", "overturned"]
"""A letter is ``in_doubt`` from before it leaves until a receipt says that somebody has it."""

_PACKET = "denial_letter.content"


@dataclass(frozen=True, slots=True)
class Cause:
    """What denials must share to be one case."""

    scope: str
    scope_id: str
    payer_key: str
    cause: str
    category: str
    prevented_by: str | None

    @property
    def case_id(self) -> str:
        text = "|".join((self.scope, self.scope_id, self.payer_key, self.cause))
        return f"dc{sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Denial:
    """One denial: ``done`` are the actions taken or passed over, ``limit_at`` the last moment to
    act, with its ``limit_working``."""

    claim_number: str
    number: int
    case_id: str
    version: int
    cause: str
    cents: int
    decided_on: date
    opened_at: datetime
    rule: str
    playbook: str
    action: str | None
    who: str
    done: tuple[str, ...]
    due_at: datetime | None
    limit_at: datetime | None
    limit_working: str
    outcome: Outcome | None
    correction: str | None
    restart: str | None
    frequency: str | None


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter of a denial; ``position`` counts from 1, ``level`` is that of the appeal."""

    position: int
    kind: Literal["appeal", "send_documents"]
    level: int
    state: LetterState
    channel: Channel
    delivery_key: str
    digest: str
    drafted_at: datetime
    approved_by: str | None
    receipt: str | None
    received_at: datetime | None


@dataclass(frozen=True, slots=True)
class Case:
    """Denials with one cause: how many, how many are open, and the cents at stake in those."""

    case_id: str
    scope: str
    scope_id: str
    payer_key: str
    cause: str
    category: str
    prevented_by: str | None
    denials: int
    open: int
    open_cents: int
    next_limit: datetime | None


# --- one denial


async def open_denial(
    tx: Transaction,
    claim_number: str,
    version: int,
    cause: Cause,
    cents: int,
    decided_on: date,
    decided: Mapping[str, Any],
    at: datetime,
) -> int:
    """The number of the denial of this ``version``: the open one, or a new one.

    One still open of an earlier version is overtaken. A letter that the payer has received is
    answered by a decision dated after it: the denial stands.
    """
    current = await find_open(tx, claim_number)
    if current is not None and current.version == version:
        if decided_on > current.decided_on:
            await tx.execute(
                update(denial_letter)
                .filter_by(claim_number=claim_number, denial_number=current.number)
                .where(denial_letter.c.state.in_(("in_doubt", "received")))
                .values(state="upheld", answered_at=at)
            )
            await _change(tx, current, decided_on=decided_on, cause=cause.cause)
        await _change(tx, current, **decided)
        return current.number
    if current is not None:
        await conclude(tx, claim_number, current.number, "superseded", at)
    await tx.insert_new(
        denial_case,
        {
            "id": cause.case_id,
            "scope": cause.scope,
            "scope_id": cause.scope_id,
            "payer_key": cause.payer_key,
            "cause": cause.cause,
            "category": cause.category,
            "prevented_by": cause.prevented_by,
            "opened_at": at,
        },
    )
    last = await tx.scalar(
        select(func.max(denial.c.number)).where(denial.c.claim_number == claim_number)
    )
    number = (last or 0) + 1
    await tx.execute(
        denial.insert().values(
            claim_number=claim_number,
            number=number,
            case_id=cause.case_id,
            version=version,
            cause=cause.cause,
            cents=cents,
            decided_on=decided_on,
            opened_at=at,
            done=[],
            limit_working="",
            **decided,
        )
    )
    return number


async def find_open(reading: Reading, claim_number: str) -> Denial | None:
    """The denial of a claim that is being worked; None when none is."""
    row = await reading.first(
        select(denial).where(denial.c.claim_number == claim_number, denial.c.outcome.is_(None))
    )
    return _denial(row) if row is not None else None


async def last_number(reading: Reading, claim_number: str) -> int:
    """The number of a claim's last denial; 0 when it has none."""
    query = select(func.max(denial.c.number)).where(denial.c.claim_number == claim_number)
    return int(await reading.scalar(query) or 0)


async def read_denial(reading: Reading, claim_number: str, number: int) -> Denial:
    """One denial. Raises :class:`UnknownRecord`."""
    row = await reading.first(select(denial).filter_by(claim_number=claim_number, number=number))
    if row is None:
        raise UnknownRecord(f"denial {number} of claim {claim_number}")
    return _denial(row)


async def lock_denial(tx: Transaction, claim_number: str, number: int) -> Denial:
    """One denial, to be changed by nobody else meanwhile. Raises :class:`UnknownRecord`."""
    await tx.first(
        select(denial.c.number)
        .filter_by(claim_number=claim_number, number=number)
        .with_for_update(key_share=True)
    )
    return await read_denial(tx, claim_number, number)


async def record_plan(tx: Transaction, of: Denial, **values: Any) -> None:
    """What is next for an open denial: rule, playbook, action, who, due_at, limit."""
    await _change(tx, of, **values)


async def take(tx: Transaction, of: Denial, action: str) -> None:
    """Note that ``action`` was taken, or passed over, without success."""
    if action not in of.done:
        await _change(tx, of, done=[*of.done, action])


async def forget(tx: Transaction, of: Denial, prefix: str) -> None:
    """Take back what was noted under names that begin with ``prefix``."""
    await _change(tx, of, done=[item for item in of.done if not item.startswith(prefix)])


async def conclude(
    tx: Transaction,
    claim_number: str,
    number: int,
    outcome: Outcome,
    at: datetime,
    *,
    correction: str | None = None,
    restart: str | None = None,
    frequency: str | None = None,
) -> bool:
    """End a denial, once; True when it was open."""
    changed = await tx.execute(
        update(denial)
        .filter_by(claim_number=claim_number, number=number)
        .where(denial.c.outcome.is_(None))
        .values(
            outcome=outcome,
            concluded_at=at,
            due_at=None,
            correction=correction,
            restart=restart,
            frequency=frequency,
        )
    )
    return changed.rowcount > 0


async def _change(tx: Transaction, of: Denial, **values: Any) -> None:
    await tx.execute(
        update(denial).filter_by(claim_number=of.claim_number, number=of.number).values(**values)
    )


def _denial(row: Any) -> Denial:
    fields = {name: getattr(row, name) for name in Denial.__dataclass_fields__}
    return Denial(**{**fields, "done": tuple(row.done)})


# --- letters


async def letters_of(reading: Reading, claim_number: str, number: int) -> tuple[Letter, ...]:
    """The letters of a denial, the first first."""
    rows = await reading.rows(
        select(denial_letter)
        .filter_by(claim_number=claim_number, denial_number=number)
        .order_by(denial_letter.c.position)
    )
    return tuple(
        Letter(**{name: getattr(row, name) for name in Letter.__dataclass_fields__}) for row in rows
    )


async def overtaken_letters(
    reading: Reading, claim_number: str
) -> tuple[tuple[Denial, Letter], ...]:
    """The letters that have left, that the payer has not answered, and whose denial was overtaken:
    the payer still works on what nobody asks for any more."""
    rows = await reading.rows(
        select(denial)
        .where(denial.c.claim_number == claim_number, denial.c.outcome == "superseded")
        .order_by(denial.c.number)
    )
    return tuple(
        [
            (_denial(row), letter)
            for row in rows
            for letter in await letters_of(reading, claim_number, row.number)
            if letter.state in ("in_doubt", "received", "overturned")
        ]
    )


async def keep_letter(
    tx: Transaction,
    claim_number: str,
    number: int,
    kind: Literal["appeal", "send_documents"],
    level: int,
    channel: Channel,
    content: bytes,
    at: datetime,
) -> None:
    """Keep a drafted packet; one drafted before and not yet approved is replaced."""
    known = await letters_of(tx, claim_number, number)
    drafted = bool(known) and known[-1].state == "drafted"
    position = _next_position(known)
    values = {
        "kind": kind,
        "level": level,
        "state": "drafted",
        "channel": channel,
        "delivery_key": f"{claim_number}-{number}-{position}",
        "digest": sha256(content).hexdigest(),
        "content": tx.keyring.fields.seal(_PACKET, content),
        "drafted_at": at,
    }
    if drafted:
        await change_letter(tx, claim_number, number, position, **values)
    else:
        await tx.execute(
            denial_letter.insert().values(
                claim_number=claim_number, denial_number=number, position=position, **values
            )
        )


def next_key(of: Denial, known: Sequence[Letter]) -> str:
    """The delivery key of the packet that is drafted next, which stands on it."""
    return f"{of.claim_number}-{of.number}-{_next_position(known)}"


def _next_position(known: Sequence[Letter]) -> int:
    draft = known[-1] if known and known[-1].state == "drafted" else None
    return draft.position if draft else len(known) + 1


async def documents_sent(reading: Reading, claim_number: str) -> tuple[Letter, ...]:
    """The packets of documents that have left about a claim's last denial and that the payer has
    not refused: what a replacement announces."""
    number = await last_number(reading, claim_number)
    return tuple(
        item
        for item in await letters_of(reading, claim_number, number)
        if item.kind == "send_documents" and item.state in ("in_doubt", "received")
    )


async def read_packet(reading: Reading, claim_number: str, number: int, position: int) -> bytes:
    """The bytes of one packet. Raises :class:`UnknownRecord`."""
    content = await reading.scalar(
        select(denial_letter.c.content).filter_by(
            claim_number=claim_number, denial_number=number, position=position
        )
    )
    if content is None:
        raise UnknownRecord(f"letter {position} of denial {number} of claim {claim_number}")
    return reading.keyring.fields.open(_PACKET, content)


async def change_letter(
    tx: Transaction, claim_number: str, number: int, position: int, **values: Any
) -> None:
    """Move a letter on: its state with who, when, or the receipt."""
    await tx.execute(
        update(denial_letter)
        .filter_by(claim_number=claim_number, denial_number=number, position=position)
        .values(**values)
    )


async def drop_draft(tx: Transaction, claim_number: str, number: int) -> None:
    """Take back a draft that nobody has approved."""
    await tx.execute(
        delete(denial_letter).filter_by(
            claim_number=claim_number, denial_number=number, state="drafted"
        )
    )


# --- cases


async def list_denials(reading: Reading, *, open_only: bool = True) -> tuple[Denial, ...]:
    """Denials, the one with the next deadline first."""
    query = select(denial).order_by(denial.c.due_at, denial.c.claim_number, denial.c.number)
    if open_only:
        query = query.where(denial.c.outcome.is_(None))
    return tuple(_denial(row) for row in await reading.rows(query))


async def denials_of_case(reading: Reading, case_id: str) -> tuple[Denial, ...]:
    """The open denials of a case. Raises :class:`UnknownRecord` for one that is not there."""
    if await reading.first(select(denial_case.c.id).filter_by(id=case_id)) is None:
        raise UnknownRecord(f"case {case_id}")
    rows = await reading.rows(
        select(denial)
        .where(denial.c.case_id == case_id, denial.c.outcome.is_(None))
        .order_by(denial.c.claim_number)
    )
    return tuple(_denial(row) for row in rows)


def _open_cases() -> Select[Any]:
    still = denial.c.outcome.is_(None)
    at_stake = func.sum(case((still, denial.c.cents), else_=0))
    return (
        select(
            denial_case,
            func.count().label("denials"),
            func.sum(case((still, 1), else_=0)).label("open"),
            at_stake.label("open_cents"),
            func.min(case((still, denial.c.limit_at))).label("next_limit"),
        )
        .join(denial, denial.c.case_id == denial_case.c.id)
        .group_by(denial_case.c.id)
        .having(func.sum(case((still, 1), else_=0)) > 0)
        .order_by(at_stake.desc(), denial_case.c.id)
    )


async def list_cases(
    reading: Reading, *, limit: int | None = None, offset: int = 0
) -> tuple[Case, ...]:
    """Cases with open denials, the one with the most at stake first, at most ``limit``."""
    rows = await reading.rows(_open_cases().limit(limit).offset(offset))
    return tuple(
        Case(
            row.id,
            row.scope,
            row.scope_id,
            row.payer_key,
            row.cause,
            row.category,
            row.prevented_by,
            row.denials,
            int(row.open),
            int(row.open_cents),
            row.next_limit,
        )
        for row in rows
    )


async def count_cases(reading: Reading) -> int:
    """How many cases have open denials."""
    open_ = select(denial.c.case_id).where(denial.c.outcome.is_(None)).distinct().subquery()
    found: int = await reading.scalar(select(func.count()).select_from(open_))
    return found
