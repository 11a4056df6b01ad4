"""Audit-defence binders: all that is on record of a claim, or of every claim of a session.

A binder is read and noted in the audit log in one transaction, before anybody has it. One of a
claim names no other member of the group: free text is redacted, and the finished pages are looked
through once more. Note text never goes in, only the digest of what was signed and when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select

from activities.front_desk import Refused
from groupclaim.documents.appeal import text_of
from groupclaim.documents.binder import Binder, Part, binder_pdf
from groupclaim.model.claim import ClaimPayment, ClaimVersion
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.letter import Exhibit, Row
from groupclaim.model.money import Cents
from groupclaim.model.patient import Patient
from groupclaim.model.practice import Clinician
from groupclaim.rules import exhibits
from groupclaim.rules.exhibits import OnRecord, local_time
from groupclaim.rules.licences import valid_licences
from groupclaim.rules.part2 import is_part2, notice_for
from groupclaim.rules.redaction import OtherMemberNamed, redact, refuse_other_members
from groupclaim.store import audit, batches, claims, denials, practice, remittances
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Database, Reading
from groupclaim.store.schema import (
    claim_version,
    group_session,
    note,
    participant,
    patient,
    remittance,
    transfer,
)

_LOOKS = frozenset({"read_note", "reveal_patient", "read_letter", "binder_printed"})
"""Entries of the audit log that changed nothing: they are counted, not listed."""


@dataclass(frozen=True, slots=True)
class Printed:
    """The PDF, and how many claims are in it."""

    pdf: bytes
    claims: int


@dataclass(frozen=True, slots=True)
class _Member:
    number: str
    person: Patient


class Binders:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_claim(self, claim_number: str, by: str) -> Printed:
        """The binder of one claim. Raises :class:`UnknownRecord`, and :class:`Refused` when it
        would name another member of the group."""
        async with self._database.transaction() as tx:
            now = await practice_now(tx)
            facts = await practice.claim_facts(tx, claim_number)
            others = tuple(
                item.person
                for item in await _members(tx, facts.session_id)
                if item.number != claim_number
            )
            part, actors = await _part(tx, facts, others)
            await audit.record(tx, now, by, "binder_printed", claim_number, {"of": "claim"})
            binder = Binder(
                title=f"Audit binder of claim {claim_number}",
                prepared_on=_day(facts, now),
                cover=(
                    Row(label="Claim", value=claim_number),
                    Row(label="Practice", value=_practice(facts)),
                    Row(label="Prepared for", value=by),
                    Row(label="Other members of the group", value="taken out"),
                    *(await _seal(tx)),
                ),
                parts=(part,),
                notice=notice.text if (notice := notice_for(facts)) else None,
            )
        pdf = await asyncio.to_thread(binder_pdf, binder, now)
        address = facts.practice.address
        place = facts.location
        ours = (
            facts.practice.name, address.line, address.city, place.name, place.address.line,
            place.address.city, facts.payer.name if facts.payer else "", by, *actors,
        )  # fmt: skip
        try:
            refuse_other_members(
                text_of(pdf), facts.patient, others, _staff(facts), filter(None, ours)
            )
        except OtherMemberNamed:
            raise Refused(
                "the binder would name another member of the group: correct what is on file"
            ) from None
        return Printed(pdf, 1)

    async def of_session(self, session: str, by: str) -> Printed:
        """The binder of every claim of a session, named by the practice's id of it or by ours. It
        names everybody on the roster, so it is for the practice itself, not for a payer."""
        async with self._database.transaction() as tx:
            now = await practice_now(tx)
            members: tuple[_Member, ...] = ()
            session_id = session
            for session_id in (session, tx.keyring.session_id(session)):
                members = await _members(tx, session_id)
                if members:
                    break
            if not members:
                raise practice.UnknownRecord("a session of that id")
            parts, notice, facts = [], None, None
            for item in members:
                facts = await practice.claim_facts(tx, item.number)
                made, _ = await _part(tx, facts, ())
                parts.append(made)
                notice = notice or notice_for(facts)
                await audit.record(tx, now, by, "binder_printed", item.number, {"of": "session"})
            await audit.record(tx, now, by, "binder_printed", session_id, {"claims": len(members)})
            assert facts is not None
            binder = Binder(
                title=f"Audit binder of the session of {facts.service_date}",
                prepared_on=_day(facts, now),
                cover=(
                    Row(label="Session", value=session_id),
                    Row(label="Practice", value=_practice(facts)),
                    Row(label="Prepared for", value=by),
                    Row(
                        label="For the practice only",
                        value="it names every participant; a payer gets the binder of a claim",
                    ),
                    *(
                        Row(
                            label=item.number,
                            value=f"{item.person.first_name} {item.person.last_name}",
                        )
                        for item in members
                    ),
                    *(await _seal(tx)),
                ),
                parts=tuple(parts),
                notice=notice.text if notice else None,
            )
        return Printed(await asyncio.to_thread(binder_pdf, binder, now), len(members))


async def _members(reading: Reading, session_id: str) -> tuple[_Member, ...]:
    """Everyone who is or was on the roster: also who was taken off is not to be named."""
    rows = await reading.rows(
        select(participant.c.claim_number, patient.c.document)
        .join(patient, patient.c.id == participant.c.patient_id)
        .where(participant.c.session_id == session_id)
        .order_by(participant.c.claim_number)
    )
    return tuple(
        _Member(row.claim_number, reading.unseal(patient, row.document, Patient)) for row in rows
    )


def _staff(facts: ClaimFacts) -> tuple[Clinician, ...]:
    return (facts.clinician, *((facts.supervisor,) if facts.supervisor else ()))


def _day(facts: ClaimFacts, now: datetime) -> date:
    return now.astimezone(ZoneInfo(facts.practice.time_zone)).date()


def _practice(facts: ClaimFacts) -> str:
    return f"{facts.practice.name}, NPI {facts.practice.npi}, tax id {facts.practice.tax_id}"


async def _seal(reading: Reading) -> tuple[Row, ...]:
    sealed = await audit.sealed_to(reading)
    return (
        Row(
            label="Audit log",
            value=f"sealed to entry {sealed}; `groupclaim audit verify` proves it"
            if sealed
            else "no entry is sealed yet",
        ),
    )


# --- one claim


async def _part(
    reading: Reading, now_on_file: ClaimFacts, others: Sequence[Patient]
) -> tuple[Part, frozenset[str]]:
    """The sections of one claim with the ``others`` taken out of free text, and the names of those
    who acted in it. Payer and coverage are those that the last version was made with."""
    number = now_on_file.claim_number
    versions = tuple(
        [
            await claims.read_version(reading, number, row.version)
            for row in await reading.rows(
                select(claim_version.c.version)
                .where(claim_version.c.claim_number == number)
                .order_by(claim_version.c.version)
            )
        ]
    )
    facts = now_on_file
    if versions:
        facts = await practice.claim_facts(reading, number, versions[-1].parties)
    signed = await reading.scalar(
        select(note.c.digest).filter_by(session_id=facts.session_id, patient_id=facts.patient_id)
    )
    of = OnRecord(
        facts=facts,
        milestones=await batches.milestones(reading, number),
        note_digest=signed,
    )
    recorded_at = await reading.scalar(
        select(group_session.c.attendance_recorded_at).where(group_session.c.id == facts.session_id)
    )
    changes, looks, actors = await _audited(reading, facts)
    sections = (
        _session(facts),
        _titled(exhibits.attendance(of), "Attendance", _recorded(facts, recorded_at)),
        _titled(exhibits.note(of), "Progress note of the day"),
        _free(_titled(exhibits.plan(of), "Treatment plan"), facts, others),
        _titled(exhibits.coverage(of), "Coverage as the payer told it (271)"),
        _titled(exhibits.authorization(of), "Authorization"),
        _consent(facts),
        await _rules(reading, number, versions),
        _sent(facts, versions),
        _titled(exhibits.acknowledgments(of), "On its way to the payer: 837, 999, 277CA"),
        await _decisions(reading, number),
        await _booked(reading, facts),
        await _denials(reading, facts),
        _free(Exhibit(title="Changes, from the audit log", rows=changes), facts, others),
        Exhibit(title="Who has looked at it, from the audit log", rows=looks),
    )
    person = facts.patient
    title = f"Claim {number}: {person.first_name} {person.last_name}"
    return Part(title=title, sections=sections), actors


def _titled(found: Exhibit | None, title: str, more: tuple[Row, ...] = ()) -> Exhibit:
    """A section stands also where nothing is on record: an auditor sees the gap."""
    if found is None:
        return Exhibit(title=title, rows=more)
    return Exhibit(title=title, rows=(*found.rows, *more), paragraphs=found.paragraphs)


def _free(section: Exhibit, facts: ClaimFacts, others: Sequence[Patient]) -> Exhibit:
    """A section with free text: other members are taken out of what people wrote."""
    if not others:
        return section
    texts = {str(place): row.value for place, row in enumerate(section.rows)}
    clean = redact(texts, facts.patient, others, _staff(facts)).texts
    return section.model_copy(
        update={
            "rows": tuple(
                Row(label=row.label, value=clean[str(place)])
                for place, row in enumerate(section.rows)
            )
        }
    )


def _session(facts: ClaimFacts) -> Exhibit:
    session, clinician, place = facts.session, facts.clinician, facts.location
    person, cover = facts.patient, facts.coverage
    licence = next(iter(valid_licences(facts)), None)
    remote = facts.taken_part_remotely
    ends = session.ends_at.astimezone(ZoneInfo(facts.practice.time_zone))
    return Exhibit(
        title="Session and patient",
        rows=(
            Row(label="Patient", value=f"{person.first_name} {person.last_name}"),
            Row(label="Date of birth", value=str(person.birth_date)),
            Row(
                label="Payer and member id",
                value=f"{facts.payer.name}, {cover.member_id}"
                if facts.payer and cover
                else "no payer on file for the day",
            ),
            Row(label="Session", value=facts.session_id),
            Row(
                label="Held",
                value=f"{local_time(facts, session.starts_at)} to {ends:%H:%M} "
                f"({facts.practice.time_zone})",
            ),
            Row(label="Place", value=f"{place.name}, place of service {place.place_of_service}"),
            Row(
                label="How",
                value=f"{session.mode.replace('_', ' ')}; the patient "
                + (f"by {remote.medium.replace('_', ' ')}" if remote else "in the room"),
            ),
            Row(label="Activity", value=session.activity.value.replace("_", " ")),
            Row(
                label="Led by",
                value=f"{clinician.first_name} {clinician.last_name}, NPI {clinician.npi}"
                + (
                    f", {licence.kind.value.replace('_', ' ')} {licence.state} {licence.number}, "
                    f"valid {licence.valid_from} to {licence.valid_to}"
                    if licence
                    else ", no licence on file for the day"
                ),
            ),
            *(
                (
                    Row(
                        label="Supervised by",
                        value=f"{facts.supervisor.first_name} {facts.supervisor.last_name}, "
                        f"NPI {facts.supervisor.npi}",
                    ),
                )
                if facts.supervisor
                else ()
            ),
        ),
    )


def _recorded(facts: ClaimFacts, at: datetime | None) -> tuple[Row, ...]:
    return (Row(label="Last recorded at", value=local_time(facts, at)),) if at else ()


def _consent(facts: ClaimFacts) -> Exhibit:
    rows = []
    if is_part2(facts):
        rows += [
            Row(
                label=f"Substance-use records, consent {place}",
                value=f"{item.scope.replace('_', ' ')}, signed {item.signed_on}, "
                + (f"until {item.until}" if item.until else "no end")
                + (f", revoked {item.revoked_on}" if item.revoked_on else ""),
            )
            for place, item in enumerate(facts.patient.part2_consents, 1)
        ] or [Row(label="Substance-use records", value="needed, and none is on file")]
    remote = facts.taken_part_remotely
    if remote is not None:
        given = "on file" if remote.consented else "needed, and none is on file"
        rows.append(Row(label="Taking part from elsewhere", value=given))
    return Exhibit(
        title="Consent",
        rows=tuple(rows)
        or (Row(label="None is needed", value="no substance-use records, and in the room"),),
    )


async def _rules(reading: Reading, number: str, versions: Sequence[ClaimVersion]) -> Exhibit:
    """Which edition of the payer's policy each version was made under, and what the rules found."""
    rows = [
        Row(
            label=f"Policy of version {item.version}",
            value=f"{item.parties.payer.policy} {item.parties.policy_version}, in force from "
            f"{item.parties.policy_from}",
        )
        for item in versions
    ]
    for item in await claims.read_findings(reading, number):
        said = [item.sentence]
        if item.evidence:
            said.append(f"Looked at: {', '.join(item.evidence)}.")
        if item.source is not None:
            read = "" if item.source.verified else ", not verified"
            said.append(
                f"Source: {item.source.policy} {item.source.version}, {item.source.citation}{read}."
            )
        rows.append(Row(label=f"{item.rule} ({item.severity.value})", value=" ".join(said)))
    return Exhibit(title="Rules, what they looked at, and their versions", rows=tuple(rows))


