"""What people have to do: who, by when, why, and what it is about.

An item opens by itself when something begins to wait for a person, and is resolved by itself when
that has ended; what people do in between is to take it, put it off to a day, and write down what
they found. Whatever changes an item names the revision that it was read at, so that of two people
who act at once one is told that the other was first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, func, or_, select, true, update

from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import ClaimState
from groupclaim.model.base import InputRefused, Record
from groupclaim.model.work import changed_meanwhile
from groupclaim.store import ledger, webhooks
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import claim, work_item, work_note

_MONEY = "money"
_DENIAL_HOLDS = ("DENIED", "APPEALED")

_FEW = 3

BY_ITSELF = "groupclaim"
"""Who resolved an item whose cause has ended."""

_ACTED_ON = {
    "hold": "a hold is resolved by releasing its claim",
    "denial": "a denial is decided with `groupclaim denial decide`",
    "dispute": "a dispute is decided with `groupclaim dispute approve` or `close`",
    _MONEY: "money is cleared with the command that the item names",
}
"""Kinds of items that end when what they are about has ended, and not when somebody says so; with
what ends that."""


class WorkState(StrEnum):
    OPEN = "open"
    PENDED = "pended"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Task:
    """Something for a person to do. ``key`` tells it from the next one about the same ``subject``.

    ``kind`` says where it is acted on: ``hold`` at the claim, ``denial``, ``dispute`` and ``money``
    at commands of their own; any other is done when a person says so. ``code``: why; ``queue``: who
    acts; ``cents``: what is at stake.
    """

    kind: str
    subject: str
    key: str
    code: str
    queue: str
    cents: int = 0
    due_at: datetime | None = None
    claim_number: str | None = None
    session_id: str | None = None
    payer_key: str | None = None


@dataclass(frozen=True, slots=True)
class WorkItem:
    id: str
    kind: str
    subject: str
    claim_number: str | None
    session_id: str | None
    payer_key: str | None
    code: str
    queue: str
    cents: int
    opened_at: datetime
    due_at: datetime | None
    state: WorkState
    assignee: str | None
    pended_until: datetime | None
    resolved_at: datetime | None
    resolution: str | None
    revision: int


@dataclass(frozen=True, slots=True)
class Comment:
    at: datetime
    actor: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What groupclaim itself asks of a person, in its own words: they name nobody."""

    code: str
    due_at: datetime | None
    words: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """A waiver that ``by`` proposes and somebody else has to agree to; it counts ``until`` then,
    which is the item's deadline too."""

    item: WorkItem
    by: str
    reason: str
    until: datetime


class _Text(Record):
    text: str


class ChangedMeanwhile(Exception):
    """Somebody else was first; the text says what the item is now."""


# --- opening and closing, by what happens


async def open_item(tx: Transaction, task: Task, at: datetime) -> str:
    """Put something on the list, once; a deadline or amount that has changed is brought up to
    date, and one that had ended by itself and is to be done again stands open again. Returns the
    item's id."""
    key, new = await _put(tx, task, at)
    if not new:
        await tx.execute(
            update(work_item)
            .where(work_item.c.id == key, work_item.c.state != WorkState.RESOLVED.value)
            .values(due_at=task.due_at, cents=task.cents)
        )
        await tx.execute(
            update(work_item)
            .where(work_item.c.id == key, work_item.c.resolution == BY_ITSELF)
            .values(
                state=WorkState.OPEN.value,
                resolved_at=None,
                resolution=None,
                due_at=task.due_at,
                cents=task.cents,
                revision=work_item.c.revision + 1,
            )
        )
    return key


async def open_once(tx: Transaction, task: Task, at: datetime) -> str:
    """Put something on the list, unless it stands there or is done: what is known of it stays.
    Returns the item's id."""
    return (await _put(tx, task, at))[0]


