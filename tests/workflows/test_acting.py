"""Two people act on one work item at once, on the real server: one is taken, the other is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities import steps
from activities.front_desk import FrontDesk, WorkAct
from activities.outside import Outside
from activities.work_items import WorkDesk
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import Stage
from groupclaim.model.base import InputRefused
from groupclaim.store import audit, work, work_undo
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from tests.console.visitor import practice_at
from tests.workflows import paths
from tests.workflows.outside import DAY, START, settled
from tests.workflows.scene import Scene, eventually
from workflows import acting, claim

Handle = WorkflowHandle[Any, Any]


async def a_claim(scene: Scene, number: str) -> Handle:
    handle = await scene.claim(number)
    await scene.outside.rests(number, Stage.ATTENDANCE)
    await settled(handle)
    return handle


async def a_denial(scene: Scene, number: str) -> Handle:
    handle = await scene.denial(number)
    await eventually(lambda: len(scene.outside.inputs(steps.ANNOUNCE_DENIAL)) == 1)
    await settled(handle)
    return handle


async def a_dispute(scene: Scene, number: str) -> Handle:
    handle = await scene.dispute(paths.case_of(number))
    await eventually(lambda: paths.looks(scene) == 1)
    await settled(handle)
    return handle


Kind = Callable[[Scene, str], Awaitable[Handle]]
every_kind = pytest.mark.parametrize("kind", [a_claim, a_denial, a_dispute])


def take(handle: Handle, by: str, revision: int = 0, **changes: Any) -> steps.ItemAct:
    given = {
        "item": f"item of {handle.id}", "workflow_id": handle.id, "kind": "assign",
        "revision": revision, "by": by, "request": f"click of {by}", "to": by,
    }  # fmt: skip
    return steps.ItemAct.model_validate(given | changes)


async def send(handle: Handle, act: steps.ItemAct) -> steps.ItemStanding:
    standing: steps.ItemStanding = await handle.execute_update(
        acting.UPDATE, act, id=act.request, result_type=steps.ItemStanding
    )
    return standing


def said(error: BaseException) -> tuple[str | None, str]:
    assert isinstance(error, WorkflowUpdateFailedError)
    assert isinstance(error.cause, ApplicationError)
    return error.cause.type, error.cause.message


async def events_of(handle: Handle) -> int:
    return len((await handle.fetch_history()).events)


@every_kind
async def test_of_two_at_once_the_second_never_reaches_the_history(
    scene: Scene, number: str, kind: Kind
) -> None:
    handle = await kind(scene, number)
    answers = await asyncio.gather(
        *(send(handle, take(handle, by)) for by in ("Ann", "Ben")), return_exceptions=True
    )
    (taken,) = [one for one in answers if isinstance(one, steps.ItemStanding)]
    (refused,) = [one for one in answers if isinstance(one, BaseException)]
    assert (taken.revision, taken.assignee) in ((1, "Ann"), (1, "Ben"))
    kind_of_refusal, words = said(refused)
    assert kind_of_refusal == acting.CHANGED_MEANWHILE
    assert "changed meanwhile" in words
    assert len(scene.outside.inputs(steps.ACT_ON_ITEM)) == 1
    # Nor does one who comes later with what they saw before; who has seen it now may act.
    await settled(handle)
    before = await events_of(handle)
    with pytest.raises(WorkflowUpdateFailedError) as late:
        await send(handle, take(handle, "Cat"))
    assert said(late.value)[1] == f"changed meanwhile: it is open now, given to {taken.assignee}"
    assert await events_of(handle) == before
    assert (await send(handle, take(handle, "Cat", 1, request="again"))).assignee == "Cat"


@every_kind
async def test_the_same_click_twice_is_one_act_and_another_s_item_is_not_taken(
    scene: Scene, number: str, kind: Kind
) -> None:
    handle = await kind(scene, number)
    both = [await send(handle, take(handle, "Ann")) for _ in range(2)]
    assert both[0] == both[1]
    assert len(scene.outside.inputs(steps.ACT_ON_ITEM)) == 1
    before = await events_of(handle)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await send(handle, take(handle, "Ben", 1, workflow_id="claim/GCOTHER"))
    assert said(refused.value) == (acting.INPUT_REFUSED, "the item is about something else")
    assert await events_of(handle) == before


@every_kind
async def test_what_its_own_steps_have_changed_is_known_before_the_store_is_asked(
    scene: Scene, number: str, kind: Kind
) -> None:
    outside = scene.outside
    ended = steps.ItemStanding(
        item="the item", revision=2, state="resolved", assignee="Ben", resolution="Cat"
    )
    outside.answer(steps.RECORD_PROGRESS, steps.Recorded(items=(ended,)))
    outside.answer(
        steps.PLAN_DENIAL, steps.DenialPlan(at=START, next="wait", who="payer", items=(ended,))
    )
    outside.answer(steps.LOOK_AT_DISPUTE, outside.dispute("told", items=(ended,)))
    handle = await kind(scene, number)
    for revision in (0, 1):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await send(handle, take(handle, "Ann", revision, item="the item", request="r"))
        # Ben had it, and Cat was first.
        assert said(refused.value)[1] == "changed meanwhile: it is resolved now, by Cat"
    assert outside.inputs(steps.ACT_ON_ITEM) == []


# --- with the store, from the desk where console, API and command line act


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path / 'groupclaim.db'}"
    migrate(url)
    made = Database.connect(url, Keyring.generate())
    await PracticeClock(made).set_stored(START)
    yield made
    await made.close()


async def opened(database: Database, handle: Handle) -> work.WorkItem:
    """What a payer has not answered, of the dispute of ``handle``."""
    task = work.Task(
        "dispute", handle.id.removeprefix("dispute/"), "1", "DISPUTE_UNANSWERED", "contract owner",
        due_at=START + 9 * DAY,
    )  # fmt: skip
    async with database.transaction() as tx:
        return await work.read_item(tx, await work.open_item(tx, task, START))


def real_store(scene: Scene, database: Database, times: int) -> None:
    desk = WorkDesk(cast(Outside, SimpleNamespace(database=database)))
    scene.outside.answer(steps.ACT_ON_ITEM, *[desk.act_on_item] * times)


async def test_two_desks_at_once_and_one_is_told_who_was_first(
    scene: Scene, number: str, database: Database
) -> None:
    handle = await a_dispute(scene, number)
    item = await opened(database, handle)
    real_store(scene, database, 4)
    desk = FrontDesk(database, PracticeClock(database), scene.client)

    async def taken_by(person: str) -> work.WorkItem | work.ChangedMeanwhile:
        act = WorkAct("assign", to=person, revision=item.revision)
        try:
            return await desk.act_on(item.id, act, person, "one form")
        except work.ChangedMeanwhile as told:
            return told

    answers = await asyncio.gather(*map(taken_by, ("Ann", "Ben", "Cat")))
    (done,) = [one for one in answers if isinstance(one, work.WorkItem)]
    assert (done.assignee in ("Ann", "Ben", "Cat"), done.revision) == (True, 1)
    assert sum(isinstance(one, work.ChangedMeanwhile) for one in answers) == 2
    async with database.reading() as reading:
        acts = await audit.entries(reading, item.subject)
    assert [(one.actor, one.action) for one in acts] == [(done.assignee, "work_assign")]
    # The one who was first asks again: it is the same act.
    assert done.assignee is not None
    assert await taken_by(done.assignee) == done
    pend = WorkAct("pend", until=START + 10 * DAY, text="they call back", revision=1)
    with pytest.raises(InputRefused, match="behind the deadline"):
        await desk.act_on(item.id, pend, "Ann")
    with pytest.raises(InputRefused, match="groupclaim dispute approve"):
        await desk.act_on(item.id, WorkAct("resolve", text="done", revision=1), "Ann")


async def test_an_item_whose_workflow_does_not_run_is_acted_on_in_the_store(
    scene: Scene, number: str, database: Database
) -> None:
    end = scene.outside.dispute("closed", outcome="withdrawn")
    scene.outside.answer(steps.LOOK_AT_DISPUTE, end)
    handle = await scene.dispute(paths.case_of(number))
    await handle.result()
    orphan = work.Task("money", "unapplied/1", "1", "UNAPPLIED_CASH", "biller")
    async with database.transaction() as tx:
        nobodys = await work.read_item(tx, await work.open_item(tx, orphan, START))
    desk = FrontDesk(database, PracticeClock(database), scene.client)
    for item in (await opened(database, handle), nobodys):
        act = WorkAct("assign", to="Ann", revision=item.revision)
        assert (await desk.act_on(item.id, act, "Ann", "a1")).assignee == "Ann"
        assert (await desk.act_on(item.id, act, "Ann", "a1")).revision == 1
        with pytest.raises(work.ChangedMeanwhile, match="given to Ann"):
            await desk.act_on(item.id, act, "Ben", "b1")
        # Another act by the form of the first, as of a page gone back to, is no repetition of it.
        with pytest.raises(work.ChangedMeanwhile, match="given to Ann"):
            await desk.act_on(item.id, replace(act, to="Cat"), "Ann", "a1")
    async with database.reading() as reading:
        last = await work_undo.last_act(reading, "Ann")
    assert (last.kind, last.items) == ("assign", 2) if last else False
    assert scene.outside.inputs(steps.ACT_ON_ITEM) == []


async def test_a_comment_of_the_second_person_stands_beside_the_first_s_act(
    scene: Scene, number: str, database: Database
) -> None:
    handle = await a_dispute(scene, number)
    item = await opened(database, handle)
    real_store(scene, database, 1)
    desk = FrontDesk(database, PracticeClock(database), scene.client)
    await desk.act_on(item.id, WorkAct("assign", to="Ann", revision=0), "Ann")
    await desk.act_on(item.id, WorkAct("comment", text="asked by phone", revision=0), "Ben")
    async with database.reading() as reading:
        (noted,) = await work.comments(reading, item.id)
    assert (noted.actor, noted.text) == ("Ben", "asked by phone")


# --- what is decided about an item elsewhere than on the list


def stands(state: str, item: str, revision: int = 0) -> steps.ItemStanding:
    return steps.ItemStanding.model_validate({"item": item, "revision": revision, "state": state})


async def test_a_hold_that_was_released_and_came_back_is_not_released_unseen(
    scene: Scene, number: str
) -> None:
    """The second person still looks at the page of the first hold."""
    outside = scene.outside
    held = events.CodingChecked(
        at=START, held=events.Held(code="GROUP_SIZE_REVIEW", releasable=True)
    )
    outside.answer(steps.CHECK_CODING, held, held)
    outside.answer(
        steps.RECORD_PROGRESS,
        steps.Recorded(),
        steps.Recorded(items=(stands("open", "first"),)),
        steps.Recorded(items=(stands("open", "second"), stands("resolved", "first", 1))),
    )
    handle = await scene.claim(number)
    await scene.outside.rests(number, Stage.ATTENDANCE)
    await scene.attended(handle)
    await scene.outside.rests(number, Stage.CODING, "GROUP_SIZE_REVIEW")

    async def release(by: str, item: str) -> None:
        given = claim.ReleaseHold(
            code="GROUP_SIZE_REVIEW", by=by, reason="read it", request=by, item=item
        )
        await handle.execute_update("release_hold", given, result_type=claim.ClaimStanding)

    await release("Ann", "first")
    await eventually(lambda: len(outside.inputs(steps.RECORD_PROGRESS)) == 3)
    await settled(handle)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await release("Ben", "first")
    assert said(refused.value) == (
        acting.CHANGED_MEANWHILE,
        "changed meanwhile: it is resolved now",
    )
    await release("Ben", "second")
    assert [given.by for given in outside.inputs(steps.RECORD_DECISION)] == ["Ann", "Ben"]


async def test_a_rung_of_a_denial_that_was_decided_is_not_decided_again(
    scene: Scene, number: str
) -> None:
    outside = scene.outside

    def rung(*items: steps.ItemStanding) -> steps.DenialPlan:
        return steps.DenialPlan(
            at=START, next="person", who="biller", choices=("done", "write_off"), items=items
        )

    outside.answer(
        steps.PLAN_DENIAL,
        rung(stands("open", "first")),
        rung(stands("open", "second"), stands("resolved", "first", 1)),
    )
    handle = await a_denial(scene, number)
    await scene.decide(handle, "done", "click-1", item="first")
    await settled(handle)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await scene.decide(handle, "done", "click-2", item="first")
    assert said(refused.value)[0] == acting.CHANGED_MEANWHILE
    await scene.decide(handle, "done", "click-3", item="second")
    assert len(outside.inputs(steps.RECORD_DENIAL_CHOICE)) == 2


# --- through the console


async def test_two_people_at_the_console_at_once(scene: Scene, number: str, tmp_path: Path) -> None:
    async with practice_at(tmp_path, client=lambda house: scene.client) as practice:
        handle = await a_dispute(scene, number)
        item = await opened(practice.house.database, handle)
        real_store(scene, practice.house.database, 2)
        names = ("biller", "supervisor")
        people = [await practice.signed_in(name) for name in names]
        answers = await asyncio.gather(
            *(
                person.post("/work-items", kind="assign", to="me", item=f"{item.id}:0")
                for person in people
            )
        )
        codes = [answer.status_code for answer in answers]
        assert sorted(codes) == [303, 409]
        assert "changed meanwhile" in answers[codes.index(409)].text
        async with practice.house.database.reading() as reading:
            taken = await work.read_item(reading, item.id)
        assert (taken.assignee, taken.revision) == (names[codes.index(303)], 1)
