"""Where progress notes come from: the practice's record system, read and never copied.

Whoever reads a note writes the reading, with its purpose, into the audit log.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Protocol

from groupclaim.model.base import InputRefused, Reference, parse
from groupclaim.model.session import ProgressNote


class NoteSource(Protocol):
    """The record system. It is asked with the practice's own references."""

    async def read(
        self, session: Reference, patient: Reference, at: datetime
    ) -> ProgressNote | None:
        """The note as it stood at ``at``; None when there is none. Raises OSError when the system
        does not answer.

        ``at`` carries the time zone of where the session was held: that is where a signature's time
        without an offset is meant.
        """
        ...


class JsonNotes:
    """Notes from one JSON file: ``{session: {patient: note}}``, as ``samples/notes.json``.

    The file holds each note as signed in the end; before ``signed_at`` it is given out unsigned.
    A file that has been changed is read again before the next note is given out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._as_of = _state(path)
        self._notes = _load(path)

    async def read(
        self, session: Reference, patient: Reference, at: datetime
    ) -> ProgressNote | None:
        state = _state(self._path)
        if state != self._as_of:
            try:
                self._notes = await asyncio.to_thread(_load, self._path)
            except InputRefused as error:  # half written, or not notes: no answer is given
                told = "; ".join(error.problems)
                raise OSError(f"the changed notes cannot be read: {told}") from None
            self._as_of = state
        note = self._notes.get(session, {}).get(patient)
        if note is None or note.signed_at is None:
            return note
        if note.signed_at.tzinfo is None:
            local = note.signed_at.replace(tzinfo=at.tzinfo)
            note = note.model_copy(update={"signed_at": local})
        if note.signed_at is None or note.signed_at <= at:
            return note
        return note.model_copy(update={"signed_by": None, "signed_at": None})


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _load(path: Path) -> dict[str, dict[str, ProgressNote]]:
    """Raises :class:`InputRefused`, without a word of any note."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise InputRefused(path.name, ["no JSON, half written, or nested too deep"]) from None
    if not isinstance(content, dict):
        raise InputRefused(path.name, ["input: needs an object with one entry per session"])
    notes: dict[str, dict[str, ProgressNote]] = {}
    problems: list[str] = []
    for number, (session, of_session) in enumerate(content.items()):
        notes[session] = {}
        if not isinstance(of_session, dict):
            problems.append(f"sessions[{number}]: needs an object with one note per patient")
            continue
        for place, (patient, note) in enumerate(of_session.items()):
            try:
                notes[session][patient] = parse(
                    ProgressNote, note, f"sessions[{number}].notes[{place}]"
                )
            except InputRefused as error:
                problems += [f"{error.source}.{problem}" for problem in error.problems]
    if problems:
        raise InputRefused(path.name, problems)
    return notes
