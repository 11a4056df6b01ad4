"""What follows what: ``transition(state, event) -> (state, effects)``.

Pure and total: any event in any state gives an answer, and one that has no meaning there changes
nothing but its key being remembered; so does the result of a step that is not under way. Business
follows one line

    eligibility - authorization - attendance - documentation - coding - claim build - ready
    - submitted - acknowledged - accepted - payment audit - patient balance - closed

with holds beside it and a way back for corrections. A claim that was sent and turns out not to be
true is taken back from every payer that has it (void), and is then not billable. Where another
payer comes after the one that has paid, the balance sends the claim round again: it waits for the
crossover, or a version for that payer is built and goes the way from claim build on. Nothing here
reads a clock: events carry their time and the deadline that follows from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from groupclaim.lifecycle.events import (
    Acknowledged,
    AttendanceRecorded,
    AuthorizationChecked,
    BalanceSettled,
    CardCharged,
    ClaimBuilt,
    ClaimQueued,
    CodingChecked,
    DeadlinePassed,
    DenialAdvanced,
    DenialDecided,
    DocumentationChecked,
    EligibilityChecked,
    Event,
    FactLearned,
    FollowedUp,
    Held,
    HoldReleased,
    LookAgainAsked,
    PatientPaid,
    PaymentAudited,
    RemittancePosted,
    StatusAsked,
    StepResult,
    Submitted,
    VoidPlanned,
    WrittenOff,
)
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import (
    CARD_ANNOUNCED,
    ENDED,
    NEVER_FILED,
    ClaimState,
    Consent,
    Fact,
    Hold,
    Stage,
    Step,
)
from groupclaim.model.session import Attendance

Effects = tuple[Step, ...]
Answer = tuple[ClaimState, Effects]

MAX_CORRECTIONS = 3
"""Corrections of one claim tried without a person; then the claim is held."""

_REMEMBERED_EVENTS = 100

_ON_THE_WIRE = (Stage.SUBMITTED, Stage.ACKNOWLEDGED, Stage.ACCEPTED)
_ADJUDICATED = (
    Stage.PAYMENT_AUDIT,
    Stage.UNDERPAYMENT_REVIEW,
    Stage.CROSSOVER,
    Stage.PATIENT_BALANCE,
    Stage.CLOSED,
)

_AWAITING_DECISION = (Stage.READY, *_ON_THE_WIRE, Stage.CROSSOVER)
_NOBODY = 0
"""The payer of a claim that the patient alone pays."""

_NOT_TRUE = (Stage.VOID, Stage.NOT_BILLABLE)
_SELF_PAID = (Stage.ATTENDANCE, Stage.PATIENT_BALANCE, Stage.NOT_BILLABLE)
_AFTER_A_PAYER = (Stage.CROSSOVER, Stage.PATIENT_BALANCE, Stage.CLOSED)
_CHECKED = (Stage.DOCUMENTATION, Stage.CODING, Stage.CLAIM_BUILD, Stage.READY)
_BEFORE_BUILD = (Stage.AUTHORIZATION, Stage.ATTENDANCE, Stage.DOCUMENTATION, Stage.CODING)

_STAGE_OF = {
    Step.CHECK_ELIGIBILITY: Stage.ELIGIBILITY,
    Step.CHECK_AUTHORIZATION: Stage.AUTHORIZATION,
    Step.CHECK_DOCUMENTATION: Stage.DOCUMENTATION,
    Step.CHECK_CODING: Stage.CODING,
    Step.BUILD_CLAIM: Stage.CLAIM_BUILD,
    Step.QUEUE_CLAIM: Stage.READY,
    Step.DECIDE_DENIAL: Stage.CORRECTION,
    Step.AUDIT_PAYMENT: Stage.PAYMENT_AUDIT,
    Step.PLAN_VOID: Stage.VOID,
}


def transition(state: ClaimState, event: Event) -> Answer:
    """The state after ``event``, and the step to carry out, if one follows."""
    if event.key and event.key in state.seen:
        return state, ()
    state = _without_expired_waivers(state, event)
    if isinstance(event, StepResult) and _STEP_OF[type(event)] not in opened(state):
        after, effects = _ignored(state, event)
    else:
        after, effects = _HANDLERS[type(event)](state, event)
    return (
        after.model_copy(
            update={
                "sequence": state.sequence + 1,
                "seen": (*state.seen, event.key)[-_REMEMBERED_EVENTS:] if event.key else state.seen,
                "since": event.at if after.stage is not state.stage else after.since or event.at,
            }
        ),
        effects,
    )


def _without_expired_waivers(state: ClaimState, event: Event) -> ClaimState:
    """A waiver counts for what is done before it ends; what has been done with it stays done."""
    ended = {code for code, until in state.waived_until.items() if until <= event.at}
    if not ended:
        return state
    return state.model_copy(
        update={
            "waivers": tuple(code for code in state.waivers if code not in ended),
            "waived_until": {
                code: until for code, until in state.waived_until.items() if code not in ended
            },
        }
    )


def opened(state: ClaimState) -> Effects:
    """What a claim that is taken up does first: begin, or do again the step it was in."""
    if state.resume is not None:
        return (state.resume,)
    return (Step.CHECK_ELIGIBILITY,) if state.sequence == 0 else ()


def _go(state: ClaimState, step: Step, **changes: Any) -> Answer:
    """Carry out ``step``, free of any deadline and of a hold that stood in its way."""
    update = {
        "stage": _STAGE_OF.get(step, state.stage),
        "hold": _standing_hold(state),
        "due_at": None,
        "follow_ups": 0,
        "reason": None,
        "resume": step,
        "consent": None,
        "denial": state.denial if step is Step.DECIDE_DENIAL else 0,
        **changes,
    }
    return state.model_copy(update=update), (step,)


def _wait(state: ClaimState, stage: Stage, event: Event, **changes: Any) -> Answer:
    """Wait at ``stage`` for something from outside, at most until the event's deadline."""
    update = {
        "stage": stage,
        "hold": _standing_hold(state),
        "due_at": event.due_at,
        "follow_ups": 0,
        "resume": None,
        "consent": None,
        "denial": 0,
        **changes,
    }
    return state.model_copy(update=update), ()


