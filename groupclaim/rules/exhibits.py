"""What is on record of one claim, laid out for people outside: each exhibit is about one patient.

The room appears as a number. Letters to payers and audit binders enclose the same pieces.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from groupclaim.model.base import Record
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.letter import Exhibit, Milestone, Row
from groupclaim.model.session import ProgressNote

_NOTE_FIELDS = (
    ("topic", "Topic"),
    ("intervention", "Intervention"),
    ("participation", "Participation and response"),
    ("progress", "Progress"),
    ("goal", "Goal of the plan"),
    ("necessity", "Why group therapy"),
)


class OnRecord(Record):
    """One claim's evidence. ``note`` is the redacted note, where its text is to go along;
    ``note_digest`` tells which text was signed."""

    facts: ClaimFacts
    milestones: tuple[Milestone, ...] = ()
    note: ProgressNote | None = None
    note_digest: str | None = None


def local_time(facts: ClaimFacts, moment: datetime) -> str:
    """A moment to the minute, in the practice's time zone."""
    return f"{moment.astimezone(ZoneInfo(facts.practice.time_zone)):%Y-%m-%d %H:%M}"


def attendance(of: OnRecord) -> Exhibit | None:
    facts = of.facts
    if facts.attendance is None:
        return None
    return Exhibit(
        title="Attendance",
        rows=(
            Row(label="Session", value=f"{local_time(facts, facts.session.starts_at)}"),
            Row(label="The patient", value=facts.attendance.value),
            Row(label="Minutes", value=str(facts.minutes)),
            Row(label="Persons treated in the room", value=str(facts.group_size)),
        ),
    )


def note(of: OnRecord) -> Exhibit | None:
    facts, read = of.facts, of.note
    if facts.note_signed_at is None:
        return None
    text = (
        tuple(
            f"{label}: {value}"
            for field, label in _NOTE_FIELDS
            if (value := getattr(read, field)).strip()
        )
        if read is not None
        else ()
    )
    return Exhibit(
        title="Progress note of the day",
        rows=(
            Row(label="Signed at", value=local_time(facts, facts.note_signed_at)),
            Row(
                label="Signed by",
                value=f"{facts.clinician.first_name} {facts.clinician.last_name}",
            ),
            Row(label="SHA-256 of the signed text", value=of.note_digest or "not kept"),
        ),
        paragraphs=text,
    )


def plan(of: OnRecord) -> Exhibit | None:
    plan = of.facts.plan
    if plan is None:
        return None
    return Exhibit(
        title="Treatment plan",
        rows=(
            Row(label="In force", value=f"{plan.valid_from} to {plan.valid_to}"),
            Row(label="Signed at", value=local_time(of.facts, plan.signed_at)),
            Row(label="Type", value=plan.modality.replace("_", " ")),
            Row(label="Frequency", value=f"{plan.frequency}, {plan.minutes} minutes"),
            Row(label="Diagnoses", value=", ".join(plan.diagnoses)),
            *(Row(label="Goal", value=goal) for goal in plan.goals),
        ),
    )


def authorization(of: OnRecord) -> Exhibit | None:
    rows = tuple(
        Row(
            label=f"Authorization {item.number}",
            value=f"{', '.join(item.codes)}, {item.units} units, {item.effective_from} to "
            f"{item.effective_to}",
        )
        for item in of.facts.authorizations
    )
    return Exhibit(title="Authorization", rows=rows) if rows else None


def coverage(of: OnRecord) -> Exhibit | None:
    facts, answer = of.facts, of.facts.eligibility
    if answer is None:
        return None
    return Exhibit(
        title="Coverage as you told it (271)",
        rows=(
            Row(label="Asked", value=local_time(facts, answer.checked_at)),
            Row(label="Covered on the day", value="yes" if answer.active else "no"),
            Row(label="Member id", value=answer.member_id or "as sent"),
        ),
    )


def acknowledgments(of: OnRecord) -> Exhibit | None:
    rows = tuple(
        Row(label=local_time(of.facts, item.at), value=f"{item.what}: {item.reference}")
        for item in of.milestones
    )
    return Exhibit(title="When the claim was filed", rows=rows) if rows else None


def contract(of: OnRecord) -> Exhibit | None:
    rows = tuple(
        Row(label=item.method.replace("_", " "), value=f"from {item.effective_from}")
        for item in of.facts.contracts
    )
    return Exhibit(title="Contract in force", rows=rows) if rows else None
