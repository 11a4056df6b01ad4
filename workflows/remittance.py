"""One payment of an 835: posted whole in one transaction, or standing whole in payment suspense."""

from __future__ import annotations

from temporalio import workflow

from activities import steps
from workflows.perform import perform

NAME = "RemittanceWorkflow"


def workflow_id(remittance_id: int) -> str:
    return f"era/{remittance_id}"


@workflow.defn(name=NAME)
class RemittanceWorkflow:
    @workflow.run
    async def run(self, payment: steps.RemittanceRef) -> steps.Posted:
        posted = await perform(steps.POST_REMITTANCE, payment, "balance and post")
        if posted.state == "posted":
            await perform(steps.ANNOUNCE_REMITTANCE, payment, "tell the claims")
        else:
            workflow.set_current_details(
                f"In payment suspense: off by {posted.difference_cents} cents; nothing is posted"
            )
        return posted
