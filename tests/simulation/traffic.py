"""Who has been told something on a Temporal server, and whether all of them have come to rest.

To ask every open workflow after each move of the clock costs more than what they do. So whoever
starts, signals or updates a workflow is written down, clients and workflows alike, and only those
are asked, and only when no step is under way here. They are written down before and after: nobody
comes to rest with a message on its way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import RLock
from typing import Any

import temporalio.client
import temporalio.worker
import temporalio.workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

_CALM_SECONDS = 0.015
"""Between two steps of a workflow its turn at the server takes about that long."""
_RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING


class Traffic(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Given to the client, it is the worker's too."""

    def __init__(self) -> None:
        self._lock = RLock()  # workflows run in threads of their own
        self._told: dict[str, int] = {}
        """Who has been told something since last seen at rest, and at which move that was."""
        self._moves = 0
        """How often anything was seen to begin or to end."""
        self._under_way = 0
        """Steps being carried out, and messages that are not delivered yet."""
        self.runs: dict[tuple[str, str], int] = {}
        """Events in the history of each run that was seen, by workflow id and run."""
        self._ended: set[tuple[str, str]] = set()

    @contextmanager
    def message(self, workflow_id: str) -> Iterator[None]:
        """Something is on its way to that workflow."""
        self._note(workflow_id)
        try:
            with self.under_way():
                yield
        finally:
            self._note(workflow_id)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _note(self, workflow_id: str) -> None:
        with self._lock:
            self._moves += 1
            self._told[workflow_id] = self._moves

    def _count(self, more: int) -> None:
        with self._lock:
            self._under_way += more
            self._moves += 1

    def intercept_client(
        self,
        next: temporalio.client.OutboundInterceptor,  # noqa: A002
    ) -> temporalio.client.OutboundInterceptor:
        return _FromClient(next, self)

    def workflow_interceptor_class(
        self,
        input: temporalio.worker.WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[temporalio.worker.WorkflowInboundInterceptor]:
        input.unsafe_extern_functions["message"] = self.message
        return _InWorkflow

    def intercept_activity(
        self,
        next: temporalio.worker.ActivityInboundInterceptor,  # noqa: A002
    ) -> temporalio.worker.ActivityInboundInterceptor:
        return _InActivity(next, self)

    async def rest(self, client: Client) -> None:
        """Return when all who were told anything only wait, and nothing is on its way to anyone.

        Whoever was seen at rest stays so until told something: that is not asked again before.
        """
        while self._told:
            before = await self._calm()
            asked = tuple(self._told)
            answers = await asyncio.gather(*(_describe(client, one) for one in asked))
            for workflow_id, found in zip(asked, answers, strict=True):
                if self._at_work(workflow_id, found):
                    continue
                with self._lock:
                    if self._told[workflow_id] <= before:
                        del self._told[workflow_id]

    async def _calm(self) -> int:
        """Return the count of moves when it stands still."""
        while True:
            before = self._moves
            await asyncio.sleep(_CALM_SECONDS)
            if self._moves == before and not self._under_way:
                return before

    def _at_work(self, workflow_id: str, found: DescribeWorkflowExecutionResponse | None) -> bool:
        if found is None:
            return False
        info = found.workflow_execution_info
        run = (workflow_id, info.execution.run_id)
        self.runs[run] = info.history_length
        if info.status != _RUNNING:
            if info.parent_execution.workflow_id and run not in self._ended:
                self._note(info.parent_execution.workflow_id)
            self._ended.add(run)
            return False
        return (
            len(found.pending_activities) > 0
            or found.HasField("pending_workflow_task")
            # A child that is not started yet, or whose end is about to be told.
            or any(
                child.run_id == "" or (child.workflow_id, child.run_id) in self._ended
                for child in found.pending_children
            )
        )


async def _describe(client: Client, workflow_id: str) -> DescribeWorkflowExecutionResponse | None:
    try:
        return await client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
            ),
            retry=True,
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


class _FromClient(temporalio.client.OutboundInterceptor):
    def __init__(self, following: temporalio.client.OutboundInterceptor, traffic: Traffic) -> None:
        super().__init__(following)
        self._traffic = traffic

    async def start_workflow(self, input: Any) -> Any:  # noqa: A002
        return await self._noted(input.id, super().start_workflow(input))

    async def signal_workflow(self, input: Any) -> None:  # noqa: A002
        await self._noted(input.id, super().signal_workflow(input))

    async def start_workflow_update(self, input: Any) -> Any:  # noqa: A002
        return await self._noted(input.id, super().start_workflow_update(input))

    async def start_update_with_start_workflow(self, input: Any) -> Any:  # noqa: A002
        whom = input.start_workflow_input.id
        return await self._noted(whom, super().start_update_with_start_workflow(input))

    async def _noted(self, workflow_id: str, doing: Any) -> Any:
        with self._traffic.message(workflow_id):
            return await doing


class _InActivity(temporalio.worker.ActivityInboundInterceptor):
    def __init__(
        self, following: temporalio.worker.ActivityInboundInterceptor, traffic: Traffic
    ) -> None:
        super().__init__(following)
        self._traffic = traffic

    async def execute_activity(self, input: Any) -> Any:  # noqa: A002
        with self._traffic.under_way():
            return await super().execute_activity(input)


class _InWorkflow(temporalio.worker.WorkflowInboundInterceptor):
    def init(self, outbound: temporalio.worker.WorkflowOutboundInterceptor) -> None:
        super().init(_FromWorkflow(outbound))


class _FromWorkflow(temporalio.worker.WorkflowOutboundInterceptor):
    def _message(self, workflow_id: str) -> AbstractContextManager[None]:
        message: AbstractContextManager[None] = temporalio.workflow.extern_functions()["message"](
            workflow_id
        )
        return message

    async def start_child_workflow(self, input: Any) -> Any:  # noqa: A002
        with self._message(input.id):
            return await super().start_child_workflow(input)

    async def signal_external_workflow(self, input: Any) -> None:  # noqa: A002
        with self._message(input.workflow_id):
            await super().signal_external_workflow(input)

    async def signal_child_workflow(self, input: Any) -> None:  # noqa: A002
        with self._message(input.child_workflow_id):
            await super().signal_child_workflow(input)
