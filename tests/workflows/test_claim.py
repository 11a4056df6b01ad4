"""One claim's workflow on the development server, with a scripted outside."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from activities import steps
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Consent, Stage
from groupclaim.lifecycle.why import Why
from groupclaim.model.session import Attendance
from tests.workflows import paths
from tests.workflows.outside import DAY, START, Outside, settled, working
from tests.workflows.scene import Scene, eventually
from workflows import claim, search

EVERY_STEP = [
    "check_eligibility",
    "check_authorization",
    "check_documentation",
    "check_coding",
    "build_claim",
    "queue_claim",
    "audit_payment",
    "settle_balance",
]


def claim_steps(outside: Outside) -> list[str]:
    bookkeeping = (steps.LOAD_CLAIM.name, steps.RECORD_PROGRESS.name)
    return [name for name, _ in outside.calls if name not in bookkeeping]


async def test_a_clean_claim_is_closed(scene: Scene, number: str) -> None:
    (handle,) = (await paths.claim_paid(scene, number)).values()
    assert await handle.result() == claim.ClaimEnd(stage=Stage.CLOSED, reason=None)
    assert claim_steps(scene.outside) == EVERY_STEP
    stages = [given.state.stage for given in scene.outside.inputs(steps.RECORD_PROGRESS)]
    assert stages == [
        Stage.ATTENDANCE,
        Stage.READY,
        Stage.SUBMITTED,
        Stage.ACKNOWLEDGED,
        Stage.ACCEPTED,
        Stage.CLOSED,
    ]
    sequences = [given.sequence for name, given in scene.outside.calls if name in EVERY_STEP]
    assert sequences == sorted(set(sequences))  # each effect has a number of its own


async def test_search_attributes_say_where_it_stands(scene: Scene, number: str) -> None:
    handle = await scene.claim(number)
    await scene.outside.rests(number, Stage.ATTENDANCE)
    await scene.attended(handle)
    await scene.outside.rests(number, Stage.READY)
    await scene.submitted(handle)
    await scene.outside.rests(number, Stage.SUBMITTED)
    await scene.not_attended(handle, sent=True)
    state = await scene.outside.rests(number, Stage.VOID, "ATTENDANCE_CHANGED")

    async def shown() -> bool:
        found = (await handle.describe()).typed_search_attributes
        return (
            found.get(search.STAGE) == "void"
            and found.get(search.HOLD_CODE) == "ATTENDANCE_CHANGED"
            and found.get(search.WORK_QUEUE) == "biller"
            and found.get(search.PAYER_KEY) == "payer1"
            and found.get(search.BILLED_CENTS) == 6000
            and found.get(search.OPEN_CENTS) == 6000
            and found.get(search.DUE_AT) == state.due_at
        )

    await eventually(shown)


async def test_it_says_why_it_waits(scene: Scene, number: str) -> None:
    handle = await scene.claim(number)
    state = await scene.outside.rests(number, Stage.ATTENDANCE)
    reasons: Why = await handle.query("why", result_type=Why)
    assert reasons.waiting_for == "front desk: the session's final attendance"
    assert reasons.since == START
    assert reasons.next_at == state.due_at
    progress: claim.ClaimStanding = await handle.query("progress", result_type=claim.ClaimStanding)
    assert progress.stage is Stage.ATTENDANCE
    assert progress.hold_code is None


async def test_holds_are_cleared_by_facts_and_released_by_people(scene: Scene, number: str) -> None:
    (handle,) = (await paths.claim_held(scene, number)).values()
    assert (await handle.result()).stage is Stage.CLOSED
    done = Counter(claim_steps(scene.outside))
    assert done["check_documentation"] == 2
    assert done["check_coding"] == 2
    assert done["record_decision"] == 2
    settled = scene.outside.inputs(steps.SETTLE_BALANCE)
    assert [given.waivers for given in settled] == [
        ("GROUP_SIZE_REVIEW",),
        ("GROUP_SIZE_REVIEW", "UNDERPAYMENT_REVIEW"),
        ("GROUP_SIZE_REVIEW", "UNDERPAYMENT_REVIEW"),
    ]
    consent = Consent(key="release:request-2", payer_open=375)
    assert [given.consent for given in settled] == [None, consent, None]
    decided = scene.outside.inputs(steps.RECORD_DECISION)
    assert [(item.code, item.by) for item in decided] == [
        ("GROUP_SIZE_REVIEW", "supervisor-1"),
        ("UNDERPAYMENT_REVIEW", "supervisor-1"),
    ]


async def test_rejections_and_denials_are_corrected(scene: Scene, number: str) -> None:
    (handle,) = (await paths.claim_corrected(scene, number)).values()
    assert (await handle.result()).stage is Stage.CLOSED
    built = scene.outside.inputs(steps.BUILD_CLAIM)
    assert [(given.version, given.frequency) for given in built] == [(0, "1"), (1, "1"), (2, "7")]
    causes = [given.cause for given in scene.outside.inputs(steps.DECIDE_DENIAL)]
    assert causes == ["A7:164", "CO-197"]


async def test_deadlines_pass_by_timers(scene: Scene, number: str) -> None:
    (handle,) = (await paths.claim_overdue(scene, number)).values()
    assert (await handle.result()).stage is Stage.CLOSED
    assert [given.follow_ups for given in scene.outside.inputs(steps.FOLLOW_UP)] == [1]
    assert [given.follow_ups for given in scene.outside.inputs(steps.ASK_STATUS)] == [1, 2]


async def test_deadlines_pass_by_a_stored_clock(scene: Scene, number: str) -> None:
    (handle,) = (await paths.claim_by_stored_clock(scene, number)).values()
    assert len(scene.outside.inputs(steps.FOLLOW_UP)) == 1
    history = await handle.fetch_history()
    assert not [e for e in history.events if e.event_type == EventType.EVENT_TYPE_TIMER_STARTED]


async def test_a_pended_authorization_is_asked_after_by_the_durable_deadline(
    scene: Scene, number: str
) -> None:
    outside = scene.outside
    pended = events.Held(code="AUTH_PENDED", releasable=False)

    async def decided_on_the_second_day(given: steps.ClaimStep) -> events.AuthorizationChecked:
        held = pended if outside.now < START + 2 * DAY else None
        return events.AuthorizationChecked(at=outside.now, held=held, due_at=outside.now + DAY)

    outside.answer(steps.CHECK_AUTHORIZATION, decided_on_the_second_day)
    handle = await scene.claim(number)
    for _ in range(2):
        await outside.rests(number, Stage.AUTHORIZATION, "AUTH_PENDED")
        await eventually(lambda: outside.states[number].due_at == outside.now + DAY)
        await scene.fast_forward(handle, DAY)
    await outside.rests(number, Stage.ATTENDANCE)
    assert not outside.inputs(steps.FOLLOW_UP)


async def test_a_wake_up_that_comes_while_a_step_is_under_way_is_not_lost(
    scene: Scene, number: str
) -> None:
    outside = scene.outside
    outside.wall_clock = False
    go_on = asyncio.Event()

    async def slowly(given: steps.ClaimStep) -> events.AuthorizationChecked:
        await go_on.wait()
        return events.AuthorizationChecked(at=START, due_at=START + DAY)

    outside.answer(steps.CHECK_AUTHORIZATION, slowly)
    handle = await scene.claim(number)
    await eventually(lambda: outside.inputs(steps.CHECK_AUTHORIZATION))
    await scene.wake(handle, DAY)
    go_on.set()
    await eventually(lambda: outside.inputs(steps.FOLLOW_UP))


async def test_who_did_not_come_is_not_billed(scene: Scene, number: str) -> None:
    (handle,) = (await paths.claim_not_billable(scene, number)).values()
    assert await handle.result() == claim.ClaimEnd(stage=Stage.NOT_BILLABLE, reason="NO_SHOW")
    assert "build_claim" not in claim_steps(scene.outside)


async def test_attendance_changed_after_sending(scene: Scene, number: str) -> None:
    (handle,) = (await paths.claim_voided(scene, number)).values()
    assert await handle.result() == claim.ClaimEnd(stage=Stage.NOT_BILLABLE, reason="NO_SHOW")
    sent = [given.frequency for given in scene.outside.inputs(steps.BUILD_CLAIM)]
    assert sent == ["1", "8"]


async def test_a_closed_claim_is_woken_by_a_second_remittance(scene: Scene, number: str) -> None:
    (handle,) = (await paths.claim_woken(scene, number)).values()
    assert (await handle.result()).stage is Stage.CLOSED
    assert claim_steps(scene.outside) == ["audit_payment", "settle_balance"]


# --- releases


async def held_by_group_size(scene: Scene, number: str, *, two_people: bool = False) -> str:
    """A claim held for review; its workflow id."""
    held = events.Held(code="GROUP_SIZE_REVIEW", releasable=True, two_people=two_people)
    scene.outside.answer(steps.CHECK_CODING, events.CodingChecked(at=START, held=held))
    handle = await scene.claim(number)
    await scene.outside.rests(number, Stage.ATTENDANCE)
    await scene.attended(handle)
    await scene.outside.rests(number, Stage.CODING, "GROUP_SIZE_REVIEW")
    return handle.id


RELEASE = claim.ReleaseHold(
    code="GROUP_SIZE_REVIEW", by="supervisor-1", reason="room was split", request="click-1"
)


async def test_a_refused_release_leaves_no_trace(scene: Scene, number: str) -> None:
    handle = scene.client.get_workflow_handle(await held_by_group_size(scene, number))
    await settled(handle)
    before = len((await handle.fetch_history()).events)
    for wrong, reason in (
        ({"code": "NO_RATE"}, "held by GROUP_SIZE_REVIEW, not by NO_RATE"),
        ({"reason": "  "}, "a release needs a reason"),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("release_hold", RELEASE.model_copy(update=wrong))
        assert reason in str(refused.value.cause)
    assert len((await handle.fetch_history()).events) == before
    assert not scene.outside.inputs(steps.RECORD_DECISION)


async def test_a_waiver_needs_a_second_person_and_an_expiry(scene: Scene, number: str) -> None:
    workflow_id = await held_by_group_size(scene, number, two_people=True)
    handle = scene.client.get_workflow_handle(workflow_id)
    until = START + timedelta(days=30)
    for wrong, reason in (
        ({}, "needs a second person"),
        ({"second": "Supervisor-1", "until": until}, "needs a second person"),
        ({"second": "director-1"}, "needs an expiry"),
        ({"second": "director-1", "until": START - DAY}, "ends after the hold began"),
    ):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("release_hold", RELEASE.model_copy(update=wrong))
        assert reason in str(refused.value.cause)
    agreed = RELEASE.model_copy(update={"second": "director-1", "until": until})
    await handle.execute_update("release_hold", agreed)
    state = await scene.outside.rests(number, Stage.READY)
    assert state.waived_until == {"GROUP_SIZE_REVIEW": until}


async def test_a_claim_that_is_not_held_cannot_be_released(scene: Scene, number: str) -> None:
    handle = await scene.claim(number)
    await scene.outside.rests(number, Stage.ATTENDANCE)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("release_hold", RELEASE)
    assert "the claim is not held" in str(refused.value.cause)


async def test_the_same_request_acts_once(scene: Scene, number: str) -> None:
    handle = scene.client.get_workflow_handle(await held_by_group_size(scene, number))
    both = await asyncio.gather(
        *(
            handle.execute_update("release_hold", RELEASE, result_type=claim.ClaimStanding)
            for _ in range(2)
        )
    )
    assert {item.hold_code for item in both} == {None}
    await scene.outside.rests(number, Stage.READY)
    decided = len(scene.outside.inputs(steps.RECORD_DECISION))
    again: claim.ClaimStanding = await handle.execute_update(
        "release_hold", RELEASE, result_type=claim.ClaimStanding
    )
    assert again.stage is Stage.READY
    assert len(scene.outside.inputs(steps.CHECK_CODING)) == 2
    assert {item.request for item in scene.outside.inputs(steps.RECORD_DECISION)} == {"click-1"}
    assert len(scene.outside.inputs(steps.RECORD_DECISION)) == decided


# --- write-offs

GIVE_UP = claim.WriteOff(by="supervisor-1", reason="three calls, no answer", request="click-1")


async def on_its_way(scene: Scene, number: str) -> WorkflowHandle[Any, claim.ClaimEnd]:
    handle = await scene.claim(number)
    await scene.outside.rests(number, Stage.ATTENDANCE)
    await scene.attended(handle)
    await scene.outside.rests(number, Stage.READY)
    await scene.sent_and_accepted(handle)
    return handle


async def test_of_two_who_write_off_at_once_one_is_told(scene: Scene, number: str) -> None:
    handle = await on_its_way(scene, number)
    other = GIVE_UP.model_copy(update={"by": "supervisor-2", "request": "click-2"})
    answers = await asyncio.gather(
        *(
            handle.execute_update("write_off", given, result_type=claim.ClaimStanding)
            for given in (GIVE_UP, other)
        ),
        return_exceptions=True,
    )
    (done,) = [one for one in answers if isinstance(one, claim.ClaimStanding)]
    (told,) = [one for one in answers if isinstance(one, WorkflowUpdateFailedError)]
    assert "just" in str(told.cause) or "does not wait" in str(told.cause)
    assert len(scene.outside.inputs(steps.RECORD_WRITE_OFF)) == 1
    assert done.stage in (Stage.ACCEPTED, Stage.CLOSED)
    assert (await handle.result()).stage is Stage.CLOSED


async def test_while_a_write_off_is_booked_the_claim_becomes_nothing_else(
    scene: Scene, number: str
) -> None:
    (handle,) = (await paths.claim_written_off(scene, number)).values()
    assert (await handle.result()).stage is Stage.CLOSED
    assert claim_steps(scene.outside).count("check_eligibility") == 1
    assert len(scene.outside.inputs(steps.DECIDE_DENIAL)) == 0


async def test_a_write_off_that_is_refused_changes_nothing(scene: Scene, number: str) -> None:
    handle = await scene.claim(number)
    await scene.outside.rests(number, Stage.ATTENDANCE)
    with pytest.raises(WorkflowUpdateFailedError) as early:
        await handle.execute_update("write_off", GIVE_UP)
    assert "does not wait for a payer's decision" in str(early.value.cause)
    await scene.attended(handle)
    await scene.outside.rests(number, Stage.READY)
    await scene.sent_and_accepted(handle)
    with pytest.raises(WorkflowUpdateFailedError) as bare:
        await handle.execute_update("write_off", GIVE_UP.model_copy(update={"reason": " "}))
    assert "who decides and a reason" in str(bare.value.cause)
    why = "a write-off of 60.00: beyond what a biller decides"
    scene.outside.answer(steps.RECORD_WRITE_OFF, steps.DecisionRecorded(at=START, refused=why))
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("write_off", GIVE_UP)
    assert why in getattr(refused.value.cause, "message", "")
    standing = await handle.query("progress", result_type=claim.ClaimStanding)
    assert standing.stage is Stage.ACCEPTED
    # The same by who may is taken.
    again = GIVE_UP.model_copy(update={"request": "click-2"})
    await handle.execute_update("write_off", again, result_type=claim.ClaimStanding)
    assert (await handle.result()).stage is Stage.CLOSED


# --- signals


async def test_signals_before_the_worker_is_there(
    environment: WorkflowEnvironment, client: Client, task_queue: str, number: str
) -> None:
    """Everything is told, some of it twice, while no worker runs; nothing is lost or done twice."""
    outside = Outside()
    scene = Scene(environment, client, task_queue, outside)
    handle = await scene.claim(number)
    told: list[tuple[str, events.Event]] = [
        ("attendance", events.AttendanceRecorded(at=START, key="a", attendance="attended")),
        ("submitted", events.Submitted(at=START, key="s", version=1)),
        ("ack_277ca", events.Acknowledged(
            at=START, key="c", by="277CA", version=1, accepted=True)),
        ("ack_999", events.Acknowledged(at=START, key="n", by="999", version=1, accepted=True)),
        ("remit_835", events.RemittancePosted(at=START, key="r", version=1, denied=False)),
    ]  # fmt: skip
    for name, event in (*told, *told):
        await handle.signal(name, event)
    async with working(client, task_queue, outside):
        assert (await handle.result()).stage is Stage.CLOSED
    assert claim_steps(outside) == EVERY_STEP


# --- workers come and go


async def test_an_evicted_claim_goes_the_same_way(
    environment: WorkflowEnvironment, client: Client, task_queue: str, number: str
) -> None:
    """Without a cache every task replays the whole history."""
    outside = Outside()
    async with working(client, task_queue, outside, max_cached_workflows=0):
        (handle,) = (
            await paths.claim_paid(Scene(environment, client, task_queue, outside), number)
        ).values()
    assert (await handle.result()).stage is Stage.CLOSED
    assert claim_steps(outside) == EVERY_STEP


async def test_a_worker_lost_in_the_middle_of_a_step(
    environment: WorkflowEnvironment, client: Client, task_queue: str, number: str
) -> None:
    """The step is tried again by the next worker, with the same number, so it can act once."""
    outside = Outside()
    scene = Scene(environment, client, task_queue, outside)

    async def forever(given: steps.ClaimStep) -> events.CodingChecked:
        await asyncio.Event().wait()
        raise AssertionError("cancelled before")

    outside.answer(steps.CHECK_CODING, forever)
    async with working(client, task_queue, outside):
        handle = await scene.claim(number)
        await outside.rests(number, Stage.ATTENDANCE)
        await scene.attended(handle)
        await eventually(lambda: outside.inputs(steps.CHECK_CODING))
    async with working(client, task_queue, outside):
        await outside.rests(number, Stage.READY)
        first, second = outside.inputs(steps.CHECK_CODING)
        assert first == second
        await scene.sent_and_accepted(handle)
        await scene.remitted(handle)
        assert (await handle.result()).stage is Stage.CLOSED


async def test_a_claim_is_begun_behind_those_under_way(scene: Scene, number: str) -> None:
    """Only its first step lets all others go first, so that what is begun is soon done."""
    (handle,) = (await paths.claim_paid(scene, number)).values()
    keys = {
        scheduled.activity_type.name: scheduled.priority.priority_key
        for event in (await handle.fetch_history()).events
        if (scheduled := event.activity_task_scheduled_event_attributes).activity_type.name
    }
    assert keys.pop("check_eligibility") == 4  # 3 is what all have that have none
    assert len(keys) > 5
    assert set(keys.values()) == {0}


# --- long life


async def test_what_a_run_before_had_not_used_is_taken_first(scene: Scene, number: str) -> None:
    came = events.AttendanceRecorded(at=START, key="a", attendance=Attendance.ATTENDED)
    handle = await scene.start(
        claim.NAME,
        claim.ClaimStart(claim_number=number, payer_key="payer1", inbox=(came,)),
        claim.workflow_id(number),
    )
    await scene.outside.rests(number, Stage.READY)
    stages = [given.state.stage for given in scene.outside.inputs(steps.RECORD_PROGRESS)]
    assert stages == [Stage.READY]
    assert (await handle.query("progress", result_type=claim.ClaimStanding)).version == 1


async def test_a_woken_claim_remembers_what_it_was_told(scene: Scene, number: str) -> None:
    state = ClaimState(
        claim_number=number,
        sequence=20,
        stage=Stage.CLOSED,
        since=START,
        attendance=Attendance.ATTENDED,
        version=1,
        seen=("835:1",),
    )
    again = events.RemittancePosted(at=START, key="835:1", version=1, denied=False)
    handle = await scene.client.start_workflow(
        claim.NAME,
        claim.ClaimStart(claim_number=number, payer_key="payer1", state=state),
        id=claim.workflow_id(number),
        task_queue=scene.task_queue,
        start_signal="remit_835",
        start_signal_args=[again],
    )
    await handle.result()
    assert claim_steps(scene.outside) == []
