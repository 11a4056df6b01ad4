"""The claim's page: why it waits, what may be done, and what is noted when somebody looks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groupclaim.store import audit, claims
from tests.console.visitor import Practice, practice_at


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Practice]:
    async with practice_at(tmp_path) as made:
        yield made


async def held(practice: Practice) -> str:
    """P19's coverage is not in force: held before anything is sent."""
    return await practice.house.claim_of("S2", "P19")


async def test_the_list_names_each_held_claim_with_its_reason(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    number = await held(practice)
    state = practice.house.states[number]
    assert state.hold is not None
    page = (await biller.get("/")).text
    assert number in page
    assert state.hold.code in page
    filtered = (await biller.get(f"/?code={state.hold.code}")).text
    assert number in filtered
    assert number not in (await biller.get("/?code=GROUP_SIZE_REVIEW")).text
    assert number not in (await biller.get("/?code=' OR 1=1")).text
    assert (await biller.get("/?view=' OR 1=1")).status_code == 422
    assert (await biller.get("/?sort=; DROP TABLE claim")).status_code == 422


async def test_the_page_answers_why_the_claim_waits(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    number = await held(practice)
    page = (await biller.get(f"/claims/{number}")).text
    for question in ("Waits for", "Since", "Next by itself", "Released by", "Otherwise"):
        assert f"<dt>{question}</dt>" in page


async def test_the_patient_is_masked_until_somebody_looks_and_each_look_is_noted(
    practice: Practice,
) -> None:
    number = await held(practice)
    biller = await practice.signed_in("biller")
    before = (await biller.get(f"/claims/{number}")).text
    shown = await biller.post(f"/claims/{number}/reveal")
    name = shown.text.split("<b>")[1].split("</b>")[0]
    assert len(name.split()) == 2
    assert name.split()[1] not in before
    assert name.split()[1] not in (await biller.get("/")).text
    await biller.get(f"/claims/{number}")
    await biller.post(f"/claims/{number}/reveal")
    async with practice.house.database.reading() as reading:
        noted = await audit.entries(reading, number)
    assert [(entry.actor, entry.action) for entry in noted] == [("biller", "reveal_patient")] * 2


async def test_a_hold_that_needs_two_people_is_not_released_by_one(practice: Practice) -> None:
    number = await held(practice)
    state = practice.house.states[number]
    assert state.hold is not None
    waived = state.model_copy(
        update={
            "hold": state.hold.model_copy(update={"releasable": True, "two_people": True}),
            "sequence": state.sequence + 1,
        }
    )
    async with practice.house.database.transaction() as tx:
        await claims.record_progress(tx, waived, practice.wall())
    biller = await practice.signed_in("biller")
    assert "two people" in (await biller.get(f"/claims/{number}")).text
    answer = await biller.post(f"/claims/{number}/release", code=state.hold.code, reason="why not")
    assert (answer.status_code, "two people" in answer.text) == (409, True)
