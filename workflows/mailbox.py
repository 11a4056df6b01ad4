"""One look into a connection's mailbox; a schedule starts it again and again."""

from __future__ import annotations

from temporalio import workflow

from activities import steps
from workflows.perform import perform

NAME = "MailboxWorkflow"


def workflow_id(connection_id: str) -> str:
    return f"mailbox/{connection_id}"


@workflow.defn(name=NAME)
class MailboxWorkflow:
    @workflow.run
    async def run(self, connection: steps.ConnectionRef) -> steps.Polled:
        return await perform(steps.POLL_MAILBOX, connection, "take what is in the mailbox")
