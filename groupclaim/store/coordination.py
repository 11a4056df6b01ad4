"""What payers before have decided of a claim, line by line, and which versions went to the next."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sqlalchemy import select

from groupclaim.model.claim import (
    Adjustment,
    ClaimParties,
    ClaimPayment,
    ClaimVersion,
    PriorDecision,
    PriorLine,
)
from groupclaim.model.money import Cents
from groupclaim.rules.coordination import Billed, Decided
from groupclaim.store.claims import read_version
from groupclaim.store.database import Reading
from groupclaim.store.remittances import claim_payments
from groupclaim.store.schema import (
    acknowledgment,
    batch,
    batch_claim,
    ready_claim,
    remittance,
    remittance_adjustment,
    remittance_line,
)


class Unmatched(Exception):
    """A decision whose lines are not those of our claim: it cannot be told to the next payer."""


async def decisions(reading: Reading, claim_number: str) -> dict[int, Decided]:
    """The last decision in force of each payer, by its place in the order of billing."""
    return await last_of_each(reading, await claim_payments(reading, claim_number))


async def last_of_each(reading: Reading, payments: Iterable[ClaimPayment]) -> dict[int, Decided]:
    """As :func:`decisions`, of decisions in force that have been read."""
    found: dict[int, Decided] = {}
    for payment in payments:
        day: date | None = await reading.scalar(
            select(remittance.c.payment_date).where(remittance.c.id == payment.remittance_id)
        )
        if day is not None:
            found[payment.payer_sequence] = Decided(payment=payment, decided_on=day)
    return found


async def paid_version(
    reading: Reading, claim_number: str, payment: ClaimPayment
) -> ClaimVersion | None:
    """The version that a decision means; None where it means none of ours."""
    if payment.version is None:
        return None
    return await read_version(reading, claim_number, payment.version)


async def billed(reading: Reading, claim_number: str, newest: int) -> dict[int, Billed]:
    """The newest version for each payer after the first, by its place."""
    found: dict[int, Billed] = {}
    for number in range(newest, 0, -1):
        version = await read_version(reading, claim_number, number)
        place = version.payer_sequence
        if place > 1 and place not in found:
            alive = await _is_alive(reading, claim_number, number)
            found[place] = Billed(alive=alive, prior=version.prior)
    return found


async def _is_alive(reading: Reading, claim_number: str, version: int) -> bool:
    """Whether a version waits for its batch, or has left and was neither refused nor rejected."""
    which = {"claim_number": claim_number, "version": version}
    waits = await reading.first(
        select(ready_claim.c.version)
        .filter_by(**which)
        .where(ready_claim.c.batch_id.is_(None), ready_claim.c.withdrawn_at.is_(None))
    )
    if waits is not None:
        return True
    rejected = await reading.first(
        select(acknowledgment.c.id).filter_by(**which).where(acknowledgment.c.accepted.is_(False))
    )
    left = await reading.first(
        select(batch_claim.c.version)
        .join(batch, batch.c.id == batch_claim.c.batch_id)
        .where(
            batch_claim.c.claim_number == claim_number,
            batch_claim.c.version == version,
            batch.c.state != "refused",
        )
    )
    return left is not None and rejected is None


async def prior_decision(
    reading: Reading, decided: Decided, version: ClaimVersion, parties: ClaimParties
) -> PriorDecision:
    """A decision in the figures of its remittance, its lines in the order of ``version``'s.

    ``parties`` are the payer's own: those of the version, unless it got that by crossover. Raises
    :class:`Unmatched`.
    """
    payment = decided.payment
    here = {"remittance_id": payment.remittance_id, "claim_position": payment.position}
    rows = await reading.rows(
        select(remittance_line).filter_by(**here).order_by(remittance_line.c.line_position)
    )
    said = await reading.rows(
        select(remittance_adjustment)
        .filter_by(**here)
        .order_by(remittance_adjustment.c.line_position, remittance_adjustment.c.position)
    )
    cuts: dict[int, list[Adjustment]] = {}
    for item in said:
        adjustment = Adjustment(
            group=item.group_code, reason=item.reason_code, cents=Cents(item.cents)
        )
        cuts.setdefault(item.line_position, []).append(adjustment)
    left = list(rows)
    lines: list[PriorLine] = []
    for ours in version.lines:
        row = next((item for item in left if item.our_line == ours.line_control_number), None)
        if row is None or row.charge_cents != ours.charge:
            raise Unmatched(f"line {len(lines) + 1}")
        left.remove(row)
        lines.append(
            PriorLine(
                paid=Cents(row.paid_cents),
                code=row.code,
                modifiers=tuple(filter(None, row.modifiers.split(":"))),
                adjustments=tuple(cuts.get(row.line_position, ())),
            )
        )
    if left:
        raise Unmatched(f"{len(left)} lines of the payer's own")
    return PriorDecision(
        payer=parties.payer,
        coverage=parties.coverage,
        member_id=parties.subscriber.member_id,
        group_number=parties.subscriber.group_number,
        decided_on=decided.decided_on,
        paid=payment.paid,
        payer_claim_number=payment.payer_claim_number,
        adjustments=tuple(cuts.get(0, ())),
        lines=tuple(lines),
    )


async def payers_number(
    reading: Reading, claim_number: str, newest: int, payer_ref: str
) -> str | None:
    """The number under which this payer has the claim, if it has it: of its last decision of a
    version that named it, else of its acknowledgment."""
    payments = await claim_payments(reading, claim_number)
    for number in range(newest, 0, -1):
        version = await read_version(reading, claim_number, number)
        if version.parties.payer.ref != payer_ref:
            continue
        for payment in reversed(payments):
            if payment.control_number == version.control_number and payment.payer_claim_number:
                return payment.payer_claim_number
        known: str | None = await reading.scalar(
            select(acknowledgment.c.payer_claim_number)
            .filter_by(claim_number=claim_number, version=number)
            .where(acknowledgment.c.payer_claim_number.is_not(None))
            .order_by(acknowledgment.c.id.desc())
            .limit(1)
        )
        if known:
            return known
    return None
