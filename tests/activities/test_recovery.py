"""After an older copy was restored: what Temporal knows of and the copy does not is done again,
once and in its order; nothing is sent that may have been sent; what cannot be done is named."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities import steps
from activities.front_desk import PAYER_REFUND
from activities.recovery import Difference, Recovery, _Done, raise_revisions
from activities.work_items import carry_out
from groupclaim import x12
from groupclaim.lifecycle.events import FactLearned, WrittenOff
from groupclaim.lifecycle.state import Fact, Stage
from groupclaim.store import audit, ledger, voids, work
from tests.activities import test_voids as taken
from tests.activities.house import House
from tests.activities.test_authorization_request import ROSTER, Reviewer
from workflows.acting import ActedOn


def copied(here: Path, to: Path) -> None:
    with closing(sqlite3.connect(here)) as read, closing(sqlite3.connect(to)) as written:
        read.backup(written)


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_request_for_authorization_of_the_lost_hour_is_asked_after_and_not_sent_again(
    tmp_path: Path, arrived: bool
) -> None:
    """One that arrived and was granted is on file again; of one that the payer does not know it
    stays in doubt until the grace period has passed."""
    async with House(tmp_path, ROSTER) as house:
        payer = Reviewer(house, x12.Decision("A1", "GRANTED7"))
        number = await house.claim_of("S3", "P23")
        step = steps.ClaimStep(claim_number=number, sequence=1)
        await house.perform(steps.CHECK_ELIGIBILITY, step)
        database, copy = tmp_path / "groupclaim.db", tmp_path / "copy.db"
        copied(database, copy)
        asked = step.model_copy(update={"sequence": 2})
        assert (await house.perform(steps.CHECK_AUTHORIZATION, asked)).held is None
        assert len(payer.requests) == 1
        if not arrived:
            payer.requests.clear()
        sent = len(payer.bytes)

        copied(copy, database)
        assert await house.rows(text("SELECT trace FROM authorization_request")) == []
        recovery = Recovery(house.outside, datetime.now(UTC))
        await recovery._run(steps.CHECK_AUTHORIZATION.name, asked)
        await recovery.ask_after_request(asked)
        assert len(payer.bytes) == sent
        assert len(payer.inquiries) == 1
        (request,) = await house.rows(text("SELECT state FROM authorization_request"))
        assert request.state == ("certified" if arrived else "asking")
        uses = await house.rows(text("SELECT claim_number, state FROM authorization_use"))
        assert [tuple(row) for row in uses] == ([(number, "reserved")] if arrived else [])


HAPPENED = tuple[str, BaseModel, BaseModel | None]
"""The name of a step or signal, what it was given, and a step's answer."""


def recovery_of(house: House, client: object, since: datetime) -> Recovery:
    return Recovery(replace(house.outside, client=cast(Client, client)), since)


async def done_again(house: House, number: str, *happened: HAPPENED) -> list[Difference]:
    """What cannot be done again of what a claim's history tells of."""
    convert = pydantic_data_converter
    recovery = recovery_of(house, SimpleNamespace(data_converter=convert), datetime.now(UTC))
    recovery._done = [
        _Done(
            datetime.now(UTC), f"claim/{number}", "run", name, str(place),
            (await convert.encode([given]))[0],
            (await convert.encode([answer]))[0] if answer is not None else None,
        )
        for place, (name, given, answer) in enumerate(happened)
    ]  # fmt: skip
    return [item async for item in recovery._do_again()]


async def open_with_payer(house: House, number: str) -> int:
    async with house.database.reading() as reading:
        return int((await ledger.balance(reading, number)).payer_open)


WRITE_OFF = steps.RECORD_WRITE_OFF.name


def giving_up(number: str) -> steps.ClaimWriteOff:
    return steps.ClaimWriteOff(
        claim_number=number, version=1, by="front-desk", request="click-1", reason="no answer"
    )


class OneWorkflow:
    """Stands for Temporal's client where one workflow is listed, with these events."""

    def __init__(self, *events: HistoryEvent) -> None:
        self._events = events

    async def list_workflows(self) -> AsyncIterator[SimpleNamespace]:
        yield SimpleNamespace(id="claim/GC1", run_id="run")

    def get_workflow_handle(self, workflow_id: str, run_id: str) -> OneWorkflow:
        return self

    async def fetch_history_events(self) -> AsyncIterator[HistoryEvent]:
        for event in self._events:
            yield event


