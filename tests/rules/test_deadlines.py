from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.patient_rights import patient_rights
from groupclaim.rules.deadlines import (
    Deadline,
    Deadlines,
    attendance_deadline,
    check_filing,
    patient_refund,
)
from tests.rules.made import ENDS, changed, policy

CALENDAR = BusinessCalendar()
CHICAGO = "America/Chicago"
DAY = date(2026, 2, 3)


def listed(text: str) -> list[str]:
    return text.split()


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


@pytest.mark.parametrize(
    ("now", "late"), [("2026-05-04T23:59:59", False), ("2026-05-05T00:00:00", True)]
)
def test_a_claim_after_the_filing_limit_is_held(now: str, late: bool) -> None:
    """Ninety days from 3 February end with 4 May, in the practice's own time."""
    found = check_filing(of("commercial"), "GC1", DAY, local(now))
    assert [item.hold for item in found] == (["TIMELY_FILING"] if late else [])
    assert all(item.releasable and item.source is not None for item in found)


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


# --- three years of holidays, written down by hand from the public rules
#
# Federal (5 U.S.C. 6103; one on a Saturday is kept on the Friday, on a Sunday on the Monday):
FEDERAL = listed("""
    2025-01-01 2025-01-20 2025-02-17 2025-05-26 2025-06-19 2025-07-04 2025-09-01 2025-10-13
    2025-11-11 2025-11-27 2025-12-25
    2026-01-01 2026-01-19 2026-02-16 2026-05-25 2026-06-19 2026-07-03 2026-09-07 2026-10-12
    2026-11-11 2026-11-26 2026-12-25
    2027-01-01 2027-01-18 2027-02-15 2027-05-31 2027-06-18 2027-07-05 2027-09-06 2027-10-11
    2027-11-11 2027-11-25 2027-12-24 2027-12-31
""")
# Texas (Gov't Code 662.003): the Friday after Thanksgiving, 24 and 26 December; Columbus Day is
# none, and a holiday that falls on a weekend is not kept on another day.
TEXAS_MORE = listed("2025-11-28 2025-12-24 2025-12-26 2026-11-27 2026-12-24 2027-11-26 2027-12-24")
TEXAS_LESS = listed("""
    2025-10-13 2026-10-12 2027-10-11 2026-07-03 2027-06-18 2027-07-05 2027-12-31
""")
# Virginia (Code 2.2-3300): Election Day and the Friday after Thanksgiving.
VIRGINIA_MORE = listed("2025-11-04 2025-11-28 2026-11-03 2026-11-27 2027-11-02 2027-11-26")

CLOSED = {
    None: set(FEDERAL),
    "TX": set(FEDERAL) - set(TEXAS_LESS) | set(TEXAS_MORE),
    "VA": set(FEDERAL) | set(VIRGINIA_MORE),
}


@pytest.mark.parametrize("state", [None, "TX", "VA"])
def test_every_day_of_three_years_is_a_business_day_or_not_as_the_law_says(
    state: str | None,
) -> None:
    calendar, day = CALENDAR.of_state(state), date(2025, 1, 1)
    while day <= date(2027, 12, 31):
        expected = day.weekday() < 5 and str(day) not in CLOSED[state]
        assert calendar.is_business_day(day) == expected, day
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("service", "last"),
    [  # 95 days, then the next day on which the state's offices are open
        ("2025-08-24", "2025-12-01"),  # Thanksgiving, the Friday after it, a weekend
        ("2025-09-20", "2025-12-29"),  # 24 December, then Christmas, the 26th, a weekend
        ("2026-03-30", "2026-07-03"),  # a federal day off that Texas does not keep
        ("2026-07-09", "2026-10-12"),  # Columbus Day is no holiday in Texas
        ("2026-08-23", "2026-11-30"),  # the same a year later
        ("2026-09-20", "2026-12-28"),  # 24 and 25 December, a weekend
        ("2027-04-01", "2027-07-05"),  # a Sunday's Independence Day is not moved in Texas
        ("2027-08-22", "2027-11-29"),  # Thanksgiving again
    ],
)
def test_texas_filing_limits_over_three_years_of_holidays(service: str, last: str) -> None:
    deadline = of("texas-medicaid").filing_limit(date.fromisoformat(service))
    assert deadline.at == local(f"{last}T23:59:59")
    assert "TX" in deadline.calendar


