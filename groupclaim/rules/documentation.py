"""Documentation: whether note and treatment plan support the claim; D1 to D16 are its elements.

The note is read here and nowhere kept: findings name its fields, places in them and digests, never
their text, and never whom a note names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.patient import Patient
from groupclaim.model.session import ProgressNote
from groupclaim.policy.payer import NoteElement, PayerPolicy
from groupclaim.rules.cloning import (
    IndividualSection,
    Sections,
    likeness,
    passages,
    shared_texts,
)
from groupclaim.rules.licences import valid_licences
from groupclaim.rules.naming import Mention, members_named

_NAMES: dict[NoteElement, str] = {
    "start_time": "start time",
    "stop_time": "stop time",
    "attended": "attendance",
    "group_size": "group size",
    "topic": "group topic",
    "intervention": "intervention",
    "diagnosis": "diagnosis",
    "participation": "the patient's participation",
    "progress": "progress toward the goal",
    "goal": "goal of the treatment plan",
    "necessity": "why group therapy for this patient",
    "credential": "clinician's credential",
    "location_or_mode": "location or mode",
}


_SIGNED_LATE_UNTIL = timedelta(days=30)
"""A signature later than this needs an attestation: groupclaim's own choice. Contractors accept a
late signature after a short delay only and name no number of days."""

_USUAL_MINUTES = range(45, 91)
"""Minutes a group usually lasts: 45 to 60, with TRICARE up to 90. No limit of the code."""

_MINUTES_APART = 10
"""So far may note and attendance differ on how long the patient was there: own choice."""

_FEWEST_OWN_WORDS = 5
_FEWEST_FOR_ONE_DIAGNOSIS = 3

_TEXTS = (
    "topic", "group_summary", "intervention", "diagnosis", "participation", "progress", "goal",
    "necessity", "credential", "location_or_mode", "interactive_complexity",
)  # fmt: skip

_EXCLUDED = re.compile(
    r"\b(?:groom(?:ing)?|hygiene|activities of daily living|adls?|recreation\w*|crafts?|"
    r"(?:art|dance|music|movement|play) (?:group|hour|activit\w+|class)|karaoke|bingo|board games?|"
    r"games? night|movie|film night|outings?|field trips?|picnic|barbecue|meals? together|"
    r"(?:shared|group) (?:meal|lunch|dinner)|birthday|part(?:y|ies)|sociali[sz]ing|social hour|"
    r"sensory stimulation|cognitive stimulation|travel(?:ing)?|self[- ]help (?:materials?|group)|"
    r"report writing|(?:doing|do|did|filling (?:in|out)|filled (?:in|out)) (?:the )?paperwork|"
    r"exercise class|yoga class|"
    r"(?:medication|nutrition|health|psycho)?[- ]?education(?:al)? (?:class|group|session|only)|"
    r"education on \w+|class on \w+|lecture|handouts? (?:were )?(?:given|read)|"
    r"support group|peer support|12[- ]step|orientation to the program)\b",
    re.IGNORECASE,
)
"""What is no group psychotherapy (AAPC Psychiatry Coding Alert 139692, 145416), as notes put it."""

_THERAPY = re.compile(
    r"\b(?:psychotherap\w+|therap(?:y|ist|eutic)\w*|cognitive|behaviou?r\w*|cbt|dbt|emdr|"
    r"interpersonal|psychodynamic|motivational|expos\w+|activation|restructur\w+|process(?:ing|ed)|"
    r"mindful\w*|acceptance|defusion|values|role[- ]?play\w*|rehears\w+|problem[- ]solving|"
    r"trauma|grief|relapse prevention|skills? (?:training|practice|coaching)|coping|"
    r"reflect\w+|explor\w+|feedback|confront\w+|interpret\w+|insight|regulation|grounding|"
    r"assertive\w*|response prevention|urge surfing|schema|transference)\b",
    re.IGNORECASE,
)
"""Words by which an intervention is told from what is excluded."""

_NO_FACTOR = re.compile(
    r"\b(?:interpret\w+|translat\w+|extra time|longer|ran over)\b", re.IGNORECASE
)
_FACTOR = re.compile(
    r"\b(?:maladaptive|discord\w*|anxi\w+|agitat\w+|reactiv\w+|repeated\w*|disagree\w+|caregiver|"
    r"guardian|parent|mother|father|spouse|third part\w+|interfer\w+|sentinel|mandat\w+|"
    r"protective|report(?:ed|able)? (?:abuse|neglect)|abuse|neglect|devices?|toys?|drawing|"
    r"nonverbal|non-verbal|picture\w*|puppets?)\b",
    re.IGNORECASE,
)


_CLONED = "cloned_note"
_INDIVIDUAL = ":individual#"


@dataclass(frozen=True, slots=True)
class OtherNote:
    """A note to compare with: another patient's of the same session, or with ``same_patient`` one
    of the patient's own of an earlier session. ``claim_number`` says whose it is."""

    claim_number: str
    note: ProgressNote
    same_patient: bool = False


