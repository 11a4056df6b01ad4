"""What steps tell workflows: signals that arrive whether or not the workflow runs at the moment.

A signal may be told any number of times; who receives it knows it again by its key.
"""

from __future__ import annotations

import asyncio

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from groupclaim.lifecycle.events import OutsideEvent
from workflows import batch, claim, dispute, submission


class Messages:
    """Speaks to the workflows on ``task_queue``."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self._waking: dict[str, asyncio.Lock] = {}
        self._asked: dict[str, int] = {}
        self._woken: dict[str, int] = {}

    async def tell_claim(
        self, payer_key: str, number: str, signal: str, event: OutsideEvent
    ) -> None:
        """Signal the claim of this ``number``. One whose workflow has ended is taken up again, and
        reads for itself how the store keeps it."""
        await self._client.start_workflow(
            claim.NAME,
            claim.ClaimStart(claim_number=number, payer_key=payer_key),
            id=claim.workflow_id(number),
            task_queue=self._task_queue,
            start_signal=signal,
            start_signal_args=[event],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=claim.first_search_attributes(payer_key),
            static_summary=f"90853 claim {number}",
        )

    async def tell_ready(self, connection_id: str) -> None:
        """Wake the batch of a connection: a claim is ready.

        Claims that become ready while it is being woken share the next signal.
        """
        turn = self._asked[connection_id] = self._asked.get(connection_id, 0) + 1
        async with self._waking.setdefault(connection_id, asyncio.Lock()):
            if self._woken.get(connection_id, 0) >= turn:
                return
            told = self._asked[connection_id]
            await self._wake_batch(connection_id)
            self._woken[connection_id] = told

    async def _wake_batch(self, connection_id: str) -> None:
        await self._client.start_workflow(
            batch.NAME,
            batch.BatchStart(connection_id=connection_id),
            id=batch.workflow_id(connection_id),
            task_queue=self._task_queue,
            start_signal="ready",
            start_signal_args=[batch.Ready()],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"batch of connection {connection_id}",
        )

    async def tell_submission(self, batch_id: str, by: str, *, accepted: bool) -> None:
        """Tell a submission that a TA1 or 999 about it stands in the store.

        One whose interchange was not ``accepted`` waits for nothing more; one that has ended no
        longer waits for this.
        """
        handle = self._client.get_workflow_handle(submission.workflow_id(batch_id))
        try:
            await handle.signal(
                "acknowledged", submission.BatchAcknowledged(by=by, accepted=accepted)
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def tell_dispute(self, case_id: int) -> None:
        """Wake the case's dispute: a line of it was found or corrected."""
        await self._client.start_workflow(
            dispute.NAME,
            dispute.DisputeStart(case_id=case_id),
            id=dispute.workflow_id(case_id),
            task_queue=self._task_queue,
            start_signal="found",
            start_signal_args=[dispute.Found()],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"dispute {case_id} with a payer",
        )

    async def release_claim(
        self, claim_number: str, code: str, by: str, reason: str, request: str
    ) -> bool:
        """Release a claim's hold for a decision made elsewhere; False when it is not held so any
        more, or not under way."""
        handle = self._client.get_workflow_handle(claim.workflow_id(claim_number))
        try:
            await handle.execute_update(
                "release_hold",
                claim.ReleaseHold(code=code, by=by, reason=reason, request=request),
                id=f"{request}-{claim_number}",
                result_type=claim.ClaimStanding,
            )
        except WorkflowUpdateFailedError:
            return False
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True
