"""A practice played through to its end once, for every page that shows what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.console.visitor import Practice, practice_at

ROSTERS = {"S1": ("P01", "P05", "P06", "P08"), "S2": ("P18", "P19"), "S3": ("P17", "P21", "P23")}
"""Two of one payer in one room beside one of each kind of claim."""


@pytest.fixture(scope="session")
async def played(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Practice]:
    """Tests that share it leave it as they found it."""
    async with practice_at(tmp_path_factory.mktemp("played"), ROSTERS, played=True) as made:
        yield made
