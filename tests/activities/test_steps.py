"""Steps and activities fit each other: every step has its one activity, with the step's records."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from activities import steps
from activities.outside import performs
from tests.activities.house import House

ALL = [value for value in vars(steps).values() if isinstance(value, steps.Step)]


async def test_every_step_has_exactly_one_activity_with_its_records(tmp_path: Path) -> None:
    async with House(tmp_path) as house:
        assert Counter(name for name, _ in house.offered) == Counter(step.name for step in ALL)
        for step in ALL:
            hints = get_type_hints(house.activities[step.name])
            assert list(hints.values()) == [step.input, step.output], step.name


def test_a_method_with_other_records_is_refused() -> None:
    async def cut_batch(self: Any, batch: steps.BatchRef) -> steps.CutBatch:
        raise AssertionError

    with pytest.raises(TypeError, match="cut_batch"):
        performs(steps.CUT_BATCH)(cut_batch)  # type: ignore[arg-type]
