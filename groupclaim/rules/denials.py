"""Denials and rejections: what to do about them without a person, and what only a person can.

A *rejection* (TA1, 999, 277CA) never reached adjudication: the payer has no number for the claim,
and a mended one goes as a new original. A *denial* (835) is a decision: it is mended as the payer's
policy says.
"""

from __future__ import annotations

import re
from typing import Literal

from groupclaim.lifecycle.state import Step
from groupclaim.model.base import Record
from groupclaim.model.claim import ORIGINAL, REPLACEMENT
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.policy.denial_reasons import denial_reason
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.authorization import fitting_authorization
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY

CLAIM_REFUSED = "CLAIM_REFUSED"
"""The cause when we ourselves took the claim out of its batch before anything was sent."""

VERIFY_MEMBER_ID = "verify_member_id"
ADD_AUTHORIZATION = "add_authorization"

_MEMBER_STATUSES = frozenset({"33", "97", "164"})
"""277CA status codes that say the member was not found as written."""

_CURED_BY_AUTHORIZATION = frozenset({"15", "197", "198", "284", "296"})
_UNPROCESSABLE = "MA130"

_CLAIM_REJECTION = re.compile(r"277CA:(?P<category>[A-Z]\d):(?P<status>[0-9A-Z]+)")
_ADJUSTMENT = re.compile(r"(?P<group>CO|PR|OA|PI|CR)-(?P<reason>[0-9A-Z]+)")


class DenialDecision(Record):
    """A correction, the step to take it up from and the frequency to send with; or a hold."""

    correction: str | None = None
    restart: Step | None = None
    frequency: Literal["1", "7"] = ORIGINAL
    held: str | None = None
    findings: tuple[Finding, ...]


def decide_denial(
    cause: str | None,
    facts: ClaimFacts,
    policy: PayerPolicy,
    *,
    corrections_tried: tuple[str, ...] = (),
    remarks: tuple[str, ...] = (),
    sent_authorization: str | None = None,
) -> DenialDecision:
    """What to do about ``cause``.

    ``cause`` is ``277CA:<category>:<status>``, ``<group>-<reason>`` of an 835, or anything else for
    a file or transaction set that was refused whole. ``corrections_tried`` are
    ``<cause>:<correction>`` as the claim's state keeps them: none is tried twice. ``remarks`` are
    the denial's remark codes; ``sent_authorization`` is the number that the denied version carried.
    """
    cause = cause or "refused"
    if cause == CLAIM_REFUSED:
        return _held(
            CLAIM_REFUSED,
            "The claim was not sent: it could not be written, or did not pass the outbound check.",
            "Correct each field that a finding names, then release.",
            facts,
        )
    if rejection := _CLAIM_REJECTION.fullmatch(cause):
        if rejection["status"] in _MEMBER_STATUSES and not _tried(
            cause, VERIFY_MEMBER_ID, corrections_tried
        ):
            return _correct(
                VERIFY_MEMBER_ID,
                Step.CHECK_ELIGIBILITY,
                ORIGINAL,
                "The payer does not know the member id; it is asked again and the claim sent anew.",
                facts,
            )
        return _rejected(f"The payer's front end rejected the claim ({cause}).", facts)
    denial = _ADJUSTMENT.fullmatch(cause)
    if denial is None:
        return _rejected(f"The file or its transaction set was refused ({cause}).", facts)
    if denial["group"] != "PR" and denial["reason"] in _CURED_BY_AUTHORIZATION:
        authorization = fitting_authorization(facts, GROUP_PSYCHOTHERAPY)
        if (
            authorization is not None
            and authorization.number != sent_authorization
            and not _tried(cause, ADD_AUTHORIZATION, corrections_tried)
        ):
            frequency = _frequency_of_correction(policy, remarks)
            if frequency is not None:
                return _correct(
                    ADD_AUTHORIZATION,
                    Step.CHECK_AUTHORIZATION,
                    frequency,
                    f"Denied {cause}; an authorization that fits is on file and is added.",
                    facts,
                )
    return _denied(cause, facts, policy)


def _tried(cause: str, correction: str, corrections_tried: tuple[str, ...]) -> bool:
    return f"{cause}:{correction}" in corrections_tried


def _frequency_of_correction(
    policy: PayerPolicy, remarks: tuple[str, ...]
) -> Literal["1", "7"] | None:
    """How a decided claim is sent again; None when it must be reopened or appealed instead."""
    if policy.corrections.finalized == "replacement":
        return REPLACEMENT
    return ORIGINAL if _UNPROCESSABLE in remarks else None


def _correct(
    correction: str, restart: Step, frequency: Literal["1", "7"], sentence: str, facts: ClaimFacts
) -> DenialDecision:
    return DenialDecision(
        correction=correction,
        restart=restart,
        frequency=frequency,
        findings=(
            Finding(
                rule=correction,
                severity=Severity.INFO,
                sentence=sentence,
                evidence=(facts.claim_number,),
            ),
        ),
    )


def _rejected(sentence: str, facts: ClaimFacts) -> DenialDecision:
    fix = "Mend what the acknowledgment names, then release: it is sent as a new claim."
    return _held("REJECTED", sentence, fix, facts)


def _held(hold: str, sentence: str, fix: str, facts: ClaimFacts) -> DenialDecision:
    return DenialDecision(
        held=hold,
        findings=(
            Finding(
                rule=hold.lower(),
                severity=Severity.BLOCK,
                sentence=sentence,
                fix=fix,
                evidence=(facts.claim_number,),
                hold=hold,
                releasable=True,
            ),
        ),
    )


def _denied(cause: str, facts: ClaimFacts, policy: PayerPolicy) -> DenialDecision:
    group, _, code = cause.partition("-")
    reason = denial_reason(code)
    advice = reason.action if reason else "Read the remittance and its remark codes."
    return DenialDecision(
        held="DENIED",
        findings=(
            Finding(
                rule="denied",
                severity=Severity.BLOCK,
                sentence=f"The payer denied the claim ({cause}"
                + (f", {reason.category}" if reason else "")
                + ("); the patient owes nothing of it." if group != "PR" else ")."),
                fix=advice,
                evidence=(facts.claim_number,),
                hold="DENIED",
                releasable=True,
                source=policy.source(policy.corrections),
            ),
        ),
    )
