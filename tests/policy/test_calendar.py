from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from groupclaim.policy.calendar import BusinessCalendar

CHICAGO = "America/Chicago"


@pytest.fixture(scope="module")
def calendar() -> BusinessCalendar:
    return BusinessCalendar()


@pytest.mark.parametrize(
    "day",
    [
        date(2026, 1, 1),  # New Year's Day
        date(2026, 1, 19),  # Martin Luther King Jr.
        date(2026, 2, 16),  # Washington's Birthday
        date(2026, 5, 25),  # Memorial Day
        date(2026, 6, 19),  # Juneteenth
        date(2026, 7, 3),  # Independence Day, kept on the Friday before a Saturday
        date(2026, 9, 7),  # Labor Day
        date(2026, 10, 12),  # Columbus Day
        date(2026, 11, 11),  # Veterans Day
        date(2026, 11, 26),  # Thanksgiving
        date(2026, 12, 25),  # Christmas
        date(2027, 7, 5),  # Independence Day, kept on the Monday after a Sunday
        date(2026, 2, 7),  # a Saturday
        date(2026, 2, 8),  # a Sunday
    ],
)
def test_federal_holidays_and_weekends_are_no_business_days(
    calendar: BusinessCalendar, day: date
) -> None:
    assert not calendar.is_business_day(day)


@pytest.mark.parametrize(
    "day", [date(2026, 2, 12), date(2026, 4, 3), date(2026, 11, 27), date(2026, 12, 24)]
)
def test_other_days_are_business_days_even_where_some_states_rest(
    calendar: BusinessCalendar, day: date
) -> None:
    assert calendar.is_business_day(day)
    assert calendar.next_business_day(day) == day


def test_counting_skips_weekend_and_holiday(calendar: BusinessCalendar) -> None:
    friday = date(2026, 2, 13)
    assert calendar.add_business_days(friday, 1) == date(2026, 2, 17)
    assert calendar.add_business_days(friday, 3) == date(2026, 2, 19)
    assert calendar.add_business_days(date(2026, 2, 14), 1) == date(2026, 2, 17)
    assert calendar.next_business_day(date(2026, 2, 14)) == date(2026, 2, 17)
    with pytest.raises(ValueError, match="count"):
        calendar.add_business_days(friday, 0)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-02-03T16:59:59", "2026-02-03T17:00:00-06:00"),
        ("2026-02-03T17:00:00", "2026-02-04T17:00:00-06:00"),  # strictly after
        ("2026-02-13T18:00:00", "2026-02-17T17:00:00-06:00"),  # over a holiday weekend
        ("2026-02-14T09:00:00", "2026-02-17T17:00:00-06:00"),
        ("2026-03-06T18:00:00", "2026-03-09T17:00:00-05:00"),  # summer time began on the 8th
        ("2026-10-30T18:00:00", "2026-11-02T17:00:00-06:00"),
    ],
)
def test_the_next_cutoff(calendar: BusinessCalendar, now: str, expected: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=ZoneInfo(CHICAGO))
    assert calendar.next_cutoff(moment, time(17), CHICAGO) == datetime.fromisoformat(expected)


def test_the_cutoff_is_local_to_the_clearinghouse(calendar: BusinessCalendar) -> None:
    """Late Friday evening in Virginia is still before 23:30 in Chicago."""
    now = datetime(2026, 2, 7, 0, 15, tzinfo=ZoneInfo("America/New_York"))
    assert calendar.next_cutoff(now, time(23, 30), CHICAGO) == datetime.fromisoformat(
        "2026-02-06T23:30:00-06:00"
    )
