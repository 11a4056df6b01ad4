"""The answers to an interchange and its syntax: TA1, and 999 (005010X231A1)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from groupclaim.x12.core import (
    Delimiters,
    Limits,
    Problem,
    Problems,
    Segment,
    Transaction,
    read_interchanges,
    read_transactions,
)
from groupclaim.x12.parts import read_count
from groupclaim.x12.values import plain_text, read_whole
from groupclaim.x12.writer import Envelope, Writer

GUIDE_999 = "005010X231A1"


# --- TA1 ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InterchangeAcknowledgment:
    """A TA1: what became of the interchange with this ISA13.

    `code` is A accepted, E accepted with errors, R rejected; `note_code` TA105, 000 for none.
    `interchange_date` (YYMMDD) and `interchange_time` (HHMM) repeat ISA09 and ISA10.
    """

    interchange_control_number: str
    interchange_date: str
    interchange_time: str
    code: str
    note_code: str = "000"
    sender_id: str = ""
    receiver_id: str = ""


def build_ta1(
    envelope: Envelope,
    acknowledgments: Sequence[InterchangeAcknowledgment],
    delimiters: Delimiters | None = None,
) -> bytes:
    """One interchange with nothing but TA1 segments. Raises `X12WriteError`."""
    writer = Writer(envelope, "", "", delimiters)
    for ack in acknowledgments:
        writer.add(
            "TA1",
            ack.interchange_control_number,
            ack.interchange_date,
            ack.interchange_time,
            ack.code,
            ack.note_code,
        )
    return writer.to_bytes()


def read_ta1(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[InterchangeAcknowledgment, ...], tuple[Problem, ...]]:
    """Every TA1 of the file, in whatever interchange, and what is wrong with the file."""
    problems = Problems()
    found: list[InterchangeAcknowledgment] = []
    for interchange in read_interchanges(source, problems, limits):
        interchange.skip()
        for segment in interchange.acknowledgments:
            get = segment.get
            if get(4) not in ("A", "E", "R"):
                problems.report("ta104_unknown", segment, "TA104 is not A, E or R", element="TA104")
            found.append(
                InterchangeAcknowledgment(
                    get(1),
                    get(2),
                    get(3),
                    get(4),
                    get(5),
                    interchange.sender_id,
                    interchange.receiver_id,
                )
            )
    return tuple(found), tuple(problems)


# --- 999 ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ElementError:
    """An IK4: `position` of the element (and `component`) in its segment, `code` IK403.

    `bad_value` is the copy the receiver sent back; it may be personal.
    """

    position: int | None
    code: str
    component: int | None = None
    repetition: int | None = None
    reference: str = ""
    bad_value: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SegmentError:
    """An IK3: `position` counts from the ST (1), `code` IK304. `contexts` are CTX01 texts such as
    `CLM01:<claim>`, which name the business object."""

    segment: str
    position: int | None
    code: str = ""
    loop: str = ""
    contexts: tuple[str, ...] = ()
    elements: tuple[ElementError, ...] = ()


@dataclass(frozen=True, slots=True)
class TransactionAcknowledgment:
    """AK2 to IK5: `status` A accepted, E accepted with errors, R, M, W, X rejected."""

    set_id: str
    control_number: str
    status: str
    error_codes: tuple[str, ...] = ()
    errors: tuple[SegmentError, ...] = ()
    guide: str = ""

    @property
    def accepted(self) -> bool:
        return self.status in ("A", "E")


@dataclass(frozen=True, slots=True)
class GroupAcknowledgment:
    """One 999: what became of the group with this GS06.

    `status` is AK901: A, E, P (partly: only the transactions marked accepted), R, M, W, X.
    `included`, `received` and `accepted` are the counts of AK9.
    """

    functional_code: str
    group_control_number: str
    status: str
    transactions: tuple[TransactionAcknowledgment, ...] = ()
    included: int = 0
    received: int = 0
    accepted: int = 0
    error_codes: tuple[str, ...] = ()
    version: str = ""
    sender_id: str = ""
    receiver_id: str = ""
    interchange_control_number: str = ""
    complete: bool = True
    unread: tuple[Segment, ...] = field(default=(), repr=False)


def build_999(
    envelope: Envelope,
    acknowledgments: Sequence[GroupAcknowledgment],
    transaction_control_number: int,
    delimiters: Delimiters | None = None,
    interchanges: Sequence[InterchangeAcknowledgment] = (),
) -> bytes:
    """One interchange with one 999 for each group, and the TA1 of `interchanges` before them.

    Raises `X12WriteError`.
    """
    writer = Writer(envelope, "FA", GUIDE_999, delimiters)
    for ack in interchanges:
        writer.add(
            "TA1",
            ack.interchange_control_number,
            ack.interchange_date,
            ack.interchange_time,
            ack.code,
            ack.note_code,
        )
    for number, group in enumerate(acknowledgments, transaction_control_number):
        writer.begin("999", number, guide=GUIDE_999)
        writer.add("AK1", group.functional_code, group.group_control_number, group.version)
        for transaction in group.transactions:
            writer.add("AK2", transaction.set_id, transaction.control_number, transaction.guide)
            for error in transaction.errors:
                _write_segment_error(writer, error)
            writer.add("IK5", transaction.status, *transaction.error_codes[:5])
        writer.add(
            "AK9",
            group.status,
            group.included,
            group.received,
            group.accepted,
            *group.error_codes[:5],
        )
        writer.end()
    return writer.to_bytes()


def _write_segment_error(writer: Writer, error: SegmentError) -> None:
    writer.add("IK3", error.segment, error.position, error.loop, error.code)
    for context in error.contexts:
        writer.add("CTX", context.split(":"))
    for element in error.elements:
        place = [str(n) for n in (element.position, element.component) if n is not None]
        writer.add("IK4", place, element.reference, element.code, plain_text(element.bad_value, 99))


def read_999(
    source: bytes | BinaryIO, limits: Limits | None = None
) -> tuple[tuple[GroupAcknowledgment, ...], tuple[Problem, ...]]:
    """Every 999 of the file (and 997, read the same way), and what is wrong with the file."""
    problems = Problems()
    found = [
        read_transaction(transaction, problems)
        for transaction in read_transactions(source, problems, limits)
        if transaction.set_id in ("999", "997")
    ]
    return tuple(found), tuple(problems)


def read_transaction(transaction: Transaction, problems: Problems) -> GroupAcknowledgment:
    """One 999 or 997."""
    first: Segment | None = None
    last: Segment | None = None
    sets: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    unread: list[Segment] = []
    for segment in transaction:
        tag, get = segment.tag, segment.get
        if tag == "AK1":
            first = segment
        elif tag == "AK2":
            errors = []
            sets.append(
                {
                    "set_id": get(1),
                    "control_number": get(2),
                    "guide": get(3),
                    "status": "",
                    "errors": errors,
                }
            )
        elif tag in ("IK3", "AK3") and sets:
            errors.append(
                {
                    "segment": get(1),
                    "position": read_count(segment, 2, problems),
                    "loop": get(3),
                    "code": get(4),
                    "contexts": [],
                    "elements": [],
                }
            )
        elif tag in ("IK4", "AK4") and errors:
            place = [*map(read_whole, segment.components(1)), None, None, None]
            errors[-1]["elements"].append(
                ElementError(place[0], get(3), place[1], place[2], get(2), get(4))
            )
        elif tag == "CTX" and errors:
            separator = segment.delimiters.repetition or segment.delimiters.component
            text = get(1).split(separator)[0] if separator else get(1)
            errors[-1]["contexts"].append(text.replace(segment.delimiters.component, ":"))
        elif tag in ("IK5", "AK5") and sets:
            sets[-1]["status"] = get(1)
            sets[-1]["error_codes"] = tuple(get(n) for n in range(2, 7) if get(n))
        elif tag == "AK9":
            last = segment
        else:
            if tag not in ("AK1", "AK2", "IK3", "IK4", "IK5", "CTX", "AK3", "AK4", "AK5"):
                problems.report("segment_unknown", segment, "the 999 has no such segment")
            unread.append(segment)
    for tag, there in (("AK1", first), ("AK9", last)):
        if there is None:
            problems.report(f"{tag.lower()}_missing", transaction.header, f"the 999 has no {tag}")
    counts = [read_count(last, n, problems) or 0 if last else 0 for n in (2, 3, 4)]
    interchange = transaction.interchange
    return GroupAcknowledgment(
        first.get(1) if first else "",
        first.get(2) if first else "",
        last.get(1) if last else "",
        tuple(_finished_set(one) for one in sets),
        counts[0],
        counts[1],
        counts[2],
        tuple(last.get(n) for n in range(5, 10) if last.get(n)) if last else (),
        first.get(3) if first else "",
        interchange.sender_id,
        interchange.receiver_id,
        interchange.control_number,
        transaction.complete,
        tuple(unread),
    )


def _finished_set(values: dict[str, Any]) -> TransactionAcknowledgment:
    errors = tuple(
        SegmentError(
            **{**error, "contexts": tuple(error["contexts"]), "elements": tuple(error["elements"])}
        )
        for error in values.pop("errors")
    )
    return TransactionAcknowledgment(**values, errors=errors)
