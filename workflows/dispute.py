"""One dispute with a payer: what it got wrong in one way, from the first line found to its end.

A dispute is a case of its own, not a child of one claim: one mistake of a payer touches the claims
of many people, and one letter names them all. Claims wait in their own holds meanwhile; what a
person decides here releases them there. Woken by the first line found, by each further one and by
each correction of the payer; ends with the case.
"""

from __future__ import annotations

from collections.abc import Mapping

from temporalio import workflow

from activities import steps
from groupclaim.model.money import Cents
from workflows.acting import ActedOn
from workflows.messages import Approve as Approve
from workflows.messages import Close as Close
from workflows.messages import DisputeStart as DisputeStart
from workflows.messages import Found as Found
from workflows.perform import Alarm, Wake, not_approved, perform

NAME = "DisputeWorkflow"

_OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "underpayment": ("recovered", "partly_recovered", "given_up", "withdrawn"),
    "overpayment": ("taken_back", "refunded", "kept", "withdrawn"),
}
_RELEASING = ("given_up", "refunded", "kept")
"""Outcomes after which no claim waits for the payer any more."""


def workflow_id(case_id: int) -> str:
    return f"dispute/{case_id}"


@workflow.defn(name=NAME)
class DisputeWorkflow(ActedOn):
    @workflow.init
    def __init__(self, start: DisputeStart) -> None:
        super().__init__()
        self._case_id = start.case_id
        self._follow_ups = start.follow_ups
        self._news = False
        self._standing: steps.DisputeStanding | None = None
        self._requests: set[str] = set()
        self._alarm = Alarm()

    @workflow.run
    async def run(self, start: DisputeStart) -> steps.DisputeStanding:
        while True:
            self._news = False
            look = steps.DisputeLook(case_id=self._case_id, follow_ups=self._follow_ups)
            standing = await perform(steps.LOOK_AT_DISPUTE, look, "where the case stands")
            self._show(standing)
            if standing.state == "closed":
                await workflow.wait_condition(workflow.all_handlers_finished)
                return standing
            if (
                workflow.info().is_continue_as_new_suggested()
                and workflow.all_handlers_finished()
                and not self._news
            ):
                workflow.continue_as_new(start.model_copy(update={"follow_ups": self._follow_ups}))
            await self._alarm.until(
                standing.due_at,
                standing.timer_seconds,
                "the payer's answer, or a person, is due",
                unless=lambda: self._news,
            )
            if not self._news:
                self._follow_ups += 1

    def _show(self, standing: steps.DisputeStanding) -> None:
        self._standing = standing
        self._stand(standing.items)
        due = f" Looked at again {standing.due_at:%Y-%m-%d}." if standing.due_at else ""
        workflow.set_current_details(
            f"{standing.kind}, {standing.outcome or standing.state.replace('_', ' ')}: "
            f"{Cents(standing.identified)} on {standing.claims} claims, "
            f"{Cents(standing.recovered)} of it corrected.{due}"
        )

    @workflow.signal(name="found", description="A line was found, or the payer corrected one")
    def found(self, found: Found) -> None:
        self._news = True

    @workflow.signal(name="wake", description="The practice clock was moved")
    def wake(self, wake: Wake) -> None:
        self._alarm.moved(wake)

    @workflow.update(name="approve", description="Send the letter to the payer")
    async def approve(self, decision: Approve) -> steps.DisputeStanding:
        return await self._decide(
            steps.DisputeDecision(
                case_id=self._case_id,
                action="approve",
                by=decision.by,
                reason=decision.reason,
                request=decision.request,
                second=decision.second,
            )
        )

    @approve.validator
    def _check_approval(self, decision: Approve) -> None:
        if decision.request in self._requests:
            return
        self._check_words(decision.by, decision.reason)
        state = self._standing.state if self._standing else "gathering"
        if state == "gathering":
            raise ValueError("the case is below the amount that is worth a letter")
        if state != "to_approve":
            raise ValueError(f"the case is {state}: its letter was approved before")

    @workflow.update(name="close", description="End the case, and say how")
    async def close(self, decision: Close) -> steps.DisputeStanding:
        standing = await self._decide(
            steps.DisputeDecision(
                case_id=self._case_id,
                action="close",
                outcome=decision.outcome,
                by=decision.by,
                reason=decision.reason,
                request=decision.request,
                second=decision.second,
            )
        )
        if decision.outcome in _RELEASING:
            await perform(
                steps.RELEASE_DISPUTED,
                steps.DisputeRef(case_id=self._case_id),
                "release the claims that waited for this",
            )
        return standing

    @close.validator
    def _check_closing(self, decision: Close) -> None:
        if decision.request in self._requests:
            return
        self._check_words(decision.by, decision.reason)
        standing = self._standing
        if standing is None:
            raise ValueError("the case has not been looked at yet: try again")
        if standing.state == "closed":
            raise ValueError(f"the case is closed: {standing.outcome}")
        if decision.outcome not in _OUTCOMES[standing.kind]:
            raise ValueError(f"an {standing.kind} ends as {', '.join(_OUTCOMES[standing.kind])}")

    @staticmethod
    def _check_words(by: str, reason: str) -> None:
        if not by.strip():
            raise ValueError("a decision needs the name of who decides")
        if not reason.strip():
            raise ValueError("a decision needs a reason")

    async def _decide(self, decision: steps.DisputeDecision) -> steps.DisputeStanding:
        standing = await perform(steps.DECIDE_DISPUTE, decision, f"{decision.action} the case")
        if standing.refused is not None:
            raise not_approved(standing.refused)
        self._requests.add(decision.request)
        self._follow_ups = 0
        self._show(standing)
        self._news = True
        return standing

    @workflow.query(name="progress", description="State, amounts, when it is looked at again")
    def progress(self) -> steps.DisputeStanding | None:
        return self._standing
