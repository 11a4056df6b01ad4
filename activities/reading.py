"""Reading progress notes: first into the audit log, then out of the record system.

And what a note or a session is looked at beside: the rest of the room, earlier weeks, the day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, or_, select

from activities.outside import Outside
from groupclaim.model.claim import ClaimVersion
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.patient import Patient
from groupclaim.model.session import Attendance, GroupSession, ProgressNote
from groupclaim.rules.documentation import Company, OtherNote
from groupclaim.rules.room import Engagement, service_of
from groupclaim.store import audit
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import group_session, note, participant, patient

EARLIER_NOTES = 8
"""So many of the patient's own earlier notes are compared: two months of a weekly group."""

_READ_AT_ONCE = 10
"""Notes asked of the record system at the same time, before a batch is sent."""


async def read_note(
    outside: Outside, facts: ClaimFacts, purpose: str, now: datetime
) -> ProgressNote | None:
    """One patient's note of one session as it stands, or None; ``purpose`` says what for. One that
    was withdrawn and not signed since counts as unsigned."""
    async with outside.database.transaction() as tx:
        await audit_reading(tx, facts, purpose, now)
    return await audited_note(outside, facts, now)


async def audit_reading(tx: Transaction, facts: ClaimFacts, purpose: str, now: datetime) -> None:
    """Note in the audit log that a claim's note is about to be read."""
    await audit.record(tx, now, "groupclaim", "read_note", facts.claim_number, {"purpose": purpose})


async def audited_note(outside: Outside, facts: ClaimFacts, now: datetime) -> ProgressNote | None:
    """As :func:`read_note`, once :func:`audit_reading` stands in the store."""
    read = await outside.notes.read(facts.session.ref, facts.patient.ref, _there(facts, now))
    withdrawn = facts.note_withdrawn_at
    at = signed_at(read, facts) if read is not None else None
    if read is not None and at is not None and withdrawn is not None and at <= withdrawn:
        return read.model_copy(update={"signed_at": None})
    return read


def _there(facts: ClaimFacts, now: datetime) -> datetime:
    """``now`` where the session was held: a note's times without an offset are meant there."""
    return now.astimezone(ZoneInfo(facts.location.time_zone))


def digest(progress_note: ProgressNote) -> str:
    """Tells a changed note from an unchanged one without keeping a word of it. A field that the
    note does not use does not count, so that one added to the record changes no digest."""
    return sha256(progress_note.model_dump_json(exclude_defaults=True).encode()).hexdigest()


def signed_at(progress_note: ProgressNote, facts: ClaimFacts) -> datetime | None:
    """When the note was signed; a time without an offset is meant where the session was held."""
    moment = progress_note.signed_at
    if moment is not None and moment.tzinfo is None:
        return moment.replace(tzinfo=ZoneInfo(facts.location.time_zone))
    return moment


async def changed_since_signature(
    reading: Reading, facts: ClaimFacts, progress_note: ProgressNote
) -> bool:
    """True when the note's text is not the one first seen under the same signature."""
    seen = await reading.first(
        select(note.c.signed_at, note.c.digest).where(
            note.c.session_id == facts.session_id, note.c.patient_id == facts.patient_id
        )
    )
    return (
        seen is not None
        and seen.digest is not None
        and seen.signed_at == signed_at(progress_note, facts)
        and seen.digest != digest(progress_note)
    )


async def changed_since_made(
    outside: Outside, made: Sequence[tuple[ClaimFacts, ClaimVersion]], now: datetime
) -> frozenset[str]:
    """The claims whose note no longer has the text that was checked and that the version was made
    with, whatever its signature says now, or is gone. Raises OSError when the record system does
    not answer: nothing goes out unread."""
    if not made:
        return frozenset()
    async with outside.database.transaction() as tx:
        read = [(facts.claim_number, {"purpose": "before sending"}) for facts, _ in made]
        await audit.record_all(tx, now, "groupclaim", "read_note", read)
    async with outside.database.reading() as reading:
        rows = await reading.rows(
            select(participant.c.claim_number, note.c.digest)
            .join(
                note,
                (note.c.session_id == participant.c.session_id)
                & (note.c.patient_id == participant.c.patient_id),
            )
            .where(participant.c.claim_number.in_([facts.claim_number for facts, _ in made]))
        )
    checked = {row.claim_number: row.digest for row in rows}
    limit = asyncio.Semaphore(_READ_AT_ONCE)

    async def changed(facts: ClaimFacts, version: ClaimVersion) -> bool:
        async with limit:
            found = await outside.notes.read(
                facts.session.ref, facts.patient.ref, _there(facts, now)
            )
        # A signature that was only reported has no digest yet: then the version's own is all.
        known = {checked.get(facts.claim_number), version.note_digest} - {None}
        return found is None or bool(known - {digest(found)})

    answers = await asyncio.gather(*(changed(*one) for one in made))
    return frozenset(
        facts.claim_number for (facts, _), is_so in zip(made, answers, strict=True) if is_so
    )


