"""The ways of a claim, as a biller would tell them."""

import itertools
from datetime import datetime
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Consent, Hold, Stage, Step
from groupclaim.lifecycle.transition import (
    MAX_CORRECTIONS,
    held_back,
    look_again_refused,
    opened,
    transition,
    write_off_refused,
)
from groupclaim.lifecycle.why import why
from tests.lifecycle.telling import DAY, START, Answer, Telling, waiting_for_payment

BEFORE_ATTENDANCE = [Step.CHECK_ELIGIBILITY, Step.CHECK_AUTHORIZATION]
TO_READY = [Step.CHECK_DOCUMENTATION, Step.CHECK_CODING, Step.BUILD_CLAIM, Step.QUEUE_CLAIM]
AFTER_PAYMENT = [Step.AUDIT_PAYMENT, Step.SETTLE_BALANCE]


def anyhow(answer: events.Event, state: ClaimState, at: datetime) -> events.Event:
    """The same answer of a step whatever it was asked."""
    return answer


def corrected(
    correction: str, restart: Step = Step.CHECK_ELIGIBILITY, frequency: str = "1"
) -> events.DenialDecided:
    return events.DenialDecided(
        at=START, correction=correction, restart=restart, frequency=frequency
    )


def test_clean_claim() -> None:
    told = Telling()
    assert told.steps == BEFORE_ATTENDANCE
    assert told.stage() is Stage.ATTENDANCE
    assert told.attended() == TO_READY
    assert told.stage() is Stage.READY
    stages = []
    for happens in (
        told.submitted,
        lambda: told.acknowledged("999"),
        lambda: told.acknowledged("277CA"),
    ):
        assert happens() == []
        assert told.state.due_at == told.at + DAY
        stages.append(told.state.stage)
    assert stages == [Stage.SUBMITTED, Stage.ACKNOWLEDGED, Stage.ACCEPTED]
    assert told.remitted() == AFTER_PAYMENT
    assert told.stage() is Stage.CLOSED
    assert told.state.ended
    assert told.state.since == told.at
    assert told.state.version == 1
    assert why(told.state).waiting_for == "nothing: closed"


def test_attendance_known_before_the_checks_end_is_not_awaited() -> None:
    state = ClaimState(claim_number="GC0000000000X", attendance="attended")
    told = Telling(state)
    assert told.steps == [*BEFORE_ATTENDANCE, *TO_READY]


def test_late_note() -> None:
    told = Telling()
    told.held_once(Step.CHECK_DOCUMENTATION, "NOTE_UNSIGNED")
    assert told.attended() == [Step.CHECK_DOCUMENTATION]
    assert told.hold_code() == "NOTE_UNSIGNED"
    assert told.stage() is Stage.DOCUMENTATION
    assert told.learned("authorization") == []
    assert told.released("NOTE_UNSIGNED") == []  # a person cannot release an unsigned note
    assert told.learned("note") == TO_READY
    assert told.state.hold is None


def test_a_hold_that_a_fact_clears_is_looked_at_again_at_its_deadline() -> None:
    told = Telling()
    told.held_once(Step.CHECK_DOCUMENTATION, "NOTE_UNSIGNED")
    told.attended()
    assert told.deadline_passes() == [Step.FOLLOW_UP, *TO_READY]
    assert told.state.hold is None
    assert told.state.follow_ups == 0


def test_other_coverage_before_the_claim_is_built_is_asked_for_anew() -> None:
    told = Telling()
    assert told.learned("coverage") == BEFORE_ATTENDANCE
    told.attended()
    assert told.stage() is Stage.READY
    assert told.learned("coverage") == [Step.QUEUE_CLAIM], "what waits is looked at"
    assert told.stage() is Stage.READY
    told.once(Step.QUEUE_CLAIM, lambda _, at: events.ClaimQueued(at=at, stale=True))
    assert told.learned("coverage") == [Step.QUEUE_CLAIM, *BEFORE_ATTENDANCE, *TO_READY]


def test_attendance_corrected_before_the_batch_is_cut_is_checked_anew() -> None:
    told = Telling()
    told.attended()
    assert told.stage() is Stage.READY
    assert told.happens(attended_and(sent=True)) == []
    assert told.happens(attended_and()) == TO_READY


def attended_and(**more: object) -> events.AttendanceRecorded:
    return events.AttendanceRecorded.model_validate({"at": START, "attendance": "attended", **more})


def test_nothing_is_checked_before_the_note_is_signed() -> None:
    told = Telling()
    assert told.happens(attended_and(note_due_at=START + 7 * DAY)) == []
    assert told.hold_code() == "NOTE_UNSIGNED"
    assert told.stage() is Stage.DOCUMENTATION
    assert told.state.due_at == START + 7 * DAY
    assert told.learned("note") == TO_READY


def test_a_note_signed_before_attendance_is_known_is_not_awaited() -> None:
    told = Telling()
    assert told.learned("note") == []
    assert told.happens(attended_and(note_due_at=START + 7 * DAY)) == TO_READY


def test_coverage_asked_long_before_the_session_is_asked_again() -> None:
    told = Telling()
    assert told.happens(attended_and(coverage_stale=True)) == [*BEFORE_ATTENDANCE, *TO_READY]


def test_a_waiver_counts_until_it_ends() -> None:
    told = Telling()
    told.held_once(Step.CHECK_CODING, "SAME_DAY_SERVICE", releasable=True)
    told.held_once(Step.BUILD_CLAIM, "CLAIM_REFUSED", releasable=True)
    told.attended()
    until = told.at + DAY
    told.happens(events.HoldReleased(at=told.at, code="SAME_DAY_SERVICE", until=until))
    assert told.state.waivers == ("SAME_DAY_SERVICE",)
    assert told.state.waived_until == {"SAME_DAY_SERVICE": until}
    told.at = until
    told.released("CLAIM_REFUSED")
    assert told.state.waivers == ("CLAIM_REFUSED",)
    assert told.state.waived_until == {}


