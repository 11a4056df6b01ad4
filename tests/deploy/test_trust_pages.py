"""What the pages on security say is tested: every test they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.catalogue import FAULTS
from tests.faults.test_catalogue import named_tests

CHECKOUT = Path(__file__).parents[2]
PAGES = ("SECURITY.md", "deploy/hipaa.md", "deploy/threat-model.md")

SPECIFICATIONS = (
    "(a)(2)(i)", "(a)(2)(ii)", "(a)(2)(iii)", "(a)(2)(iv)", "(b)", "(c)(1)", "(c)(2)", "(d)",
    "(e)(1)", "(e)(2)(i)", "(e)(2)(ii)",
)  # fmt: skip
"""45 CFR 164.312: its standards and implementation specifications."""


def named_by(page: str) -> list[tuple[str, str]]:
    text = (CHECKOUT / page).read_text()
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)


@pytest.mark.parametrize("page", PAGES)
def test_every_named_test_is_there(page: str) -> None:
    named = named_by(page)
    assert named
    assert [item for item in named if item[1] not in named_tests(item[0])] == []


def test_every_standard_has_a_feature_and_a_test() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (CHECKOUT / "deploy/hipaa.md").read_text().splitlines()
        if line.startswith("| (")
    ]
    assert [row[0].split()[0] for row in rows] == list(SPECIFICATIONS)
    assert all(len(row) == 3 and row[1] and "::test_" in row[2] for row in rows)


def test_every_door_of_the_threat_model_has_a_test_or_says_that_it_has_none() -> None:
    text = (CHECKOUT / "deploy/threat-model.md").read_text()
    doors = [line for line in text.splitlines() if line.startswith("| door:")]
    assert len(doors) >= 8
    assert [door for door in doors if "::test_" not in door and "not tried" not in door] == []
    assert str(len(FAULTS)) in (CHECKOUT / "SECURITY.md").read_text()
