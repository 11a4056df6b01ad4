"""What the bank says has come in, set against what payers say they have paid.

A deposit is matched to a payment by the trace number in its reference and the same amount; without
a trace there, to the one payment of this amount whose date is near. A deposit that carries a trace
and another amount is matched too, and shown as short (or over): the bank's figure is not corrected.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Row, select, update

from groupclaim.model.base import InputRefused
from groupclaim.model.money import Cents
from groupclaim.model.roster_file import csv_rows
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import bank_deposit, remittance

MatchedBy = Literal["trace_and_amount", "trace", "amount_and_date"]

_BEFORE, _AFTER = timedelta(days=1), timedelta(days=10)
"""A deposit comes a day before the payment's date at the earliest (an ACH settled early); paper
checks take mail and a walk to the bank."""

_SHORTEST_TRACE = 4
"""Shorter ones are found in any text."""

_COLUMNS = ("date", "amount", "reference")
_LONGEST_REFERENCE = 80
_MOST_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Deposit:
    """One line of a bank statement. ``reference`` is what the bank wrote of where it came from."""

    deposited_on: date
    cents: Cents
    reference: str


@dataclass(frozen=True, slots=True)
class Imported:
    new: int
    known: int
    matched: int


@dataclass(frozen=True, slots=True)
class DepositStanding:
    """A deposit or a payment, or both. ``difference`` is what the bank got beyond what was paid:
    below zero the deposit is short. ``state``: ``matched``, ``short``, ``over``, ``unknown`` for a
    deposit of no payment, ``undeposited`` for a posted payment without one."""

    state: Literal["matched", "short", "over", "unknown", "undeposited"]
    remittance_id: int | None
    payer_id: str
    trace: str
    paid_on: date | None
    paid: Cents | None
    deposited_on: date | None
    deposited: Cents | None
    matched_by: MatchedBy | None

    @property
    def difference(self) -> Cents:
        return Cents((self.deposited or 0) - (self.paid or 0))


def read_deposits(content: bytes, source: str) -> tuple[Deposit, ...]:
    """The deposits of a bank's CSV with the columns date, amount and reference, in any order.

    Dates as 2026-02-18 or 2/18/2026, amounts in dollars above zero. Raises :class:`InputRefused`
    with every problem at once, by row and column and never by what stood there.
    """
    if len(content) > _MOST_BYTES:
        raise InputRefused(source, [f"file: larger than {_MOST_BYTES // 1024**2} MB"])
    rows = csv_rows(content, source)
    _, header = next(rows, (0, []))
    names = [cell.strip().lower() for cell in header]
    missing = [f"column {name}: missing, or there twice" for name in _COLUMNS
               if names.count(name) != 1]  # fmt: skip
    if missing:
        raise InputRefused(source, missing)
    places = [names.index(name) for name in _COLUMNS]
    problems, found = [], []
    for number, cells in rows:
        texts = [cells[place] if place < len(cells) else "" for place in places]
        day, cents = _day(texts[0]), _cents(texts[1])
        if day is None:
            problems.append(f"row {number}, date: 2026-02-18 or 2/18/2026")
        if cents is None:
            problems.append(f"row {number}, amount: dollars above zero, as 1234.50")
        if len(texts[2]) > _LONGEST_REFERENCE or not texts[2].isprintable():
            problems.append(f"row {number}, reference: up to {_LONGEST_REFERENCE} characters")
        if day is not None and cents is not None:
            found.append(Deposit(day, cents, texts[2]))
    if problems:
        raise InputRefused(source, problems[:100])
    if not found:
        raise InputRefused(source, ["file: holds no deposit"])
    return tuple(found)


def _day(text: str) -> date | None:
    for form in ("%Y-%m-%d", "%m/%d/%Y"):
        try:
            day = datetime.strptime(text, form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
        return day if 2000 <= day.year < 2100 else None
    return None


def _cents(text: str) -> Cents | None:
    plain = text.removeprefix("$").replace(",", "")
    whole, _, part = plain.partition(".")
    digits = whole + part
    if not whole or len(part) not in (0, 2) or not digits.isascii() or not digits.isdigit():
        return None
    if len(whole) > 12:
        return None
    cents = int(whole) * 100 + int(part or 0)
    return Cents(cents) if cents > 0 else None


async def import_deposits(tx: Transaction, deposits: Sequence[Deposit], at: datetime) -> Imported:
    """Keep what is new and match what can be matched. The same statement again changes nothing:
    equal lines are told apart by how many there are in it."""
    seen: dict[Deposit, int] = {}
    new = 0
    for item in deposits:
        seen[item] = seen.get(item, 0) + 1
        said = [item.deposited_on.isoformat(), int(item.cents), item.reference, seen[item]]
        new += await tx.insert_new(
            bank_deposit,
            {
                "identity": sha256(json.dumps(said).encode()).hexdigest(),
                "deposited_on": item.deposited_on,
                "cents": int(item.cents),
                "reference": item.reference,
                "imported_at": at,
            },
        )
    return Imported(new, len(deposits) - new, await match_deposits(tx))


async def match_deposits(tx: Transaction) -> int:
    """Match deposits that have no payment yet; how many that were."""
    open_deposits = await tx.rows(
        select(bank_deposit)
        .where(bank_deposit.c.remittance_id.is_(None))
        .order_by(bank_deposit.c.id)
    )
    payments = list(await _undeposited(tx))
    matched = 0
    for by in ("trace_and_amount", "trace", "amount_and_date"):
        for deposit in tuple(open_deposits):
            fitting = [row for row in payments if _fits(by, deposit, row)]
            if len(fitting) != 1:
                continue
            await tx.execute(
                update(bank_deposit)
                .where(bank_deposit.c.id == deposit.id)
                .values(remittance_id=fitting[0].id, matched_by=by)
            )
            payments.remove(fitting[0])
            open_deposits = [item for item in open_deposits if item.id != deposit.id]
            matched += 1
    return matched


def _fits(by: str, deposit: Row[Any], payment: Row[Any]) -> bool:
    trace: str = payment.trace
    traced = len(trace) >= _SHORTEST_TRACE and trace in deposit.reference
    same_amount: bool = payment.paid_cents == deposit.cents
    if by == "trace_and_amount":
        return traced and same_amount
    if by == "trace":
        return traced
    days: timedelta = deposit.deposited_on - payment.payment_date
    return same_amount and -_BEFORE <= days <= _AFTER


async def _undeposited(reading: Reading) -> Sequence[Row[Any]]:
    """Posted payments of money without a deposit, the oldest first."""
    return await reading.rows(
        select(remittance)
        .join(bank_deposit, bank_deposit.c.remittance_id == remittance.c.id, isouter=True)
        .where(
            remittance.c.state == "posted",
            remittance.c.paid_cents > 0,
            bank_deposit.c.id.is_(None),
        )
        .order_by(remittance.c.payment_date, remittance.c.id)
    )


async def deposit_standings(reading: Reading) -> tuple[DepositStanding, ...]:
    """Every deposit with its payment, then the posted payments without a deposit."""
    rows = await reading.rows(
        select(
            bank_deposit,
            remittance.c.payer_id,
            remittance.c.trace,
            remittance.c.payment_date,
            remittance.c.paid_cents,
        )
        .join(remittance, remittance.c.id == bank_deposit.c.remittance_id, isouter=True)
        .order_by(bank_deposit.c.deposited_on, bank_deposit.c.id)
    )
    found = [
        DepositStanding(
            _state(row),
            row.remittance_id,
            row.payer_id or "",
            row.trace or "",
            row.payment_date,
            Cents(row.paid_cents) if row.paid_cents is not None else None,
            row.deposited_on,
            Cents(row.cents),
            row.matched_by,
        )
        for row in rows
    ]
    found += [
        DepositStanding(
            "undeposited",
            row.id,
            row.payer_id,
            row.trace,
            row.payment_date,
            Cents(row.paid_cents),
            None,
            None,
            None,
        )
        for row in await _undeposited(reading)
    ]
    return tuple(found)


def _state(row: Row[Any]) -> Literal["matched", "short", "over", "unknown"]:
    if row.remittance_id is None:
        return "unknown"
    if row.cents == row.paid_cents:
        return "matched"
    return "short" if row.cents < row.paid_cents else "over"
