"""What people did with work items, perhaps with many at once: known again when it is asked for
twice, and how the last of it is undone.

Only what changes nothing but the list can be undone: who an item is given to, and when it is looked
at. An item that has changed since stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update

from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import work_change, work_item
from groupclaim.store.work import WorkItem, WorkState

UNDONE = ("assign", "pend", "reopen")
"""Kinds of acts that can be undone."""


@dataclass(frozen=True, slots=True)
class LastAct:
    """What somebody did last: ``items`` of them at once."""

    act: str
    kind: str
    at: datetime
    items: int


@dataclass(frozen=True, slots=True)
class Undone:
    """How many items are as they were before; ``kept``: subjects of those that have changed since
    and stay as they are."""

    items: tuple[str, ...]
    kept: tuple[str, ...]


async def note(
    tx: Transaction,
    before: WorkItem,
    after: WorkItem,
    *,
    act: str,
    kind: str,
    by: str,
    at: datetime,
) -> None:
    """Keep what ``before`` was when ``by`` did ``kind`` to it, as a part of ``act``."""
    await tx.insert_new(
        work_change,
        {
            "act": act,
            "work_item_id": before.id,
            "actor": by,
            "at": at,
            "kind": kind,
            "assignee": before.assignee,
            "state": before.state.value,
            "pended_until": before.pended_until,
            "revision": after.revision,
            "undone": False,
        },
    )


async def was_done(reading: Reading, act: str, item_id: str) -> bool:
    """Whether ``act`` has been done to the item before: asked for again, it changes nothing."""
    wanted = select(work_change.c.id).filter_by(act=act, work_item_id=item_id)
    return await reading.scalar(wanted) is not None


async def last_act(reading: Reading, by: str) -> LastAct | None:
    """What ``by`` did last, unless it was undone; None where there is nothing to undo."""
    row = await reading.first(
        select(work_change)
        .where(work_change.c.actor == by, work_change.c.kind.in_(UNDONE))
        .order_by(work_change.c.id.desc())
        .limit(1)
    )
    if row is None or row.undone:
        return None
    items = await reading.rows(
        select(work_change.c.work_item_id).where(work_change.c.act == row.act)
    )
    return LastAct(row.act, row.kind, row.at, len(items))


async def undo(tx: Transaction, act: str) -> Undone:
    """Put the items of ``act`` back to what they were, but for those that have changed since."""
    rows = await tx.rows(
        select(work_change, work_item.c.subject)
        .join(work_item, work_item.c.id == work_change.c.work_item_id)
        .where(work_change.c.act == act, work_change.c.undone.is_(False))
        .order_by(work_change.c.work_item_id)
    )
    back: list[str] = []
    kept: list[str] = []
    for row in rows:
        changed = await tx.execute(
            update(work_item)
            .where(
                work_item.c.id == row.work_item_id,
                work_item.c.revision == row.revision,
                work_item.c.state != WorkState.RESOLVED.value,
            )
            .values(
                assignee=row.assignee,
                state=row.state,
                pended_until=row.pended_until,
                revision=work_item.c.revision + 1,
            )
        )
        (back if changed.rowcount else kept).append(row.subject)
    await tx.execute(update(work_change).where(work_change.c.act == act).values(undone=True))
    return Undone(tuple(back), tuple(kept))