async def test_what_a_step_led_to_is_done_after_it_though_its_end_was_recorded_later(
    tmp_path: Path,
) -> None:
    """Who came is corrected and the claims are told; one of them has gone on, and people have acted
    on it, before the worker has said that all were told."""
    corrected, refunded = HistoryEvent(event_id=5), HistoryEvent(event_id=7)
    begun, ended = HistoryEvent(event_id=6), HistoryEvent(event_id=8)
    corrected.event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    asked = corrected.activity_task_scheduled_event_attributes
    asked.activity_type.name = steps.RECORD_ATTENDANCE.name
    asked.input.payloads.add()
    begun.event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
    refunded.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    refunded.workflow_execution_signaled_event_attributes.signal_name = "fact"
    refunded.workflow_execution_signaled_event_attributes.input.payloads.add()
    ended.event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    completed = ended.activity_task_completed_event_attributes
    completed.scheduled_event_id, completed.started_event_id = 5, 6
    completed.result.payloads.add()
    now = datetime.now(UTC)
    history = (corrected, begun, refunded, ended)
    for place, event in enumerate(history):
        event.event_time.FromDatetime(now + timedelta(milliseconds=place))
    async with House(tmp_path, {"S1": ("P01",)}) as house:
        done = await recovery_of(house, OneWorkflow(*history), now)._since_then()
    assert [one.name for one in done] == [steps.RECORD_ATTENDANCE.name, "fact"]


async def test_another_batch_than_was_cut_is_named(tmp_path: Path) -> None:
    """What made a claim ready cannot be done again: the batch that went out had one more."""
    async with House(tmp_path, {"S1": ("P01", "P06")}) as house:
        number = await house.claim_of("S1", "P01")
        cut = steps.CutBatch(batch_id="BT1", claims=2)
        happened = (steps.CUT_BATCH.name, house.connection, cut)
        (named,) = await done_again(house, number, happened)
        assert (named.kind, named.found) == ("not_done_again", "cut_batch: 0 claims now, 2 then")


async def test_what_was_given_up_in_the_lost_hour_is_given_up_again(tmp_path: Path) -> None:
    async with House(tmp_path, {"S1": ("P01", "P06")}) as house:
        await house.until_sent()
        await house.settle()
        number = await house.claim_of("S1", "P01")
        await house.move_to(await house.clock.now() + timedelta(days=31))
        database, copy = tmp_path / "groupclaim.db", tmp_path / "copy.db"
        copied(database, copy)
        done = await house.perform(steps.RECORD_WRITE_OFF, giving_up(number))
        await house.happens(number, WrittenOff(at=done.at, key="write_off:click-1"))
        assert house.states[number].stage is Stage.CLOSED
        copied(copy, database)
        assert await open_with_payer(house, number) == 6000
        for _ in range(2):
            assert await done_again(house, number, (WRITE_OFF, giving_up(number), done)) == []
        async with house.database.reading() as reading:
            left = await ledger.balance(reading, number)
            noted = [entry.action for entry in await audit.entries(reading, number)]
        assert (left.charge, left.payer_open, left.patient_open) == (6000, 0, 0)
        assert noted.count("write_off_claim") == 1


async def test_what_was_refused_in_the_lost_hour_is_not_decided_now(tmp_path: Path) -> None:
    """Thirty days are the payer's to decide: what was too early then is not done because the copy
    is looked at later; what cannot be done again is told."""
    async with House(tmp_path, {"S1": ("P01", "P06")}) as house:
        await house.until_sent()
        await house.settle()
        number = await house.claim_of("S1", "P01")
        early = await house.perform(steps.RECORD_WRITE_OFF, giving_up(number))
        assert early.refused is not None
        await house.move_to(await house.clock.now() + timedelta(days=31))
        assert await done_again(house, number, (WRITE_OFF, giving_up(number), early)) == []
        assert await open_with_payer(house, number) == 6000
        stranger = giving_up(number).model_copy(update={"by": "T. Poe"})
        decided = steps.DecisionRecorded(at=early.at)
        (left,) = await done_again(house, number, (WRITE_OFF, stranger, decided))
        assert left.kind == "not_done_again"
        assert "is nobody who has been let in" in left.found