@pytest.mark.parametrize(
    ("outcome", "code", "again"),
    [
        ("overpaid", "OVERPAYMENT_REVIEW", [Step.SETTLE_BALANCE]),
        ("unpriced", "PAYMENT_UNPRICED", AFTER_PAYMENT),
    ],
)
def test_a_payment_that_surprises_waits_for_a_person(
    outcome: str, code: str, again: list[Step]
) -> None:
    told = waiting_for_payment()
    surprise = events.PaymentAudited.model_validate({"at": START, "outcome": outcome})
    for _ in range(3):
        told.once(Step.AUDIT_PAYMENT, partial(anyhow, surprise))
    assert told.remitted() == [Step.AUDIT_PAYMENT]
    assert told.hold_code() == code
    assert told.released(code) == again
    assert told.stage() is Stage.CLOSED
    told.remitted()  # what was said of that payment does not hold for the next
    assert told.hold_code() == code


@pytest.mark.parametrize("status", ["no_show", "excused"])
def test_who_did_not_come_is_not_billed(status: str) -> None:
    told = Telling()
    assert told.not_attended(status) == []
    assert told.stage() is Stage.NOT_BILLABLE
    assert told.state.reason == status.upper()
    assert told.state.ended


def test_attendance_corrected_before_sending_takes_the_claim_up_again() -> None:
    told = Telling()
    told.not_attended()
    assert told.attended() == [*BEFORE_ATTENDANCE, *TO_READY]
    assert told.stage() is Stage.READY
    assert told.state.reason is None


def test_not_billable_ends_also_a_held_claim() -> None:
    told = Telling()
    told.held_once(Step.CHECK_DOCUMENTATION, "NOTE_UNSIGNED")
    told.attended()
    told.not_attended()
    assert told.state.ended


def test_inactive_coverage() -> None:
    state, _ = transition(
        ClaimState(claim_number="GC0000000000X"),
        events.EligibilityChecked(
            at=START, held=events.Held(code="COVERAGE_INACTIVE", releasable=False)
        ),
    )
    told = Telling(state)
    assert told.steps == []
    assert told.attended() == []  # noted, and used once the coverage is mended
    assert told.stage() is Stage.ELIGIBILITY
    assert told.learned("coverage") == [*BEFORE_ATTENDANCE, *TO_READY]


def test_group_size_release_is_remembered() -> None:
    told = Telling()
    told.held_once(Step.CHECK_CODING, "GROUP_SIZE_REVIEW", releasable=True)
    told.attended()
    assert told.released("AUTH_REQUIRED") == []  # of another hold: means nothing here
    assert told.released("GROUP_SIZE_REVIEW") == TO_READY[1:]
    assert told.state.waivers == ("GROUP_SIZE_REVIEW",)


def test_group_size_hold_is_looked_at_again_when_attendance_is_corrected() -> None:
    told = Telling()
    told.held_once(Step.CHECK_CODING, "GROUP_SIZE_EXCEEDED")
    told.attended()
    assert told.attended() == TO_READY
    assert told.state.waivers == ()


def test_rejected_by_277ca_corrected_and_sent_as_a_new_claim() -> None:
    told = Telling()
    told.attended()
    told.submitted()
    told.acknowledged("999")
    told.once(Step.DECIDE_DENIAL, lambda state, at: corrected("refresh_member_id"))
    assert told.acknowledged("277CA", accepted=False, cause="A7:164") == [
        Step.DECIDE_DENIAL,
        *BEFORE_ATTENDANCE,
        *TO_READY,
    ]
    assert told.state.version == 2
    assert told.state.frequency == "1"
    assert told.state.corrections == ("A7:164:refresh_member_id",)
    told.sent_and_accepted()
    told.remitted()
    assert told.stage() is Stage.CLOSED


def test_denied_co_197_corrected_by_replacement() -> None:
    told = waiting_for_payment()
    told.once(
        Step.DECIDE_DENIAL,
        lambda state, at: corrected("add_authorization", Step.CHECK_AUTHORIZATION, "7"),
    )
    assert told.remitted(denied="CO-197") == [
        Step.DECIDE_DENIAL,
        Step.CHECK_AUTHORIZATION,
        *TO_READY,
    ]
    assert told.state.frequency == "7"
    assert told.state.version == 2
    told.sent_and_accepted()
    assert told.remitted() == AFTER_PAYMENT
    assert told.stage() is Stage.CLOSED


def test_a_denial_without_correction_waits_for_the_authorization() -> None:
    told = waiting_for_payment()
    told.held_once(Step.DECIDE_DENIAL, "DENIED", releasable=True)
    told.remitted(denied="CO-197")
    assert told.hold_code() == "DENIED"
    told.once(
        Step.DECIDE_DENIAL,
        lambda state, at: corrected("add_authorization", Step.CHECK_AUTHORIZATION, "7"),
    )
    assert told.learned("authorization")[0] is Step.DECIDE_DENIAL
    assert told.stage() is Stage.READY


def test_the_same_correction_is_never_tried_twice() -> None:
    told = waiting_for_payment()
    for _ in range(2):
        told.once(
            Step.DECIDE_DENIAL,
            lambda state, at: corrected("add_authorization", Step.CHECK_AUTHORIZATION, "7"),
        )
    told.remitted(denied="CO-197")
    told.sent_and_accepted()
    assert told.remitted(denied="CO-197") == [Step.DECIDE_DENIAL]
    assert told.hold_code() == "DENIED"
    assert len(told.state.corrections) == 1


