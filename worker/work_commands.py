"""``groupclaim work``: what people have to do, and what they do with it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from activities.front_desk import WorkAct
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.model.base import InputRefused
from groupclaim.model.money import Cents
from groupclaim.store import work
from groupclaim.store.clock import PracticeClock
from worker.tables import table
from worker.terminal import AsJson, By, books, desk, run, show

commands = typer.Typer(
    no_args_is_help=True, help="What people have to do: list it, take it, put it off, finish it."
)

Code = Annotated[str | None, typer.Option(help="only this reason, as GROUP_SIZE_REVIEW")]
Queue = Annotated[str | None, typer.Option(help="only who acts, as biller or clinician")]
Ids = Annotated[list[str] | None, typer.Argument(help="ids of items; none: all that --code takes")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would change, change nothing")]
Instant = Annotated[datetime, typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z"])]

_MOST = 500


@commands.command("list")
def list_items(
    code: Code = None,
    queue: Queue = None,
    assignee: Annotated[str | None, typer.Option(help="only theirs; empty: nobody's")] = None,
    pended: Annotated[bool, typer.Option("--pended", help="those put off")] = False,
    order: Annotated[str, typer.Option(help="due, amount or oldest")] = "due",
    limit: Annotated[int, typer.Option(min=1, max=_MOST)] = 50,
    as_json: AsJson = False,
) -> None:
    """What waits for a person, the most urgent first."""

    async def work_() -> list[dict[str, Any]]:
        if order not in work.ORDERS:
            raise InputRefused("list", [f"order: one of {', '.join(work.ORDERS)}"])
        async with books() as database:
            now = await PracticeClock(database).now()
            wanted = work.Wanted(code=code, queue=queue, assignee=assignee, pended=pended)
            async with database.reading() as reading:
                found = await work.items(reading, wanted, now, order=order, limit=limit)
        return [_row(item) for item in found]

    rows = run(work_())
    show(as_json, rows, lambda console: console.print(table(rows)))


def _row(item: work.WorkItem) -> dict[str, Any]:
    kind = HOLDS.get(item.code)
    return {
        "id": item.id,
        "claim": item.claim_number or item.subject,
        "code": item.code,
        "waits_for": kind.waits_for if kind else item.queue,
        "due_at": item.due_at,
        "amount_cents": item.cents,
        "assignee": item.assignee,
        "state": item.state.value,
    }


@commands.command("show")
def show_item(item: str, as_json: AsJson = False) -> None:
    """One item: who must do what by when, why, what happens otherwise, and what was noted."""

    async def work_() -> dict[str, Any]:
        async with books() as database, database.reading() as reading:
            found = await work.read_item(reading, item)
            noted = await work.comments(reading, found.id)
        kind = HOLDS.get(found.code)
        money = work.WAITING_MONEY.get(found.code)
        return {
            **_row(found),
            "repair": kind.repair if kind else money.repair if money else "",
            "released_by": kind.released_by if kind else money.cleared_by if money else "",
            "opened_at": found.opened_at,
            "pended_until": found.pended_until,
            "revision": found.revision,
            "comments": [{"at": note.at, "actor": note.actor, "text": note.text} for note in noted],
        }

    page = run(work_())

    def told(console: Console) -> None:
        for name, value in page.items():
            if name != "comments":
                console.print(f"{name.replace('_', ' '):>14}  {value}", highlight=False)
        console.print(table(page["comments"], title="comments"))

    show(as_json, page, told)


async def _each(
    ids: list[str] | None, code: str | None, act: WorkAct, by: str, dry_run: bool
) -> dict[str, Any]:
    """Do ``act`` to each item; one that refuses does not keep the others from it."""
    done: list[str] = []
    refused: dict[str, str] = {}
    cents = 0
    async with books() as database:
        now = await PracticeClock(database).now()
        async with database.reading() as reading:
            if ids:
                items = [await work.read_item(reading, key) for key in ids]
            elif code:
                wanted = work.Wanted(code=code)
                items = list(await work.items(reading, wanted, now, limit=_MOST))
            else:
                raise InputRefused("work", ["items: name them, or a reason by --code"])
    if dry_run:
        return {
            "would_change": [item.id for item in items],
            "amount_cents": sum(item.cents for item in items),
        }
    together = uuid.uuid4().hex
    async with desk() as front:
        for item in items:
            try:
                await front.act_on(item.id, act, by, together)
            except (work.ChangedMeanwhile, InputRefused) as error:
                refused[item.id] = str(error)
            else:
                done.append(item.id)
                cents += item.cents
    return {"changed": done, "refused": refused, "amount_cents": cents}


def _told(as_json: bool, answer: dict[str, Any]) -> None:
    def told(console: Console) -> None:
        for name in ("would_change", "changed"):
            if name in answer:
                amount = Cents(answer["amount_cents"])
                console.print(f"{name.replace('_', ' ')}: {len(answer[name])} ({amount})")
        for key, why in answer.get("refused", {}).items():
            console.print(f"refused {key}: {why}", markup=False, highlight=False)

    show(as_json, answer, told)
    if answer.get("refused"):
        raise typer.Exit(1)


@commands.command("assign")
def assign(
    to: Annotated[str, typer.Option(help="who takes it; empty: nobody")],
    items: Ids = None,
    code: Code = None,
    by: By = "command line",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give items to somebody."""
    _told(as_json, run(_each(items, code, WorkAct("assign", to=to or None), by, dry_run)))


@commands.command("pend")
def pend(
    until: Instant,
    reason: Annotated[str, typer.Option(help="why it can wait")],
    items: Ids = None,
    code: Code = None,
    by: By = "command line",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put items off to a day, never past their deadline; they come back by themselves."""
    act = WorkAct("pend", until=until, text=reason)
    _told(as_json, run(_each(items, code, act, by, dry_run)))


@commands.command("resolve")
def resolve(
    reason: Annotated[str, typer.Option(help="what was done")],
    items: Ids = None,
    code: Code = None,
    by: By = "command line",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say that items are done. A claim's hold is resolved by `groupclaim claim release`."""
    act = WorkAct("resolve", text=reason)
    _told(as_json, run(_each(items, code, act, by, dry_run)))


@commands.command("reopen")
def reopen(items: list[str], by: By = "command line", as_json: AsJson = False) -> None:
    """Put items back on the list: put off, or resolved by mistake."""
    _told(as_json, run(_each(items, None, WorkAct("reopen"), by, False)))


@commands.command("comment")
def comment(item: str, text: str, by: By = "command line", as_json: AsJson = False) -> None:
    """Write down what was found about an item."""
    act = WorkAct("comment", text=text)
    _told(as_json, run(_each([item], None, act, by, False)))


@commands.command("undo")
def undo(
    by: Annotated[str, typer.Option("--by", help="whose last act with items")],
    as_json: AsJson = False,
) -> None:
    """Undo what somebody did last with items, with all at once: taken, put off or put back. What
    has changed since stays as it is."""

    async def work_() -> dict[str, list[str]]:
        async with desk() as front:
            undone = await front.undo_last(by)
        return {"undone": list(undone.items), "kept": list(undone.kept)}

    told = run(work_())
    said = f"{len(told['undone'])} as they were, {len(told['kept'])} have changed since and stay"
    show(as_json, told, lambda console: console.print(said))
