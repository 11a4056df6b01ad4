"""42 CFR Part 2: substance-use records, the consent to disclose them, and what goes with them.

A claim tells the payer that the patient is in the programme, and so does the question whether the
payer covers it. So consent is checked before the first word to a payer, and again before the claim
is made; consent is needed on the day of the disclosure, not on the day of service.
"""

from __future__ import annotations

from datetime import date

from groupclaim.model.base import Record
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity, Source

_PAYMENT_SCOPES = frozenset({"treatment_payment_operations", "payment"})

_SOURCE = Source(
    policy="42 CFR Part 2",
    version="as in force since 2026-02-16",
    citation="42 CFR 2.31, 2.32 and 2.33",
    verified=True,
)


class Notice(Record):
    """A notice that accompanies a disclosure; ``identifier`` is what the audit log keeps of it."""

    identifier: str
    text: str


NOTICE = Notice(
    identifier="42-CFR-2.32-a-2",
    # The short form that the regulation itself offers; it fits an NTE02 of 80 characters.
    text="42 CFR part 2 prohibits unauthorized use or disclosure of these records.",
)


def is_part2(facts: ClaimFacts) -> bool:
    """Whether the claim's records are substance-use records: by patient, place or session."""
    return facts.patient.part2 or facts.location.part2_programme or facts.session.part2_programme


def notice_for(facts: ClaimFacts) -> Notice | None:
    """The notice that must go with whatever is disclosed of the claim; None when none must."""
    return NOTICE if is_part2(facts) else None


def check_consent(facts: ClaimFacts, disclosed_on: date) -> tuple[Finding, ...]:
    """Holds a claim of substance-use records whose patient has not consented to their disclosure to
    the payer for payment on the day it would be made."""
    if not is_part2(facts) or facts.payer is None:
        return ()
    consents = facts.patient.part2_consents
    reaching = [
        item
        for item in consents
        if item.scope in _PAYMENT_SCOPES and (not item.payers or facts.payer.ref in item.payers)
    ]
    if any(item.in_force(disclosed_on) for item in reaching):
        return ()
    if reaching:
        lacks = "the consent on file has ended, was revoked, or has not begun"
    elif consents:
        lacks = "no consent on file reaches this payer for payment"
    else:
        lacks = "no consent is on file"
    return (
        Finding(
            rule="part2_consent_missing",
            severity=Severity.BLOCK,
            sentence=f"Substance-use records may not be disclosed to the payer: {lacks}.",
            fix="Obtain the patient's written consent for payment and load it with the patient.",
            evidence=(facts.claim_number, facts.patient_id),
            hold="PART2_CONSENT",
            source=_SOURCE,
        ),
    )