def _stands(hold: Hold) -> bool:
    """True for a kind of hold that is only decided: it stays whatever else happens."""
    return HOLDS[hold.code].redo is None


def _standing_hold(state: ClaimState) -> Hold | None:
    """The hold that stays when the claim goes on; what it hid has been done by then."""
    if state.hold is None or not _stands(state.hold):
        return None
    return state.hold.model_copy(update={"redo": None})


def _hold(state: ClaimState, held: Held, event: Event, **changes: Any) -> Answer:
    """Stop where a step's result says so; behind a standing hold, which is decided first."""
    redo = HOLDS[held.code].redo
    again = state.hold is not None and state.hold.code == held.code
    standing = _standing_hold(state)
    if standing is not None:
        hold = standing.model_copy(update={"redo": redo})
    else:
        hold = Hold(
            code=held.code,
            redo=redo,
            since=state.hold.since if again and state.hold else event.at,
            releasable=held.releasable,
            two_people=held.two_people,
            payer_open=held.payer_open,
        )
    follow_ups = state.follow_ups if again else 0
    update = {
        "hold": hold,
        "due_at": event.due_at,
        "follow_ups": follow_ups,
        "resume": None,
        "consent": None,
        **changes,
    }
    return state.model_copy(update=update), ()


def _hold_beside(state: ClaimState, held: Held, event: Event) -> Answer:
    """A hold that stands beside whatever the claim waits for, and beside the deadline of that.

    One that stood there before is hidden: what it wanted redone is done when this one is released.
    """
    before = state.hold
    hold = Hold(
        code=held.code,
        redo=before.redo if before is not None else None,
        since=before.since if before is not None and before.code == held.code else event.at,
        releasable=held.releasable,
        two_people=held.two_people,
    )
    return state.model_copy(update={"hold": hold, "due_at": state.due_at or event.due_at}), ()


def _ignored(state: ClaimState, event: Event) -> Answer:
    return state, ()


# --- before the claim is sent


def _eligibility_checked(state: ClaimState, event: EligibilityChecked) -> Answer:
    if event.held:
        return _hold(state, event.held, event)
    if event.self_pay and state.attendance is Attendance.ATTENDED:
        return _go(state, Step.SETTLE_BALANCE, payer=_NOBODY)
    if event.self_pay:
        return _wait(state, Stage.ATTENDANCE, event, payer=_NOBODY)
    return _go(state, Step.CHECK_AUTHORIZATION, payer=state.payer or 1)


