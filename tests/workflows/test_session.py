"""A session's workflow: its claims are independent, the room is its own."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError

from activities import steps
from groupclaim.lifecycle.state import Stage
from tests.workflows import paths
from tests.workflows.outside import DAY, START, claim_of, roster, settled
from tests.workflows.scene import Scene, eventually
from workflows import claim, session


async def test_participants_are_independent(scene: Scene, number: str) -> None:
    """One is paid while another is held; the session closes when the last has ended."""
    (handle,) = (await paths.session_of_three(scene, number)).values()
    assert await handle.result() == session.SessionEnd(claims=3)
    recorded = scene.outside.inputs(steps.RECORD_SESSION)
    assert [(item.stage, item.ended) for item in recorded] == [("open", 0), ("closed", 3)]
    ended = {
        name: (
            await scene.client.get_workflow_handle(
                claim.workflow_id(claim_of(name)), result_type=claim.ClaimEnd
            ).result()
        ).stage
        for name in paths.participants(number)
    }
    assert list(ended.values()) == [Stage.CLOSED, Stage.NOT_BILLABLE, Stage.CLOSED]


async def test_reminded_amended_and_a_claim_started_before(scene: Scene, number: str) -> None:
    (handle,) = (await paths.session_amended(scene, number)).values()
    assert await handle.result() == session.SessionEnd(claims=3)
    alerts = scene.outside.inputs(steps.FOLLOW_UP_ATTENDANCE)
    assert [alert.follow_ups for alert in alerts] == [1]
    asked = scene.outside.inputs(steps.CHECK_ELIGIBILITY)
    assert sorted(given.claim_number for given in asked) == sorted(
        claim_of(patient) for patient in paths.participants(number)
    )  # each claim is started once, the one that had been started before too


async def open_session(scene: Scene, number: str) -> str:
    patients = paths.participants(number)
    scene.outside.answer(
        steps.LOAD_ROSTER, roster(*patients, due_at=START + DAY, timer_seconds=None)
    )
    handle = await scene.session(number)
    for patient in patients:
        await scene.outside.rests(claim_of(patient), Stage.ATTENDANCE)
    await settled(handle)
    return handle.id


async def test_attendance_of_the_wrong_people_is_refused_before_the_history(
    scene: Scene, number: str
) -> None:
    handle = scene.client.get_workflow_handle(await open_session(scene, number))
    first, second, third = paths.participants(number)
    before = len((await handle.fetch_history()).events)
    for named, told in (
        ((first, second), ["1 people on the roster have no attendance"]),
        ((first, second, third, "stranger"), ["1 people are not on the roster"]),
        ((first, "a", "b"), ["2 people are not on", "2 people on the roster have no"]),
        ((first, second, third, third), ["listed more than once"]),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("record_attendance", paths.attendance(number, *named))
        assert all(text in str(refused.value.cause) for text in told)
        assert "stranger" not in str(refused.value.cause)
    assert len((await handle.fetch_history()).events) == before
    assert not scene.outside.inputs(steps.RECORD_ATTENDANCE)


async def test_an_amendment_names_who_is_there_or_not(scene: Scene, number: str) -> None:
    handle = scene.client.get_workflow_handle(await open_session(scene, number))
    first, *_ = paths.participants(number)
    for wrong, told in (
        ({"add": (first,)}, "already on the roster"),
        ({"remove": ("stranger",)}, "not on the roster"),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(
                "amend_roster", steps.AmendRoster(session_id=number, by="frontdesk-1", **wrong)
            )
        assert told in str(refused.value.cause)


async def test_who_was_taken_off_needs_no_attendance(scene: Scene, number: str) -> None:
    handle = scene.client.get_workflow_handle(await open_session(scene, number))
    first, second, third = paths.participants(number)
    scene.outside.answer(
        steps.AMEND_ROSTER, roster(second, third, due_at=START + DAY, timer_seconds=None)
    )
    progress: session.SessionStanding = await handle.execute_update(
        "amend_roster",
        steps.AmendRoster(session_id=number, remove=(first,), by="frontdesk-1"),
        result_type=session.SessionStanding,
    )
    assert progress.roster == 3  # their claim is open until it has ended
    await handle.execute_update("record_attendance", paths.attendance(number, second, third))
    assert len(scene.outside.inputs(steps.RECORD_ATTENDANCE)) == 1


async def test_attendance_can_be_corrected(scene: Scene, number: str) -> None:
    handle = scene.client.get_workflow_handle(await open_session(scene, number))
    patients = paths.participants(number)
    for absent in (patients[0], patients[1]):
        await handle.execute_update(
            "record_attendance", paths.attendance(number, *patients, absent=absent)
        )
    assert len(scene.outside.inputs(steps.RECORD_ATTENDANCE)) == 2


async def test_a_terminated_claim_keeps_the_session_open(scene: Scene, number: str) -> None:
    """It is neither paid nor held: the session says that it is open, and does not fail."""
    handle = scene.client.get_workflow_handle(await open_session(scene, number))
    patients = paths.participants(number)
    await handle.execute_update("record_attendance", paths.attendance(number, *patients))
    lost, *others = (
        scene.client.get_workflow_handle(claim.workflow_id(claim_of(patient)))
        for patient in patients
    )
    await lost.terminate("an operator's mistake")
    for other in others:
        await scene.not_attended(other)
        await other.result()

    async def two_ended() -> bool:
        progress: session.SessionStanding = await handle.query(
            "progress", result_type=session.SessionStanding
        )
        return progress.ended == 2

    await eventually(two_ended)
    progress: session.SessionStanding = await handle.query(
        "progress", result_type=session.SessionStanding
    )
    assert progress.open_claims == (claim_of(patients[0]),)
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
