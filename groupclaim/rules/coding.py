"""Coding: what the claim says was done, and whether it may be said.

The main line is group psychotherapy, or that of several families. Beside it may stand an add-on
that the patient's own note supports, and an individual service of the day that was distinct.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from groupclaim.model.practice import Clinician, PerDiemContract, ProcedureCode
from groupclaim.model.session import Activity, OtherService, ProgressNote
from groupclaim.policy.edits import CodeEdits, EditPair
from groupclaim.policy.fee_schedule import FeeSchedule
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.documentation import supports_interactive_complexity
from groupclaim.rules.licences import billing_licence, rendering_clinician
from groupclaim.rules.pricing import (
    contract_in_force,
    expected_allowed,
    fee_in_force,
    place_of_service,
)
from groupclaim.rules.room import Engagement, check_room, service_of

GROUP_PSYCHOTHERAPY = "90853"
FAMILY_GROUP_PSYCHOTHERAPY = "90849"
INTERACTIVE_COMPLEXITY = "90785"

_BY_MINUTES = ((53, "90837"), (38, "90834"), (16, "90832"))
_HOSPITAL_OUTPATIENT = frozenset({"19", "22"})

_DIAGNOSIS: TypeAdapter[str] = TypeAdapter(Diagnosis)
_MAX_DIAGNOSES = 12
_MAX_POINTERS = 4
_MAX_MODIFIERS = 4


class CodedLine(Record):
    """A service line before it is given a control number; ``diagnosis_pointers`` count from 1."""

    code: ProcedureCode
    modifiers: tuple[Modifier, ...]
    charge: Annotated[Cents, Field(gt=0)]
    units: int
    place_of_service: str
    diagnosis_pointers: tuple[int, ...]
    service_date: date


class WithheldLine(Record):
    """A line that could stand on the claim and does not; ``reason`` is a code, its finding says
    more. The rest of the claim goes on."""

    code: ProcedureCode
    modifiers: tuple[Modifier, ...] = ()
    reason: str


class Coded(Record):
    """The lines and diagnoses of a claim. ``lines`` is empty when a blocking finding says why.

    ``suggestions`` are codes that a coder may look at where group psychotherapy cannot be billed;
    ``rendering`` is the clinician whom the claim names.
    """

    lines: tuple[CodedLine, ...]
    diagnoses: tuple[str, ...]
    place_of_service: str
    findings: tuple[Finding, ...]
    withheld: tuple[WithheldLine, ...] = ()
    suggestions: tuple[ProcedureCode, ...] = ()
    rendering: Clinician


class _Beside(Record):
    """What stands beside the main line: findings, codes with modifiers and place, codes withheld,
    and the modifiers that the main line needs because of it."""

    findings: tuple[Finding, ...] = ()
    lines: tuple[tuple[ProcedureCode, tuple[Modifier, ...], str], ...] = ()
    withheld: tuple[WithheldLine, ...] = ()
    main_modifiers: tuple[Modifier, ...] = ()


def main_code(facts: ClaimFacts) -> ProcedureCode:
    """The code of the session itself: one unit a patient, or one a family."""
    return service_of(facts.session)


def individual_code(minutes: int) -> ProcedureCode | None:
    """The code of individual psychotherapy of so many minutes; None below sixteen."""
    return next((code for least, code in _BY_MINUTES if minutes >= least), None)


def code_claim(
    facts: ClaimFacts,
    policy: PayerPolicy,
    fee_schedule: FeeSchedule,
    diagnosis: str | None = None,
    *,
    note: ProgressNote | None = None,
    edits: CodeEdits | None = None,
    elsewhere: Sequence[Engagement] = (),
) -> Coded:
    """The lines of one patient's claim, and all that the room, the coding and the price give rise
    to. ``elsewhere`` are the day's other sessions of its clinician and of the patient.

    ``note`` is the patient's own: its diagnosis, if it is a code, comes first and is pointed to,
    and it alone supports 90785. ``diagnosis`` stands for the note where only that is known; without
    either the lines point to the treatment plan's. ``edits`` are the national edits, by default
    those that come with groupclaim.
    """
    edits = edits or CodeEdits.packaged()
    code = main_code(facts)
    place = place_of_service(facts, policy)
    beside = _merged(
        _same_day(facts, policy, edits, code),
        _interactive_complexity(facts, policy, edits, code, place, note),
        _after_hours(facts, policy, place),
    )
    units, too_many = _units(facts, policy, edits, code)
    activity, suggestions = _activity(facts, policy)
    families, instead = _families(facts, policy)
    findings = [
        *activity,
        *families,
        *check_room(facts, policy, elsewhere),
        *_remote(facts, policy),
        *_setting(facts, place),
        *_per_diem(facts, code),
        *too_many,
        *beside.findings,
    ]
    licence = billing_licence(facts, policy)
    rendering = rendering_clinician(facts, policy)
    degree = policy.licences.modifiers.get(licence.kind, ()) if licence else ()
    if rendering != facts.clinician:
        degree = (*policy.supervision.modifiers, *degree)
    drafts = [
        (code, (*beside.main_modifiers, *_telehealth_modifiers(facts, policy)), place, units),
        *((item, modifiers, where, 1) for item, modifiers, where in beside.lines),
    ]
    if licence is not None:
        for item, modifiers, where, _ in drafts:
            priced = expected_allowed(
                facts, policy, fee_schedule, item, place=where, modifiers=modifiers
            )
            if isinstance(priced, Finding):
                findings.append(priced)
    planned = facts.plan.diagnoses if facts.plan else ()
    named = _diagnosis_code(note.diagnosis if note else diagnosis)
    diagnoses = tuple(dict.fromkeys((*named, *planned)))[:_MAX_DIAGNOSES]
    if not diagnoses:
        findings.append(
            _finding(
                facts,
                "no_diagnosis",
                "Neither note nor treatment plan gives a diagnosis to bill.",
                "The clinician records the diagnosis in the note or the treatment plan.",
                hold="PLAN_INVALID",
            )
        )
    lines: list[CodedLine] = []
    if licence is not None and diagnoses and not _billed_on_another(facts):
        pointers = (1,) if named else tuple(range(1, min(len(diagnoses), _MAX_POINTERS) + 1))
        for item, modifiers, where, count in drafts:
            fee = fee_in_force(facts, item)
            if fee is None:
                lines = []
                break
            lines.append(
                CodedLine(
                    code=item,
                    modifiers=tuple(dict.fromkeys((*modifiers, *degree)))[:_MAX_MODIFIERS],
                    charge=Cents(fee.cents * count),
                    units=count,
                    place_of_service=where,
                    diagnosis_pointers=pointers,
                    service_date=facts.service_date,
                )
            )
    return Coded(
        lines=tuple(lines),
        diagnoses=diagnoses,
        place_of_service=place,
        findings=tuple(findings),
        withheld=beside.withheld,
        suggestions=(*suggestions, *instead),
        rendering=rendering,
    )


def _merged(*parts: _Beside) -> _Beside:
    return _Beside(
        findings=tuple(item for part in parts for item in part.findings),
        lines=tuple(item for part in parts for item in part.lines),
        withheld=tuple(item for part in parts for item in part.withheld),
        main_modifiers=tuple(item for part in parts for item in part.main_modifiers),
    )


def _finding(
    facts: ClaimFacts,
    rule: str,
    sentence: str,
    fix: str = "",
    *,
    severity: Severity = Severity.BLOCK,
    hold: str | None = None,
    releasable: bool = False,
    source: Source | None = None,
) -> Finding:
    return Finding(
        rule=rule,
        severity=severity,
        sentence=sentence,
        fix=fix,
        evidence=_evidence(facts),
        hold=hold,
        releasable=releasable,
        source=source,
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


# --- what the group did, and for whom


def _activity(
    facts: ClaimFacts, policy: PayerPolicy
) -> tuple[tuple[Finding, ...], tuple[ProcedureCode, ...]]:
    excluded, activity = policy.excluded_activities, facts.session.activity
    if activity not in excluded.activities:
        return (), ()
    suggestions = excluded.suggestions.get(activity, ())
    instead = f"; {', '.join(suggestions)} may fit with this payer" if suggestions else ""
    return (
        _finding(
            facts,
            "excluded_activity",
            f"The group did {activity.replace('_', ' ')}: that is not psychotherapy.",
            f"Correct the activity if it is wrong; else a coder looks for another code{instead}.",
            hold="EXCLUDED_ACTIVITY",
            releasable=not excluded.verified,
            source=policy.source(excluded),
        ),
    ), suggestions


def _families(
    facts: ClaimFacts, policy: PayerPolicy
) -> tuple[tuple[Finding, ...], tuple[ProcedureCode, ...]]:
    """Whether enough families make a group; else, as for one patient alone, the codes that may fit
    instead."""
    if facts.session.activity is not Activity.FAMILY_PSYCHOTHERAPY:
        instead = individual_code(facts.minutes) if facts.group_size == 1 else None
        return (), (instead,) if instead else ()
    if len(facts.session.families) < 2:
        return (
            _finding(
                facts,
                "one_family",
                "One family alone is no group of families.",
                "Bill family psychotherapy: 90847 with the patient, 90846 without.",
                hold="GROUP_SIZE_REVIEW",
            ),
        ), ("90847", "90846")
    if _billed_on_another(facts):
        return (
            _finding(
                facts,
                "family_billed_once",
                "The family's service is billed once, on another of its members.",
                "Nothing to bill for this member; correct the families if they are wrong.",
                hold="DUPLICATE",
            ),
        ), ()
    group = policy.family_group
    if group.payment == "separate":
        return (), ()
    return (
        _finding(
            facts,
            "family_group_coverage",
            f"Whether this payer covers {FAMILY_GROUP_PSYCHOTHERAPY} has to be looked at."
            if group.payment == "review"
            else f"This payer is not known to pay {FAMILY_GROUP_PSYCHOTHERAPY}.",
            "Ask the payer or its contractor, then release with what it answered.",
            hold="MAC_COVERAGE_REVIEW",
            releasable=group.payment == "review" or not group.verified,
            source=policy.source(group),
        ),
    ), ()


def _billed_on_another(facts: ClaimFacts) -> bool:
    return any(
        facts.patient.ref in family.members and family.billed != facts.patient.ref
        for family in facts.session.families
    )


# --- how and where


def _remote(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Finding, ...]:
    remote, telehealth = facts.taken_part_remotely, policy.telehealth
    if remote is None:
        return ()
    source, medium = policy.source(telehealth), "picture and sound"
    taken = telehealth.video
    if remote.medium == "audio_only":
        taken, medium = telehealth.audio, "sound alone"
    findings = []
    if taken != "covered":
        findings.append(
            _finding(
                facts,
                "telehealth_table",
                f"The payer's table must show {main_code(facts)} by {medium}."
                if taken == "check"
                else f"The payer is not known to take {main_code(facts)} by {medium}.",
                "Look into the payer's current telehealth table, then release with what it says.",
                hold="TELEHEALTH_TABLE_CHECK",
                releasable=taken == "check" or not telehealth.verified,
                source=source,
            )
        )
    if remote.medium == "audio_only" and telehealth.audio_needs_consent and not remote.consented:
        findings.append(
            _finding(
                facts,
                "audio_only_without_consent",
                "No consent to take part by sound alone is recorded.",
                "Record the patient's consent and why picture was not used.",
                hold="TELEHEALTH_TABLE_CHECK",
                releasable=not telehealth.verified,
                source=source,
            )
        )
    if telehealth.in_person_visit_months is not None and remote.place == "home":
        findings.append(
            _finding(
                facts,
                "in_person_visit",
                "The payer asks for a visit in person within "
                f"{telehealth.in_person_visit_months} months before one from home.",
                "Look up the last visit in person, then release with its date.",
                hold="TELEHEALTH_TABLE_CHECK",
                releasable=True,
                source=source,
            )
        )
    return tuple(findings)


def _telehealth_modifiers(facts: ClaimFacts, policy: PayerPolicy) -> tuple[Modifier, ...]:
    remote = facts.taken_part_remotely
    if remote is None:
        return ()
    if remote.medium == "audio_only":
        return policy.telehealth.audio_modifiers
    return policy.telehealth.video_modifiers


def _setting(facts: ClaimFacts, place: str) -> tuple[Finding, ...]:
    if place not in _HOSPITAL_OUTPATIENT:
        return ()
    return (
        _finding(
            facts,
            "hospital_outpatient",
            "The service was in a hospital outpatient department: the hospital's own claim is "
            "subject to the packaging edits of outpatient prospective payment.",
            "Tell the hospital's billing that the clinician's part is billed here.",
            severity=Severity.INFO,
        ),
    )


def _per_diem(facts: ClaimFacts, code: str) -> tuple[Finding, ...]:
    contract = contract_in_force(facts)
    if not isinstance(contract, PerDiemContract) or code not in contract.includes:
        return ()
    return (
        _finding(
            facts,
            "inside_per_diem",
            f"The contract pays the day as a whole and {code} with it: nothing is paid apart.",
            "Bill the day; release only if this was outside the programme.",
            hold="CONTRACT_CHECK",
            releasable=True,
        ),
    )


def _units(
    facts: ClaimFacts, policy: PayerPolicy, edits: CodeEdits, code: str
) -> tuple[int, tuple[Finding, ...]]:
    """The units to bill, and the finding that they were more. No modifier splits the rest off: 59
    may not be used to get round a unit limit."""
    asked, most, source = facts.session.units, policy.units.per_day, policy.source(policy.units)
    limit = edits.unit_limit(code, "practitioner", facts.service_date)
    if limit is not None and limit.units < most:
        most, source = limit.units, limit.cited()
    if asked <= most:
        return asked, ()
    return most, (
        _finding(
            facts,
            "units_over_max",
            f"{asked} units were to be billed; the payer takes {most} a day, however long.",
            f"Nothing to do: the claim goes with {most}.",
            severity=Severity.WARN,
            source=source,
        ),
    )


# --- beside the main line


def _interactive_complexity(
    facts: ClaimFacts,
    policy: PayerPolicy,
    edits: CodeEdits,
    code: str,
    place: str,
    note: ProgressNote | None,
) -> _Beside:
    """90785 where it was asked for and this patient's own note says why; never for the room."""
    asked = facts.patient.ref in facts.session.interactive_complexity
    group = policy.interactive_complexity
    source = policy.source(group)
    if not asked:
        return _Beside()
    if not supports_interactive_complexity(note):
        return _without(
            facts,
            "interactive_complexity_unsupported",
            "The patient's note describes none of the factors that 90785 needs.",
            "Bill it only if the clinician can describe the factor for this patient.",
            source,
        )
    if group.payment != "separate":
        return _without(
            facts,
            "interactive_complexity_not_paid",
            "The payer is not known to pay 90785 apart.",
            "Nothing to do unless the payer's policy says otherwise.",
            source,
            severity=Severity.WARN if group.payment == "review" else Severity.INFO,
        )
    primaries = edits.add_on(INTERACTIVE_COMPLEXITY, facts.service_date)
    if not any(item.primary == code for item in primaries):
        return _without(
            facts,
            "add_on_without_primary",
            f"90785 does not stand with {code}.",
            "Leave it off.",
            primaries[0].cited() if primaries else source,
        )
    remote = _telehealth_modifiers(facts, policy)
    return _Beside(lines=((INTERACTIVE_COMPLEXITY, remote, place),))


