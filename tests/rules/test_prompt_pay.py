"""Penalties by date, worked out by hand.

A claim of 60.00 with a contract rate of 28.15, received 2026-02-04. Texas: 30 days, so due on
2026-03-06. Billed less contracted: 60.00 - 28.15 = 31.85. Half of it 15.925, rounded 15.93.
"""

from datetime import date, timedelta

import pytest

from groupclaim.model.money import Cents
from groupclaim.policy.payer import InterestRate
from groupclaim.rules.prompt_pay import (
    Penalty,
    due_on,
    late_payment_penalty,
    underpayment_penalty,
)
from tests.rules.made import changed, policy

RECEIVED = date(2026, 2, 4)
DUE_IN_TEXAS = date(2026, 3, 6)
TEXAS, VIRGINIA = policy("texas-commercial"), policy("virginia-commercial")


def late(name: str, paid_on: date, *, billed: int = 6000, paper: bool = False) -> Penalty | None:
    return late_payment_penalty(
        policy(name),
        billed=Cents(billed),
        contracted=Cents(2815),
        paid=Cents(2815),
        received_on=RECEIVED,
        paid_on=paid_on,
        paper=paper,
    )


def underpaid(name: str, *, noticed_on: date, until: date) -> Penalty | None:
    """22.10 of 28.15 was paid on 2026-02-24: 6.05 too little."""
    return underpayment_penalty(
        policy(name),
        billed=Cents(6000),
        contracted=Cents(2815),
        underpaid=Cents(605),
        received_on=RECEIVED,
        paid_on=date(2026, 2, 24),
        noticed_on=noticed_on,
        until=until,
    )


def test_when_payment_is_due() -> None:
    assert due_on(TEXAS, RECEIVED) == DUE_IN_TEXAS
    assert due_on(TEXAS, RECEIVED, paper=True) == date(2026, 3, 21)  # 45 days
    assert due_on(VIRGINIA, RECEIVED) == date(2026, 3, 16)  # 40 days
    assert due_on(policy("commercial"), RECEIVED) is None


@pytest.mark.parametrize(
    ("days_late", "cents"),
    [
        (0, None),
        (1, 1593),
        (45, 1593),
        (46, 3185),
        (90, 3185),
        # 31.85 x 18 % x 91 / 365 = 1.4293: 31.85 + 1.43
        (91, 3328),
        # 31.85 x 18 % x 365 / 365 = 5.733: 31.85 + 5.73
        (365, 3758),
    ],
)
def test_texas_by_days_late(days_late: int, cents: int | None) -> None:
    found = late("texas-commercial", DUE_IN_TEXAS + timedelta(days=days_late))
    assert (found.cents if found else None) == cents
    if found:
        assert (found.due_on, found.days_late) == (DUE_IN_TEXAS, days_late)


def test_texas_has_a_ceiling() -> None:
    """Billed 400,028.15: half of 400,000.00 is above 100,000.00, all of it above 200,000.00."""
    huge = 40_002_815
    first, second = DUE_IN_TEXAS + timedelta(days=45), DUE_IN_TEXAS + timedelta(days=46)
    assert late("texas-commercial", first, billed=huge).cents == 10_000_000  # type: ignore[union-attr]
    assert late("texas-commercial", second, billed=huge).cents == 20_000_000  # type: ignore[union-attr]


def test_texas_on_paper_has_fifteen_days_more() -> None:
    assert late("texas-commercial", date(2026, 3, 21), paper=True) is None
    assert late("texas-commercial", date(2026, 3, 22), paper=True) is not None


def test_a_charge_at_the_contract_rate_leaves_nothing_to_count_from() -> None:
    assert late("texas-commercial", date(2026, 4, 1), billed=2815) is None


@pytest.mark.parametrize(
    ("paid_on", "cents"),
    [
        (date(2026, 3, 16), None),  # the 40th day
        # day 41, 11 days beyond day 30: 28.15 x 6 % x 11 / 365 = 0.0509
        (date(2026, 3, 17), 5),
        # day 395, 365 days: 28.15 x 6 % = 1.689
        (date(2027, 3, 6), 169),
    ],
)
def test_virginia_is_simple_interest_from_day_30(paid_on: date, cents: int | None) -> None:
    found = late("virginia-commercial", paid_on)
    assert (found.cents if found else None) == cents


def test_medicare_needs_the_treasurys_rate() -> None:
    assert late("medicare-part-b", date(2026, 6, 1)) is None
    medicare = changed(
        "medicare-part-b",
        "prompt_pay",
        rates=(_rate(date(2025, 7, 1), 400), _rate(date(2026, 1, 1), 500)),
    )
    found = late_payment_penalty(
        medicare,
        billed=Cents(6000),
        contracted=Cents(3085),
        paid=Cents(2419),
        received_on=RECEIVED,
        paid_on=date(2026, 4, 7),  # day 62: 32 days
    )
    # 24.19 x 5 % x 32 / 365 = 0.106
    assert found is not None
    assert found.cents == 11


def _rate(first: date, basis_points: int) -> InterestRate:
    return InterestRate(effective_from=first, basis_points=basis_points)


def test_the_commercial_defaults_know_no_law() -> None:
    assert late("commercial", date(2027, 1, 1)) is None


# (60.00 - 28.15) x 6.05 / 28.15 = 6.8451: 6.85. Half: 3.425, rounded 3.43.
@pytest.mark.parametrize(
    ("until", "cents"),
    [
        (date(2026, 3, 6), None),  # not late at all
        (date(2026, 4, 9), None),  # the 30th day after the notice of 03-10
        (date(2026, 4, 10), 343),  # 35 days after 03-06
        (date(2026, 4, 20), 343),  # 45 days
        (date(2026, 4, 21), 685),  # 46 days
        (date(2026, 6, 4), 685),  # 90 days
        (date(2026, 6, 5), 716),  # 91: 6.85 + 6.85 x 18 % x 91 / 365 = 0.3074
    ],
)
def test_an_underpaid_balance_in_texas(until: date, cents: int | None) -> None:
    found = underpaid("texas-commercial", noticed_on=date(2026, 3, 10), until=until)
    assert (found.cents if found else None) == cents


def test_a_notice_after_day_270_is_too_late_in_texas() -> None:
    """Paid 2026-02-24: the 270th day after it is 2026-11-21."""
    until = date(2027, 2, 1)
    assert underpaid("texas-commercial", noticed_on=date(2026, 11, 21), until=until) is not None
    assert underpaid("texas-commercial", noticed_on=date(2026, 11, 22), until=until) is None


def test_an_underpaid_balance_in_virginia() -> None:
    """Day 60 after 2026-02-04 is 2026-04-05, 30 days of interest: 6.05 x 6 % x 30 / 365 = 0.0298;
    a year of it 0.363."""
    noticed = date(2026, 3, 10)
    assert underpaid("virginia-commercial", noticed_on=noticed, until=date(2026, 4, 5)).cents == 3  # type: ignore[union-attr]
    assert underpaid("virginia-commercial", noticed_on=noticed, until=date(2027, 3, 6)).cents == 36  # type: ignore[union-attr]
    assert underpaid("virginia-commercial", noticed_on=noticed, until=date(2026, 3, 16)) is None


def test_the_working_names_the_law() -> None:
    found = late("texas-commercial", date(2026, 3, 7))
    assert found is not None
    assert found.working == (
        "Texas Insurance Code 1301.103 and 1301.137; HMO: 843.342: 1 days late: 50 % of "
        "billed 60.00 - contracted 28.15 = 31.85: 15.93"
    )
    assert found.source.policy == "texas-commercial"
