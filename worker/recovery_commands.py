"""``groupclaim reconcile``: a restored database beside a Temporal and a clearinghouse of today."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.recovery import Recovery
from activities.registry import every_activity
from activities.steps import TASK_QUEUE
from groupclaim.model.base import InputRefused
from worker.process import SettingsRefused, connect, open_books, open_clearinghouse, open_outside
from worker.settings import Settings
from worker.tables import table
from worker.terminal import AsJson, By, run, show

_STILL_THERE = timedelta(seconds=60)
"""A poll for work lasts up to this long: who has asked more lately may still be there."""


@asynccontextmanager
async def recovery(settings: Settings, since: datetime) -> AsyncIterator[Recovery]:
    """Everything needed to compare and mend. Raises :class:`SettingsRefused` while workers work."""
    clearinghouse = open_clearinghouse(settings)
    try:
        database = await open_books(settings)
        try:
            client = await connect(settings, database.keyring)
            await _nobody_works(client)
            outside = open_outside(settings, database, client, clearinghouse)
            # Workflows answer what they know; no step is carried out here.
            async with Worker(
                client,
                task_queue=TASK_QUEUE,
                activities=every_activity(outside),
                no_remote_activities=True,
            ):
                yield Recovery(outside, since)
        finally:
            await database.close()
    finally:
        await clearinghouse.close()


async def _nobody_works(client: Client) -> None:
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=TASK_QUEUE),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
    )
    working = [
        poller.identity
        for poller in described.pollers
        if datetime.now(UTC) - poller.last_access_time.ToDatetime(UTC) < _STILL_THERE
    ]
    if working:
        raise SettingsRefused(
            f"{len(working)} workers have asked for work within the last minute: stop them first"
        )


def reconcile(
    since: Annotated[
        str, typer.Option(help="when the restored copy was made: 2026-02-03T10:00:00-06:00")
    ],
    fix: Annotated[bool, typer.Option("--fix", help="mend what can be mended")] = False,
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Compare a database restored from an older copy with Temporal and the clearinghouse.

    Run it before any worker is started. Without --fix nothing is changed. With it, what Temporal
    knows of the time since is done again in the database, with nothing sent; what people must do is
    named. Exit code 1 while anything differs that is not mended.
    """

    async def work() -> list[dict[str, Any]]:
        moment = _moment(since)
        async with recovery(Settings(), moment) as found:
            rows = await (found.mend(by) if fix else found.differences())
        return [asdict(row) for row in rows]

    rows = run(work())
    left = [row for row in rows if not fix or row["mended_by"] != "groupclaim"]

    def told(console: Console) -> None:
        console.print(table(rows) if rows else "nothing differs")

    show(as_json, rows, told)
    if left:
        raise typer.Exit(1)


def _moment(given: str) -> datetime:
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise InputRefused("since", ["not a time as 2026-02-03T10:00:00-06:00"]) from None
    if moment.tzinfo is None:
        raise InputRefused("since", ["needs an offset from UTC"])
    return moment.astimezone(UTC)