def _without(
    facts: ClaimFacts,
    rule: str,
    sentence: str,
    fix: str,
    source: Source,
    *,
    severity: Severity = Severity.WARN,
) -> _Beside:
    return _Beside(
        findings=(_finding(facts, rule, sentence, fix, severity=severity, source=source),),
        withheld=(WithheldLine(code=INTERACTIVE_COMPLEXITY, reason=rule.upper()),),
    )


def _after_hours(facts: ClaimFacts, policy: PayerPolicy, place: str) -> _Beside:
    code, group = facts.session.after_hours, policy.after_hours
    if code is None:
        return _Beside()
    if group.payment == "separate":
        return _Beside(lines=((code, (), place),))
    return _Beside(
        findings=(
            _finding(
                facts,
                "after_hours_not_paid",
                f"The payer pays {code} with the main service, not apart."
                if group.payment == "bundled"
                else f"The payer is not known to pay {code}.",
                "Nothing to do unless the payer's policy says otherwise.",
                severity=Severity.WARN if group.payment == "review" else Severity.INFO,
                source=policy.source(group),
            ),
        ),
        withheld=(WithheldLine(code=code, reason="AFTER_HOURS_NOT_PAID"),),
    )


def _same_day(facts: ClaimFacts, policy: PayerPolicy, edits: CodeEdits, code: str) -> _Beside:
    """What another service of the same patient and day means for this claim.

    NCCI pairs touch one clinician's services of a day, and reduce the column-two code, whatever the
    order in time: the modifier belongs on that line.
    """
    others = [
        service
        for service in facts.other_services
        if service.patient == facts.patient.ref and _day(facts, service) == facts.service_date
    ]
    parts = [_second_group(facts, policy, others, code)]
    source = policy.source(policy.same_day)
    for service in others:
        same_clinician = service.clinician in (None, facts.clinician.ref)
        pair = edits.pair(code, service.code, facts.service_date) if same_clinician else None
        if service.code in policy.same_day.review or (
            pair is not None and policy.same_day.with_individual == "deny"
        ):
            sentence = f"The patient also had {service.code} that day; the payer may pay only one."
            parts.append(_Beside(findings=(_same_day_hold(facts, sentence, source),)))
        elif pair is not None and (
            policy.same_day.with_individual == "allow_with_59" or not service.billed_elsewhere
        ):
            parts.append(_paired(facts, policy, service, pair))
    return _merged(*parts)


