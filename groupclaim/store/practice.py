"""Intake: the practice's own data and its sessions, and the facts of one claim read back from them.

Loading is idempotent: records are recognised by the practice's own ids, so the same file twice
changes nothing. Nothing is deleted by loading; a record is corrected by loading it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, RootModel
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Date,
    Label,
    Row,
    Select,
    String,
    Table,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    null,
    select,
    union_all,
    update,
)

from groupclaim.lifecycle.state import ENDED, ClaimState
from groupclaim.model.base import InputRefused
from groupclaim.model.claim import ClaimParties
from groupclaim.model.facts import ClaimFacts, EligibilityAnswer
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.model.patient import (
    Authorization,
    Coverage,
    CoverageCall,
    Patient,
    TreatmentPlan,
)
from groupclaim.model.practice import (
    Clinician,
    Connection,
    Contract,
    Fee,
    Location,
    Payer,
    Practice,
)
from groupclaim.model.roster_file import OnFile
from groupclaim.model.session import Attendance, GroupSession, OtherService, RemotePart
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY
from groupclaim.store import authorizations
from groupclaim.store.clock import CLOCK, clock_read
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import (
    acknowledgment,
    authorization,
    batch,
    batch_claim,
    claim,
    clinician,
    connection,
    contract,
    coverage,
    coverage_call,
    eligibility,
    fee,
    group_session,
    location,
    note,
    other_service,
    participant,
    patient,
    payer,
    practice,
    ready_claim,
    remittance,
    remittance_claim,
    treatment_plan,
)

NO_PAYER = "none"
"""The payer key of a claim whose day of service no coverage on file covers."""


class UnknownRecord(LookupError):
    """An opaque id or claim number that the store does not know."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading changed. ``patients``: opaque ids of those who, or whose coverage,
    authorizations or plan, are not what they were; their open claims may want to look again."""

    added: int
    changed: int
    unchanged: int
    patients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionAdded:
    """A session of a file. ``new`` is False when it was known, with nothing changed."""

    session_id: str
    claims: tuple[str, ...]
    new: bool


@dataclass(frozen=True, slots=True)
class RosterRow:
    patient_id: str
    claim_number: str
    payer_key: str


@dataclass(frozen=True, slots=True)
class SessionRoster:
    """Who is on the roster of a session now. Times and zone are those of the session's place."""

    session_id: str
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    attendance_recorded: bool
    rows: tuple[RosterRow, ...]


async def load_practice(tx: Transaction, file: PracticeFile, source: str = "practice") -> Loaded:
    """Take over a practice's data. Raises :class:`InputRefused` for dangling references."""
    file.check_references(source)
    keys = tx.keyring
    loader = _Loader(tx, keys.opaque("practice", file.practice.ref))
    await loader.put(practice, loader.practice_id, file.practice)
    for place in file.locations:
        await loader.put(location, keys.opaque("location", place.ref), place)
    for person in file.clinicians:
        await loader.put(clinician, keys.opaque("clinician", person.ref), person)
    for line in file.connections:
        await loader.put(connection, keys.connection_id(line.ref), line)
    for who in file.payers:
        await loader.put(
            payer,
            keys.payer_key(who.ref),
            who,
            payer_id=who.payer_id,
            connection_id=keys.connection_id(who.connection),
        )
    for price in file.fees:
        await loader.put(
            fee, keys.opaque("fee", f"{price.code}|{price.effective_from}"), price,
            code=price.code, **_days(price),
        )  # fmt: skip
    for agreement in file.contracts:
        await loader.put(
            contract,
            keys.opaque("contract", f"{agreement.payer}|{agreement.effective_from}"),
            agreement,
            payer_key=keys.payer_key(agreement.payer),
            **_days(agreement),
        )
    for invited in file.patients:
        await loader.put(patient, keys.patient_id(invited.ref), invited)
    for cover in file.coverages:
        await _put_coverage(loader, cover)
    for plan in file.treatment_plans:
        await loader.put(
            treatment_plan,
            keys.opaque("treatment_plan", f"{plan.patient}|{plan.ref}"),
            plan,
            patient_id=keys.patient_id(plan.patient),
            valid_from=plan.valid_from,
            valid_to=plan.valid_to,
        )
    for permit in file.authorizations:
        await _put_authorization(loader, permit)
    await _assign_payers(tx, loader.patients)
    return loader.result()