def _sent(facts: ClaimFacts, versions: Sequence[ClaimVersion]) -> Exhibit:
    rows = []
    for item in versions:
        replaces = f", replaces {item.original_reference}" if item.original_reference else ""
        permitted = (
            f", authorization {item.prior_authorization}" if item.prior_authorization else ""
        )
        lines = "; ".join(
            f"{'-'.join((line.code, *line.modifiers))} x {line.units} ${line.charge}"
            for line in item.lines
        )
        rows.append(
            Row(
                label=f"Version {item.version}: {item.control_number}",
                value=f"frequency {item.frequency}{replaces}{permitted}; {lines}; place of service "
                f"{item.place_of_service}; diagnoses {', '.join(item.diagnoses)}; "
                f"by {item.parties.rendering.first_name} {item.parties.rendering.last_name}, "
                f"NPI {item.parties.rendering.npi}; to {item.parties.payer.name}",
            )
        )
    return Exhibit(title="The claim as it was made", rows=tuple(rows))


async def _decisions(reading: Reading, number: str) -> Exhibit:
    """What payers decided and has not been reversed, with every reason."""
    rows = []
    for item in await remittances.claim_payments(reading, number):
        paid = await reading.first(
            select(remittance.c.trace, remittance.c.payment_date).where(
                remittance.c.id == item.remittance_id
            )
        )
        trace, on = (paid.trace, paid.payment_date) if paid else ("", None)
        rows.append(Row(label=f"{on or 'no date'}, {trace}", value=_decided(item)))
    return Exhibit(title="Remittance (835)", rows=tuple(rows))


