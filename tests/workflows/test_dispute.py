"""A dispute: gathered, approved by a person, followed up, and ended by the payer or a person."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowUpdateFailedError

from activities import steps
from groupclaim.store.disputes import OUTCOMES
from tests.workflows import paths
from tests.workflows.outside import DAY, settled
from tests.workflows.scene import Scene, eventually
from workflows import dispute


async def test_it_is_followed_up_until_the_payer_corrects(scene: Scene, number: str) -> None:
    handles = await paths.dispute_recovered(scene, number)
    end = await handles["dispute_recovered"].result()
    assert (end.state, end.outcome, end.recovered) == ("closed", "recovered", 1210)
    # Further lines and decisions are no follow-ups; a deadline that passed is one.
    looks = [look.follow_ups for look in scene.outside.inputs(steps.LOOK_AT_DISPUTE)]
    assert looks == [0, 0, 0, 1, 1]


async def test_giving_up_releases_the_claims(scene: Scene, number: str) -> None:
    await paths.dispute_given_up(scene, number)
    (decision,) = scene.outside.inputs(steps.DECIDE_DISPUTE)
    assert (decision.action, decision.outcome, decision.by) == (
        "close",
        "given_up",
        "contract-owner",
    )
    assert len(scene.outside.inputs(steps.RELEASE_DISPUTED)) == 1


async def test_a_stored_clock_wakes_it(scene: Scene, number: str) -> None:
    scene.outside.wall_clock = False
    handle = await scene.dispute(paths.case_of(number))
    await eventually(lambda: paths.looks(scene) == 1)
    await settled(handle)
    await scene.wake(handle, 29 * DAY)
    await settled(handle)
    assert paths.looks(scene) == 1
    await scene.wake(handle, DAY)
    await eventually(lambda: paths.looks(scene) == 2)


@pytest.mark.parametrize(
    ("state", "update", "values", "told"),
    [
        ("gathering", "approve", {}, "below the amount that is worth a letter"),
        ("told", "approve", {}, "its letter was approved before"),
        ("to_approve", "approve", {"reason": " "}, "needs a reason"),
        ("to_approve", "approve", {"by": ""}, "needs the name"),
        ("to_approve", "close", {"outcome": "refunded"}, "an underpayment ends as recovered"),
        ("to_approve", "close", {"outcome": "given_up", "reason": ""}, "needs a reason"),
    ],
)
async def test_what_is_refused_leaves_no_trace(
    scene: Scene, number: str, state: str, update: str, values: dict[str, str], told: str
) -> None:
    scene.outside.answer(steps.LOOK_AT_DISPUTE, scene.outside.dispute(state))
    handle = await scene.dispute(paths.case_of(number))
    await eventually(lambda: paths.looks(scene) == 1)
    await settled(handle)
    given = {"by": "contract-owner", "reason": "because", "request": "r1"} | values
    record = dispute.Approve if update == "approve" else dispute.Close
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(update, record.model_validate(given))
    assert told in str(refused.value.cause)
    assert scene.outside.inputs(steps.DECIDE_DISPUTE) == []


def test_the_outcomes_are_those_of_the_store() -> None:
    assert {kind: tuple(ends) for kind, ends in OUTCOMES.items()} == dispute._OUTCOMES


async def test_what_is_not_theirs_to_decide_releases_nobody(scene: Scene, number: str) -> None:
    why = "ending a dispute with something of it open of 12.10: may: a supervisor"
    refused = scene.outside.dispute("to_approve", refused=why)
    scene.outside.answer(steps.DECIDE_DISPUTE, refused)
    handle = await scene.dispute(paths.case_of(number))
    await eventually(lambda: paths.looks(scene) == 1)
    await settled(handle)
    end = dispute.Close(outcome="given_up", by="T. Poe", reason="too small", request="r1")
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await handle.execute_update("close", end, result_type=steps.DisputeStanding)
    assert why in getattr(failed.value.cause, "message", "")
    assert scene.outside.inputs(steps.RELEASE_DISPUTED) == []
    # The same decision by who may is taken.
    again = end.model_copy(update={"by": "R. Lee"})
    standing = await handle.execute_update("close", again, result_type=steps.DisputeStanding)
    assert standing.state == "closed"
    assert len(scene.outside.inputs(steps.RELEASE_DISPUTED)) == 1
