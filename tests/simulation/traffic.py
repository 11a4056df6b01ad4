"""Who has been told something on a Temporal server, and whether all of them have come to rest.

To ask every open workflow after each move of the clock costs more than what they do. So whoever
starts, signals or updates a workflow is written down, clients and workflows alike, and only those
are asked. They are written down before and after: nobody comes to rest with a message on its way.
"""

from __future__ import annotations

import asyncio
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

_LOOK_AGAIN_SECONDS = 0.05
_RUNNING = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING


class Traffic(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Given to the client, it is the worker's too."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[str, int] | None] = {}
        """By workflow id: its run and length of history when it was last seen at rest."""
        self.runs: dict[tuple[str, str], int] = {}
        """Events in the history of each run that was seen, by workflow id and run."""
        self._ended: set[tuple[str, str]] = set()

    def note(self, workflow_id: str) -> None:
        self._told[workflow_id] = None

    def intercept_client(
        self,
        next: temporalio.client.OutboundInterceptor,  # noqa: A002
    ) -> temporalio.client.OutboundInterceptor:
        return _FromClient(next, self)

    def workflow_interceptor_class(
        self,
        input: temporalio.worker.WorkflowInterceptorClassInput,  # noqa: A002
    ) -> type[temporalio.worker.WorkflowInboundInterceptor]:
        input.unsafe_extern_functions["note_traffic"] = self.note
        return _InWorkflow

    async def rest(self, client: Client) -> None:
        """Return when all who were told anything only wait: seen twice, and nothing new between."""
        while self._told:
            asked = tuple(self._told)
            for workflow_id, found in zip(
                asked,
                await asyncio.gather(*(_describe(client, one) for one in asked)),
                strict=True,
            ):
                self._look(workflow_id, found)
            if self._told:
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def _look(self, workflow_id: str, found: DescribeWorkflowExecutionResponse | None) -> None:
        if found is None:
            seen = ("", 0)
        else:
            info = found.workflow_execution_info
            self.runs[workflow_id, info.execution.run_id] = info.history_length
            if info.status != _RUNNING:
                self._ended.add((workflow_id, info.execution.run_id))
                if info.parent_execution.workflow_id:
                    self._told.setdefault(info.parent_execution.workflow_id, None)
            at_work = info.status == _RUNNING and (
                len(found.pending_activities) > 0
                or found.HasField("pending_workflow_task")
                # A child that is not started yet, or whose end is about to be told.
                or any(
                    child.run_id == "" or (child.workflow_id, child.run_id) in self._ended
                    for child in found.pending_children
                )
            )
            if at_work:
                self._told[workflow_id] = None
                return
            seen = (info.execution.run_id, info.history_length)
        if self._told.get(workflow_id) == seen:
            del self._told[workflow_id]
        else:
            self._told[workflow_id] = seen


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
        self._traffic.note(workflow_id)
        try:
            return await doing
        finally:
            self._traffic.note(workflow_id)


class _InWorkflow(temporalio.worker.WorkflowInboundInterceptor):
    def init(self, outbound: temporalio.worker.WorkflowOutboundInterceptor) -> None:
        super().init(_FromWorkflow(outbound))


class _FromWorkflow(temporalio.worker.WorkflowOutboundInterceptor):
    def _note(self, workflow_id: str) -> None:
        temporalio.workflow.extern_functions()["note_traffic"](workflow_id)

    async def start_child_workflow(self, input: Any) -> Any:  # noqa: A002
        self._note(input.id)
        try:
            return await super().start_child_workflow(input)
        finally:
            self._note(input.id)

    async def signal_external_workflow(self, input: Any) -> None:  # noqa: A002
        self._note(input.workflow_id)
        try:
            await super().signal_external_workflow(input)
        finally:
            self._note(input.workflow_id)

    async def signal_child_workflow(self, input: Any) -> None:  # noqa: A002
        self._note(input.child_workflow_id)
        try:
            await super().signal_child_workflow(input)
        finally:
            self._note(input.child_workflow_id)
