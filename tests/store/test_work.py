"""The work list: opens and closes by itself, and of two people who act at once one is first."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from groupclaim.lifecycle.state import ClaimState, Hold, Stage, Step
from groupclaim.model.base import InputRefused
from groupclaim.store import work
from groupclaim.store.database import Database
from groupclaim.store.practice import UnknownRecord
from tests.store.world import NOW, World

DAY = timedelta(days=1)


def held(number: str, code: str = "COVERAGE_INACTIVE", since: datetime = NOW) -> ClaimState:
    hold = Hold(code=code, redo=Step.CHECK_ELIGIBILITY, since=since, releasable=True)
    return ClaimState(claim_number=number, stage=Stage.ELIGIBILITY, hold=hold, due_at=NOW + 7 * DAY)


def free(number: str) -> ClaimState:
    return ClaimState(claim_number=number, stage=Stage.AUTHORIZATION)


async def follow(database: Database, state: ClaimState, cents: int = 6500) -> None:
    async with database.transaction() as tx:
        await work.follow_hold(tx, state, cents, NOW)


async def listed(database: Database, at: datetime = NOW, **wanted: object) -> list[work.WorkItem]:
    async with database.reading() as reading:
        return list(await work.items(reading, work.Wanted(**wanted), at))  # type: ignore[arg-type]


@pytest.fixture
async def number(world: World) -> str:
    return world.claims[0]


async def test_a_hold_is_an_item_while_it_stands(database: Database, number: str) -> None:
    await follow(database, held(number))
    await follow(database, held(number))
    (item,) = await listed(database)
    assert (item.code, item.queue, item.cents) == ("COVERAGE_INACTIVE", "front desk", 6500)
    assert item.claim_number == number
    assert item.due_at == NOW + 7 * DAY
    await follow(database, free(number))
    assert await listed(database) == []
    (done,) = await listed(database, resolved=True)
    assert (done.resolution, done.resolved_at) == (work.BY_ITSELF, NOW)


async def test_another_hold_of_the_claim_takes_the_place_of_the_first(
    database: Database, number: str
) -> None:
    await follow(database, held(number))
    await follow(database, held(number, "CARVE_OUT"))
    assert [item.code for item in await listed(database)] == ["CARVE_OUT"]
    await follow(database, held(number, since=NOW + DAY))
    assert [item.code for item in await listed(database)] == ["COVERAGE_INACTIVE"]


async def test_of_two_who_act_at_once_one_is_told(database: Database, number: str) -> None:
    await follow(database, held(number))
    (item,) = await listed(database)
    async with database.transaction() as tx:
        await work.assign(tx, item.id, "ann", item.revision)
    with pytest.raises(work.ChangedMeanwhile, match="it is open now, given to ann"):
        async with database.transaction() as tx:
            await work.pend(tx, item.id, NOW + DAY, item.revision, NOW)
    (item,) = await listed(database, assignee="ann")
    assert (item.revision, item.state) == (1, work.WorkState.OPEN)


async def test_of_many_who_take_an_item_at_the_same_moment_one_has_it(
    database: Database, number: str
) -> None:
    """Eight people have the same page open; each transaction runs beside the others."""
    await follow(database, held(number))
    (item,) = await listed(database)
    people = [f"person {place}" for place in range(8)]

    async def take(who: str) -> str:
        try:
            async with database.transaction() as tx:
                await work.assign(tx, item.id, who, item.revision)
        except work.ChangedMeanwhile:
            return ""
        return who

    (winner,) = filter(None, await asyncio.gather(*map(take, people)))
    (after,) = await listed(database)
    assert (after.assignee, after.revision) == (winner, item.revision + 1)


async def test_what_is_put_off_comes_back_by_itself(database: Database, number: str) -> None:
    await follow(database, held(number))
    (item,) = await listed(database)
    async with database.transaction() as tx:
        await work.pend(tx, item.id, NOW + 2 * DAY, item.revision, NOW)
    assert await listed(database) == []
    assert [found.id for found in await listed(database, pended=True)] == [item.id]
    assert [found.id for found in await listed(database, NOW + 2 * DAY)] == [item.id]
    assert await listed(database, NOW + 2 * DAY, pended=True) == []


@pytest.mark.parametrize(("until", "why"), [(NOW, "past"), (NOW + 8 * DAY, "behind the deadline")])
async def test_nothing_is_put_off_into_the_past_or_behind_its_deadline(
    database: Database, number: str, until: datetime, why: str
) -> None:
    await follow(database, held(number))
    (item,) = await listed(database)
    with pytest.raises(InputRefused, match=why):
        async with database.transaction() as tx:
            await work.pend(tx, item.id, until, item.revision, NOW)


async def test_a_hold_is_neither_resolved_nor_reopened_here(
    database: Database, number: str
) -> None:
    await follow(database, held(number))
    (item,) = await listed(database)
    with pytest.raises(InputRefused, match="releasing its claim"):
        async with database.transaction() as tx:
            await work.resolve(tx, item.id, "ann", item.revision, NOW)
    await follow(database, free(number))
    with pytest.raises(InputRefused, match="has ended"):
        async with database.transaction() as tx:
            await work.resume(tx, item.id, 1)


async def test_other_work_is_resolved_by_a_person_and_may_be_reopened(database: Database) -> None:
    task = work.Task("estimate", "17", "1", "ESTIMATE_DUE", "front desk", cents=100)
    async with database.transaction() as tx:
        key = await work.open_item(tx, task, NOW)
        assert await work.open_item(tx, task, NOW + DAY) == key
        done = await work.resolve(tx, key, "ann", 0, NOW)
        assert (done.state, done.resolution) == (work.WorkState.RESOLVED, "ann")
        again = await work.resume(tx, key, done.revision)
        assert (again.state, again.resolved_at) == (work.WorkState.OPEN, None)


@pytest.mark.parametrize("kind", ["denial", "dispute"])
async def test_what_ends_at_a_command_of_its_own_is_not_resolved_here(
    database: Database, kind: str
) -> None:
    async with database.transaction() as tx:
        key = await work.open_item(tx, work.Task(kind, "17", "1", "SOMETHING", "biller"), NOW)
    with pytest.raises(InputRefused, match=f"`groupclaim {kind} "):
        async with database.transaction() as tx:
            await work.resolve(tx, key, "ann", 0, NOW)
    async with database.transaction() as tx:
        await work.close_items(tx, kind, "17", NOW)
    with pytest.raises(InputRefused, match="has ended"):
        async with database.transaction() as tx:
            await work.resume(tx, key, 1)


async def test_what_is_to_be_done_again_stands_open_again(database: Database) -> None:
    task = work.Task("denial", "17", "1", "APPEAL", "biller", cents=100)
    for cents in (100, 80):
        async with database.transaction() as tx:
            await work.open_item(tx, replace(task, cents=cents), NOW)
        assert [item.cents for item in await listed(database)] == [cents]
        async with database.transaction() as tx:
            await work.close_items(tx, "denial", "17", NOW + DAY)
        assert await listed(database) == []


async def test_a_denial_that_is_worked_has_its_own_item(database: Database, number: str) -> None:
    denied = held(number, "DENIED").model_copy(update={"denial": 1})
    await follow(database, denied.model_copy(update={"denial": 0}))
    assert [item.code for item in await listed(database)] == ["DENIED"]
    await follow(database, denied)
    assert await listed(database) == []


async def test_comments_are_kept_encrypted(database: Database, number: str) -> None:
    await follow(database, held(number))
    (item,) = await listed(database)
    async with database.transaction() as tx:
        await work.comment(tx, item.id, "Mrs Planted called back", "ann", NOW)
        for text in ("  ", "x" * 2001):
            with pytest.raises(InputRefused):
                await work.comment(tx, item.id, text, "ann", NOW)
        with pytest.raises(UnknownRecord):
            await work.comment(tx, "no-such-item", "x", "ann", NOW)
    async with database.reading() as reading:
        (noted,) = await work.comments(reading, item.id)
        rows = await reading.rows(work.work_note.select())
    assert (noted.text, noted.actor) == ("Mrs Planted called back", "ann")
    assert b"Planted" not in rows[0].document


async def test_items_are_counted_by_reason_and_filtered(database: Database, world: World) -> None:
    first, second, third = world.claims[:3]
    await follow(database, held(first), 100)
    await follow(database, held(second, "CARVE_OUT"), 300)
    await follow(database, held(third, "CARVE_OUT"), 200)
    async with database.reading() as reading:
        counted = await work.counters(reading, work.Wanted(), NOW)
        by_amount = await work.items(reading, work.Wanted(), NOW, order="amount", limit=2)
    assert [(row.code, row.items, row.cents) for row in counted] == [
        ("CARVE_OUT", 2, 500),
        ("COVERAGE_INACTIVE", 1, 100),
    ]
    assert [item.cents for item in by_amount] == [300, 200]
    assert len(await listed(database, code="CARVE_OUT")) == 2
    assert await listed(database, due_before=NOW + 6 * DAY) == []
    assert len(await listed(database, due_before=NOW + 7 * DAY)) == 3
    assert len(await listed(database, assignee="")) == 3