async def test_items_changed_in_the_lost_hour_can_be_acted_on(tmp_path: Path) -> None:
    """The workflow knows what the item was then, and lets nobody act who saw it before that."""
    async with House(tmp_path, {"S1": ("P01", "P06")}) as house:
        number = await house.claim_of("S1", "P01")
        now = await house.clock.now()
        async with house.database.transaction() as tx:
            task = work.Task("withdrawal", number, "k", "APPEAL_WITHDRAWN", "biller",
                             claim_number=number)  # fmt: skip
            item = await work.open_item(tx, task, now)
        copy = tmp_path / "copy.db"
        copied(tmp_path / "groupclaim.db", copy)
        given = steps.ItemAct(
            item=item, workflow_id=f"claim/{number}", kind="resolve", revision=0, by="R. Lee",
            request="click-1", text="the payer was told",
        )  # fmt: skip
        workflow = ActedOn()
        acted = await house.perform(steps.ACT_ON_ITEM, given)
        workflow._stand((acted.standing,))
        copied(copy, tmp_path / "groupclaim.db")
        async with house.database.transaction() as tx:
            await raise_revisions(tx)
            seen = await work.read_item(tx, item)
        assert seen.state is work.WorkState.OPEN
        assert workflow._standings[item].revision < seen.revision
        again = given.model_copy(update={"revision": seen.revision, "request": "click-2"})
        async with house.database.transaction() as tx:
            assert (await carry_out(tx, again, now)).state is work.WorkState.RESOLVED


PAID = 2419
"""What Medicare paid for P01's session."""


@pytest.fixture
async def owing(tmp_path: Path) -> AsyncIterator[tuple[House, str]]:
    """P01 was not there after all: the copy knows of Medicare's money, and of no cheque."""
    async with taken._house(tmp_path) as house:
        claim = await house.claim_of("S1", "P01")
        await taken._until(house, "2026-03-02", lambda: house.states[claim].ended
                           or house.states[claim].stage.value == "patient_balance")  # fmt: skip
        await taken._correct(house, P01="no_show")
        yield house, claim


def refund(cents: int, receipt: str, at: datetime) -> FactLearned:
    return FactLearned(at=at, key=f"{PAYER_REFUND}:{cents}:{receipt}", fact=Fact.REFUND)


def told(fact: FactLearned) -> HAPPENED:
    return "fact", fact, None


async def overpayments(house: House) -> list[tuple[int, Any, str | None]]:
    async with house.database.reading() as reading:
        both = [*await voids.overpayments(reading), *await voids.overpayments(reading, closed=True)]
    return [(int(one.cents), one.outcome, one.receipt) for one in both]


async def test_a_payers_money_that_went_back_is_booked_again_once(
    owing: tuple[House, str],
) -> None:
    house, claim = owing
    assert await overpayments(house) == [(PAID, None, None)]
    now = await house.clock.now()
    cheque = refund(PAID, "CHQ-1", now)
    assert await done_again(house, claim, told(cheque), told(cheque)) == []
    assert await done_again(house, claim, told(cheque)) == []
    assert await overpayments(house) == [(PAID, "refunded", "CHQ-1")]
    sums = await taken._books(house, claim)
    assert (sums["clearing"], sums["payer_refund"]) == (PAID, -PAID)
    # The claim itself is told of it by its own workflow; here it looks at what is on file.
    await house.happens(claim, cheque)
    assert house.states[claim].ended


@pytest.mark.parametrize(
    ("cents", "receipt"), [(2400, "CHQ-1"), (PAID + 1, "CHQ-2")], ids=["receipt", "amount"]
)
async def test_a_refund_that_is_not_what_is_owed_is_named(
    owing: tuple[House, str], cents: int, receipt: str
) -> None:
    house, claim = owing
    now = await house.clock.now()
    both = told(refund(PAID, "CHQ-1", now)), told(refund(cents, receipt, now))
    (named,) = await done_again(house, claim, *both)
    assert (named.kind, named.subject) == ("not_done_again", f"claim/{claim}")
    assert named.found == "fact: RefundRefused"
    assert await overpayments(house) == [(PAID, "refunded", "CHQ-1")]
    await house.happens(claim, refund(PAID, "CHQ-1", now))


async def test_a_refund_of_a_payment_that_is_itself_lost_is_named(tmp_path: Path) -> None:
    """The copy is of before the 835: there is no money on file that could have gone back."""
    async with taken._house(tmp_path) as house:
        claim = await house.claim_of("S1", "P01")
        cheque = refund(PAID, "CHQ-1", await house.clock.now())
        (named,) = await done_again(house, claim, told(cheque))
        assert (named.kind, named.found) == ("not_done_again", "fact: RefundRefused")
        assert await overpayments(house) == []
        assert await taken._books(house, claim) == {
            "payer_receivable": 6000, "charges": -6000,
        }  # fmt: skip
