"""Any events in any order, and any answers of the steps: what holds whatever happens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from groupclaim.lifecycle import events
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import ENDED, ClaimState, Stage, Step
from groupclaim.lifecycle.transition import MAX_CORRECTIONS, opened, transition
from groupclaim.lifecycle.why import why
from groupclaim.model.session import Attendance
from tests.lifecycle.telling import START

HOURS = st.integers(min_value=0, max_value=500).map(lambda hours: START + timedelta(hours=hours))
DUE = st.none() | HOURS
KEYS = st.sampled_from(["", "", "", "a", "b", "c"])
VERSIONS = st.integers(min_value=0, max_value=3)


def held_by(codes: Iterable[str]) -> st.SearchStrategy[events.Held | None]:
    return st.none() | st.builds(
        events.Held,
        code=st.sampled_from(sorted(codes)),
        releasable=st.booleans(),
        two_people=st.booleans(),
    )


# A step only holds for something that it or another may redo; a payer that is asked for a claim's
# status has been sent it.
ASKED = {code for code, kind in HOLDS.items() if kind.redo is Step.ASK_STATUS}
HELD = held_by(code for code, kind in HOLDS.items() if kind.redo and code not in ASKED)
CAUSES = st.sampled_from(["CO-197", "CO-16", "A7:164"])
OPEN_CENTS = st.sampled_from([0, 0, 0, -100, 375])

COMMON = {"at": HOURS, "key": KEYS, "due_at": DUE}
RESULTS: dict[Step, st.SearchStrategy[events.Event]] = {
    Step.CHECK_ELIGIBILITY: st.builds(
        events.EligibilityChecked, **COMMON, held=HELD, self_pay=st.booleans()
    ),
    Step.CHECK_AUTHORIZATION: st.builds(events.AuthorizationChecked, **COMMON, held=HELD),
    Step.CHECK_DOCUMENTATION: st.builds(events.DocumentationChecked, **COMMON, held=HELD),
    Step.CHECK_CODING: st.builds(events.CodingChecked, **COMMON, held=HELD),
    Step.BUILD_CLAIM: st.builds(events.ClaimBuilt, **COMMON, held=HELD, version=VERSIONS),
    Step.QUEUE_CLAIM: st.builds(events.ClaimQueued, **COMMON),
    Step.DECIDE_DENIAL: st.builds(
        events.DenialDecided,
        **COMMON,
        held=HELD,
        denial=st.integers(0, 2),
        correction=st.none() | st.sampled_from(["one", "two", "three", "four"]),
        restart=st.none() | st.sampled_from([Step.CHECK_ELIGIBILITY, Step.CHECK_CODING]),
        frequency=st.sampled_from(["1", "7", "8"]),
    ),
    Step.AUDIT_PAYMENT: st.builds(
        events.PaymentAudited,
        **COMMON,
        outcome=st.sampled_from(["as_expected", "underpaid", "overpaid", "unpriced"]),
    ),
    Step.SETTLE_BALANCE: st.builds(
        events.BalanceSettled,
        **COMMON,
        payer_open=OPEN_CENTS,
        patient_open=OPEN_CENTS,
        next_payer=st.sampled_from(
            [None, None, "bill", "crossover", "await", "changed", "wrong_order"]
        ),
        payer=st.integers(min_value=1, max_value=3),
        frequency=st.sampled_from(["1", "7"]),
        charge_card=st.booleans(),
    ),
    Step.CHARGE_CARD: st.builds(
        events.CardCharged,
        **COMMON,
        outcome=st.sampled_from(["charged", "declined", "not_charged", "announced"]),
    ),
    Step.PLAN_VOID: st.builds(
        events.VoidPlanned,
        **COMMON,
        next=st.sampled_from(["hold", "send", "wait", "done", "stands"]),
        held=st.none() | st.none() | HELD,
        reason=st.none() | st.sampled_from(["NO_SHOW", "NOTE_WITHDRAWN"]),
        payer=st.integers(min_value=1, max_value=3),
        version=VERSIONS,
        rebill=st.booleans(),
        restart=st.none() | st.sampled_from([Step.AUDIT_PAYMENT, Step.DECIDE_DENIAL]),
        stage=st.sampled_from([Stage.READY, Stage.SUBMITTED, Stage.ACCEPTED]),
        cause=st.none() | CAUSES,
    ),
    Step.FOLLOW_UP: st.builds(events.FollowedUp, **COMMON),
    Step.ASK_STATUS: st.builds(events.StatusAsked, **COMMON, held=held_by({*ASKED, "NOT_ON_FILE"})),
}
OUTSIDE = st.one_of(
    st.builds(
        events.AttendanceRecorded,
        **COMMON,
        attendance=st.sampled_from(Attendance),
        not_billable=st.none() | st.sampled_from(["NO_SHOW", "GROUP_OF_ONE"]),
        sent=st.booleans(),
        note_due_at=DUE,
        coverage_stale=st.booleans(),
    ),
    st.builds(events.FactLearned, **COMMON, fact=st.sampled_from(["coverage", "note"])),
    st.builds(events.FactLearned, **COMMON, fact=st.sampled_from(["authorization", "attendance"])),
    st.builds(events.FactLearned, **COMMON, fact=st.sampled_from(["note_copied", "left_behind"])),
    st.builds(
        events.FactLearned,
        **COMMON,
        fact=st.sampled_from(["note_withdrawn", "refund"]),
        sent=st.booleans(),
    ),
    st.builds(events.HoldReleased, **COMMON, code=st.sampled_from(sorted(HOLDS)), until=DUE),
    st.builds(events.Submitted, **COMMON, version=VERSIONS),
    st.builds(
        events.Acknowledged,
        **COMMON,
        by=st.sampled_from(["999", "277CA"]),
        version=VERSIONS,
        accepted=st.booleans(),
        cause=CAUSES,
    ),
    st.builds(
        events.RemittancePosted, **COMMON, version=VERSIONS, denied=st.booleans(), cause=CAUSES
    ),
    st.builds(
        events.DenialAdvanced,
        **COMMON,
        denial=st.integers(0, 2),
        held=HELD,
        correction=st.none() | st.sampled_from(["one", "two", "five"]),
        restart=st.none() | st.just(Step.CHECK_CODING),
        settled=st.booleans(),
    ),
    st.builds(events.PatientPaid, **COMMON),
    st.builds(events.LookAgainAsked, **COMMON, what=st.sampled_from(["rules", "status"])),
    st.builds(events.WrittenOff, **COMMON),
    st.builds(events.DeadlinePassed, **COMMON),
)

WAITS_FOR_OUTSIDE = {
    Stage.ATTENDANCE,
    Stage.READY,
    Stage.SUBMITTED,
    Stage.ACKNOWLEDGED,
    Stage.ACCEPTED,
    Stage.CROSSOVER,
    Stage.PATIENT_BALANCE,
    Stage.VOID,
}


def test_the_machines_know_every_event() -> None:
    assert set(RESULTS) == set(Step)
    assert len(get_args(events.StepResult)) == len(Step)
    assert {
        "AttendanceRecorded",
        "FactLearned",
        "HoldReleased",
        "Submitted",
        "Acknowledged",
        "RemittancePosted",
        "DenialAdvanced",
        "PatientPaid",
        "LookAgainAsked",
        "WrittenOff",
        "DeadlinePassed",
    } == {kind.__name__ for kind in get_args(events.OutsideEvent)}


class Claim(RuleBasedStateMachine):
    """What holds after any event in any state."""

    def __init__(self) -> None:
        super().__init__()
        self.state = ClaimState(claim_number="GC0000000000X")

    def take(self, event: events.Event) -> tuple[Step, ...]:
        before = self.state
        self.state, effects = transition(before, event)
        if event.key and event.key in before.seen:
            assert self.state is before
            assert effects == ()
            return effects
        assert self.state.sequence == before.sequence + 1
        assert event.key == "" or event.key in self.state.seen
        assert len(effects) <= 1
        if effects:
            assert self.state.resume is effects[0]
        elif isinstance(event, events.StepResult):
            assert self.state.resume is None or before.resume is self.state.resume
        held = before.hold
        if held is not None and HOLDS[held.code].redo is None:  # such a hold stands
            released = isinstance(event, events.HoldReleased) and event.code == held.code
            # What is not true is taken back: the note's review is moot.
            # What was left behind was not sent: both notes are compared anew.
            left_behind = isinstance(event, events.FactLearned) and event.fact == "left_behind"
            moot = held.code == "CLONE_REVIEW" and (left_behind or self.state.stage is Stage.VOID)
            if not released and not moot:
                assert self.state.hold is not None
                assert (self.state.hold.code, self.state.hold.since) == (held.code, held.since)
        return effects

    @invariant()
    def an_ended_claim_waits_for_nothing(self) -> None:
        if self.state.ended:
            assert self.state.stage in ENDED
            assert self.state.hold is None
            assert self.state.due_at is None
            assert self.state.resume is None

    @invariant()
    def what_is_counted_is_bounded(self) -> None:
        state = self.state
        assert len(state.corrections) <= MAX_CORRECTIONS
        assert len(set(state.corrections)) == len(state.corrections)
        assert len(set(state.waivers)) == len(state.waivers)
        assert set(state.waivers) <= set(HOLDS)
        assert all(until.tzinfo for until in state.waived_until.values())
        assert len(set(state.seen)) == len(state.seen) <= 100
        assert state.frequency in ("1", "7", "8")

    @invariant()
    def a_hold_is_one_of_those_on_the_list(self) -> None:
        hold = self.state.hold
        if hold is not None:
            assert hold.code in HOLDS
            kind = HOLDS[hold.code]
            assert kind.redo is None or hold.redo is kind.redo

    @invariant()
    def it_always_says_why_it_stands_where_it_stands(self) -> None:
        reasons = why(self.state)
        assert reasons.waiting_for
        assert reasons.next_step
        assert reasons.released_by
        assert reasons.otherwise
        if self.state.stage in (Stage.SUBMITTED, Stage.ACCEPTED, Stage.CLOSED):
            assert "filing limit" not in reasons.otherwise
        if self.state.sequence:
            assert reasons.since is not None
        if self.state.hold or self.state.stage in WAITS_FOR_OUTSIDE:
            assert reasons.next_at == self.state.due_at

    @invariant()
    def it_survives_being_written_down(self) -> None:
        assert ClaimState.model_validate_json(self.state.model_dump_json()) == self.state


class AnyOrder(Claim):
    """Events fall on the claim in any order, results of steps that nobody asked for included."""

    @rule(event=OUTSIDE)
    def something_happens(self, event: events.Event) -> None:
        self.take(event)

    @rule(event=st.one_of(list(RESULTS.values())))
    def some_step_answers(self, event: events.Event) -> None:
        before = self.state
        self.take(event)
        if before.resume is None and before.sequence:
            unchanged = self.state.model_copy(
                update={"sequence": before.sequence, "seen": before.seen}
            )
            assert unchanged == before

    @rule(data=st.data())
    def the_step_under_way_answers(self, data: st.DataObject) -> None:
        for step in opened(self.state):
            self.take(data.draw(RESULTS[step]))


class Driven(Claim):
    """Each step asked for is answered before anything else happens, as the workflow does it."""

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self._carry_out(opened(self.state), data)

    def _carry_out(self, effects: tuple[Step, ...], data: st.DataObject) -> None:
        while effects:
            effects = self.take(data.draw(RESULTS[effects[0]].map(_without_key)))

    @rule(event=OUTSIDE, data=st.data())
    def something_happens(self, event: events.Event, data: st.DataObject) -> None:
        self._carry_out(self.take(event), data)

    @rule(data=st.data(), next_due=HOURS)
    def the_deadline_passes(self, data: st.DataObject, next_due: datetime) -> None:
        if self.state.due_at is not None:
            crossover = self.state.stage is Stage.CROSSOVER and self.state.hold is None
            (effect,) = self.take(events.DeadlinePassed(at=self.state.due_at))
            if crossover:  # the next payer is billed instead of waiting longer
                assert effect is Step.SETTLE_BALANCE
                return self._carry_out((effect,), data)
            answer: events.Event = events.FollowedUp(at=next_due, due_at=next_due)
            if effect is Step.ASK_STATUS:
                answer = events.StatusAsked(at=next_due, due_at=next_due)
            elif self.state.stage is Stage.VOID:  # it looks again at what the payers have
                assert effect is Step.PLAN_VOID
                return self._carry_out((effect,), data)
            elif effect is not Step.FOLLOW_UP:  # what asks again by itself
                assert self.state.hold is not None
                assert HOLDS[self.state.hold.code].redo is effect
                return self._carry_out((effect,), data)
            effects = self.take(answer)
            assert self.state.due_at == next_due
            self._carry_out(effects, data)
        return None

    @rule(data=st.data(), until=DUE)
    def a_person_releases_the_hold(self, data: st.DataObject, until: datetime | None) -> None:
        hold = self.state.hold
        if hold is not None and hold.releasable:
            effects = self.take(events.HoldReleased(at=START, code=hold.code, until=until))
            redo = Step.PLAN_VOID if self.state.stage is Stage.VOID else hold.redo
            assert effects == (() if redo is None else (redo,))
            self._carry_out(effects, data)

    @rule(data=st.data())
    def what_it_waits_for_comes(self, data: st.DataObject) -> None:
        event = {
            Stage.ATTENDANCE: events.AttendanceRecorded(at=START, attendance="attended"),
            Stage.READY: events.Submitted(at=START, version=self.state.version),
            Stage.SUBMITTED: events.Acknowledged(
                at=START, by="999", version=self.state.version, accepted=True
            ),
            Stage.ACKNOWLEDGED: events.Acknowledged(
                at=START, by="277CA", version=self.state.version, accepted=True
            ),
            Stage.ACCEPTED: events.RemittancePosted(
                at=START, version=self.state.version, denied=False
            ),
            Stage.CROSSOVER: events.RemittancePosted(
                at=START, version=self.state.version, denied=False
            ),
            Stage.PATIENT_BALANCE: events.PatientPaid(at=START),
            Stage.VOID: events.RemittancePosted(at=START, version=self.state.version, denied=False),
        }.get(self.state.stage)
        if event is not None and self.state.hold is None:
            before = self.state.stage
            effects = self.take(event)
            assert effects or self.state.stage is not before
            self._carry_out(effects, data)

    @invariant()
    def it_never_stands_in_limbo(self) -> None:
        """At rest a claim has ended, or is held, or waits for something named, from outside."""
        if self.state.sequence == 0:
            return
        assert self.state.resume is None
        if not self.state.ended and self.state.hold is None:
            assert self.state.stage in WAITS_FOR_OUTSIDE
            assert not why(self.state).waiting_for.startswith("groupclaim")


def _without_key(event: events.Event) -> events.Event:
    return event.model_copy(update={"key": ""})


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestDriven = Driven.TestCase
TestDriven.settings = settings(
    max_examples=100, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
