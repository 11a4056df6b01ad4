"""Payment audit: whether the payer allowed and paid what it should.

Allowed is compared with allowed, never with paid: what the patient owes and what sequestration
takes are part of the allowed amount, not of an underpayment.
"""

from __future__ import annotations

from typing import Literal

from groupclaim.model.base import Record
from groupclaim.model.claim import Adjustment, ClaimPayment
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.money import Cents
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.pricing import Expected

_DEDUCTIBLE, _COINSURANCE, _COPAY = "1", "2", "3"
_PATIENT_SHARES = frozenset({_DEDUCTIBLE, _COINSURANCE, _COPAY, "66", "122"})
_NOT_THE_PATIENTS = ("OA", "209")
"""The share of a qualified Medicare beneficiary, which may be billed to a next payer alone."""
SEQUESTRATION = "253"
"""CARC of what Medicare takes from its own part by law."""

INTEREST = "225"
"""CARC of interest that a payer pays inside a claim, where it raises the payment: below zero."""

AFTER_PRICING = frozenset({"104", "144", "161", "237", "245", SEQUESTRATION})
"""CARCs of reductions (and, negative, bonuses) that payers take from their own part after pricing:
part of what is allowed."""

_CONTRACTUAL_GROUPS = ("CO", "OA")


class Audit(Record):
    """``shortfall`` is what the payer still owes in cents: below zero when it gave too much, zero
    when all is as expected. ``patient`` is what the patient owes: group PR and nothing else."""

    outcome: Literal["as_expected", "underpaid", "overpaid"]
    allowed: Cents
    expected: Cents
    shortfall: Cents
    patient: Cents
    findings: tuple[Finding, ...]


def allowed_amount(payment: ClaimPayment) -> Cents:
    """What the payer allowed: as it says (AMT*B6), else what it paid, left to the patient or to a
    next payer alone and took after pricing. What it does not cover at all (PR-96, PR-204 and the
    like) is not allowed."""
    if payment.allowed is not None:
        return payment.allowed
    return derived_allowed(payment.paid, payment.adjustments)


def derived_allowed(paid: Cents, adjustments: tuple[Adjustment, ...]) -> Cents:
    """The allowed amount of a claim or line as its payment and adjustments give it."""
    return paid + sum(
        item.cents
        for item in adjustments
        if (item.group == "PR" and item.reason in _PATIENT_SHARES)
        or (item.group, item.reason) == _NOT_THE_PATIENTS
        or (item.group in _CONTRACTUAL_GROUPS and item.reason in AFTER_PRICING)
        or item.reason == INTEREST
    )


def interest_inside(payment: ClaimPayment) -> Cents:
    """The interest that is a part of what was paid for the claim."""
    return Cents(-sum(item.cents for item in payment.adjustments if item.reason == INTEREST))


def audit_payment(expected: Expected, payment: ClaimPayment, policy: PayerPolicy) -> Audit:
    """Compare what ``payment`` allows and pays with what was expected.

    Differences up to the policy's tolerance (the larger of some cents and a share of the expected
    amount) are as expected. Beyond it, the shortfall is the whole difference.
    """
    allowed = allowed_amount(payment)
    tolerance = policy.audit.tolerance(expected.allowed)
    evidence = (payment.control_number, f"remittance/{payment.remittance_id}/{payment.position}")
    findings: list[Finding] = []

    difference = _beyond(expected.allowed - allowed, tolerance)
    if difference:
        findings.append(
            _review(
                "underpaid" if difference > 0 else "overpaid",
                f"The payer allowed {allowed}, expected {expected.allowed}: {abs(difference)} too "
                f"{'little' if difference > 0 else 'much'} ({expected.working}).",
                evidence,
                policy,
            )
        )
    # Allowed as the payer says it, but not all of it shared out: something was kept back unnamed.
    shared_out = derived_allowed(payment.paid, payment.adjustments)
    unpaid = _beyond(allowed - shared_out, tolerance)
    if unpaid:
        findings.append(
            _review(
                "paid_less_than_allowed" if unpaid > 0 else "paid_more_than_allowed",
                f"Of {allowed} allowed, payment, patient share and known reductions make "
                f"{shared_out}.",
                evidence,
                policy,
            )
        )
    shortfall = difference + unpaid
    return Audit(
        outcome="underpaid" if shortfall > 0 else "overpaid" if shortfall < 0 else "as_expected",
        allowed=allowed,
        expected=expected.allowed,
        shortfall=shortfall,
        patient=payment.adjusted("PR"),
        findings=(
            *findings,
            *_sequestration(payment, allowed, policy, evidence),
            *_patient_share(payment, allowed, evidence),
        ),
    )