# --- the other deadlines, each with its working


def test_appeals_by_level_with_the_days_of_each() -> None:
    """Medicare, notice of 2 March 2026: 120 days to 30 June, 180 to 29 August, 60 to 1 May."""
    ends = [of("medicare-part-b").appeal_limit(date(2026, 3, 2), level).at for level in (1, 2, 3)]
    assert [at.date() for at in ends] == [date(2026, 6, 30), date(2026, 8, 29), date(2026, 5, 1)]
    with pytest.raises(IndexError):
        of("medicare-part-b").appeal_limit(date(2026, 3, 2), 6)
    first = of("medicare-part-b").appeal_limit(date(2026, 3, 2))
    assert first.working == "redetermination: 120 days after the notice of 2026-03-02: 2026-06-30"
    assert (first.rule, first.counted_from) == ("appeal", "the notice of 2026-03-02")
    assert first.alerts[0] == local("2026-05-31T08:00:00")


def test_a_texas_medicaid_appeal_that_ends_on_a_weekend_is_moved() -> None:
    """120 days after 7 March 2026 is Sunday 5 July; Monday the 6th is open."""
    assert of("texas-medicaid").appeal_limit(date(2026, 3, 7)).at == local("2026-07-06T23:59:59")


@pytest.mark.parametrize(
    ("name", "notice", "service", "last"),
    [
        ("texas-medicaid", "2026-03-02", "2026-02-03", "2026-06-30"),  # 120 days from the notice
        ("virginia-medicaid", "2026-03-02", "2026-02-03", "2027-02-03"),  # a year from the service
        ("medicare-part-b", "2026-03-02", "2026-02-03", "2027-03-02"),  # reopening: a year
        ("commercial", "2026-03-02", "2026-02-03", "2026-05-04"),  # none named: the filing limit
    ],
)
def test_correction_limits(name: str, notice: str, service: str, last: str) -> None:
    limit = of(name).correction_limit(date.fromisoformat(notice), date.fromisoformat(service))
    assert (limit.rule, limit.at) == ("correction", local(f"{last}T23:59:59"))


def test_prompt_pay_and_the_day_from_which_a_claim_may_be_sent_again() -> None:
    received = local("2026-02-05T09:30:00")
    texas = of("texas-commercial").prompt_pay(received)
    assert texas is not None
    assert texas.at == local("2026-03-07T23:59:59")  # 30 days
    paper = of("texas-commercial").prompt_pay(received, electronic=False)
    assert paper is not None
    assert paper.at == local("2026-03-22T23:59:59")  # 45 days
    virginia = of("virginia-commercial").prompt_pay(received)
    assert virginia is not None
    assert virginia.at == local("2026-03-17T23:59:59")  # 40 days
    assert of("commercial").prompt_pay(received) is None
    # not before the 46th day after 5 February
    assert of("texas-commercial").duplicate_allowed_from(date(2026, 2, 5)) == date(2026, 3, 23)
    assert of("commercial").duplicate_allowed_from(DAY) == DAY


def test_every_limit_is_told_of_before_it_passes() -> None:
    deadlines = of("medicare-part-b")
    limits = [
        deadlines.filing_limit(DAY),
        deadlines.appeal_limit(DAY),
        deadlines.correction_limit(DAY, DAY),
        deadlines.prompt_pay(local("2026-02-03T12:00:00")),
    ]
    for limit in limits:
        assert limit is not None
        assert limit.alerts
        assert all(at < limit.at for at in limit.alerts)
        now = local("2026-02-03T12:00:00")
        told = []
        while (alert := limit.next_alert(now)) is not None:
            told.append(alert)
            now = alert
        assert told == [at for at in (*limit.alerts, limit.at) if at > local("2026-02-03T12:00:00")]
        assert limit.working
        assert limit.counted_from


