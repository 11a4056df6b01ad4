"""Today: what waits for a person, with its reason, deadline and amount; taken and put off here."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select
from temporalio.client import WorkflowUpdateFailedError

from activities.front_desk import Refused, WorkAct
from groupclaim.console.access import Allow, Permission, Person, sees_all, sessions_seen
from groupclaim.console.console import Console
from groupclaim.console.show import chosen, day, page
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import ClaimState, Stage
from groupclaim.lifecycle.why import why
from groupclaim.model.base import InputRefused
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.store import audit, practice, reports, work, work_undo
from groupclaim.store.database import Reading
from groupclaim.store.practice import UnknownRecord, time_zone
from groupclaim.store.schema import claim

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]
Worker = Annotated[Person, Depends(Allow(Permission.WORK))]
Text = Annotated[str, Form(max_length=2000)]
Kind = Literal["assign", "pend", "reopen", "resolve", "comment", "rules", "status"]

PAGE = 50
_VIEWS = {
    "": "All",
    "mine": "Mine",
    "unassigned": "Unassigned",
    "overdue": "Overdue",
    "soon": "Due soon",
    "pended": "Put off",
}
_SORTS = ("due", "amount", "oldest")
_SOON = timedelta(days=3)
_MOST_AT_ONCE = 500
_MOST_EXPORTED = 10_000
_CALENDAR = BusinessCalendar()


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the claim of an item stands: what is told beside it."""

    service_date: date
    session_id: str
    stage: Stage
    next_step: str
    next_at: datetime | None


@router.get("/")
async def today(
    request: Request,
    person: Viewer,
    view: str = "",
    code: str = "",
    sort: str = "",
    told: str = "",
    number: int = 1,
) -> Response:
    """The work list, its counters, and what may be done with what is chosen."""
    console: Console = request.app.state.console
    view, code, sort = _asked(view, code, sort)
    number = max(number, 1)
    now = await console.clock.now()
    async with console.database.reading() as reading:
        zone = await time_zone(reading)
        wanted = _wanted(person, view, code, now)
        found = await work.items(
            reading, wanted, now, order=sort, limit=PAGE + 1, offset=(number - 1) * PAGE
        )
        counters = await work.counters(reading, _wanted(person, view, "", now), now)
        standings = await _standings(reading, found[:PAGE])
        names = await practice.names(reading)
        last = await work_undo.last_act(reading, person.name) if person.may("work") else None
    return page(
        request,
        "today.html",
        person,
        zone=zone,
        now=now,
        counters=counters,
        items=found[:PAGE],
        standings=standings,
        names=names,
        days={item.id: _days_left(item.due_at, now, zone) for item in found},
        more=len(found) > PAGE,
        number=number,
        view=view,
        code=code,
        sort=sort,
        holds=HOLDS,
        views=_VIEWS,
        last=last,
        told=told,
        act=uuid.uuid4().hex,
        most=_MOST_EXPORTED,
    )


def _asked(view: str, code: str, sort: str) -> tuple[str, str, str]:
    if len(code) > 40:
        raise HTTPException(422, "code: a reason of the list")
    return chosen(view, tuple(_VIEWS), "view"), code, chosen(sort, _SORTS, "sort")


def _wanted(person: Person, view: str, code: str, now: datetime) -> work.Wanted:
    return work.Wanted(
        code=code or None,
        assignee={"mine": person.name, "unassigned": ""}.get(view),
        due_before={"overdue": now, "soon": now + _SOON}.get(view),
        pended=view == "pended",
        sessions=None if sees_all(person) else sessions_seen(person),
    )


async def _standings(reading: Reading, items: Sequence[work.WorkItem]) -> dict[str, Standing]:
    """By claim number, for the items that are about a claim."""
    rows = await reading.rows(
        select(claim.c.claim_number, claim.c.service_date, claim.c.session_id, claim.c.state).where(
            claim.c.claim_number.in_([item.claim_number for item in items if item.claim_number])
        )
    )
    found = {}
    for row in rows:
        state = ClaimState.model_validate_json(row.state)
        reasons = why(state)
        found[row.claim_number] = Standing(
            row.service_date, row.session_id, state.stage, reasons.next_step, reasons.next_at
        )
    return found


def _days_left(due_at: datetime | None, now: datetime, zone: str) -> int | None:
    """Business days until then; below zero once the day has passed."""
    if due_at is None:
        return None
    here = ZoneInfo(zone)
    return _CALENDAR.business_days_until(
        now.astimezone(here).date(), due_at.astimezone(here).date()
    )


@router.get("/work-items/export")
async def export(
    request: Request, person: Worker, view: str = "", code: str = "", sort: str = ""
) -> Response:
    """The list as a file for a spreadsheet, without personal data. Each export is in the audit
    log."""
    console: Console = request.app.state.console
    view, code, sort = _asked(view, code, sort)
    now = await console.clock.now()
    async with console.database.transaction() as tx:
        found = await work.items(
            tx, _wanted(person, view, code, now), now, order=sort, limit=_MOST_EXPORTED
        )
        names = await practice.names(tx)
        zone = ZoneInfo(await time_zone(tx))
        detail = {"view": view, "code": code, "rows": len(found)}
        await audit.record(tx, now, person.name, "export_work_list", "work list", detail)
    rows = [
        {
            "item": item.claim_number or item.subject,
            "payer": names.get(item.payer_key or "", ""),
            "code": item.code,
            "waits_for": HOLDS[item.code].waits_for if item.code in HOLDS else item.queue,
            "since": _spreadsheet_time(item.opened_at, zone),
            "due": _spreadsheet_time(item.due_at, zone),
            "amount_cents": item.cents,
            "assignee": item.assignee,
            "put_off_to": _spreadsheet_time(item.pended_until, zone),
        }
        for item in found
    ]
    return Response(
        reports.as_csv(rows),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="work-list.csv"'},
    )


