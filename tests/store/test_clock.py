import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from groupclaim.store.clock import (
    ClockRefused,
    PracticeClock,
    due_wakeups,
    next_wakeup,
    sleep_until,
    timer_seconds,
)
from groupclaim.store.database import Database
from tests.store.world import NOW

LATER = NOW + timedelta(hours=2)


async def test_by_default_it_is_the_wall_clock(database: Database) -> None:
    clock = PracticeClock(database)
    before = datetime.now(UTC)
    now = await clock.now()
    assert before <= now <= datetime.now(UTC)
    async with database.reading() as reading:
        due = now + timedelta(minutes=1)
        left = await timer_seconds(reading, due)
        assert left is not None
        assert (due - datetime.now(UTC)).total_seconds() <= left <= 60
        assert await timer_seconds(reading, now - timedelta(days=1)) == 0
    with pytest.raises(ClockRefused, match="wall clock"):
        await clock.move_to(LATER)


async def test_a_stored_clock_stands_until_it_is_moved(database: Database) -> None:
    clock = PracticeClock(database)
    await clock.set_stored(NOW)
    assert await clock.now() == NOW
    async with database.reading() as reading:
        assert await timer_seconds(reading, LATER) is None
    await clock.move_to(LATER)
    await clock.move_to(LATER)
    assert await PracticeClock(database).now() == LATER


async def test_it_never_goes_back(database: Database) -> None:
    clock = PracticeClock(database)
    await clock.set_stored(LATER)
    for move in (clock.move_to, clock.set_stored):
        with pytest.raises(ClockRefused, match="never goes back"):
            await move(NOW)
    assert await clock.now() == LATER


async def test_of_many_movers_the_latest_instant_wins(database: Database) -> None:
    clock = PracticeClock(database)
    await clock.set_stored(NOW)
    moves = [clock.move_to(NOW + timedelta(minutes=n)) for n in (5, 1, 9, 3, 7)]
    await asyncio.gather(*moves, return_exceptions=True)
    assert await clock.now() == NOW + timedelta(minutes=9)


async def test_wakeups_tell_who_is_due(database: Database) -> None:
    async with database.transaction() as tx:
        assert await next_wakeup(tx) is None
        await sleep_until(tx, "claim/A", LATER)
        await sleep_until(tx, "claim/B", NOW)
        await sleep_until(tx, "claim/C", NOW)
        await sleep_until(tx, "claim/C", None)
        assert await next_wakeup(tx) == NOW
        assert await due_wakeups(tx, NOW) == (("claim/B", NOW),)
        await sleep_until(tx, "claim/B", LATER)
        assert await due_wakeups(tx, NOW) == ()
        assert await due_wakeups(tx, LATER) == (("claim/A", LATER), ("claim/B", LATER))
