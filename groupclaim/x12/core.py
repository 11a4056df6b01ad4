"""The streaming core: bytes in, segments out.

Reading never raises for bad content. What is wrong becomes a `Problem` in a `Problems` list, and
reading goes on with the next segment, transaction or interchange. Memory does not grow with the
file: interchanges, transactions and segments are handed out one at a time and must be consumed in
order (moving on skips what was left).
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from itertools import accumulate, count, repeat
from operator import add
from typing import BinaryIO, NamedTuple

from groupclaim.x12.values import Quantity, read_cents, read_date, read_quantity

_ISA_SEPARATORS = (3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103)
_ISA_SHAPE = re.compile(
    r"ISA([^A-Za-z0-9\s]|[\x1c-\x1f\t]).{2}\1.{10}\1.{2}\1.{10}\1.{2}\1.{15}\1.{2}\1.{15}\1"
    r".{6}\1.{4}\1.\1.{5}\1.{9}\1.\1.\1",
    re.DOTALL,
)
_ISA_WINDOW = 400
_AFTER_ISA = re.compile(r"[\r\n \t]*(?:GS|TA1|IEA|ST)")
_CONTROL = bytes([*range(0x20), 0x7F])
_PRINTABLE = bytes(range(0x20, 0x7F))
# Small, so that the segments cut from it are used and gone before they leave the processor's cache.
_CHUNK = 4096
_ENVELOPE = frozenset({"ISA", "GS", "ST", "SE", "GE", "IEA"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a file. Neither `text` nor `repair` ever quotes a value from it.

    `code` is stable and meant for programs. `segment_number` counts from 1 within the file, the ISA
    included; `byte_offset` is where that segment starts. The outbound check also names the loop,
    the segment, the element (`NM109`, `SV101-2`) and the repair; the readers may leave them empty.
    """

    code: str
    segment_number: int
    byte_offset: int
    text: str
    loop: str = ""
    segment: str = ""
    element: str = ""
    repair: str = ""


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The four separators of an interchange; `repetition` is empty before version 00402."""

    element: str = "*"
    component: str = ":"
    segment: str = "~"
    repetition: str = "^"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may not exceed; beyond it, content is dropped and a problem says so."""

    segment_bytes: int = 32_768
    elements: int = 256
    file_bytes: int = 512 * 1024 * 1024
    problem_count: int = 10_000


class Segment(NamedTuple):
    """One segment. `parts[0]` is the tag, `parts[n]` element n; absent elements read as ''."""

    parts: list[str]
    number: int
    offset: int
    delimiters: Delimiters

    @property
    def tag(self) -> str:
        return self.parts[0]

    @property
    def elements(self) -> list[str]:
        return self.parts[1:]

    def get(self, n: int) -> str:
        """Element n, counted from 1; '' if the segment is shorter."""
        parts = self[0]
        return parts[n] if n < len(parts) else ""

    def components(self, n: int) -> list[str]:
        """The components of element n; [''] if it is empty."""
        return self.get(n).split(self.delimiters.component)

    def repeats(self, n: int) -> list[str]:
        """The repetitions of element n; empty if the element is."""
        value = self.get(n)
        if not value:
            return []
        repetition = self.delimiters.repetition
        return value.split(repetition) if repetition else [value]


