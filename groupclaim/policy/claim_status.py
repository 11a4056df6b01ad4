"""What groupclaim makes of the categories with which a payer tells the status of a claim (277).

The table holds code numbers and groupclaim's own words; the codes' official texts are not in it.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

from groupclaim.model.base import Record
from groupclaim.policy.tables import read_table

StatusAction = Literal["wait", "information", "paid", "denied", "rejected", "not found", "error"]


class StatusCategory(Record):
    """``action``: what follows; ``meaning``: in groupclaim's words."""

    category: str
    action: StatusAction
    meaning: str


def status_category(category: str) -> StatusCategory:
    """What is known of a category; one that the table lacks tells nothing, so one asks again."""
    return _categories().get(category) or StatusCategory(
        category=category, action="error", meaning="not known"
    )


@cache
def _categories() -> dict[str, StatusCategory]:
    return {row.category: row for row in read_table("status_categories", StatusCategory)}
