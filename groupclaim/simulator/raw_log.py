"""The raw log: every byte that was accepted, refused, answered or delivered, one JSON line each.

It is what an outside judge reads, and all that a restarted simulator remembers.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["received", "sent"]
Channel: TypeAlias = Literal["eligibility", "authorization", "status", "batch", "mailbox"]
Outcome: TypeAlias = Literal["accepted", "refused", "accepted_answer_lost", "delivered", "answered"]


class RawLogError(ValueError):
    """The file is not a raw log."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log, read back."""

    at: datetime
    direction: Direction
    channel: Channel
    name: str
    outcome: Outcome
    body: bytes


class RawLog:
    """An append-only file; a line is on the disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        """Open or create the log.

        A last line without its end was cut off by a crash before its answer left: it is removed.
        """
        self._path = path
        self._count = 0
        path.touch(exist_ok=True)
        with path.open("r+b") as file:
            kept = 0
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(kept)
                    break
                kept += len(line)
                self._count += 1
        self._file = path.open("ab")

    def entries(self) -> Iterator[Entry]:
        """Everything logged so far. Raises RawLogError naming the first unreadable line."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    fields = json.loads(line)
                    yield Entry(
                        at=datetime.fromisoformat(fields["at"]),
                        direction=fields["direction"],
                        channel=fields["channel"],
                        name=fields["name"],
                        outcome=fields["outcome"],
                        body=base64.b64decode(fields["body"], validate=True),
                    )
                except (ValueError, KeyError, TypeError):
                    raise RawLogError(f"raw log: line {number} is not a log entry") from None

    def append(self, entry: Entry) -> None:
        """Write one line and force it to the disk."""
        self._count += 1
        line = {
            "n": self._count,
            "at": entry.at.isoformat(),
            "direction": entry.direction,
            "channel": entry.channel,
            "name": entry.name,
            "sha256": hashlib.sha256(entry.body).hexdigest(),
            "outcome": entry.outcome,
            "body": base64.b64encode(entry.body).decode("ascii"),
        }
        self._file.write(json.dumps(line).encode("ascii") + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; nothing can be appended afterwards."""
        self._file.close()