def _authorization_checked(state: ClaimState, event: AuthorizationChecked) -> Answer:
    if event.held:
        return _hold(state, event.held, event)
    if state.attendance is Attendance.ATTENDED:
        return _go(state, Step.CHECK_DOCUMENTATION)
    return _wait(state, Stage.ATTENDANCE, event)


def _attendance_recorded(state: ClaimState, event: AttendanceRecorded) -> Answer:
    known = state.model_copy(update={"attendance": event.attendance})
    if state.payer == _NOBODY and state.stage in _SELF_PAID:
        stage = Stage.NOT_BILLABLE if event.not_billable else Stage.PATIENT_BALANCE
        return _go(known, Step.SETTLE_BALANCE, stage=stage, reason=event.not_billable)
    if event.not_billable is not None:
        reason = event.not_billable
        if event.sent or state.version:
            return _taken_back(known, reason=reason)
        if event.prepaid > 0:
            return _hold(known, _REFUND_DUE, event, stage=Stage.NOT_BILLABLE, reason=reason)
        return _wait(known, Stage.NOT_BILLABLE, event, reason=reason, due_at=None)
    if state.stage is Stage.VOID:
        return _taken_back(known)
    if state.stage is Stage.NOT_BILLABLE and state.reason == NEVER_FILED:
        return known, ()
    if state.stage is Stage.NOT_BILLABLE:
        return _go(known, Step.CHECK_ELIGIBILITY, payer=1)
    if state.stage is Stage.ATTENDANCE:
        if event.coverage_stale:
            return _go(known, Step.CHECK_ELIGIBILITY)
        if event.note_due_at is not None and not state.note_signed:
            held = Held(code="NOTE_UNSIGNED", releasable=False)
            wait = event.model_copy(update={"due_at": event.note_due_at})
            return _hold(known, held, wait, stage=Stage.DOCUMENTATION)
        return _go(known, Step.CHECK_DOCUMENTATION)
    if state.stage in _CHECKED and not event.sent:
        # What was checked was another room; a version that waits for the batch is withdrawn.
        return _go(known, Step.CHECK_DOCUMENTATION)
    if state.stage in (Stage.PATIENT_BALANCE, Stage.UNDERPAYMENT_REVIEW, Stage.CLOSED):
        return _go(known, Step.SETTLE_BALANCE)
    return known, ()


def _taken_back(state: ClaimState, **changes: Any) -> Answer:
    """See what the payers have of a claim that is not true, whatever it waited for until now; what
    it is asked of people meanwhile stays asked."""
    hold = state.hold if state.stage is Stage.VOID else None
    return _go(state, Step.PLAN_VOID, **{"reason": state.reason, "hold": hold, **changes})


def _documentation_checked(state: ClaimState, event: DocumentationChecked) -> Answer:
    if event.held:
        return _hold(state, event.held, event)
    return _go(state, Step.CHECK_CODING)


def _coding_checked(state: ClaimState, event: CodingChecked) -> Answer:
    if event.held:
        return _hold(state, event.held, event)
    return _go(state, Step.BUILD_CLAIM)


def _claim_built(state: ClaimState, event: ClaimBuilt) -> Answer:
    if event.held:
        return _hold(state, event.held, event)
    return _go(state, Step.QUEUE_CLAIM, **_as_void(state), version=event.version)


def _claim_queued(state: ClaimState, event: ClaimQueued) -> Answer:
    if event.stale:
        return _go(state, Step.CHECK_ELIGIBILITY)
    if state.stage is Stage.VOID:
        return _wait(state, Stage.VOID, event)
    return _wait(state, Stage.READY, event)


def _as_void(state: ClaimState) -> dict[str, Any]:
    """A version that takes the claim back goes its way without leaving that stage."""
    if state.stage is not Stage.VOID:
        return {}
    return {"stage": Stage.VOID, "reason": state.reason}


# --- on its way


def _submitted(state: ClaimState, event: Submitted) -> Answer:
    if state.stage is Stage.VOID and state.hold is None and event.version == state.version:
        return _wait(state, Stage.VOID, event)
    if event.version != state.version or state.stage is not Stage.READY:
        return _ignored(state, event)
    return _wait(state, Stage.SUBMITTED, event)