async def record_coverage(tx: Transaction, given: Coverage, *, insert: bool = False) -> Loaded:
    """Take over one coverage, or its correction; with ``insert`` those that are billed at its place
    or later on its days move one down from its first day on.

    Raises :class:`InputRefused` for unknown references, and for days on which another coverage of
    the patient has the same priority.
    """
    keys = tx.keyring
    patient_id = keys.patient_id(given.patient)
    problems = []
    for field, table, key in (
        ("patient", patient, patient_id),
        ("payer", payer, keys.payer_key(given.payer)),
    ):
        if not await _exists(tx, table, key):
            problems.append(f"coverage.{field}: no such record")
    others = await open_all(
        tx,
        coverage,
        Coverage,
        coverage.c.patient_id == patient_id,
        coverage.c.priority == given.priority,
        coverage.c.id != _coverage_id(tx, given),
    )
    if not insert and any(
        one.in_force(given.effective_from) or given.in_force(one.effective_from) for one in others
    ):
        problems.append(
            "coverage.priority: another coverage of the patient has it on the same days "
            "(`groupclaim coverage record --insert` moves it down)"
        )
    if problems:
        raise InputRefused("coverage", problems)
    practice_id = await tx.scalar(select(patient.c.practice_id).where(patient.c.id == patient_id))
    loader = _Loader(tx, practice_id)
    if insert:
        await _make_room(loader, given, patient_id)
    await _put_coverage(loader, given)
    await _assign_payers(tx, loader.patients)
    return loader.result()


async def _make_room(loader: _Loader, given: Coverage, patient_id: str) -> None:
    """Move what stands at the place of ``given`` or later one down, if anything stands there."""
    later = [
        cover
        for cover in await open_all(
            loader.tx,
            coverage,
            Coverage,
            coverage.c.patient_id == patient_id,
            coverage.c.priority >= given.priority,
            coverage.c.id != _coverage_id(loader.tx, given),
            coverage.c.effective_to.is_(None) | (coverage.c.effective_to >= given.effective_from),
        )
        if given.effective_to is None or cover.effective_from <= given.effective_to
    ]
    if any(cover.priority == given.priority for cover in later):
        for cover in later:
            await _move(loader, cover, cover.priority + 1, given.effective_from)


async def _move(loader: _Loader, cover: Coverage, priority: int, since: date) -> None:
    """Bill a coverage at another place from ``since`` on; until then it stays where it is."""
    if cover.effective_from < since:
        last = since - timedelta(days=1)
        await _put_coverage(loader, cover.model_copy(update={"effective_to": last}))
    else:
        await loader.tx.execute(
            delete(coverage).where(coverage.c.id == _coverage_id(loader.tx, cover))
        )
    first = max(cover.effective_from, since)
    await _put_coverage(
        loader, cover.model_copy(update={"priority": priority, "effective_from": first})
    )


async def order_coverages(
    tx: Transaction, patient_ref: str, payers: Sequence[str], since: date
) -> Loaded:
    """Bill a patient's ``payers``, the practice's ids, in this order for days from ``since`` on;
    for the days before, the order stays. Every coverage that goes on from then must be named.

    Raises :class:`InputRefused`.
    """
    patient_id = tx.keyring.patient_id(patient_ref)
    covers = await open_all(
        tx,
        coverage,
        Coverage,
        coverage.c.patient_id == patient_id,
        coverage.c.effective_to.is_(None) | (coverage.c.effective_to >= since),
    )
    known = {cover.payer for cover in covers}
    problems = [] if covers else ["patient: no coverage from that day on"]
    problems += [
        f"payers[{place}]: {why}"
        for place, payer_ref in enumerate(payers)
        for why in (
            *(["named twice"] if payer_ref in payers[:place] else []),
            *(["no coverage of it from that day on"] if payer_ref not in known else []),
        )
    ]
    if left_out := len(known - set(payers)):
        problems.append(f"payers: {left_out} with a coverage from that day on left out")
    if problems:
        raise InputRefused("coverage order", problems)
    practice_id = await tx.scalar(select(patient.c.practice_id).where(patient.c.id == patient_id))
    loader = _Loader(tx, practice_id)
    for cover in covers:
        priority = payers.index(cover.payer) + 1
        if priority != cover.priority:
            await _move(loader, cover, priority, since)
    await _assign_payers(tx, loader.patients)
    return loader.result()


def _coverage_id(reading: Reading, given: Coverage) -> str:
    reference = f"{given.patient}|{given.payer}|{given.priority}|{given.effective_from}"
    return reading.keyring.opaque("coverage", reference)


async def _put_coverage(loader: _Loader, given: Coverage) -> None:
    keys = loader.tx.keyring
    await loader.put(
        coverage,
        _coverage_id(loader.tx, given),
        given,
        patient_id=keys.patient_id(given.patient),
        payer_key=keys.payer_key(given.payer),
        priority=given.priority,
        member_id_index=keys.blind_index("coverage.member_id", given.member_id),
        **_days(given),
    )


async def record_authorization(tx: Transaction, given: Authorization) -> Loaded:
    """Take over one authorization, or its correction. Unknown references are refused."""
    keys = tx.keyring
    problems = []
    for field, table, key in (
        ("patient", patient, keys.patient_id(given.patient)),
        ("payer", payer, keys.payer_key(given.payer)),
        ("clinician", clinician, given.clinician and keys.opaque("clinician", given.clinician)),
    ):
        if key is not None and not await _exists(tx, table, key):
            problems.append(f"authorization.{field}: no such record")
    if problems:
        raise InputRefused("authorization", problems)
    practice_id = await tx.scalar(
        select(patient.c.practice_id).where(patient.c.id == keys.patient_id(given.patient))
    )
    loader = _Loader(tx, practice_id)
    await _put_authorization(loader, given)
    return loader.result()