async def company_of(outside: Outside, facts: ClaimFacts, now: datetime) -> Company:
    """The others on the roster, the notes of the room that are signed so far, and the patient's own
    of earlier weeks. Each reading of a note is audited under the claim whose note it is.

    A note counts as signed once it has been recorded as such. Whoever records their own before they
    ask here is seen by everyone who asks later, so that no two notes miss each other.
    """
    here = {"patient": facts.patient_id, "session": facts.session_id}
    async with outside.database.transaction() as tx:
        room = (await tx.execute(_ROOM, here)).all()
        members = [tx.unseal(patient, row.document, Patient) for row in room]
        earlier = await tx.execute(
            _EARLIER, {"patient": facts.patient_id, "begins": facts.session.starts_at}
        )
        before = [
            (row.claim_number, tx.unseal(group_session, row.document, GroupSession).ref)
            for row in earlier
        ]
        wanted = [
            (row.claim_number, facts.session.ref, member.ref, False)
            for row, member in zip(room, members, strict=True)
            if row.signed_at is not None
        ]
        wanted += [(number, session, facts.patient.ref, True) for number, session in before]
        detail = {"purpose": "compared with another note", "for": facts.claim_number}
        read = [(number, detail) for number, _, _, _ in wanted]
        await audit.record_all(tx, now, "groupclaim", "read_note", read)
    notes = []
    for number, session, whose, same_patient in wanted:
        found = await outside.notes.read(session, whose, _there(facts, now))
        # Process notes are refused by their type, here too.
        if found is not None and found.signed_at is not None and found.kind == "progress":
            notes.append(OtherNote(number, found, same_patient))
    return Company(members=tuple(members), notes=tuple(notes))


_the_note = (note.c.session_id == participant.c.session_id) & (
    note.c.patient_id == participant.c.patient_id
)
_ROOM = (
    select(participant.c.claim_number, patient.c.document, note.c.signed_at)
    .join(patient, patient.c.id == participant.c.patient_id)
    .outerjoin(note, _the_note)
    .where(
        participant.c.session_id == bindparam("session"),
        participant.c.on_roster,
        participant.c.patient_id != bindparam("patient"),
    )
    .order_by(participant.c.claim_number)
)
_EARLIER = (
    select(participant.c.claim_number, group_session.c.document)
    .join(group_session, group_session.c.id == participant.c.session_id)
    .join(note, _the_note)
    .where(
        participant.c.patient_id == bindparam("patient"),
        group_session.c.starts_at < bindparam("begins"),
    )
    .order_by(group_session.c.starts_at.desc(), participant.c.claim_number)
    .limit(EARLIER_NOTES)
)


async def sessions_of_the_day(reading: Reading, facts: ClaimFacts) -> tuple[Engagement, ...]:
    """What the claim's clinician and its patient are recorded in besides that day."""
    whose = {
        "patient": facts.patient_id,
        "session": facts.session_id,
        "day": facts.service_date,
    }
    found = []
    for row in (await reading.execute(_OF_THE_DAY, whose)).all():
        session = reading.unseal(group_session, row.document, GroupSession)
        found.append(
            Engagement(
                row.id,
                row.starts_at,
                session.ends_at,
                same_clinician=bool(row.same_clinician),
                same_patient=bool(row.with_patient),
                service=service_of(session),
            )
        )
    return tuple(found)


_with_patient = group_session.c.id.in_(
    select(participant.c.session_id).where(
        participant.c.patient_id == bindparam("patient"),
        participant.c.on_roster,
        or_(participant.c.attendance.is_(None), participant.c.attendance == Attendance.ATTENDED),
    )
)
_led = group_session.alias()
_same_clinician = group_session.c.clinician_id == (
    select(_led.c.clinician_id).where(_led.c.id == bindparam("session")).scalar_subquery()
)
_OF_THE_DAY = (
    select(
        group_session,
        _with_patient.label("with_patient"),
        _same_clinician.label("same_clinician"),
    )
    .where(
        group_session.c.service_date == bindparam("day"),
        group_session.c.id != bindparam("session"),
        or_(_same_clinician, _with_patient),
    )
    .order_by(group_session.c.id)
)