def _acknowledged(state: ClaimState, event: Acknowledged) -> Answer:
    """Acknowledgments may come in any order, and before the word that the batch was taken."""
    if state.stage is Stage.VOID:
        if event.accepted and event.by != "277CA":
            return _ignored(state, event)
        refused = None if event.accepted else event.cause or "refused"
        return _taken_back(state, cause=refused)
    if event.version != state.version or state.stage not in (Stage.READY, *_ON_THE_WIRE):
        return _ignored(state, event)
    if not event.accepted:
        return _go(state, Step.DECIDE_DENIAL, cause=event.cause)
    if event.by == "277CA":
        return _wait(state, Stage.ACCEPTED, event)
    if state.stage is Stage.ACCEPTED:
        return _ignored(state, event)
    return _wait(state, Stage.ACKNOWLEDGED, event)


def _denial_decided(state: ClaimState, event: DenialDecided) -> Answer:
    correction, restart = event.correction, event.restart
    if event.held or correction is None or restart is None:
        held = event.held or Held(code="DENIED", releasable=True)
        return _hold(state, held, event, denial=event.denial)
    return _corrected(state, event, correction, restart)


def _denial_advanced(state: ClaimState, event: DenialAdvanced) -> Answer:
    """Only what concerns the denial that the claim waits for; anything else is old news."""
    if event.denial == 0 or event.denial != state.denial or state.resume is not None:
        return _ignored(state, event)
    if event.settled:
        return _go(state, Step.SETTLE_BALANCE)
    if event.correction is not None and event.restart is not None:
        return _corrected(state, event, event.correction, event.restart)
    return _hold(state, event.held or Held(code="DENIED", releasable=True), event)


def _corrected(
    state: ClaimState, event: DenialDecided | DenialAdvanced, correction: str, restart: Step
) -> Answer:
    """Send it again, mended: so often and never the same way twice. Where that is refused a denial
    that has ended is worked no more: people see the claim's own hold, and it is decided anew."""
    tried = f"{state.cause}:{correction}"
    if (
        tried in state.corrections
        or len(state.corrections) >= MAX_CORRECTIONS
        or state.payer > 1  # what was checked before the claim was made concerned the first
    ):
        worked = event.denial if isinstance(event, DenialDecided) else 0
        return _hold(state, Held(code="DENIED", releasable=True), event, denial=worked)
    return _go(
        state,
        restart,
        frequency=event.frequency,
        corrections=(*state.corrections, tried),
        cause=None,
    )


# --- the money


def _remittance_posted(state: ClaimState, event: RemittancePosted) -> Answer:
    """Money is looked at whatever the state; a denial counts for the version now on its way, or
    takes back what had been paid. What a person said of earlier money does not hold for new."""
    if state.stage in _NOT_TRUE and state.payer != _NOBODY:
        return _taken_back(state)
    current = event.version == state.version
    if event.denied and current and (state.stage in _AWAITING_DECISION or state.denial):
        return _go(state, Step.DECIDE_DENIAL, cause=event.cause)
    if event.denied and state.stage not in _ADJUDICATED:
        return _ignored(state, event)
    of_money = (Step.AUDIT_PAYMENT, Step.SETTLE_BALANCE)
    waivers = tuple(code for code in state.waivers if HOLDS[code].redo not in of_money)
    return _go(state, Step.AUDIT_PAYMENT, waivers=waivers)


_AUDIT_HOLDS = {"overpaid": "OVERPAYMENT_REVIEW", "unpriced": "PAYMENT_UNPRICED"}


def _payment_audited(state: ClaimState, event: PaymentAudited) -> Answer:
    """A shortfall is found in the balance; the other surprises wait for a person here. What was
    reversed and not corrected is with the payer again: a reversal is no denial."""
    if event.outcome == "reversed":
        return _wait(state, Stage.ACCEPTED, event)
    code = _AUDIT_HOLDS.get(event.outcome)
    if code is not None and code not in state.waivers:
        return _hold(state, Held(code=code, releasable=True), event)
    return _go(state, Step.SETTLE_BALANCE)


