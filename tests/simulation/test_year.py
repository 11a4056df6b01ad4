"""What a year is made of. ``make year`` plays a whole one."""

from __future__ import annotations

import json
from pathlib import Path

from groupclaim.simulator.world import load_world
from tests.simulation.made_year import make_year


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
