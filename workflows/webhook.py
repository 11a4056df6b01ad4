"""One round of telling other systems what has happened; a schedule starts it again and again.

What is to be told, how often it was tried and when it is tried next stand in the store, so a
system that does not answer for days costs no history.
"""

from __future__ import annotations

from temporalio import workflow

from activities import steps
from workflows.perform import perform

NAME = "WebhookWorkflow"
WORKFLOW_ID = "webhooks"


@workflow.defn(name=NAME)
class WebhookWorkflow:
    @workflow.run
    async def run(self, look: steps.WebhookRound) -> steps.WebhooksDelivered:
        return await perform(steps.DELIVER_WEBHOOKS, look, "tell other systems what is due")
