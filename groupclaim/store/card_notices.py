"""What patients are told before their card is charged: how much, and on which day.

A notice covers one charge of at most its amount. It counts from the moment on which somebody, a
person or a mail house, is known to have passed it on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, func, select, update

from groupclaim.model.money import Cents
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.ledger import lock_claim
from groupclaim.store.schema import card_notice

_LONGEST = 80


@dataclass(frozen=True, slots=True)
class CardNotice:
    """One notice of a claim. ``told_at``: None while nobody is known to have passed it on;
    ``charge_number``: the charge that it was used for."""

    claim_number: str
    number: int
    cents: Cents
    charge_on: date
    made_at: datetime
    told_at: datetime | None
    told_by: str
    charge_number: int | None

    @property
    def key(self) -> str:
        """How whoever passes it on knows it."""
        return f"card-notice-{self.claim_number}-{self.number}"


def _notice(row: Row[Any]) -> CardNotice:
    return CardNotice(
        row.claim_number,
        row.number,
        Cents(row.cents),
        row.charge_on,
        row.made_at,
        row.told_at,
        row.told_by,
        row.charge_number,
    )


async def covering(reading: Reading, claim_number: str, cents: Cents) -> CardNotice | None:
    """The last notice of a claim that is not used yet and is of ``cents`` at least."""
    row = await reading.first(
        select(card_notice)
        .where(
            card_notice.c.claim_number == claim_number,
            card_notice.c.charge_number.is_(None),
            card_notice.c.cents >= cents,
        )
        .order_by(card_notice.c.number.desc())
        .limit(1)
    )
    return _notice(row) if row is not None else None


async def make(
    tx: Transaction, claim_number: str, cents: Cents, charge_on: date, at: datetime
) -> CardNotice:
    """Write a notice down, before anybody is told."""
    await lock_claim(tx, claim_number)
    last = await tx.scalar(
        select(func.max(card_notice.c.number)).filter_by(claim_number=claim_number)
    )
    made = CardNotice(claim_number, (last or 0) + 1, cents, charge_on, at, None, "", None)
    await tx.execute(
        card_notice.insert().values(
            claim_number=claim_number,
            number=made.number,
            cents=int(cents),
            charge_on=charge_on,
            made_at=at,
            told_by="",
        )
    )
    return made


async def told(tx: Transaction, notice: CardNotice, charge_on: date, by: str, at: datetime) -> bool:
    """Note that the patient has been told of ``charge_on``, under whose word; False when that was
    noted before."""
    done = await tx.execute(
        update(card_notice)
        .filter_by(claim_number=notice.claim_number, number=notice.number)
        .where(card_notice.c.told_at.is_(None))
        .values(told_at=at, told_by=by[:_LONGEST], charge_on=charge_on)
    )
    return done.rowcount == 1


async def used(tx: Transaction, notice: CardNotice, charge_number: int) -> None:
    """The charge that was announced has been begun: the next one takes a notice of its own."""
    await tx.execute(
        update(card_notice)
        .filter_by(claim_number=notice.claim_number, number=notice.number)
        .values(charge_number=charge_number)
    )


async def of_claim(reading: Reading, claim_number: str) -> tuple[CardNotice, ...]:
    """Every notice of a claim, the first first."""
    rows = await reading.rows(
        select(card_notice).filter_by(claim_number=claim_number).order_by(card_notice.c.number)
    )
    return tuple(_notice(row) for row in rows)