@dataclass(frozen=True, slots=True)
class Company:
    """What a note is looked at beside: the other ``members`` on the roster, signed ``notes``, and
    whether its text is another than when the same signature was first seen."""

    members: tuple[Patient, ...] = ()
    notes: tuple[OtherNote, ...] = ()
    changed_since_signature: bool = False


ALONE = Company()


def check_documentation(
    facts: ClaimFacts, note: ProgressNote | None, policy: PayerPolicy, company: Company = ALONE
) -> tuple[Finding, ...]:
    """What keeps the note and the plan from supporting the claim; nothing when they do.

    An element that the policy asks for and the note lacks can be released while the policy is
    unverified. A missing signature and a contradiction cannot: they are for the clinician to mend.
    The same comes out in whatever order the ``company`` is listed.
    """
    evidence = (facts.claim_number, facts.session_id, facts.patient_id)
    if note is None:
        return (_unsigned("note_missing", "The patient has no note of this session.", evidence),)
    if note.kind == "psychotherapy":
        return (_process_note(evidence),)
    return (
        *_signature(facts, note, policy, company, evidence),
        *_missing_elements(note, policy, evidence),
        *_contradictions(facts, note, evidence),
        *_plan(facts, policy, evidence),
        *_remote(facts, note, policy, evidence),
        *_excluded_activity(note, evidence),
        *_members_named(facts, note, company, evidence),
        *_cloned(facts, note, policy, company, evidence),
        *_times(facts, note, policy, evidence),
        *_one_diagnosis(note, company, evidence),
        *_interactive_complexity(facts, note, company, evidence),
    )


