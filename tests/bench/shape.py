"""The shape of a claim's history, read from a recorded one: what the bare engine repeats.

Nothing in it is typed by hand. Sizes are those of the encrypted payloads as recorded.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

FIRST_PASS = Path(__file__).parents[1] / "histories" / "claim_paid.json"
"""A claim paid at first pass: what `tests/workflows/test_budget.py` holds to its budget."""

_SEALED = len('""') + 12 + 16 + len(b"\n\x17\n\x08encoding\x12\x0bjson/plain\x12\x02")
"""What converter and codec add to a short text: quotes, nonce, tag, and the inner payload."""

_SHORT = 125
"""The length of a longer text takes a byte more to say."""


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that a claim's workflow does, in order.

    ``activity``: an activity of its own, named ``name``; ``local``: a local one; ``upsert``: search
    attributes changed; ``wait``: a timer of ``seconds`` is set and cancelled by the signal
    ``name``. ``takes`` and ``gives`` are the lengths of the texts that go in and come out, for a
    wait those of the timer's summary and of the signal.
    """

    kind: Literal["activity", "local", "upsert", "wait"]
    name: str = ""
    takes: int = 0
    gives: int = 0
    seconds: float = 0.0
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """A whole claim: its start, its moves and its end, and what its history counts."""

    starts_with: int
    moves: tuple[Move, ...]
    ends_with: int
    kinds: dict[str, int]
    bytes: int

    @property
    def events(self) -> int:
        return sum(self.kinds.values())

    @property
    def actions(self) -> int:
        """Temporal actions: one start, and each activity, local activity, signal, timer, upsert."""
        billed = ("ACTIVITY_TASK_SCHEDULED", "MARKER_RECORDED", "WORKFLOW_EXECUTION_SIGNALED",
                  "TIMER_STARTED", "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")  # fmt: skip
        return 1 + sum(self.kinds.get(kind, 0) for kind in billed)

    @property
    def commits(self) -> int:
        return sum(move.kind in ("activity", "local") for move in self.moves)

    def waits(self) -> tuple[str, ...]:
        """The signals a claim waits for, in order."""
        return tuple(move.name for move in self.moves if move.kind == "wait")


@cache
def recorded(path: Path = FIRST_PASS) -> Shape:
    """The shape of the recorded history at ``path``, read once a process."""
    events = json.loads(path.read_text())["events"]
    first, last = _said(events[0]), _said(events[-1])
    kinds = Counter(event["eventType"].removeprefix("EVENT_TYPE_") for event in events)
    return Shape(
        starts_with=_text(first["input"]),
        moves=tuple(_moves(events)),
        ends_with=_text(last["result"]),
        kinds=dict(kinds),
        bytes=path.stat().st_size,
    )


def _moves(events: list[dict[str, Any]]) -> Iterator[Move]:
    given = {
        _said(event)["scheduledEventId"]: _text(_said(event)["result"])
        for event in events
        if event["eventType"] == "EVENT_TYPE_ACTIVITY_TASK_COMPLETED"
    }
    states = 0
    waiting, summary = 0.0, 0
    for event in events:
        said = _said(event)
        match event["eventType"].removeprefix("EVENT_TYPE_"):
            case "ACTIVITY_TASK_SCHEDULED":
                yield Move(
                    "activity",
                    said["activityType"]["name"],
                    _text(said["input"]),
                    given[event["eventId"]],
                )
            case "MARKER_RECORDED":
                # What goes into a local activity stands in no history. The first gives the claim's
                # state, the others take it.
                gives = _text(said["details"]["result"])
                yield Move("local", said["markerName"], states, gives)
                states = states or gives
            case "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES":
                fields = said["searchAttributes"]["indexedFields"]
                yield Move(
                    "upsert",
                    attributes=tuple(
                        (name, b64decode(field["data"]).decode())
                        for name, field in sorted(fields.items())
                        if field.get("data")
                    ),
                )
            case "TIMER_STARTED":
                waiting = float(said["startToFireTimeout"].removesuffix("s"))
                summary = _length(event["userMetadata"]["summary"])
            case "WORKFLOW_EXECUTION_SIGNALED":
                yield Move(
                    "wait", said["signalName"], summary, _text(said["input"]), seconds=waiting
                )


def _said(event: dict[str, Any]) -> dict[str, Any]:
    (said,) = (value for name, value in event.items() if name.endswith("EventAttributes"))
    found: dict[str, Any] = said
    return found


def _text(payloads: dict[str, Any]) -> int:
    """How long a text is that makes a payload as long as the recorded one."""
    (payload,) = payloads["payloads"]
    return _length(payload)


def _length(payload: dict[str, Any]) -> int:
    text = len(b64decode(payload["data"])) - _SEALED
    return max(0, text - (text > _SHORT))
