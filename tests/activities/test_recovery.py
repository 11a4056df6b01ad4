"""What is done again after an older copy was restored sends nothing that may have been sent."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import BaseModel
from sqlalchemy import text
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities import steps
from activities.recovery import Difference, Recovery, _Done, raise_revisions
from activities.work_items import carry_out
from groupclaim import x12
from groupclaim.lifecycle.events import WrittenOff
from groupclaim.lifecycle.state import Stage
from groupclaim.store import ledger, work
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


async def restored(
    house: House, number: str, *done: tuple[steps.Step, BaseModel, BaseModel]
) -> list[Difference]:
    """What cannot be done again of the steps that a claim's history tells of."""
    convert = pydantic_data_converter
    recovery = Recovery(
        replace(house.outside, client=cast(Client, SimpleNamespace(data_converter=convert))),
        datetime.now(UTC),
    )
    recovery._done = [
        _Done(
            datetime.now(UTC), f"claim/{number}", "run", step.name, str(place),
            *await convert.encode([given, answer]),
        )
        for place, (step, given, answer) in enumerate(done)
    ]  # fmt: skip
    return [item async for item in recovery._do_again()]


async def open_with_payer(house: House, number: str) -> int:
    async with house.database.reading() as reading:
        return int((await ledger.balance(reading, number)).payer_open)


def giving_up(number: str) -> steps.ClaimWriteOff:
    return steps.ClaimWriteOff(
        claim_number=number, version=1, by="front-desk", request="click-1", reason="no answer"
    )


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
        assert (
            await restored(house, number, (steps.RECORD_WRITE_OFF, giving_up(number), done)) == []
        )
        assert await open_with_payer(house, number) == 0


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
        assert (
            await restored(house, number, (steps.RECORD_WRITE_OFF, giving_up(number), early)) == []
        )
        assert await open_with_payer(house, number) == 6000
        stranger = giving_up(number).model_copy(update={"by": "T. Poe"})
        taken = steps.DecisionRecorded(at=early.at)
        (left,) = await restored(house, number, (steps.RECORD_WRITE_OFF, stranger, taken))
        assert (left.kind, "is nobody who has been let in" in left.found) == (
            "not_done_again",
            True,
        )


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