async def record_coverage_call(tx: Transaction, given: CoverageCall) -> Loaded:
    """Keep what a payer said by telephone, or its correction. Unknown references are refused."""
    keys = tx.keyring
    patient_id = keys.patient_id(given.patient)
    problems = []
    for field, table, key in (
        ("patient", patient, patient_id),
        ("payer", payer, keys.payer_key(given.payer)),
    ):
        if not await _exists(tx, table, key):
            problems.append(f"call.{field}: no such record")
    if problems:
        raise InputRefused("call", problems)
    practice_id = await tx.scalar(select(patient.c.practice_id).where(patient.c.id == patient_id))
    loader = _Loader(tx, practice_id)
    await loader.put(
        coverage_call,
        keys.opaque("coverage_call", f"{given.patient}|{given.payer}|{given.reference}"),
        given,
        patient_id=patient_id,
        payer_key=keys.payer_key(given.payer),
        **_days(given),
    )
    return loader.result()


async def _put_authorization(loader: _Loader, given: Authorization) -> None:
    keys = loader.tx.keyring
    await loader.put(
        authorization,
        authorizations.authorization_id(loader.tx, given),
        given,
        patient_id=keys.patient_id(given.patient),
        payer_key=keys.payer_key(given.payer),
        **_days(given),
    )


class _Loader:
    """Puts records under their opaque ids, counting what that changed."""

    def __init__(self, tx: Transaction, practice_id: str) -> None:
        self.tx = tx
        self.practice_id = practice_id
        self.patients: set[str] = set()
        self._counts = {"added": 0, "changed": 0, "unchanged": 0}

    async def put(self, table: Table, key: str, record: BaseModel, **plain: Any) -> None:
        outcome = await self._put(table, key, record, plain)
        self._counts[outcome] += 1
        if outcome != "unchanged" and "patient_id" in plain:
            self.patients.add(plain["patient_id"])
        if outcome == "changed" and table is patient:  # a consent given or taken back, for one
            self.patients.add(key)

    async def _put(self, table: Table, key: str, record: BaseModel, plain: dict[str, Any]) -> str:
        if table is not practice:
            plain = {**plain, "practice_id": self.practice_id}
        values = {**plain, "document": self.tx.seal(table, record)}
        if await self.tx.insert_new(table, {"id": key, **values}):
            return "added"
        stored = await self.tx.scalar(
            select(table.c.document).where(table.c.id == key).with_for_update(key_share=True)
        )
        if self.tx.unseal(table, stored, type(record)) == record:
            return "unchanged"
        await self.tx.execute(update(table).where(table.c.id == key).values(values))
        return "changed"

    def result(self) -> Loaded:
        return Loaded(**self._counts, patients=tuple(sorted(self.patients)))


def _days(record: Any) -> dict[str, date | None]:
    return {"effective_from": record.effective_from, "effective_to": record.effective_to}


async def _exists(reading: Reading, table: Table, key: str) -> bool:
    return await reading.first(select(table.c.id).where(table.c.id == key)) is not None


async def _assign_payers(tx: Transaction, patient_ids: Iterable[str]) -> None:
    """Note anew who pays for the open claims of patients whose coverage changed; one that has a
    version on its way, or sent and neither rejected nor refused, stays with whom that names."""
    waits = (
        select(ready_claim.c.version)
        .where(
            ready_claim.c.claim_number == claim.c.claim_number,
            ready_claim.c.batch_id.is_(None),
            ready_claim.c.withdrawn_at.is_(None),
        )
        .exists()
    )
    rows = await tx.rows(
        select(claim.c.claim_number, claim.c.patient_id, claim.c.service_date).where(
            claim.c.patient_id.in_(tuple(patient_ids)),
            claim.c.stage.not_in(tuple(ENDED)),
            ~waits,
            ~has_left(claim.c.claim_number),
        )
    )
    for row in rows:
        cover = await _coverage(tx, row.patient_id, row.service_date)
        answer = await _answer(tx, row.claim_number, cover)
        key = tx.keyring.payer_key(_billed(cover, answer)) if cover else NO_PAYER
        await tx.execute(
            update(claim).where(claim.c.claim_number == row.claim_number).values(payer_key=key)
        )


REJECTED = (
    select(acknowledgment.c.id)
    .where(
        acknowledgment.c.claim_number == batch_claim.c.claim_number,
        acknowledgment.c.version == batch_claim.c.version,
        acknowledgment.c.accepted.is_(False),
    )
    .exists()
)
"""Of a claim in a batch: whether this version of it was rejected."""


