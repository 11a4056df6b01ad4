"""Claims as the store keeps them: state, events, versions, findings, and who attended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Executable, bindparam, case, delete, select, update

from groupclaim.lifecycle.state import ENDED, ClaimState
from groupclaim.model.base import InputRefused
from groupclaim.model.claim import ClaimVersion
from groupclaim.model.finding import Finding, Severity, Source
from groupclaim.model.money import Cents
from groupclaim.model.patient import Patient
from groupclaim.model.session import Attendance, GroupSession, RemotePart
from groupclaim.rules.attendance import not_billable_reason
from groupclaim.store import authorizations
from groupclaim.store.clock import CLOCK, clock_read
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.ledger import book_copay
from groupclaim.store.practice import UnknownRecord, add_participant, has_left, remote_part
from groupclaim.store.schema import (
    claim,
    claim_event,
    claim_version,
    finding,
    group_session,
    participant,
    patient,
    ready_claim,
)

NOTHING = Cents(0)

# --- where a claim stands


async def load_state(reading: Reading, claim_number: str) -> ClaimState:
    """The claim's last recorded state. Raises :class:`UnknownRecord`."""
    return await _state(reading, _STATE, claim_number)


async def locked_state(tx: Transaction, claim_number: str) -> ClaimState:
    """As :func:`load_state`, of a claim that nobody else changes until the end of ``tx``."""
    return await _state(tx, _LOCKED_STATE, claim_number)


async def _state(reading: Reading, statement: Executable, claim_number: str) -> ClaimState:
    row = (await reading.execute(statement, {"number": claim_number})).first()
    if row is None:
        raise UnknownRecord(f"claim {claim_number}")
    clock_read(reading, row.clock)
    return ClaimState.model_validate_json(row.state)


_STATE = select(claim.c.state, CLOCK).where(claim.c.claim_number == bindparam("number"))
_LOCKED_STATE = _STATE.with_for_update(key_share=True)


async def record_progress(
    tx: Transaction,
    state: ClaimState,
    at: datetime,
    actor: str = "groupclaim",
    before: ClaimState | None = None,
) -> bool:
    """Keep the claim's state and note the step in its timeline.

    A state older than the one kept changes nothing, so steps may be told late, twice or out of
    order. True when this state is news. ``before`` is the state kept until now, where it is known.
    """
    hold = state.hold
    updated = await tx.execute(
        _RECORD,
        {
            "number": state.claim_number,
            "newest": state.sequence,
            "stage": state.stage.value,
            "hold_code": hold.code if hold else None,
            "held_since": hold.since if hold else None,
            "reason": state.reason,
            "since": state.since,
            "due_at": state.due_at,
            "version": state.version,
            "sequence": state.sequence,
            "state": state.model_dump_json(),
            "updated_at": at,
        },
    )
    if updated.rowcount == 0:
        await load_state(tx, state.claim_number)
        return False
    if before is None or _keeps_open(before) != _keeps_open(state):
        await _settle_session(
            tx,
            select(claim.c.session_id)
            .where(claim.c.claim_number == state.claim_number)
            .scalar_subquery(),
        )
    return await append_event(
        tx,
        state.claim_number,
        f"progress|{state.claim_number}|{state.sequence}",
        at,
        "progress",
        actor,
        {
            "stage": state.stage.value,
            "hold": hold.code if hold else None,
            "reason": state.reason,
            "cause": state.cause,
            "version": state.version,
            "due_at": state.due_at.isoformat() if state.due_at else None,
        },
        sequence=state.sequence,
    )


_RECORD = update(claim).where(
    claim.c.claim_number == bindparam("number"), claim.c.sequence <= bindparam("newest")
)


def _keeps_open(state: ClaimState) -> bool:
    """Whether a session is open for this claim's sake."""
    return state.stage not in ENDED or state.hold is not None


