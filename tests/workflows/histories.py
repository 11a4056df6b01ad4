"""Looking into workflow histories: every payload in them, and what stands in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, SearchAttributes
from temporalio.client import WorkflowHistory

_LOCAL = re.compile(r"event \d+: marker_recorded_event_attributes\.details\[data\]\.payloads")
"""Where a local activity's marker says of itself, in plain text, its type, number and times."""

_OF_LOCAL = frozenset(
    b"seq attempt activity_id activity_type complete_time seconds nanos backoff"
    b" original_schedule_time activation_index".split()
)


@dataclass(frozen=True)
class Found:
    """A payload and where it stands, as ``event 5: input.payloads``."""

    place: str
    payload: Payload

    @property
    def encrypted(self) -> bool:
        return self.payload.metadata.get("encoding") == b"binary/encrypted"


def payloads(history: WorkflowHistory) -> Iterator[Found]:
    """Every payload of a history apart from its search attributes."""
    for event in history.events:
        for place, payload in _payloads(event, ""):
            yield Found(f"event {event.event_id}: {place}", payload)


def in_the_clear(history: WorkflowHistory) -> list[str]:
    """Places of a history that anyone with its file could read, apart from what the engine writes
    of itself: the markers of local activities and of patches."""
    return [
        found.place
        for found in payloads(history)
        if not found.encrypted
        and not found.place.endswith("core_patch")
        and not (
            _LOCAL.fullmatch(found.place)
            and _OF_LOCAL.issuperset(re.findall(rb'"(\w+)":', found.payload.data))
        )
    ]


def search_attributes(history: WorkflowHistory) -> Iterator[tuple[str, bytes]]:
    """Name and value of every search attribute that a history sets."""
    for event in history.events:
        for message in _messages(event):
            if isinstance(message, SearchAttributes):
                for name, payload in message.indexed_fields.items():
                    yield name, payload.data


def size(history: WorkflowHistory) -> int:
    """Bytes of a history, as stored."""
    return sum(event.ByteSize() for event in history.events)


def _payloads(message: Message, place: str) -> Iterator[tuple[str, Payload]]:
    for name, value in _fields(message):
        where = f"{place}.{name}".lstrip(".")
        if isinstance(value, SearchAttributes):
            continue
        if isinstance(value, Payload):
            yield where, value
        else:
            yield from _payloads(value, where)


def _messages(message: Message) -> Iterator[Message]:
    for _, value in _fields(message):
        yield value
        yield from _messages(value)


def _fields(message: Message) -> Iterator[tuple[str, Message]]:
    """The messages right inside of ``message``, those in lists and maps included."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                yield from ((f"{field.name}[{key}]", item) for key, item in value.items())
        elif isinstance(value, Message):
            yield field.name, value
        else:
            yield from ((field.name, item) for item in value)
