"""A claim as its workflow drives it: each step asked for is answered before anything else comes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Stage, Step
from groupclaim.lifecycle.transition import opened, transition

START = datetime(2026, 2, 3, 18, tzinfo=UTC)
DAY = timedelta(days=1)

Answer = Callable[[ClaimState, datetime], events.Event]

AS_HOPED: dict[Step, Answer] = {
    Step.CHECK_ELIGIBILITY: lambda state, at: events.EligibilityChecked(at=at),
    Step.CHECK_AUTHORIZATION: lambda state, at: events.AuthorizationChecked(at=at, due_at=at + DAY),
    Step.CHECK_DOCUMENTATION: lambda state, at: events.DocumentationChecked(at=at),
    Step.CHECK_CODING: lambda state, at: events.CodingChecked(at=at),
    Step.BUILD_CLAIM: lambda state, at: events.ClaimBuilt(at=at, version=state.version + 1),
    Step.QUEUE_CLAIM: lambda state, at: events.ClaimQueued(at=at, due_at=at + DAY),
    Step.DECIDE_DENIAL: lambda state, at: events.DenialDecided(at=at),
    Step.AUDIT_PAYMENT: lambda state, at: events.PaymentAudited(at=at, outcome="as_expected"),
    Step.SETTLE_BALANCE: lambda state, at: events.BalanceSettled(
        at=at, payer_open=0, patient_open=0
    ),
    Step.CHARGE_CARD: lambda state, at: events.CardCharged(
        at=at, due_at=at + DAY, outcome="charged"
    ),
    Step.PLAN_VOID: lambda state, at: events.VoidPlanned(at=at, next="done", reason=state.reason),
    Step.FOLLOW_UP: lambda state, at: events.FollowedUp(at=at, due_at=at + DAY),
    Step.ASK_STATUS: lambda state, at: events.StatusAsked(at=at, due_at=at + DAY),
}
"""What each step answers when nothing is wrong."""


class Telling:
    """Tells a claim what happens, and keeps which steps it asked for.

    ``once`` answers a step's next request otherwise than hoped.
    """

    def __init__(self, state: ClaimState | None = None) -> None:
        self.state = state or ClaimState(claim_number="GC0000000000X")
        self.at = START
        self.steps: list[Step] = []
        self._scripted: dict[Step, deque[Answer]] = {step: deque() for step in Step}
        self._carry_out(opened(self.state))

    def once(self, step: Step, answer: Answer) -> None:
        self._scripted[step].append(answer)

    def held_once(self, step: Step, code: str, *, releasable: bool = False) -> None:
        held = events.Held(code=code, releasable=releasable)
        self.once(
            step,
            lambda state, at: AS_HOPED[step](state, at).model_copy(
                update={"held": held, "due_at": at + DAY}
            ),
        )

    def happens(self, event: events.Event) -> list[Step]:
        """The steps that followed, until the claim waited or ended."""
        before = len(self.steps)
        self.state, effects = transition(self.state, event)
        self._carry_out(effects)
        return self.steps[before:]

    def _carry_out(self, effects: tuple[Step, ...]) -> None:
        while effects:
            (step,) = effects
            assert step in opened(self.state)
            self.steps.append(step)
            scripted = self._scripted[step]
            answer = scripted.popleft() if scripted else AS_HOPED[step]
            self.state, effects = transition(self.state, answer(self.state, self.at))

    def stage(self) -> Stage:
        return self.state.stage

    def hold_code(self) -> str | None:
        return self.state.hold.code if self.state.hold else None

    # --- what happens outside, half a day after the last

    def attended(self) -> list[Step]:
        return self.happens(events.AttendanceRecorded(at=self._later(), attendance="attended"))

    def not_attended(self, status: str = "no_show", *, sent: bool = False) -> list[Step]:
        return self.happens(
            events.AttendanceRecorded(
                at=self._later(), attendance=status, not_billable=status.upper(), sent=sent
            )
        )

    def learned(self, fact: str) -> list[Step]:
        return self.happens(events.FactLearned(at=self._later(), fact=fact))

    def released(self, code: str) -> list[Step]:
        return self.happens(events.HoldReleased(at=self._later(), code=code))

    def asked_again(self, what: str) -> list[Step]:
        return self.happens(events.LookAgainAsked(at=self._later(), what=what))

    def submitted(self) -> list[Step]:
        at = self._later()
        return self.happens(events.Submitted(at=at, version=self.state.version, due_at=at + DAY))

    def acknowledged(self, by: str, *, accepted: bool = True, cause: str = "A7") -> list[Step]:
        at = self._later()
        return self.happens(
            events.Acknowledged(
                at=at,
                by=by,
                version=self.state.version,
                accepted=accepted,
                cause=None if accepted else cause,
                due_at=at + DAY,
            )
        )

    def remitted(self, *, denied: str | None = None, version: int | None = None) -> list[Step]:
        return self.happens(
            events.RemittancePosted(
                at=self._later(),
                version=self.state.version if version is None else version,
                denied=denied is not None,
                cause=denied,
            )
        )

    def written_off(self) -> list[Step]:
        return self.happens(events.WrittenOff(at=self._later()))

    def patient_paid(self) -> list[Step]:
        return self.happens(events.PatientPaid(at=self._later()))

    def deadline_passes(self) -> list[Step]:
        assert self.state.due_at is not None
        self.at = self.state.due_at
        return self.happens(events.DeadlinePassed(at=self.at))

    def sent_and_accepted(self) -> None:
        self.submitted()
        self.acknowledged("999")
        self.acknowledged("277CA")

    def _later(self) -> datetime:
        self.at += DAY / 2
        return self.at


def waiting_for_payment() -> Telling:
    """A claim whose first version the payer has accepted."""
    told = Telling()
    told.attended()
    told.sent_and_accepted()
    return told
