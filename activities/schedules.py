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
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.practice import connection_ids
from workflows import mailbox

MAILBOX_INTERVAL = timedelta(seconds=30)
"""How often a mailbox is looked into when the practice clock is the wall clock."""


async def schedule_mailboxes(client: Client, database: Database) -> None:
    """Have every mailbox looked into, again and again, where the practice clock is the wall clock.

    A stored clock is moved by someone who looks into the mailboxes at the right moments.
    """
    if await PracticeClock(database).is_stored():
        return
    async with database.reading() as reading:
        connections = await connection_ids(reading)
    for connection in connections:
        try:
            await client.create_schedule(
                mailbox.workflow_id(connection),
                Schedule(
                    action=ScheduleActionStartWorkflow(
                        mailbox.NAME,
                        steps.ConnectionRef(connection_id=connection),
                        id=mailbox.workflow_id(connection),
                        task_queue=TASK_QUEUE,
                    ),
                    spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=MAILBOX_INTERVAL)]),
                    policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
                ),
            )
        except ScheduleAlreadyRunningError:
            continue
