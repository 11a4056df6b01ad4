"""Waivers: who may give one, how long it counts; and asking the payer again for the day."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from groupclaim.lifecycle import events
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import ClaimState, Hold, Stage, Step
from groupclaim.lifecycle.transition import transition
from groupclaim.lifecycle.why import why
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.session import Attendance
from groupclaim.rules.holding import held
from tests.lifecycle.telling import DAY, START


def under(code: str) -> ClaimState:
    hold = Hold(code=code, redo=HOLDS[code].redo, since=START - DAY, releasable=True)
    return ClaimState(claim_number="GC0000000000X", sequence=9, stage=Stage.CODING, hold=hold)


def released(until: datetime | None = None) -> ClaimState:
    state, effects = transition(
        under("GROUP_SIZE_EXCEEDED"),
        events.HoldReleased(at=START, code="GROUP_SIZE_EXCEEDED", until=until),
    )
    assert effects == (Step.CHECK_CODING,)
    return state


def test_a_waiver_without_an_end_stays() -> None:
    state, _ = transition(released(), events.CodingChecked(at=START + 400 * DAY))
    assert state.waivers == ("GROUP_SIZE_EXCEEDED",)


def test_a_waiver_counts_until_its_end_and_no_longer() -> None:
    state = released(START + DAY)
    before, _ = transition(state, events.CodingChecked(at=START + DAY - timedelta(seconds=1)))
    assert before.waivers == ("GROUP_SIZE_EXCEEDED",)
    after, _ = transition(state, events.CodingChecked(at=START + DAY))
    assert (after.waivers, after.waived_until) == ((), {})


def test_a_new_waiver_stands_in_place_of_the_old_one() -> None:
    state = released(START + DAY)
    hold = under("GROUP_SIZE_EXCEEDED").hold
    again = state.model_copy(update={"hold": hold, "resume": None})
    release = events.HoldReleased(at=START + 2 * DAY, code="GROUP_SIZE_EXCEEDED")
    after, _ = transition(again, release)
    assert (after.waivers, after.waived_until) == (("GROUP_SIZE_EXCEEDED",), {})


def test_a_waiver_that_has_ended_lets_the_rule_hold_again() -> None:
    finding = Finding(
        rule="r", severity=Severity.BLOCK, sentence="s", hold="GROUP_SIZE_EXCEEDED", releasable=True
    )
    assert held((finding,), ("GROUP_SIZE_EXCEEDED",)) is None
    assert held((finding,), ()) is not None


@pytest.mark.parametrize(
    ("code", "releasable", "two_people"),
    [
        # A supervisor's look at a large room is the review itself.
        ("GROUP_SIZE_REVIEW", True, False),
        ("GROUP_SIZE_EXCEEDED", True, True),
        ("CLONED_NOTE", True, True),
        ("AUTH_REQUIRED", True, True),
        ("AUTH_REQUIRED", False, False),
        # Released for another look, not waived: one person.
        ("LICENCE_NOT_ACCEPTED", False, False),
        ("LICENCE_NOT_ACCEPTED", True, True),
        ("UNDERPAYMENT_REVIEW", True, False),
    ],
)
def test_who_must_agree(code: str, releasable: bool, two_people: bool) -> None:
    finding = Finding(
        rule="r", severity=Severity.BLOCK, sentence="s", hold=code, releasable=releasable
    )
    hold = held((finding,))
    assert hold is not None
    assert hold.two_people is two_people


@pytest.mark.parametrize("code", list(HOLDS))
def test_every_hold_says_who_acts_and_how_it_is_repaired(code: str) -> None:
    kind = HOLDS[code]
    who, _, what = kind.waits_for.partition(": ")
    assert who
    assert what
    assert kind.repair.endswith(".")
    assert kind.repair in why(under(code)).released_by


def test_the_list_of_hold_codes_is_whole() -> None:
    assert set(HOLDS) >= {
        "GROUP_SIZE_REVIEW", "GROUP_SIZE_EXCEEDED", "GROUP_OF_ONE", "EXCLUDED_ACTIVITY",
        "CLONED_NOTE", "MEMBER_NAMED", "NOTE_INCOMPLETE", "NOTE_UNSIGNED", "PLAN_INVALID",
        "COVERAGE_INACTIVE", "CARVE_OUT", "AUTH_REQUIRED", "AUTH_EXHAUSTED", "AUTH_MISMATCH",
        "NOT_DISTINCT", "MAC_COVERAGE_REVIEW", "RENDERING_NOT_PAYABLE",
        "CONTRACT_CHECK", "TELEHEALTH_TABLE_CHECK", "DUPLICATE", "TIMELY_FILING", "PART2_CONSENT",
    }  # fmt: skip


# --- the payer is asked again


def attended(stale: bool) -> tuple[ClaimState, tuple[Step, ...]]:
    waiting = ClaimState(claim_number="GC0000000000X", sequence=4, stage=Stage.ATTENDANCE)
    return transition(
        waiting,
        events.AttendanceRecorded(
            at=START, attendance=Attendance.ATTENDED, note_due_at=START + DAY, coverage_stale=stale
        ),
    )


def test_an_answer_too_old_is_asked_for_again_before_anything_else() -> None:
    state, effects = attended(stale=True)
    assert (state.stage, effects) == (Stage.ELIGIBILITY, (Step.CHECK_ELIGIBILITY,))
    state, effects = transition(state, events.EligibilityChecked(at=START))
    assert effects == (Step.CHECK_AUTHORIZATION,)
    state, effects = transition(state, events.AuthorizationChecked(at=START))
    assert (state.stage, effects) == (Stage.DOCUMENTATION, (Step.CHECK_DOCUMENTATION,))


def test_one_that_counts_is_not() -> None:
    state, effects = attended(stale=False)
    assert (state.hold.code if state.hold else None, effects) == ("NOTE_UNSIGNED", ())
