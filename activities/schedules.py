"""What Temporal starts by itself, again and again."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from activities import steps
from activities.steps import TASK_QUEUE
from groupclaim.model.base import Message
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.practice import connection_ids
from workflows import mailbox, sampling, webhook

MAILBOX_INTERVAL = timedelta(seconds=30)
"""How often a mailbox is looked into when the practice clock is the wall clock."""

WEBHOOK_INTERVAL = timedelta(seconds=15)
"""How often other systems are told what has happened meanwhile."""

SAMPLING_INTERVAL = timedelta(hours=6)
"""How often somebody looks whether an audit sample is due: within a morning of its day."""


async def schedule_mailboxes(client: Client, database: Database) -> None:
    """Have every mailbox looked into, other systems told and audit samples drawn, again and again,
    where the practice clock is the wall clock.

    A stored clock is moved by someone who looks into the mailboxes at the right moments.
    """
    if await PracticeClock(database).is_stored():
        return
    await _schedule(
        client, webhook.WORKFLOW_ID, webhook.NAME, steps.WebhookRound(), WEBHOOK_INTERVAL
    )
    await _schedule(
        client, sampling.WORKFLOW_ID, sampling.NAME, steps.SampleRound(), SAMPLING_INTERVAL
    )
    async with database.reading() as reading:
        connections = await connection_ids(reading)
    for connection in connections:
        await _schedule(
            client,
            mailbox.workflow_id(connection),
            mailbox.NAME,
            steps.ConnectionRef(connection_id=connection),
            MAILBOX_INTERVAL,
        )


async def _schedule(
    client: Client, workflow_id: str, name: str, what: Message, every: timedelta
) -> None:
    try:
        await client.create_schedule(
            workflow_id,
            Schedule(
                action=ScheduleActionStartWorkflow(
                    name, what, id=workflow_id, task_queue=TASK_QUEUE
                ),
                spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
                policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
            ),
        )
    except ScheduleAlreadyRunningError:
        return
