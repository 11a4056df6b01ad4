"""Files from the mailbox, and the payments in them."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

from activities import steps
from tests.workflows import paths
from tests.workflows.scene import Scene
from workflows import inbound


def done(scene: Scene) -> list[str]:
    return [name for name, _ in scene.outside.calls]


async def test_acknowledgments_are_routed_and_the_file_is_acknowledged_last(
    scene: Scene, number: str
) -> None:
    await paths.inbound_acknowledgments(scene, number)
    assert done(scene) == ["read_file", "route_acknowledgments", "acknowledge_file"]


async def test_each_payment_is_posted_once_and_only_posted_ones_are_told(
    scene: Scene, number: str
) -> None:
    handles = await paths.inbound_payments(scene, number)
    assert (await handles["remittance_posted"].result()).state == "posted"
    posted = [given.remittance_id for given in scene.outside.inputs(steps.POST_REMITTANCE)]
    assert len(posted) == len(set(posted)) == 3
    told = [given.remittance_id for given in scene.outside.inputs(steps.ANNOUNCE_REMITTANCE)]
    assert len(told) == 2  # nothing is told of the suspended one
    assert set(told) < set(posted)
    assert done(scene)[-1] == "acknowledge_file"


async def test_a_file_with_nothing_for_us_in_it_is_only_acknowledged(
    scene: Scene, number: str
) -> None:
    empty = steps.FileContents(acknowledgments=0, payments=0, problems=1)
    scene.outside.answer(steps.READ_FILE, empty)
    handle = await scene.inbound(number)
    await handle.result()
    assert done(scene) == ["read_file", "acknowledge_file"]


async def test_what_can_be_read_of_a_damaged_file_is_dealt_with_and_the_file_kept(
    scene: Scene, number: str
) -> None:
    damaged = steps.FileContents(acknowledgments=1, payments=0, problems=1, stays=True)
    scene.outside.answer(steps.READ_FILE, damaged)
    handle = await scene.inbound(number)
    await handle.result()
    assert done(scene) == ["read_file", "route_acknowledgments"]


async def test_a_payment_that_fails_keeps_no_other_from_being_posted(
    scene: Scene, number: str
) -> None:
    """The file stands as a problem; started again, it does what is left and is acknowledged."""
    outside = scene.outside
    first = paths.first_payment_of(number)
    three = steps.Remittances(new=(first, first + 1, first + 2), repeated=0)
    broken = ApplicationError("of other content", type=steps.INVALID, non_retryable=True)
    payments = steps.FileContents(acknowledgments=0, payments=3, problems=0)
    outside.answer(steps.READ_FILE, payments, payments)
    outside.answer(steps.REGISTER_REMITTANCES, three, three)
    outside.answer(
        steps.POST_REMITTANCE,
        steps.Posted(state="posted", claims=1, difference_cents=0),
        broken,
        steps.Posted(state="posted", claims=1, difference_cents=0),
    )
    handle = await scene.inbound(number)
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "PaymentsNotPosted"
    posted = [given.remittance_id for given in outside.inputs(steps.POST_REMITTANCE)]
    assert posted == [first, first + 1, first + 2]
    assert len(outside.inputs(steps.ANNOUNCE_REMITTANCE)) == 2
    (report,) = outside.inputs(steps.REPORT_FILE)
    assert report.problem == f"1 payments not posted: {first + 1}"
    assert not outside.inputs(steps.ACKNOWLEDGE_FILE)
    again = await scene.inbound(number)
    await again.result()
    posted = [given.remittance_id for given in outside.inputs(steps.POST_REMITTANCE)]
    assert posted[3:] == [first + 1]
    assert len(outside.inputs(steps.ACKNOWLEDGE_FILE)) == 1


async def test_a_file_that_cannot_be_dealt_with_stays_in_the_mailbox(
    scene: Scene, number: str
) -> None:
    (handle,) = (await paths.inbound_refused(scene, number)).values()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert done(scene) == ["read_file", "report_file"]
    assert scene.outside.inputs(steps.REPORT_FILE)[0].problem == "read_file: Invalid"


async def test_the_same_file_is_taken_once(scene: Scene, number: str) -> None:
    await paths.inbound_acknowledgments(scene, number)
    with pytest.raises(WorkflowAlreadyStartedError):
        await scene.client.start_workflow(
            inbound.NAME,
            steps.FileRef(digest=number, connection_id="connection1"),
            id=inbound.workflow_id(number),
            task_queue=scene.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )


async def test_a_mailbox_that_cannot_be_reached_is_tried_again(scene: Scene, number: str) -> None:
    (handle,) = (await paths.mailbox_polled(scene, number)).values()
    assert (await handle.result()).files == 2
    assert done(scene) == ["poll_mailbox", "poll_mailbox"]


async def test_a_sample_is_drawn_again_when_the_database_was_busy(
    scene: Scene, number: str
) -> None:
    (handle,) = (await paths.sample_drawn(scene, number)).values()
    assert (await handle.result()).sample_id == "sample1"
    assert done(scene) == ["draw_sample", "draw_sample"]


async def test_a_round_of_webhooks_is_tried_again(scene: Scene, number: str) -> None:
    (handle,) = (await paths.webhooks_delivered(scene, number)).values()
    assert (await handle.result()).taken == 1
    assert done(scene) == ["deliver_webhooks", "deliver_webhooks"]