def _balance_settled(state: ClaimState, event: BalanceSettled) -> Answer:
    unbilled = state.stage is Stage.NOT_BILLABLE or state.payer == _NOBODY
    if event.next_payer is not None:
        return _next_payer(state, event)
    if event.payer_open != 0:
        code = "UNDERPAYMENT_REVIEW" if event.payer_open > 0 else "OVERPAYMENT_REVIEW"
        held = Held(code=code, releasable=True, payer_open=event.payer_open)
        stage = Stage.NOT_BILLABLE if unbilled else Stage.UNDERPAYMENT_REVIEW
        return _hold(state, held, event, stage=stage)
    if event.patient_open < 0:
        stage = Stage.NOT_BILLABLE if unbilled else Stage.PATIENT_BALANCE
        return _hold(state, _REFUND_DUE, event, stage=stage)
    if event.patient_open > 0 and event.charge_card:
        reason = "PATIENT_BALANCE_DUE"
        return _go(state, Step.CHARGE_CARD, stage=Stage.PATIENT_BALANCE, reason=reason)
    if event.patient_open > 0:
        return _wait(state, Stage.PATIENT_BALANCE, event, reason="PATIENT_BALANCE_DUE")
    if not unbilled:
        return _wait(state, Stage.CLOSED, event, due_at=None)
    why = state.reason or ("SELF_PAY" if state.payer == _NOBODY else None)
    return _wait(state, Stage.NOT_BILLABLE, event, due_at=None, reason=why)


_ASKED_OF_A_VOID = frozenset(code for code, kind in HOLDS.items() if kind.redo is Step.PLAN_VOID)


def _void_planned(state: ClaimState, event: VoidPlanned) -> Answer:
    """What people said of taking it back ends with that; what they said of a refusal, with the next
    try."""
    reason = {"reason": event.reason or state.reason}
    if event.held:
        return _hold(state, event.held, event, **reason, stage=Stage.VOID)
    if event.next == "send":
        kept = tuple(code for code in state.waivers if code != "VOID_REFUSED")
        turn = {"payer": event.payer, "frequency": "8", "waivers": kept, "cause": None}
        return _go(state, Step.BUILD_CLAIM, **reason, **turn, stage=Stage.VOID)
    if event.next in ("wait", "hold"):
        return _wait(state, Stage.VOID, event, **reason, follow_ups=state.follow_ups)
    ended = state.model_copy(
        update={
            "hold": None,
            "waivers": tuple(code for code in state.waivers if code not in _ASKED_OF_A_VOID),
            "frequency": "1",
            "payer": 1,
            "cause": None,
            "given_up": 0,
        }
    )
    if event.next == "done" and event.rebill:
        return _go(ended, Step.CHECK_ELIGIBILITY, corrections=())
    if event.next == "done":
        return _go(ended, Step.SETTLE_BALANCE, **reason, stage=Stage.NOT_BILLABLE)
    turn = {"payer": event.payer, "version": event.version or state.version, "cause": event.cause}
    if event.restart is not None:
        return _go(ended, event.restart, **turn)
    return _wait(ended, event.stage or Stage.ACCEPTED, event, **turn, reason=None)


def _card_charged(state: ClaimState, event: CardCharged) -> Answer:
    """What is still owed then waits for the patient; a declined card is not tried again alone."""
    if event.outcome == "charged":
        return _go(state, Step.SETTLE_BALANCE)
    reasons = {"declined": "CARD_DECLINED", "announced": CARD_ANNOUNCED}
    reason = reasons.get(event.outcome, "PATIENT_BALANCE_DUE")
    return _wait(state, Stage.PATIENT_BALANCE, event, reason=reason)


def _next_payer(state: ClaimState, event: BalanceSettled) -> Answer:
    """Nothing is the patient's to pay before every payer has decided."""
    turn = {"payer": event.payer, "frequency": event.frequency}
    if event.next_payer == "crossover":
        return _wait(state, Stage.CROSSOVER, event, **turn)
    if event.next_payer == "await":
        return _wait(state, Stage.ACCEPTED, event, **turn)
    if event.next_payer in ("changed", "wrong_order"):
        code = "COORDINATION_REVIEW" if event.next_payer == "changed" else "PAYER_ORDER"
        held = Held(code=code, releasable=True)
        return _hold(state, held, event, stage=Stage.CROSSOVER, **turn)
    return _go(state, Step.BUILD_CLAIM, **turn)


