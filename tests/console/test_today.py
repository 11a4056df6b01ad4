"""The work list in the browser: take, put off, note; several only after they were shown."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groupclaim.store import audit, work
from groupclaim.store.people import Role
from tests.console.visitor import Practice, practice_at


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Practice]:
    async with practice_at(tmp_path) as made:
        yield made


async def items(practice: Practice, **wanted: object) -> list[work.WorkItem]:
    now = await practice.house.clock.now()
    async with practice.house.database.reading() as reading:
        return list(await work.items(reading, work.Wanted(**wanted), now))  # type: ignore[arg-type]


def value(item: work.WorkItem) -> str:
    return f"{item.id}:{item.revision}"


async def test_the_list_shows_reason_amount_and_whom_it_waits_for(practice: Practice) -> None:
    (item,) = await items(practice, code="COVERAGE_INACTIVE")
    page = (await (await practice.signed_in("viewer")).get("/")).text
    assert item.claim_number is not None
    assert item.claim_number in page
    assert "front desk: other or renewed coverage" in page
    assert f"{item.cents // 100}.{item.cents % 100:02}" in page
    assert item.cents > 0
    assert "With what is chosen" not in page


async def test_taking_an_item_is_noted_and_a_second_taker_is_told(practice: Practice) -> None:
    (item,) = await items(practice, code="COVERAGE_INACTIVE")
    biller, supervisor = [await practice.signed_in(name) for name in ("biller", "supervisor")]
    taken = await biller.post("/work", kind="assign", to="me", item=value(item))
    assert taken.status_code == 303
    assert item.claim_number in (await biller.get("/?view=mine")).text
    late = await supervisor.post("/work", kind="assign", to="me", item=value(item))
    assert (late.status_code, "changed meanwhile by biller" in late.text) == (409, True)
    (item,) = await items(practice, assignee="biller")
    async with practice.house.database.reading() as reading:
        noted = await audit.entries(reading, item.subject)
    assert [(entry.actor, entry.action) for entry in noted] == [("biller", "work_assign")]


async def test_several_are_shown_with_their_amount_before_anything_is_done(
    practice: Practice,
) -> None:
    found = await items(practice)
    assert len(found) > 1
    biller = await practice.signed_in("biller")
    chosen = [value(item) for item in found]
    origin = {"origin": "http://127.0.0.1:8300"}
    token = re.search(r'name="csrf" value="([^"]+)"', biller.page)
    assert token is not None
    form = {"csrf": token[1], "kind": "assign", "to": "me", "item": chosen}
    shown = await biller.http.post("/work", data=form, headers=origin)
    assert f"would change {len(found)} items" in shown.text
    assert await items(practice, assignee="biller") == []
    done = await biller.http.post("/work", data={**form, "confirmed": "yes"}, headers=origin)
    assert done.status_code == 303
    assert len(await items(practice, assignee="biller")) == len(found)


async def test_what_is_put_off_needs_words_and_a_day_and_leaves_the_list(
    practice: Practice,
) -> None:
    (item,) = await items(practice, code="COVERAGE_INACTIVE")
    biller = await practice.signed_in("biller")
    for fields in ({"until": "2026-02-04"}, {"text": "card comes by post"}, {"until": "soon"}):
        answer = await biller.post("/work", kind="pend", item=value(item), **fields)
        assert answer.status_code in (409, 422)
    answer = await biller.post(
        "/work", kind="pend", item=value(item), until="2026-02-03", text="card comes by post"
    )
    assert answer.status_code == 303, answer.text
    assert item.claim_number not in (await biller.get("/")).text
    assert item.claim_number in (await biller.get("/?view=pended")).text


async def test_nobody_acts_on_items_that_they_may_not_see(practice: Practice) -> None:
    await practice.let_in(Role.BILLER, name="elsewhere", locations=("no-such-place",))
    (item,) = await items(practice, code="COVERAGE_INACTIVE")
    browser = await practice.signed_in("elsewhere")
    answer = await browser.post("/work", kind="assign", to="me", item=value(item))
    assert answer.status_code == 404
    assert await items(practice, assignee="elsewhere") == []