async def _put(tx: Transaction, task: Task, at: datetime) -> tuple[str, bool]:
    key = tx.keyring.opaque("work", f"{task.kind}|{task.subject}|{task.key}")
    new = await tx.insert_new(
        work_item,
        {
            "id": key,
            "kind": task.kind,
            "subject": task.subject,
            "claim_number": task.claim_number,
            "session_id": task.session_id,
            "payer_key": task.payer_key,
            "code": task.code,
            "queue": task.queue,
            "cents": task.cents,
            "opened_at": at,
            "due_at": task.due_at,
            "state": WorkState.OPEN.value,
            "revision": 0,
        },
    )
    if new and task.kind != "webhook":
        data = {
            "work_item": key,
            "kind": task.kind,
            "code": task.code,
            "queue": task.queue,
            "claim_number": task.claim_number,
        }
        await webhooks.note(tx, webhooks.Event.WORK_ITEM_OPENED, key, data, at)
    return key, new


async def close_items(
    tx: Transaction, kind: str, subject: str, at: datetime, *, keeping: str | None = None
) -> None:
    """Resolve what stands on the list about ``subject``, but for the item ``keeping``."""
    await _close(tx, (kind,), subject, at, keeping)


async def _close(
    tx: Transaction, kinds: Sequence[str], subject: str, at: datetime, *keeping: str | None
) -> None:
    kept = tuple(filter(None, keeping))
    await tx.execute(_CLOSE, {"kinds": kinds, "about": subject, "at": at, "keeping": kept})


_CLOSE = (
    update(work_item)
    .where(
        work_item.c.kind.in_(bindparam("kinds", expanding=True)),
        work_item.c.subject == bindparam("about"),
        work_item.c.state != WorkState.RESOLVED.value,
        work_item.c.id.not_in(bindparam("keeping", expanding=True)),
    )
    .values(
        state=WorkState.RESOLVED.value,
        pended_until=None,
        resolved_at=bindparam("at"),
        resolution=BY_ITSELF,
        revision=work_item.c.revision + 1,
    )
)
"""Written once: it is carried out whenever a held claim has moved."""


async def follow_hold(tx: Transaction, state: ClaimState, cents: int, at: datetime) -> None:
    """A claim's hold is an item for as long as it stands, unless it is asked again without people,
    or its denial is worked and has an item of its own.

    ``cents``: what the claim is about, charged or still open.
    """
    hold = state.hold
    kept = None
    worked = state.denial > 0 and hold is not None and hold.code in _DENIAL_HOLDS
    if hold is not None and not HOLDS[hold.code].asked_again and not worked:
        row = await tx.first(
            select(claim.c.session_id, claim.c.payer_key).where(
                claim.c.claim_number == state.claim_number
            )
        )
        if row is None:
            raise UnknownRecord(f"claim {state.claim_number}")
        kept = await open_item(
            tx,
            Task(
                kind="hold",
                subject=state.claim_number,
                key=f"{hold.code}|{hold.since.isoformat()}",
                code=hold.code,
                queue=HOLDS[hold.code].waits_for.split(":")[0],
                cents=cents,
                due_at=state.due_at,
                claim_number=state.claim_number,
                session_id=row.session_id,
                payer_key=row.payer_key,
            ),
            at,
        )
    proposed = await waiver_proposed(tx, state)
    kept_waiver = proposed.item.id if proposed else None
    await _close(tx, ("hold", "waiver"), state.claim_number, at, kept, kept_waiver)


# --- waivers: one person proposes, another agrees


async def propose_waiver(
    tx: Transaction, state: ClaimState, *, by: str, reason: str, until: datetime, at: datetime
) -> None:
    """Put on the list that a second person is asked to agree that a held claim goes on.

    The proposal lapses with the hold. Raises :class:`InputRefused` where the hold is not one that
    two people may waive, or where a waiver of it is proposed already.
    """
    hold = state.hold
    if hold is None or not (hold.two_people and hold.releasable):
        raise InputRefused("waiver", ["claim: no hold that two people may waive"])
    problems = []
    if await waiver_proposed(tx, state) is not None:
        problems.append("claim: a waiver of this hold is proposed already")
    if until <= at:
        problems.append("until: lies in the past")
    if not reason.strip():
        problems.append("reason: say why the rule should not hold here")
    if problems:
        raise InputRefused("waiver", problems)
    held = await tx.first(
        select(work_item)
        .where(work_item.c.kind == "hold", work_item.c.subject == state.claim_number)
        .order_by(work_item.c.opened_at.desc())
    )
    item_id = await open_item(
        tx,
        Task(
            kind="waiver",
            subject=state.claim_number,
            key=f"{hold.code}|{at.isoformat()}",
            code=hold.code,
            queue="supervisor",
            cents=held.cents if held else 0,
            due_at=until,
            claim_number=state.claim_number,
            session_id=held.session_id if held else None,
            payer_key=held.payer_key if held else None,
        ),
        at,
    )
    await comment(tx, item_id, reason, by, at)


