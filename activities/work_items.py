"""Acts of people on work items, carried out in the store: once, by the revision that they saw."""

from __future__ import annotations

from datetime import datetime

from activities import steps
from activities.outside import Outside, performs
from groupclaim.model.base import InputRefused
from groupclaim.store import audit, work, work_undo
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Reading, Transaction
from workflows import claim


def workflow_id(item: work.WorkItem) -> str:
    """The workflow of what the item is about; empty where it is about no claim or case."""
    if item.kind in ("denial", "dispute"):
        return f"{item.kind}/{item.subject}"
    return claim.workflow_id(item.claim_number) if item.claim_number else ""


def standing(item: work.WorkItem) -> steps.ItemStanding:
    return steps.ItemStanding(
        item=item.id,
        revision=item.revision,
        state=item.state.value,
        assignee=item.assignee,
        resolution=item.resolution,
    )


async def standings(reading: Reading, kind: str, subject: str) -> tuple[steps.ItemStanding, ...]:
    """What the last items of a kind about ``subject`` are."""
    return tuple(standing(item) for item in await work.newest(reading, kind, subject))


class WorkDesk:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.ACT_ON_ITEM)
    async def act_on_item(self, act: steps.ItemAct) -> steps.ItemActed:
        """Change the item, unless somebody did since it was seen, or it cannot be changed so."""
        try:
            async with self._outside.database.transaction() as tx:
                item = await carry_out(tx, act, await practice_now(tx))
            return steps.ItemActed(standing=standing(item))
        except work.ChangedMeanwhile:
            return steps.ItemActed(standing=await self._now(act), changed=True)
        except InputRefused as error:
            return steps.ItemActed(standing=await self._now(act), problems=tuple(error.problems))

    async def _now(self, act: steps.ItemAct) -> steps.ItemStanding:
        async with self._outside.database.reading() as reading:
            return standing(await work.read_item(reading, act.item))


async def carry_out(tx: Transaction, act: steps.ItemAct, at: datetime) -> work.WorkItem:
    """The item as it is once ``act`` is done; asked for again, it is done once.

    Raises :class:`work.ChangedMeanwhile`, InputRefused and UnknownRecord.
    """
    before = await work.lock_item(tx, act.item)
    if await work_undo.was_done(tx, act.request, act.item):
        return before
    if workflow_id(before) != act.workflow_id:
        raise InputRefused(act.kind, ["item: it is about something else"])
    match act.kind:
        case "assign":
            item = await work.assign(tx, act.item, act.to, act.revision)
        case "pend":
            if act.until is None:
                raise InputRefused("pend", ["until: by when to look again"])
            item = await work.pend(tx, act.item, act.until, act.revision, at)
        case "reopen":
            item = await work.resume(tx, act.item, act.revision)
        case "resolve":
            item = await work.resolve(tx, act.item, act.by, act.revision, at)
    if act.text:
        await work.comment(tx, act.item, act.text, act.by, at)
    elif act.kind in ("pend", "resolve"):
        raise InputRefused(act.kind, ["text: say why, or what was found"])
    await work_undo.note(tx, before, item, act=act.request, kind=act.kind, by=act.by, at=at)
    detail = {"to": act.to, "until": act.until.isoformat() if act.until else None}
    await audit.record(tx, at, act.by, f"work_{act.kind}", item.subject, detail)
    return item
