"""Coverage: what a 271 says about one patient, one day and 90853."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from groupclaim.model.base import Record
from groupclaim.model.facts import ClaimFacts, EligibilityAnswer
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.money import Cents

_ACTIVE = frozenset("12345")
_INACTIVE = frozenset("678")
_NOT_COVERED = "I"
_STATUS = _ACTIVE | _INACTIVE | {_NOT_COVERED}
_ASK_ANOTHER = "U"
_COINSURANCE, _COPAY = "A", "B"
_AUTHORIZATION_ANSWERS = frozenset("YNU")
_OUT_OF_NETWORK = "N"
_QUALIFIED_MEDICARE_BENEFICIARY = "QM"

_SERVICE_TYPES = (frozenset({"MH", "A4", "A6", "A8", "CF"}), frozenset({"98"}), frozenset({"30"}))
"""Service type codes from the nearest to group psychotherapy to the whole plan."""

_NO_ANSWER_YET = frozenset({"42", "80"})
"""AAA03: the payer's system did not answer; the question may be put again."""


class Benefit(Record):
    """One EB of a 271, as far as coverage of a visit needs it.

    ``information`` EB01, ``service_types`` EB03, ``insurance_type`` EB04, ``cents`` EB07,
    ``percent`` EB08 as a fraction of one, ``authorization`` EB11, ``in_network`` EB12,
    ``procedure_code`` EB13; empty when not said. ``first_day`` and ``last_day`` are the benefit's
    own dates, or the plan's. ``administrator`` says that another entity is named to ask (2120).
    """

    information: str
    service_types: tuple[str, ...] = ()
    insurance_type: str = ""
    cents: Cents | None = None
    percent: Decimal | None = None
    authorization: str = ""
    in_network: str = ""
    procedure_code: str = ""
    first_day: date | None = None
    last_day: date | None = None
    administrator: bool = False

    def in_force(self, day: date) -> bool:
        return (self.first_day is None or self.first_day <= day) and (
            self.last_day is None or day <= self.last_day
        )


class BenefitResponse(Record):
    """What an activity read from one 271. ``rejections`` are the AAA03 codes of every level."""

    member_id: str | None = None
    group_number: str | None = None
    benefits: tuple[Benefit, ...] = ()
    rejections: tuple[str, ...] = ()


class BenefitReading(Record):
    """``answer`` is None when the payer's system did not answer: ask again later."""

    answer: EligibilityAnswer | None
    findings: tuple[Finding, ...]


def coverage_on_file(facts: ClaimFacts) -> tuple[Finding, ...]:
    """Holds a claim of a patient for whom nothing on file covers the day of service."""
    if facts.payer is not None and facts.coverage is not None:
        return ()
    return (
        _finding(
            "no_coverage_on_file",
            "No coverage on file is in force on the day of service.",
            "Record the patient's coverage for that day.",
            (facts.claim_number, facts.patient_id),
            hold="COVERAGE_INACTIVE",
        ),
    )