def test_corrections_end_at_a_person() -> None:
    told = waiting_for_payment()
    for attempt in range(MAX_CORRECTIONS):
        told.once(Step.DECIDE_DENIAL, partial(anyhow, corrected(f"correction_{attempt}")))
        told.remitted(denied="CO-16")
        told.sent_and_accepted()
    told.once(Step.DECIDE_DENIAL, lambda state, at: corrected("one_more"))
    told.remitted(denied="CO-16")
    assert told.hold_code() == "DENIED"
    assert len(told.state.corrections) == MAX_CORRECTIONS


def test_underpayment_is_held_until_released() -> None:
    told = waiting_for_payment()
    told.once(
        Step.SETTLE_BALANCE,
        lambda state, at: events.BalanceSettled(at=at, payer_open=375, patient_open=0),
    )
    assert told.remitted() == AFTER_PAYMENT
    assert told.stage() is Stage.UNDERPAYMENT_REVIEW
    assert told.hold_code() == "UNDERPAYMENT_REVIEW"
    assert told.released("UNDERPAYMENT_REVIEW") == [Step.SETTLE_BALANCE]
    assert told.state.waivers == ("UNDERPAYMENT_REVIEW",)
    assert told.stage() is Stage.CLOSED


@pytest.mark.parametrize(("payer_open", "patient_open"), [(-1, 0), (-1, -1), (-5, 500)])
def test_overpayment_is_held(payer_open: int, patient_open: int) -> None:
    told = waiting_for_payment()
    told.once(
        Step.SETTLE_BALANCE,
        lambda state, at: events.BalanceSettled(
            at=at, payer_open=payer_open, patient_open=patient_open
        ),
    )
    told.remitted()
    assert told.hold_code() == "OVERPAYMENT_REVIEW"


def test_money_that_the_patient_paid_too_much_waits_for_its_refund() -> None:
    told = waiting_for_payment()
    told.once(
        Step.SETTLE_BALANCE,
        lambda state, at: events.BalanceSettled(at=at, payer_open=0, patient_open=-500),
    )
    told.remitted()
    assert told.hold_code() == "REFUND_DUE"
    assert told.released("REFUND_DUE") == []
    assert told.patient_paid() == [Step.SETTLE_BALANCE]
    assert told.stage() is Stage.CLOSED


def test_a_copay_of_a_patient_who_did_not_come_is_paid_back_and_the_reason_stays() -> None:
    told = Telling()
    told.happens(
        events.AttendanceRecorded(
            at=told.at, attendance="no_show", not_billable="NO_SHOW", prepaid=1500
        )
    )
    assert told.hold_code() == "REFUND_DUE"
    assert not told.state.ended
    told.patient_paid()
    assert (told.stage(), told.state.reason) == (Stage.NOT_BILLABLE, "NO_SHOW")
    assert told.state.ended


def test_a_release_consents_to_the_amount_that_was_shown_and_to_no_later_one() -> None:
    told = waiting_for_payment()
    asked = []

    def short(cents: int) -> Answer:
        def settled(state: ClaimState, at: datetime) -> events.Event:
            asked.append(state.consent)
            return events.BalanceSettled(at=at, payer_open=cents, patient_open=0)

        return settled

    for cents in (375, 6000, 0):
        told.once(Step.SETTLE_BALANCE, short(cents))
    told.remitted()
    for key in ("one", "two"):
        told.happens(events.HoldReleased(at=told.at, key=key, code="UNDERPAYMENT_REVIEW"))
    assert asked == [None, Consent(key="one", payer_open=375), Consent(key="two", payer_open=6000)]
    assert told.state.consent is None


def test_an_unpriced_payment_accepted_once_is_asked_about_again_with_the_next() -> None:
    told = waiting_for_payment()
    unpriced = events.PaymentAudited(at=told.at, outcome="unpriced")
    told.once(Step.AUDIT_PAYMENT, lambda state, at: unpriced)
    told.remitted()
    told.released("PAYMENT_UNPRICED")
    told.once(Step.AUDIT_PAYMENT, lambda state, at: unpriced)
    told.remitted()
    assert told.hold_code() == "PAYMENT_UNPRICED"


def test_what_was_said_of_one_shortfall_does_not_hold_for_the_next() -> None:
    told = waiting_for_payment()
    short = events.BalanceSettled(at=START, payer_open=375, patient_open=0)
    told.once(Step.SETTLE_BALANCE, lambda state, at: short)
    told.remitted()
    told.released("UNDERPAYMENT_REVIEW")
    told.once(Step.SETTLE_BALANCE, lambda state, at: short)
    assert told.remitted() == AFTER_PAYMENT
    assert told.state.waivers == ()
    assert told.hold_code() == "UNDERPAYMENT_REVIEW"


def test_patient_balance() -> None:
    told = waiting_for_payment()
    for patient_open in (1500, 500):
        told.once(
            Step.SETTLE_BALANCE,
            partial(
                anyhow,
                events.BalanceSettled(
                    at=START, payer_open=0, patient_open=patient_open, due_at=START + 30 * DAY
                ),
            ),
        )
    told.remitted()
    assert told.stage() is Stage.PATIENT_BALANCE
    assert told.state.reason == "PATIENT_BALANCE_DUE"
    assert told.patient_paid() == [Step.SETTLE_BALANCE]
    assert told.stage() is Stage.PATIENT_BALANCE
    assert told.deadline_passes() == [Step.FOLLOW_UP]
    assert told.patient_paid() == [Step.SETTLE_BALANCE]
    assert told.state.ended
    assert told.state.reason is None


