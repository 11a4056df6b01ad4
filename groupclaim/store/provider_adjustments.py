"""Money that a payer adds to a payment or keeps from it for no claim of that payment (PLB).

In the 835 a positive amount lowers the payment and a negative one raises it (005010X221A1, PLB04).
Which account it belongs to is said by its reason:

    WO, FB, 72   takeback: recovery of an overpayment, a balance carried forward, a refund of ours
                 acknowledged. Below zero the payer announces what it will take later and gives it
                 back for now; above zero it takes. Once both have come the account is at zero.
    L6           interest that the payer owes for paying late; above zero it takes interest back
    IR, LE       withheld for the tax authority, or by a levy: paid to us, but not into our hands
    J1           non-reimbursable: shown in the payment, not part of it
    CS, others   unapplied: what it is, only the payer's letter says; a person settles it
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Row, select

from groupclaim.model.money import Cents
from groupclaim.store.database import Reading
from groupclaim.store.ledger import Account
from groupclaim.store.schema import provider_adjustment, remittance, remittance_claim

_ACCOUNTS = {
    "WO": Account.TAKEBACK,
    "FB": Account.TAKEBACK,
    "72": Account.TAKEBACK,
    "L6": Account.INTEREST,
    "IR": Account.WITHHELD,
    "LE": Account.WITHHELD,
    "J1": Account.OTHER_ADJUSTMENT,
}


def account_of(reason_code: str) -> Account:
    """Where a provider adjustment belongs; unapplied when its reason alone does not say."""
    return _ACCOUNTS.get(reason_code, Account.UNAPPLIED)


@dataclass(frozen=True, slots=True)
class Step:
    """One provider adjustment about a balance. ``cents`` above zero are taken, below announced."""

    remittance_id: int
    position: int
    reason_code: str
    reference: str
    payment_date: date | None
    cents: Cents


@dataclass(frozen=True, slots=True)
class ForwardBalance:
    """What a payer has announced to take back and has taken, of one claim or reference.

    ``open`` above zero is still to be taken; below zero was taken without having been announced.
    ``claims`` are those it is about: named by the adjustment, or else those whose payments were
    reversed together with the announcement.
    """

    payer_id: str
    reference: str
    claims: tuple[str, ...]
    announced: Cents
    taken: Cents
    steps: tuple[Step, ...]

    @property
    def open(self) -> Cents:
        return self.announced - self.taken


@dataclass(slots=True)
class _Balance:
    payer_id: str
    reference: str
    claims: set[str] = field(default_factory=set)
    announced: int = 0
    taken: int = 0
    steps: list[Step] = field(default_factory=list)


async def forward_balances(reading: Reading) -> tuple[ForwardBalance, ...]:
    """Every balance carried forward or taken, the oldest first, used up or not.

    What is taken is set against what was announced for the same claim, then under the same
    reference, then, because FB names a claim only sometimes, against the payer's oldest open one.
    """
    rows = await reading.rows(
        select(
            provider_adjustment,
            remittance.c.payer_id,
            remittance.c.payment_date,
        )
        .join(remittance, remittance.c.id == provider_adjustment.c.remittance_id)
        .where(
            remittance.c.state == "posted", provider_adjustment.c.account == Account.TAKEBACK.value
        )
        # What is announced and taken in one payment comes in this order.
        .order_by(
            remittance.c.payment_date,
            provider_adjustment.c.remittance_id,
            provider_adjustment.c.cents,
            provider_adjustment.c.position,
        )
    )
    reversed_in = await _reversed_in(reading, sorted({row.remittance_id for row in rows}))
    balances: list[_Balance] = []
    carried: Counter[tuple[int, int]] = Counter()
    for row in rows:
        if row.cents < 0:
            known = _of_claim_or_reference(balances, row, still_open=False)
            if known is None:
                known = _Balance(row.payer_id, row.reference)
                balances.append(known)
            known.announced -= row.cents
            if row.reason_code == "FB":
                carried[row.remittance_id, id(known)] -= row.cents
            _note(known, row, row.cents, reversed_in)
            continue
        left = row.cents
        named = _of_claim_or_reference(balances, row, still_open=False)
        if named is not None:
            # What one payment books and carries forward at once takes nothing yet.
            booked = min(left, carried[row.remittance_id, id(named)])
            carried[row.remittance_id, id(named)] -= booked
            left -= booked
        while left and (debt := _to_take_from(balances, row)) is not None:
            part = min(left, debt.announced - debt.taken)
            debt.taken += part
            left -= part
            _note(debt, row, part, {})
        if left:  # taken without a word before
            known = _of_claim_or_reference(balances, row, still_open=False)
            if known is None:
                known = _Balance(row.payer_id, row.reference)
                balances.append(known)
            known.taken += left
            _note(known, row, left, {})
    return tuple(
        ForwardBalance(
            item.payer_id,
            item.reference,
            tuple(sorted(item.claims)),
            Cents(item.announced),
            Cents(item.taken),
            tuple(item.steps),
        )
        for item in balances
    )


def _note(
    known: _Balance, row: Row[Any], cents: int, reversed_in: dict[int, tuple[str, ...]]
) -> None:
    known.steps.append(
        Step(
            row.remittance_id,
            row.position,
            row.reason_code,
            row.reference,
            row.payment_date,
            Cents(cents),
        )
    )
    known.claims |= (
        {row.claim_number} if row.claim_number else set(reversed_in.get(row.remittance_id, ()))
    )


def _of_claim_or_reference(
    balances: Sequence[_Balance], row: Row[Any], *, still_open: bool
) -> _Balance | None:
    mine = [
        item
        for item in balances
        if item.payer_id == row.payer_id and (not still_open or item.announced > item.taken)
    ]
    if row.claim_number:
        named = next((item for item in mine if row.claim_number in item.claims), None)
        if named is not None:
            return named
    return next((item for item in mine if row.reference and item.reference == row.reference), None)


def _to_take_from(balances: Sequence[_Balance], row: Row[Any]) -> _Balance | None:
    """The open balance that what is taken belongs to."""
    named = _of_claim_or_reference(balances, row, still_open=True)
    if named is not None or row.claim_number or row.reason_code != "FB":
        return named
    return next(
        (
            item
            for item in balances
            if item.payer_id == row.payer_id and item.announced > item.taken
        ),
        None,
    )


async def _reversed_in(
    reading: Reading, remittance_ids: Sequence[int]
) -> dict[int, tuple[str, ...]]:
    rows = await reading.rows(
        select(remittance_claim.c.remittance_id, remittance_claim.c.claim_number).where(
            remittance_claim.c.remittance_id.in_(remittance_ids),
            remittance_claim.c.posting == "reversal",
        )
    )
    found: dict[int, tuple[str, ...]] = {}
    for row in rows:
        found[row.remittance_id] = (*found.get(row.remittance_id, ()), row.claim_number)
    return found
