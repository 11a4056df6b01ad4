"""Ready claims of one connection wait here for the next cut-off, then leave as one batch.

Woken by the first ready claim; ends when nothing is left, and is woken again by the next.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

import workflows.submission as submission
from activities import steps
from workflows.messages import BatchStart as BatchStart
from workflows.messages import Ready as Ready
from workflows.perform import Alarm, Wake, perform

NAME = "BatchWorkflow"


def workflow_id(connection_id: str) -> str:
    return f"batch/{connection_id}"


@workflow.defn(name=NAME)
class BatchWorkflow:
    @workflow.init
    def __init__(self, start: BatchStart) -> None:
        self._connection = steps.ConnectionRef(connection_id=start.connection_id)
        self._ready = True
        self._cutoff_at: str | None = None
        self._alarm = Alarm()

    @workflow.run
    async def run(self, start: BatchStart) -> None:
        while self._ready:
            await self._until_cutoff()
            self._ready = False
            await self._send_all_ready()
            if self._ready and workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(start)

    async def _until_cutoff(self) -> None:
        cutoff = await perform(steps.NEXT_CUTOFF, self._connection, "when is the next batch cut")
        self._cutoff_at = cutoff.due_at.isoformat()
        workflow.set_current_details(f"Ready claims are cut into a batch at {self._cutoff_at}")
        await self._alarm.until(cutoff.due_at, cutoff.timer_seconds, "batch cut-off")

    async def _send_all_ready(self) -> None:
        """Cut one batch after another until no claim is ready: each has a limited size."""
        while True:
            cut = await perform(steps.CUT_BATCH, self._connection, "cut a batch")
            if cut.batch_id is None:
                return
            try:
                await workflow.start_child_workflow(
                    submission.NAME,
                    submission.SubmissionStart(batch_id=cut.batch_id),
                    id=submission.workflow_id(cut.batch_id),
                    parent_close_policy=ParentClosePolicy.ABANDON,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    static_summary=f"837P batch {cut.batch_id}, {cut.claims} claims",
                )
            except WorkflowAlreadyStartedError:
                continue

    @workflow.signal(name="ready", description="A claim is ready to be sent")
    def ready(self, ready: Ready) -> None:
        self._ready = True

    @workflow.signal(name="wake", description="The practice clock was moved")
    def wake(self, wake: Wake) -> None:
        self._alarm.moved(wake)

    @workflow.query(name="progress", description="When the next batch is cut")
    def progress(self) -> str:
        return self._cutoff_at or "being worked out"
