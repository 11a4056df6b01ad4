"""Did the payer allow and pay what the contract says, and if not, what went wrong?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import select

from activities import steps
from activities.interest import interest_paid
from activities.messages import Messages
from activities.on_file import Billed, OnFile, on_file
from activities.outside import Outside, performs
from activities.receipt import received_on
from groupclaim.lifecycle.events import PaymentAudited
from groupclaim.model.claim import ClaimPayment, ClaimVersion
from groupclaim.model.finding import Finding
from groupclaim.model.identity import split_control_number
from groupclaim.model.money import Cents
from groupclaim.rules.line_audit import (
    LineAudit,
    audit_against_room,
    audit_interest,
    audit_lines,
    room_control,
)
from groupclaim.rules.payment_audit import allowed_amount, audit_payment
from groupclaim.rules.pricing import expected_claim
from groupclaim.store import batches, claims, disputes, ledger, remittances
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.disputes import Settled
from groupclaim.store.schema import claim, remittance


class PaymentAudit:
    def __init__(self, outside: Outside, messages: Messages) -> None:
        self._outside = outside
        self._messages = messages

    @performs(steps.AUDIT_PAYMENT)
    async def audit_payment(self, step: steps.ClaimStep) -> PaymentAudited:
        """Compare the payment in force with the contract; what was taken off beyond it is
        receivable again, and each line that is off joins the dispute of its pattern. Without a
        rate the claim is compared with the others of its room, and a person decides. A version
        that still waits for its batch is withdrawn: what is paid is not billed again. Where nothing
        is in force any more, the payer has reversed it all."""
        outside = self._outside
        async with outside.database.transaction() as tx:
            payments = await remittances.claim_payments(tx, step.claim_number)
            paid = _paid(payments)
            number = (paid.version if paid else None) or step.version
            found = await on_file(outside, tx, step.claim_number, number)
            findings: tuple[Finding, ...] = ()
            outcome, due_at = "as_expected", None
            cases: set[int] = set()
            if not payments:
                await ledger.give_up_share(tx, step.claim_number, Cents(0), found.now)
                outcome, due_at = "reversed", found.look_again()
                if found.billed is not None:
                    due_at = found.billed.deadlines.remittance(found.now).at
            elif paid:
                await batches.withdraw(tx, step.claim_number, found.now)
                version = await claims.read_version(tx, step.claim_number, number)
                billed = found.billed
                if billed is None:
                    findings, outcome = found.lacks, "unpriced"
                elif isinstance(
                    expected := expected_claim(
                        found.facts, billed.policy, outside.fees, version.lines
                    ),
                    Finding,
                ):
                    findings, outcome = (expected,), "unpriced"
                    cases.update(await self._compare_room(tx, found, billed))
                else:
                    audit = audit_payment(expected, paid, billed.policy)
                    findings, outcome = audit.findings, audit.outcome
                    if audit.shortfall > 0:
                        await ledger.book_underpayment(
                            tx,
                            step.claim_number,
                            paid.remittance_id,
                            paid.position,
                            audit.shortfall,
                            found.now,
                        )
                    cases.update(await self._keep(tx, found, billed, version, paid))
            cases.update(await disputes.record_corrections(tx, step.claim_number))
            await claims.replace_findings(
                tx, step.claim_number, steps.AUDIT_PAYMENT.name, findings, found.now
            )
        for case_id in sorted(cases):
            await self._messages.tell_dispute(case_id)
        return PaymentAudited.model_validate(
            {"at": found.now, "outcome": outcome, "due_at": due_at}
        )

    async def _keep(
        self,
        tx: Transaction,
        found: OnFile,
        billed: Billed,
        version: ClaimVersion,
        payment: ClaimPayment,
    ) -> tuple[int, ...]:
        """Keep what each line's audit says, and what came too late without its interest."""
        outside = self._outside
        audits = list(
            audit_lines(found.facts, billed.policy, outside.fees, outside.edits, version, payment)
        )
        settled = await _settled(tx, found, billed, version, payment)
        zone = ZoneInfo(found.facts.practice.time_zone)
        interest = await interest_paid(tx, billed.policy, zone, version.claim_number, payment)
        if settled.received_on is not None and interest is not None:
            late = audit_interest(
                billed.policy,
                version,
                payment,
                received_on=settled.received_on,
                paid_on=settled.paid_on,
                interest=interest,
            )
            audits += [late] if late else []
        return await self._record(tx, found, billed, settled, audits)

    async def _record(
        self,
        tx: Transaction,
        found: OnFile,
        billed: Billed,
        settled: Settled,
        audits: Iterable[LineAudit],
    ) -> tuple[int, ...]:
        number = found.facts.claim_number
        payer_key = tx.keyring.payer_key(billed.payer.ref)
        return await disputes.record_audit(tx, number, payer_key, settled, tuple(audits), found.now)

    async def _compare_room(self, tx: Transaction, found: OnFile, billed: Billed) -> set[int]:
        """Without a contract, the participants of one room with one payer are each other's
        control; each payment may show that an earlier one was off."""
        rows = await tx.rows(
            select(claim.c.claim_number)
            .where(claim.c.session_id == found.facts.session_id)
            .order_by(claim.c.claim_number)
        )
        room: dict[tuple[str, ...], dict[str, tuple[ClaimVersion, ClaimPayment]]] = {}
        for row in rows:
            payment = _paid(await remittances.claim_payments(tx, row.claim_number))
            named = split_control_number(payment.control_number) if payment else None
            if payment is None or named is None:
                continue
            version = await claims.read_version(tx, row.claim_number, named[1])
            if version.parties.payer.ref == billed.payer.ref:
                billed_as = tuple(f"{line.code}:{line.units}" for line in version.lines)
                room.setdefault(billed_as, {})[row.claim_number] = version, payment
        touched: set[int] = set()
        for alike in room.values():
            control = room_control({key: allowed_amount(item[1]) for key, item in alike.items()})
            for number, (version, payment) in alike.items():
                audit = control and audit_against_room(
                    version.lines[0].code, allowed_amount(payment), control, billed.policy
                )
                other = await on_file(self._outside, tx, number, version.version)
                settled = await _settled(tx, other, billed, version, payment)
                touched.update(
                    await self._record(tx, other, billed, settled, (audit,) if audit else ())
                )
        return touched


async def _settled(
    tx: Reading, found: OnFile, billed: Billed, version: ClaimVersion, payment: ClaimPayment
) -> Settled:
    zone = ZoneInfo(found.facts.practice.time_zone)
    today = found.now.astimezone(zone).date()
    paid_on = await tx.scalar(
        select(remittance.c.payment_date).where(remittance.c.id == payment.remittance_id)
    )
    paid_on = paid_on or today
    deadlines = billed.deadlines
    return Settled(
        remittance_id=payment.remittance_id,
        position=payment.position,
        charge=version.charge,
        received_on=await received_on(tx, version, zone),
        paid_on=paid_on,
        underpayment_limit_on=deadlines.dispute_limit(paid_on).at.date(),
        overpayment_limit_on=deadlines.refund_limit(today).at.date(),
    )


def _paid(payments: Sequence[ClaimPayment]) -> ClaimPayment | None:
    """The first payer's last in which something was paid or left to the patient: the contract says
    what that payer allows; those after it pay a part of that."""
    paid = [
        item for item in payments if (item.paid or item.adjusted("PR")) and item.payer_sequence == 1
    ]
    return paid[-1] if paid else None
