"""The work list in the browser: take, put off, note; several only after they were shown."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groupclaim.clearinghouse.circuit import FILES, INQUIRIES
from groupclaim.store import audit, connection_down, work
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


async def test_which_way_to_the_payers_is_down_can_be_read(practice: Practice) -> None:
    diary = connection_down.ConnectionDiary(practice.house.database)
    for way in (INQUIRIES, FILES):
        await diary.opened(way)
    page = (await (await practice.signed_in("viewer")).get("/?code=CONNECTION_DOWN")).text
    assert ("payers by inquiries" in page, "payers by files" in page) == (True, True)


async def test_taking_an_item_is_noted_and_a_second_taker_is_told(practice: Practice) -> None:
    (item,) = await items(practice, code="COVERAGE_INACTIVE")
    biller, supervisor = [await practice.signed_in(name) for name in ("biller", "supervisor")]
    taken = await biller.post("/work-items", kind="assign", to="me", item=value(item))
    assert taken.status_code == 303
    assert item.claim_number in (await biller.get("/?view=mine")).text
    late = await supervisor.post("/work-items", kind="assign", to="me", item=value(item))
    assert (
        late.status_code,
        "changed meanwhile: it is open now, given to biller" in late.text,
    ) == (409, True)
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
    shown = await biller.http.post("/work-items", data=form, headers=origin)
    assert f"would change {len(found)}, refuse 0" in shown.text
    assert await items(practice, assignee="biller") == []
    done = await biller.http.post("/work-items", data={**form, "confirmed": "yes"}, headers=origin)
    assert done.status_code == 303
    assert len(await items(practice, assignee="biller")) == len(found)


async def test_what_is_put_off_needs_words_and_a_day_and_leaves_the_list(
    practice: Practice,
) -> None:
    (item,) = await items(practice, code="COVERAGE_INACTIVE")
    biller = await practice.signed_in("biller")
    for fields in ({"until": "2026-02-04"}, {"text": "card comes by post"}, {"until": "soon"}):
        answer = await biller.post("/work-items", kind="pend", item=value(item), **fields)
        assert answer.status_code in (409, 422)
    answer = await biller.post(
        "/work-items", kind="pend", item=value(item), until="2026-02-03", text="card comes by post"
    )
    assert answer.status_code == 303, answer.text
    assert item.claim_number not in (await biller.get("/")).text
    assert item.claim_number in (await biller.get("/?view=pended")).text


async def test_nobody_acts_on_items_that_they_may_not_see(practice: Practice) -> None:
    await practice.let_in(Role.BILLER, name="elsewhere", locations=("no-such-place",))
    (item,) = await items(practice, code="COVERAGE_INACTIVE")
    browser = await practice.signed_in("elsewhere")
    answer = await browser.post("/work-items", kind="assign", to="me", item=value(item))
    assert answer.status_code == 404
    assert await items(practice, assignee="elsewhere") == []


async def together(
    practice: Practice, found: list[work.WorkItem], **fields: str
) -> tuple[str, str]:
    """What is shown before several are changed, and where doing it leads."""
    biller = await practice.signed_in("biller")
    origin = {"origin": "http://127.0.0.1:8300"}
    token = re.search(r'name="csrf" value="([^"]+)"', biller.page)
    assert token is not None
    form = {"csrf": token[1], "item": [value(item) for item in found], **fields}
    shown = await biller.http.post("/work-items", data=form, headers=origin)
    given = re.findall(r'name="item" value="([^"]+)"', shown.text)
    if not given:
        return shown.text, ""
    done = await biller.http.post(
        "/work-items", data={**form, "item": given, "confirmed": "yes"}, headers=origin
    )
    return shown.text, done.headers.get("location", done.text)


async def test_the_last_bulk_act_is_undone_but_for_what_has_changed_since(
    practice: Practice,
) -> None:
    found = await items(practice)
    first, *others = found
    _, where = await together(practice, found, kind="assign", to="me", act="a1", back="?sort=due")
    assert where == f"/?sort=due&told=assign.{len(found)}"
    (mine,) = [item for item in await items(practice, assignee="biller") if item.id == first.id]
    supervisor = await practice.signed_in("supervisor")
    await supervisor.post("/work-items", kind="assign", to="me", item=value(mine))
    biller = await practice.signed_in("biller")
    assert f"Undo: {len(found)} taken" in biller.page
    undone = await biller.post("/work-items/undo")
    assert undone.headers["location"] == f"/?told=undone.{len(others)}.1"
    assert {item.id for item in await items(practice, assignee="")} == {item.id for item in others}
    assert [item.id for item in await items(practice, assignee="supervisor")] == [first.id]
    again = await biller.post("/work-items/undo")
    assert (again.status_code, "nothing to undo" in again.text) == (409, True)
    async with practice.house.database.reading() as reading:
        noted = await audit.entries(reading, others[0].subject)
    assert [entry.action for entry in noted] == ["work_assign", "work_undone"]


async def test_rules_run_again_where_they_hold_and_a_payer_is_not_asked_before_a_claim_is_sent(
    practice: Practice,
) -> None:
    found = await items(practice)
    shown, where = await together(practice, found, kind="status")
    assert f"would change 0, refuse {len(found)}" in shown
    assert "its payer is asked only while it decides on the claim" in shown
    assert where == ""
    shown, where = await together(practice, found, kind="rules", act="a2")
    assert f"would change {len(found)}, refuse 0" in shown
    assert where == f"/?told=rules.{len(found)}"
    # They find the same: the items stand as they stood, and who asked is on record.
    assert [item.id for item in await items(practice)] == [item.id for item in found]
    async with practice.house.database.reading() as reading:
        noted = await audit.entries(reading, found[0].claim_number or "")
    assert [(entry.actor, entry.action) for entry in noted][-1] == ("biller", "ask_rules")


async def test_the_list_is_saved_as_csv_and_that_is_noted(practice: Practice) -> None:
    (item,) = await items(practice, code="COVERAGE_INACTIVE")
    biller = await practice.signed_in("biller")
    taken = await biller.get("/work-items/export?code=COVERAGE_INACTIVE")
    first, row = taken.text.splitlines()
    assert first.startswith("item,payer,code,waits_for") or first.lower().startswith("item,payer")
    assert item.claim_number in row
    assert f"{item.cents // 100}.{item.cents % 100:02}" in row
    async with practice.house.database.reading() as reading:
        (noted,) = await audit.entries(reading, "work list")
    assert (noted.actor, noted.action, noted.detail["rows"]) == ("biller", "export_work_list", 1)
    assert (await (await practice.signed_in("viewer")).get("/work-items/export")).status_code == 403


async def test_a_claim_is_found_by_its_number(practice: Practice) -> None:
    (item,) = await items(practice, code="COVERAGE_INACTIVE")
    viewer = await practice.signed_in("viewer")
    found = await viewer.get(f"/find?number=%20{(item.claim_number or '').lower()}")
    assert found.headers["location"] == f"/claims/{item.claim_number}"
    assert (await viewer.get("/find?number=GC0")).status_code == 404
