"""Segments back into bytes: one interchange, its counts filled in, never a broken segment."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from groupclaim.x12.core import Delimiters

_TRADING_PARTNER_ID = re.compile(
    r"[A-Za-z0-9.\-_&/@](?:[A-Za-z0-9 .\-_&/@]{0,13}[A-Za-z0-9.\-_&/@])"
)


class X12WriteError(ValueError):
    """Values that cannot be written. `problems` names each by segment and element, not by value."""

    def __init__(self, problems: Sequence[str]):
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Who sends to whom, when and under which numbers: all that ISA and GS need.

    The control numbers come from the caller's store, so that the same input gives the same bytes.
    Raises `X12WriteError` naming every field that does not fit.
    """

    sender_id: str
    receiver_id: str
    interchange_control_number: int
    group_control_number: int
    at: datetime
    test: bool
    sender_qualifier: str = "ZZ"
    receiver_qualifier: str = "ZZ"

    def __post_init__(self) -> None:
        wrong = []
        for name in ("sender_id", "receiver_id"):
            value = getattr(self, name)
            if not _TRADING_PARTNER_ID.fullmatch(value):
                wrong.append(f"{name} needs 2 to 15 letters, digits or . - _ & / @ (ISA06, GS02)")
        for name in ("sender_qualifier", "receiver_qualifier"):
            value = getattr(self, name)
            if len(value) != 2 or not value.isalnum() or not value.isascii():
                wrong.append(f"{name} needs 2 letters or digits (ISA05, ISA07)")
        for name in ("interchange_control_number", "group_control_number"):
            if not 1 <= getattr(self, name) <= 999_999_999:
                wrong.append(f"{name} needs 1 to 999999999 (ISA13, GS06)")
        if wrong:
            raise X12WriteError(wrong)


Element = str | int | Sequence[str] | None
"""An element to write: text, a whole number, the components of a composite, or nothing."""


class Writer:
    """Writes one interchange with one functional group, filling SE, GE and IEA.

    A value with a separator, a control character or a character outside ASCII never becomes a
    broken segment: it is refused when the bytes are asked for, all such values at once.
    """

    def __init__(
        self,
        envelope: Envelope,
        functional_code: str,
        version: str,
        delimiters: Delimiters | None = None,
    ) -> None:
        self.delimiters = delimiters or Delimiters()
        self.envelope = envelope
        self._pieces: list[str] = []
        self._wrong: list[str] = []
        self._transactions = 0
        self._count = 0
        self._set_number = ""
        self._version = version
        self._group_open = False
        marks = (
            self.delimiters.element,
            self.delimiters.component,
            self.delimiters.segment,
            self.delimiters.repetition,
        )
        self._forbidden = re.compile("[" + re.escape("".join(marks)) + r"]|[^\x20-\x7e]")
        e, at = envelope, envelope.at
        isa = (
            "ISA",
            "00",
            " " * 10,
            "00",
            " " * 10,
            e.sender_qualifier,
            f"{e.sender_id:<15}",
            e.receiver_qualifier,
            f"{e.receiver_id:<15}",
            f"{at:%y%m%d}",
            f"{at:%H%M}",
            self.delimiters.repetition or "U",
            "00501",
            f"{e.interchange_control_number:09d}",
            "0",
            "T" if e.test else "P",
            self.delimiters.component,
        )
        self._pieces.append(self.delimiters.element.join(isa))
        self._functional_code = functional_code

    def add(self, tag: str, *elements: Element) -> None:
        """Append a segment; empty elements at its end are left out."""
        values = [tag]
        components = repetitions = 0
        joiner, repeater = self.delimiters.component, self.delimiters.repetition
        for element in elements:
            if type(element) is str:
                values.append(element)
            elif element is None:
                values.append("")
            elif isinstance(element, _Repeated):
                repetitions += element.count(repeater) if element else 0
                values.append(element)
            elif isinstance(element, int):
                values.append(str(int(element)))
            else:
                parts = list(element)
                while parts and not parts[-1]:
                    parts.pop()
                components += len(parts) - 1 if parts else 0
                values.append(joiner.join(parts))
        while len(values) > 1 and not values[-1]:
            values.pop()
        line = self.delimiters.element.join(values)
        # One look at the whole segment: all the separators in it are those put there here.
        if not (
            line.isascii()
            and line.isprintable()
            and self.delimiters.segment not in line
            and line.count(self.delimiters.element) == len(values) - 1
            and line.count(joiner) == components
            and (not repeater or line.count(repeater) == repetitions)
        ):
            self._find_unwritable(tag, elements)
        self._pieces.append(line)
        self._count += 1

    def repeat(self, values: Iterable[str], tag: str, position: int) -> "_Repeated":
        """Repetitions of one element, to be passed to `add`."""
        checked = [self._checked(value, tag, f"{position:02d}") for value in values]
        return _Repeated(self.delimiters.repetition.join(checked))

    def acknowledge_interchange(self, *elements: Element) -> None:
        """Append a TA1; only before the first transaction."""
        self.add("TA1", *elements)

    def begin(self, set_id: str, control_number: int, *, guide: str = "") -> None:
        """Open a transaction; `guide` is ST03, which the 835 does not carry."""
        if not self._group_open:
            e, at = self.envelope, self.envelope.at
            self.add(
                "GS",
                self._functional_code,
                e.sender_id,
                e.receiver_id,
                f"{at:%Y%m%d}",
                f"{at:%H%M}",
                e.group_control_number,
                "X",
                self._version,
            )
            self._group_open = True
        if not 1 <= control_number <= 999_999_999:
            self._wrong.append("ST02: the transaction control number needs 1 to 999999999")
        self._set_number = f"{control_number:04d}"
        self._transactions += 1
        self._count = 0
        self.add("ST", set_id, self._set_number, guide)

    def end(self) -> None:
        """Close the transaction with its SE."""
        self.add("SE", self._count + 1, self._set_number)

    def refuse(self, text: str) -> None:
        """Note a value that the caller found unwritable; `to_bytes` then raises."""
        self._wrong.append(text)

    def to_bytes(self) -> bytes:
        """The whole interchange. Raises `X12WriteError` if any value could not be written."""
        if self._wrong:
            raise X12WriteError(self._wrong)
        separator, terminator = self.delimiters.element, self.delimiters.segment
        pieces = list(self._pieces)
        if self._group_open:
            number = str(self.envelope.group_control_number)
            pieces.append(separator.join(("GE", str(self._transactions), number)))
        groups = "1" if self._group_open else "0"
        number = f"{self.envelope.interchange_control_number:09d}"
        pieces.append(separator.join(("IEA", groups, number)))
        return (terminator.join(pieces) + terminator).encode("ascii")

    def _find_unwritable(self, tag: str, elements: Sequence[Element]) -> None:
        for position, element in enumerate(elements, 1):
            if isinstance(element, str):
                self._checked(element, tag, f"{position:02d}")
            elif element is not None and not isinstance(element, int):
                for n, component in enumerate(element, 1):
                    self._checked(component, tag, f"{position:02d}-{n}")

    def _checked(self, value: str, tag: str, place: str) -> str:
        if type(value) is _Repeated:
            return value
        if self._forbidden.search(value):
            self._wrong.append(f"{tag}{place} holds a separator or a character outside ASCII")
            return ""
        return value


class _Repeated(str):
    """Already checked repetitions of one element."""
