"""A denial that is worked: decisions of people, letters, reminders, on the real server."""

from __future__ import annotations

import pytest
from temporalio.client import WorkflowUpdateFailedError

from activities import steps
from tests.workflows import paths
from tests.workflows.outside import DAY, START
from tests.workflows.scene import Scene, eventually, settled

NUMBER = "GCX7K2M9Q4TW1"


def plan(**changes: object) -> steps.DenialPlan:
    values = {
        "at": START,
        "next": "person",
        "action": "write_off",
        "who": "biller",
        "choices": ("done", "write_off"),
        "people_to_write_off": 2,
    }
    return steps.DenialPlan.model_validate(values | changes)


async def test_a_denied_claim_has_its_denial_worked_and_is_sent_again(scene: Scene) -> None:
    await paths.claim_denied(scene, "GC00000DENIED")
    refs = scene.outside.inputs(steps.PLAN_DENIAL)
    # at first, when the claim had decided anew, after the reminder, after the person's decision
    assert [ref.news for ref in refs] == [0, 1, 2, 3]
    (choice,) = scene.outside.inputs(steps.RECORD_DENIAL_CHOICE)
    assert (choice.choice, choice.by) == ("send_again", "biller-1")


async def test_a_letter_is_drafted_approved_and_sent_in_this_order(scene: Scene) -> None:
    await paths.denial_appealed(scene, NUMBER)
    done = [name for name, _ in scene.outside.calls]
    assert done == [
        "plan_denial", "draft_letter",
        "plan_denial", "announce_denial", "record_denial_choice",
        "plan_denial", "send_letter",
        "plan_denial", "announce_denial",
        "plan_denial", "announce_denial",
    ]  # fmt: skip


async def test_the_payer_is_asked_afterwards_and_asked_after_until_it_decides(
    scene: Scene,
) -> None:
    outside = scene.outside
    outside.wall_clock = False
    waits = plan(next="wait", who="payer", due_at=START + DAY)
    outside.answer(steps.PLAN_DENIAL, plan(next="ask"), waits, plan(next="ask"))
    outside.answer(steps.PLAN_DENIAL, plan(next="conclude"))
    handle = await scene.denial("GC0000LATER0")
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 1)
    await scene.wake(handle, DAY)
    await handle.result()
    assert [name for name, _ in outside.calls] == [
        "plan_denial", "ask_afterwards",
        "plan_denial", "announce_denial", "follow_up_denial",
        "plan_denial", "ask_afterwards",
        "plan_denial", "announce_denial",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "more", "told"),
    [
        ("approve", {}, "approve: one of done, write_off"),
        ("write_off", {}, "needs a second person"),
        ("write_off", {"second": " BILLER-1 "}, "needs a second person"),
        ("done", {"reason": " "}, "who decides and a reason"),
        ("record_receipt", {}, "record_receipt: one of"),
    ],
)
async def test_what_may_not_be_decided_never_reaches_the_history(
    scene: Scene, choice: str, more: dict[str, str], told: str
) -> None:
    outside = scene.outside
    outside.answer(steps.PLAN_DENIAL, plan())
    handle = await scene.denial(f"GC{choice[:4].upper()}{len(told)}{len(more)}")
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 1)
    await settled(handle)
    before = (await handle.describe()).history_length
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await scene.decide(handle, choice, **more)
    assert told in str(refused.value.cause)
    assert outside.inputs(steps.RECORD_DENIAL_CHOICE) == []
    assert (await handle.describe()).history_length == before


async def test_a_receipt_needs_its_reference(scene: Scene) -> None:
    outside = scene.outside
    outside.answer(steps.PLAN_DENIAL, plan(next="wait", choices=("record_receipt",)))
    handle = await scene.denial("GC000RECEIPT")
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 1)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await scene.decide(handle, "record_receipt")
    assert "reference: needed" in str(refused.value.cause)
    outside.answer(steps.PLAN_DENIAL, plan(next="conclude"))
    await scene.decide(handle, "record_receipt", reference="FX-1")
    await handle.result()


async def test_the_same_click_twice_is_one_decision(scene: Scene) -> None:
    outside = scene.outside
    outside.answer(steps.PLAN_DENIAL, plan(), plan())
    handle = await scene.denial("GC0000TWICE0")
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 1)
    for _ in range(2):
        await scene.decide(handle, "done")
    assert len(outside.inputs(steps.RECORD_DENIAL_CHOICE)) == 1


async def test_each_deadline_is_told_of_by_the_stored_clock_too(scene: Scene) -> None:
    outside = scene.outside
    outside.wall_clock = False
    first, second = START + DAY, START + 3 * DAY
    outside.answer(
        steps.PLAN_DENIAL, plan(due_at=first), plan(due_at=second), plan(next="conclude")
    )
    handle = await scene.denial("GC00000CLOCK")
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 1)
    await scene.wake(handle, DAY)
    await eventually(lambda: len(outside.inputs(steps.FOLLOW_UP_DENIAL)) == 1)
    await scene.wake(handle, DAY)
    await scene.wake(handle, DAY)
    await handle.result()
    assert [alert.follow_ups for alert in outside.inputs(steps.FOLLOW_UP_DENIAL)] == [1, 2]


async def test_what_is_not_theirs_to_decide_changes_nothing_and_says_who_may(scene: Scene) -> None:
    outside = scene.outside
    outside.answer(steps.PLAN_DENIAL, plan(), plan(next="conclude"))
    why = "a write-off of 60.00: beyond what a biller decides; may: a supervisor"
    outside.answer(steps.RECORD_DENIAL_CHOICE, steps.DecisionRecorded(at=START, refused=why))
    handle = await scene.denial("GC0REFUSED000")
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 1)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await scene.decide(handle, "write_off", second="S. Kim")
    assert str(refused.value.cause) == why or getattr(refused.value.cause, "message", "") == why
    assert len(outside.inputs(steps.PLAN_DENIAL)) == 1
    await scene.decide(handle, "write_off", "request-2", by="R. Lee", second="S. Kim")
    await handle.result()
