"""A patient's card is charged once with what is owed, as they agreed, whatever crashes where."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import pypdf
import pytest
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities import card_notices as card_papers
from activities import steps
from activities.front_desk import FrontDesk, Refused
from activities.registry import every_activity
from groupclaim.cards.stripe import StripeCards
from groupclaim.delivery.port import Receipt
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Stage
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.store import audit, card_notices, cards, claims, ledger, practice, work
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


class Letters:
    """A mail house: it confirms what it has passed on, at once unless it is ``slow``."""

    def __init__(self) -> None:
        self.taken: dict[str, bytes] = {}
        self.slow = False

    async def deliver(self, key: str, content: bytes) -> Receipt | None:
        assert self.taken.setdefault(key, content) == content  # the same notice, the same paper
        return await self.receipt(key)

    async def receipt(self, key: str) -> Receipt | None:
        return None if self.slow else Receipt(f"tracking {key[-1]}")


@dataclass
class Desk:
    house: House
    stripe: StandIn
    claim: str
    letters: Letters
    days: int = 0
    """So long before the charge this practice tells its patients."""

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
        data["practice"]["card_notice_days"] = self.days
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
    stripe, letters = StandIn(), Letters()
    processor = StripeCards(
        SecretStr(SECRET), "http://stripe", transport=httpx2.ASGITransport(stripe.application())
    )
    async with House(tmp_path, {"S1": ("P01", "P06")}, invented_books=True) as house:
        outside = replace(house.outside, cards=processor, patient_letters=letters)
        house.activities = {
            getattr(each, "__temporal_activity_definition").name: each
            for each in every_activity(outside)
        }
        number = await house.claim_of("S1", "P06")
        made = Desk(house, stripe, number, letters)
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
    assert (await desk.charge()).outcome == "charged"  # asked again, it says the same
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
        notice = await card_notices.make(tx, desk.claim, Cents(OWED), START.date(), START)
        await cards.begin(tx, desk.claim, Cents(OWED), facts.patient.card, notice, START)
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


# --- the patient is told first


async def notices(desk: Desk) -> list[tuple[int, str, bool]]:
    """Amount, day and whether they have been told, of each notice."""
    async with desk.house.database.reading() as reading:
        return [
            (int(item.cents), item.charge_on.isoformat(), item.told_at is not None)
            for item in await card_notices.of_claim(reading, desk.claim)
        ]


async def to_tell(desk: Desk) -> list[tuple[str, int]]:
    async with desk.house.database.reading() as reading:
        found = await work.items(reading, work.Wanted(), await desk.house.clock.now())
    return [(item.queue, item.cents) for item in found if item.code == "CARD_NOTICE_DUE"]


async def on_its_day(desk: Desk) -> ClaimState:
    due_at = desk.house.states[desk.claim].due_at
    assert due_at is not None
    await desk.house.move_to(due_at)
    await desk.house.happens(desk.claim, events.DeadlinePassed(at=due_at))
    return desk.house.states[desk.claim]


async def test_a_letter_names_amount_and_day_and_the_charge_waits_for_it(desk: Desk) -> None:
    """Told on 2 February, ten days before, and three to get it into the mail: 15 February."""
    desk.days = 10
    await desk.consent()
    state = await desk.settle()
    assert (state.stage, state.reason) == (Stage.PATIENT_BALANCE, "CARD_ANNOUNCED")
    assert state.due_at is not None
    assert state.due_at.isoformat() == "2026-02-15T00:00:00-06:00"
    assert await notices(desk) == [(OWED, "2026-02-15", True)]
    ((key, pdf),) = desk.letters.taken.items()
    assert key == f"card-notice-{desk.claim}-1"
    content = " ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages)
    assert "6.03" in content
    assert "02/15/2026" in content
    assert desk.stripe.intents == []
    # Looked at again before its day, nothing is charged and nothing more is sent.
    await desk.settle()
    assert (len(desk.letters.taken), desk.stripe.intents) == (1, [])
    assert (await on_its_day(desk)).stage is Stage.CLOSED
    assert desk.stripe.charged == [OWED]
    async with desk.house.database.reading() as reading:
        actions = [entry.action for entry in await audit.entries(reading, desk.claim)]
    assert actions == ["card_notice", "card_charge"]


async def test_a_letter_that_nobody_passed_on_in_time_is_no_notice(desk: Desk) -> None:
    """Two letters lie about; then it is the front desk's work to tell the patient."""
    desk.days, desk.letters.slow = 10, True
    await desk.consent()
    await desk.settle()
    for _ in range(9):
        await on_its_day(desk)
    assert desk.stripe.intents == []
    told = await notices(desk)
    # 2 February + 13; too late from the 6th on, when the next is made: + 13; and by hand from the
    # 10th on: + 13 as well, until somebody gives it.
    assert told == [
        (OWED, "2026-02-15", False), (OWED, "2026-02-19", False), (OWED, "2026-02-23", False),
    ]  # fmt: skip
    assert len(desk.letters.taken) == 2
    assert await to_tell(desk) == [("front desk", OWED)]