async def waiver_proposed(reading: Reading, state: ClaimState) -> Proposal | None:
    """The waiver that waits for a second person, of the hold as it stands."""
    hold = state.hold
    if hold is None or not hold.two_people:
        return None
    row = await reading.first(
        select(work_item).where(
            work_item.c.kind == "waiver",
            work_item.c.subject == state.claim_number,
            work_item.c.code == hold.code,
            work_item.c.state != WorkState.RESOLVED.value,
            work_item.c.opened_at >= hold.since,
        )
    )
    if row is None:
        return None
    item = _item(row)
    first = (await comments(reading, item.id))[0]
    return Proposal(item, first.actor, first.text, item.due_at or item.opened_at)


def estimate_task(patient_id: str, year: int) -> Task:
    """The good-faith estimate of a patient's sessions of one year."""
    return Task(
        kind="estimate",
        subject=patient_id,
        key=str(year),
        code="ESTIMATE_DUE",
        queue="front desk",
    )


@dataclass(frozen=True, slots=True)
class WaitingMoney:
    """What people do with money that has found no place, who, and by which command."""

    queue: str
    repair: str
    cleared_by: str


WAITING_MONEY = {
    "PAYMENT_SUSPENDED": WaitingMoney(
        "biller",
        "Ask the payer for a whole copy of the remittance; where it is a payment of its own, "
        "accept it; else return the money.",
        "`groupclaim suspense accept` or `return`, or a whole copy that comes",
    ),
    "UNAPPLIED_CASH": WaitingMoney(
        "biller",
        "Find the claim that it belongs to, say what a withheld amount was, or return it.",
        "`groupclaim unapplied assign`, `settle` or `return`, or a later remittance",
    ),
}
_MONEY_LOOKED_AT_WITHIN = timedelta(days=7)
"""groupclaim's own choice: money that waits is looked at within a week."""


async def follow_money(tx: Transaction, at: datetime) -> None:
    """Payments in suspense and unapplied cash are items for as long as they wait, and no longer."""
    waiting = await ledger.open_items(tx)
    tasks = [
        _money(f"suspended/{one.remittance_id}", "PAYMENT_SUSPENDED", one.paid, at)
        for one in waiting.suspended
    ]
    tasks += [
        _money(f"unapplied/{one.item}", "UNAPPLIED_CASH", one.cents, at)
        for one in await ledger.unapplied_items(tx)
    ]
    before = await tx.rows(
        select(work_item.c.subject).where(
            work_item.c.kind == _MONEY, work_item.c.state != WorkState.RESOLVED.value
        )
    )
    known = {row.subject for row in before}
    for task in tasks:
        if task.subject not in known:
            await open_item(tx, task, at)
    for subject in known - {task.subject for task in tasks}:
        await close_items(tx, _MONEY, subject, at)


def _money(subject: str, code: str, cents: int, at: datetime) -> Task:
    return Task(
        kind=_MONEY,
        subject=subject,
        key=at.isoformat(),
        code=code,
        queue=WAITING_MONEY[code].queue,
        cents=abs(cents),
        due_at=at + _MONEY_LOOKED_AT_WITHIN,
    )


# --- what people do


async def assign(tx: Transaction, item_id: str, to: str | None, revision: int) -> WorkItem:
    """Give an item to somebody, or to nobody. Raises :class:`ChangedMeanwhile`."""
    return await _change(tx, item_id, revision, {"assignee": to}, WorkState.RESOLVED)


async def pend(
    tx: Transaction, item_id: str, until: datetime, revision: int, at: datetime
) -> WorkItem:
    """Put an item off: it is out of the way until then, never past its deadline.

    Raises :class:`InputRefused` for a day that has passed or lies behind the deadline, and
    :class:`ChangedMeanwhile`.
    """
    item = await read_item(tx, item_id)
    if until <= at:
        raise InputRefused("pend", ["until: lies in the past"])
    if item.due_at is not None and until > item.due_at > at:
        raise InputRefused("pend", ["until: behind the deadline"])
    values = {"state": WorkState.PENDED.value, "pended_until": until}
    return await _change(tx, item_id, revision, values, WorkState.RESOLVED)


