"""Coding: what the claim says was done, and whether it may be said."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import Field, TypeAdapter, ValidationError

from groupclaim.model.base import Record
from groupclaim.model.claim import Modifier
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity, Source
from groupclaim.model.money import Cents
from groupclaim.model.patient import Diagnosis
from groupclaim.model.practice import ProcedureCode
from groupclaim.model.session import OtherService
from groupclaim.policy.fee_schedule import FeeSchedule
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.licences import billing_licence, valid_licences
from groupclaim.rules.pricing import expected_allowed, fee_in_force

GROUP_PSYCHOTHERAPY = "90853"

_DIAGNOSIS: TypeAdapter[str] = TypeAdapter(Diagnosis)
_MAX_DIAGNOSES = 12
_MAX_POINTERS = 4


class CodedLine(Record):
    """A service line before it is given a control number; ``diagnosis_pointers`` count from 1."""

    code: ProcedureCode
    modifiers: tuple[Modifier, ...]
    charge: Annotated[Cents, Field(gt=0)]
    units: int
    place_of_service: str
    diagnosis_pointers: tuple[int, ...]
    service_date: date


class Coded(Record):
    """The lines and diagnoses of a claim. ``lines`` is empty when a blocking finding says why."""

    lines: tuple[CodedLine, ...]
    diagnoses: tuple[str, ...]
    place_of_service: str
    findings: tuple[Finding, ...]


def code_claim(
    facts: ClaimFacts, policy: PayerPolicy, fee_schedule: FeeSchedule, diagnosis: str | None = None
) -> Coded:
    """One line of 90853: one unit for one patient.

    ``diagnosis`` is what the note names; if it is a code, it comes first and the line points to it.
    Without it the line points to the treatment plan's.
    """
    findings = [
        *_group_size(facts, policy),
        *_licence(facts, policy),
        *_same_day(facts, policy),
    ]
    licence = billing_licence(facts, policy)
    if licence is not None:
        priced = expected_allowed(facts, policy, fee_schedule, GROUP_PSYCHOTHERAPY)
        if isinstance(priced, Finding):
            findings.append(priced)
    planned = facts.plan.diagnoses if facts.plan else ()
    named = _diagnosis_code(diagnosis)
    diagnoses = tuple(dict.fromkeys((*named, *planned)))[:_MAX_DIAGNOSES]
    if not diagnoses:
        findings.append(
            Finding(
                rule="no_diagnosis",
                severity=Severity.BLOCK,
                sentence="Neither note nor treatment plan gives a diagnosis to bill.",
                fix="The clinician records the diagnosis in the note or the treatment plan.",
                evidence=_evidence(facts),
                hold="PLAN_MISSING",
            )
        )
    fee = fee_in_force(facts, GROUP_PSYCHOTHERAPY)
    lines: tuple[CodedLine, ...] = ()
    if fee is not None and licence is not None and diagnoses:
        lines = (
            CodedLine(
                code=GROUP_PSYCHOTHERAPY,
                modifiers=policy.licences.modifiers.get(licence.kind, ()),
                charge=fee.cents,
                units=1,
                place_of_service=facts.location.place_of_service,
                diagnosis_pointers=(1,)
                if named
                else tuple(range(1, min(len(diagnoses), _MAX_POINTERS) + 1)),
                service_date=facts.service_date,
            ),
        )
    return Coded(
        lines=lines,
        diagnoses=diagnoses,
        place_of_service=facts.location.place_of_service,
        findings=tuple(findings),
    )


def _diagnosis_code(text: str | None) -> tuple[str, ...]:
    """The ICD-10-CM code in ``text``; a note's words are never put on a claim."""
    code = (text or "").strip().replace(".", "").upper()
    try:
        return (_DIAGNOSIS.validate_python(code),)
    except ValidationError:
        return ()


def _evidence(facts: ClaimFacts) -> tuple[str, ...]:
    return (facts.claim_number, facts.session_id)