def _spreadsheet_time(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}" if at else ""


@router.post("/work-items")
async def act(
    request: Request,
    person: Worker,
    kind: Annotated[Kind, Form()],
    item: Annotated[list[str], Form(max_length=_MOST_AT_ONCE)],
    act: Annotated[str, Form(max_length=64)] = "",
    to: Text = "",
    until: Text = "",
    text: Text = "",
    back: Text = "",
    confirmed: Text = "",
) -> Response:
    """Do one thing to each chosen item; several are shown before anything is done.

    Each ``item`` is its id and the revision that was seen, as ``id:3``. ``act`` names the doing:
    sent twice it is done once.
    """
    console: Console = request.app.state.console
    now = await console.clock.now()
    async with console.database.reading() as reading:
        zone = await time_zone(reading)
        chosen_items = [await _seen(reading, person, given) for given in item]
        end = day(until, "until")
        doing = WorkAct(
            "comment" if kind == "rules" or kind == "status" else kind,
            to=(person.name if to == "me" else to) or None,
            until=datetime.combine(end, time(8), ZoneInfo(zone)) if end else None,
            text=text,
        )
        if len(chosen_items) > 1 and not confirmed:
            refusals = {
                found.id: await _refusal(reading, console, kind, doing, found, revision, now)
                for found, revision in chosen_items
            }
            would = [
                (found, revision) for found, revision in chosen_items if not refusals[found.id]
            ]
            return page(
                request,
                "confirm.html",
                person,
                zone=zone,
                kind=kind,
                items=would,
                refused=[
                    (found, refusals[found.id]) for found, _ in chosen_items if refusals[found.id]
                ],
                given=[f"{found.id}:{revision}" for found, revision in would],
                to=to,
                until=until,
                text=text,
                back=back,
                act=act or uuid.uuid4().hex,
                cents=sum(found.cents for found, _ in would),
            )
    named = act or uuid.uuid4().hex
    done, refused = 0, []
    for found, revision in chosen_items:
        try:
            if kind in ("rules", "status"):
                await _look_again(console, kind, found, person.name, named)
            else:
                await console.desk.act_on(
                    found.id, replace(doing, revision=revision), person.name, named
                )
            done += 1
        except (work.ChangedMeanwhile, InputRefused, Refused) as error:
            refused.append((found, str(error)))
        except WorkflowUpdateFailedError as error:
            refused.append((found, str(getattr(error.cause, "message", "refused"))))
    if refused:
        return page(
            request,
            "refused.html",
            person,
            zone=zone,
            status=409,
            done=done,
            refused=refused,
            back=_back(back),
        )
    return RedirectResponse(_back(back, told=f"{kind}.{done}"), status_code=303)


@router.post("/work-items/undo")
async def undo(request: Request, person: Worker, back: Text = "") -> Response:
    """Undo what the person did last with work items; what has changed since stays."""
    console: Console = request.app.state.console
    undone = await console.desk.undo_last(person.name)
    told = f"undone.{len(undone.items)}.{len(undone.kept)}"
    return RedirectResponse(_back(back, told=told), status_code=303)


def _back(query: str, **more: str) -> str:
    """The list as it was filtered: only what it knows, so that it leads nowhere else."""
    given = dict(part.partition("=")[::2] for part in query.lstrip("?").split("&") if "=" in part)
    kept = {
        name: value
        for name, value in given.items()
        if name in ("view", "code", "sort") and value.replace("_", "").isalnum()
    }
    return "/?" + urlencode({**kept, **more})


async def _refusal(
    reading: Reading,
    console: Console,
    kind: Kind,
    doing: WorkAct,
    item: work.WorkItem,
    revision: int,
    now: datetime,
) -> str | None:
    """Why nothing would come of it for this item; None where it would be done."""
    if item.revision != revision:
        return "has changed meanwhile"
    if kind in ("rules", "status"):
        if item.claim_number is None:
            return "is not about a claim"
        return await console.second_look.refusal(reading, item.claim_number, kind)
    if kind in ("pend", "comment", "resolve") and not doing.text.strip():
        return "words are missing: say why, or what was found"
    if kind == "pend":
        if doing.until is None or doing.until <= now:
            return "a day to come is missing"
        if item.due_at is not None and doing.until > item.due_at > now:
            return "the day lies behind its deadline"
    return None


async def _look_again(
    console: Console, kind: Literal["rules", "status"], item: work.WorkItem, by: str, named: str
) -> None:
    if item.claim_number is None:
        raise Refused("is not about a claim")
    await console.second_look.ask(item.claim_number, kind, by=by, request=named)


async def _seen(reading: Reading, person: Person, given: str) -> tuple[work.WorkItem, int]:
    """The item and the revision that was seen. Raises UnknownRecord for one not theirs."""
    key, _, revision = given.partition(":")
    if not revision.isdigit():
        raise HTTPException(422, "item: choose from the list")
    found = await work.read_item(reading, key)
    if not sees_all(person):
        mine = await work.items(
            reading,
            work.Wanted(sessions=sessions_seen(person), item=key),
            found.opened_at,
            limit=1,
        )
        if not mine:
            raise UnknownRecord("a work item of that id")
    return found, int(revision)