_REFUND_DUE = Held(code="REFUND_DUE", releasable=False)


def _patient_paid(state: ClaimState, event: PatientPaid) -> Answer:
    if state.stage is Stage.NOT_BILLABLE:
        return _go(state, Step.SETTLE_BALANCE, reason=state.reason)
    if state.stage in (Stage.PATIENT_BALANCE, Stage.CLOSED):
        return _go(state, Step.SETTLE_BALANCE)
    return _ignored(state, event)


# --- holds and deadlines


def _fact_learned(state: ClaimState, event: FactLearned) -> Answer:
    hold = state.hold
    if event.fact is Fact.NOTE:
        state = state.model_copy(update={"note_signed": True})
    if event.fact is Fact.NOTE_COPIED:
        return _note_copied(state, event)
    if event.fact is Fact.LEFT_BEHIND:
        return _left_behind(state)
    if event.fact is Fact.NOTE_WITHDRAWN:
        return _note_withdrawn(state, event)
    if event.fact is Fact.NOTE and state.reason == "NOTE_WITHDRAWN" and state.ended:
        return _go(state, Step.CHECK_ELIGIBILITY, payer=1)
    if state.stage is Stage.VOID:
        news = event.fact in (Fact.NOTE, Fact.REFUND)
        return _taken_back(state) if news else (state, ())
    if event.fact is Fact.COVERAGE and state.stage in _BEFORE_BUILD:
        # What follows was checked for the coverage that was on file then.
        return _go(state, Step.CHECK_ELIGIBILITY)
    if event.fact is Fact.COVERAGE and hold is None and state.stage in _AFTER_A_PAYER:
        # Another payer may have been found, or another order of them.
        return _go(state, Step.SETTLE_BALANCE)
    if event.fact in (Fact.COVERAGE, Fact.AUTHORIZATION) and state.stage is Stage.READY:
        # It may still be taken back and made anew, unless its batch has been cut.
        return _go(state, Step.QUEUE_CLAIM)
    if hold is None or hold.redo is None or HOLDS[hold.code].cleared_by is not event.fact:
        return state, ()
    return _go(state, hold.redo)


def _left_behind(state: ClaimState) -> Answer:
    """The version that waited will not be sent: all is checked anew, once whatever stands beside
    has been decided. That a note repeats this one is itself looked at anew: nothing was sent."""
    if state.stage is Stage.VOID:
        return _taken_back(state)
    if state.stage is not Stage.READY:
        return state, ()
    if state.hold is not None and state.hold.code == "CLONE_REVIEW":
        return _go(state.model_copy(update={"hold": None}), Step.CHECK_ELIGIBILITY)
    if state.hold is not None:
        hold = state.hold.model_copy(update={"redo": Step.CHECK_ELIGIBILITY})
        return state.model_copy(update={"hold": hold}), ()
    return _go(state, Step.CHECK_ELIGIBILITY)


def _note_withdrawn(state: ClaimState, event: FactLearned) -> Answer:
    """The note is as if it had never been signed: what was sent with it is taken back, what was not
    is checked again."""
    state = state.model_copy(update={"note_signed": False})
    if event.sent and state.stage is not Stage.NOT_BILLABLE and state.payer != _NOBODY:
        return _taken_back(state, reason="NOTE_WITHDRAWN")
    if state.stage in _CHECKED:
        return _go(state, Step.CHECK_DOCUMENTATION)
    return state, ()


def _note_copied(state: ClaimState, event: FactLearned) -> Answer:
    """A later note repeats this one: a person looks at both, whatever this claim waits for. One
    that is looked at for the same reason, or stands held beside already, needs no second look."""
    hold = state.hold
    if state.stage in _NOT_TRUE or (
        hold is not None and (_stands(hold) or hold.code == "CLONED_NOTE")
    ):
        return state, ()
    return _hold_beside(state, Held(code="CLONE_REVIEW", releasable=True), event)