def _second_group(
    facts: ClaimFacts, policy: PayerPolicy, others: list[OtherService], code: str
) -> _Beside:
    groups = [service for service in others if service.code == code]
    if any(
        service.billed_elsewhere
        and service.clinician in (None, facts.clinician.ref)
        and _overlaps(facts, service)
        for service in groups
    ):
        return _Beside(
            findings=(
                _finding(
                    facts,
                    "duplicate",
                    "The same service of this clinician at this time is already billed.",
                    "Find the other claim; this one goes only if that one was wrong.",
                    hold="DUPLICATE",
                    releasable=True,
                ),
            )
        )
    if len(groups) + 1 <= policy.units.per_day:
        return _Beside()
    sentence = (
        f"The patient had {len(groups) + 1} group sessions that day; the payer pays "
        f"{policy.units.per_day}."
    )
    return _Beside(findings=(_same_day_hold(facts, sentence, policy.source(policy.units)),))


def _same_day_hold(facts: ClaimFacts, sentence: str, source: Source) -> Finding:
    return _finding(
        facts,
        "same_day_service",
        sentence,
        "A coder decides which one is billed, then releases with the reason.",
        hold="SAME_DAY_SERVICE",
        releasable=not source.verified,
        source=source,
    )


def _paired(
    facts: ClaimFacts, policy: PayerPolicy, service: OtherService, pair: EditPair
) -> _Beside:
    """Another service that the edits pair with this one. It is billed beside it only when it was
    distinct; the modifier stands on the column-two line."""
    modifier = policy.same_day.distinct_modifier
    needed = (modifier,) if policy.same_day.with_individual == "allow_with_59" else ()
    on_other = needed if pair.column_two == service.code else ()
    on_main = needed if pair.column_two != service.code else ()
    overlaps = _overlaps(facts, service)
    if service.billed_elsewhere:
        return _Beside(
            findings=(
                _same_day_individual(
                    facts,
                    pair,
                    f"{service.code} overlaps the group session: it is not distinct from it."
                    if overlaps
                    else f"{service.code} the same day takes modifier 59 or XE; "
                    f"{pair.column_one} takes none.",
                    f"Bill {service.code} only for a separate session with a note of its own.",
                    Severity.WARN if overlaps else Severity.INFO,
                ),
            )
        )
    reason = _not_distinct(facts, service, pair)
    if reason is not None:
        return _Beside(
            findings=(
                _finding(
                    facts,
                    "not_distinct",
                    f"{service.code} stays off the claim: {reason}.",
                    f"Bill {service.code} once a signed note of its own shows a separate session; "
                    f"it then takes {modifier}.",
                    severity=Severity.WARN,
                    source=pair.cited(),
                ),
            ),
            withheld=(WithheldLine(code=service.code, modifiers=on_other, reason="NOT_DISTINCT"),),
        )
    return _Beside(
        findings=(
            _same_day_individual(
                facts,
                pair,
                f"{service.code} was a separate session: modifier {modifier} stands on "
                f"{pair.column_two}, the column-two code, and none on {pair.column_one}.",
                "",
                Severity.INFO,
            ),
        ),
        lines=((service.code, on_other, facts.location.place_of_service),),
        main_modifiers=on_main,
    )


def _not_distinct(facts: ClaimFacts, service: OtherService, pair: EditPair) -> str | None:
    """Why a paired service may not be billed beside this one; None when it may."""
    if _overlaps(facts, service):
        return "its time overlaps the group session"
    if not service.separate_note:
        return "no separate signed note of it is on file"
    if pair.indicator == "0":
        return "no modifier lets the pair through"
    if pair.indicator is None:
        return "whether a modifier lets the pair through is not known"
    by_time = individual_code(service.minutes)
    if service.code in {code for _, code in _BY_MINUTES} and by_time != service.code:
        return f"{service.minutes} minutes are {by_time or 'too short for any code'}"
    return None


def _overlaps(facts: ClaimFacts, service: OtherService) -> bool:
    session = facts.session
    return service.starts_at < session.ends_at and session.starts_at < service.ends_at


def _same_day_individual(
    facts: ClaimFacts, pair: EditPair, sentence: str, fix: str, severity: Severity
) -> Finding:
    return _finding(
        facts, "same_day_individual", sentence, fix, severity=severity, source=pair.cited()
    )


def _day(facts: ClaimFacts, service: OtherService) -> date:
    return service.starts_at.astimezone(ZoneInfo(facts.location.time_zone)).date()
