"""One file from the mailbox: acknowledgments are routed, each new payment is posted on its own.

The workflow's id is the digest of the file's bytes, so the same file is taken once. It is
acknowledged to the mailbox only when everything in it has been dealt with: until then it stands
there, and in the store as a problem that somebody is told of. A workflow that has failed is
started again while the file is still there.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)

import workflows.remittance as remittance
from activities import steps
from workflows.perform import perform

NAME = "InboundFileWorkflow"


def workflow_id(digest: str) -> str:
    return f"inbound/{digest[:32]}"


@workflow.defn(name=NAME)
class InboundFileWorkflow:
    @workflow.run
    async def run(self, file: steps.FileRef) -> None:
        try:
            contents, failed = await self._deal_with(file)
        except ActivityError as error:
            await self._report(file, f"{error.activity_type}: {_type(error)}")
            raise
        if failed:
            problem = f"{len(failed)} payments not posted: {', '.join(failed)}"
            await self._report(file, problem)
            raise ApplicationError(problem, type="PaymentsNotPosted")
        if contents.stays:
            workflow.set_current_details("Stays in the mailbox: not all of it can be read")
            return
        await perform(steps.ACKNOWLEDGE_FILE, file, "acknowledge to the mailbox")

    async def _deal_with(self, file: steps.FileRef) -> tuple[steps.FileContents, tuple[str, ...]]:
        """What the file holds, and the payments of it that could not be dealt with."""
        contents = await perform(steps.READ_FILE, file, "what is in the file")
        if contents.acknowledgments:
            await perform(steps.ROUTE_ACKNOWLEDGMENTS, file, "route TA1, 999, 277CA")
        failed = []
        if contents.payments:
            payments = await perform(steps.REGISTER_REMITTANCES, file, "register payments")
            for remittance_id in payments.new:
                if not await self._post(remittance_id):
                    failed.append(str(remittance_id))
        return contents, tuple(failed)

    async def _post(self, remittance_id: int) -> bool:
        """Post one payment, in the file's order: a later one may correct an earlier one. False when
        it failed, which is no reason to keep the others waiting."""
        try:
            await workflow.execute_child_workflow(
                remittance.NAME,
                steps.RemittanceRef(remittance_id=remittance_id),
                id=remittance.workflow_id(remittance_id),
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                static_summary=f"835 payment {remittance_id}",
            )
        except WorkflowAlreadyStartedError:
            return True
        except ChildWorkflowError:
            return False
        return True

    async def _report(self, file: steps.FileRef, problem: str) -> None:
        workflow.set_current_details(f"Stays in the mailbox: {problem}")
        report = steps.FileProblem(digest=file.digest, problem=problem)
        await perform(steps.REPORT_FILE, report, "tell that the file is not dealt with")


def _type(error: ActivityError) -> str:
    """The kind of failure without its text."""
    return (error.cause.type or "") if isinstance(error.cause, ApplicationError) else "failed"
