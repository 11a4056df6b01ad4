"""Commands about claims that were sent and are not true: what they print, refuse and put on record.

P01's payer has paid 42.00 of 65.00 (23.00 by contract). On 20 February it is known that P01 was not
there: the 42.00 must be back within 60 days, by 21 April. Claims are only told; nothing runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any, cast

import pytest
from sqlalchemy import text, update
from temporalio.client import Client

from activities.front_desk import FrontDesk
from groupclaim.lifecycle.events import FactLearned
from groupclaim.lifecycle.state import ClaimState, Fact, Stage
from groupclaim.store import ledger, practice, voids
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.schema import claim
from tests.activities.house import Switchboard
from tests.store.world import NOW, World, paid, payment, post
from tests.worker.kept import sent, within
from tests.worker.test_books_commands import run
from tests.worker.test_cash_commands import say
from worker import cli, overpayment_commands
from worker.settings import Settings
from worker.terminal import books

BACK_BY = datetime(2026, 4, 22, 4, 59, 59, tzinfo=UTC)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Switchboard:
    """What claims are told by the commands."""
    board = Switchboard()

    @asynccontextmanager
    async def desk_of_nobody() -> AsyncIterator[FrontDesk]:
        async with books() as database:
            yield FrontDesk(database, PracticeClock(database), cast(Client, board))

    for module in (cli, overpayment_commands):
        monkeypatch.setattr(module, "desk", desk_of_nobody)
    return board


async def _paid_and_untrue(database: Database) -> World:
    world = await sent(database)
    number = world.claims[0]
    await post(world, payment(paid(number, 4200, ("CO", "45", 2300))))
    async with database.transaction() as tx:
        (held,) = await voids.held_by_payers(tx, number)
        assert held.decision is not None
        await voids.note_overpayment(
            tx, number, 1, database.keyring.payer_key("first"), reason="NO_SHOW", route="refund",
            decision=held.decision, identified_on=date(2026, 2, 20), refund_by=BACK_BY,
            working="60 days after 2026-02-20",
        )  # fmt: skip
        state = ClaimState(claim_number=number, sequence=9, stage=Stage.VOID, reason="NO_SHOW")
        await tx.execute(
            update(claim)
            .where(claim.c.claim_number == number)
            .values(stage="void", state=state.model_dump_json(), sequence=9)
        )
    return world


@pytest.fixture
def number(settings: Settings, told: Switchboard) -> str:
    return within(settings, _paid_and_untrue).claims[0]


def facts(told: Switchboard) -> list[tuple[str, Fact]]:
    return [
        (workflow_id, what.fact)
        for workflow_id, _, what in told.signals
        if isinstance(what, FactLearned)
    ]


def test_what_has_to_go_back_is_listed_with_its_day_and_how_it_was_found(number: str) -> None:
    (row,) = run("overpayment", "list")["overpayments"]
    assert row == {
        "claim_number": number, "payer": "First Invented", "reason": "NO_SHOW", "cents": 4200,
        "known_on": "2026-02-20", "back_by": "2026-04-22 04:59:59+00:00", "route": "refund",
        "outcome": None, "receipt": None, "working": "60 days after 2026-02-20",
    }  # fmt: skip
    said = say("overpayment", "list")
    assert number in said
    assert "60 days" not in said  # the arithmetic is for --json
    assert run("overpayment", "list", "--closed") == {"overpayments": []}


def test_a_refund_is_recorded_once_by_who_may_and_never_in_part(
    number: str, told: Switchboard, settings: Settings
) -> None:
    refund = ("overpayment", "refund", number)
    cheque = ("--receipt", "CHQ-1")
    leader = ("--by", "R. Lee")
    # 42.00 is beyond nobody's limit but that of whom nobody has let in.
    assert "T. Poe: is nobody who has been let in" in say(
        *refund, "4200", *cheque, "--by", "T. Poe", code=1
    )
    assert "42.00 of a payer's money is to be returned" in say(
        *refund, "4100", *cheque, *leader, code=1
    )
    assert "cents: above zero" in say(*refund, "0", *cheque, *leader, code=2)
    both = say(*refund, "0", "--receipt", " ", *leader, code=2)
    assert "cents: above zero" in both
    assert "receipt: 1 to 80 characters" in both
    assert "receipt: 1 to 80" in say(*refund, "4200", "--receipt", "x" * 81, *leader, code=2)
    assert "not known" in say(
        "overpayment", "refund", "GC0000000000X", "4200", *cheque, *leader, code=2
    )
    assert "--by" in say(*refund, "4200", *cheque, code=2)
    assert "cents" in say(*refund, "all", *cheque, *leader, code=2).casefold()
    assert facts(told) == []
    assert say(*refund, "4200", *cheque, *leader) == "recorded"
    assert run(*refund, "4200", *cheque, *leader) == {"new": False}
    assert say(*refund, "4200", *cheque, *leader) == "recorded before"
    assert "another amount" in say(*refund, "4100", *cheque, *leader, code=1)
    assert "nothing of a payer's money" in say(
        *refund, "4200", "--receipt", "CHQ-2", *leader, code=1
    )
    assert set(facts(told)) == {(f"claim/{number}", Fact.REFUND)}
    keys = {what.key for _, _, what in told.signals if isinstance(what, FactLearned)}
    assert keys == {"payer_refund:4200:CHQ-1"}
    assert run("overpayment", "list") == {"overpayments": []}
    (closed,) = run("overpayment", "list", "--closed")["overpayments"]
    assert (closed["outcome"], closed["receipt"]) == ("refunded", "CHQ-1")

    async def booked(database: Database) -> tuple[int, list[Any]]:
        async with database.reading() as reading:
            assert await ledger.verify(reading) == ()
            rows = await reading.rows(
                text("SELECT cents FROM transfer WHERE credit = 'payer_refund'")
            )
            money = await reading.scalar(
                text(f"SELECT paid_cents FROM claim_money WHERE claim_number = '{number}'")
            )
        return int(money), [row.cents for row in rows]

    assert within(settings, booked) == (0, [4200])
    entries = run("audit", "show", number)
    assert [
        (entry["actor"], entry["action"])
        for entry in entries
        if entry["action"] in ("payer_refund", "approval_refused")
    ] == [("T. Poe", "approval_refused"), ("R. Lee", "payer_refund")]


def test_a_note_is_withdrawn_once_with_a_reason(
    number: str, told: Switchboard, settings: Settings
) -> None:
    withdraw = ("note", "withdraw", "S1", "P01")
    why = ("--reason", "written for another patient")
    by = ("--by", "C. Clinician")
    assert "no note of this participant is signed" in say(*withdraw, *why, *by, code=1)
    assert "--reason" in say(*withdraw, *by, code=2)
    assert "reason: say why the note is not valid" in say(*withdraw, "--reason", " ", *by, code=2)
    assert "not known" in say("note", "withdraw", "S9", "P01", *why, *by, code=2)
    assert "not known" in say("note", "withdraw", "S1", "P77", *why, *by, code=2)
    assert facts(told) == []

    async def signed(database: Database) -> None:
        keys = database.keyring
        async with database.transaction() as tx:
            await practice.record_note_signed(
                tx, keys.session_id("S1"), keys.patient_id("P01"), NOW, None
            )

    within(settings, signed)
    assert run(*withdraw, *why, *by) == {"new": True}
    assert run(*withdraw, *why, *by) == {"new": False}
    assert say(*withdraw, *why, *by) == "withdrawn before"
    assert set(facts(told)) == {(f"claim/{number}", Fact.NOTE_WITHDRAWN)}
    assert all(what.sent for _, _, what in told.signals if isinstance(what, FactLearned))
    (entry,) = [
        entry for entry in run("audit", "show", number) if entry["action"] == "note_withdrawn"
    ]
    assert entry["actor"] == "C. Clinician"