async def resume(tx: Transaction, item_id: str, revision: int) -> WorkItem:
    """Put an item back on the list: one put off, or one resolved by a person by mistake.

    An item whose cause has ended is not reopened: raises :class:`InputRefused`.
    """
    item = await read_item(tx, item_id)
    if item.state is WorkState.RESOLVED and (
        item.resolution == BY_ITSELF or item.kind in _ACTED_ON
    ):
        raise InputRefused("reopen", ["item: what it was about has ended"])
    values = {
        "state": WorkState.OPEN.value,
        "pended_until": None,
        "resolved_at": None,
        "resolution": None,
    }
    return await _change(tx, item_id, revision, values, WorkState.OPEN)


async def resolve(tx: Transaction, item_id: str, by: str, revision: int, at: datetime) -> WorkItem:
    """Say that an item is done. One that ends with what it is about is never done here: raises
    :class:`InputRefused` with what ends it."""
    item = await read_item(tx, item_id)
    if item.kind == _MONEY:
        how = WAITING_MONEY[item.code].cleared_by
        raise InputRefused("resolve", [f"item: it is resolved by clearing the money: {how}"])
    if item.kind in _ACTED_ON:
        raise InputRefused("resolve", [f"item: {_ACTED_ON[item.kind]}"])
    values = {
        "state": WorkState.RESOLVED.value,
        "pended_until": None,
        "resolved_at": at,
        "resolution": by,
    }
    return await _change(tx, item_id, revision, values, WorkState.RESOLVED)


async def _change(
    tx: Transaction, item_id: str, revision: int, values: dict[str, Any], not_when: WorkState
) -> WorkItem:
    changed = await tx.execute(
        update(work_item)
        .where(
            work_item.c.id == item_id,
            work_item.c.revision == revision,
            work_item.c.state != not_when.value,
        )
        .values(**values, revision=work_item.c.revision + 1)
    )
    item = await read_item(tx, item_id)
    if changed.rowcount == 0:
        raise ChangedMeanwhile(changed_meanwhile(item.state.value, item.assignee, item.resolution))
    return item


async def comment(tx: Transaction, item_id: str, text: str, by: str, at: datetime) -> None:
    """Write down what was found. The words are encrypted: they may name a person."""
    if not 0 < len(text.strip()) <= 2000:
        raise InputRefused("comment", ["text: 1 to 2000 characters"])
    await read_item(tx, item_id)
    await tx.execute(
        work_note.insert().values(
            work_item_id=item_id,
            at=at,
            actor=by,
            document=tx.seal(work_note, _Text(text=text.strip())),
        )
    )


# --- what there is to do


async def read_item(reading: Reading, item_id: str) -> WorkItem:
    """One item. Raises :class:`UnknownRecord`."""
    row = await reading.first(select(work_item).where(work_item.c.id == item_id))
    if row is None:
        raise UnknownRecord("a work item of that id")
    return _item(row)


async def lock_item(tx: Transaction, item_id: str) -> WorkItem:
    """One item, which nobody else changes until ``tx`` ends. Raises :class:`UnknownRecord`."""
    await tx.execute(select(work_item.c.id).where(work_item.c.id == item_id).with_for_update())
    return await read_item(tx, item_id)


async def newest(reading: Reading, kind: str, subject: str) -> tuple[WorkItem, ...]:
    """The last few items of a kind about ``subject``, in whatever state."""
    rows = await reading.execute(_NEWEST, {"of_kind": kind, "about": subject})
    return tuple(_item(row) for row in rows)


_NEWEST = (
    select(work_item)
    .where(work_item.c.kind == bindparam("of_kind"), work_item.c.subject == bindparam("about"))
    .order_by(work_item.c.opened_at.desc(), work_item.c.id)
    .limit(_FEW)
)


def _item(row: Row[Any]) -> WorkItem:
    values = dict(row._mapping)
    return WorkItem(**{**values, "state": WorkState(values["state"])})