def read_benefits(
    response: BenefitResponse, facts: ClaimFacts, code: str, checked_at: datetime
) -> BenefitReading:
    """What ``response`` means for billing ``code`` on the facts' day of service.

    A benefit named for the procedure itself counts before one for mental health, then for an office
    visit, then for the whole plan; each question takes its answer from the nearest that gives one.
    """
    evidence = (facts.claim_number, facts.patient_id)
    if _NO_ANSWER_YET.intersection(response.rejections):
        return BenefitReading(
            answer=None,
            findings=(
                _finding(
                    "eligibility_not_answered",
                    "The payer's eligibility system did not answer.",
                    "Nothing to do: the question is put again.",
                    evidence,
                    severity=Severity.INFO,
                ),
            ),
        )
    day = facts.service_date
    tiers = _tiers([item for item in response.benefits if item.in_force(day)], code)
    deciding = _nearest(tiers, _decides)
    status = [item for item in deciding if item.information in _STATUS]
    active = any(item.information in _ACTIVE for item in status)
    referred = bool(deciding) and not status
    # What is said only of other days says that this one is not covered.
    stated = bool(status) or bool(_nearest(_tiers(response.benefits, code), _decides))
    answer = EligibilityAnswer(
        active=active and not response.rejections,
        member_known=not response.rejections,
        authorization_required=_authorization(tiers),
        member_id=response.member_id,
        group_number=response.group_number,
        copay=_copay(tiers),
        coinsurance_percent=_coinsurance(tiers),
        checked_at=checked_at,
    )
    findings: list[Finding] = []
    if response.rejections:
        reasons = ", ".join(sorted(set(response.rejections)))
        findings.append(
            _finding(
                "member_unknown",
                f"The payer could not match the patient or the question (AAA03 {reasons}).",
                "Check member id, name, birth date and payer against the insurance card.",
                evidence,
                hold="COVERAGE_UNKNOWN",
            )
        )
    elif referred:
        findings.append(
            _finding(
                "carve_out",
                "The payer refers mental health benefits to another administrator.",
                "Record the administrator as the payer of this coverage, with its member id.",
                evidence,
                hold="COVERAGE_UNKNOWN",
            )
        )
    elif not stated:
        findings.append(
            _finding(
                "coverage_not_stated",
                "The payer's answer does not say whether the patient is covered on the day.",
                "Ask the payer, then correct the coverage.",
                evidence,
                hold="COVERAGE_UNKNOWN",
            )
        )
    elif not active:
        findings.append(
            _finding(
                "coverage_inactive",
                "The payer says that group psychotherapy is not covered on the day of service.",
                "Find other or renewed coverage for that day.",
                evidence,
                hold="COVERAGE_INACTIVE",
            )
        )
    elif any(item.information not in _ACTIVE for item in status):
        findings.append(
            _finding(
                "coverage_mixed",
                "The payer covers some mental health services on the day and others not.",
                "Ask the payer whether group psychotherapy is covered; the claim goes on.",
                evidence,
                severity=Severity.WARN,
            )
        )
    if (
        facts.coverage is not None
        and response.member_id
        and response.member_id != facts.coverage.member_id
    ):
        findings.append(
            _finding(
                "member_id_changed",
                "The payer knows the patient under another member id than the one on file.",
                "The claim carries the payer's; correct the coverage on file.",
                evidence,
                severity=Severity.WARN,
            )
        )
    if any(
        item.insurance_type == _QUALIFIED_MEDICARE_BENEFICIARY and item.in_force(day)
        for item in response.benefits
    ):
        findings.append(
            _finding(
                "qualified_medicare_beneficiary",
                "The patient owes no Medicare deductible, coinsurance or copay.",
                "Collect nothing; what Medicare leaves goes to Medicaid.",
                evidence,
                severity=Severity.WARN,
            )
        )
    return BenefitReading(answer=answer, findings=tuple(findings))


_Tiers = tuple[tuple[Benefit, ...], ...]


def _decides(item: Benefit) -> bool:
    """Whether the benefit says something about coverage, or who can say it."""
    return item.information in _STATUS or (item.information == _ASK_ANOTHER and item.administrator)


def _tiers(benefits: Sequence[Benefit], code: str) -> _Tiers:
    """The benefits by how near they are to the service: procedure, then service types."""
    return (
        tuple(item for item in benefits if item.procedure_code == code),
        *(
            tuple(
                item
                for item in benefits
                if not item.procedure_code and wanted.intersection(item.service_types)
            )
            for wanted in _SERVICE_TYPES
        ),
    )


def _nearest(tiers: _Tiers, wanted: Callable[[Benefit], bool]) -> tuple[Benefit, ...]:
    """The wanted benefits of the first tier that has any; out of network only without others."""
    for tier in tiers:
        found = tuple(item for item in tier if wanted(item))
        if found:
            in_network = tuple(item for item in found if item.in_network != _OUT_OF_NETWORK)
            return in_network or found
    return ()


def _authorization(tiers: _Tiers) -> Literal["Y", "N", "U"]:
    """The nearest word on authorization; where one benefit asks for it, it is needed."""
    found = _nearest(tiers, lambda item: item.authorization in _AUTHORIZATION_ANSWERS)
    said = {item.authorization for item in found}
    if "Y" in said:
        return "Y"
    return "N" if said == {"N"} else "U"


def _copay(tiers: _Tiers) -> Cents | None:
    found = _nearest(tiers, lambda item: item.information == _COPAY and item.cents is not None)
    return max((item.cents for item in found if item.cents is not None), default=None)


def _coinsurance(tiers: _Tiers) -> int | None:
    found = _nearest(
        tiers, lambda item: item.information == _COINSURANCE and item.percent is not None
    )
    percents = {item.percent * 100 for item in found if item.percent is not None}
    whole = {int(percent) for percent in percents if percent == int(percent)}
    return max(whole, default=None)


def _finding(
    rule: str,
    sentence: str,
    fix: str,
    evidence: tuple[str, ...],
    *,
    severity: Severity = Severity.BLOCK,
    hold: str | None = None,
) -> Finding:
    return Finding(
        rule=rule, severity=severity, sentence=sentence, fix=fix, evidence=evidence, hold=hold
    )