class Problems(list[Problem]):
    """Collects what is wrong, up to a limit, so that a hostile file cannot fill the memory."""

    def __init__(self, most: int = 10_000) -> None:
        super().__init__()
        self.most = most

    def report(self, code: str, at: "Segment | None", text: str, *, element: str = "") -> None:
        """Note a problem with a segment; None when it concerns the file as a whole."""
        if at is None:
            self.add(Problem(code, 0, 0, text))
        else:
            self.add(
                Problem(code, at.number, at.offset, text, segment=at.parts[0][:3], element=element)
            )

    def add(self, problem: Problem) -> None:
        if len(self) < self.most:
            self.append(problem)
        elif len(self) == self.most:
            self.append(
                Problem(
                    "too_many_problems",
                    problem.segment_number,
                    problem.byte_offset,
                    f"more than {self.most} problems; the rest is not listed",
                )
            )

    def cents(self, segment: Segment, n: int, absent: int = 0) -> int:
        """Element n as cents; `absent` if empty; 0 and a problem if it is no amount."""
        text = segment.get(n)
        if not text:
            return absent
        cents = read_cents(text)
        if cents is None:
            element = f"{segment.tag}{n:02d}"
            self.report(
                "amount_invalid",
                segment,
                f"{element} is not an amount with at most two decimals",
                element=element,
            )
            return 0
        return cents

    def quantity(self, segment: Segment, n: int) -> Quantity | None:
        """Element n as a quantity; None if empty; None and a problem if it is no number."""
        text = segment.get(n)
        if not text:
            return None
        quantity = read_quantity(text)
        if quantity is None:
            element = f"{segment.tag}{n:02d}"
            self.report("number_invalid", segment, f"{element} is not a number", element=element)
        return quantity

    def day(self, segment: Segment, n: int) -> date | None:
        """Element n as a CCYYMMDD date; None if empty; None and a problem if it is no day."""
        text = segment.get(n)
        if not text:
            return None
        day = read_date(text)
        if day is None:
            element = f"{segment.tag}{n:02d}"
            self.report("date_invalid", segment, f"{element} is not a date", element=element)
        return day


# --- bytes to segments -----------------------------------------------------------------


class _Header(NamedTuple):
    parts: list[str]
    delimiters: Delimiters
    length: int
    width_is_standard: bool


def _read_isa(text: str) -> _Header | None:
    """The ISA at the start of `text`; None if its separators cannot be made out."""
    separator = text[3]
    window = text[:_ISA_WINDOW]
    standard = len(window) >= 106 and all(window[p] == separator for p in _ISA_SEPARATORS)
    if standard:
        component, terminator, length = window[104], window[105], 106
    else:
        # Not 106 wide: the sixteenth separator still tells, if a GS or TA1 follows.
        position = -1
        for _ in range(16):
            position = window.find(separator, position + 1)
            if position < 0:
                break
        component, terminator, length = "", "", 0
        if position > 0:
            if _AFTER_ISA.match(window, position + 3):
                component, terminator, length = (
                    window[position + 1],
                    window[position + 2],
                    (position + 3),
                )
            elif _AFTER_ISA.match(window, position + 2):  # ISA16 is missing
                component, terminator, length = ":", window[position + 1], position + 2
        if not length:
            # Fewer than sixteen separators: what stands before the GS is the terminator.
            follows = re.search(
                rf"([^A-Za-z0-9]?)([^A-Za-z0-9 ])[\r\n \t]*(?:GS|TA1){re.escape(separator)}", window
            )
            if follows is None:
                return None
            component = follows[1] if follows[1] not in ("", separator) else ":"
            terminator, length = follows[2], follows.end(2)
    if terminator == separator or (terminator.isalnum() and terminator.isascii()):
        return None
    body = window[: length - 1]
    parts = [part.rstrip("\r\n") for part in body.split(separator)]
    parts += [""] * (17 - len(parts))
    repetition = parts[11] if len(parts[11]) == 1 and not parts[11].isalnum() else ""
    if repetition in (separator, component, terminator, " "):
        repetition = ""
    return _Header(
        parts, Delimiters(separator, component, terminator, repetition), length, standard
    )


def _read_headless(text: str) -> Delimiters | None:
    """The separators of a file that begins with a GS or ST; None if it does not."""
    begin = re.match(r"\s*(?:GS|ST)([^A-Za-z0-9\s])", text[:_ISA_WINDOW])
    if begin is None:
        return None
    separator = begin[1]
    follows = re.search(
        rf"([^A-Za-z0-9 ])[\r\n \t]*(?:ST|BHT|BPR|AK1){re.escape(separator)}",
        text[begin.end() : begin.end() + _ISA_WINDOW],
    )
    if follows is None or follows[1] == separator:
        return None
    return Delimiters(separator, ":", follows[1], "^")