async def append_event(
    tx: Transaction,
    claim_number: str,
    key: str,
    at: datetime,
    kind: str,
    actor: str,
    detail: Mapping[str, Any],
    *,
    sequence: int = 0,
) -> bool:
    """Add to the claim's timeline, once for each ``key``. ``detail``: ids and codes, no names."""
    return await tx.insert_new(
        claim_event,
        {
            "claim_number": claim_number,
            "key": key,
            "sequence": sequence,
            "at": at,
            "kind": kind,
            "actor": actor,
            "detail": dict(detail),
        },
    )


async def has_event(reading: Reading, key: str) -> bool:
    """Whether something stands in a timeline under this ``key``."""
    found = await reading.scalar(select(claim_event.c.id).where(claim_event.c.key == key))
    return found is not None


@dataclass(frozen=True, slots=True)
class ClaimEvent:
    at: datetime
    kind: str
    actor: str
    sequence: int
    detail: Mapping[str, Any]


async def timeline(reading: Reading, claim_number: str) -> tuple[ClaimEvent, ...]:
    """All that happened to a claim, the first first."""
    rows = await reading.rows(
        select(claim_event)
        .where(claim_event.c.claim_number == claim_number)
        .order_by(claim_event.c.at, claim_event.c.id)
    )
    return tuple(ClaimEvent(r.at, r.kind, r.actor, r.sequence, r.detail) for r in rows)


# --- versions


async def begin_version(
    tx: Transaction, claim_number: str, last: int, step: int, at: datetime
) -> int:
    """The number of the version that ``step`` makes after ``last``: the same again where no batch
    has taken that one, so that no letter is missing on the wire. It waits for none any longer."""
    kept = (await tx.execute(_VERSION, {"number": claim_number, "place": last})).scalar()
    if kept is None:
        return last + 1
    if tx.unseal(claim_version, kept, ClaimVersion).made_by == step:
        return last
    waits = (
        ready_claim.c.claim_number == claim_number,
        ready_claim.c.version == last,
        ready_claim.c.batch_id.is_(None),
    )
    unsent = await tx.first(
        select(ready_claim.c.version).where(*waits).with_for_update(key_share=True)
    )
    if unsent is None:
        return last + 1
    await tx.execute(
        update(ready_claim)
        .where(*waits, ready_claim.c.withdrawn_at.is_(None))
        .values(withdrawn_at=at)
    )
    return last


async def make_version(tx: Transaction, made: ClaimVersion, at: datetime) -> ClaimVersion:
    """Keep a claim version, in place of one of that number that was withdrawn unsent. Else one that
    is kept never changes: made again, the kept one comes back."""
    withdrawn = await tx.execute(
        _FORGET_WITHDRAWN, {"number": made.claim_number, "place": made.version}
    )
    if withdrawn.rowcount:
        await tx.execute(
            delete(claim_version).filter_by(claim_number=made.claim_number, version=made.version)
        )
    new = await tx.insert_new(
        claim_version,
        {
            "claim_number": made.claim_number,
            "version": made.version,
            "control_number": made.control_number,
            "payer_key": tx.keyring.payer_key(made.parties.payer.ref),
            "policy": made.parties.payer.policy,
            "codes": ";".join(line.code for line in made.lines),
            "frequency": made.frequency,
            "charge_cents": int(made.charge),
            "created_at": at,
            "document": tx.seal(claim_version, made),
        },
    )
    return made if new else await read_version(tx, made.claim_number, made.version)


_FORGET_WITHDRAWN = delete(ready_claim).where(
    ready_claim.c.claim_number == bindparam("number"),
    ready_claim.c.version == bindparam("place"),
    ready_claim.c.batch_id.is_(None),
    ready_claim.c.withdrawn_at.is_not(None),
)


