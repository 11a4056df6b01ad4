"""One file from the mailbox: acknowledgments are routed, each new payment is posted on its own.

The workflow's id is the digest of the file's bytes, so the same file is taken once. It is
acknowledged to the mailbox only when everything in it has been dealt with.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities import steps
    from workflows import remittance
    from workflows.perform import perform

NAME = "InboundFileWorkflow"


def workflow_id(digest: str) -> str:
    return f"inbound/{digest[:32]}"


@workflow.defn(name=NAME)
class InboundFileWorkflow:
    @workflow.run
    async def run(self, file: steps.FileRef) -> None:
        contents = await perform(steps.READ_FILE, file, "what is in the file")
        if contents.acknowledgments:
            await perform(steps.ROUTE_ACKNOWLEDGMENTS, file, "route TA1, 999, 277CA")
        if contents.payments:
            payments = await perform(steps.REGISTER_REMITTANCES, file, "register payments")
            for remittance_id in payments.new:
                await self._post(remittance_id)
        await perform(steps.ACKNOWLEDGE_FILE, file, "acknowledge to the mailbox")

    async def _post(self, remittance_id: int) -> None:
        try:
            await workflow.execute_child_workflow(
                remittance.NAME,
                steps.RemittanceRef(remittance_id=remittance_id),
                id=remittance.workflow_id(remittance_id),
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=f"835 payment {remittance_id}",
            )
        except WorkflowAlreadyStartedError:
            return
