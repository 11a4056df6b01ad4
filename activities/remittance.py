"""Payments of an 835: registered once, posted whole or kept in suspense, told to their claims."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select

from activities import steps
from activities.claims_told import known_claims
from activities.messages import Messages
from activities.on_file import invalid
from activities.outside import Outside, performs
from activities.takebacks import audit_takebacks
from groupclaim import x12
from groupclaim.lifecycle.events import RemittancePosted
from groupclaim.model.claim import ClaimPayment
from groupclaim.store import authorizations, files, remittances, voids, webhooks, work
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import remittance

_CONTRACTUAL = ("CO", "45")
_CONCERNING = ("applied", "denied", "reversal")
"""What of a payment changes where a claim stands; unapplied money waits for a person. So does what
is said of a claim that takes another back."""


class Remittances:
    def __init__(self, outside: Outside, messages: Messages) -> None:
        self._outside = outside
        self._messages = messages

    @performs(steps.REGISTER_REMITTANCES)
    async def register_remittances(self, ref: steps.FileRef) -> steps.Remittances:
        """Note the payments of a file; one delivered before is recognised by payer and trace."""
        async with self._outside.database.reading() as reading:
            file = await files.read_file(reading, ref.digest)
        payments, _ = await asyncio.to_thread(x12.read_835, file.content)
        async with self._outside.database.transaction() as tx:
            registered = await remittances.register(
                tx, ref.digest, payments, await practice_now(tx)
            )
        return steps.Remittances(new=registered.new, repeated=registered.repeated)

    @performs(steps.POST_REMITTANCE)
    async def post_remittance(self, ref: steps.RemittanceRef) -> steps.Posted:
        """Post one payment in one transaction, or leave it whole in payment suspense."""
        async with self._outside.database.reading() as reading:
            digest, position = await remittances.file_of(reading, ref.remittance_id)
            file = await files.read_file(reading, digest)
        payments, _ = await asyncio.to_thread(x12.read_835, file.content)
        text = f"remittance {ref.remittance_id} is not in its file as it was registered"
        if position >= len(payments):
            raise invalid(text)
        # The long part is done before anybody has to wait for this transaction.
        async with self._outside.database.reading() as reading:
            prepared = await remittances.prepare(reading, payments[position])
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            before = await tx.scalar(
                select(remittance.c.state).where(remittance.c.id == ref.remittance_id)
            )
            try:
                posted = await remittances.post(
                    tx, ref.remittance_id, payments[position], now, prepared
                )
            except remittances.PaymentChanged:
                raise invalid(text) from None
            if posted.state == "posted" and before != "posted":
                data = {"remittance_id": ref.remittance_id, "claims": len(posted.claims)}
                await webhooks.note(
                    tx, webhooks.Event.PAYMENT_POSTED, str(ref.remittance_id), data, now
                )
            # Done again later, it must not free what a corrected claim has reserved meanwhile.
            if posted.state == "posted" and before != "posted":
                await move_units(tx, (*posted.claims, *posted.cleared), now)
            await work.follow_money(tx, now)
        if posted.state == "duplicate":
            raise invalid(f"remittance {ref.remittance_id} is a duplicate and is never posted")
        return steps.Posted(
            state=posted.state,
            claims=len(posted.claims),
            difference_cents=posted.difference_cents,
        )

    @performs(steps.ANNOUNCE_REMITTANCE)
    async def announce_remittance(self, ref: steps.RemittanceRef) -> steps.Announced:
        """Tell each claim what stands in the ledger now; one that has ended is taken up again. And
        each dispute that something taken back has joined."""
        async with self._outside.database.transaction() as tx:
            cases = await audit_takebacks(self._outside, tx, ref.remittance_id)
        for case_id in sorted(cases):
            await self._messages.tell_dispute(case_id)
        async with self._outside.database.reading() as reading:
            now = await practice_now(reading)
            posted = await remittances.posted(reading, ref.remittance_id)
            of_voids = await voids.statements(reading, ref.remittance_id)
            concerned = [
                item
                for item in (*posted.claims, *posted.cleared)
                if item.posting in _CONCERNING
                or (item.remittance_id == ref.remittance_id and item.position in of_voids)
            ]
            known = await known_claims(
                reading, [item.claim_number for item in concerned if item.claim_number]
            )
            events = [
                (known[item.claim_number], await decision_event(reading, item, now))
                for item in concerned
                if item.claim_number in known
            ]
        for claim, event in events:
            await self._messages.tell_claim(
                claim.payer_key, claim.state.claim_number, "remit_835", event
            )
        return steps.Announced(claims=len(events))


async def decision_event(
    reading: Reading, item: remittances.PostedClaim, now: datetime
) -> RemittancePosted:
    """What a claim is told of a payer's decision that stands in the ledger."""
    denied = item.posting == "denied"
    return RemittancePosted(
        at=now,
        key=f"835:{item.remittance_id}:{item.position}",
        version=item.version or 0,
        denied=denied,
        cause=await _cause(reading, item) if denied else None,
    )


async def move_units(
    tx: Transaction, claims: Iterable[remittances.PostedClaim], now: datetime
) -> None:
    """What the payer decided of each claim's authorized units: paid, it used them; denied or taken
    back, they are free. In the payment's order, so a reversal comes before its correction."""
    for item in claims:
        if item.claim_number is None:
            continue
        if item.posting == "applied":
            await authorizations.consume(tx, item.claim_number, now)
        elif item.posting in ("denied", "reversal"):
            await authorizations.release(tx, item.claim_number, now, consumed=True)


async def _cause(reading: Reading, item: remittances.PostedClaim) -> str | None:
    payment = next(
        (
            payment
            for payment in await remittances.claim_payments(reading, item.claim_number or "")
            if (payment.remittance_id, payment.position) == (item.remittance_id, item.position)
        ),
        None,
    )
    return denial_cause(payment) if payment is not None else None


def denial_cause(payment: ClaimPayment) -> str | None:
    """``<group>-<CARC>`` of the largest adjustment that is not what the contract takes off; the
    first of equals, and the contractual one only when there is no other."""
    ranked = sorted(
        payment.adjustments,
        key=lambda item: ((item.group, item.reason) == _CONTRACTUAL, -item.cents),
    )
    return f"{ranked[0].group}-{ranked[0].reason}" if ranked else None
