"""Practices made from seeds come to their end and agree with the oracle; ``make seeds`` plays a
thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.played import play


@pytest.mark.parametrize("seed", range(1, 21))
async def test_a_made_practice_comes_to_its_end(tmp_path: Path, seed: int) -> None:
    assert await play(seed, tmp_path) == []
