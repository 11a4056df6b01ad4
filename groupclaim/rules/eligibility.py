"""Coverage: what a payer says about one patient, one day and 90853, and what that means.

The ladder: nothing on file, payer silent, member unknown, another Medicare plan, another
administrator, not stated, not covered, inactive; then what limits active coverage: visits,
referral, diagnosis, frequency. A benefits call by telephone stands in where the 271 is silent or
does not know, and counts as evidence against it where it says that there is no coverage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from groupclaim.model.base import Record
from groupclaim.model.facts import ClaimFacts, EligibilityAnswer
from groupclaim.model.finding import Finding, Severity, Source
from groupclaim.model.money import Cents
from groupclaim.model.patient import CoverageCall
from groupclaim.model.practice import Payer
from groupclaim.policy.payer import PayerPolicy

_ACTIVE = frozenset("12345")
_INACTIVE = frozenset("678")
_NOT_COVERED = frozenset("IE")
_STATUS = _ACTIVE | _INACTIVE | _NOT_COVERED
_ASK_ANOTHER, _OTHER_PAYER = "U", "R"
_COINSURANCE, _COPAY, _LIMITATION = "A", "B", "F"
_AUTHORIZATION_ANSWERS = frozenset("YNU")
_OUT_OF_NETWORK = "N"
_QUALIFIED_MEDICARE_BENEFICIARY = "QM"

_MEDICARE_PART_B = "MB"
"""Claim filing indicator of a payer that is Medicare itself."""

_MEDICARE_RISK = "HN"
_MEDICARE_ADVANTAGE = frozenset({_MEDICARE_RISK, "HM", "PR", "PS", "IN"})
"""EB04 of a Medicare Advantage plan; all but the first only where EB01 names another payer."""

_BEHAVIORAL = frozenset({"MH", "A4", "A6", "A8", "CF"})
_SERVICE_TYPES = (_BEHAVIORAL, frozenset({"98"}), frozenset({"30"}))
"""Service type codes from the nearest to group psychotherapy to the whole plan."""

_OF_MENTAL_HEALTH = 2
"""How many tiers of benefits speak of mental health alone: a limit of others is not ours."""

_NO_ANSWER_YET = frozenset({"42", "80"})
"""AAA03: the payer's system did not answer; the question may be put again."""

_ADMINISTRATORS = frozenset({"PR", "PRP", "SEP", "TTP", "X3", "VN", "Y2", "2B"})
"""Roles in a 2120 loop of those who may pay or administer in place of the payer asked; a primary
care provider or an employer is none."""

_REMAINING, _USED = "29", "99"
_VISITS = frozenset({"VS", "P6", "M2"})

_ANSWER_DAYS = 30
"""How long an answer counts where the payer's policy does not say: groupclaim's own choice."""

_FEW_VISITS = 3


class Administrator(Record):
    """Who else is named to ask or bill (2120): ``payer_id`` or ``member_id``, whichever its
    identifier was said to be."""

    role: str
    name: str
    payer_id: str | None = None
    member_id: str | None = None

    @property
    def administers(self) -> bool:
        return self.role in _ADMINISTRATORS

    def is_payer(self, payer: Payer) -> bool:
        """True when ``payer`` is the one named: by payer id, or by name where no id is given."""
        if self.payer_id is not None:
            return self.payer_id == payer.payer_id
        return _letters(self.name) == _letters(payer.name)


