"""The 92 files that others wrote: every figure as it was counted from their raw segments."""

import json
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pytest

from groupclaim import x12

SAMPLES = Path(__file__).parent / "samples"
EXPECTED = json.loads((SAMPLES / "expected.json").read_text())


def comparable(value):
    """Amounts as numbers: `65`, `65.0` and `65.00` are the same figure."""
    if isinstance(value, dict):
        return {key: comparable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [comparable(one) for one in value]
    if isinstance(value, str) and not isinstance(value, bool):
        try:
            return Decimal(value)
        except InvalidOperation:
            return value
    return value


def figures(name):
    with (SAMPLES / "files" / name).open("rb") as file:
        return x12.file_figures(file)


def test_all_samples_are_here():
    here = {str(path.relative_to(SAMPLES / "files")) for path in (SAMPLES / "files").rglob("*.*")
            if path.is_file()}  # fmt: skip
    assert here == set(EXPECTED)
    assert len(EXPECTED) == 92


@pytest.mark.parametrize("name", EXPECTED)
def test_figures(name):
    found = figures(name)
    problems = found.pop("problems")
    assert comparable(found) == comparable(EXPECTED[name])
    assert json.dumps(problems)
    if found["envelope_errors"]:
        assert problems
