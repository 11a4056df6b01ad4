"""Which interest of a payment is a claim's: a payer that pays late owes some, and says it in ways.

    CAS 225       inside the claim, where it raises the payment
    PLB L6        beside the claims; its reference may name one of them, in this payment or later
    AMT*I         how much of an L6 without a reference is this claim's

An L6 without a reference and without AMT*I is set against what law gives for the claims of its
payment, in their order: what is paid is then never missing, and what is short is found once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, bindparam, or_, select

from activities.receipt import received_on
from groupclaim.model.claim import ClaimPayment
from groupclaim.model.money import Cents
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.line_audit import interest_by_law
from groupclaim.rules.payment_audit import interest_inside
from groupclaim.store import claims, remittances
from groupclaim.store.database import Reading
from groupclaim.store.ledger import Account
from groupclaim.store.schema import provider_adjustment, remittance, remittance_claim

_INTEREST = "L6"
"""PLB code of interest; negative adds it to the payment."""

_MOST_CLAIMS = 200
"""Of a payment whose interest is shared out by what each claim is owed: each has to be worked out
anew for each. Beyond it nobody can say whose the interest is."""


async def interest_paid(
    reading: Reading, policy: PayerPolicy, zone: ZoneInfo, claim_number: str, payment: ClaimPayment
) -> Cents | None:
    """The interest that came for a claim beside what ``payment`` itself holds; None when there is
    some of which nobody can say whose it is. ``policy`` is the payer's, ``zone`` the practice's."""
    which = {"number": claim_number, "of": payment.remittance_id}
    rows = (await reading.execute(_PAID_BESIDE, which)).all()
    named = _added(row for row in rows if row.claim_number is not None)
    unnamed = _added(row for row in rows if row.claim_number is None)
    if not unnamed:
        return named
    said = {
        row.position: row.interest_cents
        for row in await reading.rows(
            select(remittance_claim.c.position, remittance_claim.c.interest_cents).where(
                remittance_claim.c.remittance_id == payment.remittance_id,
                remittance_claim.c.interest_cents.is_not(None),
            )
        )
    }
    if sum(said.values()) == unnamed:
        return named + Cents(said.get(payment.position, 0))
    shared = await _shared_out(reading, policy, zone, payment, unnamed)
    return None if shared is None else named + shared


_PAID_BESIDE = (
    select(provider_adjustment)
    .join(remittance, remittance.c.id == provider_adjustment.c.remittance_id)
    .where(
        remittance.c.state == "posted",
        or_(
            provider_adjustment.c.reason_code == _INTEREST,
            provider_adjustment.c.settled_as == Account.INTEREST.value,
        ),
        or_(
            provider_adjustment.c.claim_number == bindparam("number"),
            provider_adjustment.c.claim_number.is_(None)
            & (provider_adjustment.c.remittance_id == bindparam("of")),
        ),
    )
)


def _added(rows: Any) -> Cents:
    return Cents(-sum(row.cents for row in rows))


async def _shared_out(
    reading: Reading, policy: PayerPolicy, zone: ZoneInfo, payment: ClaimPayment, interest: Cents
) -> Cents | None:
    """What is left of ``interest`` for ``payment`` after the claims that stand before it."""
    rows: Sequence[Row[Any]] = await reading.rows(
        select(remittance_claim, remittance.c.payment_date)
        .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
        .where(
            remittance_claim.c.remittance_id == payment.remittance_id,
            remittance_claim.c.posting == "applied",
            remittance_claim.c.reversed_by.is_(None),
            remittance_claim.c.payer_sequence == 1,
        )
        .order_by(remittance_claim.c.position)
    )
    if len(rows) > _MOST_CLAIMS:
        return None
    left = interest
    for row in rows:
        owed = await _owed(reading, policy, zone, row)
        mine = max(Cents(0), min(left, owed))
        if row.position == payment.position:
            return mine
        left -= mine
    return Cents(0)


async def _owed(reading: Reading, policy: PayerPolicy, zone: ZoneInfo, row: Row[Any]) -> Cents:
    version = await claims.read_version(reading, row.claim_number, row.version)
    received = await received_on(reading, version, zone)
    decided = next(
        item
        for item in await remittances.claim_payments(reading, row.claim_number)
        if (item.remittance_id, item.position) == (row.remittance_id, row.position)
    )
    if received is None or row.payment_date is None:
        return Cents(0)
    law = interest_by_law(policy, version, decided, received_on=received, paid_on=row.payment_date)
    return law.cents - interest_inside(decided) if law is not None else Cents(0)
