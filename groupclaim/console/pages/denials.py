"""Denials and deadlines: by when something must happen and why then, and how denials are worked."""

from __future__ import annotations

from calendar import Calendar
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from groupclaim.console.access import Allow, Permission, Person, sees_all, sessions_seen
from groupclaim.console.show import chosen, page
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import ENDED, ClaimState
from groupclaim.lifecycle.why import why
from groupclaim.policy.playbook import Playbook
from groupclaim.store import denials, disputes, practice
from groupclaim.store.database import Reading
from groupclaim.store.schema import (
    claim,
    denial,
    denial_case,
    denial_letter,
    group_session,
    overpayment,
)

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]

PAGE = 50
_CARDS = 20
VIEWS = {
    "": "Deadlines",
    "calendar": "Calendar",
    "board": "Board",
    "cases": "Cases",
    "disputes": "Disputes",
    "trends": "Trends",
}
COLUMNS = (
    "to look at",
    "to send again",
    "letter to draft",
    "letter to approve",
    "being sent",
    "with the payer",
    "mended or paid",
    "patient asked",
    "written off",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a view is made from."""

    reading: Reading
    person: Person
    now: datetime
    zone: str
    names: Mapping[str, str]
    playbook: Playbook
    number: int
    month: date

    @property
    def start(self) -> int:
        return (self.number - 1) * PAGE


@router.get("/denials")
async def show(
    request: Request, person: Viewer, view: str = "", month: str = "", number: int = 1
) -> Response:
    console = request.app.state.console
    view = chosen(view, tuple(VIEWS), "view")
    now = await console.clock.now()
    async with console.database.reading() as reading:
        zone = await practice.time_zone(reading)
        today = now.astimezone(ZoneInfo(zone)).date()
        asked = Asked(
            reading,
            person,
            now,
            zone,
            await practice.names(reading),
            console.playbook,
            max(number, 1),
            _month(month, today),
        )
        found = await _VIEWS[view](asked)
    return page(
        request,
        "denials.html",
        person,
        zone=zone,
        now=now,
        today=today,
        views=VIEWS,
        view=view,
        number=asked.number,
        names=asked.names,
        whole=sees_all(person),
        **found,
    )


def _month(text: str, today: date) -> date:
    """The first day of the month asked for; of this month when none is."""
    if not text:
        return today.replace(day=1)
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise HTTPException(422, "month: as 2026-03") from None


def _deadlines(person: Person) -> CTE:
    """Every moment that something is due by: the limits of open denials, by when payers must have
    their money back, and when each claim that waits is looked at next. ``said`` is the arithmetic,
    or the state of the claim that tells it."""
    seen = claim.c.session_id.in_(sessions_seen(person))
    limits = (
        select(
            denial.c.limit_at.label("at"),
            literal("limit").label("kind"),
            denial.c.claim_number.label("claim_number"),
            denial.c.cause.label("code"),
            denial.c.cents.label("cents"),
            denial.c.limit_working.label("said"),
        )
        .join(claim, claim.c.claim_number == denial.c.claim_number)
        .where(denial.c.outcome.is_(None), denial.c.limit_at.is_not(None), seen)
    )
    refunds = (
        select(
            overpayment.c.refund_by,
            literal("refund"),
            overpayment.c.claim_number,
            overpayment.c.reason,
            overpayment.c.cents,
            overpayment.c.working,
        )
        .join(claim, claim.c.claim_number == overpayment.c.claim_number)
        .where(overpayment.c.outcome.is_(None), overpayment.c.refund_by.is_not(None), seen)
    )
    looks = select(
        claim.c.due_at,
        literal("look"),
        claim.c.claim_number,
        func.coalesce(claim.c.hold_code, claim.c.stage),
        cast(null(), Integer),
        claim.c.state,
    ).where(
        claim.c.due_at.is_not(None),
        or_(claim.c.hold_code.is_not(None), claim.c.stage.not_in([item.value for item in ENDED])),
        seen,
    )
    return union_all(limits, refunds, looks).cte("deadlines")


async def _list(asked: Asked) -> dict[str, Any]:
    all_of_them = _deadlines(asked.person)
    total = await asked.reading.scalar(select(func.count()).select_from(all_of_them))
    rows = await asked.reading.rows(
        select(all_of_them)
        .order_by(all_of_them.c.at, all_of_them.c.claim_number, all_of_them.c.kind)
        .limit(PAGE)
        .offset(asked.start)
    )
    listed = []
    for row in rows:
        said = row.said
        if row.kind == "look":
            reasons = why(ClaimState.model_validate_json(row.said))
            said = f"{reasons.next_step}; waits for {reasons.waiting_for}"
        listed.append({**row._mapping, "said": said})
    return {"rows": listed, "total": total, "more": asked.start + PAGE < total}


async def _calendar(asked: Asked) -> dict[str, Any]:
    """A month of business days with what is due on each."""
    zone = ZoneInfo(asked.zone)
    weeks = Calendar().monthdatescalendar(asked.month.year, asked.month.month)
    first = datetime.combine(weeks[0][0], time(0), zone)
    end = datetime.combine(weeks[-1][-1] + timedelta(days=1), time(0), zone)
    all_of_them = _deadlines(asked.person)
    rows = await asked.reading.rows(
        select(
            all_of_them.c.at,
            all_of_them.c.kind,
            func.count().label("items"),
            func.coalesce(func.sum(all_of_them.c.cents), 0).label("cents"),
        )
        .where(all_of_them.c.at >= first, all_of_them.c.at < end)
        .group_by(all_of_them.c.at, all_of_them.c.kind)
    )
    due: dict[date, dict[str, int]] = {}
    for row in rows:
        counted = due.setdefault(
            row.at.astimezone(zone).date(), {"limit": 0, "refund": 0, "look": 0, "cents": 0}
        )
        counted[row.kind] += row.items
        counted["cents"] += int(row.cents)
    before = (asked.month - timedelta(days=1)).replace(day=1)
    after = (asked.month + timedelta(days=31)).replace(day=1)
    return {"weeks": weeks, "due": due, "month": asked.month, "before": before, "after": after}


def _column(playbook: Playbook, actions: list[str]) -> ColumnElement[str]:
    """The column of a denial: by how it ended, else by its last letter, else by what is next."""

    def of_kind(kind: str) -> list[str]:
        return [name for name in actions if playbook.action(name).kind == kind]

    last = (
        select(denial_letter.c.state)
        .where(
            denial_letter.c.claim_number == denial.c.claim_number,
            denial_letter.c.denial_number == denial.c.number,
        )
        .order_by(denial_letter.c.position.desc())
        .limit(1)
        .scalar_subquery()
    )
    return case(
        (denial.c.outcome.in_(("paid", "corrected")), "mended or paid"),
        (denial.c.outcome == "patient", "patient asked"),
        (denial.c.outcome == "written_off", "written off"),
        (last == "drafted", "letter to approve"),
        (last.in_(("approved", "in_doubt")), "being sent"),
        (last == "received", "with the payer"),
        (denial.c.action.in_(of_kind("resend")), "to send again"),
        (denial.c.action.in_(of_kind("letter")), "letter to draft"),
        (denial.c.action.in_(of_kind("wait")), "with the payer"),
        else_="to look at",
    )


def _of_claims_seen(person: Person) -> ColumnElement[bool]:
    """Denials of claims that the person may see, but those that another version has overtaken."""
    return and_(
        denial.c.claim_number.in_(
            select(claim.c.claim_number).where(claim.c.session_id.in_(sessions_seen(person)))
        ),
        or_(denial.c.outcome.is_(None), denial.c.outcome != "superseded"),
    )


async def _board(asked: Asked) -> dict[str, Any]:
    known = await asked.reading.rows(
        select(denial.c.action).where(denial.c.action.is_not(None)).distinct()
    )
    column = _column(asked.playbook, [row.action for row in known])
    seen = _of_claims_seen(asked.person)
    counted = await asked.reading.rows(
        select(
            column.label("step"), func.count().label("items"), func.sum(denial.c.cents).label("c")
        )
        .where(seen)
        .group_by(column)
    )
    counts = {row.step: (row.items, int(row.c)) for row in counted}
    cards = {
        name: await asked.reading.rows(
            select(denial)
            .where(seen, column == name)
            .order_by(denial.c.limit_at.is_(None), denial.c.limit_at, denial.c.claim_number)
            .limit(_CARDS)
        )
        for name in counts
    }
    return {"columns": COLUMNS, "counts": counts, "cards": cards, "playbook": asked.playbook}


async def _cases(asked: Asked) -> dict[str, Any]:
    """Denials with one cause. They may reach over sessions: who sees a part sees none."""
    if not sees_all(asked.person):
        return {"cases": (), "total": 0, "more": False}
    here = await denials.list_cases(asked.reading, limit=PAGE, offset=asked.start)
    total = await denials.count_cases(asked.reading)
    return {"cases": here, "total": total, "more": asked.start + PAGE < total}


async def _disputes(asked: Asked) -> dict[str, Any]:
    if not sees_all(asked.person):
        return {"disputes": (), "total": 0, "more": False}
    here = await disputes.cases(asked.reading, closed=True, limit=PAGE, offset=asked.start)
    total = await disputes.count_cases(asked.reading)
    return {"disputes": here, "total": total, "more": asked.start + PAGE < total}


async def _trends(asked: Asked) -> dict[str, Any]:
    """Denials by payer, reason and clinician, with the rule that would have stopped them."""
    groups = (
        denial_case.c.payer_key,
        denial.c.cause,
        group_session.c.clinician_id,
        denial_case.c.prevented_by,
    )
    ended = denial.c.outcome.is_not(None)
    grouped = (
        select(
            *groups,
            func.count().label("items"),
            func.sum(denial.c.cents).label("cents"),
            func.sum(case((denial.c.outcome.in_(("paid", "corrected")), 1), else_=0)).label("won"),
            func.sum(case((ended, 1), else_=0)).label("ended"),
            func.min(denial.c.decided_on).label("first"),
            func.max(denial.c.decided_on).label("last"),
        )
        .join(denial_case, denial_case.c.id == denial.c.case_id)
        .join(claim, claim.c.claim_number == denial.c.claim_number)
        .join(group_session, group_session.c.id == claim.c.session_id)
        .where(_of_claims_seen(asked.person))
        .group_by(*groups)
    )
    total = await asked.reading.scalar(select(func.count()).select_from(grouped.subquery()))
    rows = await asked.reading.rows(
        grouped.order_by(func.sum(denial.c.cents).desc(), *groups).limit(PAGE).offset(asked.start)
    )
    return {"rows": rows, "total": total, "more": asked.start + PAGE < total, "holds": HOLDS}


_VIEWS: dict[str, Callable[[Asked], Coroutine[Any, Any, dict[str, Any]]]] = {
    "": _list,
    "calendar": _calendar,
    "board": _board,
    "cases": _cases,
    "disputes": _disputes,
    "trends": _trends,
}