class Benefit(Record):
    """One EB of a 271, as far as coverage of a visit needs it.

    ``information`` EB01, ``service_types`` EB03, ``insurance_type`` EB04, ``period`` EB06,
    ``cents`` EB07, ``percent`` EB08 as a fraction of one, ``quantity_qualifier`` EB09 and
    ``quantity`` EB10, ``authorization`` EB11, ``in_network`` EB12, ``procedure_code`` EB13; empty
    when not said. ``first_day`` and ``last_day`` are the benefit's own dates, or the plan's.
    ``administrator`` is the other entity that is named.
    """

    information: str
    service_types: tuple[str, ...] = ()
    insurance_type: str = ""
    period: str = ""
    cents: Cents | None = None
    percent: Decimal | None = None
    quantity_qualifier: str = ""
    quantity: Decimal | None = None
    authorization: str = ""
    in_network: str = ""
    procedure_code: str = ""
    first_day: date | None = None
    last_day: date | None = None
    administrator: Administrator | None = None

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
    """``answer`` is None when the payer's system did not answer: ask again later.
    ``administrator`` is whom to ask next, when the payer refers mental health to another, or
    Medicare to a plan."""

    answer: EligibilityAnswer | None
    findings: tuple[Finding, ...]
    administrator: Administrator | None = None


