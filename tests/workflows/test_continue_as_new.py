"""Claims that live long are continued as new: on a server that suggests it after few events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.testing import WorkflowEnvironment

from activities import steps
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import Stage
from tests.temporal import PATIENCE_SECONDS, start_environment
from tests.workflows import paths
from tests.workflows.outside import DAY, HOUR, START, Outside, working
from tests.workflows.record_histories import SHORT_HISTORIES
from tests.workflows.scene import Scene, eventually
from workflows import claim

CONTINUED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW


@pytest.fixture(scope="module")
async def impatient() -> AsyncIterator[WorkflowEnvironment]:
    async with await start_environment(SHORT_HISTORIES) as started:
        yield started


@pytest.fixture
async def scene(impatient: WorkflowEnvironment, task_queue: str) -> AsyncIterator[Scene]:
    outside = Outside()
    async with working(impatient.client, task_queue, outside):
        yield Scene(impatient, impatient.client, task_queue, outside)


async def test_state_goes_along(scene: Scene, number: str) -> None:
    handles = await paths.claim_continued(scene, number)
    first = await handles["claim_continued_first"].fetch_history()
    assert first.events[-1].event_type == CONTINUED
    last = handles["claim_continued_last"]
    assert await last.result() == claim.ClaimEnd(stage=Stage.CLOSED, reason=None)
    done = [name for name, _ in scene.outside.calls if name != steps.RECORD_PROGRESS.name]
    assert len(done) == len(set(done))  # no step is done again
    sequences = [given.state.sequence for given in scene.outside.inputs(steps.RECORD_PROGRESS)]
    assert sequences == sorted(sequences)


async def long_waiting(scene: Scene, number: str) -> str:
    """A claim whose history is about as long as the server suggests, at rest in READY."""
    handle = await scene.claim(number)
    await scene.outside.rests(number, Stage.ATTENDANCE)
    await scene.attended(handle)
    await scene.outside.rests(number, Stage.READY)
    return handle.id


async def test_a_release_under_way_is_not_cut_off(scene: Scene, number: str) -> None:
    """The handler and the run wait for each other neither for ever nor too little."""
    outside = scene.outside
    handle = scene.client.get_workflow_handle(await long_waiting(scene, number))
    await scene.submitted(handle)
    await outside.rests(number, Stage.SUBMITTED)
    await scene.not_attended(handle, sent=True)
    await outside.rests(number, Stage.VOID, "ATTENDANCE_CHANGED")
    outside.answer(
        steps.PLAN_VOID,
        events.VoidPlanned(at=START, next="stands", stage=Stage.SUBMITTED, version=1),
    )
    go_on = asyncio.Event()

    async def slowly(decision: steps.ClaimDecision) -> steps.DecisionRecorded:
        await go_on.wait()
        return steps.DecisionRecorded(at=START)

    outside.answer(steps.RECORD_DECISION, slowly)
    released = asyncio.create_task(scene.release(handle, "ATTENDANCE_CHANGED"))
    await eventually(lambda: outside.inputs(steps.RECORD_DECISION))
    for place in range(8):  # each makes the history longer while the handler waits
        await handle.signal("fact", events.FactLearned(at=START, key=f"f{place}", fact="coverage"))
        await eventually(lambda place=place: f"f{place}" in outside.states[number].seen)
    go_on.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await released).hold_code is None
    await scene.acknowledged(handle, "277CA")
    await outside.rests(number, Stage.ACCEPTED)


async def test_a_wake_up_goes_along(scene: Scene, number: str) -> None:
    """Whoever moves the stored clock wakes a workflow once: the next run knows of it."""
    outside = scene.outside
    outside.wall_clock = False
    outside.answer(steps.QUEUE_CLAIM, events.ClaimQueued(at=START))
    handle = scene.client.get_workflow_handle(await long_waiting(scene, number))
    woken = (await handle.describe()).run_id
    await scene.wake(handle, 2 * DAY)
    places = iter(range(20))
    while (await handle.describe()).run_id == woken:
        key = f"f{next(places)}"
        await handle.signal("fact", events.FactLearned(at=START, key=key, fact="coverage"))
        await eventually(lambda key=key: key in outside.states[number].seen)
    await handle.signal(
        "submitted", events.Submitted(at=START, key="s", version=1, due_at=START + DAY)
    )
    await eventually(lambda: outside.inputs(steps.ASK_STATUS))  # due a day before it was woken


@pytest.mark.parametrize("wall_clock", [True, False])
async def test_a_batch_that_is_told_often_keeps_its_cut_off(
    scene: Scene, number: str, wall_clock: bool
) -> None:
    """Thousands of claims become ready in a day: each tells it, and no run is told too often."""
    outside = scene.outside
    outside.wall_clock = wall_clock
    first = await scene.ready(number)
    await eventually(lambda: outside.inputs(steps.NEXT_CUTOFF))
    began = (await first.describe()).run_id
    handle = scene.client.get_workflow_handle(first.id)
    while (await handle.describe()).run_id == began:
        await scene.ready(number)
    assert not outside.inputs(steps.CUT_BATCH)
    if wall_clock:
        await scene.fast_forward(handle, 6 * HOUR)
    else:
        await scene.wake(handle, 6 * HOUR)
    await handle.result()
    assert len(outside.inputs(steps.NEXT_CUTOFF)) == 1  # another would be a day later
    assert len(outside.inputs(steps.CUT_BATCH)) == 1