async def read_version(reading: Reading, claim_number: str, version: int) -> ClaimVersion:
    """One version of a claim. Raises :class:`UnknownRecord`."""
    which = {"number": claim_number, "place": version}
    document = await reading.read_once(_VERSION, which)
    if document is None:
        raise UnknownRecord(f"version {version} of claim {claim_number}")
    return reading.unseal(claim_version, document, ClaimVersion)


async def rules_of_version(reading: Reading, claim_number: str, version: int) -> str:
    """Name and version of the payer's policy that a version of a claim was made by: a hash of what
    it said then, whatever its file says now."""
    parties = (await read_version(reading, claim_number, version)).parties
    return f"{parties.payer.policy} {parties.policy_version}"


_VERSION = select(claim_version.c.document).where(
    claim_version.c.claim_number == bindparam("number"),
    claim_version.c.version == bindparam("place"),
)

# --- findings


async def replace_findings(
    tx: Transaction, claim_number: str, step: str, findings: Sequence[Finding], at: datetime
) -> None:
    """What ``step`` found now, in place of what it found before; the same again keeps its date."""
    kept = await read_findings(tx, claim_number, step)
    if kept == tuple(findings):
        return
    if kept:
        await tx.execute(delete(finding).filter_by(claim_number=claim_number, step=step))
    await tx.insert_all(
        finding,
        [
            {
                "claim_number": claim_number,
                "step": step,
                "position": position,
                "rule": item.rule,
                "severity": item.severity.value,
                "sentence": item.sentence,
                "fix": item.fix,
                "hold": item.hold,
                "releasable": item.releasable,
                "evidence": list(item.evidence),
                "source_policy": item.source.policy if item.source else None,
                "source_version": item.source.version if item.source else None,
                "source_citation": item.source.citation if item.source else None,
                "source_verified": item.source.verified if item.source else None,
                "created_at": at,
            }
            for position, item in enumerate(findings, 1)
        ],
    )


async def read_findings(
    reading: Reading, claim_number: str, step: str | None = None
) -> tuple[Finding, ...]:
    """What the rules found about a claim; of one ``step``, or of all in the order found."""
    query = _FINDINGS if step is None else _FINDINGS_OF_STEP
    values = {"number": claim_number} if step is None else {"number": claim_number, "of": step}
    rows = (await reading.execute(query, values)).all()
    return tuple(
        Finding(
            rule=row.rule,
            severity=Severity(row.severity),
            sentence=row.sentence,
            fix=row.fix,
            evidence=tuple(row.evidence),
            hold=row.hold,
            releasable=row.releasable,
            source=Source(
                policy=row.source_policy,
                version=row.source_version,
                citation=row.source_citation,
                verified=row.source_verified,
            )
            if row.source_policy is not None
            else None,
        )
        for row in rows
    )


_FINDINGS = (
    select(finding)
    .where(finding.c.claim_number == bindparam("number"))
    .order_by(finding.c.created_at, finding.c.step, finding.c.position)
)
_FINDINGS_OF_STEP = _FINDINGS.where(finding.c.step == bindparam("of"))

# --- attendance and roster


@dataclass(frozen=True, slots=True)
class AttendanceEntry:
    """What became of one invited patient. ``minutes`` is above zero exactly when they attended;
    ``remote`` is how they took part, where that differs from what the session says."""

    patient_id: str
    status: Attendance
    minutes: int = 0
    copay: Cents = NOTHING
    remote: RemotePart | None = None


@dataclass(frozen=True, slots=True)
class ClaimAttendance:
    """What a claim has to know. ``revision`` grows with each change that concerns the claim, so
    ``(claim_number, revision)`` names the news; ``sent``: a version is already in a batch."""

    claim_number: str
    patient_id: str
    attendance: Attendance | None
    not_billable: str | None
    sent: bool
    revision: int
    changed: bool


@dataclass(frozen=True, slots=True)
class RecordedAttendance:
    """``claims`` lists everyone on the roster; tell all of them, for a repeated call finds
    nothing changed although an earlier one may have died before telling anyone."""

    group_size: int
    claims: tuple[ClaimAttendance, ...]

    @property
    def changed(self) -> int:
        return sum(item.changed for item in self.claims)


