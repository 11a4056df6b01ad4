"""Today: what waits for a person, with its reason, deadline and amount; taken and put off here."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from activities.front_desk import WorkAct
from groupclaim.console.access import Allow, Permission, Person, sees_all, sessions_seen
from groupclaim.console.show import chosen, day, page
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.model.base import InputRefused
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.store import work
from groupclaim.store.database import Reading
from groupclaim.store.practice import UnknownRecord, time_zone

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]
Worker = Annotated[Person, Depends(Allow(Permission.WORK))]
Text = Annotated[str, Form(max_length=2000)]

PAGE = 50
_VIEWS = ("", "mine", "unassigned", "overdue", "soon", "pended")
_SORTS = ("due", "amount", "oldest")
_SOON = timedelta(days=3)
_MOST_AT_ONCE = 500
_CALENDAR = BusinessCalendar()


@router.get("/")
async def today(
    request: Request,
    person: Viewer,
    view: str = "",
    code: str = "",
    sort: str = "",
    number: int = 1,
) -> Response:
    """The work list, its counters, and what may be done with what is chosen."""
    console = request.app.state.console
    view, sort = chosen(view, _VIEWS, "view"), chosen(sort, _SORTS, "sort")
    if len(code) > 40:
        raise HTTPException(422, "code: a reason of the list")
    number = max(number, 1)
    now = await console.clock.now()
    async with console.database.reading() as reading:
        zone = await time_zone(reading)
        wanted = _wanted(person, view, code, now)
        found = await work.items(
            reading, wanted, now, order=sort, limit=PAGE + 1, offset=(number - 1) * PAGE
        )
        counters = await work.counters(reading, _wanted(person, view, "", now), now)
    return page(
        request,
        "today.html",
        person,
        zone=zone,
        now=now,
        counters=counters,
        items=found[:PAGE],
        days={item.id: _days_left(item.due_at, now, zone) for item in found},
        more=len(found) > PAGE,
        number=number,
        view=view,
        code=code,
        sort=sort,
        holds=HOLDS,
        views={
            "": "All",
            "mine": "Mine",
            "unassigned": "Unassigned",
            "overdue": "Overdue",
            "soon": "Due soon",
            "pended": "Put off",
        },
    )


def _wanted(person: Person, view: str, code: str, now: datetime) -> work.Wanted:
    return work.Wanted(
        code=code or None,
        assignee={"mine": person.name, "unassigned": ""}.get(view),
        due_before={"overdue": now, "soon": now + _SOON}.get(view),
        pended=view == "pended",
        sessions=None if sees_all(person) else sessions_seen(person),
    )


def _days_left(due_at: datetime | None, now: datetime, zone: str) -> int | None:
    """Business days until then; below zero once the day has passed."""
    if due_at is None:
        return None
    here = ZoneInfo(zone)
    return _CALENDAR.business_days_until(
        now.astimezone(here).date(), due_at.astimezone(here).date()
    )


@router.post("/work")
async def act(
    request: Request,
    person: Worker,
    kind: Annotated[Literal["assign", "pend", "reopen", "resolve", "comment"], Form()],
    item: Annotated[list[str], Form(max_length=_MOST_AT_ONCE)],
    to: Text = "",
    until: Text = "",
    text: Text = "",
    confirmed: Text = "",
) -> Response:
    """Do one thing to each chosen item; several are shown before anything is done.

    Each ``item`` is its id and the revision that was seen, as ``id:3``.
    """
    console = request.app.state.console
    async with console.database.reading() as reading:
        zone = await time_zone(reading)
        chosen_items = [await _seen(reading, person, given) for given in item]
    if len(chosen_items) > 1 and not confirmed:
        return page(
            request,
            "confirm.html",
            person,
            zone=zone,
            kind=kind,
            items=chosen_items,
            given=item,
            to=to,
            until=until,
            text=text,
            cents=sum(found.cents for found, _ in chosen_items),
        )
    end = day(until, "until")
    act = WorkAct(
        kind,
        to=(person.name if to == "me" else to) or None,
        until=datetime.combine(end, time(8), ZoneInfo(zone)) if end else None,
        text=text,
    )
    done, refused = 0, []
    for found, revision in chosen_items:
        try:
            await console.desk.act_on(found.id, _at(act, revision), person.name)
            done += 1
        except (work.ChangedMeanwhile, InputRefused) as error:
            refused.append((found, str(error)))
    if refused:
        return page(
            request,
            "refused.html",
            person,
            zone=zone,
            status=409,
            done=done,
            refused=refused,
        )
    return RedirectResponse("/", status_code=303)


def _at(act: WorkAct, revision: int) -> WorkAct:
    return WorkAct(act.kind, to=act.to, until=act.until, text=act.text, revision=revision)


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