def has_left(claim_number: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a version of a claim is in a batch that was not refused, and was not rejected."""
    return (
        select(batch_claim.c.version)
        .join(batch, batch.c.id == batch_claim.c.batch_id)
        .where(batch_claim.c.claim_number == claim_number, batch.c.state != "refused", ~REJECTED)
        .exists()
    )


async def coverages(reading: Reading, patient_id: str, day: date) -> tuple[Coverage, ...]:
    """A patient's coverages of a day in the order in which they are billed."""
    covers = await open_all(
        reading,
        coverage,
        Coverage,
        coverage.c.patient_id == patient_id,
        _in_force(coverage, day),
    )
    return tuple(sorted(covers, key=lambda item: item.priority))


async def _coverage(reading: Reading, patient_id: str, day: date) -> Coverage | None:
    """The coverage that is billed first for a day."""
    return next(iter(await coverages(reading, patient_id, day)), None)


def _in_force(table: Table, day: date | ColumnElement[date]) -> ColumnElement[bool]:
    return (table.c.effective_from <= day) & (
        table.c.effective_to.is_(None) | (table.c.effective_to >= day)
    )


# --- sessions


async def add_sessions(
    tx: Transaction, sessions: Sequence[GroupSession], at: datetime, source: str = "sessions"
) -> tuple[SessionAdded, ...]:
    """Take over sessions with their rosters; one claim for each roster row.

    A session known before is left as it is: rosters are amended and attendance recorded, not
    loaded again. Raises :class:`InputRefused` naming every reference to something not on file.
    """
    await _check_references(tx, sessions, source)
    practice_id = await tx.scalar(select(practice.c.id))
    return tuple([await _add_session(tx, practice_id, item, at) for item in sessions])


async def _check_references(
    reading: Reading, sessions: Sequence[GroupSession], source: str
) -> None:
    keys = reading.keyring
    known: dict[str, set[str]] = {
        table.name: {row.id for row in await reading.rows(select(table.c.id))}
        for table in (location, clinician, patient)
    }
    problems = []
    refs = [item.ref for item in sessions]

    def refer(place: str, kind: str, ref: str | None) -> None:
        if ref is not None and keys.opaque(kind, ref) not in known[kind]:
            problems.append(f"{place}: no such {kind} on file")

    for index, item in enumerate(sessions):
        if refs.index(item.ref) != index:
            problems.append(f"[{index}].ref: the same ref is used more than once")
        refer(f"[{index}].location", "location", item.location)
        refer(f"[{index}].clinician", "clinician", item.clinician)
        for place, ref in enumerate(item.roster):
            refer(f"[{index}].roster[{place}]", "patient", ref)
        for place, service in enumerate(item.other_services):
            refer(f"[{index}].other_services[{place}].patient", "patient", service.patient)
            refer(f"[{index}].other_services[{place}].clinician", "clinician", service.clinician)
    if problems:
        raise InputRefused(source, problems)


async def _add_session(
    tx: Transaction, practice_id: str, item: GroupSession, at: datetime
) -> SessionAdded:
    keys = tx.keyring
    session_id = keys.session_id(item.ref)
    where = await _open(tx, location, keys.opaque("location", item.location), Location)
    day = item.starts_at.astimezone(ZoneInfo(where.time_zone)).date()
    new = await tx.insert_new(
        group_session,
        {
            "id": session_id,
            "practice_id": practice_id,
            "location_id": keys.opaque("location", item.location),
            "clinician_id": keys.opaque("clinician", item.clinician),
            "starts_at": item.starts_at,
            "service_date": day,
            "stage": "open",
            "ended_claims": 0,
            "document": tx.seal(group_session, item),
        },
    )
    if not new:
        numbers = await tx.rows(
            select(participant.c.claim_number)
            .where(participant.c.session_id == session_id)
            .order_by(participant.c.claim_number)
        )
        return SessionAdded(session_id, tuple(row.claim_number for row in numbers), False)
    claims = [
        await add_participant(tx, practice_id, session_id, keys.patient_id(ref), day, at)
        for ref in item.roster
    ]
    for place, service in enumerate(item.other_services):
        await tx.insert_new(
            other_service,
            {
                "id": keys.opaque("other_service", f"{item.ref}|{place}"),
                "session_id": session_id,
                "patient_id": keys.patient_id(service.patient),
                "code": service.code,
                "starts_at": service.starts_at,
                "document": tx.seal(other_service, service),
            },
        )
    return SessionAdded(session_id, tuple(claims), True)


async def add_participant(
    tx: Transaction, practice_id: str, session_id: str, patient_id: str, day: date, at: datetime
) -> str:
    """Put a patient on a session's roster with a claim of their own; returns its number."""
    number = tx.keyring.claim_number(practice_id, session_id, patient_id)
    state = ClaimState(claim_number=number)
    cover = await _coverage(tx, patient_id, day)
    await tx.insert_new(
        claim,
        {
            "claim_number": number,
            "session_id": session_id,
            "patient_id": patient_id,
            "payer_key": tx.keyring.payer_key(cover.payer) if cover else NO_PAYER,
            "service_date": day,
            "stage": state.stage.value,
            "version": 0,
            "sequence": 0,
            "state": state.model_dump_json(),
            "created_at": at,
            "updated_at": at,
        },
    )
    row = {"session_id": session_id, "patient_id": patient_id}
    if not await tx.insert_new(
        participant,
        {
            **row,
            "claim_number": number,
            "on_roster": True,
            "minutes": 0,
            "copay_cents": 0,
            "revision": 0,
        },
    ):
        await tx.execute(
            update(participant)
            .filter_by(**row, on_roster=False)
            .values(on_roster=True, not_billable=None, revision=participant.c.revision + 1)
        )
    return number


async def roster_references(reading: Reading) -> OnFile:
    """What a roster file may refer to, as on file now."""
    keys = reading.keyring
    known = {
        table.name: {row.id for row in await reading.rows(select(table.c.id))}
        for table in (clinician, patient)
    }
    places = await open_all(reading, location, Location)
    return OnFile(
        zones={item.ref: item.time_zone for item in places},
        clinician=lambda ref: keys.opaque("clinician", ref) in known["clinician"],
        patient=lambda ref: keys.patient_id(ref) in known["patient"],
    )


async def kept_session(reading: Reading, session_id: str) -> GroupSession | None:
    """A session as it was handed in; None when it is not on file."""
    document = await reading.scalar(
        select(group_session.c.document).where(group_session.c.id == session_id)
    )
    return reading.unseal(group_session, document, GroupSession) if document else None


async def session_roster(reading: Reading, session_id: str) -> SessionRoster:
    """The session and those on its roster now. Raises :class:`UnknownRecord`."""
    held = await reading.first(select(group_session).where(group_session.c.id == session_id))
    if held is None:
        raise UnknownRecord(f"session {session_id}")
    item = reading.unseal(group_session, held.document, GroupSession)
    where = await _open(reading, location, held.location_id, Location)
    rows = await reading.rows(
        select(participant.c.patient_id, participant.c.claim_number, claim.c.payer_key)
        .join(claim, claim.c.claim_number == participant.c.claim_number)
        .where(participant.c.session_id == session_id, participant.c.on_roster)
        .order_by(participant.c.claim_number)
    )
    return SessionRoster(
        session_id,
        item.starts_at,
        item.ends_at,
        where.time_zone,
        held.attendance_recorded_at is not None,
        tuple(RosterRow(row.patient_id, row.claim_number, row.payer_key) for row in rows),
    )


# --- what the steps learn


async def record_eligibility(tx: Transaction, claim_number: str, answer: EligibilityAnswer) -> None:
    """Keep the last answer about the claim's day of service; an older one changes nothing. Where it
    says that another payer is billed instead, the claim is that one's from now on."""
    document = tx.seal(eligibility, answer)
    values = {"checked_at": answer.checked_at, "document": document}
    if not await tx.insert_new(eligibility, {"claim_number": claim_number, **values}):
        updated = await tx.execute(
            update(eligibility)
            .where(
                eligibility.c.claim_number == claim_number,
                eligibility.c.checked_at <= answer.checked_at,
            )
            .values(values)
        )
        if updated.rowcount == 0:
            return
    billed = answer.carve_out or answer.asked
    if billed is not None:
        await tx.execute(
            update(claim)
            .where(claim.c.claim_number == claim_number)
            .values(payer_key=tx.keyring.payer_key(billed))
        )


async def record_note_signed(
    tx: Transaction, session_id: str, patient_id: str, signed_at: datetime, digest: str | None
) -> bool:
    """Note that a participant's note is signed; its text stays in its source.

    ``digest``: SHA-256 of the note as it was signed; None when the note was not read, which leaves
    the one known of the same signature as it is. A signature from before the note was withdrawn is
    none. True when this is news.
    """
    values = {"signed_at": signed_at, "digest": digest, "withdrawn_at": None}
    row = {"session_id": session_id, "patient_id": patient_id}
    if await tx.insert_new(note, {**row, **values}):
        return True
    known = await tx.first(select(note).filter_by(**row).with_for_update(key_share=True))
    if known is not None and known.withdrawn_at is not None and signed_at <= known.withdrawn_at:
        return False
    if known is not None and known.signed_at == signed_at and digest in (None, known.digest):
        return False
    await tx.execute(update(note).filter_by(**row).values(values))
    return True


async def withdraw_note(
    tx: Transaction, session_id: str, patient_id: str, at: datetime
) -> bool | None:
    """A signed note does not support the claim any more. False when that was noted before, None
    where no note is signed."""
    row = {"session_id": session_id, "patient_id": patient_id}
    known = await tx.first(select(note).filter_by(**row).with_for_update(key_share=True))
    if known is None:
        return None
    if known.withdrawn_at is not None:
        return False
    await tx.execute(update(note).filter_by(**row).values(withdrawn_at=at))
    return True


# --- reading back


Kept = TypeVar("Kept", bound=BaseModel)


async def _open(reading: Reading, table: Table, key: str, record: type[Kept]) -> Kept:
    document = (await reading.execute(_by_id(table), {"key": key})).scalar()
    if document is None:
        raise UnknownRecord(f"{table.name} {key}")
    return reading.unseal(table, document, record)


@cache
def _by_id(table: Table) -> Select[Any]:
    return select(table.c.document).where(table.c.id == bindparam("key"))


async def open_all(
    reading: Reading, table: Table, record: type[Kept], *where: ColumnElement[bool]
) -> tuple[Kept, ...]:
    """Every record of one of the practice's tables that fits, read from its document."""
    rows = await reading.rows(select(table.c.document).where(*where).order_by(table.c.id))
    return tuple(reading.unseal(table, row.document, record) for row in rows)


async def read_connection(reading: Reading, connection_id: str) -> Connection:
    document = await reading.read_once(_by_id(connection), {"key": connection_id})
    if document is None:
        raise UnknownRecord(f"connection {connection_id}")
    return reading.unseal(connection, document, Connection)


async def connection_ids(reading: Reading) -> tuple[str, ...]:
    rows = await reading.rows(select(connection.c.id).order_by(connection.c.id))
    return tuple(row.id for row in rows)


async def read_practice(reading: Reading) -> Practice:
    """The practice of this database. Raises :class:`UnknownRecord` before it is loaded."""
    practice_id = await reading.scalar(select(practice.c.id))
    return await _open(reading, practice, practice_id or "", Practice)


async def usual_charge(reading: Reading, claim_number: str) -> Cents:
    """What a claim not yet made would charge by the practice's own fees for group therapy."""
    rows = (await reading.execute(_FEES_OF_THE_DAY, {"number": claim_number})).all()
    prices = [reading.unseal(fee, row.document, Fee).cents for row in rows]
    return sum(prices, start=Cents(0))


_FEES_OF_THE_DAY = (
    select(fee.c.document)
    .join(claim, _in_force(fee, claim.c.service_date))
    .where(claim.c.claim_number == bindparam("number"), fee.c.code == GROUP_PSYCHOTHERAPY)
)


async def time_zone(reading: Reading) -> str:
    """The practice's time zone; UTC while nothing is loaded."""
    if await reading.scalar(select(practice.c.id).limit(1)) is None:
        return "UTC"
    return (await read_practice(reading)).time_zone


async def patient_of_claim(reading: Reading, claim_number: str) -> Patient:
    """Whom a claim is for. Whoever shows this to somebody notes it in the audit log."""
    key = await reading.scalar(
        select(claim.c.patient_id).where(claim.c.claim_number == claim_number)
    )
    if key is None:
        raise UnknownRecord(f"claim {claim_number}")
    return await _open(reading, patient, key, Patient)


async def read_payer(reading: Reading, payer_key: str) -> Payer:
    return await _open(reading, payer, payer_key, Payer)


async def claim_facts(
    reading: Reading, claim_number: str, parties: ClaimParties | None = None
) -> ClaimFacts:
    """Everything on file that bears on one claim. Raises :class:`UnknownRecord`.

    Payer, coverage and the payer's answer are those of ``parties`` where they are given: of a
    version that has been made, whatever is on file by now.
    """
    row = (await reading.execute(_ONE_CLAIM, {"number": claim_number})).first()
    if row is None:
        raise UnknownRecord(f"claim {claim_number}")
    clock_read(reading, row.clock)
    day, patient_id = row.day, row.patient_id
    place = reading.unseal(location, row.location, Location)
    person = reading.unseal(clinician, row.clinician, Clinician)
    supervisor_id = person.supervisor and reading.keyring.opaque("clinician", person.supervisor)
    cover: Coverage | None
    asked = reading.unseal(eligibility, row.answer, EligibilityAnswer) if row.answer else None
    named = parties.payer.ref if parties is not None else asked and asked.carve_out
    beside = {
        "patient": patient_id,
        "session": row.session_id,
        "day": day,
        "first": day.replace(month=1, day=1),
        "last": day.replace(month=12, day=31),
        "supervisor": supervisor_id or "",
        "payer": reading.keyring.payer_key(named) if named else NO_PAYER,
    }
    known = _Documents(reading, (await reading.execute(_BESIDE_A_CLAIM, beside)).all())
    if parties is not None:
        cover, answer = parties.coverage, parties.answer
        payer_key = reading.keyring.payer_key(parties.payer.ref)
    else:
        cover = min(known.all(coverage, Coverage), key=lambda item: item.priority, default=None)
        answer = asked if asked and cover and asked.is_about(cover) else None
        payer_key = reading.keyring.payer_key(_billed(cover, answer)) if cover else NO_PAYER
    billed = parties.payer if parties is not None else None
    if parties is None and cover is not None:
        billed = known.one(payer, Payer, payer_key)
    zone = ZoneInfo(place.time_zone)
    return ClaimFacts(
        claim_number=claim_number,
        session_id=row.session_id,
        patient_id=patient_id,
        practice=reading.unseal(practice, row.practice, Practice),
        location=place,
        clinician=person,
        session=reading.unseal(group_session, row.session, GroupSession),
        patient=reading.unseal(patient, row.patient, Patient),
        payer=billed,
        coverage=cover,
        eligibility=answer,
        plan=max(
            known.all(treatment_plan, TreatmentPlan),
            key=lambda item: (item.signed_at, item.ref),
            default=None,
        ),
        authorizations=await authorizations.of_patient(reading, patient_id, claim_number)
        if row.authorized
        else (),
        contracts=tuple(sorted(known.contracts(payer_key), key=lambda item: item.effective_from)),
        fees=known.all(fee, Fee),
        other_services=tuple(
            sorted(
                (
                    item
                    for item in known.all(other_service, OtherService)
                    if item.starts_at.astimezone(zone).date() == day
                ),
                key=lambda item: item.starts_at,
            )
        ),
        attendance=Attendance(row.attendance) if row.attendance else None,
        minutes=row.minutes,
        copay_paid=Cents(row.copay_cents),
        group_size=row.attended if row.attendance_recorded_at is not None else None,
        note_signed_at=None if row.note_withdrawn_at else row.note_signed_at,
        note_withdrawn_at=row.note_withdrawn_at,
        remote=remote_part(reading, row.document),
        supervisor=known.one(clinician, Clinician, supervisor_id) if supervisor_id else None,
        coverage_calls=known.all(coverage_call, CoverageCall),
        other_session_days=known.days(),
        decided_on=row.decided_on,
    )


_sat = participant.alias()
_ONE_CLAIM = (
    select(
        participant,
        group_session.c.attendance_recorded_at,
        group_session.c.document.label("session"),
        claim.c.service_date.label("day"),
        location.c.document.label("location"),
        clinician.c.document.label("clinician"),
        practice.c.document.label("practice"),
        patient.c.document.label("patient"),
        eligibility.c.document.label("answer"),
        note.c.signed_at.label("note_signed_at"),
        note.c.withdrawn_at.label("note_withdrawn_at"),
        select(func.count())
        .where(
            _sat.c.session_id == participant.c.session_id,
            _sat.c.on_roster,
            _sat.c.attendance == Attendance.ATTENDED,
        )
        .scalar_subquery()
        .label("attended"),
        select(authorization.c.id)
        .where(authorization.c.patient_id == participant.c.patient_id)
        .exists()
        .label("authorized"),
        select(func.max(remittance.c.payment_date))
        .join(remittance_claim, remittance_claim.c.remittance_id == remittance.c.id)
        .where(
            remittance_claim.c.claim_number == participant.c.claim_number,
            remittance_claim.c.posting.in_(("applied", "denied")),
            remittance_claim.c.reversed_by.is_(None),
        )
        .scalar_subquery()
        .label("decided_on"),
        CLOCK,
    )
    .join(group_session, group_session.c.id == participant.c.session_id)
    .join(claim, claim.c.claim_number == participant.c.claim_number)
    .join(location, location.c.id == group_session.c.location_id)
    .join(clinician, clinician.c.id == group_session.c.clinician_id)
    .join(practice, practice.c.id == group_session.c.practice_id)
    .join(patient, patient.c.id == participant.c.patient_id)
    .outerjoin(eligibility, eligibility.c.claim_number == participant.c.claim_number)
    .outerjoin(
        note,
        (note.c.session_id == participant.c.session_id)
        & (note.c.patient_id == participant.c.patient_id),
    )
    .where(participant.c.claim_number == bindparam("number"))
)
"""The claim, and the one record of each kind that it names: written once, because putting such a
statement together takes longer than carrying it out."""


_of_patient, _on_day = bindparam("patient", type_=String), bindparam("day", type_=Date)
_insures = (coverage.c.patient_id == _of_patient, _in_force(coverage, _on_day))
_who_may_pay = union_all(
    select(coverage.c.payer_key).where(*_insures), select(bindparam("payer", type_=String))
)


def _documents(
    table: Table, *where: ColumnElement[bool], of: ColumnElement[str] | None = None
) -> Select[Any]:
    """``of``: whose they are, where the statement finds those of several."""
    kind: Label[str] = literal_column(f"'{table.name}'").label("kind")
    whose = literal_column("''") if of is None else of
    return select(kind, table.c.id, whose.label("of"), table.c.document).where(*where)


_OTHER_DAY = "day"
_other_days: Any = (
    select(
        literal_column(f"'{_OTHER_DAY}'").label("kind"),
        cast(group_session.c.service_date, String),
        literal_column("''"),
        null(),
    )
    .join(participant, participant.c.session_id == group_session.c.id)
    .where(
        participant.c.patient_id == _of_patient,
        participant.c.session_id != bindparam("session"),
        participant.c.on_roster,
        participant.c.attendance == Attendance.ATTENDED,
        participant.c.not_billable.is_(None),
        group_session.c.service_date >= bindparam("first"),
        group_session.c.service_date <= bindparam("last"),
    )
)
_BESIDE_A_CLAIM: CompoundSelect[Any] = union_all(
    _documents(coverage, *_insures),
    _documents(
        treatment_plan,
        treatment_plan.c.patient_id == _of_patient,
        treatment_plan.c.valid_from <= _on_day,
        treatment_plan.c.valid_to >= _on_day,
    ),
    _documents(other_service, other_service.c.patient_id == _of_patient),
    _documents(
        coverage_call,
        coverage_call.c.patient_id == _of_patient,
        _in_force(coverage_call, _on_day),
    ),
    _documents(fee),
    _documents(clinician, clinician.c.id == bindparam("supervisor")),
    _documents(payer, payer.c.id.in_(_who_may_pay)),
    _documents(contract, contract.c.payer_key.in_(_who_may_pay), of=contract.c.payer_key),
    _other_days,
)
"""What bears on a claim beside what it names: of its patient, of who may pay for it, of the
practice; and the other days of the patient's sessions of the year."""


class _AnyContract(RootModel[Contract]):
    """A contract as it is kept, whichever its method."""


class _Documents:
    """Records of several tables, each in the order of their ids, as long as none is opened."""

    def __init__(self, reading: Reading, rows: Sequence[Row[Any]]) -> None:
        self._reading = reading
        self._rows = sorted(rows, key=lambda row: row.id)

    def all(self, table: Table, record: type[Kept]) -> tuple[Kept, ...]:
        return tuple(
            self._reading.unseal(table, row.document, record)
            for row in self._rows
            if row.kind == table.name
        )

    def one(self, table: Table, record: type[Kept], key: str) -> Kept:
        """Raises :class:`UnknownRecord` where it is not there."""
        for row in self._rows:
            if row.kind == table.name and row.id == key:
                return self._reading.unseal(table, row.document, record)
        raise UnknownRecord(f"{table.name} {key}")

    def contracts(self, payer_key: str) -> tuple[Contract, ...]:
        return tuple(
            self._reading.unseal(contract, row.document, _AnyContract).root
            for row in self._rows
            if row.kind == contract.name and row.of == payer_key
        )

    def days(self) -> tuple[date, ...]:
        return tuple(
            sorted(date.fromisoformat(row.id) for row in self._rows if row.kind == _OTHER_DAY)
        )


async def _answer(
    reading: Reading, claim_number: str, cover: Coverage | None
) -> EligibilityAnswer | None:
    """What was last answered about the claim; None when that was about other coverage."""
    document = await reading.scalar(
        select(eligibility.c.document).where(eligibility.c.claim_number == claim_number)
    )
    if document is None or cover is None:
        return None
    answer = reading.unseal(eligibility, document, EligibilityAnswer)
    return answer if answer.is_about(cover) else None


def _billed(cover: Coverage, answer: EligibilityAnswer | None) -> str:
    """Who is billed: the payer of the coverage, or the one it referred to when it was asked."""
    return (answer.carve_out if answer is not None else None) or cover.payer


def remote_part(reading: Reading, document: bytes | None) -> RemotePart | None:
    """How a participant took part by the final attendance, of their row's ``document``."""
    return reading.unseal(participant, document, RemotePart) if document else None


async def find_payer(reading: Reading, is_wanted: Callable[[Payer], bool]) -> Payer | None:
    """The one payer on file that is wanted; None when there is none, or more than one."""
    found = [item for item in await open_all(reading, payer, Payer) if is_wanted(item)]
    return found[0] if len(found) == 1 else None


async def held_for_payer(reading: Reading) -> tuple[str, ...]:
    """Claims that wait for a payer to be put on file, whoever the patient is."""
    rows = await reading.rows(
        select(claim.c.claim_number)
        .where(claim.c.hold_code == "CARVE_OUT")
        .order_by(claim.c.claim_number)
    )
    return tuple(row.claim_number for row in rows)


async def names(reading: Reading) -> dict[str, str]:
    """What payers, clinicians and locations are called, by their opaque ids."""
    found = {}
    for row in await reading.rows(select(payer)):
        found[row.id] = reading.unseal(payer, row.document, Payer).name
    for row in await reading.rows(select(location)):
        found[row.id] = reading.unseal(location, row.document, Location).name
    for row in await reading.rows(select(clinician)):
        person = reading.unseal(clinician, row.document, Clinician)
        found[row.id] = f"{person.last_name}, {person.first_name}"
    return found