def _hold_released(state: ClaimState, event: HoldReleased) -> Answer:
    hold = state.hold
    if hold is None or hold.code != event.code or not hold.releasable:
        return _ignored(state, event)
    if hold.redo is None:
        due_at = None if state.stage in ENDED else state.due_at
        return state.model_copy(update={"hold": None, "due_at": due_at}), ()
    waived = () if _stands(hold) else (hold.code,)
    waivers = (*(code for code in state.waivers if code not in waived), *waived)
    waived_until = {code: at for code, at in state.waived_until.items() if code not in waived}
    if waived and event.until is not None:
        waived_until[hold.code] = event.until
    asked = hold.payer_open
    return _go(
        state.model_copy(update={"hold": None}),
        Step.PLAN_VOID if state.stage is Stage.VOID else hold.redo,
        waivers=waivers,
        waived_until=waived_until,
        consent=Consent(key=event.key, payer_open=asked) if asked else None,
        reason=state.reason if state.stage in _NOT_TRUE else None,
    )


def _deadline_passed(state: ClaimState, event: DeadlinePassed) -> Answer:
    """Someone is told, or asked again, and the deadline is set anew: a claim never waits in
    silence."""
    if state.due_at is None or event.at < state.due_at or state.resume or state.ended:
        return _ignored(state, event)
    announced = state.stage is Stage.PATIENT_BALANCE and state.reason == CARD_ANNOUNCED
    if state.hold is None and (announced or state.stage is Stage.CROSSOVER):
        return _go(state, Step.SETTLE_BALANCE)
    if state.stage is Stage.VOID:
        again = {"due_at": None, "follow_ups": state.follow_ups + 1, "resume": Step.PLAN_VOID}
        return state.model_copy(update=again), (Step.PLAN_VOID,)
    hold = state.hold
    if hold is not None and hold.redo is not None and HOLDS[hold.code].asked_again:
        follow_ups = state.follow_ups + 1
        again = {"due_at": None, "follow_ups": follow_ups, "resume": hold.redo}
        return state.model_copy(update=again), (hold.redo,)
    step = Step.ASK_STATUS if hold is None and state.stage in _ON_THE_WIRE else Step.FOLLOW_UP
    update = {"due_at": None, "follow_ups": state.follow_ups + 1, "resume": step}
    return state.model_copy(update=update), (step,)


_CHECKS = (
    Step.CHECK_ELIGIBILITY,
    Step.CHECK_AUTHORIZATION,
    Step.CHECK_DOCUMENTATION,
    Step.CHECK_CODING,
    Step.BUILD_CLAIM,
)
"""Steps that may be done again at a person's word: they find the same, or what has changed."""


def look_again(state: ClaimState, what: Literal["rules", "status"]) -> Step | None:
    """What another look at a claim would do; None where there is nothing to look at again."""
    hold = state.hold
    if state.resume is not None:
        return None
    if what == "status":
        asked = hold is None or (hold.redo is Step.ASK_STATUS and not _stands(hold))
        return Step.ASK_STATUS if asked and state.stage in _ON_THE_WIRE else None
    if hold is None:
        return Step.QUEUE_CLAIM if state.stage is Stage.READY else None
    return hold.redo if hold.redo in _CHECKS and not _stands(hold) else None


def look_again_refused(state: ClaimState, what: Literal["rules", "status"]) -> str | None:
    """Why another look at a claim would do nothing, for people; None where it would."""
    if look_again(state, what) is not None:
        return None
    if state.resume is not None:
        return "it is being looked at just now"
    if what == "status":
        return "its payer is asked only while it decides on the claim"
    if state.hold is not None:
        return f"another look does not clear {state.hold.code}"
    return "no rule stands in its way"


def _look_again_asked(state: ClaimState, event: LookAgainAsked) -> Answer:
    step = look_again(state, event.what)
    if step is None:
        return _ignored(state, event)
    if step is Step.QUEUE_CLAIM:
        return _go(state, step)
    # The hold stands since when it began, until the step has said otherwise; so do the counts.
    stage = _STAGE_OF.get(step, state.stage)
    return state.model_copy(update={"due_at": None, "resume": step, "stage": stage}), (step,)


_HELD_BACK = (Stage.ELIGIBILITY, *_BEFORE_BUILD, Stage.CLAIM_BUILD, Stage.CORRECTION)
"""Where a claim may be held that no payer has, or none any more."""