def coverage_on_file(facts: ClaimFacts) -> tuple[Finding, ...]:
    """Holds a claim of a patient for whom nothing on file covers the day of service."""
    if facts.payer is not None and facts.coverage is not None:
        return ()
    return (
        _finding(
            "no_coverage_on_file",
            "No coverage on file is in force on the day of service.",
            "Record the patient's coverage for that day.",
            facts,
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
    if _NO_ANSWER_YET.intersection(response.rejections):
        return BenefitReading(
            answer=None,
            findings=(
                _finding(
                    "eligibility_not_answered",
                    "The payer's eligibility system did not answer.",
                    "Nothing to do: the question is put again.",
                    facts,
                    severity=Severity.INFO,
                ),
            ),
        )
    day = facts.service_date
    current = [item for item in response.benefits if item.in_force(day)]
    tiers = _tiers(current, code)
    deciding = _nearest(tiers, _decides)
    status = [item for item in deciding if item.information in _STATUS]
    active = any(item.information in _ACTIVE for item in status)
    administrator = _administrator(deciding, facts.payer)
    plan = _medicare_advantage(current, facts.payer)
    beneficiary = any(item.insurance_type == _QUALIFIED_MEDICARE_BENEFICIARY for item in current)
    answer = EligibilityAnswer(
        active=active and not response.rejections and administrator is None and plan is None,
        member_known=not response.rejections,
        authorization_required=_authorization(tiers),
        member_id=response.member_id,
        group_number=response.group_number,
        copay=_copay(tiers),
        coinsurance_percent=_coinsurance(tiers),
        checked_at=checked_at,
        qualified_medicare_beneficiary=beneficiary,
        visits_remaining=_visits_remaining(tiers),
        asked=facts.payer.ref if facts.payer else None,
        asked_member_id=facts.coverage.member_id if facts.coverage else None,
    )
    findings: list[Finding] = []
    if response.rejections:
        reasons = ", ".join(sorted(set(response.rejections)))
        findings.append(
            _finding(
                "member_unknown",
                f"The payer could not match the patient or the question (AAA03 {reasons}).",
                "Check member id, name, birth date and payer against the insurance card.",
                facts,
                hold="COVERAGE_UNKNOWN",
            )
        )
    elif plan is not None:
        findings.append(_other_plan(plan, facts))
    elif administrator is not None:
        findings.append(carve_out(administrator, facts))
    elif not status and not _nearest(_tiers(response.benefits, code), _decides):
        findings.append(
            _finding(
                "coverage_not_stated",
                "The payer's answer does not say whether the patient is covered on the day.",
                "Ask the payer, then correct the coverage.",
                facts,
                hold="COVERAGE_UNKNOWN",
            )
        )
    elif not active:
        # What is said only of other days says that this one is not covered.
        findings.append(_no_coverage(status, tiers, facts))
    elif any(item.information not in _ACTIVE for item in status):
        findings.append(
            _finding(
                "coverage_mixed",
                "The payer covers some mental health services on the day and others not.",
                "Ask the payer whether group psychotherapy is covered; the claim goes on.",
                facts,
                severity=Severity.WARN,
            )
        )
    findings += _told_besides(response, current, plan, answer, facts)
    if plan is not None:
        administrator = plan.administrator
    return BenefitReading(answer=answer, findings=tuple(findings), administrator=administrator)


def carve_out(administrator: Administrator, facts: ClaimFacts) -> Finding:
    """Holds a claim whose payer leaves mental health to one who is not on file, naming what to
    load."""
    identified = f", payer id {administrator.payer_id}" if administrator.payer_id else ""
    return _finding(
        "carve_out",
        f"The payer leaves mental health to {administrator.name or 'another'}{identified}, "
        "which is not among the payers on file.",
        f"Load {administrator.name or 'the administrator'} as a payer"
        + (f" with payer_id {administrator.payer_id}" if administrator.payer_id else "")
        + ", its policy and contract; it is then asked and billed.",
        facts,
        hold="CARVE_OUT",
    )


def referred_to(
    administrator: Payer, first: tuple[Finding, ...], facts: ClaimFacts
) -> tuple[Finding, ...]:
    """What the ``first`` payer's answer found, once the one that it refers to is on file: the claim
    goes there, and not to the payer of the coverage."""
    by_medicare = any(item.rule == "medicare_advantage" for item in first)
    told = _finding(
        "medicare_advantage_billed" if by_medicare else "carved_out",
        f"Medicare names the plan {administrator.name}, which is billed in its place."
        if by_medicare
        else f"The payer leaves mental health to {administrator.name}, which is billed.",
        "Record it as a coverage of the patient, with its own member id and dates.",
        facts,
        severity=Severity.WARN,
    )
    return (*(item for item in first if item.rule not in _OF_THE_FIRST_ALONE), told)


_OF_THE_FIRST_ALONE = frozenset({"carve_out", "medicare_advantage", "member_id_changed"})


def referred_again(facts: ClaimFacts) -> Finding:
    """Holds a claim whose administrator refers to yet another one."""
    return _finding(
        "carve_out_again",
        "The administrator that the payer refers to refers to another one in turn.",
        "Ask both by telephone who pays, and record that one as the patient's coverage.",
        facts,
        hold="CARVE_OUT",
    )


def judge_answer(answer: EligibilityAnswer, facts: ClaimFacts) -> tuple[Finding, ...]:
    """What an answer says that was not read from a 271 just now: given by hand, or kept."""
    if answer.active:
        return ()
    rule, sentence, hold = (
        ("coverage_inactive", "The payer says that the patient is not covered on the day.",
         "COVERAGE_INACTIVE")
        if answer.member_known
        else ("member_unknown", "The payer could not match the patient.", "COVERAGE_UNKNOWN")
    )  # fmt: skip
    return (
        _finding(
            rule, sentence, "Find other or corrected coverage for that day.", facts, hold=hold
        ),
    )


# --- what the payer said by telephone

_OVERRULED = frozenset(
    {"member_unknown", "coverage_not_stated", "coverage_inactive", "service_not_covered"}
)


def call_on_file(facts: ClaimFacts) -> CoverageCall | None:
    """The last call in which the claim's payer spoke of the day of service."""
    fitting = [
        item
        for item in facts.coverage_calls
        if item.patient == facts.patient.ref
        and facts.payer is not None
        and item.payer == facts.payer.ref
        and item.in_force(facts.service_date)
    ]
    return max(fitting, key=lambda item: (item.called_at, item.reference), default=None)


def with_call(reading: BenefitReading, facts: ClaimFacts) -> BenefitReading:
    """``reading`` with what the payer said by telephone, where a call is on file.

    The call answers what the 271 left open, and stands against a 271 that found no coverage; it
    never overrules that another plan or administrator pays.
    """
    call = call_on_file(facts)
    if call is None:
        return reading
    said = reading.answer
    if said is None:
        said = EligibilityAnswer(
            active=call.active,
            member_known=True,
            authorization_required=call.authorization_required,
            member_id=None,
            copay=call.copay_cents,
            coinsurance_percent=call.coinsurance_percent,
            checked_at=call.called_at,
            asked=call.payer,
            asked_member_id=facts.coverage.member_id if facts.coverage else None,
        )
        findings = judge_answer(said, facts)
        overruled = True
    else:
        findings = reading.findings
        overruled = call.active and any(item.rule in _OVERRULED for item in findings)
        if overruled:
            findings = tuple(item for item in findings if item.rule not in _OVERRULED)
    answer = said.model_copy(
        update={
            "active": call.active if overruled else said.active,
            "member_known": said.member_known or overruled,
            "authorization_required": said.authorization_required
            if said.authorization_required != "U"
            else call.authorization_required,
            "visits_remaining": _first_said(said.visits_remaining, call.visits_remaining),
            "referral_required": _first_said(said.referral_required, call.referral_required),
            "copay": _first_said(said.copay, call.copay_cents),
            "coinsurance_percent": _first_said(said.coinsurance_percent, call.coinsurance_percent),
            "call": call.reference,
        }
    )
    sentence = (
        "Coverage rests on what the payer said by telephone"
        if overruled
        else "The payer also answered by telephone"
    )
    findings += (
        _finding(
            "coverage_by_telephone",
            f"{sentence} on {call.called_at:%Y-%m-%d} (reference {call.reference}).",
            "Keep the reference: it is the evidence if the payer decides otherwise.",
            facts,
            severity=Severity.WARN if overruled else Severity.INFO,
        ),
    )
    if not call.active and said.active:
        findings += (
            _finding(
                "coverage_contradicted",
                "By telephone the payer said that there is no coverage; its 271 says there is.",
                "Ask the payer again before the claim is relied on.",
                facts,
                severity=Severity.WARN,
            ),
        )
    return BenefitReading(answer=answer, findings=findings, administrator=reading.administrator)


def _first_said(first: object, second: object) -> object:
    return first if first is not None else second


# --- how old an answer may be


def answer_is_stale(facts: ClaimFacts, policy: PayerPolicy) -> bool:
    """Whether the payer must be asked again for the day of service: its answer came too long
    before that day, or, where eligibility is given by the month, in an earlier month."""
    answer = facts.eligibility
    if answer is None:
        return False
    rule, day = policy.eligibility, facts.service_date
    asked = answer.checked_at.astimezone(ZoneInfo(facts.location.time_zone)).date()
    if asked >= day:
        return False
    days = rule.answer_days if rule is not None else _ANSWER_DAYS
    other_month = (asked.year, asked.month) != (day.year, day.month)
    return (day - asked).days > days or (rule is not None and rule.each_month and other_month)


# --- what limits active coverage


def coverage_limits(
    answer: EligibilityAnswer, facts: ClaimFacts, policy: PayerPolicy
) -> tuple[Finding, ...]:
    """Visits left, referral, diagnosis and frequency: what may still keep active coverage from
    paying. What the payer answered is a fact; only the policy's own word can be waived."""
    if not answer.active:
        return ()
    return (
        *_visits(answer, facts),
        *_referral(answer, facts, policy),
        *_diagnosis(facts, policy),
        *_frequency(facts, policy),
    )


def _visits(answer: EligibilityAnswer, facts: ClaimFacts) -> tuple[Finding, ...]:
    left = answer.visits_remaining
    if left is None or left > _FEW_VISITS:
        return ()
    if left > 0:
        return (
            _finding(
                "visits_running_out",
                f"The plan has {left} visits left in its period.",
                "Ask for more visits now, and tell the patient.",
                facts,
                severity=Severity.WARN,
            ),
        )
    return (
        _finding(
            "visits_exhausted",
            "The payer says that no visit is left in the plan's period.",
            "Ask the payer for more visits; a limit stricter than for other care may be appealed.",
            facts,
            hold="VISITS_EXHAUSTED",
        ),
    )


def _referral(
    answer: EligibilityAnswer, facts: ClaimFacts, policy: PayerPolicy
) -> tuple[Finding, ...]:
    by_policy = policy.referral is not None and policy.referral.required
    required = answer.referral_required
    if required is None:
        required = by_policy
    if not required or (facts.coverage is not None and facts.coverage.referral):
        return ()
    source = None
    if answer.referral_required is None and policy.referral is not None:
        source = policy.source(policy.referral)
    return (
        _finding(
            "referral_missing",
            "The payer asks for a referral and none is on file.",
            "Load the referral's number with the patient's coverage.",
            facts,
            hold="REFERRAL_REQUIRED",
            source=source,
        ),
    )


def _diagnosis(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Finding, ...]:
    rule = policy.diagnoses
    if rule is None or facts.plan is None:
        return ()
    diagnoses = facts.plan.diagnoses
    excluded = any(item.startswith(rule.cannot_benefit) for item in diagnoses)
    if not excluded and not all(item.startswith(rule.not_covered) for item in diagnoses):
        return ()
    return (
        _finding(
            "diagnosis_not_covered",
            "The payer does not cover group psychotherapy with a diagnosis of the treatment plan."
            if excluded
            else "The payer does not cover group psychotherapy for any diagnosis of the treatment "
            "plan.",
            "The clinician reviews the diagnoses; they are never changed to suit a payer.",
            facts,
            hold="DIAGNOSIS_NOT_COVERED",
            source=policy.source(rule),
        ),
    )


def _frequency(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Finding, ...]:
    rule = policy.frequency
    if rule is None:
        return ()
    day = facts.service_date
    if rule.per == "week":
        first = day - timedelta(days=day.weekday())
        before = [item for item in facts.other_session_days if first <= item < day]
    else:
        before = [item for item in facts.other_session_days if day.replace(day=1) <= item < day]
    if len(before) < rule.most:
        return ()
    return (
        _finding(
            "frequency_exceeded",
            f"The payer pays {rule.most} group sessions a {rule.per}; "
            f"this would be number {len(before) + 1}.",
            "Request an authorization for the additional session, or do not bill it.",
            facts,
            hold="FREQUENCY_EXCEEDED",
            source=policy.source(rule),
        ),
    )


# --- reading the 271


_Tiers = tuple[tuple[Benefit, ...], ...]


def _decides(item: Benefit) -> bool:
    """Whether the benefit says something about coverage, or who can say it."""
    return item.information in _STATUS or (
        item.information == _ASK_ANOTHER
        and item.administrator is not None
        and item.administrator.administers
    )


def _administrator(deciding: Sequence[Benefit], payer: Payer | None) -> Administrator | None:
    """Who administers mental health in the payer's place: named by a benefit that sends there, or
    by every active one for mental health (many payers answer for the administrator so)."""
    active = [item for item in deciding if item.information in _ACTIVE]
    sent = [item for item in deciding if item.information == _ASK_ANOTHER]
    named = active or (sent if not any(item.information in _STATUS for item in deciding) else [])
    others: list[Administrator] = []
    for item in named:
        other = item.administrator
        if (
            other is None
            or not other.administers
            or (payer is not None and other.is_payer(payer))
            or (item in active and not (item.procedure_code or _behavioral(item)))
        ):
            return None
        others.append(other)
    return others[0] if others else None


def _behavioral(item: Benefit) -> bool:
    return bool(_BEHAVIORAL.intersection(item.service_types))


def _medicare_advantage(benefits: Sequence[Benefit], payer: Payer | None) -> Benefit | None:
    """The benefit by which Medicare says that a Medicare Advantage plan covers the day."""
    if payer is None or payer.filing_indicator != _MEDICARE_PART_B:
        return None
    return next(
        (
            item
            for item in benefits
            if (item.information == _OTHER_PAYER and item.insurance_type in _MEDICARE_ADVANTAGE)
            or (
                item.information in _ACTIVE | {_ASK_ANOTHER}
                and item.insurance_type == _MEDICARE_RISK
            )
        ),
        None,
    )


def _other_plan(item: Benefit, facts: ClaimFacts) -> Finding:
    plan = item.administrator
    name = plan.name if plan is not None and plan.name else "a plan that the answer does not name"
    identified = f", payer id {plan.payer_id}" if plan is not None and plan.payer_id else ""
    return _finding(
        "medicare_advantage",
        f"Medicare says that a Medicare Advantage plan covers the day: {name}{identified}.",
        "Load the plan as a payer, its policy and contract; it is then asked and billed. Record it "
        "as the patient's first coverage too.",
        facts,
        hold="MEDICARE_ADVANTAGE",
    )


def _no_coverage(status: Sequence[Benefit], tiers: _Tiers, facts: ClaimFacts) -> Finding:
    active_plan = any(
        item.information in _ACTIVE for tier in tiers for item in tier if item not in status
    )
    if active_plan and status and all(item.information in _NOT_COVERED for item in status):
        return _finding(
            "service_not_covered",
            "The plan is active on the day of service and does not cover this service.",
            "Tell the patient; bill other coverage, or the patient after a notice given in time.",
            facts,
            hold="NOT_COVERED",
        )
    return _finding(
        "coverage_inactive",
        "The payer says that group psychotherapy is not covered on the day of service.",
        "Find other or renewed coverage for that day.",
        facts,
        hold="COVERAGE_INACTIVE",
    )


def _told_besides(
    response: BenefitResponse,
    current: Sequence[Benefit],
    plan: Benefit | None,
    answer: EligibilityAnswer,
    facts: ClaimFacts,
) -> list[Finding]:
    """What the answer says that changes the claim or the patient's share and holds nothing."""
    findings = []
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
                facts,
                severity=Severity.WARN,
            )
        )
    if plan is None and any(item.information == _OTHER_PAYER for item in current):
        findings.append(
            _finding(
                "other_payer_named",
                "The payer names another payer for the day; it may come first.",
                "Ask patient and payer who pays first, and record it as a coverage.",
                facts,
                severity=Severity.WARN,
            )
        )
    if answer.qualified_medicare_beneficiary:
        findings.append(
            _finding(
                "qualified_medicare_beneficiary",
                "The patient owes no Medicare deductible, coinsurance or copay.",
                "Collect nothing; what Medicare leaves goes to Medicaid.",
                facts,
                severity=Severity.WARN,
            )
        )
    return findings


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


