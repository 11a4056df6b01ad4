"""Did the payer allow and pay what the contract says?"""

from __future__ import annotations

from activities import steps
from activities.on_file import on_file
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import PaymentAudited
from groupclaim.model.finding import Finding
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY
from groupclaim.rules.payment_audit import audit_payment
from groupclaim.rules.pricing import expected_allowed
from groupclaim.store import claims, ledger, remittances


class PaymentAudit:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.AUDIT_PAYMENT)
    async def audit_payment(self, step: steps.ClaimStep) -> PaymentAudited:
        """Compare the payment in force with the contract; what was taken off beyond it is
        receivable again. Without a rate nothing can be compared: a person decides."""
        outside = self._outside
        async with outside.database.transaction() as tx:
            found = await on_file(outside, tx, step.claim_number)
            payments = await remittances.claim_payments(tx, step.claim_number)
            paid = [item for item in payments if item.paid or item.adjusted("PR")]
            findings: tuple[Finding, ...] = ()
            outcome = "as_expected"
            if paid:
                expected = expected_allowed(
                    found.facts, found.to_bill.policy, outside.fees, GROUP_PSYCHOTHERAPY
                )
                if isinstance(expected, Finding):
                    findings, outcome = (expected,), "unpriced"
                else:
                    audit = audit_payment(expected, paid[-1], found.to_bill.policy)
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