def write_off_refused(state: ClaimState) -> str | None:
    """Why a claim cannot be given up without its payer's decision, for people; None where it can:
    while its payer decides, or while a hold keeps it from being sent. What a payer has decided is
    given up with its denial, or with its shortfall."""
    hold = state.hold
    if state.resume is not None:
        return "it is being looked at just now"
    if state.stage in _ON_THE_WIRE:
        return None
    if hold is None or state.payer == _NOBODY or state.stage not in _HELD_BACK:
        return "it does not wait for a payer's decision, and nothing keeps it from being sent"
    if state.denial:
        return "its denial is being worked: it is given up there (`groupclaim denial decide`)"
    if _stands(hold):
        return f"{hold.code} is decided first"
    if state.payer > 1 and state.stage is not Stage.CLAIM_BUILD:
        return "the payer before has decided on it: what is open is for the next, or the patient"
    return None


def held_back(state: ClaimState) -> bool:
    """Whether it is not with its payer, and is held before it gets there (again)."""
    return state.stage in _HELD_BACK


def _written_off(state: ClaimState, event: WrittenOff) -> Answer:
    """What is left then, as a copay that is nobody's due now, is seen in the balance."""
    if write_off_refused(state) is not None:
        return _ignored(state, event)
    if event.unsent:
        return _go(state, Step.SETTLE_BALANCE, stage=Stage.NOT_BILLABLE, reason=NEVER_FILED)
    return _go(state, Step.SETTLE_BALANCE, given_up=state.payer)


def _status_asked(state: ClaimState, event: StatusAsked) -> Answer:
    """The claim goes on waiting for the payer's decision, or for a person."""
    if event.held:
        return _hold(state, event.held, event)
    return state.model_copy(update={"due_at": event.due_at, "resume": None}), ()


def _followed_up(state: ClaimState, event: FollowedUp) -> Answer:
    """The next look is set; a hold that a fact clears is looked at again, lest one was missed. A
    denial that is worked looks at what is on file by itself."""
    hold = state.hold
    redo = None
    missed = hold is not None and not _stands(hold) and not state.denial
    if hold is not None and missed and HOLDS[hold.code].cleared_by is not None:
        redo = hold.redo
    stage = _STAGE_OF[redo] if redo else state.stage
    after = state.model_copy(update={"due_at": event.due_at, "resume": redo, "stage": stage})
    return after, (redo,) if redo else ()


_STEP_OF: dict[type[Event], Step] = {
    EligibilityChecked: Step.CHECK_ELIGIBILITY,
    AuthorizationChecked: Step.CHECK_AUTHORIZATION,
    DocumentationChecked: Step.CHECK_DOCUMENTATION,
    CodingChecked: Step.CHECK_CODING,
    ClaimBuilt: Step.BUILD_CLAIM,
    ClaimQueued: Step.QUEUE_CLAIM,
    DenialDecided: Step.DECIDE_DENIAL,
    PaymentAudited: Step.AUDIT_PAYMENT,
    BalanceSettled: Step.SETTLE_BALANCE,
    CardCharged: Step.CHARGE_CARD,
    VoidPlanned: Step.PLAN_VOID,
    FollowedUp: Step.FOLLOW_UP,
    StatusAsked: Step.ASK_STATUS,
}


_HANDLERS: dict[type[Event], Callable[[ClaimState, Any], Answer]] = {
    EligibilityChecked: _eligibility_checked,
    AuthorizationChecked: _authorization_checked,
    AttendanceRecorded: _attendance_recorded,
    DocumentationChecked: _documentation_checked,
    CodingChecked: _coding_checked,
    ClaimBuilt: _claim_built,
    ClaimQueued: _claim_queued,
    Submitted: _submitted,
    Acknowledged: _acknowledged,
    DenialDecided: _denial_decided,
    DenialAdvanced: _denial_advanced,
    RemittancePosted: _remittance_posted,
    PaymentAudited: _payment_audited,
    BalanceSettled: _balance_settled,
    CardCharged: _card_charged,
    VoidPlanned: _void_planned,
    PatientPaid: _patient_paid,
    FactLearned: _fact_learned,
    HoldReleased: _hold_released,
    LookAgainAsked: _look_again_asked,
    WrittenOff: _written_off,
    DeadlinePassed: _deadline_passed,
    FollowedUp: _followed_up,
    StatusAsked: _status_asked,
}
