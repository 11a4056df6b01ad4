"""What people do at the front desk, with everything real but the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text
from temporalio.client import Client

from activities.front_desk import FrontDesk, Refused
from groupclaim.lifecycle.events import DeadlinePassed
from groupclaim.lifecycle.state import Stage
from groupclaim.model.base import InputRefused
from groupclaim.model.money import Cents
from groupclaim.store import ledger
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import transfer
from tests.activities.house import House

NOBODY = "GC0000000000X"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, {"S1": ("P06", "P08")}) as made:
        await made.open_sessions()
        yield made


@pytest.fixture
def desk(house: House) -> FrontDesk:
    return FrontDesk(house.database, house.clock, cast(Client, house.switchboard))


async def absent_after_paying(house: House) -> str:
    """P06 pays 15.00 before a session to which they then do not come."""
    claim = await house.claim_of("S1", "P06")
    await house.from_outside(
        {
            "kind": "attendance",
            "at": "2026-02-03T18:00:00-06:00",
            "session": "S1",
            "participants": [
                {"patient": "P06", "status": "no_show", "minutes": 0, "copay_cents": 1500},
                {"patient": "P08", "status": "attended", "minutes": 60},
            ],
        }
    )
    return claim


async def test_a_copay_of_a_patient_who_did_not_come_is_paid_back(
    house: House, desk: FrontDesk
) -> None:
    claim = await absent_after_paying(house)
    state = house.states[claim]
    assert state.hold is not None
    assert (state.stage, state.hold.code) == (Stage.NOT_BILLABLE, "REFUND_DUE")
    assert state.due_at is not None
    with pytest.raises(Refused, match=r"only 15\.00"):
        await desk.patient_refund(claim, Cents(1501), "R1", by="front-desk")
    assert await desk.patient_refund(claim, Cents(1500), "R1", by="front-desk")
    assert not await desk.patient_refund(claim, Cents(1500), "R1", by="front-desk")
    await house.settle()
    assert house.states[claim].ended
    assert house.states[claim].reason == "NO_SHOW"
    with pytest.raises(Refused, match=r"only 0\.00"):
        await desk.patient_refund(claim, Cents(1), "R2", by="front-desk")
    async with house.database.reading() as reading:
        assert (await ledger.balance(reading, claim)).patient_open == 0
        assert await ledger.verify(reading) == ()
    audited = await house.rows(
        text("SELECT actor FROM audit_entry WHERE action = 'patient_refund'")
    )
    assert [row.actor for row in audited] == ["front-desk"]


async def test_a_refund_is_told_of_before_its_day_on_it_and_every_week_after(
    house: House, desk: FrontDesk
) -> None:
    """Known on 2 February, 30 days by Texas law: back by 4 March. The first look is after a week,
    then 7 days and one day before, on the day, at its end, and every week until it is paid (an hour
    later by the clocks, which change on 8 March)."""
    claim = await absent_after_paying(house)
    told = []
    for _ in range(7):
        due_at = house.states[claim].due_at
        assert due_at is not None
        told.append(due_at.astimezone(ZoneInfo("America/Chicago")).strftime("%m-%d %H:%M"))
        await house.move_to(due_at)
        await house.happens(claim, DeadlinePassed(at=due_at, key=f"due:{due_at}"))
    assert told == [
        "02-09 08:00", "02-25 08:00", "03-03 08:00", "03-04 08:00", "03-04 23:59", "03-12 00:59",
        "03-19 00:59",
    ]  # fmt: skip
    alerts = await house.rows(text("SELECT at FROM claim_event WHERE kind = 'alert'"))
    assert len(alerts) == 7
    await desk.patient_refund(claim, Cents(1500), "R1", by="front-desk")
    await house.settle()
    assert house.states[claim].ended


async def test_a_copay_recorded_after_all_of_a_patient_who_did_not_come_is_found(
    house: House, desk: FrontDesk
) -> None:
    claim = await absent_after_paying(house)
    await desk.patient_refund(claim, Cents(1500), "1", by="front-desk")
    await house.settle()
    assert house.states[claim].ended
    await desk.patient_payment(claim, Cents(700), "2", by="front-desk")
    await house.settle()
    hold = house.states[claim].hold
    assert hold is not None
    assert hold.code == "REFUND_DUE"


async def test_a_receipt_is_taken_once_and_for_one_amount(house: House, desk: FrontDesk) -> None:
    claim = await house.claim_of("S1", "P06")
    assert await desk.patient_payment(claim, Cents(500), "1", by="front-desk")
    assert not await desk.patient_payment(claim, Cents(500), "1", by="front-desk")
    with pytest.raises(Refused, match="another amount"):
        await desk.patient_payment(claim, Cents(600), "1", by="front-desk")
    await desk.patient_refund(claim, Cents(200), "1", by="front-desk")
    with pytest.raises(Refused, match="another amount"):
        await desk.patient_refund(claim, Cents(100), "1", by="front-desk")
    rows = await house.rows(select(transfer.c.cents).order_by(transfer.c.id))
    assert [row.cents for row in rows] == [500, 200]


@pytest.mark.parametrize("what", ["patient_payment", "patient_refund"])
async def test_money_of_nobody_of_ours_or_of_no_amount_is_refused(
    desk: FrontDesk, what: str
) -> None:
    with pytest.raises(UnknownRecord):
        await getattr(desk, what)(NOBODY, Cents(100), "1", by="front-desk")
    with pytest.raises(InputRefused) as refused:
        await getattr(desk, what)(NOBODY, Cents(0), " ", by="front-desk")
    assert len(refused.value.problems) == 2
