"""Charging a patient's card with what is left to them, where they have agreed to that.

The charge stands in the store under its key before the processor is asked, and one that may have
been made is asked about before it is asked for again: one charge, whatever crashes where.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from temporalio.exceptions import ApplicationError

from activities import steps
from activities.on_file import OnFile, on_file
from activities.outside import Outside, performs
from groupclaim.cards.port import (
    CardProcessor,
    ChargeOrder,
    ChargeResult,
    InDoubt,
    Misconfigured,
    NotAnswered,
)
from groupclaim.lifecycle.events import CardCharged
from groupclaim.rules.patient_account import card_refusal
from groupclaim.store import audit, cards, ledger
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Reading

_ABSENT_AFTER = timedelta(hours=1)
"""By then a charge that the processor does not list was never made: no request lasts so long."""


async def charges_card(
    outside: Outside, reading: Reading, found: OnFile, owed: ledger.Balance
) -> bool:
    """Whether the patient's card is to be charged now. A card that was declined once is charged
    again only when a person has asked for it, which has written the charge down."""
    if outside.cards is None:
        return False
    number = found.facts.claim_number
    if await cards.under_way(reading, number) is not None:
        return True
    refused = card_refusal(found.facts.patient.card, owed.patient_open, _today(found))
    return refused is None and not await cards.was_declined(reading, number)


class CardDesk:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.CHARGE_CARD)
    async def charge_card(self, step: steps.ClaimStep) -> CardCharged:
        """Charge what is owed, once; a charge under way is brought to its end first."""
        number, processor = step.claim_number, self._outside.cards
        async with self._outside.database.transaction() as tx:
            found = await on_file(self._outside, tx, number)
            await ledger.lock_claim(tx, number)
            owed = (await ledger.balance(tx, number)).patient_open
            order = await cards.under_way(tx, number)
            asked_before = order is not None
            consent = found.facts.patient.card
            allowed = card_refusal(consent, owed, _today(found)) is None
            if order is None and processor is not None and consent is not None and allowed:
                order = await cards.begin(tx, number, owed, consent, found.now)
        due_at = found.look_again()
        if found.billed is not None:
            due_at = found.billed.deadlines.statement(found.now).at
        if order is None or processor is None:
            return CardCharged(at=found.now, due_at=due_at, outcome="not_charged")
        result = await _asked(processor, order) if asked_before else None
        if result is None and owed != order.cents:
            return await self._given_up(number, order, found.now, due_at)
        if result is None:
            result = await _charged(processor, order)
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            if await cards.settle(tx, number, order, result, now):
                await audit.record(
                    tx, now, "groupclaim", "card_charge", number,
                    {
                        "outcome": result.outcome, "cents": int(order.cents),
                        "reference": result.reference, "reason": result.reason,
                    },
                )  # fmt: skip
        return CardCharged(at=now, due_at=due_at, outcome=result.outcome)

    async def _given_up(
        self, number: str, order: ChargeOrder, now: datetime, due_at: datetime
    ) -> CardCharged:
        """What is owed has changed since: the charge is not made, once it cannot be on its way."""
        if now - order.begun_at < _ABSENT_AFTER:
            raise _later("a charge of another amount may still be on its way")
        async with self._outside.database.transaction() as tx:
            await cards.abandon(tx, number, order, now)
        return CardCharged(at=now, due_at=due_at, outcome="not_charged")


async def _asked(processor: CardProcessor, order: ChargeOrder) -> ChargeResult | None:
    try:
        return await processor.find(order)
    except (InDoubt, NotAnswered, Misconfigured) as error:
        raise _later(f"{type(error).__name__}: {error}") from None


async def _charged(processor: CardProcessor, order: ChargeOrder) -> ChargeResult:
    try:
        return await processor.charge(order)
    except (InDoubt, NotAnswered, Misconfigured) as error:
        raise _later(f"{type(error).__name__}: {error}") from None


def _later(text: str) -> ApplicationError:
    return ApplicationError(f"card processor: {text}"[:200], type="Transient")


def _today(found: OnFile) -> date:
    return found.now.astimezone(ZoneInfo(found.facts.practice.time_zone)).date()