def _asks(code: str = "ATTENDANCE_CHANGED") -> Answer:
    held = events.Held(code=code, releasable=True)
    return lambda state, at: events.VoidPlanned(
        at=at, next="hold", held=held, reason="NO_SHOW", due_at=at + DAY
    )


def _next(what: str, **more: object) -> Answer:
    return lambda state, at: events.VoidPlanned.model_validate(
        {"at": at, "next": what, "reason": "NO_SHOW", "due_at": at + DAY, **more}
    )


def test_a_claim_that_is_not_true_is_taken_back_once_a_person_agrees() -> None:
    told = waiting_for_payment()
    told.once(Step.PLAN_VOID, _asks())
    assert told.not_attended(sent=True) == [Step.PLAN_VOID]
    assert (told.stage(), told.hold_code()) == (Stage.VOID, "ATTENDANCE_CHANGED")
    assert told.state.reason == "NO_SHOW"
    told.once(Step.PLAN_VOID, _asks())
    assert told.remitted() == [Step.PLAN_VOID]  # what is paid meanwhile is not audited
    since = told.state.hold.since if told.state.hold else None
    told.once(Step.PLAN_VOID, _asks())
    assert told.deadline_passes() == [Step.PLAN_VOID]
    assert (told.state.hold.since if told.state.hold else None) == since
    told.once(Step.PLAN_VOID, _next("send"))
    void = [Step.PLAN_VOID, Step.BUILD_CLAIM, Step.QUEUE_CLAIM]
    assert told.released("ATTENDANCE_CHANGED") == void
    assert (told.stage(), told.state.frequency, told.state.version) == (Stage.VOID, "8", 2)
    told.submitted()
    told.once(Step.PLAN_VOID, _next("wait"))
    assert told.acknowledged("277CA") == [Step.PLAN_VOID]
    assert told.stage() is Stage.VOID
    assert told.remitted(version=1) == [Step.PLAN_VOID, Step.SETTLE_BALANCE]
    assert (told.stage(), told.state.reason) == (Stage.NOT_BILLABLE, "NO_SHOW")
    assert told.state.ended
    assert (told.state.waivers, told.state.frequency) == ((), "1")


def test_a_refused_void_is_sent_again_only_when_a_person_says_so() -> None:
    told = waiting_for_payment()
    told.once(Step.PLAN_VOID, _next("send"))
    told.not_attended(sent=True)
    told.submitted()
    told.once(Step.PLAN_VOID, _asks("VOID_REFUSED"))
    assert told.acknowledged("277CA", accepted=False, cause="A7:535") == [Step.PLAN_VOID]
    assert (told.hold_code(), told.state.cause) == ("VOID_REFUSED", "A7:535")
    told.once(Step.PLAN_VOID, _next("send"))
    told.released("VOID_REFUSED")
    assert (told.state.version, told.state.cause, told.state.waivers) == (3, None, ())


def test_a_payment_wakes_a_claim_that_was_taken_back() -> None:
    told = waiting_for_payment()
    told.not_attended(sent=True)
    assert told.state.ended
    told.once(Step.PLAN_VOID, _asks())
    assert told.remitted(version=1) == [Step.PLAN_VOID]
    assert told.hold_code() == "ATTENDANCE_CHANGED"


def test_attendance_corrected_back_before_the_payer_was_told() -> None:
    told = waiting_for_payment()
    told.once(Step.PLAN_VOID, _asks())
    told.not_attended(sent=True)
    told.once(Step.PLAN_VOID, _next("stands", stage=Stage.ACCEPTED, version=1, reason=None))
    assert told.attended() == [Step.PLAN_VOID]
    assert (told.stage(), told.hold_code(), told.state.reason) == (Stage.ACCEPTED, None, None)
    assert told.remitted() == AFTER_PAYMENT


def test_attendance_corrected_back_after_the_void_is_billed_anew() -> None:
    told = waiting_for_payment()
    told.once(Step.PLAN_VOID, _next("send"))
    told.not_attended(sent=True)
    told.submitted()
    told.once(Step.PLAN_VOID, _next("wait"))
    assert told.attended() == [Step.PLAN_VOID]  # the payer has been told: it is carried through
    told.once(Step.PLAN_VOID, _next("done", rebill=True, reason=None))
    told.remitted(version=1)
    assert (told.stage(), told.state.version, told.state.frequency) == (Stage.READY, 3, "1")


def test_a_denial_is_no_longer_worked_when_the_claim_is_not_true() -> None:
    told = waiting_for_payment()
    told.once(
        Step.DECIDE_DENIAL,
        lambda state, at: events.DenialDecided(
            at=at, held=events.Held(code="DENIED", releasable=True), denial=1
        ),
    )
    told.remitted(denied="CO-29")
    assert (told.hold_code(), told.state.denial) == ("DENIED", 1)
    assert told.not_attended(sent=True) == [Step.PLAN_VOID, Step.SETTLE_BALANCE]
    assert (told.stage(), told.state.denial) == (Stage.NOT_BILLABLE, 0)


def test_a_withdrawn_note_takes_the_claim_back_and_a_new_signature_bills_it_again() -> None:
    told = waiting_for_payment()
    withdrawn = events.FactLearned(at=told.at, fact="note_withdrawn", sent=True)
    told.once(
        Step.PLAN_VOID,
        lambda state, at: events.VoidPlanned(at=at, next="done", reason=state.reason),
    )
    assert told.happens(withdrawn) == [Step.PLAN_VOID, Step.SETTLE_BALANCE]
    assert (told.stage(), told.state.reason) == (Stage.NOT_BILLABLE, "NOTE_WITHDRAWN")
    assert told.learned("note")[:1] == [Step.CHECK_ELIGIBILITY]
    assert told.stage() is Stage.READY


