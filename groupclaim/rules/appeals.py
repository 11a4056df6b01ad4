"""What a letter about a denial says and encloses: from the claim's own evidence, nothing else.

Each exhibit is about this one patient; the room appears as a number. Note text goes only where the
payer asks for records or for the need of the service, never that of psychotherapy notes, and with
every other member taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from zoneinfo import ZoneInfo

from groupclaim.model.base import Record
from groupclaim.model.claim import ClaimVersion
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.letter import Exhibit, Letter, Milestone, Row
from groupclaim.model.money import Cents
from groupclaim.model.session import ProgressNote
from groupclaim.policy.letters import letter_text
from groupclaim.policy.payer import PayerPolicy
from groupclaim.policy.playbook import Evidence

PART2_NOTICE = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
"""The short notice of 42 CFR 2.32(a)(2) that goes with each disclosure."""

_NOTE_FIELDS = (
    ("topic", "Topic"),
    ("intervention", "Intervention"),
    ("participation", "Participation and response"),
    ("progress", "Progress"),
    ("goal", "Goal of the plan"),
    ("necessity", "Why group therapy"),
)


class Case(Record):
    """What a letter is written from. ``payer_claim_number`` is the payer's own; ``note`` is the
    redacted note, where its text is to go along; ``note_digest`` tells which text was signed."""

    facts: ClaimFacts
    cause: str
    category: str | None
    level_name: str
    evidence: tuple[Evidence, ...]
    sent: ClaimVersion
    cents: Cents
    payer_claim_number: str | None
    decided_on: date
    filing_working: str
    milestones: tuple[Milestone, ...] = ()
    note: ProgressNote | None = None
    note_digest: str | None = None


def compose_letter(case: Case, policy: PayerPolicy, signatory: str, today: date) -> Letter:
    """The letter for ``case`` as this payer wants it, with an exhibit for each piece of evidence
    that is on file. Raises ValueError when the note given is a psychotherapy note."""
    if case.note is not None and case.note.kind == "psychotherapy":
        raise ValueError("psychotherapy notes never leave (45 CFR 164.501)")
    facts = case.facts
    payer = facts.payer
    if payer is None:
        raise ValueError("a letter needs a payer on file")
    text = letter_text(case.category)
    words = _words(case)
    ways = policy.letters
    practice = facts.practice
    return Letter(
        sender=(
            practice.name,
            practice.address.line,
            f"{practice.address.city}, {practice.address.state} {_zip(practice.address.zip)}",
            f"Telephone {practice.contact.phone}",
            f"NPI {practice.npi}, tax id {practice.tax_id}",
        ),
        addressee=(payer.name, *(ways.address if ways else ("Appeals",))),
        written_on=today,
        subject=text.subject.format_map(words),
        reference=_reference(case),
        paragraphs=(
            *(item.format_map(words) for item in text.paragraphs),
            *(ways.paragraphs if ways else ()),
        ),
        request=text.request.format_map(words),
        signatory=signatory,
        exhibits=tuple(
            exhibit
            for name in dict.fromkeys((*case.evidence, "remittance"))
            if (exhibit := _EXHIBITS[name](case)) is not None
        ),
        redistribution=PART2_NOTICE
        if facts.patient.part2 or facts.session.part2_programme
        else None,
    )


def _reference(case: Case) -> tuple[Row, ...]:
    facts = case.facts
    member = facts.coverage.member_id if facts.coverage else "unknown"
    return (
        Row(label="Patient", value=f"{facts.patient.first_name} {facts.patient.last_name}"),
        Row(label="Date of birth", value=str(facts.patient.birth_date)),
        Row(label="Member id", value=member),
        Row(label="Your claim number", value=case.payer_claim_number or "not told to us"),
        Row(label="Our claim number", value=case.sent.control_number),
        Row(label="Date of service", value=str(facts.service_date)),
        Row(label="Amount billed", value=f"${case.cents}"),
        Row(label="Decision", value=f"{case.cause}, {case.decided_on}"),
    )


def _words(case: Case) -> dict[str, str]:
    facts = case.facts
    plan, clinician = facts.plan, facts.clinician
    licence = next((item for item in clinician.licences if item.valid_on(facts.service_date)), None)
    numbers = ", ".join(item.number for item in facts.authorizations)
    first = case.milestones[0] if case.milestones else None
    answer = facts.eligibility
    return {
        "level": case.level_name,
        "cause": case.cause,
        "service_date": str(facts.service_date),
        "starts_at": _local(facts, facts.session.starts_at),
        "clinician": f"{clinician.first_name} {clinician.last_name}",
        "licence": f"{licence.kind.upper()} {licence.number} ({licence.state})" if licence else "",
        "plan_frequency": plan.frequency if plan else "as needed",
        "diagnoses": ", ".join(case.sent.diagnoses),
        "minutes": str(facts.minutes),
        "group_size": str(facts.group_size),
        "note_signed_at": _local(facts, facts.note_signed_at) if facts.note_signed_at else "",
        "lines": "; ".join(
            "-".join((line.code, *line.modifiers)) + f" x {line.units}" for line in case.sent.lines
        ),
        "authorization_sentence": f"You gave authorization {numbers}, enclosed."
        if numbers
        else "We ask for it after the fact.",
        "coverage_sentence": f"You answered our inquiry of {answer.checked_at:%Y-%m-%d} that the "
        "member was covered on the day of service."
        if answer is not None and answer.active
        else "We ask you to look at the member's coverage on the day of service once more.",
        "filing_sentence": f"it was first sent on {_local(facts, first.at)} ({first.reference})."
        if first
        else "the proof is enclosed.",
        "limit_sentence": f"The limit was {case.filing_working}.",
    }


def _local(facts: ClaimFacts, moment: datetime) -> str:
    return f"{moment.astimezone(ZoneInfo(facts.practice.time_zone)):%Y-%m-%d %H:%M}"


def _zip(digits: str) -> str:
    return f"{digits[:5]}-{digits[5:]}"


# --- exhibits: each about this patient alone


def _attendance(case: Case) -> Exhibit | None:
    facts = case.facts
    if facts.attendance is None:
        return None
    return Exhibit(
        title="Attendance",
        rows=(
            Row(label="Session", value=f"{_local(facts, facts.session.starts_at)}"),
            Row(label="The patient", value=facts.attendance.value),
            Row(label="Minutes", value=str(facts.minutes)),
            Row(label="Persons treated in the room", value=str(facts.group_size)),
        ),
    )


def _note(case: Case) -> Exhibit | None:
    facts, note = case.facts, case.note
    if facts.note_signed_at is None:
        return None
    text = (
        tuple(
            f"{label}: {value}"
            for field, label in _NOTE_FIELDS
            if (value := getattr(note, field)).strip()
        )
        if note is not None
        else ()
    )
    return Exhibit(
        title="Progress note of the day",
        rows=(
            Row(label="Signed at", value=_local(facts, facts.note_signed_at)),
            Row(
                label="Signed by",
                value=f"{facts.clinician.first_name} {facts.clinician.last_name}",
            ),
            Row(label="SHA-256 of the signed text", value=case.note_digest or "not kept"),
        ),
        paragraphs=text,
    )


def _plan(case: Case) -> Exhibit | None:
    plan = case.facts.plan
    if plan is None:
        return None
    return Exhibit(
        title="Treatment plan",
        rows=(
            Row(label="In force", value=f"{plan.valid_from} to {plan.valid_to}"),
            Row(label="Signed at", value=_local(case.facts, plan.signed_at)),
            Row(label="Type", value=plan.modality.replace("_", " ")),
            Row(label="Frequency", value=f"{plan.frequency}, {plan.minutes} minutes"),
            Row(label="Diagnoses", value=", ".join(plan.diagnoses)),
            *(Row(label="Goal", value=goal) for goal in plan.goals),
        ),
    )


def _authorization(case: Case) -> Exhibit | None:
    rows = tuple(
        Row(
            label=f"Authorization {item.number}",
            value=f"{', '.join(item.codes)}, {item.units} units, {item.effective_from} to "
            f"{item.effective_to}",
        )
        for item in case.facts.authorizations
    )
    return Exhibit(title="Authorization", rows=rows) if rows else None


def _coverage(case: Case) -> Exhibit | None:
    facts, answer = case.facts, case.facts.eligibility
    if answer is None:
        return None
    return Exhibit(
        title="Coverage as you told it (271)",
        rows=(
            Row(label="Asked", value=_local(facts, answer.checked_at)),
            Row(label="Covered on the day", value="yes" if answer.active else "no"),
            Row(label="Member id", value=answer.member_id or "as sent"),
        ),
    )


def _acknowledgments(case: Case) -> Exhibit | None:
    rows = tuple(
        Row(label=_local(case.facts, item.at), value=f"{item.what}: {item.reference}")
        for item in case.milestones
    )
    return Exhibit(title="When the claim was filed", rows=rows) if rows else None


def _contract(case: Case) -> Exhibit | None:
    rows = tuple(
        Row(label=item.method.replace("_", " "), value=f"from {item.effective_from}")
        for item in case.facts.contracts
    )
    return Exhibit(title="Contract in force", rows=rows) if rows else None


def _remittance(case: Case) -> Exhibit | None:
    return Exhibit(
        title="Decision of the remittance (835)",
        rows=(
            Row(label="Dated", value=str(case.decided_on)),
            Row(label="Your claim number", value=case.payer_claim_number or "none given"),
            Row(label="Billed", value=f"${case.cents}"),
            Row(label="Reason", value=case.cause),
        ),
    )


_EXHIBITS: dict[Evidence, Callable[[Case], Exhibit | None]] = {
    "attendance": _attendance,
    "note": _note,
    "plan": _plan,
    "authorization": _authorization,
    "coverage": _coverage,
    "acknowledgments": _acknowledgments,
    "contract": _contract,
    "remittance": _remittance,
    "receipt": lambda case: None,
}