def _visits_remaining(tiers: _Tiers) -> int | None:
    """Visits left in the plan's period: as the payer says, else its limit less what it counts as
    used; None when it does not say. The smallest of several counts, never below zero."""
    found = _nearest(
        tiers[:_OF_MENTAL_HEALTH],
        lambda item: (
            item.information == _LIMITATION
            and item.quantity is not None
            and item.quantity_qualifier in (*_VISITS, _USED)
        ),
    )
    left = [
        int(item.quantity)
        for item in found
        if item.quantity is not None
        and item.period == _REMAINING
        and item.quantity_qualifier in _VISITS
    ]
    if not left:
        used = [item.quantity for item in found if item.quantity_qualifier == _USED]
        limits = [item.quantity for item in found if item.quantity_qualifier in _VISITS]
        if used and limits:
            most = max(item for item in used if item is not None)
            left = [int(item - most) for item in limits if item is not None]
    return max(min(left), 0) if left else None


def _letters(name: str) -> str:
    return "".join(item for item in name.casefold() if item.isalnum())


def _finding(
    rule: str,
    sentence: str,
    fix: str,
    facts: ClaimFacts,
    *,
    severity: Severity = Severity.BLOCK,
    hold: str | None = None,
    source: Source | None = None,
) -> Finding:
    return Finding(
        rule=rule,
        severity=severity,
        sentence=sentence,
        fix=fix,
        evidence=(facts.claim_number, facts.patient_id),
        hold=hold,
        releasable=source is not None and not source.verified,
        source=source,
    )
