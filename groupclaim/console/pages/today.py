"""Today: what waits for a person, the most urgent first."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import and_, func, select

from groupclaim.console.access import Allow, Permission, Person, sessions_seen
from groupclaim.console.show import chosen, page
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import Stage
from groupclaim.store.practice import time_zone
from groupclaim.store.schema import claim

router = APIRouter()
Viewer = Annotated[Person, Depends(Allow(Permission.VIEW))]

PAGE = 50
_STAGES = ("", *(stage.value for stage in Stage))
_SORTS = ("due", "oldest", "claim")
_ORDER: dict[str, tuple[Any, ...]] = {
    "due": (claim.c.due_at.is_(None), claim.c.due_at, claim.c.claim_number),
    "oldest": (claim.c.held_since, claim.c.claim_number),
    "claim": (claim.c.claim_number,),
}


@router.get("/")
async def today(
    request: Request,
    person: Viewer,
    stage: str = "",
    hold: str = "",
    sort: str = "",
    number: int = 1,
) -> Response:
    """What is held, with its reason in a sentence and when it is due."""
    console = request.app.state.console
    stage = chosen(stage, _STAGES, "stage")
    hold = chosen(hold, ("", *HOLDS), "hold")
    order = _ORDER[chosen(sort, _SORTS, "sort")]
    number = max(number, 1)
    seen = claim.c.session_id.in_(sessions_seen(person))
    held = and_(seen, claim.c.hold_code.is_not(None))
    wanted = held
    if stage:
        wanted = and_(wanted, claim.c.stage == stage)
    if hold:
        wanted = and_(wanted, claim.c.hold_code == hold)
    now = await console.clock.now()
    async with console.database.reading() as reading:
        zone = await time_zone(reading)
        counts = await reading.rows(
            select(claim.c.hold_code, func.count().label("claims"))
            .where(held)
            .group_by(claim.c.hold_code)
            .order_by(func.count().desc())
        )
        rows = await reading.rows(
            select(
                claim.c.claim_number,
                claim.c.session_id,
                claim.c.service_date,
                claim.c.stage,
                claim.c.hold_code,
                claim.c.held_since,
                claim.c.due_at,
            )
            .where(wanted)
            .order_by(*order)
            .limit(PAGE + 1)
            .offset((number - 1) * PAGE)
        )
    return page(
        request,
        "today.html",
        person,
        zone=zone,
        now=now,
        counts=counts,
        rows=rows[:PAGE],
        more=len(rows) > PAGE,
        number=number,
        stage=stage,
        hold=hold,
        holds=HOLDS,
    )
