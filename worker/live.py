"""A practice that is played while people look on: ``groupclaim up --play``.

The same happenings as in the demonstration, on the same stored clock, but slowly and beside a
console at which anybody may act: who was faster there is not an error here. When nothing is left to
happen the clock stands, and moves on for as long as somebody's decision sets a claim going again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select
from temporalio.client import WorkflowUpdateFailedError

from activities.front_desk import FrontDesk, Refused
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.model.base import InputRefused
from groupclaim.store import practice
from groupclaim.store.clock import ClockRefused, PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.schema import claim
from worker import summary
from worker.demo import Happening, Scenario, happen
from worker.embedded import House, StartFailed
from worker.practice_time import PracticeTime

_REST_SECONDS = 1.0
"""How long the clock rests when nothing is left to happen, before it is looked at again."""


async def set_clock(database: Database, starts_at: datetime) -> None:
    """Let the practice live by the stored clock, from ``starts_at`` on or from where it stands.

    Raises :class:`StartFailed` for a practice that lives by the time of day.
    """
    clock = PracticeClock(database)
    async with database.reading() as reading:
        lives = bool(await practice.connection_ids(reading))
    if lives and not await clock.is_stored():
        raise StartFailed(
            "the practice in this folder lives by the time of day: play another one in a folder of "
            "its own (GROUPCLAIM_STATE)"
        )
    try:
        await clock.set_stored(starts_at)
    except ClockRefused:
        return


async def play(
    scenario: Scenario, house: House, *, pace_seconds: float, tell: Callable[[str], None]
) -> None:
    """Carry the practice of ``scenario`` from where it stands, until cancelled.

    The clock rests ``pace_seconds`` at each moment at which something happens.
    """
    database, clock = house.database, PracticeClock(house.database)
    desk = FrontDesk(database, clock, house.client)
    if not await _begun(database):
        await desk.load(scenario.practice, by="demonstration")
    await desk.start_sessions(await desk.add_sessions(scenario.sessions.root, by="demonstration"))
    connections = await desk.connections()
    time = PracticeTime(database, clock, house.client, house.simulator, connections, house.needed)
    began = await clock.now()
    # What was to happen at this very moment may have been cut short: it happens again, as ever.
    coming = deque(item for item in scenario.outside.events if item.at >= began)
    day, over = None, False
    await time.quiet()
    while True:
        moment = await _next(coming, time, database)
        if moment is None:
            if not over:
                tell("played to its end: the clock moves on when you set a claim going again")
            over = True
            await asyncio.sleep(_REST_SECONDS)
            continue
        over = False
        if moment.date() != day:
            day = moment.date()
            tell(await summary.headline(database, moment))
        await time.move_to(max(moment, await clock.now()))
        while coming and coming[0].at <= moment:
            await _happen(coming.popleft(), desk)
        await time.quiet()
        await asyncio.sleep(pace_seconds)


async def _begun(database: Database) -> bool:
    async with database.reading() as reading:
        return bool(await practice.connection_ids(reading))


async def _next(
    coming: deque[Happening], time: PracticeTime, database: Database
) -> datetime | None:
    """When something happens next; None when what is left are reminders."""
    if not coming and not await time.mail_is_due() and not await _under_way(database):
        return None
    moment = await time.next_moment()
    if coming and (moment is None or coming[0].at <= moment):
        return coming[0].at
    return moment


async def _under_way(database: Database) -> bool:
    """True while any claim goes on by itself. One that waits for a person does not: there would be
    reminders only, and its limit would pass before anybody had looked."""
    async with database.reading() as reading:
        rows = await reading.rows(select(claim.c.stage, claim.c.hold_code).distinct())
    return any(
        HOLDS[row.hold_code].asked_again if row.hold_code else row.stage not in summary.RESTING
        for row in rows
    )


async def _happen(happening: Happening, desk: FrontDesk) -> None:
    try:
        await happen(happening, desk)
    except (Refused, InputRefused, WorkflowUpdateFailedError):
        # Somebody at the console did it first, or decided otherwise.
        return
