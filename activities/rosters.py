"""What a roster file would start: each row against what is on file, before anything is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sqlalchemy import select

from groupclaim.model.base import Record
from groupclaim.model.fhir import is_bundle, sessions_of_bundle
from groupclaim.model.roster_file import RosterFile, RowProblem, read_roster
from groupclaim.model.session import GroupSession
from groupclaim.store import practice
from groupclaim.store.database import Reading
from groupclaim.store.schema import practice as practice_table

_DIFFERENT = "not as on file; a session on file is not loaded again"
_NOT_INVITED = "not on the roster of the session on file; amend that"
Outcome = Literal["start", "known", "refused", "held_back"]


class PlannedRow(Record):
    """What would become of one row: ``start`` a claim, ``known`` already, ``refused`` for its own
    ``problems``, or ``held_back`` because another row of its session is refused. Ids are opaque."""

    row: int
    session_id: str | None
    claim_number: str | None
    outcome: Outcome
    problems: tuple[str, ...] = ()


class RosterPlan(Record):
    """``sessions`` are those of which every row is right, known ones included."""

    rows: tuple[PlannedRow, ...]
    sessions: tuple[GroupSession, ...]
    problems: tuple[str, ...]

    def count(self, outcome: Outcome) -> int:
        return sum(item.outcome == outcome for item in self.rows)


async def plan_roster(reading: Reading, content: bytes, source: str) -> RosterPlan:
    """Read a roster file, or a FHIR bundle, beside what is on file. Raises :class:`InputRefused`
    where the file cannot be read as a whole, or no practice is on file."""
    await practice.read_practice(reading)
    read = sessions_of_bundle if is_bundle(content) else read_roster
    file = read(content, await practice.roster_references(reading), source)
    keys = reading.keyring
    problems = list(file.problems)
    known: set[str] = set()
    for session in file.sessions:
        kept = await practice.kept_session(reading, keys.session_id(session.ref))
        if kept is not None:
            known.add(session.ref)
            problems += await _against_file(reading, session, kept, file)
    return await _plan(reading, file, known, problems)


async def _against_file(
    reading: Reading, session: GroupSession, kept: GroupSession, file: RosterFile
) -> list[RowProblem]:
    """A session on file is not changed by a roster: what differs is told, never taken over."""
    rows = [item for item in file.rows if item.session == session.ref]
    wrong = [
        RowProblem(
            rows[0].row, column, "not as on file; a session on file is not loaded again", file.unit
        )
        for column, field in (
            ("starts", "starts_at"),
            ("ends", "ends_at"),
            ("clinician", "clinician"),
            ("location", "location"),
        )
        if getattr(session, field) != getattr(kept, field)
    ]
    roster = await practice.session_roster(reading, reading.keyring.session_id(session.ref))
    invited = {item.patient_id for item in roster.rows}
    wrong += [
        RowProblem(
            item.row, "patient", "not on the roster of the session on file; amend that", file.unit
        )
        for item in rows
        if reading.keyring.patient_id(item.patient) not in invited
    ]
    return wrong


async def _plan(
    reading: Reading, file: RosterFile, known: set[str], problems: Sequence[RowProblem]
) -> RosterPlan:
    keys = reading.keyring
    practice_id = await reading.scalar(select(practice_table.c.id))
    by_row: dict[int, list[str]] = {}
    for problem in problems:
        by_row.setdefault(problem.row, []).append(f"{problem.column}: {problem.reason}")
    spoilt = {item.session for item in file.rows if item.row in by_row}
    right = {item.ref for item in file.sessions} - spoilt
    rows = []
    for item in file.rows:
        outcome: Outcome = "start"
        if item.row in by_row:
            outcome = "refused"
        elif item.session not in right:
            outcome = "held_back"
        elif item.session in known:
            outcome = "known"
        session_id = keys.session_id(item.session) if item.session else None
        taken = session_id is not None and item.session in right
        rows.append(
            PlannedRow(
                row=item.row,
                session_id=session_id,
                claim_number=keys.claim_number(
                    practice_id, session_id, keys.patient_id(item.patient)
                )
                if taken and session_id
                else None,
                outcome=outcome,
                problems=tuple(by_row.get(item.row, ())),
            )
        )
    ordered = sorted(problems, key=lambda item: (item.row, item.column))
    return RosterPlan(
        rows=tuple(rows),
        sessions=tuple(item for item in file.sessions if item.ref in right),
        problems=tuple(map(str, ordered)),
    )
