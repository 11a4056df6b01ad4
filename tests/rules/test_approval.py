"""Who may decide about how much: by role, with a second person, by the limits in force that day.

Of groupclaim's own limits a biller gives up to 100.00 up alone, a supervisor any amount, and above
100.00 two must agree; the rest is made here.
"""

from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

from groupclaim.model.approval import ApprovalLimit, Decision, Role
from groupclaim.policy.approvals import limit_for
from groupclaim.rules.approval import Deciding, people_needed, refusal
from tests.store.world import practice_file

DAY = date(2026, 3, 2)
BILLER = Deciding("B. Ash", Role.BILLER)
SUPERVISOR = Deciding("R. Lee", Role.SUPERVISOR)
OTHER = Deciding("S. Kim", Role.SUPERVISOR)
VIEWER = Deciding("V. Oak", Role.VIEWER)
NOBODY = Deciding("T. Poe", None)


def may(cents: int, first: Deciding, second: Deciding | None = None) -> str | None:
    limit = limit_for(Decision.WRITE_OFF, (), DAY)
    return refusal(Decision.WRITE_OFF, limit, cents, first, second)


@pytest.mark.parametrize(
    ("cents", "first", "second"),
    [
        (10_000, BILLER, None),
        (10_001, SUPERVISOR, OTHER),
        (10_001, BILLER, SUPERVISOR),  # decided by one, covered by the other
        (10_001, SUPERVISOR, BILLER),
        (1, SUPERVISOR, None),
    ],
)
def test_it_is_theirs_to_decide(cents: int, first: Deciding, second: Deciding | None) -> None:
    assert may(cents, first, second) is None


@pytest.mark.parametrize(
    ("cents", "first", "second", "told"),
    [
        (10_001, BILLER, None, "beyond what a biller decides"),
        (10_001, BILLER, Deciding("C. Elm", Role.BILLER), "beyond what a biller decides"),
        (10_001, SUPERVISOR, None, "needs a second person who agrees (--second)"),
        (10_001, SUPERVISOR, Deciding(" r. LEE ", Role.SUPERVISOR), "another than the first"),
        (1, VIEWER, None, "V. Oak: a viewer may not"),
        (1, NOBODY, None, "T. Poe: is nobody who has been let in"),
        (10_001, SUPERVISOR, NOBODY, "T. Poe: is nobody who has been let in"),
    ],
)
def test_a_refusal_says_why(
    cents: int, first: Deciding, second: Deciding | None, told: str
) -> None:
    why = may(cents, first, second)
    assert why is not None
    assert told in why
    assert why.startswith(f"a write-off of {cents // 100}.{cents % 100:02}")


def test_it_names_who_may() -> None:
    why = may(25_000, NOBODY) or ""
    assert why.endswith(
        "may: a biller up to 100.00, a supervisor whatever the amount, above 100.00 two people"
    )


def test_every_decision_has_a_limit_and_letters_are_the_supervisors() -> None:
    limits = {decision: limit_for(decision, (), DAY) for decision in Decision}
    assert all(limits.values())
    letter = limits[Decision.LETTER]
    assert letter is not None
    assert set(letter.roles) == {Role.SUPERVISOR}
    assert refusal(Decision.LETTER, letter, 6000, BILLER, None) is not None


def test_a_practices_own_limits_hold_from_their_day() -> None:
    own = (
        ApprovalLimit.model_validate(
            {
                "decision": "write_off",
                "from": "2026-03-01",
                "to": "2026-03-31",
                "roles": {"biller": 0, "administrator": 50_000},
            }
        ),
    )
    before, within = (limit_for(Decision.WRITE_OFF, own, day) for day in (date(2026, 2, 28), DAY))
    after = limit_for(Decision.WRITE_OFF, own, date(2026, 4, 1))
    assert before == after == limit_for(Decision.WRITE_OFF, (), DAY)
    administrator = Deciding("O. Fir", Role.ADMINISTRATOR)
    assert refusal(Decision.WRITE_OFF, within, 50_000, administrator, None) is None
    assert refusal(Decision.WRITE_OFF, within, 50_001, administrator, None) is not None
    assert refusal(Decision.WRITE_OFF, within, 1, BILLER, None) is not None
    assert [people_needed(limit, 60_000) for limit in (before, within)] == [2, 1]


def test_without_a_limit_nobody_may() -> None:
    why = refusal(Decision.REFUND, None, 1, SUPERVISOR, OTHER)
    assert why == "a refund of 0.01: no limit is in force, so nobody may"


def test_two_limits_on_one_day_are_refused() -> None:
    given = practice_file().practice.model_dump(mode="json")
    limit = {"decision": "refund", "from": "2026-01-01", "roles": {"biller": 100}}
    later = limit | {"from": "2026-06-01"}
    type(practice_file().practice).model_validate(
        given | {"approvals": [limit | {"to": "2026-05-31"}, later]}
    )
    with pytest.raises(ValidationError, match="two limits on one day for refund"):
        type(practice_file().practice).model_validate(given | {"approvals": [limit, later]})
