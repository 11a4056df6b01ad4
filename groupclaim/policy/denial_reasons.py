"""What groupclaim makes of adjustment reason and remark codes: a category, and what to do first.

The tables hold code numbers and groupclaim's own words; the codes' official texts are not in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from groupclaim.model.base import Record
from groupclaim.policy.tables import read_table


@dataclass(frozen=True, slots=True)
class DenialReason:
    """``category`` says what kind of problem a code is, ``action`` what a biller does first."""

    code: str
    category: str
    action: str
    meaning: str


class RemarkCode(Record):
    """A remittance advice remark code: what it points to. ``category`` as a denial reason's."""

    code: str
    category: str
    meaning: str


class _AdjustmentReason(Record):
    code: str
    category: str
    meaning: str
    action: str = ""


class _Category(Record):
    category: str
    action: str


def denial_reason(code: str) -> DenialReason | None:
    """What is known about claim adjustment reason ``code``; None when nothing is."""
    return _reasons().get(code)


def remark_code(code: str) -> RemarkCode | None:
    """What is known about remark ``code``; None when nothing is."""
    return _remarks().get(code)


@cache
def _reasons() -> dict[str, DenialReason]:
    actions = {row.category: row.action for row in read_table("denial_categories", _Category)}
    return {
        row.code: DenialReason(
            row.code, row.category, row.action or actions[row.category], row.meaning
        )
        for row in read_table("adjustment_reasons", _AdjustmentReason)
    }


@cache
def _remarks() -> dict[str, RemarkCode]:
    return {row.code: row for row in read_table("remark_codes", RemarkCode)}
