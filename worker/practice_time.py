"""Moving the stored practice clock: weeks pass because nothing is left to do, never by hurrying.

The clock stands still while anything is in progress. When every workflow only waits, it moves to
the next moment at which something is due: a deadline, a file in the mailbox, or what people do.
Whoever waited for that moment is woken. So a run that was disturbed a hundred times sees the same
moments as a calm one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from activities import steps
from activities.steps import TASK_QUEUE
from groupclaim.store import waiting
from groupclaim.store.clock import PracticeClock, due_wakeups, next_wakeup
from groupclaim.store.database import Database
from worker.embedded import Process, Simulator
from workflows import batch, claim, denial, inbound, mailbox, session, submission
from workflows.perform import Wake

_LOOK_AGAIN_SECONDS = 0.05
_ASKED_AT_ONCE = 100
"""Of thousands asked after at once, the engine lets some wait until they give up."""
_RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING


class PracticeTime:
    """The stored clock of one practice, and everything that reads it."""

    def __init__(
        self,
        database: Database,
        clock: PracticeClock,
        client: Client,
        simulator: Simulator,
        connections: Sequence[str],
        processes: Sequence[Process],
    ) -> None:
        self._database = database
        self._clock = clock
        self._client = client
        self._simulator = simulator
        self._connections = connections
        self._processes = processes
        self._asking = asyncio.Semaphore(_ASKED_AT_ONCE)

    async def next_moment(self) -> datetime | None:
        """The next deadline or delivery; None when nothing at all is awaited."""
        async with self._database.reading() as tx:
            wakeup = await next_wakeup(tx)
        moments = [at for at in (wakeup, await self._simulator.next_at()) if at is not None]
        return min(moments, default=None)

    async def mail_is_due(self) -> bool:
        """Whether the payers have anything more to say by themselves."""
        return await self._simulator.next_at() is not None

    async def move_to(self, moment: datetime) -> None:
        """Move the clock, wake who waited for it, fetch what has been delivered by then."""
        delivery = await self._simulator.next_at()
        await self._clock.move_to(moment)
        await self._simulator.move_clock(moment)
        async with self._database.reading() as tx:
            due = await due_wakeups(tx, moment)
        for workflow_id, due_at in due:
            await self._wake(workflow_id, due_at, moment)
        if due:
            await self.quiet()
        if delivery is not None and delivery <= moment:
            await self.fetch_mail()

    async def _wake(self, workflow_id: str, due_at: datetime, now: datetime) -> None:
        try:
            await self._client.get_workflow_handle(workflow_id).signal("wake", Wake(now=now))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        async with self._database.transaction() as transaction:
            await waiting.clear_wakeup(transaction, workflow_id, due_at)

    async def fetch_mail(self) -> None:
        """Look into every mailbox, and wait until all that came is dealt with."""
        for connection in self._connections:
            await self._client.execute_workflow(
                mailbox.NAME,
                steps.ConnectionRef(connection_id=connection),
                id=mailbox.workflow_id(connection),
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
        await self.quiet()

    async def quiet(self) -> None:
        """Return when nothing is in progress: seen twice, with nothing having moved between.

        Raises :class:`worker.embedded.StartFailed` when a process that must do the work has ended.
        """
        before = None
        while True:
            for process in self._processes:
                process.check()
            now = await self._standing()
            if now is not None and now == before:
                return
            before = now
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _standing(self) -> tuple[tuple[str, str, int], ...] | None:
        """Each open workflow with its run and length of history; None while any of them works."""
        async with self._database.reading() as tx:
            open_work = await waiting.open_work(tx)
        expected = {
            *map(inbound.workflow_id, open_work.files),
            *map(claim.workflow_id, open_work.claims),
        }
        possible = {
            *expected,
            *map(session.workflow_id, open_work.sessions),
            *map(batch.workflow_id, self._connections),
            *map(submission.workflow_id, open_work.batches),
            *(denial.workflow_id(number, place) for number, place in open_work.denials),
            *map(mailbox.workflow_id, self._connections),
        }
        seen = dict(
            zip(
                sorted(possible),
                await asyncio.gather(*map(self._describe, sorted(possible))),
                strict=True,
            )
        )
        standing = []
        for workflow_id, described in seen.items():
            if described is None or described.workflow_execution_info.status != _RUNNING:
                if workflow_id in expected:
                    return None
                continue
            if (
                described.pending_activities
                or described.HasField("pending_workflow_task")
                or any(self._has_ended(seen, child) for child in described.pending_children)
            ):
                return None
            info = described.workflow_execution_info
            standing.append((workflow_id, info.execution.run_id, info.history_length))
        return tuple(standing)

    @staticmethod
    def _has_ended(seen: dict[str, DescribeWorkflowExecutionResponse | None], child: Any) -> bool:
        """True when a parent waits for a child that is not open: its end is about to be told."""
        described = seen.get(child.workflow_id)
        return described is None or described.workflow_execution_info.status != _RUNNING

    async def _describe(self, workflow_id: str) -> DescribeWorkflowExecutionResponse | None:
        request = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        try:
            async with self._asking:
                return await self._client.workflow_service.describe_workflow_execution(request)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
