"""Deadlines of a patient's side, worked out by hand: April 2026 begins on a Wednesday."""

from __future__ import annotations

from datetime import date
from typing import Literal

import pytest

from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.patient_rights import patient_rights
from groupclaim.rules.patient_account import estimate_due

RIGHTS = patient_rights()


@pytest.mark.parametrize(
    ("reason", "first", "due"),
    [
        # Scheduled on Wednesday the 1st. Ten business days later is Wednesday the 15th.
        ("scheduled", date(2026, 4, 15), date(2026, 4, 6)),  # 3 days: Thursday, Friday, Monday
        ("scheduled", date(2026, 4, 14), date(2026, 4, 2)),  # 1 day
        ("scheduled", date(2026, 4, 6), date(2026, 4, 2)),  # exactly three ahead
        ("scheduled", date(2026, 4, 3), None),  # two ahead: no rule
        ("requested", date(2026, 4, 2), date(2026, 4, 6)),
    ],
)
def test_when_an_estimate_is_due(
    reason: Literal["scheduled", "requested"], first: date, due: date | None
) -> None:
    found = estimate_due(
        RIGHTS,
        BusinessCalendar(),
        asked_on=date(2026, 4, 1),
        first_session=first,
        reason=reason,
    )
    assert (found.by if found else None) == due
    assert found is None or "149.610" in found.source


def test_holidays_do_not_count() -> None:
    found = estimate_due(
        RIGHTS,
        BusinessCalendar(),
        asked_on=date(2026, 2, 13),  # a Friday; Monday the 16th is Washington's Birthday
        first_session=date(2026, 2, 19),
        reason="scheduled",
    )
    assert found is not None
    assert found.by == date(2026, 2, 17)
