"""The sample that a practice's own setting wants: drawn once, by the practice's calendar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update

from activities import steps
from groupclaim.store import samples
from groupclaim.store.practice import read_practice
from groupclaim.store.schema import practice, work_item
from tests.activities.house import House
from tests.activities.test_sample_practice import run_to_the_end


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path) as made:
        yield made


async def draw(house: House, at: str) -> str | None:
    await house.move_to(datetime.fromisoformat(at))
    drawn: steps.SampleDrawn = await house.perform(steps.DRAW_SAMPLE, steps.SampleRound())
    return drawn.sample_id


async def test_a_month_is_drawn_once_after_its_claims_have_had_time(house: House) -> None:
    """The services are of February 2026; by the practice's default they are drawn from 16 March
    on, here in April when all is paid."""
    await run_to_the_end(house)
    sample = await draw(house, "2026-04-10T12:00:00-05:00")
    assert sample is not None
    assert await draw(house, "2026-04-11T12:00:00-05:00") == sample
    async with house.database.reading() as reading:
        found = await samples.read_sample(reading, sample)
    assert (str(found.first), str(found.last)) == ("2026-02-01", "2026-02-28")
    reviews = await house.rows(select(work_item.c.claim_number).filter_by(kind="review"))
    assert sorted(row.claim_number for row in reviews) == sorted(
        item.claim_number for item in found.claims
    )
    # P17 was underpaid, P18 was denied for want of an authorization.
    risks = {item.claim_number: item.risks for item in found.claims}
    assert risks[await house.claim_of("S3", "P17")] == ("underpaid",)
    assert risks[await house.claim_of("S2", "P18")] == ("missing_authorization",)


async def test_nothing_is_drawn_where_nothing_is_billed_or_wanted(house: House) -> None:
    assert await draw(house, "2026-04-10T12:00:00-05:00") is None
    async with house.database.transaction() as tx:
        kept = (await read_practice(tx)).model_copy(update={"audit_sampling": None})
        await tx.execute(update(practice).values(document=tx.seal(practice, kept)))
    assert await draw(house, "2026-05-20T12:00:00-05:00") is None
