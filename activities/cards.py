"""Charging a patient's card with what is left to them, where they have agreed to that.

The charge stands in the store under its key before the processor is asked, and one that may have
been made is asked about before it is asked for again: one charge, whatever crashes where.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from temporalio.exceptions import ApplicationError

from activities import steps
from activities.card_notices import days_of, paper, to_be_told
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
from groupclaim.delivery.port import NotDelivered
from groupclaim.lifecycle.events import CardCharged
from groupclaim.model.money import Cents
from groupclaim.rules.patient_account import card_refusal, told_in_time
from groupclaim.store import audit, card_notices, cards, ledger
from groupclaim.store.card_notices import CardNotice
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Reading, Transaction

_ABSENT_AFTER = timedelta(hours=1)
"""By then a charge that the processor does not list was never made: no request lasts so long."""

_TO_SEND = timedelta(days=3)
"""So long a letter may lie before it is passed on, and still be in time."""

_RECEIPT = timedelta(days=1)
"""How often it is asked whether a letter has been passed on."""

_MOST_LETTERS = 2
"""So many letters nobody passes on in time before a person is asked to tell the patient."""


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


@dataclass(frozen=True, slots=True)
class _Begun:
    """Where a charge stands. ``notice``: what the patient is told first, or waits for its day;
    ``ended``: what became of it, where a worker died before it could say so."""

    found: OnFile
    owed: Cents
    order: ChargeOrder | None
    notice: CardNotice | None = None
    asked_before: bool = False
    ended: Literal["charged", "declined"] | None = None


class CardDesk:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.CHARGE_CARD)
    async def charge_card(self, step: steps.ClaimStep) -> CardCharged:
        """Charge what is owed, once, when the patient has been told of it in time; a charge under
        way is brought to its end first."""
        number, processor = step.claim_number, self._outside.cards
        begun = await self._begun(number)
        if begun.notice is not None and await self._passed_on(begun.found, begun.notice):
            begun = await self._begun(number)
        found, owed, order = begun.found, begun.owed, begun.order
        due_at = found.look_again()
        if found.billed is not None:
            due_at = found.billed.deadlines.statement(found.now).at
        if begun.notice is not None:
            when = self._looked_at(found, begun.notice, due_at)
            return CardCharged(at=found.now, due_at=when, outcome="announced")
        if begun.ended is not None:
            return CardCharged(at=found.now, due_at=due_at, outcome=begun.ended)
        if order is None or processor is None:
            return CardCharged(at=found.now, due_at=due_at, outcome="not_charged")
        result = await _asked(processor, order) if begun.asked_before else None
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

    async def _begun(self, number: str) -> _Begun:
        """The charge that is to be made now, written down; or the notice that must come first."""
        async with self._outside.database.transaction() as tx:
            found = await on_file(self._outside, tx, number)
            await ledger.lock_claim(tx, number)
            owed = (await ledger.balance(tx, number)).patient_open
            order = await cards.under_way(tx, number)
            consent = found.facts.patient.card
            refused = card_refusal(consent, owed, _today(found))
            if order is None and owed <= 0 and await cards.was_charged(tx, number):
                return _Begun(found, owed, None, ended="charged")
            if order is not None or self._outside.cards is None or consent is None or refused:
                return _Begun(found, owed, order, asked_before=order is not None)
            if await cards.was_declined(tx, number):
                return _Begun(found, owed, None, ended="declined")
            notice, days = await self._notice(tx, found, owed)
            told_on = notice.told_at and _day(found, notice.told_at)
            in_time = told_in_time(told_on, notice.charge_on, days)
            if not in_time or notice.charge_on > _today(found):
                if notice.told_at is None and self._by_hand(notice):
                    await to_be_told(tx, notice, found.now)
                return _Begun(found, owed, None, notice=notice)
            order = await cards.begin(tx, number, owed, consent, notice, found.now)
            return _Begun(found, owed, order)

    async def _notice(self, tx: Transaction, found: OnFile, owed: Cents) -> tuple[CardNotice, int]:
        """The notice of what is owed, and how many days before the charge it counts; a new one
        where none can be in time any more."""
        days, today = days_of(found.facts.practice), _today(found)
        notice = await card_notices.covering(tx, found.facts.claim_number, owed)
        if notice is not None:
            told_on = _day(found, notice.told_at) if notice.told_at else None
            waits = told_on is None and (
                self._by_hand(notice) or told_in_time(today, notice.charge_on, days)
            )
            if waits or told_in_time(told_on, notice.charge_on, days):
                return notice, days
        to_send = _TO_SEND if days and self._outside.patient_letters is not None else timedelta(0)
        charge_on = today + timedelta(days=days) + to_send
        number = found.facts.claim_number
        return await card_notices.make(tx, number, owed, charge_on, found.now), days

    def _by_hand(self, notice: CardNotice) -> bool:
        return self._outside.patient_letters is None or notice.number > _MOST_LETTERS

    async def _passed_on(self, found: OnFile, notice: CardNotice) -> bool:
        """Hand a notice over, once; True when it is news that somebody has passed it on."""
        port = self._outside.patient_letters
        if port is None or notice.told_at is not None or self._by_hand(notice):
            return False
        try:
            receipt = await port.deliver(notice.key, paper(found.facts, notice, notice.made_at))
        except NotDelivered as error:
            raise ApplicationError(str(error), type="Transient") from None
        if receipt is None:
            return False
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            if await card_notices.told(tx, notice, notice.charge_on, receipt.reference, now):
                await audit.record(
                    tx, now, "groupclaim", "card_notice", notice.claim_number,
                    {"cents": int(notice.cents), "charge_on": notice.charge_on.isoformat()},
                )  # fmt: skip
        return True

    def _looked_at(self, found: OnFile, notice: CardNotice, due_at: datetime) -> datetime:
        """When the charge is looked at again: on its day, or when the receipt may have come."""
        zone = ZoneInfo(found.facts.practice.time_zone)
        if notice.told_at is not None:
            return datetime.combine(notice.charge_on, time(), zone)
        return due_at if self._by_hand(notice) else found.now + _RECEIPT

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
    return _day(found, found.now)


def _day(found: OnFile, at: datetime) -> date:
    return at.astimezone(ZoneInfo(found.facts.practice.time_zone)).date()