def copied_claims(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The claims whose notes the held note repeats, as the findings' evidence names them."""
    return tuple(
        dict.fromkeys(
            item.partition(_INDIVIDUAL)[0]
            for finding in findings
            if finding.rule == _CLONED
            for item in finding.evidence
            if _INDIVIDUAL in item
        )
    )


def supports_interactive_complexity(note: ProgressNote | None) -> bool:
    """Whether the note describes, for this patient, a factor that supports 90785.

    Interpreting, translating and extra time alone are none (BCBSIL reimbursement policy on
    psychotherapy).
    """
    if note is None or note.kind == "psychotherapy" or _blank(note.interactive_complexity):
        return False
    text = note.interactive_complexity
    return not _NO_FACTOR.search(text) or bool(_FACTOR.search(text))


def _process_note(evidence: tuple[str, ...]) -> Finding:
    return Finding(
        rule="psychotherapy_note_refused",
        severity=Severity.BLOCK,
        sentence="The record system gave psychotherapy (process) notes; they are not read here.",
        fix="The clinician files a progress note; process notes stay apart (45 CFR 164.501).",
        evidence=(*evidence, "note.kind"),
        hold="PROCESS_NOTE",
    )


def _signature(
    facts: ClaimFacts,
    note: ProgressNote,
    policy: PayerPolicy,
    company: Company,
    evidence: tuple[str, ...],
) -> tuple[Finding, ...]:
    """Signed by its author, after the session, in time, and not changed since (D12)."""
    zone = ZoneInfo(facts.location.time_zone)
    signed_at, ends_at = _local(note.signed_at, zone), facts.session.ends_at
    if note.signed_by is None or signed_at is None:
        return (_unsigned("note_unsigned", "The note is not signed and dated.", evidence),)
    days_to_sign = policy.documentation.days_to_sign or policy.clocks.days_to_note
    findings = []
    if note.signed_by != facts.clinician.ref:
        findings.append(
            _unsigned(
                "note_signed_by_other",
                "The note is signed by somebody other than the rendering clinician.",
                evidence,
            )
        )
    if signed_at < ends_at:
        findings.append(
            _unsigned(
                "note_signed_before_end",
                "The note was signed before the session had ended.",
                (*evidence, "note.signed_at"),
            )
        )
    if signed_at > ends_at + _SIGNED_LATE_UNTIL:
        findings.append(
            _unsigned(
                "note_signed_too_late",
                f"The note was signed more than {_SIGNED_LATE_UNTIL.days} days after the session.",
                (*evidence, "note.signed_at"),
                fix="Add the author's signed attestation to the record, then release.",
                releasable=True,
            )
        )
    elif signed_at > ends_at + timedelta(days=days_to_sign) and not note.late_entry:
        findings.append(
            _warning(
                "note_signed_late",
                f"The note was signed more than {days_to_sign} days after the session and is not "
                "marked as a late entry.",
                "The clinician marks it as a late entry with its true date.",
                (*evidence, "note.signed_at"),
            )
        )
    written_at, edited_at = _local(note.written_at, zone), _local(note.edited_at, zone)
    if company.changed_since_signature or (edited_at is not None and edited_at > signed_at):
        findings.append(
            _unsigned(
                "note_edited_after_signature",
                "The note was changed after it was signed.",
                (*evidence, "note.edited_at"),
            )
        )
    if written_at is not None and written_at < facts.session.starts_at:
        findings.append(
            _warning(
                "note_written_before_session",
                "The note was written before the session began.",
                "The clinician confirms that it tells what happened in the session.",
                (*evidence, "note.written_at"),
            )
        )
    licences = valid_licences(facts)
    supervised = licences and all(
        licence.kind in policy.supervision.supervised for licence in licences
    )
    if supervised and (note.cosigned_at is None or note.cosigned_by in (None, note.signed_by)):
        findings.append(
            _unsigned(
                "note_not_cosigned",
                "The clinician works under supervision and the supervisor has not countersigned.",
                (*evidence, "note.cosigned_by"),
                fix="The supervisor reviews and countersigns the note.",
            )
        )
    return tuple(findings)


def _unsigned(
    rule: str,
    sentence: str,
    evidence: tuple[str, ...],
    fix: str = "The rendering clinician completes and signs the note.",
    *,
    releasable: bool = False,
) -> Finding:
    return Finding(
        rule=rule,
        severity=Severity.BLOCK,
        sentence=sentence,
        fix=fix,
        evidence=evidence,
        hold="NOTE_UNSIGNED",
        releasable=releasable,
    )


def _warning(rule: str, sentence: str, fix: str, evidence: tuple[str, ...]) -> Finding:
    return Finding(rule=rule, severity=Severity.WARN, sentence=sentence, fix=fix, evidence=evidence)


def _missing_elements(
    note: ProgressNote, policy: PayerPolicy, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    missing = [
        element for element in policy.documentation.required if _blank(getattr(note, element))
    ]
    if not missing:
        return ()
    return (
        Finding(
            rule="note_incomplete",
            severity=Severity.BLOCK,
            sentence=f"The note lacks: {', '.join(_NAMES[element] for element in missing)}.",
            fix="The clinician completes the note and signs it again.",
            evidence=(*evidence, *(f"note.{element}" for element in missing)),
            hold="NOTE_INCOMPLETE",
            releasable=not policy.documentation.verified,
            source=policy.source(policy.documentation),
        ),
    )


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _contradictions(
    facts: ClaimFacts, note: ProgressNote, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Where the note says something else than the session, the attendance or the plan."""
    zone = ZoneInfo(facts.location.time_zone)
    start, stop = _local(note.start_time, zone), _local(note.stop_time, zone)
    session = facts.session
    wrong: list[tuple[str, str]] = []
    if note.patient is not None and note.patient != facts.patient.ref:
        wrong.append(("patient", "it is another patient's"))
    if note.clinician is not None and note.clinician != facts.clinician.ref:
        wrong.append(("clinician", "the clinician is not the session's"))
    if note.attended is False:
        wrong.append(("attended", "the patient did not attend"))
    if start is not None and stop is not None and stop <= start:
        wrong.append(("stop_time", "it stops before it starts"))
    if start is not None and not session.starts_at <= start < session.ends_at:
        wrong.append(("start_time", "it starts outside the session"))
    if stop is not None and not session.starts_at < stop <= session.ends_at:
        wrong.append(("stop_time", "it stops outside the session"))
    if note.group_size is not None and note.group_size != facts.group_size:
        wrong.append(("group_size", "the group size is not the number of patients treated"))
    if facts.plan is not None:
        if note.diagnosis.strip() and _code(note.diagnosis) not in facts.plan.diagnoses:
            wrong.append(("diagnosis", "the diagnosis is not in the treatment plan"))
        if note.goal.strip() and note.goal.strip() not in facts.plan.goals:
            wrong.append(("goal", "the goal is not in the treatment plan"))
    if not wrong:
        return ()
    return (
        Finding(
            rule="note_contradicts",
            severity=Severity.BLOCK,
            sentence=f"The note contradicts the record: {'; '.join(text for _, text in wrong)}.",
            fix="The clinician corrects the note, or the front desk the attendance.",
            evidence=(*evidence, *dict.fromkeys(f"note.{field}" for field, _ in wrong)),
            hold="NOTE_INCOMPLETE",
        ),
    )


def _local(moment: datetime | None, zone: ZoneInfo) -> datetime | None:
    """A note's time without an offset is meant where the session was held."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=zone)


def _code(diagnosis: str) -> str:
    return diagnosis.strip().replace(".", "").upper()


def _plan(facts: ClaimFacts, policy: PayerPolicy, evidence: tuple[str, ...]) -> tuple[Finding, ...]:
    plan = facts.plan
    if plan is None:
        wrong = "there is none on file"
    elif not plan.valid_on(facts.service_date):
        wrong = "it is not valid on the day of service"
    elif plan.signed_at > facts.session.ends_at:
        wrong = "it was signed only after the session"
    elif plan.modality == "individual":
        wrong = "it does not name group therapy"
    else:
        return ()
    return (
        Finding(
            rule="plan_invalid",
            severity=Severity.BLOCK,
            sentence=f"No treatment plan supports the session: {wrong}.",
            fix="The clinician signs a plan that names group therapy and covers the day.",
            evidence=(*evidence, "treatment_plan"),
            hold="PLAN_INVALID",
            releasable=not policy.documentation.verified,
            source=policy.source(policy.documentation),
        ),
    )


def _remote(
    facts: ClaimFacts, note: ProgressNote, policy: PayerPolicy, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    """Who was not in the room: where they were, and that they agreed to a group so held (D13)."""
    part = facts.taken_part_remotely
    if part is None:
        return ()
    missing = []
    if _blank(note.location_or_mode):
        missing.append(("location_or_mode", "from where and by which medium"))
    if not (note.telehealth_consent or part.consented):
        missing.append(("telehealth_consent", "the consent to a group at a distance"))
    if not missing:
        return ()
    return (
        Finding(
            rule="remote_part_undocumented",
            severity=Severity.BLOCK,
            sentence="The patient took part from elsewhere; the note lacks: "
            f"{' and '.join(text for _, text in missing)}.",
            fix="The clinician completes the note and signs it again.",
            evidence=(*evidence, *(f"note.{field}" for field, _ in missing)),
            hold="NOTE_INCOMPLETE",
            releasable=not policy.documentation.verified,
            source=policy.source(policy.documentation),
        ),
    )


def _excluded_activity(note: ProgressNote, evidence: tuple[str, ...]) -> tuple[Finding, ...]:
    """What was done by the note's words for the whole group, if that is no psychotherapy."""
    places = [
        f"note.{field}[{match.start()}:{match.end()}]"
        for field in ("topic", "group_summary", "intervention")
        for match in _EXCLUDED.finditer(getattr(note, field))
    ]
    if not places:
        return ()
    if _THERAPY.search(note.intervention) or _THERAPY.search(note.group_summary):
        return (
            _warning(
                "activity_to_confirm",
                "The note names an activity that is no psychotherapy, beside a method that is.",
                "Confirm that the activity served the method and was not the session itself.",
                (*evidence, *places),
            ),
        )
    return (
        Finding(
            rule="excluded_activity",
            severity=Severity.BLOCK,
            sentence="By the note the group did something that is not billed as psychotherapy.",
            fix="If therapy was given, the clinician says so in the note; else it is not billed as "
            "90853. For Medicaid, a coder looks at the codes for education.",
            evidence=(*evidence, *places),
            hold="EXCLUDED_ACTIVITY",
            releasable=True,
        ),
    )


_HOW_NAMED = {
    "full_name": "full name",
    "first_name": "first name",
    "last_name": "last name",
    "nickname": "nickname",
    "initials": "initials",
    "misspelled_name": "misspelled name",
}


def _members_named(
    facts: ClaimFacts, note: ProgressNote, company: Company, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    others = [item for item in company.members if item.ref != facts.patient.ref]
    texts = {field: getattr(note, field) for field in _TEXTS}
    mentions = members_named(texts, facts.patient, others, [facts.clinician])
    if not mentions:
        return ()
    rules = ", ".join(dict.fromkeys(_HOW_NAMED[item.rule] for item in mentions))
    return (
        Finding(
            rule="member_named",
            severity=Severity.BLOCK,
            sentence=f"The note seems to name another member of the group ({rules}; "
            f"{len(mentions)} {'place' if len(mentions) == 1 else 'places'}).",
            fix="The clinician takes the other member out at the given place and signs again; "
            "release if nobody of the group is meant.",
            evidence=(*evidence, *map(_place, mentions)),
            hold="MEMBER_NAMED",
            releasable=True,
        ),
    )


def _place(mention: Mention) -> str:
    return f"note.{mention.field}[{mention.start}:{mention.end}]:{mention.rule}"


def _cloned(
    facts: ClaimFacts,
    note: ProgressNote,
    policy: PayerPolicy,
    company: Company,
    evidence: tuple[str, ...],
) -> tuple[Finding, ...]:
    """Copied from another patient of the room, or from the patient's own earlier weeks."""
    hold_at, warn_at = policy.cloning.hold_percent / 100, policy.cloning.warn_percent / 100
    names = [
        name
        for person in (facts.patient, *company.members)
        for name in (person.first_name, person.last_name)
    ]
    shared = shared_texts([note, *(item.note for item in company.notes)])
    sections = Sections(shared, names)
    own = sections.of(note)
    if own.shared_words and len(own.words) < _FEWEST_OWN_WORDS:
        return (
            Finding(
                rule="no_individual_section",
                severity=Severity.BLOCK,
                sentence="The note says nothing of this patient beyond what the notes share.",
                fix="The clinician adds what this patient said, did and gained, and signs again.",
                evidence=(*evidence, f"note.individual#{own.digest}"),
                hold="NOTE_INCOMPLETE",
            ),
        )
    found = []
    for item in company.notes:
        other = sections.of(item.note)
        share = likeness(own, other, warn_at)
        if share >= warn_at:
            found.append((share, item, other))
    found.sort(key=lambda entry: (-entry[0], entry[1].claim_number))
    held = [entry for entry in found if entry[0] >= hold_at]
    findings = []
    for severity, entries in ((Severity.BLOCK, held), (Severity.WARN, found[len(held) :])):
        if entries:
            findings.append(_clone_finding(severity, own, entries, policy, evidence))
    return tuple(findings)


def _clone_finding(
    severity: Severity,
    own: IndividualSection,
    found: Sequence[tuple[float, OtherNote, IndividualSection]],
    policy: PayerPolicy,
    evidence: tuple[str, ...],
) -> Finding:
    share, nearest, _ = found[0]
    whose = "the patient's own earlier note" if nearest.same_patient else "another patient's note"
    places = []
    for likest, item, other in found:
        places.append(f"{item.claim_number}{_INDIVIDUAL}{other.digest}:{likest:.2f}")
        places += [f"note.{place}" for place in passages(own, other)]
        places += [f"{item.claim_number}:note.{place}" for place in passages(other, own)]
    blocks = severity is Severity.BLOCK
    return Finding(
        rule=_CLONED if blocks else "note_like_another",
        severity=severity,
        sentence=f"{share:.0%} of the individual part stands in {whose} too"
        + (f", and much in {len(found) - 1} more." if len(found) > 1 else "."),
        fix="The clinician writes what this patient said, did and gained as a dated addendum."
        if blocks
        else "Compare the two notes side by side.",
        evidence=(*evidence, f"note.individual#{own.digest}", *dict.fromkeys(places)),
        hold="CLONED_NOTE" if blocks else None,
        releasable=blocks,
        source=policy.source(policy.cloning),
    )


def _times(
    facts: ClaimFacts, note: ProgressNote, policy: PayerPolicy, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    """How long session and patient were there (D2, D3). The code has no time, auditors do."""
    zone = ZoneInfo(facts.location.time_zone)
    start, stop = _local(note.start_time, zone), _local(note.stop_time, zone)
    lasted = _minutes(facts.session.ends_at - facts.session.starts_at)
    findings = []
    if lasted not in _USUAL_MINUTES:
        findings.append(
            _warning(
                "session_length_unusual",
                f"The session lasted {lasted} minutes; groups usually last {_USUAL_MINUTES.start} "
                f"to {_USUAL_MINUTES.stop - 1}. Extra time is not paid.",
                "Confirm the times; look up what the payer asks for.",
                evidence,
            )
        )
    if start is None or stop is None or stop <= start:
        return tuple(findings)
    noted = _minutes(stop - start)
    times = (*evidence, "note.start_time", "note.stop_time")
    limits = policy.session_length
    least = limits.minimum_minutes if limits else None
    most = limits.maximum_minutes if limits else None
    if limits and ((least and noted < least) or (most and noted > most)):
        bound = f"at least {least}" if least and noted < least else f"at most {most}"
        findings.append(
            Finding(
                rule="session_length_outside_limits",
                severity=Severity.BLOCK,
                sentence=f"The note says {noted} minutes; the payer takes {bound}.",
                fix="Correct the times if they are wrong; else this payer is not billed.",
                evidence=times,
                hold="NOTE_INCOMPLETE",
                releasable=not limits.verified,
                source=policy.source(limits),
            )
        )
    elif 2 * noted < lasted:
        findings.append(
            _warning(
                "attended_briefly",
                f"The patient was there for {noted} of {lasted} minutes.",
                "Confirm that what was given to this patient is group psychotherapy.",
                times,
            )
        )
    if facts.minutes and abs(noted - facts.minutes) > _MINUTES_APART:
        findings.append(
            _warning(
                "note_minutes_differ",
                f"The note says {noted} minutes, the attendance {facts.minutes}.",
                "Clinician or front desk corrects the one that is wrong.",
                times,
            )
        )
    return tuple(findings)


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)


def _one_diagnosis(
    note: ProgressNote, company: Company, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    room = [item.note for item in company.notes if not item.same_patient]
    codes = {_code(item.diagnosis) for item in (note, *room)}
    if len(room) + 1 < _FEWEST_FOR_ONE_DIAGNOSIS or len(codes) > 1 or _blank(note.diagnosis):
        return ()
    return (
        _warning(
            "one_diagnosis_for_all",
            f"All {len(room) + 1} notes of the session name the same diagnosis.",
            "Confirm that it is each patient's own and not the group's theme.",
            (*evidence, "note.diagnosis"),
        ),
    )


def _interactive_complexity(
    facts: ClaimFacts, note: ProgressNote, company: Company, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    """90785 where this patient's note describes a factor, and not the same for everybody (D15)."""
    if facts.patient.ref not in facts.session.interactive_complexity:
        return ()
    if not supports_interactive_complexity(note):
        return (
            _warning(
                "interactive_complexity_unsupported",
                "90785 is asked for and the note describes no factor for this patient.",
                "The line is left off; the clinician may describe the factor if there was one.",
                (*evidence, "note.interactive_complexity"),
            ),
        )
    text = " ".join(note.interactive_complexity.lower().split())
    same = sum(
        " ".join(item.note.interactive_complexity.lower().split()) == text
        for item in company.notes
        if not item.same_patient
    )
    if not same:
        return ()
    return (
        _warning(
            "interactive_complexity_copied",
            f"The factor for 90785 is described in the same words in {same + 1} notes.",
            "Confirm that each of these patients showed it; 90785 is never automatic.",
            (*evidence, "note.interactive_complexity"),
        ),
    )
