"""Who may release a hold: refused before it reaches the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from groupclaim.lifecycle.state import ClaimState, Hold, Stage, Step
from workflows.claim import ClaimStart, ClaimWorkflow, ReleaseHold

SINCE = datetime(2026, 2, 3, 18, tzinfo=UTC)


def release(two_people: bool, **given: Any) -> None:
    hold = Hold(
        code="GROUP_SIZE_EXCEEDED", redo=Step.CHECK_CODING, since=SINCE, releasable=True,
        two_people=two_people,
    )  # fmt: skip
    state = ClaimState(claim_number="GC0000000000X", sequence=5, stage=Stage.CODING, hold=hold)
    carried = ClaimWorkflow(ClaimStart(claim_number="GC0000000000X", payer_key="p", state=state))
    values = {"code": "GROUP_SIZE_EXCEEDED", "by": "R. Lee", "reason": "read the LCD",
              "request": "r1"}  # fmt: skip
    carried._check_release(ReleaseHold.model_validate(values | given))


TOMORROW = SINCE + timedelta(days=1)


def test_one_person_is_enough_where_the_hold_says_so() -> None:
    release(False)


def test_a_waiver_of_two_people_with_an_end_is_taken() -> None:
    release(True, second="M. Okafor", until=TOMORROW)


@pytest.mark.parametrize(
    ("two_people", "given", "told"),
    [
        (True, {}, "second person"),
        (True, {"second": " ", "until": TOMORROW}, "second person"),
        (True, {"second": "r. lee ", "until": TOMORROW}, "second person"),
        (True, {"second": "M. Okafor"}, "expiry"),
        (True, {"second": "M. Okafor", "until": SINCE}, "ends after"),
        (False, {"until": SINCE}, "ends after"),
        (True, {"second": "M. Okafor", "until": TOMORROW, "reason": " "}, "reason"),
    ],
)
def test_what_is_refused(two_people: bool, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        release(two_people, **given)
