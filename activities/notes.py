"""Where progress notes come from: the practice's record system, read and never copied.

Whoever reads a note writes the reading, with its purpose, into the audit log.
"""

from __future__ import annotations

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
    """

    def __init__(self, path: Path) -> None:
        self._notes = _load(path)

    async def read(
        self, session: Reference, patient: Reference, at: datetime
    ) -> ProgressNote | None:
        note = self._notes.get(session, {}).get(patient)
        if note is None or note.signed_at is None:
            return note
        if note.signed_at.tzinfo is None:
            local = note.signed_at.replace(tzinfo=at.tzinfo)
            note = note.model_copy(update={"signed_at": local})
        if note.signed_at is None or note.signed_at <= at:
            return note
        return note.model_copy(update={"signed_by": None, "signed_at": None})


def _load(path: Path) -> dict[str, dict[str, ProgressNote]]:
    content = json.loads(path.read_bytes())
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
