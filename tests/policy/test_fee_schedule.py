from datetime import date
from decimal import Decimal

import pytest

from groupclaim.model.money import Cents
from groupclaim.policy.fee_schedule import FeeSchedule, NotPriced

JULY_2025, FEBRUARY_2026 = date(2025, 7, 1), date(2026, 2, 3)

# code, 2025 non-facility, 2026 non-facility, 2026 facility: domain reference 10.2, in dollars
NATIONAL = [
    ("90853", "28.14", "30.39", "24.38"),
    ("90785", "14.23", "14.70", "11.69"),
    ("90849", "37.52", "40.42", "30.06"),
    ("90846", "98.66", "105.88", "99.20"),
    ("90847", "102.86", "109.55", "102.87"),
    ("90832", "78.93", "85.84", "69.47"),
    ("90834", "104.16", "113.90", "91.85"),
    ("90837", "154.29", "167.00", "135.27"),
    ("90833", "72.78", "81.50", "65.80"),
    ("90791", "166.91", "173.35", "137.28"),
]

# locality, 2025, 2026 non-facility, 2026 facility, 2026 x 75 %, 2026 x 85 %: 10.3
LOCALITIES = [
    ("TX-31", "28.38", "30.85", "24.49", "23.14", "26.22"),
    ("TX-20", "27.48", "29.68", "24.21", "22.26", "25.23"),
    ("TX-09", "28.34", "30.43", "24.47", "22.82", "25.87"),
    ("TX-11", "28.34", "30.52", "24.53", "22.89", "25.94"),
    ("TX-28", "28.30", "30.45", "24.52", "22.84", "25.88"),
    ("TX-15", "28.34", "30.46", "24.49", "22.85", "25.89"),
    ("TX-18", "28.72", "30.65", "24.68", "22.99", "26.05"),
    ("TX-99", "27.74", "29.97", "24.27", "22.48", "25.47"),
    ("VA-00", "27.92", "30.17", "24.26", "22.63", "25.64"),
    ("DC-01", "30.69", "33.01", "25.93", "24.76", "28.06"),
]


@pytest.fixture(scope="module")
def schedule() -> FeeSchedule:
    return FeeSchedule.load()


@pytest.mark.parametrize(("code", "in_2025", "in_2026", "facility_2026"), NATIONAL)
def test_national_amounts(
    schedule: FeeSchedule, code: str, in_2025: str, in_2026: str, facility_2026: str
) -> None:
    def price(day: date, facility: bool) -> str:
        return str(schedule.medicare_allowed(code, "US-00", day, facility=facility, percent=100))

    assert price(JULY_2025, False) == in_2025
    assert price(FEBRUARY_2026, False) == in_2026
    assert price(FEBRUARY_2026, True) == facility_2026


@pytest.mark.parametrize(
    ("locality", "in_2025", "in_2026", "facility_2026", "at_75", "at_85"), LOCALITIES
)
def test_90853_by_locality(
    schedule: FeeSchedule,
    locality: str,
    in_2025: str,
    in_2026: str,
    facility_2026: str,
    at_75: str,
    at_85: str,
) -> None:
    def price(day: date, facility: bool = False, percent: int = 100) -> str:
        amount = schedule.medicare_allowed(
            "90853", locality, day, facility=facility, percent=percent
        )
        return str(amount)

    assert price(JULY_2025) == in_2025
    assert price(FEBRUARY_2026) == in_2026
    assert price(FEBRUARY_2026, facility=True) == facility_2026
    assert price(FEBRUARY_2026, percent=75) == at_75
    assert price(FEBRUARY_2026, percent=85) == at_85


@pytest.mark.parametrize(
    ("locality", "percent", "in_full", "reduced_at_once", "rounded_first"),
    [
        ("TX-18", 75, "30.645659759", "22.98", "22.99"),
        ("TX-28", 75, "30.445588368", "22.83", "22.84"),
        ("VA-00", 75, "30.166022835", "22.62", "22.63"),
        ("TX-99", 85, "29.970627570", "25.48", "25.47"),
        ("US-00", 75, "30.394819", "22.80", "22.79"),
        ("US-00", 85, "30.394819", "25.84", "25.83"),
    ],
)
def test_the_full_fee_is_rounded_before_it_is_reduced(
    schedule: FeeSchedule,
    locality: str,
    percent: int,
    in_full: str,
    reduced_at_once: str,
    rounded_first: str,
) -> None:
    """Where the order moves a cent, the amount is the one that rounding first gives."""
    assert str(Cents.rounded(Decimal(in_full) * percent)) == reduced_at_once
    amount = schedule.medicare_allowed(
        "90853", locality, FEBRUARY_2026, facility=False, percent=percent
    )
    assert str(amount) == rounded_first


@pytest.mark.parametrize(
    ("code", "locality", "day", "missing"),
    [
        ("99213", "TX-31", FEBRUARY_2026, "2026 has no code 99213$"),
        ("90853", "CA-05", FEBRUARY_2026, "2026 has no locality CA-05$"),
        ("90853", "TX-31", date(2027, 1, 1), "2027 has no code 90853, locality TX-31, conversion"),
    ],
)
def test_what_is_not_in_the_tables_is_not_priced(
    schedule: FeeSchedule, code: str, locality: str, day: date, missing: str
) -> None:
    with pytest.raises(NotPriced, match=missing):
        schedule.medicare_allowed(code, locality, day, facility=False, percent=100)