async def test_without_a_mail_house_the_front_desk_gives_the_notice(desk: Desk) -> None:
    desk.days = 3
    await desk.consent()
    outside = replace(
        desk.house.outside,
        cards=StripeCards(
            SecretStr(SECRET),
            "http://stripe",
            transport=httpx2.ASGITransport(desk.stripe.application()),
        ),
    )
    desk.house.activities = {
        getattr(each, "__temporal_activity_definition").name: each
        for each in every_activity(outside)
    }
    front = FrontDesk(desk.house.database, desk.house.clock, cast(Client, desk.house.switchboard))
    await desk.settle()
    assert await to_tell(desk) == [("front desk", OWED)]
    with pytest.raises(Refused, match="has not been told of this charge"):
        await front.charge_card(desk.claim, "front-desk")
    made = await card_papers.announce(desk.house.database, front, desk.claim, "front-desk")
    assert (made.cents, made.charge_on.isoformat()) == (OWED, "2026-02-05")
    assert await to_tell(desk) == []
    await desk.house.settle()
    assert desk.house.states[desk.claim].reason == "CARD_ANNOUNCED"
    with pytest.raises(Refused, match="its day has not come"):
        await front.charge_card(desk.claim, "front-desk")
    assert (await on_its_day(desk)).stage is Stage.CLOSED
    assert desk.stripe.charged == [OWED]


async def test_who_was_told_in_another_way_is_charged_at_once(desk: Desk) -> None:
    desk.days, desk.letters.slow = 10, True
    await desk.consent()
    await desk.settle()
    front = FrontDesk(desk.house.database, desk.house.clock, cast(Client, desk.house.switchboard))
    assert await front.charge_card(desk.claim, "front-desk", told="by telephone today") == OWED
    await desk.house.settle()
    assert desk.house.states[desk.claim].stage is Stage.CLOSED
    async with desk.house.database.reading() as reading:
        (asked,) = [
            entry.detail
            for entry in await audit.entries(reading, desk.claim)
            if entry.action == "card_charge_asked"
        ]
    assert asked == {"cents": OWED, "told": "by telephone today"}


async def test_more_than_was_told_takes_a_new_notice(desk: Desk) -> None:
    desk.days = 10
    await desk.consent()
    await desk.settle()
    async with desk.house.quietly() as tx:
        more = Booking(
            "more", "share", Account.PATIENT_RECEIVABLE, Account.WRITE_OFF, 100, desk.claim
        )
        await ledger.book(tx, more, START)
    await desk.settle()
    assert [cents for cents, _, _ in await notices(desk)] == [OWED, OWED + 100]
    assert desk.stripe.intents == []


async def test_who_pays_before_the_day_is_not_charged(desk: Desk) -> None:
    desk.days, desk.letters.slow = 10, True
    await desk.consent()
    await desk.settle()
    async with desk.house.quietly() as tx:
        await ledger.book_patient_payment(tx, desk.claim, Cents(OWED), "cash", START)
    assert (await desk.settle()).stage is Stage.CLOSED
    assert desk.stripe.intents == []
    assert await to_tell(desk) == []