def _decided(item: ClaimPayment) -> str:
    allowed = f", allowed ${item.allowed}" if item.allowed is not None else ""
    reasons = "; ".join(f"{one.group}-{one.reason} ${one.cents}" for one in item.adjustments)
    remarks = f"; remarks {' '.join(item.remarks)}" if item.remarks else ""
    return (
        f"{item.control_number}, status {item.status}, payer's number "
        f"{item.payer_claim_number or 'none'}: charged ${item.charge}{allowed}, paid "
        f"${item.paid}, patient ${item.patient}; {reasons or 'no adjustment'}{remarks}"
    )


async def _booked(reading: Reading, facts: ClaimFacts) -> Exhibit:
    rows = await reading.rows(
        select(transfer)
        .where(transfer.c.claim_number == facts.claim_number)
        .order_by(transfer.c.id)
    )
    return Exhibit(
        title="Ledger",
        rows=tuple(
            Row(
                label=local_time(facts, row.posted_at),
                value=f"{row.kind.replace('_', ' ')}: ${Cents(row.cents)} from "
                f"{row.credit.replace('_', ' ')} to {row.debit.replace('_', ' ')}",
            )
            for row in rows
        ),
    )


async def _denials(reading: Reading, facts: ClaimFacts) -> Exhibit:
    rows = []
    for number in range(1, await denials.last_number(reading, facts.claim_number) + 1):
        item = await denials.read_denial(reading, facts.claim_number, number)
        limit = f"; limit: {item.limit_working}" if item.limit_working else ""
        rows.append(
            Row(
                label=f"Denial {number}, decided {item.decided_on}",
                value=f"{item.cause} for ${Cents(item.cents)}; rule {item.rule} of playbook "
                f"{item.playbook}; {item.outcome or 'open'}{limit}",
            )
        )
        for sent in await denials.letters_of(reading, facts.claim_number, number):
            when = f" at {local_time(facts, sent.received_at)}" if sent.received_at else ""
            rows.append(
                Row(
                    label=f"Letter {sent.position} of denial {number}",
                    value=f"{sent.kind.replace('_', ' ')}, {sent.state.replace('_', ' ')}; "
                    f"SHA-256 {sent.digest}; approved by {sent.approved_by or 'nobody'}; "
                    f"receipt {sent.receipt or 'none'}{when}",
                )
            )
    return Exhibit(title="Denials and appeals", rows=tuple(rows))