def _group_size(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Finding, ...]:
    limits, size = policy.group_size, facts.group_size
    if size is None or size < 2:
        return (
            Finding(
                rule="group_of_fewer_than_two",
                severity=Severity.BLOCK,
                sentence="The attendance on file does not show a group of at least two.",
                fix="Record the final attendance; one patient alone is no group.",
                evidence=_evidence(facts),
                hold="GROUP_SIZE_REVIEW",
            ),
        )
    source, releasable = policy.source(limits), not limits.verified
    if limits.hard is not None and size > limits.hard:
        return (
            Finding(
                rule="group_size_exceeded",
                severity=Severity.BLOCK,
                sentence=f"{size} patients were treated; the payer accepts at most {limits.hard}.",
                fix="Correct the attendance if it is wrong; else do not bill this payer.",
                evidence=_evidence(facts),
                hold="GROUP_SIZE_EXCEEDED",
                releasable=releasable,
                source=source,
            ),
        )
    if size > limits.soft:
        return (
            Finding(
                rule="group_size_review",
                severity=Severity.BLOCK,
                sentence=f"{size} patients were treated; above {limits.soft} a supervisor looks.",
                fix="Confirm that each note shows individual work, then release with the reason.",
                evidence=_evidence(facts),
                hold="GROUP_SIZE_REVIEW",
                releasable=True,
                source=source,
            ),
        )
    if size < limits.minimum:
        return (
            Finding(
                rule="group_size_below_minimum",
                severity=Severity.BLOCK,
                sentence=f"{size} patients were treated; the payer asks for {limits.minimum}.",
                fix="Correct the attendance if it is wrong; else do not bill this payer.",
                evidence=_evidence(facts),
                hold="GROUP_SIZE_REVIEW",
                releasable=releasable,
                source=source,
            ),
        )
    return ()


def _licence(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Finding, ...]:
    valid = valid_licences(facts)
    if not valid:
        return (
            Finding(
                rule="licence_not_valid",
                severity=Severity.BLOCK,
                sentence="The clinician has no licence in the state of the session on that day.",
                fix="Record the licence if there is one; else the session cannot be billed.",
                evidence=_evidence(facts),
                hold="LICENCE_NOT_ACCEPTED",
            ),
        )
    if not any(item.kind in policy.licences.accepted for item in valid):
        kinds = ", ".join(sorted({item.kind.value for item in valid}))
        return (
            Finding(
                rule="licence_not_accepted",
                severity=Severity.BLOCK,
                sentence=f"The payer is not known to accept the clinician's licence ({kinds}).",
                fix="Settle with credentialing whether this clinician may bill the payer.",
                evidence=_evidence(facts),
                hold="LICENCE_NOT_ACCEPTED",
                releasable=not policy.licences.verified,
                source=policy.source(policy.licences),
            ),
        )
    return ()


def _same_day(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Finding, ...]:
    """What another service of the same patient and day means for the group line.

    NCCI pairs touch one clinician's services of a day, and reduce the column-two code, whatever the
    order in time: the modifier belongs on that line, and 90853 leaves as it is.
    """
    others = [
        service
        for service in facts.other_services
        if service.patient == facts.patient.ref and _day(facts, service) == facts.service_date
    ]
    findings = []
    groups = sum(service.code == GROUP_PSYCHOTHERAPY for service in others)
    if groups + 1 > policy.units.per_day:
        findings.append(
            _same_day_hold(
                facts,
                f"The patient had {groups + 1} group sessions that day; the payer pays "
                f"{policy.units.per_day}.",
                policy.source(policy.units),
            )
        )
    source = policy.source(policy.same_day)
    for service in others:
        same_clinician = service.clinician in (None, facts.clinician.ref)
        paired = same_clinician and service.code in policy.same_day.column_two
        if service.code in policy.same_day.review or (
            paired and policy.same_day.with_individual == "deny"
        ):
            sentence = f"The patient also had {service.code} that day; the payer may pay only one."
            findings.append(_same_day_hold(facts, sentence, source))
        elif paired and policy.same_day.with_individual == "allow_with_59":
            findings.append(_same_day_individual(facts, service, source))
    return tuple(findings)


def _same_day_hold(facts: ClaimFacts, sentence: str, source: Source) -> Finding:
    return Finding(
        rule="same_day_service",
        severity=Severity.BLOCK,
        sentence=sentence,
        fix="A coder decides which one is billed, then releases with the reason.",
        evidence=_evidence(facts),
        hold="SAME_DAY_SERVICE",
        releasable=not source.verified,
        source=source,
    )


def _same_day_individual(facts: ClaimFacts, service: OtherService, source: Source) -> Finding:
    session = facts.session
    overlaps = service.starts_at < session.ends_at and session.starts_at < service.ends_at
    return Finding(
        rule="same_day_individual",
        severity=Severity.INFO if service.billed_elsewhere and not overlaps else Severity.WARN,
        sentence=f"{service.code} overlaps the group session: it is not distinct from it."
        if overlaps
        else f"{service.code} the same day takes modifier 59 or XE; 90853 takes none.",
        fix=f"Bill {service.code} only for a separate session with a note of its own.",
        evidence=_evidence(facts),
        source=source,
    )


def _day(facts: ClaimFacts, service: OtherService) -> date:
    return service.starts_at.astimezone(ZoneInfo(facts.location.time_zone)).date()
