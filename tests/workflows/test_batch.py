"""Batches and their submission."""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowHandle

from activities import steps
from tests.workflows import paths
from tests.workflows.outside import HOUR, START
from tests.workflows.scene import Scene, eventually

# --- cutting


async def test_batches_are_cut_until_nothing_is_ready(scene: Scene, number: str) -> None:
    await paths.batch_cut(scene, number)
    assert len(scene.outside.inputs(steps.NEXT_CUTOFF)) == 2
    built = scene.outside.inputs(steps.BUILD_BATCH)
    assert sorted(given.batch_id for given in built) == [f"{number}-{i}" for i in (1, 2, 3)]


async def test_a_stored_clock_brings_the_cut_off(scene: Scene, number: str) -> None:
    await paths.batch_by_stored_clock(scene, number)
    assert len(scene.outside.inputs(steps.CUT_BATCH)) == 1


async def test_a_batch_that_ended_is_woken_again(scene: Scene, number: str) -> None:
    scene.outside.wall_clock = False
    for count in (1, 2):
        handle = await scene.ready(number)
        await eventually(lambda count=count: len(scene.outside.inputs(steps.NEXT_CUTOFF)) == count)
        await scene.wake(handle, 6 * HOUR)
        await handle.result()
    assert len(scene.outside.inputs(steps.CUT_BATCH)) == 2


async def test_a_batch_whose_submission_runs_already_is_not_started_twice(
    scene: Scene, number: str
) -> None:
    scene.outside.wall_clock = False
    before = await scene.submission(f"{number}-1")
    scene.outside.answer(
        steps.CUT_BATCH,
        steps.CutBatch(batch_id=f"{number}-1", claims=2),
        steps.CutBatch(batch_id=None, claims=0),
    )
    handle = await scene.ready(number)
    await eventually(lambda: scene.outside.inputs(steps.NEXT_CUTOFF))
    await scene.wake(handle, 6 * HOUR)
    await handle.result()
    await paths.acknowledged(before)
    await before.result()
    assert len(scene.outside.inputs(steps.SEND_BATCH)) == 1


# --- sending


def sent_ids(scene: Scene) -> list[str]:
    return [given.batch_id for given in scene.outside.inputs(steps.SEND_BATCH)]


def announced(scene: Scene) -> list[bool]:
    return [given.accepted for given in scene.outside.inputs(steps.ANNOUNCE_BATCH)]


async def stage(handle: WorkflowHandle[Any, Any]) -> str:
    told: str = await handle.query("progress", result_type=str)
    return told


async def test_accepted_with_a_late_999(scene: Scene, number: str) -> None:
    (handle,) = (await paths.submission_accepted(scene, number)).values()
    assert sent_ids(scene) == [number]
    assert announced(scene) == [True]
    alerts = scene.outside.inputs(steps.FOLLOW_UP_BATCH)
    assert [alert.follow_ups for alert in alerts] == [1]  # the TA1 alone raised none
    assert await stage(handle) == "done"


async def test_refused(scene: Scene, number: str) -> None:
    await paths.submission_refused(scene, number)
    assert sent_ids(scene) == [number]
    assert announced(scene) == [False]


async def test_a_batch_of_which_no_claim_can_be_sent_ends(scene: Scene, number: str) -> None:
    empty = steps.BuiltBatch(digest="", claims=0, size=0)
    scene.outside.answer(steps.BUILD_BATCH, empty)
    handle = await scene.submission(number)
    await handle.result()
    assert sent_ids(scene) == announced(scene) == []


async def test_in_doubt_and_received(scene: Scene, number: str) -> None:
    await paths.submission_in_doubt_received(scene, number)
    assert sent_ids(scene) == [number]  # never sent again while it is not known
    assert len(scene.outside.inputs(steps.RECONCILE_BATCH)) == 2
    assert announced(scene) == [True]


async def test_in_doubt_and_absent_goes_again_as_the_same_batch(scene: Scene, number: str) -> None:
    await paths.submission_in_doubt_absent(scene, number)
    assert sent_ids(scene) == [number, number]
    assert len(scene.outside.inputs(steps.BUILD_BATCH)) == 1  # the bytes are not made anew
    assert announced(scene) == [True]


async def test_an_acknowledgment_ends_the_doubt_at_once(scene: Scene, number: str) -> None:
    """Also one that comes before the sending has been given up."""
    outside = scene.outside

    async def slowly(batch: steps.BatchRef) -> steps.Sent:
        await paths.acknowledged(handle)
        return outside.sent("in_doubt")

    outside.wall_clock = False
    outside.answer(steps.SEND_BATCH, slowly)
    handle = await scene.submission(number)
    await handle.result()  # nobody moved the clock
    assert len(outside.inputs(steps.RECONCILE_BATCH)) == 1


async def test_doubt_lasts_until_a_listing_says_something(scene: Scene, number: str) -> None:
    outside = scene.outside
    outside.wall_clock = False
    outside.answer(steps.SEND_BATCH, outside.sent("in_doubt"))
    outside.answer(steps.RECONCILE_BATCH, *(outside.reconciled("unknown") for _ in range(3)))
    handle = await scene.submission(number)
    await eventually(lambda: outside.inputs(steps.SEND_BATCH))
    await scene.wake(handle, HOUR)
    await eventually(lambda: len(outside.inputs(steps.RECONCILE_BATCH)) == 4)
    assert outside.now == START + HOUR
    await paths.acknowledged(handle)
    await handle.result()
    assert sent_ids(scene) == [number]


async def test_a_refused_interchange_is_not_waited_for(scene: Scene, number: str) -> None:
    """A TA1 that refuses the interchange is the last word: no 999 follows it."""
    handle = await scene.submission(number)
    await eventually(lambda: scene.outside.inputs(steps.ANNOUNCE_BATCH))
    await paths.acknowledged(handle, "TA1", accepted=False)
    await handle.result()
    assert not scene.outside.inputs(steps.FOLLOW_UP_BATCH)
