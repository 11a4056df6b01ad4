"""Audit samples on both databases: drawn once, on the work list until reviewed, counted."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy import text

from groupclaim.model.base import InputRefused
from groupclaim.store import audit, ledger, samples
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import finding
from tests.store.world import NOW, World, send_all

FIRST, LAST = date(2026, 2, 1), date(2026, 2, 28)


@pytest.fixture
async def billed(world: World) -> World:
    await send_all(world, world.claims[:4])
    async with world.database.transaction() as tx:
        await ledger.book_charges(tx, [(number, 1) for number in world.claims[:4]], NOW)
    return world


async def drawn(world: World, seed: str = "Q1", size: int = 4) -> str:
    async with world.database.transaction() as tx:
        return await samples.draw_sample(tx, seed, size, FIRST, LAST, "R. Lee", NOW)


async def open_reviews(world: World) -> list[str]:
    async with world.database.reading() as reading:
        rows = await reading.rows(
            text("SELECT claim_number FROM work_item WHERE kind = 'review' AND state = 'open'")
        )
    return [row.claim_number for row in rows]


async def test_a_sample_is_drawn_once_reviewed_and_counted(billed: World) -> None:
    sample = await drawn(billed)
    assert await drawn(billed) == sample
    async with billed.database.reading() as reading:
        before = await samples.read_sample(reading, sample)
        assert await samples.sample_ids(reading) == (sample,)
    # Nothing looks risky: half of four, the representative part, is all.
    assert (before.frame, [one.part for one in before.claims]) == (4, ["representative"] * 2)
    one, two = [item.claim_number for item in before.claims]
    assert set(await open_reviews(billed)) == {one, two} < set(billed.claims[:4])
    for number, found in ((one, "ok"), (one, "ok"), (two, "error")):
        async with billed.database.transaction() as tx:
            await samples.review(tx, sample, number, found, "S. Park", NOW)
    assert await open_reviews(billed) == []
    async with billed.database.reading() as reading:
        after = await samples.read_sample(reading, sample)
        (entry,) = await audit.entries(reading, one)
    assert (after.rate.errors, after.rate.reviewed) == (1, 2)
    # Clopper-Pearson for 1 of 2: 1 - sqrt(0.975) and sqrt(0.975).
    assert (round(after.rate.low, 4), round(after.rate.high, 4)) == (0.0126, 0.9874)
    assert (entry.actor, entry.action) == ("S. Park", "sample_reviewed")


async def test_a_second_opinion_is_refused_and_strangers_are_unknown(billed: World) -> None:
    sample = await drawn(billed)
    (number, _) = await open_reviews(billed)
    async with billed.database.transaction() as tx:
        await samples.review(tx, sample, number, "error", "A", NOW)
        with pytest.raises(InputRefused, match="reviewed before by A"):
            await samples.review(tx, sample, number, "ok", "B", NOW)
        with pytest.raises(UnknownRecord):
            await samples.review(tx, sample, billed.claims[5], "ok", "B", NOW)
        with pytest.raises(UnknownRecord):
            await samples.read_sample(tx, "none")


async def test_what_looks_wrong_is_aimed_at(billed: World) -> None:
    async with billed.database.transaction() as tx:
        for number in billed.claims[:4]:
            await tx.execute(
                finding.insert().values(
                    claim_number=number,
                    step="check_documentation",
                    position=9,
                    rule="thin",
                    severity="warn",
                    sentence="s",
                    fix="f",
                    releasable=False,
                    evidence=[],
                    created_at=NOW,
                )
            )
    sample = await drawn(billed, size=3)
    async with billed.database.reading() as reading:
        found = (await samples.read_sample(reading, sample)).claims
    assert sorted(one.part for one in found) == ["aimed", "representative", "representative"]
    assert {one.risks for one in found} == {("weak_documentation",)}


async def test_days_without_claims_are_refused(billed: World) -> None:
    async with billed.database.transaction() as tx:
        with pytest.raises(InputRefused, match="no billed claim"):
            await samples.draw_sample(tx, "x", 5, date(2025, 1, 1), date(2025, 2, 1), "A", NOW)
