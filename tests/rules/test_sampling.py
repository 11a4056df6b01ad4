"""Samples that anybody can draw again, and an exact interval of what they say."""

from __future__ import annotations

from datetime import date
from typing import Literal

import pytest

from groupclaim.model.base import InputRefused
from groupclaim.model.practice import AuditSampling
from groupclaim.rules.sampling import Candidate, draw, error_rate, period_to_draw


def frame() -> list[Candidate]:
    """Thirty claims: twenty of payer A, ten of payer B; the first three look risky."""
    return [
        Candidate(
            claim_number=f"GC{n:02d}",
            payer="A" if n < 20 else "B",
            clinician="C1",
            group="Tue",
            risks=("denied", "underpaid")[: 2 - n] if n < 2 else ("denied",) if n == 2 else (),
        )
        for n in range(30)
    ]


def test_the_same_seed_draws_the_same_whatever_the_order_of_the_frame() -> None:
    first = draw(frame(), "2026-Q1", 12)
    assert draw(frame()[::-1], "2026-Q1", 12) == first
    other = draw(frame(), "2026-Q2", 12)
    assert other.frame_digest == first.frame_digest
    assert other.chosen != first.chosen
    assert draw(frame()[1:], "2026-Q1", 12).frame_digest != first.frame_digest


def test_half_is_in_proportion_and_the_rest_goes_where_most_looks_wrong() -> None:
    sample = draw(frame(), "2026-Q1", 12)
    fair = [one for one in sample.chosen if one.part == "representative"]
    # Six of thirty: four of the twenty of payer A, two of the ten of payer B.
    assert sorted(one.stratum for one in fair) == ["A C1 Tue"] * 4 + ["B C1 Tue"] * 2
    aimed = [one for one in sample.chosen if one.part == "aimed"]
    assert {one.claim_number for one in sample.chosen} >= {"GC00", "GC01", "GC02"}
    assert all(one.risks for one in aimed)
    counts = [len(one.risks) for one in aimed]
    assert counts == sorted(counts, reverse=True)


def test_what_is_left_over_goes_to_the_largest_remainder() -> None:
    # 3 of 30: 20/30 * 3 = 2, 10/30 * 3 = 1. 5 of 30: 3.33 and 1.67, so 3 and 2.
    for size, wanted in (
        (6, ["A C1 Tue", "A C1 Tue", "B C1 Tue"]),
        (10, ["A C1 Tue"] * 3 + ["B C1 Tue"] * 2),
    ):
        chosen = draw(frame(), "x", size).chosen
        fair = sorted(one.stratum for one in chosen if one.part == "representative")
        assert fair == wanted


def test_each_group_of_a_clinician_is_a_stratum_of_its_own() -> None:
    evenings = [
        one.model_copy(update={"group": "Thu"}) if int(one.claim_number[2:]) % 3 == 0 else one
        for one in frame()
    ]
    # Of payer A 7 evenings and 13 others, of payer B 3 and 7: a third of each is 2, 4, 1 and 2,
    # and the tenth goes to the largest remainder, 1/3 of 7, 13 and 7 alike: the first by name.
    fair = [one.stratum for one in draw(evenings, "x", 20).chosen if one.part == "representative"]
    assert sorted(fair) == (
        ["A C1 Thu"] * 3 + ["A C1 Tue"] * 4 + ["B C1 Thu"] * 1 + ["B C1 Tue"] * 2
    )


@pytest.mark.parametrize(
    ("months", "today", "first", "last"),
    [
        (1, date(2026, 3, 14), date(2026, 1, 1), date(2026, 1, 31)),
        (1, date(2026, 3, 15), date(2026, 1, 1), date(2026, 1, 31)),
        (1, date(2026, 3, 16), date(2026, 2, 1), date(2026, 2, 28)),
        (1, date(2026, 1, 16), date(2025, 12, 1), date(2025, 12, 31)),
        (3, date(2026, 4, 15), date(2025, 10, 1), date(2025, 12, 31)),
        (3, date(2026, 4, 16), date(2026, 1, 1), date(2026, 3, 31)),
        (12, date(2026, 12, 31), date(2025, 1, 1), date(2025, 12, 31)),
    ],
)
def test_a_period_is_drawn_from_fifteen_days_after_its_end(
    months: Literal[1, 3, 12], today: date, first: date, last: date
) -> None:
    assert period_to_draw(AuditSampling(months=months), today) == (first, last)


def test_nothing_to_draw_from_is_said_at_once() -> None:
    with pytest.raises(InputRefused) as caught:
        draw([], " ", 1)
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("errors", "reviewed", "low", "high"),
    [
        # Clopper and Pearson, 95 %: 0 of n has the upper bound 1 - 0.025 ** (1 / n).
        (0, 30, 0.0, 0.1157),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_the_exact_interval(errors: int, reviewed: int, low: float, high: float) -> None:
    rate = error_rate(errors, reviewed)
    assert (round(rate.low, 4), round(rate.high, 4)) == (low, high)


def test_more_errors_than_reviews_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0"):
        error_rate(3, 2)
