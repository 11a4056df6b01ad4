"""What a person does with a work item is done once, as they saw it, whatever dies on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from activities import steps
from activities.work_items import workflow_id
from groupclaim.store import audit, work
from tests.activities.house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, {"S1": ("P01", "P06")}) as made:
        await made.open_sessions()
        yield made


async def opened(house: House) -> work.WorkItem:
    number = await house.claim_of("S1", "P01")
    task = work.Task("task", number, "1", "CALL_PAYER", "billers", claim_number=number)
    async with house.database.transaction() as tx:
        return await work.read_item(tx, await work.open_item(tx, task, await house.clock.now()))


async def act(house: House, item: work.WorkItem, **changes: Any) -> steps.ItemActed:
    given = {
        "item": item.id, "workflow_id": workflow_id(item), "kind": "assign", "to": "Ann",
        "revision": item.revision, "by": "Ann", "request": "click-1",
    }  # fmt: skip
    what = steps.ItemAct.model_validate(given | changes)
    done: steps.ItemActed = await house.perform(steps.ACT_ON_ITEM, what)
    return done


async def acts(house: House, item: work.WorkItem) -> list[tuple[str, str]]:
    async with house.database.reading() as reading:
        entries = await audit.entries(reading, item.subject)
    return [(one.actor, one.action) for one in entries if one.action.startswith("work_")]


async def test_it_is_done_once_and_who_comes_second_is_told(house: House) -> None:
    item = await opened(house)
    for _ in range(2):
        done = await act(house, item)
        assert (done.standing.revision, done.standing.assignee) == (item.revision + 1, "Ann")
        assert (done.changed, done.problems) == (False, ())
    second = await act(house, item, to="Ben", by="Ben", request="click-2")
    assert (second.changed, second.standing.assignee) == (True, "Ann")
    assert await acts(house, item) == [("Ann", "work_assign")]


async def test_what_cannot_be_done_with_it_changes_nothing(house: House) -> None:
    item = await opened(house)
    elsewhere = await act(house, item, workflow_id="claim/GC0")
    assert elsewhere.problems == ("item: it is about something else",)
    silent = await act(house, item, kind="resolve", to=None)
    assert silent.problems == ("text: say why, or what was found",)
    assert (silent.standing.state, silent.standing.revision) == ("open", item.revision)
    assert await acts(house, item) == []
