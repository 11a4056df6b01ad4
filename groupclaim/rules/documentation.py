"""Documentation: whether the note and the treatment plan support the claim.

The note is read here and nowhere kept: findings name its fields, never their text.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.session import ProgressNote
from groupclaim.policy.payer import NoteElement, PayerPolicy

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


def check_documentation(
    facts: ClaimFacts, note: ProgressNote | None, policy: PayerPolicy
) -> tuple[Finding, ...]:
    """What keeps the note and the plan from supporting the claim; nothing when they do.

    An element that the policy asks for and the note lacks can be released while the policy is
    unverified. A missing signature and a contradiction cannot: they are for the clinician to mend.
    """
    evidence = (facts.claim_number, facts.session_id, facts.patient_id)
    if note is None:
        return (_unsigned("note_missing", "The patient has no note of this session.", evidence),)
    return (
        *_signature(facts, note, evidence),
        *_missing_elements(note, policy, evidence),
        *_contradictions(facts, note, evidence),
        *_plan(facts, policy, evidence),
    )


def _signature(
    facts: ClaimFacts, note: ProgressNote, evidence: tuple[str, ...]
) -> tuple[Finding, ...]:
    if note.signed_by is None or note.signed_at is None:
        return (_unsigned("note_unsigned", "The note is not signed and dated.", evidence),)
    if note.signed_by != facts.clinician.ref:
        return (
            _unsigned(
                "note_signed_by_other",
                "The note is signed by somebody other than the rendering clinician.",
                evidence,
            ),
        )
    return ()


def _unsigned(rule: str, sentence: str, evidence: tuple[str, ...]) -> Finding:
    return Finding(
        rule=rule,
        severity=Severity.BLOCK,
        sentence=sentence,
        fix="The rendering clinician completes and signs the note.",
        evidence=evidence,
        hold="NOTE_UNSIGNED",
    )


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
            rule="plan_missing",
            severity=Severity.BLOCK,
            sentence=f"No treatment plan supports the session: {wrong}.",
            fix="The clinician signs a plan that names group therapy and covers the day.",
            evidence=(*evidence, "treatment_plan"),
            hold="PLAN_MISSING",
            releasable=not policy.documentation.verified,
            source=policy.source(policy.documentation),
        ),
    )
