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
        self._cutoff = start.cutoff
        self._alarm = Alarm(start.woken_at)

    @workflow.run
    async def run(self, start: BatchStart) -> None:
        while self._ready:
            await self._until_cutoff()
            self._ready = False
            await self._send_all_ready()

    async def _until_cutoff(self) -> None:
        if self._cutoff is None:
            self._cutoff = await perform(
                steps.NEXT_CUTOFF, self._connection, "when is the next batch cut"
            )
        due_at, timer_seconds = self._cutoff.due_at, self._cutoff.timer_seconds
        workflow.set_current_details(f"Ready claims are cut into a batch at {due_at.isoformat()}")
        since = workflow.now()
        # Each claim that becomes ready tells it, and a history takes only so many signals.
        long = workflow.info().is_continue_as_new_suggested
        await self._alarm.until(due_at, timer_seconds, "batch cut-off", unless=long)
        if long():
            # For the same cut-off, even if it has just come: the next would be a day late.
            if timer_seconds is not None:
                timer_seconds -= (workflow.now() - since).total_seconds()
            workflow.continue_as_new(
                BatchStart(
                    connection_id=self._connection.connection_id,
                    cutoff=steps.NextLook(due_at=due_at, timer_seconds=timer_seconds),
                    woken_at=self._alarm.moved_to,
                )
            )
        self._cutoff = None

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
        return self._cutoff.due_at.isoformat() if self._cutoff else "being worked out"