def test_a_second_remittance_wakes_a_closed_claim() -> None:
    told = waiting_for_payment()
    told.remitted()
    assert told.state.ended
    woken = Telling(ClaimState.model_validate_json(told.state.model_dump_json()))
    assert woken.steps == []
    assert woken.remitted() == AFTER_PAYMENT
    assert woken.state.ended


def test_money_taken_back_from_a_closed_claim_is_audited() -> None:
    """A reversal whose correction is a denial: the account is open again."""
    told = waiting_for_payment()
    told.remitted()
    told.once(
        Step.SETTLE_BALANCE,
        lambda state, at: events.BalanceSettled(at=at, payer_open=6000, patient_open=0),
    )
    assert told.remitted(denied="CO-22") == AFTER_PAYMENT
    assert told.hold_code() == "UNDERPAYMENT_REVIEW"


def test_a_denial_of_an_earlier_version_means_nothing() -> None:
    told = waiting_for_payment()
    told.once(Step.DECIDE_DENIAL, lambda state, at: corrected("refresh_member_id"))
    told.remitted(denied="CO-31")
    assert told.state.version == 2
    assert told.remitted(denied="CO-31", version=1) == []
    assert told.stage() is Stage.READY


def test_a_deadline_is_followed_up_each_time_it_passes() -> None:
    told = waiting_for_payment()
    for count in (1, 2, 3):
        assert told.deadline_passes() == [Step.ASK_STATUS]
        assert told.state.follow_ups == count
        assert told.state.due_at is not None
        assert told.stage() is Stage.ACCEPTED


def test_a_correction_that_is_refused_leaves_the_claim_with_a_date_and_with_people() -> None:
    """Denial 2 ended as corrected in the way that was tried for denial 1: nobody works it more."""
    told = waiting_for_payment()
    again = partial(
        events.DenialAdvanced, at=START, correction="review_coding", restart=Step.CHECK_CODING
    )
    for denial in (1, 2):
        answer = events.DenialDecided(
            at=START, denial=denial, held=events.Held(code="DENIED", releasable=True), due_at=START
        )
        told.once(Step.DECIDE_DENIAL, partial(anyhow, answer))
        told.remitted(denied="CO-4")
        told.happens(again(denial=denial, key=f"denial:{denial}", due_at=START + 7 * DAY))
        if denial == 1:
            told.sent_and_accepted()
    assert (told.hold_code(), told.state.denial) == ("DENIED", 0)
    assert told.state.due_at == START + 7 * DAY
    assert told.deadline_passes() == [Step.FOLLOW_UP, Step.DECIDE_DENIAL]


def test_a_denial_that_is_worked_looks_at_what_is_on_file_by_itself() -> None:
    """A reminder of the claim decides a denial again only where nobody works on it."""
    for denial, steps in ((0, [Step.FOLLOW_UP, Step.DECIDE_DENIAL]), (1, [Step.FOLLOW_UP])):
        told = waiting_for_payment()
        answer = events.DenialDecided(
            at=START,
            denial=denial,
            held=events.Held(code="DENIED", releasable=True),
            due_at=START + 60 * DAY,
        )
        told.once(Step.DECIDE_DENIAL, partial(anyhow, answer))
        told.remitted(denied="CO-197")
        assert told.hold_code() == "DENIED"
        assert told.deadline_passes() == steps


def test_a_deadline_that_moved_meanwhile_has_not_passed() -> None:
    told = waiting_for_payment()
    assert told.state.due_at is not None
    assert told.happens(events.DeadlinePassed(at=told.state.due_at - DAY)) == []


@given(told=st.lists(st.sampled_from(range(3)), min_size=3, max_size=9))
def test_acknowledgments_doubled_late_or_missing_end_where_the_last_word_leads(
    told: list[int],
) -> None:
    """However often and in whatever order: the claim stands where the furthest word has led, and
    its deadline is that word's."""
    words = [
        events.Submitted(at=START, version=1, key="a", due_at=START + DAY),
        events.Acknowledged(
            at=START, by="999", version=1, accepted=True, key="b", due_at=START + 3 * DAY
        ),
        events.Acknowledged(
            at=START, by="277CA", version=1, accepted=True, key="c", due_at=START + 14 * DAY
        ),
    ]
    stages = [Stage.SUBMITTED, Stage.ACKNOWLEDGED, Stage.ACCEPTED]
    claim = Telling()
    claim.attended()
    for place in told:
        assert claim.happens(words[place]) == []
    assert claim.state.stage is stages[max(told)]
    assert claim.state.due_at == words[max(told)].due_at