def _beyond(difference: Cents, tolerance: Cents) -> Cents:
    return difference if abs(difference) > tolerance else Cents(0)


def _review(rule: str, sentence: str, evidence: tuple[str, ...], policy: PayerPolicy) -> Finding:
    too_little = rule in ("underpaid", "paid_less_than_allowed")
    return Finding(
        rule=rule,
        severity=Severity.BLOCK,
        sentence=sentence,
        fix="Dispute the shortfall with the contract, or write it off with the reason."
        if too_little
        else "Compare with the contract; what was paid too much is to be returned.",
        evidence=evidence,
        hold="UNDERPAYMENT_REVIEW" if too_little else "OVERPAYMENT_REVIEW",
        releasable=True,
        source=policy.source(policy.audit),
    )


def sequestration_taken(payment: ClaimPayment) -> Cents:
    """What the payer kept of its own part as sequestration."""
    return Cents(
        sum(
            item.cents
            for item in payment.adjustments
            if item.group in _CONTRACTUAL_GROUPS and item.reason == SEQUESTRATION
        )
    )


def sequestration_due(payment: ClaimPayment, allowed: Cents, policy: PayerPolicy) -> Cents:
    """Sequestration is taken from the payer's part of the allowed amount, and only where due."""
    payers_part = (
        allowed
        - share(payment.adjustments, _PATIENT_SHARES)
        - sum(
            item.cents
            for item in payment.adjustments
            if (item.group, item.reason) == _NOT_THE_PATIENTS
        )
    )
    return payers_part.share(policy.sequestration.basis_points, 10_000)


def _sequestration(
    payment: ClaimPayment, allowed: Cents, policy: PayerPolicy, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    taken, due = sequestration_taken(payment), sequestration_due(payment, allowed, policy)
    if abs(taken - due) <= 1:  # a cent of the payer's own rounding
        return ()
    return (
        Finding(
            rule="sequestration",
            severity=Severity.WARN,
            sentence=f"Sequestration of {taken} was taken where {due} was due.",
            fix="Compare with the contract and the law; dispute what was taken without either.",
            evidence=evidence,
            source=policy.source(policy.sequestration),
        ),
    )


def _patient_share(
    payment: ClaimPayment, allowed: Cents, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    findings = []
    left = share(payment.adjustments, _PATIENT_SHARES)
    copay, coinsurance = (share(payment.adjustments, {code}) for code in (_COPAY, _COINSURANCE))
    if copay > 0 and coinsurance > 0:
        findings.append(
            _warn(
                "double_patient_share",
                "The payer charged the patient a copay and a coinsurance for one visit.",
                "Compare with the patient's benefits before a statement goes out.",
                evidence,
            )
        )
    if left > max(allowed, 0):
        findings.append(
            _warn(
                "patient_share_above_allowed",
                f"The patient's share of {left} is more than the {allowed} allowed.",
                "The patient owes at most what is allowed; ask the payer to correct it.",
                evidence,
            )
        )
    if payment.patient != payment.adjusted("PR"):
        findings.append(
            _warn(
                "patient_share_differs",
                f"The claim says the patient owes {payment.patient}; its adjustments say "
                f"{payment.adjusted('PR')}.",
                "Bill the patient only what stands under group PR.",
                evidence,
            )
        )
    return tuple(findings)


def share(adjustments: tuple[Adjustment, ...], reasons: frozenset[str] | set[str]) -> Cents:
    """What of ``adjustments`` is the patient's by these CARCs."""
    return Cents(
        sum(item.cents for item in adjustments if item.group == "PR" and item.reason in reasons)
    )


def _warn(rule: str, sentence: str, fix: str, evidence: tuple[str, ...]) -> Finding:
    return Finding(rule=rule, severity=Severity.WARN, sentence=sentence, fix=fix, evidence=evidence)
