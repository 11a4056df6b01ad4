"""What groupclaim makes of a claim adjustment reason code: a category, and what to do first.

The tables hold code numbers and groupclaim's own words; the codes' official texts are not in them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class DenialReason:
    """``category`` says what kind of problem a code is, ``action`` what a biller does first."""

    code: str
    category: str
    action: str


def denial_reason(code: str) -> DenialReason | None:
    """What is known about claim adjustment reason ``code``; None when nothing is."""
    return _reasons().get(code)


@cache
def _reasons() -> dict[str, DenialReason]:
    actions = {row["category"]: row["action"] for row in _rows("denial_categories.csv")}
    return {
        row["code"]: DenialReason(row["code"], row["category"], actions[row["category"]])
        for row in _rows("adjustment_reasons.csv")
    }


def _rows(table: str) -> list[dict[str, str]]:
    path = resources.files("groupclaim.policy") / "tables" / table
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
