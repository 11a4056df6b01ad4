"""Charges of patients' cards: each written down under its key before anything is asked for.

A claim has at most one charge under way. What became of it is noted once, in the transaction that
books the money.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row, func, select, update

from groupclaim.cards.port import ChargeOrder, ChargeResult
from groupclaim.model.base import Record
from groupclaim.model.money import Cents
from groupclaim.model.patient import CardConsent
from groupclaim.store import card_notices
from groupclaim.store.card_notices import CardNotice
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.ledger import book_patient_payment, lock_claim
from groupclaim.store.schema import card_charge

_LONGEST = 80

State = Literal["begun", "charged", "declined", "abandoned"]


class _Tokens(Record):
    """The processor's tokens at the time: the consent may name others by now."""

    customer: str
    payment_method: str


@dataclass(frozen=True, slots=True)
class CardCharge:
    """One charge of a claim's ``number``. ``begun``: whether it has been made is not known yet;
    ``abandoned``: it was never made and is not wanted any more."""

    claim_number: str
    number: int
    cents: Cents
    state: State
    begun_at: datetime
    reference: str
    reason: str


def _order(reading: Reading, row: Row[Any]) -> ChargeOrder:
    tokens = reading.unseal(card_charge, row.document, _Tokens)
    return ChargeOrder(
        key=f"card|{row.claim_number}|{row.number}",
        cents=Cents(row.cents),
        customer=tokens.customer,
        payment_method=tokens.payment_method,
        begun_at=row.begun_at,
    )


async def under_way(reading: Reading, claim_number: str) -> ChargeOrder | None:
    """The charge of a claim of which nobody knows yet what became; None when there is none."""
    row = await reading.first(
        select(card_charge).filter_by(claim_number=claim_number, state="begun")
    )
    return _order(reading, row) if row is not None else None


async def begin(
    tx: Transaction,
    claim_number: str,
    cents: Cents,
    consent: CardConsent,
    notice: CardNotice,
    at: datetime,
) -> ChargeOrder:
    """Write down a charge that its ``notice`` has announced; the one under way, of whatever amount,
    when there is one."""
    await lock_claim(tx, claim_number)
    known = await under_way(tx, claim_number)
    if known is not None:
        return known
    last = await tx.scalar(
        select(func.max(card_charge.c.number)).filter_by(claim_number=claim_number)
    )
    tokens = _Tokens(customer=consent.customer, payment_method=consent.payment_method)
    await tx.execute(
        card_charge.insert().values(
            claim_number=claim_number,
            number=(last or 0) + 1,
            cents=int(cents),
            state="begun",
            begun_at=at,
            reference="",
            reason="",
            document=tx.seal(card_charge, tokens),
        )
    )
    await card_notices.used(tx, notice, (last or 0) + 1)
    begun = await under_way(tx, claim_number)
    if begun is None:
        raise RuntimeError("a charge that was just written down is not there")
    return begun


async def settle(
    tx: Transaction, claim_number: str, order: ChargeOrder, result: ChargeResult, at: datetime
) -> bool:
    """Note what became of a charge and book what was paid; False when that was done before."""
    await lock_claim(tx, claim_number)
    if not await _end(tx, claim_number, order, result.outcome, at, result):
        return False
    if result.outcome == "charged":
        await book_patient_payment(tx, claim_number, order.cents, order.key, at)
    return True


async def abandon(tx: Transaction, claim_number: str, order: ChargeOrder, at: datetime) -> bool:
    """Give up a charge that the processor has never heard of; False when it was settled."""
    return await _end(tx, claim_number, order, "abandoned", at)


async def _end(
    tx: Transaction,
    claim_number: str,
    order: ChargeOrder,
    state: State,
    at: datetime,
    result: ChargeResult | None = None,
) -> bool:
    updated = await tx.execute(
        update(card_charge)
        .filter_by(
            claim_number=claim_number, number=int(order.key.rsplit("|", 1)[1]), state="begun"
        )
        .values(
            state=state,
            settled_at=at,
            reference=result.reference[:_LONGEST] if result else "",
            reason=result.reason[:_LONGEST] if result else "",
        )
    )
    return updated.rowcount == 1


async def charges(reading: Reading, claim_number: str | None = None) -> Sequence[CardCharge]:
    """Every charge, or those of one claim, the oldest first."""
    query = select(card_charge)
    if claim_number is not None:
        query = query.where(card_charge.c.claim_number == claim_number)
    rows = await reading.rows(
        query.order_by(card_charge.c.begun_at, card_charge.c.claim_number, card_charge.c.number)
    )
    return [
        CardCharge(
            row.claim_number,
            row.number,
            Cents(row.cents),
            row.state,
            row.begun_at,
            row.reference,
            row.reason,
        )
        for row in rows
    ]


async def was_declined(reading: Reading, claim_number: str) -> bool:
    """Whether a card was declined for this claim: it is charged again only when a person asks."""
    return any(item.state == "declined" for item in await charges(reading, claim_number))


async def was_charged(reading: Reading, claim_number: str) -> bool:
    """Whether the last charge for this claim was made."""
    return [item.state for item in await charges(reading, claim_number)][-1:] == ["charged"]
