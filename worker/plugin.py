"""One object that client, worker, tests and replayer share, so that none can drift from another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.measures import count_attempt, count_refusal, count_result
from worker.codec import data_converter
from workflows.batch import BatchWorkflow
from workflows.claim import ClaimWorkflow
from workflows.denial import DenialWorkflow
from workflows.dispute import DisputeWorkflow
from workflows.inbound import InboundFileWorkflow
from workflows.mailbox import MailboxWorkflow
from workflows.remittance import RemittanceWorkflow
from workflows.sampling import SamplingWorkflow
from workflows.session import GroupSessionWorkflow
from workflows.submission import SubmissionWorkflow
from workflows.webhook import WebhookWorkflow

WORKFLOWS: tuple[type, ...] = (
    GroupSessionWorkflow,
    ClaimWorkflow,
    DenialWorkflow,
    BatchWorkflow,
    SubmissionWorkflow,
    InboundFileWorkflow,
    RemittanceWorkflow,
    DisputeWorkflow,
    MailboxWorkflow,
    SamplingWorkflow,
    WebhookWorkflow,
)


class StepInterceptor(Interceptor):
    """Around each attempt at a step: heartbeats, so that a worker's death is noticed soon, and
    measures, of the attempt itself and of what its result says of the business."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Attempt(next)


class _Attempt(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        beating = asyncio.create_task(_heartbeats(info.heartbeat_timeout))
        began = time.perf_counter()
        outcome = "failed"
        try:
            result = await super().execute_activity(input)
            outcome = "done"
        except Exception as error:
            count_refusal(error)
            raise
        finally:
            beating.cancel()
            took = time.perf_counter() - began
            count_attempt(info.activity_type, info.attempt, outcome, took)
        count_result(result)
        return result


async def _heartbeats(expected_within: timedelta | None) -> None:
    while expected_within is not None:
        await asyncio.sleep(expected_within.total_seconds() / 3)
        activity.heartbeat()


def _sharing_modules(runner: WorkflowRunner | None) -> WorkflowRunner:
    """The sandbox, with our modules in it as they are; a runner without a sandbox stays as it is.

    A sandbox executes the module of a workflow anew for each, so that none finds what another has
    left there. Ours leave nothing, and its own copy of the code took 61 kB of memory for each open
    claim. What the copy was watched for, ``tests/workflows/test_sandbox.py`` reads in the modules.
    """
    if isinstance(runner, SandboxedWorkflowRunner):
        passed = runner.restrictions.with_passthrough_modules("workflows")
        return replace(runner, restrictions=passed)
    return runner or _sharing_modules(SandboxedWorkflowRunner())


def groupclaim_plugin(payload_keys: Mapping[str, bytes], current_key: str) -> SimplePlugin:
    """Converter with encryption, interceptors, workflows and their sandbox.

    ``payload_keys`` are 32 bytes each, by id; new payloads are written under ``current_key``.
    """
    return SimplePlugin(
        "groupclaim",
        data_converter=data_converter(payload_keys, current_key),
        interceptors=[StepInterceptor()],
        workflows=list(WORKFLOWS),
        workflow_runner=_sharing_modules,
    )