async def record_attendance(
    tx: Transaction, session_id: str, entries: Sequence[AttendanceEntry], at: datetime
) -> RecordedAttendance:
    """Keep a session's final attendance, or a correction of it, with copays paid at the session.

    A claim that can no longer be billed leaves the queue for the next batch. When the size of the
    group changes, that concerns everyone who attended. Raises :class:`InputRefused` unless the
    entries name each patient on the roster once and nobody else.
    """
    session = await _locked_session(tx, session_id)
    rows = await _participants(tx, session_id)
    given = {item.patient_id: item for item in entries}
    _check_attendance(entries, {row.patient_id for row in rows})
    size = sum(item.status is Attendance.ATTENDED for item in entries)
    size_before = sum(row.attendance == Attendance.ATTENDED for row in rows)
    resized = session.attendance_recorded_at is not None and size != size_before
    claims = []
    for row in rows:
        entry = given[row.patient_id]
        values = {
            "attendance": entry.status.value,
            "minutes": entry.minutes,
            "copay_cents": int(entry.copay),
            "not_billable": not_billable_reason(entry.status, size),
        }
        changed = (
            any(getattr(row, name) != value for name, value in values.items())
            or remote_part(tx, row.document) != entry.remote
            or (resized and entry.status is Attendance.ATTENDED)
        )
        revision = row.revision + changed
        if changed:
            document = tx.seal(participant, entry.remote) if entry.remote else None
            await _update_participant(
                tx, row, {**values, "document": document, "revision": revision}
            )
            await book_copay(tx, row.claim_number, entry.copay, at)
        sent = await _withdraw(tx, row.claim_number, at, changed)
        if values["not_billable"] is None:
            await authorizations.commit(tx, row.claim_number, at)
        elif not sent:
            await authorizations.release(tx, row.claim_number, at)
        claims.append(
            ClaimAttendance(
                row.claim_number,
                row.patient_id,
                entry.status,
                not_billable_reason(entry.status, size),
                sent,
                revision,
                changed,
            )
        )
    if any(item.changed for item in claims):
        await tx.execute(
            update(group_session)
            .where(group_session.c.id == session_id)
            .values(attendance_recorded_at=at)
        )
    return RecordedAttendance(size, tuple(claims))


def _check_attendance(entries: Sequence[AttendanceEntry], invited: set[str]) -> None:
    problems = []
    seen: set[str] = set()
    for place, item in enumerate(entries):
        if item.patient_id not in invited:
            problems.append(f"entries[{place}].patient_id: not on the roster")
        if item.patient_id in seen:
            problems.append(f"entries[{place}].patient_id: listed more than once")
        if (item.minutes > 0) != (item.status is Attendance.ATTENDED):
            problems.append(
                f"entries[{place}].minutes: above zero exactly when the patient attended"
            )
        if item.copay < 0:
            problems.append(f"entries[{place}].copay: below zero")
        seen.add(item.patient_id)
    missing = len(invited - seen)
    if missing:
        problems.append(f"entries: {missing} on the roster are not listed")
    if problems:
        raise InputRefused("attendance", problems)


@dataclass(frozen=True, slots=True)
class AmendedRoster:
    """``claims`` lists those taken off, of whom nothing will be billed, and everyone left whose
    attendance is known: their room may have another size. Tell all of them, for a repeated call
    finds nothing ``changed`` although an earlier one may have died before telling anyone."""

    changed: bool
    claims: tuple[ClaimAttendance, ...]


