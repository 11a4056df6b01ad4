"""One batch on its way to the clearinghouse, until its acknowledgment is in.

A batch whose sending got no answer is in doubt: neither sent nor failed. It stays so until an
acknowledgment has been seen, or a listing of the clearinghouse shows our interchange, or a listing
taken after a grace period lacks it; only then the same bytes go again.
"""

from __future__ import annotations

from temporalio import workflow

from activities import steps
from groupclaim.model.base import Instant
from workflows.messages import BatchAcknowledged as BatchAcknowledged
from workflows.messages import SubmissionStart as SubmissionStart
from workflows.perform import Alarm, Wake, perform

NAME = "SubmissionWorkflow"


def workflow_id(batch_id: str) -> str:
    return f"837/{batch_id}"


@workflow.defn(name=NAME)
class SubmissionWorkflow:
    @workflow.init
    def __init__(self, start: SubmissionStart) -> None:
        self._batch = steps.BatchRef(batch_id=start.batch_id)
        self._acknowledgments: set[BatchAcknowledged] = set()
        self._considered = 0
        self._alarm = Alarm()
        self._stage = "building"

    @workflow.run
    async def run(self, start: SubmissionStart) -> None:
        built = await perform(steps.BUILD_BATCH, self._batch, "fix control numbers and bytes")
        if built.claims == 0:
            self._show("empty: none of its claims can be sent")
            return
        sent = await self._send()
        await perform(
            steps.ANNOUNCE_BATCH,
            steps.Announce(batch_id=self._batch.batch_id, accepted=sent.outcome == "accepted"),
            "tell the claims",
        )
        if sent.outcome == "accepted":
            await self._await_acknowledgment(sent.next_at, sent.timer_seconds)
        self._show("done")

    async def _send(self) -> steps.Sent:
        """Send until it is known what became of it."""
        while True:
            self._show("sending")
            sent = await perform(steps.SEND_BATCH, self._batch, "send the 837P")
            while sent.outcome == "in_doubt":
                self._show("in doubt")
                await self._until_news(sent)
                look = await perform(
                    steps.RECONCILE_BATCH, self._batch, "was it received? ask for a listing"
                )
                if look.outcome == "absent":
                    break
                sent = steps.Sent(
                    outcome="accepted" if look.outcome == "received" else "in_doubt",
                    next_at=look.next_at,
                    timer_seconds=look.timer_seconds,
                )
            else:
                return sent

    async def _until_news(self, sent: steps.Sent) -> None:
        """Wait for the moment to take a listing, or for an acknowledgment if one comes first: at
        once if one has come since the last look."""
        await self._alarm.until(
            sent.next_at,
            sent.timer_seconds,
            "take a listing",
            unless=lambda: len(self._acknowledgments) > self._considered,
        )
        self._considered = len(self._acknowledgments)

    async def _await_acknowledgment(self, due_at: Instant, timer_seconds: float | None) -> None:
        follow_ups = 0
        while not self._answered():
            self._show("awaiting the 999")
            await self._alarm.until(
                due_at, timer_seconds, "the 999 is missing", unless=self._answered
            )
            if not self._answered():
                follow_ups += 1
                look = await perform(
                    steps.FOLLOW_UP_BATCH,
                    steps.BatchAlert(batch_id=self._batch.batch_id, follow_ups=follow_ups),
                    "the 999 is missing",
                )
                due_at, timer_seconds = look.due_at, look.timer_seconds

    def _answered(self) -> bool:
        return any(item.by == "999" or not item.accepted for item in self._acknowledgments)

    def _show(self, stage: str) -> None:
        self._stage = stage
        workflow.set_current_details(f"Batch {self._batch.batch_id}: {stage}")

    @workflow.signal(name="acknowledged", description="A TA1 or 999 about this batch was read")
    def acknowledged(self, acknowledged: BatchAcknowledged) -> None:
        self._acknowledgments.add(acknowledged)

    @workflow.signal(name="wake", description="The practice clock was moved")
    def wake(self, wake: Wake) -> None:
        self._alarm.moved(wake)

    @workflow.query(name="progress", description="Where the batch is")
    def progress(self) -> str:
        return self._stage
