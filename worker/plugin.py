"""One object that client, worker, tests and replayer share, so that none can drift from another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
)

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


def groupclaim_plugin(payload_keys: Mapping[str, bytes], current_key: str) -> SimplePlugin:
    """Converter with encryption, interceptors, workflows and how they are run.

    ``payload_keys`` are 32 bytes each, by id; new payloads are written under ``current_key``.
    """
    # A sandbox executes the modules of a workflow anew for each and compiles code for each payload:
    # 61 kB of memory for every open claim, and a third of the time that a task of it takes. What it
    # watches for, ``tests/workflows/test_sandbox.py`` reads in the source of the modules.
    return SimplePlugin(
        "groupclaim",
        data_converter=data_converter(payload_keys, current_key),
        interceptors=[StepInterceptor()],
        workflows=list(WORKFLOWS),
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