async def amend_roster(
    tx: Transaction,
    session_id: str,
    add: Sequence[str],
    remove: Sequence[str],
    at: datetime,
) -> AmendedRoster:
    """Put patients on the roster of a known session, or take them off; repeating it is harmless.

    Raises :class:`InputRefused` for a patient not on file, one both added and removed, or a roster
    left empty.
    """
    session = await _locked_session(tx, session_id)
    rows = {row.patient_id: row for row in await _participants(tx, session_id, everyone=True)}
    people = await tx.rows(select(patient).where(patient.c.id.in_({*rows, *add})))
    refs = {row.id: tx.unseal(patient, row.document, Patient).ref for row in people}
    before = {key for key, row in rows.items() if row.on_roster}
    after = (before | set(add)) - set(remove)
    problems = [
        f"add[{n}]: no such patient on file" for n, key in enumerate(add) if key not in refs
    ]
    problems += [f"remove[{n}]: never on the roster" for n, k in enumerate(remove) if k not in rows]
    problems += [f"remove[{n}]: also to be added" for n, key in enumerate(remove) if key in add]
    if not after:
        problems.append("remove: nobody would be left on the roster")
    if problems:
        raise InputRefused("roster", problems)
    for key in add:
        await add_participant(tx, session.practice_id, session_id, key, session.service_date, at)
    concerned = []
    for key in remove:
        row = rows[key]
        reason = "REMOVED_FROM_ROSTER"
        changed = bool(row.on_roster)
        revision = row.revision + changed
        if changed:
            values = {"on_roster": False, "not_billable": reason, "revision": revision}
            await _update_participant(tx, row, values)
        sent = await _withdraw(tx, row.claim_number, at, True)
        if not sent:
            await authorizations.release(tx, row.claim_number, at)
        status = Attendance(row.attendance) if row.attendance else None
        concerned.append(
            ClaimAttendance(row.claim_number, key, status, reason, sent, revision, changed)
        )
    concerned += await _reassess(tx, session_id, rows, at)
    item = tx.unseal(group_session, session.document, GroupSession)
    amended = item.model_copy(update={"roster": tuple(sorted(refs[key] for key in after))})
    await tx.execute(
        update(group_session)
        .where(group_session.c.id == session_id)
        .values(document=tx.seal(group_session, amended))
    )
    return AmendedRoster(after != before, tuple(concerned))


async def _reassess(
    tx: Transaction, session_id: str, before: Mapping[str, Any], at: datetime
) -> list[ClaimAttendance]:
    """Judge the room anew after its roster changed: for everyone left in it whose attendance is
    known, what follows from how many attended now."""
    rows = [row for row in await _participants(tx, session_id) if row.attendance is not None]
    size = sum(row.attendance == Attendance.ATTENDED for row in rows)
    size_before = sum(
        row.on_roster and row.attendance == Attendance.ATTENDED for row in before.values()
    )
    concerned = []
    for row in rows:
        status = Attendance(row.attendance)
        reason = not_billable_reason(status, size)
        changed = row.not_billable != reason or (
            size != size_before and status is Attendance.ATTENDED
        )
        revision = row.revision + changed
        if changed:
            await _update_participant(tx, row, {"not_billable": reason, "revision": revision})
        sent = await _withdraw(tx, row.claim_number, at, changed)
        if changed and reason is None:
            await authorizations.commit(tx, row.claim_number, at)
        elif changed and not sent:
            await authorizations.release(tx, row.claim_number, at)
        concerned.append(
            ClaimAttendance(
                row.claim_number, row.patient_id, status, reason, sent, revision, changed
            )
        )
    return concerned


async def record_session(
    tx: Transaction, session_id: str, stage: Literal["open", "closed"], ended: int
) -> None:
    """How far a session's claims have come. It closes only when none of them is open."""
    await tx.execute(
        update(group_session)
        .where(group_session.c.id == session_id)
        .values(stage=stage, ended_claims=ended)
    )
    await _settle_session(tx, session_id)


