"""A scene for workflows: client, task queue and scripted outside, and what tests do with them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing import WorkflowEnvironment

from activities import steps
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Stage
from groupclaim.model.session import Attendance
from tests.temporal import PATIENCE_SECONDS
from tests.workflows.outside import Outside, settled
from workflows import batch, denial, dispute, inbound, mailbox, remittance, session, submission
from workflows import claim as claims
from workflows.perform import Wake

SIGNALS: dict[type[events.Event], str] = {
    events.AttendanceRecorded: "attendance",
    events.FactLearned: "fact",
    events.Submitted: "submitted",
    events.RemittancePosted: "remit_835",
    events.DenialAdvanced: "denial",
    events.PatientPaid: "patient_paid",
}


@dataclass
class Scene:
    environment: WorkflowEnvironment
    client: Client
    task_queue: str
    outside: Outside

    # --- starting

    async def claim(
        self, number: str, state: ClaimState | None = None
    ) -> WorkflowHandle[Any, claims.ClaimEnd]:
        return await self.client.start_workflow(
            claims.NAME,
            claims.ClaimStart(claim_number=number, payer_key="payer1", state=state),
            id=claims.workflow_id(number),
            task_queue=self.task_queue,
            result_type=claims.ClaimEnd,
            search_attributes=claims.first_search_attributes("payer1"),
            static_summary=f"90853 claim {number}",
        )

    async def start(
        self, name: str, what: Any, workflow_id: str, result_type: type | None = None
    ) -> WorkflowHandle[Any, Any]:
        return await self.client.start_workflow(
            name, what, id=workflow_id, task_queue=self.task_queue, result_type=result_type
        )

    async def session(self, session_id: str) -> WorkflowHandle[Any, session.SessionEnd]:
        return await self.start(
            session.NAME,
            session.SessionStart(session_id=session_id),
            session.workflow_id(session_id),
            session.SessionEnd,
        )

    async def ready(self, connection_id: str) -> WorkflowHandle[Any, None]:
        """Wake the batch, as the step that queues a claim does."""
        return await self.client.start_workflow(
            batch.NAME,
            batch.BatchStart(connection_id=connection_id),
            id=batch.workflow_id(connection_id),
            task_queue=self.task_queue,
            start_signal="ready",
            start_signal_args=[batch.Ready()],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def submission(self, batch_id: str) -> WorkflowHandle[Any, None]:
        return await self.start(
            submission.NAME,
            submission.SubmissionStart(batch_id=batch_id),
            submission.workflow_id(batch_id),
        )

    async def inbound(self, digest: str) -> WorkflowHandle[Any, None]:
        return await self.start(
            inbound.NAME,
            steps.FileRef(digest=digest, connection_id="connection1"),
            inbound.workflow_id(digest),
        )

    async def remittance(self, remittance_id: int) -> WorkflowHandle[Any, steps.Posted]:
        return await self.start(
            remittance.NAME,
            steps.RemittanceRef(remittance_id=remittance_id),
            remittance.workflow_id(remittance_id),
            steps.Posted,
        )

    async def dispute(self, case_id: int) -> WorkflowHandle[Any, steps.DisputeStanding]:
        """Wake the dispute, as the step that audits a payment does."""
        return await self.client.start_workflow(
            dispute.NAME,
            dispute.DisputeStart(case_id=case_id),
            id=dispute.workflow_id(case_id),
            task_queue=self.task_queue,
            result_type=steps.DisputeStanding,
            start_signal="found",
            start_signal_args=[dispute.Found()],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def denial(self, claim_number: str, number: int = 1) -> WorkflowHandle[Any, None]:
        return await self.start(
            denial.NAME,
            denial.DenialStart(claim_number=claim_number, denial=number),
            denial.workflow_id(claim_number, number),
        )

    async def decide(
        self, handle: WorkflowHandle[Any, Any], choice: str, request: str = "request-1", **more: Any
    ) -> steps.DenialPlan:
        _, number, denial_number = handle.id.split("/")
        plan: steps.DenialPlan = await handle.execute_update(
            "decide",
            steps.DenialChoice.model_validate(
                {
                    "claim_number": number,
                    "denial": int(denial_number),
                    "choice": choice,
                    "by": "biller-1",
                    "reason": "as the playbook says",
                    "request": request,
                    **more,
                }
            ),
            result_type=steps.DenialPlan,
        )
        return plan

    async def mailbox(self, connection_id: str) -> WorkflowHandle[Any, steps.Polled]:
        return await self.start(
            mailbox.NAME,
            steps.ConnectionRef(connection_id=connection_id),
            mailbox.workflow_id(connection_id),
            steps.Polled,
        )

    # --- what happens to a claim

    async def tell(self, handle: WorkflowHandle[Any, Any], event: events.Event) -> None:
        """Signal a claim that rests, so that every event is a task of its own."""
        await settled(handle)
        if isinstance(event, events.Acknowledged):
            name = "ack_999" if event.by == "999" else "ack_277ca"
        else:
            name = SIGNALS[type(event)]
        await handle.signal(name, event)

    async def attended(self, handle: WorkflowHandle[Any, Any]) -> None:
        await self.tell(
            handle,
            events.AttendanceRecorded(
                at=self.outside.now, key="attendance:1", attendance=Attendance.ATTENDED
            ),
        )

    async def not_attended(self, handle: WorkflowHandle[Any, Any], *, sent: bool = False) -> None:
        await self.tell(
            handle,
            events.AttendanceRecorded(
                at=self.outside.now,
                key="attendance:2",
                attendance=Attendance.NO_SHOW,
                not_billable="NO_SHOW",
                sent=sent,
            ),
        )

    async def submitted(self, handle: WorkflowHandle[Any, Any], version: int = 1) -> None:
        now = self.outside.now
        await self.tell(
            handle,
            events.Submitted(
                at=now,
                key=f"submitted:b1f4c0de-0000-4000-8000-000000000001:{version}",
                due_at=now + timedelta(days=1),
                version=version,
            ),
        )

    async def acknowledged(
        self, handle: WorkflowHandle[Any, Any], by: str, version: int = 1, cause: str | None = None
    ) -> None:
        now = self.outside.now
        await self.tell(
            handle,
            events.Acknowledged.model_validate(
                {
                    "at": now,
                    "key": f"{by}:0123456789abcdef:{version}",
                    "due_at": now + timedelta(days=3),
                    "by": by,
                    "version": version,
                    "accepted": cause is None,
                    "cause": cause,
                }
            ),
        )

    async def sent_and_accepted(self, handle: WorkflowHandle[Any, Any], version: int = 1) -> None:
        number = handle.id.removeprefix("claim/")
        await self.submitted(handle, version)
        await self.outside.rests(number, Stage.SUBMITTED)
        await self.acknowledged(handle, "999", version)
        await self.outside.rests(number, Stage.ACKNOWLEDGED)
        await self.acknowledged(handle, "277CA", version)
        await self.outside.rests(number, Stage.ACCEPTED)

    async def remitted(
        self, handle: WorkflowHandle[Any, Any], version: int = 1, denied: str | None = None
    ) -> None:
        await self.tell(
            handle,
            events.RemittancePosted(
                at=self.outside.now,
                key=f"835:0123456789abcdef:{version}:{denied or 'paid'}",
                version=version,
                denied=denied is not None,
                cause=denied,
            ),
        )

    async def release(
        self, handle: WorkflowHandle[Any, Any], code: str, request: str = "request-1"
    ) -> claims.ClaimStanding:
        progress: claims.ClaimStanding = await handle.execute_update(
            "release_hold",
            claims.ReleaseHold(
                code=code, by="supervisor-1", reason="confirmed with the payer", request=request
            ),
            result_type=claims.ClaimStanding,
        )
        return progress

    # --- time

    async def fast_forward(self, handle: WorkflowHandle[Any, Any], duration: timedelta) -> None:
        """Let this workflow's durable timers ring, and the practice clock go with them."""
        await settled(handle)
        self.outside.now += duration
        await self.environment.fast_forward(handle, duration)

    async def wake(self, handle: WorkflowHandle[Any, Any], later: timedelta) -> None:
        """Move the stored clock and wake the workflow."""
        self.outside.now += later
        await handle.signal("wake", Wake(now=self.outside.now))


async def eventually(condition: Any) -> None:
    """Return once ``condition()`` holds; it may be a coroutine function."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            held = condition()
            if asyncio.iscoroutine(held):
                held = await held
            if held:
                return
            await asyncio.sleep(0.005)
