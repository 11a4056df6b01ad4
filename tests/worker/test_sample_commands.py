"""``groupclaim sample``: drawn, shown and reviewed from the command line, and refused clearly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from groupclaim.store import ledger
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.schema import work_item
from tests.store.world import NOW, World, load_world, send_all
from tests.worker.kept import within
from worker.cli import application
from worker.settings import Settings

DRAW = ("draw", "--from", "2026-02-01", "--to", "2026-02-28", "--seed", "Q1", "--by", "R. Lee")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(application, ["sample", *arguments])
    return result.exit_code, result.output


def told(*arguments: str) -> dict[str, Any]:
    code, out = run(*arguments, "--json")
    assert code == 0, out
    page: dict[str, Any] = json.loads(out)
    return page


@pytest.fixture
def billed(settings: Settings) -> World:
    async def sent(database: Database) -> World:
        await PracticeClock(database).set_stored(NOW)
        world = await load_world(database)
        await send_all(world)
        async with database.transaction() as tx:
            await ledger.book_charges(tx, [(number, 1) for number in world.claims], NOW)
        return world

    return within(settings, sent)


def test_a_sample_is_drawn_shown_and_reviewed(settings: Settings, billed: World) -> None:
    drawn = told(*DRAW, "--size", "8")
    assert (drawn["seed"], drawn["frame"], drawn["services"]) == (
        "Q1", 6, "2026-02-01 to 2026-02-28",
    )  # fmt: skip
    assert len(drawn["frame_digest"]) == 64
    assert len(drawn["claims"]) == 4  # half of eight; nothing looks risky
    assert (drawn["error_rate_from"], drawn["error_rate_to"]) == (0.0, 1.0)
    assert told(*DRAW, "--size", "8") == drawn
    assert told("show") == told("show", drawn["sample"]) == drawn

    for place, one in enumerate(drawn["claims"]):
        said = "--error" if place == 0 else "--ok"
        after = told("review", drawn["sample"], one["claim_number"], said, "--by", "S. Park")
    assert (after["reviewed"], after["errors"]) == (4, 1)
    # Clopper-Pearson for 1 of 4: 1 - 0.975 ** (1 / 4), and where (1 - p) ** 3 * (1 + 3 p) = 0.025.
    assert (after["error_rate_from"], after["error_rate_to"]) == (0.0063, 0.8059)

    async def open_reviews(database: Database) -> int:
        async with database.reading() as reading:
            found = await reading.rows(
                select(work_item.c.id).filter_by(kind="review", state="open")
            )
            return len(found)

    assert within(settings, open_reviews) == 0
    code, out = run("show")
    assert (code, drawn["sample"] in out, "0.8059" in out) == (0, True, True)


def test_what_cannot_be_drawn_shown_or_reviewed_is_said(settings: Settings, billed: World) -> None:
    code, out = run("show")
    assert (code, "not known: sample none" in out) == (2, True)
    code, out = run(
        "draw", "--from", "2025-01-01", "--to", "2025-01-31", "--seed", " ", "--by", "R. Lee"
    )
    assert (code, "seed: is empty" in out, "no billed claim" in out) == (2, True, True)
    assert run(*DRAW, "--size", "1")[0] == 2
    assert run(*DRAW[:-2])[0] == 2  # who draws must be said
    drawn = told(*DRAW, "--size", "2")
    (one,) = drawn["claims"]
    other = next(item for item in billed.claims if item != one["claim_number"])
    code, out = run("review", drawn["sample"], other, "--ok", "--by", "A")
    assert (code, "not known" in out) == (2, True)
    code, out = run("review", "nothing", one["claim_number"], "--ok", "--by", "A")
    assert (code, "not known" in out) == (2, True)
    assert run("review", drawn["sample"], one["claim_number"], "--by", "A")[0] == 2
    told("review", drawn["sample"], one["claim_number"], "--error", "--by", "A")
    code, out = run("review", drawn["sample"], one["claim_number"], "--ok", "--by", "B")
    assert (code, "reviewed before by A: error" in out) == (2, True)


def test_without_books_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUPCLAIM_STATE", str(tmp_path / "empty"))
    code, out = run(*DRAW)
    assert (code, "no keys there" in out) == (3, True)
