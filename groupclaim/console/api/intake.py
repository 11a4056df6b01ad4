"""What systems hand in: records of the practice, sessions, attendance, notes, coverage.

All of it may be handed in again: what is on file already changes nothing.
"""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel, Field, StringConstraints

from activities.rosters import Outcome, plan_roster
from groupclaim.console.access import Permission
from groupclaim.console.api.door import REFUSALS, Caller, Scope
from groupclaim.console.api.seen import check_none_elsewhere, check_session
from groupclaim.model.base import InputRefused, Instant, Record, Reference
from groupclaim.model.intake import PracticeFile
from groupclaim.model.patient import Authorization, Coverage, CoverageCall
from groupclaim.model.session import AttendanceList, GroupSession
from groupclaim.store import practice

router = APIRouter(responses=REFUSALS)
HandsIn = Annotated[Caller, Depends(Scope(Permission.INTAKE))]
Signs = Annotated[Caller, Depends(Scope(Permission.SIGN))]
Once = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Names this change: sent again under it, it has its effect once.",
    ),
]
_MOST_SESSIONS = 500


class Loaded(BaseModel):
    """How many records were new, corrected, and on file already."""

    added: int
    changed: int
    unchanged: int


class Invited(BaseModel):
    """One participant, in the order of the roster that was handed in."""

    patient_id: str
    claim_number: str


class SessionTaken(BaseModel):
    """``new`` is false for a session on file already, which stays as it is."""

    session_id: str
    new: bool
    participants: list[Invited]


class AttendanceTaken(BaseModel):
    """``claims_changed``: how many claims learned something new."""

    group_size: int
    claims_changed: int


class NoteSigned(Record):
    """Says that a participant's progress note is signed. Its text stays where it is."""

    session: Reference
    patient: Reference
    signed_at: Instant


class NoteWithdrawn(Record):
    """Says that a signed note does not support its claim; ``reason`` is kept encrypted."""

    session: Reference
    patient: Reference
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class NoteTaken(BaseModel):
    """``new`` is false when just this was known."""

    claim_number: str
    new: bool


class ClaimsTold(BaseModel):
    """How many open claims were told of it, to look again."""

    claims_told: int


@router.post("/practice")
async def load_practice(
    request: Request, caller: HandsIn, idempotency_key: Once, file: PracticeFile
) -> Loaded:
    """Take over a practice's records: locations, clinicians, payers, contracts, patients, coverage,
    plans. Nothing is deleted; a changed record is corrected."""
    caller.check_whole_practice(file.practice.ref)
    return Loaded(**await request.app.state.console.desk.load(file, by=caller.name))


@router.post("/sessions")
async def add_sessions(
    request: Request,
    caller: HandsIn,
    idempotency_key: Once,
    sessions: Annotated[list[GroupSession], Field(min_length=1, max_length=_MOST_SESSIONS)],
) -> list[SessionTaken]:
    """Take in sessions with their rosters and start carrying them. One on file stays as it is."""
    console = request.app.state.console
    caller.check_practice(await _practice(console))
    caller.check_location([item.location for item in sessions])
    keys = console.database.keyring
    async with console.database.reading() as reading:
        named = [keys.session_id(item.ref) for item in sessions]
        await check_none_elsewhere(reading, caller, named)
    added = await console.desk.add_sessions(sessions, by=caller.name)
    await console.desk.start_sessions(added)
    async with console.database.reading() as reading:
        rosters = [await practice.session_roster(reading, item.session_id) for item in added]
    numbers = [{row.patient_id: row.claim_number for row in item.rows} for item in rosters]
    return [
        SessionTaken(
            session_id=one.session_id,
            new=one.new,
            participants=[
                Invited(patient_id=key, claim_number=known[key])
                for key in map(keys.patient_id, given.roster)
                if key in known
            ],
        )
        for given, one, known in zip(sessions, added, numbers, strict=True)
    ]


class Row(BaseModel):
    """What becomes of one participant named by a bundle: ``start`` a claim, ``known`` already,
    ``refused`` for its own ``problems``, ``held_back`` because another of its session is."""

    entry: int
    session_id: str | None
    claim_number: str | None
    outcome: Outcome
    problems: list[str]


class BundleTaken(BaseModel):
    """``taken`` is false for a dry run."""

    taken: bool
    sessions: int
    rows: list[Row]


