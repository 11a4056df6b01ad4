"""After a restore: decisions about money that Temporal knows of and the copy does not are booked
again, once, and what cannot be is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import BaseModel
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities import steps
from activities.front_desk import PAYER_REFUND
from activities.recovery import Difference, Recovery, _Done
from groupclaim.lifecycle.events import FactLearned
from groupclaim.lifecycle.state import Fact
from groupclaim.store import audit, ledger, voids
from tests.activities import test_voids as taken
from tests.activities.house import House

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


async def done_again(house: House, claim: str, name: str, *happened: BaseModel) -> list[Difference]:
    """What is named, where workflows have done or been told this since the copy was made."""
    converter = pydantic_data_converter
    stub = cast(Client, SimpleNamespace(data_converter=converter))
    now = await house.clock.now()
    recovery = Recovery(replace(house.outside, client=stub), now)
    payloads = [(await converter.encode([what]))[0] for what in happened]
    recovery._done = [
        _Done(now + timedelta(seconds=place), f"claim/{claim}", "run", name, "1", given, None)
        for place, given in enumerate(payloads)
    ]
    return [one async for one in recovery._do_again()]


def refund(cents: int, receipt: str, at: datetime) -> FactLearned:
    return FactLearned(at=at, key=f"{PAYER_REFUND}:{cents}:{receipt}", fact=Fact.REFUND)


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
    assert await done_again(house, claim, "fact", cheque, cheque) == []
    assert await done_again(house, claim, "fact", cheque) == []
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
    told = (refund(PAID, "CHQ-1", now), refund(cents, receipt, now))
    (named,) = await done_again(house, claim, "fact", *told)
    assert (named.kind, named.subject) == ("not_done_again", f"claim/{claim}")
    assert named.found == "fact: RefundRefused"
    assert await overpayments(house) == [(PAID, "refunded", "CHQ-1")]
    await house.happens(claim, refund(PAID, "CHQ-1", now))


async def test_a_refund_of_a_payment_that_is_itself_lost_is_named(tmp_path: Path) -> None:
    """The copy is of before the 835: there is no money on file that could have gone back."""
    async with taken._house(tmp_path) as house:
        claim = await house.claim_of("S1", "P01")
        cheque = refund(PAID, "CHQ-1", await house.clock.now())
        (named,) = await done_again(house, claim, "fact", cheque)
        assert (named.kind, named.found) == ("not_done_again", "fact: RefundRefused")
        assert await overpayments(house) == []
        assert await taken._books(house, claim) == {
            "payer_receivable": 6000, "charges": -6000,
        }  # fmt: skip


async def test_a_write_off_is_booked_again_once(tmp_path: Path) -> None:
    """By the state that the workflow had: the copy's own is of another day."""
    async with taken._house(tmp_path) as house:
        claim = await house.claim_of("S1", "P01")
        await house.move_to(await house.clock.now() + timedelta(days=40))
        decision = steps.ClaimWriteOff(
            claim_number=claim, version=1, by="R. Lee", reason="three calls, no answer",
            request="click-1", state=house.states[claim],
        )  # fmt: skip
        again = (steps.RECORD_WRITE_OFF.name, decision, decision)
        assert await done_again(house, claim, *again) == []
        async with house.database.reading() as reading:
            left = await ledger.balance(reading, claim)
            noted = [entry.action for entry in await audit.entries(reading, claim)]
        assert (left.charge, left.payer_open, left.patient_open) == (6000, 0, 0)
        assert noted.count("write_off_claim") == 1
