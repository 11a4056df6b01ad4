"""A payer never decides: what it owes is given up, by who may and after its time, for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities import steps
from groupclaim.lifecycle.events import WrittenOff
from groupclaim.lifecycle.state import Stage
from groupclaim.store import audit, ledger
from tests.activities.house import House

CHARGE = 6000
COPAY = 1500
"""P06 gave it at the session."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Two claims have been sent, and nothing is heard of them."""
    async with House(tmp_path, {"S1": ("P01", "P06")}) as made:
        await made.until_sent()
        await made.settle()
        yield made


async def give_up(house: House, number: str, **changes: Any) -> steps.DecisionRecorded:
    given = {
        "claim_number": number, "version": 1, "by": "front-desk", "request": "click-1",
        "reason": "three calls, no answer",
    }  # fmt: skip
    what = steps.ClaimWriteOff.model_validate(given | changes)
    done: steps.DecisionRecorded = await house.perform(steps.RECORD_WRITE_OFF, what)
    return done


async def left(house: House, number: str) -> ledger.Balance:
    async with house.database.reading() as reading:
        return await ledger.balance(reading, number)


async def decisions(house: House, number: str) -> list[tuple[str, object]]:
    async with house.database.reading() as reading:
        return [
            (entry.actor, entry.detail["cents"])
            for entry in await audit.entries(reading, number)
            if entry.action == "write_off_claim"
        ]


async def pass_days(house: House, days: int) -> None:
    await house.move_to(await house.clock.now() + timedelta(days=days))


async def test_it_is_given_up_once_and_the_patient_owes_nothing(house: House) -> None:
    number = await house.claim_of("S1", "P01")
    assert house.states[number].stage is Stage.SUBMITTED
    # The policies of the samples give a payer 30 days from when it has the claim.
    await pass_days(house, 29)
    early = await give_up(house, number)
    assert "its payer may still decide until" in (early.refused or "")
    await pass_days(house, 2)
    stranger = await give_up(house, number, by="T. Poe")
    assert "is nobody who has been let in" in (stranger.refused or "")
    assert (await left(house, number)).payer_open == CHARGE
    for _ in range(2):
        done = await give_up(house, number)
        assert done.refused is None
    assert await decisions(house, number) == [("front-desk", CHARGE)]
    late = await give_up(house, number, by="R. Lee", request="click-2")
    assert late.refused == "nothing is open with its payer"
    await house.happens(number, WrittenOff(at=done.at, key="write_off:click-1"))
    assert house.states[number].ended
    assert house.states[number].stage is Stage.CLOSED
    after = await left(house, number)
    assert (after.payer_open, after.patient_open) == (0, 0)
    async with house.database.reading() as reading:
        assert await ledger.verify(reading) == ()


async def test_what_the_patient_has_given_goes_back(house: House) -> None:
    number = await house.claim_of("S1", "P06")
    await pass_days(house, 31)
    done = await give_up(house, number)
    assert done.refused is None
    await house.happens(number, WrittenOff(at=done.at, key="write_off:click-1"))
    state = house.states[number]
    assert state.hold is not None
    assert state.hold.code == "REFUND_DUE"
    after = await left(house, number)
    assert (after.payer_open, after.patient_open) == (0, -COPAY)
