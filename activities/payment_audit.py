"""Did the payer allow and pay what the contract says?"""

from __future__ import annotations

from activities import steps
from activities.on_file import on_file
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import PaymentAudited
from groupclaim.model.claim import ClaimPayment
from groupclaim.model.finding import Finding
from groupclaim.model.identity import split_control_number
from groupclaim.rules.payment_audit import audit_payment
from groupclaim.rules.pricing import expected_claim
from groupclaim.store import batches, claims, ledger, remittances

_LATER_PAYERS = frozenset({"2", "3", "20", "21"})
"""CLP02 of a payer that decided after another."""


class PaymentAudit:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.AUDIT_PAYMENT)
    async def audit_payment(self, step: steps.ClaimStep) -> PaymentAudited:
        """Compare the payment in force with the contract; what was taken off beyond it is
        receivable again. Without a rate nothing can be compared: a person decides. A version that
        still waits for its batch is withdrawn: what is paid is not billed again."""
        outside = self._outside
        async with outside.database.transaction() as tx:
            payments = await remittances.claim_payments(tx, step.claim_number)
            # The contract says what the first payer allows; those after it pay a part of that.
            paid = [
                item
                for item in payments
                if (item.paid or item.adjusted("PR")) and item.status not in _LATER_PAYERS
            ]
            version = _paid_version(step, paid[-1]) if paid else step.version
            found = await on_file(outside, tx, step.claim_number, version)
            findings: tuple[Finding, ...] = ()
            outcome = "as_expected"
            if paid:
                await batches.withdraw(tx, step.claim_number, found.now)
                lines = (await claims.read_version(tx, step.claim_number, version)).lines
                if found.billed is None:
                    findings, outcome = found.lacks, "unpriced"
                elif isinstance(
                    expected := expected_claim(
                        found.facts, found.billed.policy, outside.fees, lines
                    ),
                    Finding,
                ):
                    findings, outcome = (expected,), "unpriced"
                else:
                    audit = audit_payment(expected, paid[-1], found.billed.policy)
                    findings, outcome = audit.findings, audit.outcome
                    if audit.shortfall > 0:
                        await ledger.book_underpayment(
                            tx,
                            step.claim_number,
                            paid[-1].remittance_id,
                            paid[-1].position,
                            audit.shortfall,
                            found.now,
                        )
            await claims.replace_findings(
                tx, step.claim_number, steps.AUDIT_PAYMENT.name, findings, found.now
            )
        return PaymentAudited.model_validate({"at": found.now, "outcome": outcome})


def _paid_version(step: steps.ClaimStep, payment: ClaimPayment) -> int:
    """The version that the payer speaks of; where it names none of ours, the newest."""
    named = split_control_number(payment.control_number)
    return named[1] if named else step.version
