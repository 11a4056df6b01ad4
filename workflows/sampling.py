"""One look whether an audit sample is due; a schedule starts it again and again."""

from __future__ import annotations

from temporalio import workflow

from activities import steps
from workflows.perform import perform

NAME = "SamplingWorkflow"
WORKFLOW_ID = "sampling"


@workflow.defn(name=NAME)
class SamplingWorkflow:
    @workflow.run
    async def run(self, look: steps.SampleRound) -> steps.SampleDrawn:
        return await perform(steps.DRAW_SAMPLE, look, "draw billed claims to be looked at again")
