"""A scripted outside: every step under its real name, answering as hoped unless told otherwise."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities import steps
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Stage
from tests.temporal import PATIENCE_SECONDS

START = datetime(2026, 2, 3, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

ALL_STEPS: tuple[steps.Step[Any, Any], ...] = tuple(
    value for value in vars(steps).values() if isinstance(value, steps.Step)
)

Answer = BaseModel | Exception | Callable[[Any], BaseModel | Awaitable[BaseModel]]


class Outside:
    """Activities without an outside.

    ``now`` is the practice clock. With ``wall_clock`` waits get a timer; without, whoever moves
    ``now`` must wake the workflows. ``calls`` lists each attempt at a step with its input.
    """

    def __init__(self, *, wall_clock: bool = True) -> None:
        self.now = START
        self.wall_clock = wall_clock
        self.calls: list[tuple[str, Any]] = []
        self.states: dict[str, ClaimState] = {}
        self.items: dict[str, steps.ItemStanding] = {}
        self._answers: dict[str, deque[Answer]] = defaultdict(deque)
        self._recorded = asyncio.Condition()

    # --- what a test says and asks

    def answer(self, step: steps.Step[Any, Any], *answers: Answer) -> None:
        """What the next attempts at ``step`` give: records, errors, or functions of the input."""
        self._answers[step.name].extend(answers)

    def inputs(self, step: steps.Step[Any, Any]) -> list[Any]:
        return [given for name, given in self.calls if name == step.name]

    async def rests(
        self, claim_number: str, stage: Stage, hold_code: str | None = None, version: int = 0
    ) -> ClaimState:
        """The state of the claim once it has come to rest at ``stage``, under that hold if any."""

        def there() -> bool:
            state = self.states.get(claim_number)
            return (
                state is not None
                and state.stage is stage
                and (state.hold.code if state.hold else None) == hold_code
                and state.version >= version
            )

        async with asyncio.timeout(PATIENCE_SECONDS), self._recorded:
            await self._recorded.wait_for(there)
        return self.states[claim_number]

    def sleep(self, until: datetime | None) -> float | None:
        """How long a timer until then runs; None where the clock is a stored one."""
        if until is None or not self.wall_clock:
            return None
        return (until - self.now).total_seconds()

    # --- the steps

    def activities(self) -> list[Callable[..., Any]]:
        return [self._activity(step) for step in ALL_STEPS]

    def _activity(self, step: steps.Step[Any, Any]) -> Callable[..., Any]:
        async def attempt(given: Any) -> Any:
            self.calls.append((step.name, given))
            scripted = self._answers[step.name]
            answer: Any = scripted.popleft() if scripted else getattr(self, f"_{step.name}")
            if isinstance(answer, Exception):
                raise answer
            result = answer(given) if callable(answer) else answer
            if isinstance(result, Awaitable):
                result = await result
            assert isinstance(result, step.output), f"{step.name} gives {step.output.__name__}"
            if step is steps.RECORD_PROGRESS:
                async with self._recorded:
                    self.states[given.state.claim_number] = given.state
                    self._recorded.notify_all()
            return result

        attempt.__annotations__ = {"given": step.input, "return": step.output}
        return activity.defn(name=step.name)(attempt)

    def _check_eligibility(self, step: steps.ClaimStep) -> events.EligibilityChecked:
        return events.EligibilityChecked(at=self.now)

    def _check_authorization(self, step: steps.ClaimStep) -> events.AuthorizationChecked:
        return events.AuthorizationChecked(at=self.now, due_at=self.now + DAY)

    def _check_documentation(self, step: steps.ClaimStep) -> events.DocumentationChecked:
        return events.DocumentationChecked(at=self.now)

    def _check_coding(self, step: steps.ClaimStep) -> events.CodingChecked:
        return events.CodingChecked(at=self.now)

    def _build_claim(self, step: steps.ClaimStep) -> events.ClaimBuilt:
        return events.ClaimBuilt(at=self.now, version=step.version + 1)

    def _queue_claim(self, step: steps.ClaimStep) -> events.ClaimQueued:
        return events.ClaimQueued(at=self.now, due_at=self.now + DAY)

    def _decide_denial(self, step: steps.ClaimStep) -> events.DenialDecided:
        return events.DenialDecided(at=self.now)

    def _audit_payment(self, step: steps.ClaimStep) -> events.PaymentAudited:
        return events.PaymentAudited(at=self.now, outcome="as_expected")

    def _settle_balance(self, step: steps.ClaimStep) -> events.BalanceSettled:
        return events.BalanceSettled(at=self.now, payer_open=0, patient_open=0)

    def _plan_void(self, step: steps.ClaimStep) -> events.VoidPlanned:
        """A person agrees; then nothing is left with any payer."""
        if "ATTENDANCE_CHANGED" in step.waivers:
            return events.VoidPlanned(at=self.now, next="done", reason="NO_SHOW")
        return events.VoidPlanned(
            at=self.now,
            next="hold",
            held=events.Held(code="ATTENDANCE_CHANGED", releasable=True),
            reason="NO_SHOW",
            due_at=self.now + DAY,
        )

    def _follow_up(self, step: steps.ClaimStep) -> events.FollowedUp:
        return events.FollowedUp(at=self.now, due_at=self.now + DAY)

    def _ask_status(self, step: steps.ClaimStep) -> events.StatusAsked:
        return events.StatusAsked(at=self.now, due_at=self.now + DAY)

    def _record_decision(self, decision: steps.ClaimDecision) -> steps.DecisionRecorded:
        return steps.DecisionRecorded(at=self.now)

    def _record_write_off(self, decision: steps.ClaimWriteOff) -> steps.DecisionRecorded:
        return steps.DecisionRecorded(at=self.now)

    def _act_on_item(self, act: steps.ItemAct) -> steps.ItemActed:
        """As the store does: the revision that was seen is the one that is changed."""
        now = self.items.get(act.item) or steps.ItemStanding(
            item=act.item, revision=0, state="open"
        )
        if now.revision != act.revision:
            return steps.ItemActed(standing=now, changed=True)
        self.items[act.item] = now.model_copy(
            update={"revision": now.revision + 1, "assignee": act.to}
        )
        return steps.ItemActed(standing=self.items[act.item])

    def _load_claim(self, claim: steps.ClaimRef) -> steps.Kept:
        fresh = ClaimState(claim_number=claim.claim_number)
        return steps.Kept(state=self.states.get(claim.claim_number, fresh))

    def _record_progress(self, progress: steps.ClaimProgress) -> steps.Recorded:
        state = progress.state
        billed = 6000 if state.version else 0
        return steps.Recorded(
            timer_seconds=self.sleep(state.due_at),
            billed=billed,
            open=0 if state.ended else billed,
        )

    def _load_roster(self, session: steps.SessionRef) -> steps.Roster:
        return roster(
            "p1", "p2", "p3", due_at=self.now + DAY, timer_seconds=self.sleep(self.now + DAY)
        )

    def _record_attendance(self, record: steps.RecordAttendance) -> steps.AttendanceRecorded:
        attended = [entry for entry in record.entries if entry.status == "attended"]
        return steps.AttendanceRecorded(group_size=len(attended), changed=len(record.entries))

    def _amend_roster(self, amendment: steps.AmendRoster) -> steps.Roster:
        patients = [p for p in ("p1", "p2", "p3") if p not in amendment.remove]
        return roster(*patients, *amendment.add, due_at=self.now + DAY, timer_seconds=None)

    def _record_session(self, progress: steps.SessionProgress) -> steps.Recorded:
        return steps.Recorded()

    def _follow_up_attendance(self, alert: steps.SessionAlert) -> steps.NextLook:
        return self._next_look(DAY)

    def _plan_denial(self, ref: steps.DenialRef) -> steps.DenialPlan:
        due_at = self.now + DAY
        return steps.DenialPlan(
            at=self.now,
            next="person",
            action="ask_authorization",
            who="utilization review",
            choices=("done", "send_again", "write_off"),
            due_at=due_at,
            timer_seconds=self.sleep(due_at),
        )

    def _ask_afterwards(self, ref: steps.DenialRef) -> steps.Told:
        return steps.Told()

    def _draft_letter(self, ref: steps.DenialRef) -> steps.Told:
        return steps.Told()

    def _send_letter(self, ref: steps.DenialRef) -> steps.Told:
        return steps.Told()

    def _record_denial_choice(self, choice: steps.DenialChoice) -> steps.DecisionRecorded:
        return steps.DecisionRecorded(at=self.now)

    def _follow_up_denial(self, alert: steps.DenialAlert) -> steps.Told:
        return steps.Told()

    def _announce_denial(self, ref: steps.DenialRef) -> steps.Told:
        return steps.Told()

    def _next_cutoff(self, connection: steps.ConnectionRef) -> steps.NextLook:
        return self._next_look(6 * HOUR)

    def _cut_batch(self, connection: steps.ConnectionRef) -> steps.CutBatch:
        return steps.CutBatch(batch_id=None, claims=0)

    def _build_batch(self, batch: steps.BatchRef) -> steps.BuiltBatch:
        return steps.BuiltBatch(digest="d" * 64, claims=2, size=2048)

    def _send_batch(self, batch: steps.BatchRef) -> steps.Sent:
        return self.sent("accepted")

    def _reconcile_batch(self, batch: steps.BatchRef) -> steps.Reconciled:
        return self.reconciled("received")

    def _announce_batch(self, announce: steps.Announce) -> steps.Announced:
        return steps.Announced(claims=2)

    def _follow_up_batch(self, alert: steps.BatchAlert) -> steps.NextLook:
        return self._next_look(DAY)

    def _poll_mailbox(self, connection: steps.ConnectionRef) -> steps.Polled:
        return steps.Polled(files=2)

    def _draw_sample(self, look: steps.SampleRound) -> steps.SampleDrawn:
        return steps.SampleDrawn(sample_id="sample1")

    def _deliver_webhooks(self, look: steps.WebhookRound) -> steps.WebhooksDelivered:
        return steps.WebhooksDelivered(due=2, taken=1)

    def _read_file(self, file: steps.FileRef) -> steps.FileContents:
        return steps.FileContents(acknowledgments=1, payments=0, problems=0)

    def _route_acknowledgments(self, file: steps.FileRef) -> steps.Routed:
        return steps.Routed(claims=1, batches=1, unmatched=0)

    def _register_remittances(self, file: steps.FileRef) -> steps.Remittances:
        return steps.Remittances(new=(), repeated=0)

    def _report_file(self, report: steps.FileProblem) -> steps.Recorded:
        return steps.Recorded()

    def _acknowledge_file(self, file: steps.FileRef) -> steps.Recorded:
        return steps.Recorded()

    def _post_remittance(self, payment: steps.RemittanceRef) -> steps.Posted:
        return steps.Posted(state="posted", claims=2, difference_cents=0)

    def _announce_remittance(self, payment: steps.RemittanceRef) -> steps.Announced:
        return steps.Announced(claims=2)

    def _look_at_dispute(self, look: steps.DisputeLook) -> steps.DisputeStanding:
        return self.dispute("gathering")

    def _decide_dispute(self, decision: steps.DisputeDecision) -> steps.DisputeStanding:
        state = "told" if decision.action == "approve" else "closed"
        return self.dispute(state, outcome=decision.outcome)

    def _release_disputed(self, ref: steps.DisputeRef) -> steps.ClaimsReleased:
        return steps.ClaimsReleased(claims=2)

    # --- answers that tests script often

    def dispute(self, state: str, **values: Any) -> steps.DisputeStanding:
        """An underpayment of 12.10 on two claims, looked at again in 30 days until it is closed."""
        due_at = None if state == "closed" else self.now + 30 * DAY
        standing = {
            "state": state,
            "kind": "underpayment",
            "claims": 2,
            "identified": 1210,
            "due_at": due_at,
            "timer_seconds": self.sleep(due_at),
        }
        return steps.DisputeStanding.model_validate(standing | values)

    def _next_look(self, later: timedelta) -> steps.NextLook:
        due_at = self.now + later
        return steps.NextLook(due_at=due_at, timer_seconds=self.sleep(due_at))

    def sent(self, outcome: str) -> steps.Sent:
        next_at = self.now + HOUR
        return steps.Sent.model_validate(
            {"outcome": outcome, "next_at": next_at, "timer_seconds": self.sleep(next_at)}
        )

    def reconciled(self, outcome: str) -> steps.Reconciled:
        next_at = self.now + HOUR
        return steps.Reconciled.model_validate(
            {"outcome": outcome, "next_at": next_at, "timer_seconds": self.sleep(next_at)}
        )


def claim_of(patient_id: str) -> str:
    return f"GC{patient_id.upper():0>11}"


def roster(*patients: str, due_at: datetime, timer_seconds: float | None) -> steps.Roster:
    return steps.Roster(
        entries=tuple(
            steps.RosterEntry(
                patient_id=patient, claim_number=claim_of(patient), payer_key="payer1"
            )
            for patient in patients
        ),
        attendance_due_at=due_at,
        timer_seconds=timer_seconds,
    )


@asynccontextmanager
async def working(
    client: Client, task_queue: str, outside: Outside, **options: Any
) -> AsyncIterator[Worker]:
    """A worker with the plugin's workflows and the scripted steps."""
    version = WorkerDeploymentVersion(deployment_name="groupclaim", build_id="test")
    async with Worker(
        client,
        task_queue=task_queue,
        activities=outside.activities(),
        deployment_config=WorkerDeploymentConfig(version=version, use_worker_versioning=False),
        **options,
    ) as worker:
        yield worker


async def settled(handle: WorkflowHandle[Any, Any]) -> None:
    """Return once the workflow has nothing to do but wait."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            described = (await handle.describe()).raw_description
            if not described.HasField("pending_workflow_task") and not described.pending_activities:
                return
            await asyncio.sleep(0.005)
