"""Simulated time on Temporal: the claims of some weeks through some months, each to its end, and a
judge who looks at the wire and the books. ``make year`` plays a whole year."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from groupclaim.simulator.world import load_world
from tests.simulation.made_year import make_year
from tests.simulation.year import play_year

SEED = 1
WEEKS = 10
"""Forty claims each: four hundred, through about eight months of the practice clock."""


async def test_every_claim_of_a_played_practice_comes_to_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    played = await play_year(SEED, tmp_path, weeks=WEEKS)
    with capsys.disabled():
        print(f"\n{played.told()}")
    again = f"python -m tests.simulation.year --seed {SEED} --weeks {WEEKS}"
    assert played.problems == [], again
    assert played.claims == 40 * WEEKS, again
    assert played.ended_in.keys() <= {"closed", "not_billable"}, again
    # Nothing would be shown if no payer had denied, no claim been short or no patient owed.
    assert {"hold", "denial", "dispute"} <= played.acts.keys(), again


def test_a_seed_makes_the_same_year_again_and_another_seed_another(tmp_path: Path) -> None:
    years = []
    for name, seed in (("one", 7), ("same", 7), ("other", 8)):
        (tmp_path / name).mkdir()
        made = make_year(seed, tmp_path / name, weeks=2)
        files = ("practice", "sessions", "notes", "payers")
        texts = [(made.folder / f"{file}.json").read_text() for file in files]
        years.append((texts, made.weeks, made.events, made.faults, made.authorizations))
        load_world(made.folder / "payers.json")
    assert years[0] == years[1] != years[2]
    sessions = json.loads((tmp_path / "one" / "sessions.json").read_text())
    assert [len(session["roster"]) for session in sessions] == [10] * 8
    assert len({patient for session in sessions for patient in session["roster"]}) == 40
