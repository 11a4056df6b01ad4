"""Whether what a payer takes back of an earlier payment is in time and says what it is for."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy import select

from activities.on_file import on_file
from activities.outside import Outside
from groupclaim.model.money import Cents
from groupclaim.rules.line_audit import LineAudit, takeback_pattern
from groupclaim.store import claims, disputes, voids
from groupclaim.store.database import Transaction
from groupclaim.store.disputes import Settled
from groupclaim.store.provider_adjustments import ForwardBalance, forward_balances
from groupclaim.store.schema import remittance, remittance_claim


async def audit_takebacks(outside: Outside, tx: Transaction, remittance_id: int) -> set[int]:
    """Have what ``remittance_id`` takes back of one claim join the dispute of its pattern; the
    cases touched. What is only announced takes nothing yet, and what names no claim is cleared by
    a person first."""
    touched: set[int] = set()
    for balance in await forward_balances(tx):
        taken_here = any(
            step.remittance_id == remittance_id and step.cents > 0 for step in balance.steps
        )
        if taken_here and len(balance.claims) == 1:
            touched.update(await _audit(outside, tx, remittance_id, balance))
    return touched


async def _audit(
    outside: Outside, tx: Transaction, remittance_id: int, balance: ForwardBalance
) -> tuple[int, ...]:
    (number,) = balance.claims
    if any(one.outcome in (None, "kept") for one in await voids.of_claim(tx, number)):
        return ()  # it is ours to give back: the payer was told so
    paid = await tx.first(
        select(remittance_claim, remittance.c.payment_date)
        .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
        .where(
            remittance_claim.c.claim_number == number,
            remittance_claim.c.posting == "applied",
            remittance_claim.c.remittance_id < remittance_id,
        )
        .order_by(remittance_claim.c.remittance_id)
        .limit(1)
    )
    if paid is None or paid.payment_date is None or paid.version is None:
        return ()
    found = await on_file(outside, tx, number, paid.version)
    if found.billed is None:
        return ()
    version = await claims.read_version(tx, number, paid.version)
    today = found.now.astimezone(ZoneInfo(found.facts.practice.time_zone)).date()
    amount = Cents(paid.paid_cents)
    audits = []
    taken_on = today
    for step in balance.steps:
        if step.remittance_id != remittance_id or step.cents <= 0:
            continue
        taken_on = step.payment_date or today
        pattern = takeback_pattern(
            found.billed.policy,
            paid_on=paid.payment_date,
            taken_on=taken_on,
            reversed_too=paid.reversed_by is not None,
        )
        if pattern is not None:
            audits.append(
                LineAudit(
                    line=step.position,
                    code=version.lines[0].code,
                    expected=amount,
                    allowed=amount,
                    shortfall=step.cents,
                    pattern=pattern,
                    working=f"{step.cents} of {amount} paid on {paid.payment_date} was taken back "
                    f"on {taken_on}",
                )
            )
    if not audits:
        return ()
    settled = Settled(
        remittance_id=remittance_id,
        position=0,
        charge=version.charge,
        received_on=None,
        paid_on=taken_on,
        underpayment_limit_on=found.billed.deadlines.dispute_limit(taken_on).at.date(),
        overpayment_limit_on=found.billed.deadlines.refund_limit(today).at.date(),
    )
    payer_key = tx.keyring.payer_key(found.billed.payer.ref)
    return await disputes.record_audit(tx, number, payer_key, settled, audits, found.now)