@pytest.mark.parametrize(
    ("name", "paid_on", "last"),
    [
        # 180 days to appeal: 2026-08-19 is a Wednesday, 2026-08-22 a Saturday.
        ("commercial", date(2026, 2, 20), date(2026, 8, 19)),
        ("commercial", date(2026, 2, 23), date(2026, 8, 21)),
        # The law's 270 days for penalties are later than the 180 to appeal.
        ("texas-commercial", date(2026, 2, 20), date(2026, 8, 19)),
        # 120 days: 2026-07-03 is the federal holiday observed for 4 July.
        ("medicare-part-b", date(2026, 3, 5), date(2026, 7, 2)),
    ],
)
def test_a_dispute_is_due_on_a_business_day(name: str, paid_on: date, last: date) -> None:
    assert of(name).dispute_limit(paid_on).at == local(f"{last}T23:59:59")


def test_the_sooner_of_appeal_and_law_counts() -> None:
    soon = changed("texas-commercial", "prompt_pay", notice_days=100)
    limit = Deadlines(soon, CALENDAR, CHICAGO).dispute_limit(date(2026, 2, 20))
    # The 100th day is Sunday 2026-05-31.
    assert limit.at == local("2026-05-29T23:59:59")
    assert "1301.137" in limit.working


@pytest.mark.parametrize(
    ("found_on", "last"),
    [
        (date(2026, 2, 20), date(2026, 4, 21)),  # the 60th day, a Tuesday
        (date(2026, 2, 24), date(2026, 4, 24)),  # Saturday the 25th: Friday
        (date(2026, 4, 4), date(2026, 6, 3)),
    ],
)
def test_what_is_too_much_goes_back_in_sixty_days(found_on: date, last: date) -> None:
    for name in ("medicare-part-b", "texas-medicaid", "commercial"):
        assert of(name).refund_limit(found_on).at == local(f"{last}T23:59:59")


# --- every kind of deadline: its last moment, worked out by hand, and when people are told of it


def kind_of(name: str) -> Deadline:
    """One deadline of each kind, from a service of 3 February, a decision of 2 March 2026."""
    deadlines, day = of("texas-medicaid"), date(2026, 3, 2)
    if name == "prompt pay":
        found = of("texas-commercial").prompt_pay(local("2026-02-05T09:30:00"))
        assert found is not None
        return found
    return {
        "filing": deadlines.filing_limit(DAY),
        "correction": deadlines.correction_limit(day, DAY),
        "appeal": deadlines.appeal_limit(day),
        "dispute": of("commercial").dispute_limit(day),
        "refund": deadlines.refund_limit(day),
        "patient refund": patient_refund(patient_rights().refund("TX"), day, ZoneInfo(CHICAGO)),
    }[name]


@pytest.mark.parametrize(
    ("kind", "last", "told"),
    [
        # 95 days end with Saturday 9 May, moved to the Monday.
        ("filing", "2026-05-11", "2026-04-11 2026-05-01"),
        ("correction", "2026-06-30", "2026-05-31 2026-06-16 2026-06-27 2026-06-30"),  # 120 days
        ("appeal", "2026-06-30", "2026-05-31 2026-06-16 2026-06-27 2026-06-30"),
        # 180 days end with Saturday 29 August: the Friday before.
        ("dispute", "2026-08-28", "2026-07-29 2026-08-14 2026-08-25 2026-08-28"),
        ("refund", "2026-05-01", "2026-04-01 2026-04-17 2026-04-28 2026-05-01"),  # 60 days
        ("patient refund", "2026-04-01", "2026-03-25 2026-03-31 2026-04-01"),  # 30 days
        ("prompt pay", "2026-03-07", "2026-03-04"),  # 30 days, received on 5 February
    ],
)
def test_each_kind_of_deadline_is_told_of_in_the_morning_before_it_passes(
    kind: str, last: str, told: str
) -> None:
    deadline = kind_of(kind)
    assert deadline.rule == kind
    assert deadline.at == local(f"{last}T23:59:59")
    assert deadline.alerts == tuple(local(f"{day}T08:00:00") for day in listed(told))
    assert all(alert < deadline.at for alert in deadline.alerts)
    assert last in deadline.working
    assert deadline.source is not None
    assert deadline.counted_from
    # What arises with less time left than the first alert asks for is told of by the rest.
    late = deadline.alerts[0] + timedelta(minutes=1)
    assert deadline.next_alert(late) == (*deadline.alerts, deadline.at)[1]
    assert deadline.next_alert(deadline.at) is None