def _find_isa(text: str, start: int) -> int:
    """Where an ISA may begin, at or after `start`; -1 if nowhere."""
    position = text.find("ISA", start)
    while position >= 0:
        if position + 3 >= len(text) or not (
            text[position + 3].isalnum() or text[position + 3] == " "
        ):
            return position
        position = text.find("ISA", position + 3)
    return -1


def _decode(text: str) -> str:
    """Text that was read byte by byte as Latin-1, as UTF-8 if it is that."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return text


def _split(source: BinaryIO, problems: Problems, limits: Limits) -> Iterator[list[Segment]]:
    """All segments of the file in runs, with the delimiters of their own interchange."""
    # One byte is one character here (Latin-1), so offsets in the text are offsets in the file.
    text = ""
    base = 0
    number = 0
    delimiters: Delimiters | None = None
    overlong = False  # the segment in progress was too long: drop up to its end
    ended = False
    outside_reported = False
    started = False

    def at(code: str, offset: int, message: str, segment: str = "") -> None:
        problems.add(Problem(code, number, offset, message, segment=segment))

    while True:
        if not ended:
            chunk = source.read(_CHUNK)
            if not chunk:
                ended = True
            elif base + len(text) + len(chunk) > limits.file_bytes:
                at(
                    "file_too_large",
                    base + len(text),
                    f"the file exceeds {limits.file_bytes} bytes; the rest is not read",
                )
                chunk, ended = b"", True
            if base == 0 and not text:
                if chunk.startswith(b"\xef\xbb\xbf"):
                    base, chunk = 3, chunk[3:]
                elif chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
                    at(
                        "encoding_unreadable",
                        0,
                        "the file is UTF-16; X12 needs one byte a character",
                    )
            text += chunk.decode("latin-1")

        # Everything that can be cut from `text` now; then read on.
        while True:
            if delimiters is None:
                start = _find_isa(text, 0)
                headless = _read_headless(text) if not started and start < 0 else None
                if headless is not None:
                    at("isa_missing", base, "the file begins without an ISA")
                    delimiters, started = headless, True
                    yield [Segment(["ISA", *[""] * 16], 0, base, delimiters)]
                    continue
                skipped = text if start < 0 else text[:start]
                if start < 0 and not ended:
                    skipped = text[: max(0, len(text) - 3)]
                if skipped.strip() and not outside_reported:
                    offset = base + len(skipped) - len(skipped.lstrip())
                    at("text_outside_interchange", offset, "there is text outside any interchange")
                    outside_reported = True
                text, base = text[len(skipped) :], base + len(skipped)
                if start < 0:
                    break
                if len(text) < _ISA_WINDOW and not ended:
                    break
                number += 1
                header = _read_isa(text) if len(text) > 3 else None
                if header is None:
                    at(
                        "isa_unreadable",
                        base,
                        "the separators of this ISA cannot be made out",
                        "ISA",
                    )
                    outside_reported = True
                    text, base = text[3:], base + 3
                    continue
                outside_reported = False
                started = True
                delimiters = header.delimiters
                if not header.width_is_standard:
                    at("isa_width", base, "the ISA is not 106 characters wide", "ISA")
                marks = delimiters.element + delimiters.component + delimiters.segment
                if len(set(marks)) < 3:
                    at("delimiters_clash", base, "two of the separators are the same", "ISA")
                yield [Segment(header.parts, number, base, delimiters)]
                text, base = text[header.length :], base + header.length
                continue

            limit, boundary = _boundary(text, delimiters, overlong)
            end = text.rfind(delimiters.segment, 0, limit) + 1
            rest = text[end:limit]
            if end and overlong:
                overlong = False
                start = text.index(delimiters.segment) + 1
                text, base, end = text[start:], base + start, end - start
            if end:
                ready = text[: end - 1]
                segments, number = _cut(ready, number, base, delimiters, problems, limits)
                yield from _runs(
                    segments, any(tag + delimiters.element in ready for tag in _ENVELOPE)
                )
            text, base = text[end:], base + end
            if boundary or ended:
                body = rest.strip()
                if body and not overlong:
                    number += 1
                    if not boundary and body.startswith("IEA" + delimiters.element):
                        # Only the very last terminator is missing: nothing is lost.
                        at("unterminated_segment", base, "the IEA has no terminator", "IEA")
                        parts = body.split(delimiters.element)
                        yield [Segment(parts, number, base, delimiters)]
                    else:
                        at(
                            "unterminated_segment",
                            base,
                            "the file breaks off inside a segment; it is not read",
                        )
                overlong = False
                delimiters = None
                text, base = text[len(rest) :], base + len(rest)
                if not text:
                    break
                continue
            if len(text) > limits.segment_bytes:
                if not overlong:
                    number += 1
                    at(
                        "segment_too_long",
                        base,
                        f"a segment exceeds {limits.segment_bytes} bytes; it is not read",
                    )
                overlong = True
                keep = 106  # an ISA that starts here must stay findable
                text, base = text[-keep:], base + len(text) - keep
            break
        if ended:
            return


def _boundary(text: str, delimiters: Delimiters, amid_segment: bool) -> tuple[int, bool]:
    """Where the interchange in progress ends within `text`: after its IEA, or before another ISA.

    A full ISA counts even inside a segment: it brings its own terminators, and the interchange
    before it may have been cut off. Without an end in sight: the whole of `text`, False.
    """
    limit, found = len(text), False
    if "ISA" in text:
        shape = _ISA_SHAPE.search(text)
        if shape is not None:
            limit, found = shape.start(), True
    if "IEA" in text or "ISA" in text:
        end = _end_pattern(delimiters).search(text, 0, limit)
        while (
            end is not None and amid_segment and end.start() == 0 and text[0] != delimiters.segment
        ):
            end = _end_pattern(delimiters).search(text, 1, limit)
        if end is not None:
            limit, found = (end.start(1) if end[1].startswith("ISA") else end.end(1)), True
    return limit, found


@lru_cache(maxsize=64)
def _end_pattern(delimiters: Delimiters) -> re.Pattern[str]:
    separator, terminator = re.escape(delimiters.element), re.escape(delimiters.segment)
    return re.compile(
        rf"(?:\A|{terminator})[\r\n \t]*(IEA{separator}[^{terminator}]*{terminator}|ISA{separator})"
    )


def _cut(
    text: str,
    number: int,
    offset: int,
    delimiters: Delimiters,
    problems: Problems,
    limits: Limits,
) -> tuple[list[Segment], int]:
    """The segments of `text`, which ends where a segment does, and the number of the last one.

    The common case is decided for the whole text at once, so that a clean file costs little more
    than splitting it.
    """
    separator, terminator = delimiters.element, delimiters.segment
    marks = separator + delimiters.component + delimiters.repetition + terminator
    body = text.lstrip(" \r\n")
    offset += len(text) - len(body)
    line_end = _line_end(body, terminator)
    ending = terminator + line_end
    pieces = body.split(ending)
    unusual = body.encode("latin-1").translate(None, _PRINTABLE).decode("latin-1")
    ends = len(pieces) - 1
    if (
        set(unusual) <= {*marks, *line_end}
        and body.count(terminator) == ends
        and all(body.count(mark) == ends * line_end.count(mark) for mark in set(line_end))
        and f"{ending} " not in body
        and "" not in pieces
        and max(map(len, pieces)) <= min(limits.segment_bytes, limits.elements)
    ):
        parts = map(str.split, pieces, repeat(separator))
        lengths = accumulate(map(len, pieces), initial=offset)
        starts = map(add, lengths, count(0, len(ending)))
        made = zip(parts, count(number + 1), starts, repeat(delimiters))
        return list(map(_new_segment, made)), number + len(pieces)
    controls = _CONTROL.translate(None, marks.encode("latin-1"))
    return _cut_carefully(body, number, offset, delimiters, controls, problems, limits)


_new_segment = partial(tuple.__new__, Segment)


def _line_end(text: str, terminator: str) -> str:
    """The line break after the first terminator, which a clean file has after all of them."""
    start = text.find(terminator) + 1
    end = start
    while start and end < len(text) and text[end] in "\r\n" and text[end] != terminator:
        end += 1
    return text[start:end]


def _cut_carefully(
    text: str,
    number: int,
    offset: int,
    delimiters: Delimiters,
    controls: bytes,
    problems: Problems,
    limits: Limits,
) -> tuple[list[Segment], int]:
    """As `_cut`, segment by segment, for text with anything unusual in it."""
    separator = delimiters.element

    def fault(code: str, message: str, tag: str = "") -> None:
        problems.add(Problem(code, number, start, message, segment=tag))

    segments = []
    for piece in text.split(delimiters.segment):
        start = offset
        offset += len(piece) + 1
        body = piece.lstrip(" \r\n\t" if separator != "\t" else " \r\n")
        if not body:
            if piece == "" and start > 0:
                fault("segment_empty", "there is an empty segment")
            continue
        start += len(piece) - len(body)
        number += 1
        tag = body.partition(separator)[0][:3]
        if len(body) > limits.segment_bytes:
            fault(
                "segment_too_long",
                f"a segment exceeds {limits.segment_bytes} bytes; it is not read",
            )
            continue
        if "\n" in body or "\r" in body:
            stripped = body.rstrip("\r\n")
            body = stripped.replace("\r", "").replace("\n", "")
            if len(body) != len(stripped):
                fault("line_break_in_segment", "a line break inside the segment was taken out", tag)
        if not body.isascii():
            body = _decode(body)
        if any(chr(control) in body for control in controls):
            fault("control_character", "the segment contains a control character", tag)
        parts = body.split(separator)
        if len(parts) > limits.elements:
            fault(
                "too_many_elements",
                f"more than {limits.elements} elements; the rest is not read",
                tag,
            )
            del parts[limits.elements :]
        segments.append(Segment(parts, number, start, delimiters))
    return segments, number


def _runs(segments: list[Segment], marked: bool) -> Iterator[list[Segment]]:
    """The segments in runs: each envelope segment alone, those between two of them together.

    `marked` is False when none of them can be an envelope segment.
    """
    start = 0
    if marked:
        for position, segment in enumerate(segments):
            if segment[0][0] in _ENVELOPE:
                if position > start:
                    yield segments[start:position]
                yield [segment]
                start = position + 1
    if start < len(segments):
        yield segments[start:] if start else segments


# --- segments to interchanges, groups, transactions ------------------------------------


class _Stream:
    """Runs of segments, with one step back."""

    def __init__(self, runs: Iterator[list[Segment]], problems: Problems) -> None:
        self.runs = runs
        self.problems = problems
        self.held: list[Segment] | None = None

    def next(self) -> list[Segment] | None:
        held, self.held = self.held, None
        return held if held is not None else next(self.runs, None)


@dataclass(slots=True)
class Group:
    """A functional group (GS to GE)."""

    functional_code: str
    sender_id: str
    receiver_id: str
    control_number: str
    version: str
    header: Segment
    transactions: int = 0


class Transaction:
    """One transaction set (ST to SE). Iterating it gives the segments between ST and SE, once.

    After the iteration, `complete` says whether its SE was found with the right control number,
    `count` is the number of segments, ST and SE included, and `last_number` that of the last one
    within the file.
    """

    __slots__ = (
        "_segments",
        "complete",
        "control_number",
        "count",
        "group",
        "guide",
        "header",
        "interchange",
        "last_number",
        "set_id",
    )

    def __init__(self, stream: _Stream, header: Segment, group: Group, interchange: "Interchange"):
        self.header = header
        self.set_id = header.get(1)
        self.control_number = header.get(2)
        self.group = group
        self.interchange = interchange
        self.guide = header.get(3) or group.version
        self.complete = False
        self.count = 1
        self.last_number = header.number
        self._segments = self._read(stream)

    def __iter__(self) -> Iterator[Segment]:
        return self._segments

    def skip(self) -> None:
        """Read to the end without looking."""
        for _ in self._segments:
            pass

    def _read(self, stream: _Stream) -> Iterator[Segment]:
        count = 1
        while (run := stream.next()) is not None:
            tag = run[0][0][0]
            if tag == "SE":
                self.count, self.last_number = count + 1, run[0].number
                self._end(run[0], stream.problems)
                return
            if tag in _ENVELOPE:
                stream.held = run
                break
            self.last_number = run[-1].number
            count += len(run)
            yield from run
        self.count = count
        self._no_end(stream.problems)

    def _no_end(self, problems: Problems) -> None:
        problems.report("se_missing", self.header, "the transaction has no SE; it is incomplete")

    def _end(self, end: Segment, problems: Problems) -> None:
        if end.get(1).lstrip("0") != str(self.count):
            problems.report(
                "se01_count",
                end,
                f"SE01 does not give the {self.count} segments there are",
                element="SE01",
            )
        if end.get(2) != self.control_number:
            problems.report("se02_number", end, "SE02 differs from ST02", element="SE02")
        else:
            self.complete = True


class Interchange:
    """One interchange (ISA to IEA). Iterating it gives its transactions, once and in order.

    `acknowledgments` (TA1 segments) and `groups` fill up during the iteration.
    """

    __slots__ = (
        "_transactions",
        "acknowledgments",
        "complete",
        "control_number",
        "delimiters",
        "groups",
        "header",
        "receiver_id",
        "receiver_qualifier",
        "sender_id",
        "sender_qualifier",
        "test",
        "version",
    )

    def __init__(self, stream: _Stream, header: Segment):
        self.header = header
        self.delimiters = header.delimiters
        self.sender_qualifier = header.get(5).strip()
        self.sender_id = header.get(6).strip()
        self.receiver_qualifier = header.get(7).strip()
        self.receiver_id = header.get(8).strip()
        self.version = header.get(12)
        self.control_number = header.get(13)
        self.test = header.get(15) == "T"
        self.acknowledgments: list[Segment] = []
        self.groups: list[Group] = []
        self.complete = False
        self._transactions = self._read(stream)

    def __iter__(self) -> Iterator[Transaction]:
        return self._transactions

    def skip(self) -> None:
        """Read to the end without looking into the transactions."""
        for _ in self._transactions:
            pass

    def _read(self, stream: _Stream) -> Iterator[Transaction]:
        problems = stream.problems
        group: Group | None = None
        group_numbers: set[tuple[str, str]] = set()
        set_numbers: set[str] = set()
        while (run := stream.next()) is not None:
            segment = run[0]
            tag = segment.tag
            if tag == "ST":
                if group is None:
                    problems.report("st_outside_group", segment, "there is no GS before this ST")
                    group = Group("", "", "", "", "", segment)
                    set_numbers = set()
                if segment.get(2) in set_numbers:
                    problems.report(
                        "st02_duplicate",
                        segment,
                        "ST02 was used before in this group",
                        element="ST02",
                    )
                set_numbers.add(segment.get(2))
                group.transactions += 1
                transaction = Transaction(stream, segment, group, self)
                yield transaction
                transaction.skip()
            elif tag == "GS":
                if group is not None and group.header.tag == "GS":
                    problems.report("ge_missing", group.header, "the group has no GE")
                group = Group(
                    segment.get(1),
                    segment.get(2).strip(),
                    segment.get(3).strip(),
                    segment.get(6),
                    segment.get(8),
                    segment,
                )
                self.groups.append(group)
                set_numbers = set()
                if (group.functional_code, group.control_number) in group_numbers:
                    problems.report(
                        "gs06_duplicate",
                        segment,
                        "GS06 was used before in this interchange",
                        element="GS06",
                    )
                group_numbers.add((group.functional_code, group.control_number))
            elif tag == "GE":
                if group is None or group.header.tag != "GS":
                    problems.report("ge_without_gs", segment, "there is no GS for this GE")
                else:
                    if segment.get(1).lstrip("0") != (str(group.transactions).lstrip("0")):
                        problems.report(
                            "ge01_count",
                            segment,
                            f"GE01 does not give the {group.transactions} transactions there are",
                            element="GE01",
                        )
                    if segment.get(2) != group.control_number:
                        problems.report(
                            "ge02_number", segment, "GE02 differs from GS06", element="GE02"
                        )
                group = None
            elif tag == "IEA":
                if group is not None and group.header.tag == "GS":
                    problems.report("ge_missing", group.header, "the group has no GE")
                self._end(segment, problems)
                return
            elif tag == "ISA":
                stream.held = run
                break
            elif tag == "SE":
                problems.report("se_without_st", segment, "there is no ST for this SE")
            else:
                for segment in run:
                    if segment.tag == "TA1":
                        self.acknowledgments.append(segment)
                    else:
                        problems.report(
                            "segment_outside_transaction",
                            segment,
                            "the segment stands outside any transaction",
                        )
        if group is not None and group.header.tag == "GS":
            problems.report("ge_missing", group.header, "the group has no GE")
        if self.header.number:  # else the whole envelope is missing, which was reported
            problems.report(
                "iea_missing", self.header, "the interchange has no IEA; it is incomplete"
            )

    def _end(self, end: Segment, problems: Problems) -> None:
        if end.get(1).lstrip("0") != str(len(self.groups)).lstrip("0"):
            problems.report(
                "iea01_count",
                end,
                f"IEA01 does not give the {len(self.groups)} groups there are",
                element="IEA01",
            )
        if end.get(2) != self.control_number:
            problems.report("iea02_number", end, "IEA02 differs from ISA13", element="IEA02")
        else:
            self.complete = True


def read_interchanges(
    source: bytes | BinaryIO, problems: Problems, limits: Limits | None = None
) -> Iterator[Interchange]:
    """The interchanges of a file, one at a time; each must be used before the next is taken.

    Separators come from each ISA. A byte-order mark, blank lines, line ends after terminators and
    text in UTF-8 or Latin-1 are read as they should be. Every fault is added to `problems`.
    """
    stream_in = io.BytesIO(source) if isinstance(source, bytes | bytearray) else source
    stream = _Stream(_split(stream_in, problems, limits or Limits()), problems)
    seen: set[tuple[str, str]] = set()
    any_interchange = False
    while (run := stream.next()) is not None:
        segment = run[0]
        if segment.tag != "ISA":
            problems.report("text_outside_interchange", segment, "a segment outside an interchange")
            continue
        any_interchange = True
        interchange = Interchange(stream, segment)
        if (interchange.sender_id, interchange.control_number) in seen:
            problems.report(
                "isa13_duplicate",
                segment,
                "ISA13 was used before by this sender in this file",
                element="ISA13",
            )
        seen.add((interchange.sender_id, interchange.control_number))
        yield interchange
        interchange.skip()
    if not any_interchange:
        problems.report("no_interchange", None, "the file holds no readable interchange")


def read_transactions(
    source: bytes | BinaryIO, problems: Problems, limits: Limits | None = None
) -> Iterator[Transaction]:
    """All transactions of a file, one at a time, whatever interchange and group they stand in."""
    for interchange in read_interchanges(source, problems, limits):
        yield from interchange
