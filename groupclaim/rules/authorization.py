"""Prior authorization: whether the payer asks for one, and whether one on file fits."""

from __future__ import annotations

from groupclaim.model.base import Record
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.patient import Authorization
from groupclaim.policy.payer import PayerPolicy


class AuthorizationCheck(Record):
    """``authorization`` is the one to name on the claim (REF*G1), if any fits."""

    authorization: Authorization | None
    findings: tuple[Finding, ...]


def fitting_authorization(facts: ClaimFacts, code: str) -> Authorization | None:
    """The authorization whose payer, code, clinician, dates and units left all fit the service.

    ``used`` counts units reserved, committed or consumed by *other* claims. Of several, the one
    that ends first is used up first.
    """
    fitting = [item for item in _matching(facts, code) if item.used < item.units]
    return min(fitting, key=lambda item: (item.effective_to, item.number), default=None)


def check_authorization(facts: ClaimFacts, policy: PayerPolicy, code: str) -> AuthorizationCheck:
    """Holds a claim whose payer asks for an authorization when none on file fits.

    When the payer asks for none, or leaves it open, one that fits is named on the claim all the
    same: it can only help.
    """
    fitting = fitting_authorization(facts, code)
    evidence = (facts.claim_number, facts.patient_id)
    if fitting is not None:
        return AuthorizationCheck(authorization=fitting, findings=())
    required = facts.eligibility.authorization_required if facts.eligibility else "U"
    if required == "Y" or (required == "U" and policy.authorization.when_unknown == "hold"):
        asked = (
            "The payer asks for a prior authorization"
            if required == "Y"
            else "The payer does not say whether it asks for a prior authorization"
        )
        # What the payer itself answered is a fact; only the policy's own word may be unverified.
        releasable = required == "U" and not policy.authorization.verified
        source = policy.source(policy.authorization) if required == "U" else None
        if _matching(facts, code):
            return AuthorizationCheck(
                authorization=None,
                findings=(
                    Finding(
                        rule="authorization_exhausted",
                        severity=Severity.BLOCK,
                        sentence=f"{asked}; every unit of the one on file is used.",
                        fix="Request more units and record the extended authorization.",
                        evidence=evidence,
                        hold="AUTH_EXHAUSTED",
                        releasable=releasable,
                        source=source,
                    ),
                ),
            )
        return AuthorizationCheck(
            authorization=None,
            findings=(
                Finding(
                    rule="authorization_required",
                    severity=Severity.BLOCK,
                    sentence=f"{asked}; none on file fits code, clinician and day of service.",
                    fix="Request an authorization for the day of service and record it.",
                    evidence=evidence,
                    hold="AUTH_REQUIRED",
                    releasable=releasable,
                    source=source,
                ),
            ),
        )
    if required == "U":
        return AuthorizationCheck(
            authorization=None,
            findings=(
                Finding(
                    rule="authorization_unknown",
                    severity=Severity.WARN,
                    sentence="The payer does not say whether a prior authorization is needed.",
                    fix="Ask the payer; the claim goes on meanwhile.",
                    evidence=evidence,
                    source=policy.source(policy.authorization),
                ),
            ),
        )
    return AuthorizationCheck(
        authorization=None,
        findings=(
            Finding(
                rule="authorization_not_required",
                severity=Severity.INFO,
                sentence="The payer says that no prior authorization is needed.",
                evidence=evidence,
            ),
        ),
    )


def _matching(facts: ClaimFacts, code: str) -> list[Authorization]:
    """Authorizations that fit in everything but perhaps the units left."""
    return [
        item
        for item in facts.authorizations
        if facts.payer is not None
        and item.payer == facts.payer.ref
        and item.patient == facts.patient.ref
        and code in item.codes
        and item.clinician in (None, facts.clinician.ref)
        and item.in_force(facts.service_date)
    ]
