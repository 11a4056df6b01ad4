"""A patient's card is charged once with what is owed, as they agreed, whatever crashes where."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError

from activities import steps
from activities.registry import every_activity
from groupclaim.cards.stripe import StripeCards
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Stage
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.store import audit, cards, claims, ledger, practice
from groupclaim.store.ledger import Account, Booking
from tests.activities.house import SAMPLES, START, House
from tests.cards.stand_in import SECRET, StandIn

OWED = 603
CONSENT: dict[str, Any] = {
    "customer": "cus_invented",
    "payment_method": "pm_invented",
    "most_cents": 5000,
    "signed_on": "2026-01-05",
}


@dataclass
class Desk:
    house: House
    stripe: StandIn
    claim: str

    async def settle(self) -> ClaimState:
        """The claim's balance is looked at, as after any payment."""
        await self.house.happens(self.claim, events.PatientPaid(at=START))
        return self.house.states[self.claim]

    async def charge(self) -> events.CardCharged:
        step = steps.ClaimStep(claim_number=self.claim, sequence=5)
        result: events.CardCharged = await self.house.perform(steps.CHARGE_CARD, step)
        return result

    async def consent(self, **changes: Any) -> None:
        data = json.loads((SAMPLES / "practice.json").read_text())
        for patient in data["patients"]:
            if patient["ref"] == "P06":
                patient["card"] = {**CONSENT, **changes}
        async with self.house.quietly() as tx:
            await practice.load_practice(tx, PracticeFile.model_validate_json(json.dumps(data)))

    async def owed(self) -> int:
        async with self.house.database.reading() as reading:
            return int((await ledger.balance(reading, self.claim)).patient_open)

    async def states(self) -> list[str]:
        async with self.house.database.reading() as reading:
            return [item.state for item in await cards.charges(reading, self.claim)]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """P06 owes 6.03 of 60.00 and has agreed that up to 50.00 are charged."""
    stripe = StandIn()
    processor = StripeCards(
        SecretStr(SECRET), "http://stripe", transport=httpx2.ASGITransport(stripe.application())
    )
    async with House(tmp_path, {"S1": ("P01", "P06")}) as house:
        outside = replace(house.outside, cards=processor)
        house.activities = {
            getattr(each, "__temporal_activity_definition").name: each
            for each in every_activity(outside)
        }
        number = await house.claim_of("S1", "P06")
        made = Desk(house, stripe, number)
        await made.consent()
        async with house.quietly() as tx:
            for key, debit, credit, cents in (
                ("charge", Account.PAYER_RECEIVABLE, Account.CHARGES, 6000),
                ("written off", Account.WRITE_OFF, Account.PAYER_RECEIVABLE, 6000 - OWED),
                ("share", Account.PATIENT_RECEIVABLE, Account.PAYER_RECEIVABLE, OWED),
            ):
                booking = Booking(f"{key}|{number}", key, debit, credit, cents, number)
                await ledger.book(tx, booking, START)
            state = ClaimState(claim_number=number, sequence=20, stage=Stage.PATIENT_BALANCE)
            await claims.record_progress(tx, state, START)
        house.states[number] = state
        yield made
    await processor.close()


async def test_what_is_owed_is_charged_and_the_claim_closes(desk: Desk) -> None:
    state = await desk.settle()
    assert state.stage is Stage.CLOSED
    assert desk.stripe.charged == [OWED]
    assert await desk.owed() == 0
    async with desk.house.database.reading() as reading:
        (charge,) = await cards.charges(reading, desk.claim)
        noted = await audit.entries(reading, desk.claim)
    assert (charge.state, charge.reference, int(charge.cents)) == ("charged", "pi_1", OWED)
    (entry,) = [item for item in noted if item.action == "card_charge"]
    assert entry.detail["outcome"] == "charged"


async def test_it_is_written_down_before_the_processor_is_asked(desk: Desk) -> None:
    seen: list[int] = []
    desk.stripe.on_charge = lambda: seen.append(len(desk.stripe.intents))
    desk.stripe.refuse = [503]
    with pytest.raises(ApplicationError, match="InDoubt"):
        await desk.charge()
    assert await desk.states() == ["begun"]
    assert seen == []
    assert (await desk.charge()).outcome == "charged"
    assert desk.stripe.charged == [OWED]


@pytest.mark.parametrize("forgetful", [False, True])
async def test_an_answer_lost_after_charging_is_asked_for_and_never_charged_again(
    desk: Desk, forgetful: bool
) -> None:
    desk.stripe.lose_answers = 1
    desk.stripe.forgetful = forgetful
    with pytest.raises(ApplicationError, match="InDoubt"):
        await desk.charge()
    assert desk.stripe.charged == [OWED]
    assert await desk.owed() == OWED
    assert (await desk.charge()).outcome == "charged"
    assert desk.stripe.charged == [OWED]
    assert await desk.owed() == 0
    assert (await desk.charge()).outcome == "not_charged"  # nothing is owed any more
    assert desk.stripe.charged == [OWED]


async def test_a_declined_card_is_charged_again_only_when_a_person_asks(desk: Desk) -> None:
    desk.stripe.declined.add("pm_invented")
    state = await desk.settle()
    assert (state.stage, state.reason) == (Stage.PATIENT_BALANCE, "CARD_DECLINED")
    assert await desk.states() == ["declined"]
    assert (await desk.settle()).reason == "PATIENT_BALANCE_DUE"
    assert await desk.states() == ["declined"]
    desk.stripe.declined.clear()
    async with desk.house.quietly() as tx:
        facts = await practice.claim_facts(tx, desk.claim)
        assert facts.patient.card is not None
        await cards.begin(tx, desk.claim, Cents(OWED), facts.patient.card, START)
    assert (await desk.settle()).stage is Stage.CLOSED
    assert desk.stripe.charged == [OWED]


@pytest.mark.parametrize(
    "consent",
    [
        {"most_cents": OWED - 1},
        {"revoked_on": "2026-02-01"},
        {"until": "2026-02-01"},
        {"signed_on": "2026-02-03"},
    ],
)
async def test_nothing_is_charged_beyond_the_consent(desk: Desk, consent: dict[str, Any]) -> None:
    await desk.consent(**consent)
    state = await desk.settle()
    assert (state.stage, state.reason) == (Stage.PATIENT_BALANCE, "PATIENT_BALANCE_DUE")
    assert desk.stripe.intents == []
    assert await desk.states() == []


async def test_a_charge_that_was_never_made_is_given_up_when_the_patient_has_paid(
    desk: Desk,
) -> None:
    desk.stripe.refuse = [500]
    with pytest.raises(ApplicationError):
        await desk.charge()
    async with desk.house.quietly() as tx:
        await ledger.book_patient_payment(tx, desk.claim, Cents(OWED), "cash", START)
    with pytest.raises(ApplicationError, match="may still be on its way"):
        await desk.charge()
    await desk.house.move_to(START + timedelta(hours=2))
    assert (await desk.charge()).outcome == "not_charged"
    assert await desk.states() == ["abandoned"]
    assert desk.stripe.charged == []


async def test_a_charge_that_was_made_is_kept_for_a_patient_who_has_paid_meanwhile(
    desk: Desk,
) -> None:
    desk.stripe.lose_answers = 1
    with pytest.raises(ApplicationError):
        await desk.charge()
    async with desk.house.quietly() as tx:
        await ledger.book_patient_payment(tx, desk.claim, Cents(OWED), "cash", START)
    assert (await desk.charge()).outcome == "charged"
    assert await desk.owed() == -OWED
    state = await desk.settle()
    assert state.hold is not None
    assert state.hold.code == "REFUND_DUE"
