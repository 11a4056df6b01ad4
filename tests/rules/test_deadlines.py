from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.rules.deadlines import Deadlines, attendance_deadline
from tests.rules.made import ENDS, changed, policy

CALENDAR = BusinessCalendar()
CHICAGO = "America/Chicago"
DAY = date(2026, 2, 3)


def of(name: str) -> Deadlines:
    return Deadlines(policy(name), CALENDAR, CHICAGO)


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(CHICAGO))


@pytest.mark.parametrize(
    ("name", "service", "last"),
    [
        ("medicare-part-b", date(2026, 2, 3), date(2027, 2, 3)),
        ("medicare-part-b", date(2028, 2, 29), date(2029, 2, 28)),
        ("medicare-part-b", date(2026, 12, 31), date(2027, 12, 31)),
        ("texas-commercial", date(2026, 2, 3), date(2026, 5, 9)),  # the 95th day, a Saturday
        ("texas-medicaid", date(2026, 2, 3), date(2026, 5, 11)),  # the Monday after it
        ("texas-medicaid", date(2026, 2, 5), date(2026, 5, 11)),  # a Monday by itself
        ("texas-medicaid", date(2026, 2, 19), date(2026, 5, 26)),  # 25 May is Memorial Day
        ("commercial", date(2026, 2, 3), date(2026, 5, 4)),
    ],
)
def test_the_filing_limit(name: str, service: date, last: date) -> None:
    deadline = of(name).filing_limit(service)
    assert deadline.at == local(f"{last}T23:59:59")
    assert str(service) in deadline.working
    assert str(last) in deadline.working


def test_the_filing_limit_cites_its_source() -> None:
    source = of("texas-medicaid").filing_limit(DAY).source
    assert source is not None
    assert source.verified
    unverified = of("commercial").filing_limit(DAY).source
    assert unverified is not None
    assert not unverified.verified


def test_warnings_come_before_the_filing_limit() -> None:
    warnings = of("texas-medicaid").filing_warnings(DAY)
    assert [warning.at for warning in warnings] == [
        local("2026-04-11T08:00:00"),
        local("2026-05-01T08:00:00"),
    ]
    assert "30 days before the filing limit" in warnings[0].working


def test_the_next_alert_is_the_first_still_to_come() -> None:
    deadlines = of("texas-medicaid")

    def next_at(now: str) -> datetime | None:
        alert = deadlines.next_filing_alert(DAY, local(now))
        return alert.at if alert else None

    assert next_at("2026-02-03T12:00:00") == local("2026-04-11T08:00:00")
    assert next_at("2026-04-11T08:00:00") == local("2026-05-01T08:00:00")
    assert next_at("2026-05-01T08:00:00") == local("2026-05-11T23:59:59")
    assert next_at("2026-05-11T23:59:59") is None


def test_the_999_is_expected_within_a_day_of_hours() -> None:
    """24 hours, also over the change to summer time on 8 March 2026."""
    sent = local("2026-03-07T17:00:00")
    assert of("commercial").acknowledgment_999(sent).at == local("2026-03-08T18:00:00")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("2026-02-03T17:00:00", "2026-02-06T17:00:00"),
        ("2026-02-13T17:00:00", "2026-02-19T17:00:00"),  # over Washington's Birthday
        ("2026-03-06T17:00:00", "2026-03-11T17:00:00"),  # over the change of clocks: same hour
    ],
)
def test_the_277ca_is_expected_within_three_business_days(sent: str, expected: str) -> None:
    deadline = of("commercial").acknowledgment_277ca(local(sent))
    assert deadline.at == local(expected)


def test_the_remittance_is_expected_within_thirty_days() -> None:
    received = local("2026-02-05T09:30:00")
    assert of("commercial").remittance(received).at == local("2026-03-07T09:30:00")
    medicare = of("medicare-part-b").remittance(received)
    assert medicare.at == local("2026-03-07T09:30:00")
    assert medicare.working.endswith("no payment before 2026-02-19, day 14")


def test_note_statement_and_attendance() -> None:
    assert of("commercial").note(ENDS).at == local("2026-02-05T11:00:00")
    balance = local("2026-02-20T10:00:00")
    assert of("commercial").statement(balance).at == local("2026-03-22T10:00:00")
    assert attendance_deadline(ENDS).at == local("2026-02-04T11:00:00")
    assert attendance_deadline(ENDS).source is None
    # 23 hours by the clock on the wall, 24 in truth
    assert attendance_deadline(local("2026-10-31T19:00:00")).at == local("2026-11-01T18:00:00")


@pytest.mark.parametrize(
    ("name", "days"), [("medicare-part-b", 120), ("texas-medicaid", 120), ("commercial", 180)]
)
def test_the_appeal_limit(name: str, days: int) -> None:
    deadline = of(name).appeal_limit(DAY)
    assert deadline.at == local(f"{DAY + timedelta(days=days)}T23:59:59")


def test_days_are_the_practices_own() -> None:
    """21:00 in Chicago is the next day in UTC; the day counted from is Chicago's."""
    sent = datetime.fromisoformat("2026-02-05T03:00:00+00:00")
    deadline = of("commercial").acknowledgment_277ca(sent)
    assert deadline.at == local("2026-02-09T21:00:00")


@given(
    service=st.dates(date(2025, 1, 1), date(2030, 12, 31)),
    days=st.integers(1, 400),
    roll=st.booleans(),
)
def test_the_limit_is_never_before_its_days_and_moves_only_to_a_business_day(
    service: date, days: int, roll: bool
) -> None:
    rules = changed("commercial", "filing_limit", days=days, to_next_business_day=roll)
    deadlines = Deadlines(rules, CALENDAR, CHICAGO)
    last = deadlines.filing_limit(service).at.date()
    assert last >= service + timedelta(days=days)
    if roll:
        assert CALENDAR.is_business_day(last)
    else:
        assert last == service + timedelta(days=days)
    warnings = deadlines.filing_warnings(service)
    assert all(one.at < other.at for one, other in pairwise(warnings))
    assert warnings[-1].at < deadlines.filing_limit(service).at
