"""A claim that a payer leaves without an answer for half a year, asked after again and again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory
from temporalio.worker import Replayer

from activities import steps
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import Stage
from tests.temporal import plugin
from tests.workflows.conftest import number, scene
from tests.workflows.histories import in_the_clear, size
from tests.workflows.outside import START
from tests.workflows.scene import Scene, eventually

__all__ = ["number", "scene"]

INQUIRIES = 50
HALF_A_YEAR = timedelta(days=180)
MOST_EVENTS, MOST_BYTES = 10_000, 10_000_000
"""Far from the engine's own limits of 51,200 events and 50 MB, where it ends a workflow."""


async def test_fifty_inquiries_in_half_a_year_leave_a_small_history(
    scene: Scene, number: str, record_property: Callable[[str, object], None]
) -> None:
    outside, apart = scene.outside, HALF_A_YEAR / INQUIRIES
    outside.answer(
        steps.ASK_STATUS,
        *[lambda _: events.StatusAsked(at=outside.now, due_at=outside.now + apart)] * INQUIRIES,
    )
    handle = await scene.claim(number)
    await outside.rests(number, Stage.ATTENDANCE)
    await scene.attended(handle)
    await outside.rests(number, Stage.READY)
    await scene.sent_and_accepted(handle)
    await scene.fast_forward(handle, timedelta(days=3))
    for asked in range(1, INQUIRIES + 1):
        await eventually(lambda asked=asked: len(outside.inputs(steps.ASK_STATUS)) == asked)
        if asked < INQUIRIES:
            await scene.fast_forward(handle, apart)
    assert outside.now - START >= HALF_A_YEAR - apart
    await scene.remitted(handle)
    assert (await handle.result()).stage is Stage.CLOSED

    histories = await histories_of(scene.client, handle.id)
    figures = [(len(history.events), size(history)) for history in histories]
    record_property("tries", INQUIRIES)
    record_property("figures", json.dumps({"runs": figures}))
    print(f"\n{INQUIRIES} inquiries: events and bytes of each run {figures}")
    assert all(count < MOST_EVENTS and held < MOST_BYTES for count, held in figures)
    assert sum(count for count, _ in figures) < 110 + 25 * INQUIRIES
    assert [given.follow_ups for given in outside.inputs(steps.ASK_STATUS)] == list(
        range(1, INQUIRIES + 1)
    )
    replayer = Replayer(workflows=[], plugins=[plugin()])
    for history in histories:
        await replayer.replay_workflow(history)
        assert in_the_clear(history) == []


async def histories_of(client: Client, workflow_id: str) -> list[WorkflowHistory]:
    """Of every run of a claim, continued as new or not, the first first."""
    found = []
    run: str | None = (
        (await client.get_workflow_handle(workflow_id).describe()).raw_description
    ).workflow_execution_info.first_run_id
    while run:
        handle = client.get_workflow_handle(workflow_id, run_id=run)
        history = await handle.fetch_history()
        found.append(history)
        status = (await handle.describe()).status
        assert status in (
            WorkflowExecutionStatus.COMPLETED,
            WorkflowExecutionStatus.CONTINUED_AS_NEW,
        )
        last = history.events[-1].workflow_execution_continued_as_new_event_attributes
        run = last.new_execution_run_id or None
    return found