async def comments(reading: Reading, item_id: str) -> tuple[Comment, ...]:
    rows = await reading.rows(
        select(work_note).where(work_note.c.work_item_id == item_id).order_by(work_note.c.id)
    )
    return tuple(
        Comment(row.at, row.actor, reading.unseal(work_note, row.document, _Text).text)
        for row in rows
    )


async def asked_about(reading: Reading, claim_number: str) -> tuple[Asked, ...]:
    """What is asked of people about a claim and not done yet. What people have noted beside it is
    left out: it may name somebody."""
    rows = await reading.rows(
        select(work_item.c.code, work_item.c.due_at, work_note.c.document)
        .join(work_note, work_note.c.work_item_id == work_item.c.id)
        .where(
            work_item.c.claim_number == claim_number,
            work_item.c.state != WorkState.RESOLVED.value,
            work_note.c.actor == BY_ITSELF,
        )
        .order_by(work_item.c.opened_at, work_item.c.id, work_note.c.id)
    )
    return tuple(
        Asked(row.code, row.due_at, reading.unseal(work_note, row.document, _Text).text)
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which items: each criterion that is given must hold. ``assignee`` "" means nobody's;
    ``due_before`` what is due by then; ``pended`` those put off, which are else left out; ``item``
    that one alone, in whatever state."""

    code: str | None = None
    queue: str | None = None
    payer_key: str | None = None
    assignee: str | None = None
    due_before: datetime | None = None
    pended: bool = False
    resolved: bool = False
    item: str | None = None
    sessions: Any = None
    """Subquery of the sessions that the reader may see; None: all, and what is of no session."""


def _matching(wanted: Wanted, now: datetime) -> ColumnElement[bool]:
    at_hand = or_(
        work_item.c.state == WorkState.OPEN.value,
        and_(work_item.c.state == WorkState.PENDED.value, work_item.c.pended_until <= now),
    )
    if wanted.resolved:
        at_hand = work_item.c.state == WorkState.RESOLVED.value
    elif wanted.pended:
        at_hand = and_(work_item.c.state == WorkState.PENDED.value, work_item.c.pended_until > now)
    terms: list[ColumnElement[bool]] = [at_hand]
    for column in ("code", "queue", "payer_key"):
        value = getattr(wanted, column)
        if value is not None:
            terms.append(work_item.c[column] == value)
    if wanted.assignee is not None:
        mine = work_item.c.assignee
        terms.append(mine == wanted.assignee if wanted.assignee else mine.is_(None))
    if wanted.due_before is not None:
        terms.append(work_item.c.due_at <= wanted.due_before)
    if wanted.item is not None:
        terms = [work_item.c.id == wanted.item]
    if wanted.sessions is not None:
        terms.append(work_item.c.session_id.in_(wanted.sessions))
    return and_(true(), *terms)


ORDERS: dict[str, tuple[ColumnElement[Any], ...]] = {
    "due": (work_item.c.due_at.is_(None), work_item.c.due_at, work_item.c.id),
    "amount": (work_item.c.cents.desc(), work_item.c.id),
    "oldest": (work_item.c.opened_at, work_item.c.id),
}


async def items(
    reading: Reading,
    wanted: Wanted,
    now: datetime,
    *,
    order: str = "due",
    limit: int = 50,
    offset: int = 0,
) -> tuple[WorkItem, ...]:
    """What is wanted, at most ``limit`` of it."""
    rows = await reading.rows(
        select(work_item)
        .where(_matching(wanted, now))
        .order_by(*ORDERS[order])
        .limit(limit)
        .offset(offset)
    )
    return tuple(_item(row) for row in rows)


@dataclass(frozen=True, slots=True)
class Counter:
    """How many items of one reason, and the cents at stake."""

    code: str
    items: int
    cents: int


async def counters(reading: Reading, wanted: Wanted, now: datetime) -> Sequence[Counter]:
    """What is wanted, counted by reason, the most money first."""
    total = func.sum(work_item.c.cents)
    rows = await reading.rows(
        select(work_item.c.code, func.count().label("items"), total.label("cents"))
        .where(_matching(wanted, now))
        .group_by(work_item.c.code)
        .order_by(total.desc(), work_item.c.code)
    )
    return tuple(Counter(row.code, row.items, int(row.cents)) for row in rows)