@router.post("/fhir")
async def take_bundle(
    request: Request,
    caller: HandsIn,
    idempotency_key: Once,
    bundle: dict[str, Any],
    dry_run: bool = False,
    only_valid: bool = False,
) -> BundleTaken:
    """Take in the sessions of a FHIR R4 Bundle: Appointments with their patients, practitioner and
    location, and Encounters that name their appointment. A resource's `id` is the practice's own.
    Nothing is taken unless every entry is right, or with `only_valid` what is."""
    console = request.app.state.console
    caller.check_practice(await _practice(console))
    content = await asyncio.to_thread(lambda: json.dumps(bundle).encode())
    async with console.database.reading() as reading:
        plan = await plan_roster(reading, content, "bundle")
        await check_none_elsewhere(reading, caller, (item.session_id for item in plan.rows))
    if plan.problems and not only_valid and not dry_run:
        raise InputRefused("bundle", list(plan.problems))
    caller.check_location([item.location for item in plan.sessions])
    if not dry_run:
        added = await console.desk.add_sessions(plan.sessions, by=caller.name)
        await console.desk.start_sessions(added)
    return BundleTaken(
        taken=not dry_run,
        sessions=len(plan.sessions),
        rows=[
            Row(
                entry=item.row,
                session_id=item.session_id,
                claim_number=item.claim_number,
                outcome=item.outcome,
                problems=list(item.problems),
            )
            for item in plan.rows
        ],
    )


@router.post("/attendance")
async def record_attendance(
    request: Request, caller: HandsIn, idempotency_key: Once, attendance: AttendanceList
) -> AttendanceTaken:
    """Record a session's final attendance, or correct it."""
    console = request.app.state.console
    await _check_session(console, caller, attendance.session)
    return AttendanceTaken(**await console.desk.record_attendance(attendance, by=caller.name))


@router.post("/notes/signed")
async def sign_note(
    request: Request, caller: Signs, idempotency_key: Once, note: NoteSigned
) -> NoteTaken:
    """Say that a participant's progress note is signed."""
    console = request.app.state.console
    await _check_session(console, caller, note.session)
    number = await console.desk.claim_number(note.session, note.patient)
    new = await console.desk.sign_note(note.session, note.patient, note.signed_at, by=caller.name)
    return NoteTaken(claim_number=number, new=new)


@router.post("/notes/withdrawn")
async def withdraw_note(
    request: Request, caller: Signs, idempotency_key: Once, note: NoteWithdrawn
) -> NoteTaken:
    """Say that a signed note is not valid: what was sent with it is taken back from its payers."""
    console = request.app.state.console
    await _check_session(console, caller, note.session)
    number = await console.desk.claim_number(note.session, note.patient)
    new = await console.desk.withdraw_note(note.session, note.patient, note.reason, by=caller.name)
    return NoteTaken(claim_number=number, new=new)


@router.post("/coverages")
async def record_coverage(
    request: Request, caller: HandsIn, idempotency_key: Once, coverage: Coverage
) -> ClaimsTold:
    """Put a patient's coverage on file, or correct it."""
    console = request.app.state.console
    caller.check_whole_practice(await _practice(console))
    return ClaimsTold(claims_told=await console.desk.record_coverage(coverage, by=caller.name))


@router.post("/coverage-calls")
async def record_coverage_call(
    request: Request, caller: HandsIn, idempotency_key: Once, call: CoverageCall
) -> ClaimsTold:
    """Keep what a payer said by telephone, as evidence."""
    console = request.app.state.console
    caller.check_whole_practice(await _practice(console))
    return ClaimsTold(claims_told=await console.desk.record_coverage_call(call, by=caller.name))


@router.post("/authorizations")
async def record_authorization(
    request: Request, caller: HandsIn, idempotency_key: Once, authorization: Authorization
) -> ClaimsTold:
    """Put a prior authorization on file, or correct it."""
    console = request.app.state.console
    caller.check_whole_practice(await _practice(console))
    return ClaimsTold(
        claims_told=await console.desk.record_authorization(authorization, by=caller.name)
    )


async def _practice(console: Any) -> str:
    """The practice's own id. Raises UnknownRecord before one is loaded."""
    async with console.database.reading() as reading:
        return (await practice.read_practice(reading)).ref


async def _check_session(console: Any, caller: Caller, session: str) -> None:
    """Raises UnknownRecord for a session that is not there, or not for the caller."""
    async with console.database.reading() as reading:
        await check_session(reading, caller, reading.keyring.session_id(session))