@given(order=st.permutations(range(4)), doubled=st.integers(0, 3))
def test_a_rejection_among_acknowledgments_is_mended_once(order: list[int], doubled: int) -> None:
    """The file was taken and the claim refused: whatever comes first or twice, one new version."""
    words = [
        events.Submitted(at=START, version=1, key="a", due_at=START + DAY),
        events.Acknowledged(at=START, by="999", version=1, accepted=True, key="b"),
        events.Acknowledged(at=START, by="277CA", version=1, accepted=False, key="c", cause="A7:1"),
        events.Acknowledged(at=START, by="277CA", version=1, accepted=False, key="c", cause="A7:1"),
    ]
    claim = Telling()
    claim.attended()
    asked = [step for place in (*order, doubled) for step in claim.happens(words[place])]
    assert asked.count(Step.DECIDE_DENIAL) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_acknowledgments_in_every_order_end_in_the_same_state(order: tuple[int, ...]) -> None:
    at = [START + DAY * day for day in range(1, 4)]
    told = [
        events.Submitted(at=at[0], version=1, key="a", due_at=at[0] + DAY),
        events.Acknowledged(
            at=at[1], by="999", version=1, accepted=True, key="b", due_at=at[1] + DAY
        ),
        events.Acknowledged(
            at=at[2], by="277CA", version=1, accepted=True, key="c", due_at=at[2] + 30 * DAY
        ),
    ]
    claim = Telling()
    claim.attended()
    ready = claim.state
    for place in order:
        claim.happens(told[place])
    assert claim.state == ready.model_copy(
        update={
            "stage": Stage.ACCEPTED,
            "since": at[2],
            "due_at": at[2] + 30 * DAY,
            "sequence": ready.sequence + 3,
            "seen": tuple("abc"[place] for place in order),
        }
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_rejection_in_any_order_is_decided_once(order: tuple[int, ...]) -> None:
    told = [
        events.Submitted(at=START, version=1),
        events.Acknowledged(at=START, by="999", version=1, accepted=True),
        events.Acknowledged(at=START, by="277CA", version=1, accepted=False, cause="A7"),
    ]
    claim = Telling()
    claim.attended()
    claim.steps.clear()
    claim.held_once(Step.DECIDE_DENIAL, "REJECTED")
    for place in order:
        claim.happens(told[place])
    assert claim.steps == [Step.DECIDE_DENIAL]
    assert claim.hold_code() == "REJECTED"
    assert claim.state.cause == "A7"


def test_an_event_told_twice_changes_nothing_at_all() -> None:
    claim = Telling()
    claim.attended()
    event = events.Submitted(at=START, version=1, key="batch-1")
    claim.happens(event)
    once = claim.state
    again, effects = transition(once, event)
    assert again is once
    assert effects == ()


def test_the_result_of_a_step_that_is_not_under_way_changes_nothing() -> None:
    claim = waiting_for_payment()
    assert claim.happens(events.CodingChecked(at=START)) == []
    assert claim.happens(events.BalanceSettled(at=START, payer_open=0, patient_open=0)) == []
    assert claim.state.stage is Stage.ACCEPTED


def test_a_claim_taken_up_in_the_middle_of_a_step_does_it_again() -> None:
    state = ClaimState(claim_number="GC0000000000X")
    assert opened(state) == (Step.CHECK_ELIGIBILITY,)
    state, effects = transition(state, events.EligibilityChecked(at=START))
    assert effects == (Step.CHECK_AUTHORIZATION,)
    assert opened(ClaimState.model_validate_json(state.model_dump_json())) == effects


def test_a_hold_needs_a_known_code() -> None:
    with pytest.raises(ValueError, match="no such hold"):
        events.Held(code="SOMETHING_ELSE", releasable=True)


def next_payer(turn: str, **changes: object) -> Answer:
    """The balance says that it is the second payer's turn, with a day to wait."""
    return lambda state, at: events.BalanceSettled(
        at=at, due_at=at + DAY, payer_open=0, patient_open=603, next_payer=turn, payer=2, **changes
    )


def test_the_next_payer_is_billed_before_the_patient() -> None:
    told = waiting_for_payment()
    told.once(Step.SETTLE_BALANCE, next_payer("bill"))
    assert told.remitted() == [*AFTER_PAYMENT, Step.BUILD_CLAIM, Step.QUEUE_CLAIM]
    assert (told.stage(), told.state.version, told.state.payer) == (Stage.READY, 2, 2)
    told.sent_and_accepted()
    told.once(
        Step.SETTLE_BALANCE,
        lambda state, at: events.BalanceSettled(
            at=at, due_at=at + DAY, payer_open=0, patient_open=200
        ),
    )
    assert told.remitted() == AFTER_PAYMENT
    assert (told.stage(), told.state.reason) == (Stage.PATIENT_BALANCE, "PATIENT_BALANCE_DUE")
    assert told.patient_paid() == [Step.SETTLE_BALANCE]
    assert told.stage() is Stage.CLOSED


def test_a_crossover_is_awaited_and_its_payment_ends_the_wait() -> None:
    told = waiting_for_payment()
    told.once(Step.SETTLE_BALANCE, next_payer("crossover"))
    assert told.remitted() == AFTER_PAYMENT
    assert told.stage() is Stage.CROSSOVER
    assert "forwarded" in why(told.state).waiting_for
    assert told.remitted() == AFTER_PAYMENT  # it names the version that the first payer got
    assert told.stage() is Stage.CLOSED


def test_a_crossover_that_does_not_come_is_billed_by_us() -> None:
    told = waiting_for_payment()
    told.once(Step.SETTLE_BALANCE, next_payer("crossover"))
    told.remitted()
    told.once(Step.SETTLE_BALANCE, next_payer("bill"))
    assert told.deadline_passes() == [Step.SETTLE_BALANCE, Step.BUILD_CLAIM, Step.QUEUE_CLAIM]
    assert told.stage() is Stage.READY


def test_what_the_next_payer_denies_is_never_corrected_as_the_first_ones_claim() -> None:
    told = waiting_for_payment()
    told.once(Step.SETTLE_BALANCE, next_payer("bill"))
    told.remitted()
    told.sent_and_accepted()
    told.once(Step.DECIDE_DENIAL, partial(anyhow, corrected("add_authorization")))
    assert told.remitted(denied="CO-197") == [Step.DECIDE_DENIAL]
    assert told.hold_code() == "DENIED"


def test_a_first_payer_that_changes_its_mind_has_the_next_one_billed_anew() -> None:
    told = waiting_for_payment()
    told.once(Step.SETTLE_BALANCE, next_payer("bill"))
    told.remitted()
    told.sent_and_accepted()
    told.once(Step.SETTLE_BALANCE, next_payer("changed", frequency="7"))
    assert told.remitted(version=1) == AFTER_PAYMENT
    assert told.hold_code() == "COORDINATION_REVIEW"
    assert told.released("COORDINATION_REVIEW") == [Step.BUILD_CLAIM, Step.QUEUE_CLAIM]
    assert (told.state.frequency, told.state.payer) == ("7", 2)


def test_an_answer_of_the_first_payer_that_changes_nothing_waits_on_for_the_next() -> None:
    told = waiting_for_payment()
    told.once(Step.SETTLE_BALANCE, next_payer("bill"))
    told.remitted()
    told.sent_and_accepted()
    told.once(Step.SETTLE_BALANCE, next_payer("await"))
    assert told.remitted(version=1) == AFTER_PAYMENT
    assert (told.stage(), told.state.payer) == (Stage.ACCEPTED, 2)


def test_a_card_pays_what_is_left_and_a_declined_one_is_not_tried_again_alone() -> None:
    for outcome, stage, reason in (
        ("charged", Stage.CLOSED, None),
        ("declined", Stage.PATIENT_BALANCE, "CARD_DECLINED"),
        ("not_charged", Stage.PATIENT_BALANCE, "PATIENT_BALANCE_DUE"),
        ("announced", Stage.PATIENT_BALANCE, "CARD_ANNOUNCED"),
    ):
        told = waiting_for_payment()
        told.once(
            Step.SETTLE_BALANCE,
            lambda state, at: events.BalanceSettled(
                at=at, due_at=at + DAY, payer_open=0, patient_open=603, charge_card=True
            ),
        )
        told.once(
            Step.CHARGE_CARD,
            partial(anyhow, events.CardCharged(at=START, due_at=START + 99 * DAY, outcome=outcome)),
        )
        steps = told.remitted()
        assert steps[:3] == [*AFTER_PAYMENT, Step.CHARGE_CARD]
        assert (told.stage(), told.state.reason) == (stage, reason)


def test_a_card_that_was_announced_is_charged_on_its_day_and_not_before() -> None:
    told = waiting_for_payment()
    charged_on = START + 99 * DAY
    told.once(
        Step.SETTLE_BALANCE,
        lambda state, at: events.BalanceSettled(
            at=at, due_at=at + DAY, payer_open=0, patient_open=603, charge_card=True
        ),
    )
    told.once(
        Step.CHARGE_CARD,
        partial(anyhow, events.CardCharged(at=START, due_at=charged_on, outcome="announced")),
    )
    told.remitted()
    early, none = transition(told.state, events.DeadlinePassed(at=charged_on - DAY))
    assert (early.resume, none) == (None, ())
    due, steps = transition(told.state, events.DeadlinePassed(at=charged_on))
    assert (due.resume, steps) == (Step.SETTLE_BALANCE, (Step.SETTLE_BALANCE,))
    assert why(told.state).waiting_for.startswith("patient: told of the amount")
    assert why(told.state).next_at == charged_on


# --- what lapses while a claim is ready


def test_a_claim_that_its_batch_left_behind_is_checked_anew() -> None:
    told = Telling()
    told.attended()
    assert told.learned("left_behind") == [*BEFORE_ATTENDANCE, *TO_READY]
    assert (told.stage(), told.state.version) == (Stage.READY, 2)
    told.submitted()
    assert told.learned("left_behind") == []
    assert told.stage() is Stage.SUBMITTED


def test_a_review_opened_while_ready_gives_way_to_the_check_of_the_note_itself() -> None:
    """Nothing has been sent: the check holds both notes, or finds them mended."""
    told = Telling()
    told.attended()
    assert told.learned("note_copied") == []
    assert (told.stage(), told.hold_code()) == (Stage.READY, "CLONE_REVIEW")
    assert told.learned("left_behind") == [*BEFORE_ATTENDANCE, *TO_READY]
    assert (told.stage(), told.hold_code(), told.state.version) == (Stage.READY, None, 2)


def test_a_review_decided_before_the_cut_changes_nothing() -> None:
    told = Telling()
    told.attended()
    told.learned("note_copied")
    assert told.released("CLONE_REVIEW") == []
    assert (told.stage(), told.state.version) == (Stage.READY, 1)


def self_paid(told: Telling, owed: int) -> None:
    """The balance of a patient who alone pays says what they owe."""
    told.once(
        Step.SETTLE_BALANCE,
        lambda state, at: events.BalanceSettled(
            at=at, due_at=at + DAY, payer_open=0, patient_open=owed
        ),
    )


def paying_alone() -> Telling:
    state, _ = transition(
        ClaimState(claim_number="GC0000000000X"),
        events.EligibilityChecked(at=START, due_at=START + DAY, self_pay=True),
    )
    return Telling(state)


def test_who_pays_alone_is_billed_to_nobody() -> None:
    told = paying_alone()
    assert (told.stage(), told.state.payer) == (Stage.ATTENDANCE, 0)
    self_paid(told, 6000)
    assert told.attended() == [Step.SETTLE_BALANCE]
    assert told.stage() is Stage.PATIENT_BALANCE
    assert told.patient_paid() == [Step.SETTLE_BALANCE]
    assert (told.stage(), told.state.reason) == (Stage.NOT_BILLABLE, "SELF_PAY")
    assert told.state.ended


def test_who_pays_alone_and_did_not_come_gets_back_what_they_paid() -> None:
    told = paying_alone()
    told.attended()
    assert (told.stage(), told.state.reason) == (Stage.NOT_BILLABLE, "SELF_PAY")
    self_paid(told, -6000)
    assert told.not_attended() == [Step.SETTLE_BALANCE]
    assert (told.stage(), told.state.reason) == (Stage.NOT_BILLABLE, "NO_SHOW")
    assert told.hold_code() == "REFUND_DUE"
    assert told.patient_paid() == [Step.SETTLE_BALANCE]
    assert (told.stage(), told.state.reason) == (Stage.NOT_BILLABLE, "NO_SHOW")
    assert told.state.ended


def test_a_person_has_the_rules_run_again_and_the_hold_keeps_its_age() -> None:
    told = Telling()
    assert look_again_refused(told.state, "rules") == "no rule stands in its way"
    told.held_once(Step.CHECK_DOCUMENTATION, "NOTE_INCOMPLETE")
    told.attended()
    held = told.state.hold
    assert held is not None
    told.held_once(Step.CHECK_DOCUMENTATION, "NOTE_INCOMPLETE")
    assert told.asked_again("rules") == [Step.CHECK_DOCUMENTATION]
    assert told.state.hold == held
    assert told.asked_again("status") == []
    assert told.asked_again("rules") == [
        Step.CHECK_DOCUMENTATION,
        Step.CHECK_CODING,
        Step.BUILD_CLAIM,
        Step.QUEUE_CLAIM,
    ]
    assert (told.stage(), told.state.hold) == (Stage.READY, None)
    assert told.asked_again("rules") == [Step.QUEUE_CLAIM]


def test_a_person_has_the_payer_asked_while_it_decides_and_no_other_time() -> None:
    told = Telling()
    told.attended()
    assert look_again_refused(told.state, "status") is not None
    assert told.asked_again("status") == []
    told.submitted()
    told.acknowledged("999")
    told.acknowledged("277CA")
    asked_by_itself = told.state.follow_ups
    assert told.asked_again("status") == [Step.ASK_STATUS]
    assert (told.stage(), told.state.follow_ups) == (Stage.ACCEPTED, asked_by_itself)
    assert told.asked_again("rules") == []


def test_what_a_payer_never_decides_is_given_up_while_it_waits_and_no_other_time() -> None:
    told = Telling()
    told.attended()
    assert "does not wait for a payer's decision" in (write_off_refused(told.state) or "")
    assert told.written_off() == []
    told.sent_and_accepted()
    told.held_once(Step.ASK_STATUS, "PAYER_SILENT", releasable=True)
    told.deadline_passes()
    assert told.hold_code() == "PAYER_SILENT"
    assert told.written_off() == [Step.SETTLE_BALANCE]
    assert (told.stage(), told.hold_code()) == (Stage.CLOSED, None)
    assert told.written_off() == []


def test_a_copay_is_nobody_s_due_once_the_claim_is_given_up() -> None:
    told = waiting_for_payment()
    told.once(
        Step.SETTLE_BALANCE,
        lambda state, at: events.BalanceSettled(at=at, payer_open=0, patient_open=-1500),
    )
    told.written_off()
    assert (told.stage(), told.hold_code()) == (Stage.PATIENT_BALANCE, "REFUND_DUE")


def test_a_payer_after_the_first_is_waited_for_no_more_once_given_up() -> None:
    told = waiting_for_payment()
    second = told.state.model_copy(update={"payer": 2})
    assert write_off_refused(second) is None
    after, effects = transition(second, events.WrittenOff(at=told.at))
    assert (after.given_up, effects) == (2, (Step.SETTLE_BALANCE,))
    corrected_once = second.model_copy(
        update={"stage": Stage.CORRECTION, "hold": held_by("REJECTED", Step.CHECK_ELIGIBILITY)}
    )
    assert "for the next, or the patient" in (write_off_refused(corrected_once) or "")


def held_by(code: str, redo: Step | None) -> Hold:
    return Hold(code=code, redo=redo, since=START, releasable=True)


def test_what_is_held_before_it_is_sent_ends_as_not_billable_when_given_up() -> None:
    told = Telling()
    told.held_once(Step.BUILD_CLAIM, "TIMELY_FILING", releasable=True)
    told.attended()
    assert (told.stage(), told.hold_code()) == (Stage.CLAIM_BUILD, "TIMELY_FILING")
    assert held_back(told.state)
    unsent = events.WrittenOff(at=told.at, unsent=True)
    assert told.happens(unsent) == [Step.SETTLE_BALANCE]
    assert (told.stage(), told.state.reason) == (Stage.NOT_BILLABLE, "TIMELY_FILING")
    assert told.state.ended
    assert why(told.state).waiting_for == "nothing: not billable (TIMELY_FILING)"
    told.attended()
    assert told.state.ended
    assert told.happens(unsent) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hold": held_by("CLONE_REVIEW", Step.BUILD_CLAIM)}, "CLONE_REVIEW is decided first"),
        ({"denial": 1}, "given up there"),
        ({"payer": 0}, "does not wait for a payer's decision"),
        ({"hold": None}, "does not wait for a payer's decision"),
        ({"stage": Stage.VOID}, "does not wait for a payer's decision"),
        ({"stage": Stage.UNDERPAYMENT_REVIEW}, "does not wait for a payer's decision"),
        ({"resume": Step.BUILD_CLAIM}, "looked at just now"),
    ],
)
def test_what_is_decided_elsewhere_is_not_given_up_here(
    changes: dict[str, object], said: str
) -> None:
    told = Telling()
    told.held_once(Step.BUILD_CLAIM, "TIMELY_FILING", releasable=True)
    told.attended()
    assert write_off_refused(told.state) is None
    other = told.state.model_copy(update=changes)
    assert said in (write_off_refused(other) or "")
    after, effects = transition(other, events.WrittenOff(at=told.at, unsent=True))
    assert (after.stage, effects) == (other.stage, ())