async def _audited(
    reading: Reading, facts: ClaimFacts
) -> tuple[tuple[Row, ...], tuple[Row, ...], frozenset[str]]:
    """Changes of claim, session and patient in order; how often who has looked at the claim; and
    the names of all of them."""
    entries: list[audit.Entry] = []
    for subject in (facts.claim_number, facts.session_id, facts.patient_id):
        entries += await audit.entries(reading, subject)
    changes = [item for item in entries if item.action not in _LOOKS]
    looks: dict[tuple[str, str], int] = {}
    for item in entries:
        if item.action in _LOOKS:
            key = (item.action, item.actor)
            looks[key] = looks.get(key, 0) + 1
    return (
        tuple(
            Row(
                label=f"{local_time(facts, item.at)} by {item.actor}",
                value=_changed(item.action, item.detail.items()),
            )
            for item in sorted(changes, key=lambda item: item.at)
        ),
        tuple(
            Row(label=f"{action.replace('_', ' ')} by {actor}", value=f"{times} times")
            for (action, actor), times in sorted(looks.items())
        ),
        frozenset(item.actor for item in entries),
    )


def _changed(action: str, detail: Iterable[tuple[str, object]]) -> str:
    said = "; ".join(f"{name}: {value}" for name, value in detail if value not in (None, "", []))
    return f"{action.replace('_', ' ')}{': ' if said else ''}{said}"