async def _settle_session(tx: Transaction, session_id: Any) -> None:
    """A session is open while any of its claims is, also one that was taken up again later."""
    still_open = (
        select(claim.c.claim_number)
        .where(
            claim.c.session_id == group_session.c.id,
            claim.c.stage.not_in(tuple(ENDED)) | claim.c.hold_code.is_not(None),
        )
        .exists()
    )
    await tx.execute(
        update(group_session)
        .where(group_session.c.id == session_id)
        .values(stage=case((still_open, "open"), else_="closed"))
    )


async def _locked_session(tx: Transaction, session_id: str) -> Any:
    row = await tx.first(
        select(group_session)
        .where(group_session.c.id == session_id)
        .with_for_update(key_share=True)
    )
    if row is None:
        raise UnknownRecord(f"session {session_id}")
    return row


async def _participants(
    tx: Transaction, session_id: str, *, everyone: bool = False
) -> Sequence[Any]:
    """The rows of a roster, locked before anything else that a batch being cut may hold."""
    query = select(participant).where(participant.c.session_id == session_id)
    if not everyone:
        query = query.where(participant.c.on_roster)
    return await tx.rows(query.order_by(participant.c.claim_number).with_for_update(key_share=True))


async def _update_participant(tx: Transaction, row: Any, values: Mapping[str, Any]) -> None:
    await tx.execute(
        update(participant)
        .filter_by(session_id=row.session_id, patient_id=row.patient_id)
        .values(**values)
    )


async def _withdraw(tx: Transaction, claim_number: str, at: datetime, changed: bool) -> bool:
    """Take a claim whose attendance ``changed`` out of the queue: it is checked again, if it is
    billed at all. True when a version has left that was neither rejected nor refused.

    The rows are locked first: a batch being cut meanwhile either has them or will find them gone.
    """
    queued = await tx.execute(_QUEUED, {"number": claim_number})
    if queued.first() is None:
        return False  # no version was ever ready, so none has left
    if changed:
        await tx.execute(
            update(ready_claim)
            .where(
                ready_claim.c.claim_number == claim_number,
                ready_claim.c.batch_id.is_(None),
                ready_claim.c.withdrawn_at.is_(None),
            )
            .values(withdrawn_at=at)
        )
    left = await tx.first(
        select(claim.c.claim_number).where(
            claim.c.claim_number == claim_number, has_left(claim.c.claim_number)
        )
    )
    return left is not None


_QUEUED = (
    select(ready_claim.c.batch_id)
    .where(ready_claim.c.claim_number == bindparam("number"))
    .order_by(ready_claim.c.version)
    .with_for_update(key_share=True)
)


async def open_claims(reading: Reading, patient_ids: Sequence[str]) -> tuple[str, ...]:
    """Claims of these patients that are not closed: who may have to look again at a new fact."""
    rows = await reading.rows(
        select(claim.c.claim_number)
        .where(claim.c.patient_id.in_(patient_ids), claim.c.stage != "closed")
        .order_by(claim.c.claim_number)
    )
    return tuple(row.claim_number for row in rows)


async def closed_claims(
    reading: Reading, patient_ids: Sequence[str], since: date
) -> tuple[str, ...]:
    """Closed claims of these patients for days of service from ``since`` on: whom a coverage found
    late may still concern."""
    rows = await reading.rows(
        select(claim.c.claim_number)
        .where(
            claim.c.patient_id.in_(patient_ids),
            claim.c.stage == "closed",
            claim.c.service_date >= since,
        )
        .order_by(claim.c.claim_number)
    )
    return tuple(row.claim_number for row in rows)


async def claim_of(reading: Reading, session_id: str, patient_id: str) -> str:
    """The claim number of one roster row. Raises :class:`UnknownRecord`."""
    number: str | None = await reading.scalar(
        select(participant.c.claim_number).filter_by(session_id=session_id, patient_id=patient_id)
    )
    if number is None:
        raise UnknownRecord(f"participant {patient_id} of session {session_id}")
    return number
