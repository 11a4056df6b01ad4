"""The bare engine does what the recorded claim did, event by event."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from base64 import b64decode
from collections import Counter
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import Worker

from tests.bench import bare
from tests.bench.shape import FIRST_PASS, recorded
from tests.temporal import PATIENCE_SECONDS
from worker.process import worker_settings

SAME = (
    "ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_COMPLETED", "MARKER_RECORDED",
    "WORKFLOW_EXECUTION_SIGNALED", "TIMER_STARTED", "TIMER_CANCELED",
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES", "WORKFLOW_TASK_COMPLETED", "WORKFLOW_EXECUTION_COMPLETED",
)  # fmt: skip

RECORDED = [
    len(b64decode(event["activityTaskScheduledEventAttributes"]["input"]["payloads"][0]["data"]))
    for event in json.loads(FIRST_PASS.read_text())["events"]
    if "activityTaskScheduledEventAttributes" in event
]


def test_the_shape_is_that_of_the_recorded_claim() -> None:
    shape = recorded()
    assert shape.waits() == ("attendance", "submitted", "ack_999", "ack_277ca", "remit_835")
    named = [move.name for move in shape.moves if move.kind == "activity"]
    assert named[0] == "check_eligibility"
    assert named[-1] == "settle_balance"
    assert shape.events == sum(shape.kinds.values()) <= 110
    assert shape.commits == len(named) + shape.kinds["MARKER_RECORDED"]


async def test_the_bare_engine_repeats_it(client: Client, task_queue: str, tmp_path: Path) -> None:
    shape = recorded()
    path = tmp_path / "marks.db"
    with sqlite3.connect(path) as connection:
        connection.execute(bare.MARKS)
        connection.execute(bare.MARKS_BY_PLACE)
    marks = bare.Marks(await bare.committing(f"sqlite:///{path}"))
    async with Worker(
        client,
        task_queue=task_queue,
        workflows=[bare.BareClaim],
        activities=[marks.step],
        **worker_settings(),
    ):
        handle = await client.start_workflow(
            bare.NAME,
            "b1|".ljust(shape.starts_with, "x"),
            id=f"bare-{task_queue}",
            task_queue=task_queue,
        )
        for number, move in enumerate(one for one in shape.moves if one.kind == "wait"):
            await _timers(handle, number + 1)
            await handle.signal(move.name, "x" * move.gives)
        await handle.result()
        history = await handle.fetch_history()
    kinds = Counter(EventType.Name(event.event_type)[11:] for event in history.events)
    assert {kind: kinds[kind] for kind in SAME} == {kind: shape.kinds[kind] for kind in SAME}
    scheduled = [
        event.activity_task_scheduled_event_attributes.input.payloads[0]
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]
    assert [len(payload.data) for payload in scheduled] == RECORDED
    with sqlite3.connect(path) as connection:
        (rows,) = connection.execute("SELECT COUNT(*) FROM mark").fetchone()
    assert rows == shape.commits


async def _timers(handle: object, number: int) -> None:
    """Return when the claim has set so many timers: it waits for the next signal."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            history = await handle.fetch_history()  # type: ignore[attr-defined]
            started = sum(
                event.event_type == EventType.EVENT_TYPE_TIMER_STARTED for event in history.events
            )
            if started >= number:
                return
            await asyncio.sleep(0.02)
