"""What a letter about a denial says and encloses: from the claim's own evidence, nothing else.

Each exhibit is about this one patient; the room appears as a number. Note text goes only where the
payer asks for records or for the need of the service, never that of psychotherapy notes, and with
every other member taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from groupclaim.model.claim import ClaimVersion
from groupclaim.model.letter import Exhibit, Letter, Row
from groupclaim.model.money import Cents
from groupclaim.policy.letters import letter_text
from groupclaim.policy.payer import PayerPolicy
from groupclaim.policy.playbook import Evidence
from groupclaim.rules import exhibits
from groupclaim.rules.exhibits import OnRecord, local_time
from groupclaim.rules.part2 import notice_for


class Case(OnRecord):
    """What a letter is written from. ``payer_claim_number`` is the payer's own;
    ``attachment_number`` is the one by which a replacement announces these documents (PWK06)."""

    cause: str
    category: str | None
    level_name: str
    evidence: tuple[Evidence, ...]
    sent: ClaimVersion
    cents: Cents
    payer_claim_number: str | None
    decided_on: date
    filing_working: str
    attachment_number: str | None = None


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
        redistribution=notice.text if (notice := notice_for(facts)) else None,
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
        *(
            (Row(label="Attachment control number", value=case.attachment_number),)
            if case.attachment_number
            else ()
        ),
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
        "starts_at": local_time(facts, facts.session.starts_at),
        "clinician": f"{clinician.first_name} {clinician.last_name}",
        "licence": f"{licence.kind.upper()} {licence.number} ({licence.state})" if licence else "",
        "plan_frequency": plan.frequency if plan else "as needed",
        "diagnoses": ", ".join(case.sent.diagnoses),
        "minutes": str(facts.minutes),
        "group_size": str(facts.group_size),
        "note_signed_at": local_time(facts, facts.note_signed_at) if facts.note_signed_at else "",
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
        "filing_sentence": (
            f"it was first sent on {local_time(facts, first.at)} ({first.reference})."
        )
        if first
        else "the proof is enclosed.",
        "limit_sentence": f"The limit was {case.filing_working}.",
    }


def _zip(digits: str) -> str:
    return f"{digits[:5]}-{digits[5:]}"


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
    "attendance": exhibits.attendance,
    "note": exhibits.note,
    "plan": exhibits.plan,
    "authorization": exhibits.authorization,
    "coverage": exhibits.coverage,
    "acknowledgments": exhibits.acknowledgments,
    "contract": exhibits.contract,
    "remittance": _remittance,
    "receipt": lambda case: None,
}
