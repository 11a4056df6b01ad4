"""One participant's money, from eligibility to the closed account.

The workflow decides nothing about billing: :mod:`groupclaim.lifecycle.transition` says what follows
from what has happened. It carries out the steps that a transition asks for, one at a time, keeps
one durable deadline, and tells people where the claim stands.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Any

from temporalio import workflow
from temporalio.common import (
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

import workflows.denial as denials
import workflows.search as search
from activities import steps
from groupclaim.lifecycle import events
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import ClaimState, Stage, Step
from groupclaim.lifecycle.transition import (
    look_again_refused,
    opened,
    transition,
    write_off_refused,
)
from groupclaim.lifecycle.why import Why, why
from workflows.acting import ActedOn
from workflows.messages import ClaimEnd as ClaimEnd
from workflows.messages import ClaimStanding as ClaimStanding
from workflows.messages import ClaimStart as ClaimStart
from workflows.messages import LookAgain as LookAgain
from workflows.messages import ReleaseHold as ReleaseHold
from workflows.messages import WriteOff as WriteOff
from workflows.perform import Alarm, Wake, not_approved, perform, perform_here

NAME = "ClaimWorkflow"


def workflow_id(claim_number: str) -> str:
    return f"claim/{claim_number}"


@workflow.defn(name=NAME)
class ClaimWorkflow(ActedOn):
    @workflow.init
    def __init__(self, start: ClaimStart) -> None:
        super().__init__()
        self._payer_key = start.payer_key
        self._state = start.state or ClaimState(claim_number=start.claim_number)
        self._inbox: deque[events.OutsideEvent] = deque(start.inbox)
        self._alarm = Alarm(start.woken_at)
        self._shown: dict[str, Any] = {}
        self._denials: set[int] = set()
        self._writing_off = False

    @workflow.run
    async def run(self, start: ClaimStart) -> ClaimEnd:
        if start.state is None:
            kept = await perform_here(
                steps.LOAD_CLAIM, steps.ClaimRef(claim_number=start.claim_number)
            )
            self._state = kept.state
        to_do: deque[Step] = deque(opened(self._state))
        while True:
            event: events.Event
            if to_do:
                event = await self._carry_out(to_do.popleft())
            elif self._writing_off and not self._is_given_up():
                # Its loss is booked on what the claim is now: it becomes nothing else meanwhile.
                await workflow.wait_condition(lambda: not self._writing_off or self._is_given_up())
                continue
            elif self._inbox:
                event = self._inbox.popleft()
            else:
                recorded = await self._record()
                await self._follow_denials()
                if self._inbox:
                    continue
                if self._state.ended and workflow.all_handlers_finished():
                    return ClaimEnd(stage=self._state.stage, reason=self._state.reason)
                if (
                    workflow.info().is_continue_as_new_suggested()
                    and workflow.all_handlers_finished()
                ):
                    self._continue_as_new()
                await self._something_happens(recorded)
                continue
            before = self._state.denial
            self._state, effects = transition(self._state, event)
            to_do.extend(effects)
            if isinstance(event, events.DenialDecided) or before != self._state.denial:
                self._denials |= {before, self._state.denial} - {0}

    async def _carry_out(self, step: Step) -> events.Event:
        state = self._state
        result: events.Event = await perform(
            steps.CLAIM_STEPS[step],
            steps.ClaimStep(
                claim_number=state.claim_number,
                sequence=state.sequence,
                version=state.version,
                frequency=state.frequency,
                payer=state.payer,
                cause=state.cause,
                waivers=state.waivers,
                corrections=state.corrections,
                consent=state.consent,
                follow_ups=state.follow_ups,
                since=state.since if step is Step.PLAN_VOID else None,
                given_up=state.given_up,
            ),
        )
        return result

    async def _record(self) -> steps.Recorded:
        """Keep the state in the store and show it in Temporal's own pages."""
        state = self._state
        recorded = await perform_here(steps.RECORD_PROGRESS, steps.ClaimProgress(state=state))
        self._stand(recorded.items)
        hold_code = state.hold.code if state.hold else "none"
        work_queue = HOLDS[hold_code].waits_for.split(":")[0] if state.hold else "none"
        updates: list[SearchAttributeUpdate[Any]] = [
            search.STAGE.value_set(state.stage.value),
            search.HOLD_CODE.value_set(hold_code),
            search.WORK_QUEUE.value_set(work_queue),
            search.BILLED_CENTS.value_set(recorded.billed),
            search.OPEN_CENTS.value_set(recorded.open),
            search.DUE_AT.value_set(state.due_at) if state.due_at else search.DUE_AT.value_unset(),
        ]
        changed = [item for item in updates if self._shown.get(item.key.name) != item.value]
        if changed:
            self._shown.update((item.key.name, item.value) for item in changed)
            workflow.upsert_search_attributes(changed)
        workflow.set_current_details(_told(why(state)))
        return recorded

    async def _follow_denials(self) -> None:
        """Have a denial worked by a workflow of its own; tell one under way that there is news."""
        for number in sorted(self._denials):
            await self._work(number)
        self._denials.clear()

    async def _work(self, number: int) -> None:
        claim_number = self._state.claim_number
        denial_id = denials.workflow_id(claim_number, number)
        if number == self._state.denial:
            with contextlib.suppress(WorkflowAlreadyStartedError):
                await workflow.start_child_workflow(
                    denials.NAME,
                    denials.DenialStart(claim_number=claim_number, denial=number),
                    id=denial_id,
                    parent_close_policy=ParentClosePolicy.ABANDON,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    static_summary=f"denial {number} of claim {claim_number}",
                )
                return
        # One that has ended needs no news.
        with contextlib.suppress(FailureError):
            await workflow.get_external_workflow_handle(denial_id).signal("look_again")

    async def _something_happens(self, recorded: steps.Recorded) -> None:
        """Return when an event is in the inbox, from outside or the deadline, or it can end."""
        due_at = self._state.due_at
        await self._alarm.until(
            due_at,
            recorded.timer_seconds,
            why(self._state).next_step,
            unless=lambda: bool(self._inbox) or self._can_end(),
        )
        if not self._inbox and due_at is not None and not self._can_end():
            self._inbox.append(events.DeadlinePassed(at=due_at))

    def _is_given_up(self) -> bool:
        """Whether a write-off that has been booked is what happens next."""
        return bool(self._inbox) and isinstance(self._inbox[0], events.WrittenOff)

    def _can_end(self) -> bool:
        return self._state.ended and workflow.all_handlers_finished()

    def _continue_as_new(self) -> None:
        workflow.continue_as_new(
            ClaimStart(
                claim_number=self._state.claim_number,
                payer_key=self._payer_key,
                state=self._state,
                inbox=tuple(self._inbox),
                woken_at=self._alarm.moved_to,
            )
        )

    # --- what files and other workflows tell: signals, known again by their key

    @workflow.signal(name="attendance", description="The session's final attendance")
    def attendance(self, event: events.AttendanceRecorded) -> None:
        self._inbox.append(event)

    @workflow.signal(name="fact", description="Something was put on file that may clear a hold")
    def fact(self, event: events.FactLearned) -> None:
        self._inbox.append(event)

    @workflow.signal(name="submitted", description="The clearinghouse took the batch")
    def submitted(self, event: events.Submitted) -> None:
        self._inbox.append(event)

    @workflow.signal(name="ack_999", description="Acknowledgment of the transaction set")
    def ack_999(self, event: events.Acknowledged) -> None:
        self._inbox.append(event)

    @workflow.signal(name="ack_277ca", description="Acknowledgment of the claim")
    def ack_277ca(self, event: events.Acknowledged) -> None:
        self._inbox.append(event)

    @workflow.signal(name="remit_835", description="A remittance stands in the ledger")
    def remit_835(self, event: events.RemittancePosted) -> None:
        self._inbox.append(event)

    @workflow.signal(name="denial", description="What has become of a denial")
    def denial(self, event: events.DenialAdvanced) -> None:
        self._inbox.append(event)

    @workflow.signal(name="patient_paid", description="The patient has paid")
    def patient_paid(self, event: events.PatientPaid) -> None:
        self._inbox.append(event)

    @workflow.signal(name="wake", description="The practice clock was moved")
    def wake(self, wake: Wake) -> None:
        self._alarm.moved(wake)

    # --- what people decide: updates, refused before they reach the history

    @workflow.update(name="release_hold", description="Let a held claim go on, with a reason")
    async def release_hold(self, decision: ReleaseHold) -> ClaimStanding:
        key = f"release:{decision.request}"
        if key not in self._state.seen:
            recorded = await perform(
                steps.RECORD_DECISION,
                steps.ClaimDecision(
                    claim_number=self._state.claim_number,
                    code=decision.code,
                    by=decision.by,
                    reason=decision.reason,
                    request=decision.request,
                    second=decision.second,
                    until=decision.until,
                ),
                summary=f"release {decision.code}",
            )
            if recorded.refused is not None:
                raise not_approved(recorded.refused)
            self._inbox.append(
                events.HoldReleased(
                    at=recorded.at, key=key, code=decision.code, until=decision.until
                )
            )
            await workflow.wait_condition(lambda: key in self._state.seen)
        return self.progress()

    @release_hold.validator
    def _check_release(self, decision: ReleaseHold) -> None:
        hold = self._state.hold
        if f"release:{decision.request}" in self._state.seen:
            return
        self._check_seen(decision.item)
        if hold is None:
            raise ValueError("the claim is not held")
        if hold.code != decision.code:
            raise ValueError(f"the claim is held by {hold.code}, not by {decision.code}")
        if not hold.releasable:
            raise ValueError(f"{hold.code} cannot be released: {HOLDS[hold.code].released_by} can")
        if not decision.reason.strip():
            raise ValueError("a release needs a reason")
        if decision.until is not None and decision.until <= hold.since:
            raise ValueError("a waiver ends after the hold began")
        if not hold.two_people:
            return
        second = (decision.second or "").strip()
        if not second or second.casefold() == decision.by.strip().casefold():
            raise ValueError(f"a waiver of {hold.code} needs a second person who agrees")
        if decision.until is None:
            raise ValueError(f"a waiver of {hold.code} needs an expiry")

    @workflow.update(name="write_off", description="Give up what the payer never decided")
    async def write_off(self, decision: WriteOff) -> ClaimStanding:
        key = f"write_off:{decision.request}"
        if key not in self._state.seen:
            self._writing_off = True
            try:
                recorded = await perform(
                    steps.RECORD_WRITE_OFF,
                    steps.ClaimWriteOff(
                        claim_number=self._state.claim_number,
                        version=self._state.version,
                        by=decision.by,
                        reason=decision.reason,
                        request=decision.request,
                        second=decision.second,
                        state=self._state,
                    ),
                    summary="give up what the payer never decided",
                )
                if recorded.refused is not None:
                    raise not_approved(recorded.refused)
                self._inbox.appendleft(
                    events.WrittenOff(at=recorded.at, key=key, unsent=recorded.unsent)
                )
                await workflow.wait_condition(lambda: key in self._state.seen)
            finally:
                self._writing_off = False
        return self.progress()

    @write_off.validator
    def _check_write_off(self, decision: WriteOff) -> None:
        if f"write_off:{decision.request}" in self._state.seen:
            return
        if self._writing_off:
            raise ValueError("somebody else is writing it off just now")
        refused = write_off_refused(self._state)
        if refused:
            raise ValueError(refused)
        if not decision.by.strip() or not decision.reason.strip():
            raise ValueError("a write-off needs who decides and a reason")

    @workflow.update(name="look_again", description="Run the rules again, or ask the payer")
    async def look_again(self, wish: LookAgain) -> ClaimStanding:
        key = f"look_again:{wish.request}"
        if key not in self._state.seen:
            self._inbox.append(events.LookAgainAsked(at=wish.at, key=key, what=wish.what))
            await workflow.wait_condition(lambda: key in self._state.seen)
        return self.progress()

    @look_again.validator
    def _check_look_again(self, wish: LookAgain) -> None:
        if f"look_again:{wish.request}" not in self._state.seen:
            refused = look_again_refused(self._state, wish.what)
            if refused:
                raise ValueError(refused)

    # --- what anyone may ask

    @workflow.query(name="progress", description="Stage, hold, version, deadline")
    def progress(self) -> ClaimStanding:
        state = self._state
        return ClaimStanding(
            stage=state.stage,
            hold_code=state.hold.code if state.hold else None,
            reason=state.reason,
            version=state.version,
            due_at=state.due_at.isoformat() if state.due_at else None,
            step=state.resume,
        )

    @workflow.query(name="state", description="Everything that the claim is decided by")
    def state(self) -> ClaimState:
        return self._state

    @workflow.query(name="why", description="Waiting for whom, since when, what comes next")
    def why(self) -> Why:
        return why(self._state)


def first_search_attributes(payer_key: str) -> TypedSearchAttributes:
    """What a claim's workflow is found by from its first moment."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(search.STAGE, Stage.ELIGIBILITY.value),
            SearchAttributePair(search.PAYER_KEY, payer_key),
        ]
    )


def _told(reasons: Why) -> str:
    since = f" since {reasons.since:%Y-%m-%d %H:%M}" if reasons.since else ""
    next_at = f" at {reasons.next_at:%Y-%m-%d %H:%M}" if reasons.next_at else ""
    return (
        f"**Waiting for** {reasons.waiting_for}{since}\n\n"
        f"**Next** {reasons.next_step}{next_at}\n\n"
        f"**Released by** {reasons.released_by}\n\n"
        f"**Otherwise** {reasons.otherwise}"
    )
