"""Workers die before and after the commits of what people decide about money; each is done once.

The deaths are drawn by a seed; every step is tried again after one, as the engine would.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from activities import steps
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import Stage
from groupclaim.store import audit, disputes, ledger
from tests.activities import test_cards, test_denial
from tests.activities.house import House, Reaper
from tests.activities.test_cards import OWED, Desk
from tests.activities.test_denial import choose, denied, plan, ref_of
from tests.activities.test_dispute import all_cases, decide, look, remitted
from tests.activities.test_remittance import ROSTER as DISPUTED
from tests.activities.test_remittance import paid

SEEDS = (1, 2, 3)
SHARE = 0.3

desk = test_cards.desk


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with test_denial.sent_on(tmp_path) as made:
        yield made


def reaper(house: House, seed: int) -> Reaper:
    made = Reaper(seed, SHARE)
    house.unleash(made)
    return made


async def decided(house: House, subject: str) -> list[str]:
    """What people did about ``subject``, by the audit log."""
    async with house.database.reading() as reading:
        return [
            entry.action
            for entry in await audit.entries(reading, subject)
            if entry.actor == "R. Lee"
        ]


@pytest.mark.parametrize("seed", SEEDS)
async def test_an_overpayment_is_told_and_refunded_once(house: House, seed: int) -> None:
    """42.50 for 28.15: 14.35 goes back, once."""
    number = await house.claim_of("S1", "P06")
    assert "P06" in DISPUTED["S1"]
    await remitted(house, "T1", paid(number, 4250, ("CO", "45", 1750)))
    (case,) = await all_cases(house)
    killer = reaper(house, seed)
    await look(house, case.id)
    await decide(house, case.id, "approve")
    await look(house, case.id, follow_ups=1)
    assert (await decide(house, case.id, "close", "refunded")).outcome == "refunded"
    await house.perform(steps.RELEASE_DISPUTED, steps.DisputeRef(case_id=case.id))
    assert killer.kills > 0
    assert await decided(house, f"dispute/{case.id}") == ["dispute_approve", "dispute_close"]
    (money,) = await house.rows(
        text(
            f"SELECT paid_cents, payer_open_cents FROM claim_money WHERE claim_number = '{number}'"
        )
    )
    assert tuple(money) == (2815, 0)  # 42.50 less 14.35, once
    async with house.database.reading() as reading:
        assert await ledger.verify(reading) == ()
        assert (await disputes.read_case(reading, case.id)).outcome == "refunded"


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_letter_leaves_once_and_what_is_lost_is_written_off_once(
    house: House, seed: int
) -> None:
    (number,) = await denied(house, "197")
    killer = reaper(house, seed)
    for choice, more in (("done", {}), ("draft_anyway", {})):
        await plan(house, number)
        await choose(house, number, choice, **more)
    await plan(house, number)
    await house.perform(steps.DRAFT_LETTER, await ref_of(number))
    await plan(house, number)
    await choose(house, number, "approve")
    await plan(house, number)
    await house.perform(steps.SEND_LETTER, await ref_of(number))
    await plan(house, number)
    await choose(house, number, "record_receipt", reference="handed over")
    await plan(house, number)
    await choose(house, number, "upheld", reference="letter of 1 April")
    await plan(house, number)
    await choose(house, number, "write_off")
    assert (await plan(house, number)).next == "conclude"
    await house.perform(steps.ANNOUNCE_DENIAL, await ref_of(number))
    assert killer.kills > 0
    assert (await decided(house, number)).count("decide_denial") == 6
    assert len(list((house._folder / "letters").glob("*.pdf"))) <= 1  # by hand, none is put there
    async with house.database.reading() as reading:
        assert await ledger.verify(reading) == ()
        assert (await ledger.balance(reading, number)).payer_open == 0
    money = await house.rows(
        text(f"SELECT debit, cents FROM transfer WHERE claim_number = '{number}'")
    )
    assert [row.cents for row in money if row.debit == "write_off"] == [6000]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_card_is_announced_and_charged_once(desk: Desk, seed: int) -> None:
    desk.days = 10
    await desk.consent()
    killer = reaper(desk.house, seed)
    state = await desk.settle()
    assert state.due_at is not None
    assert (state.reason, len(desk.letters.taken), desk.stripe.intents) == ("CARD_ANNOUNCED", 1, [])
    await desk.house.move_to(state.due_at + timedelta(minutes=1))
    await desk.house.happens(desk.claim, events.DeadlinePassed(at=state.due_at))
    assert desk.house.states[desk.claim].stage is Stage.CLOSED
    assert killer.kills > 0
    assert desk.stripe.charged == [OWED]
    assert await desk.owed() == 0
    assert len(desk.letters.taken) == 1
