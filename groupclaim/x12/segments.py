"""From bytes to segments: separators, limits, and what is wrong with the text of a file.

The common case, a chunk of clean text without an envelope segment, is decided for the chunk at
once, so that all checks cost little more than splitting it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import count, repeat
from typing import NamedTuple, Protocol

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
_CHUNK = 8192
ENVELOPE = frozenset({"ISA", "GS", "ST", "SE", "GE", "IEA"})


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


class _Origin(NamedTuple):
    """Where a run of segments was cut from: number and offset of its first, and the text.

    Kept apart, so that a segment is made without counting: most are never asked where they stood.
    """

    number: int
    offset: int
    text: str
    ending: str
    delimiters: Delimiters


class Segment(tuple[list[str], int, _Origin]):
    """One segment. `parts[0]` is the tag, `parts[n]` element n; absent elements read as ''.

    `number` counts from 1 within the file, `offset` is where the segment starts, in bytes.
    """

    __slots__ = ()

    @property
    def parts(self) -> list[str]:
        return self[0]

    @classmethod
    def make(cls, parts: list[str], number: int, offset: int, delimiters: Delimiters) -> "Segment":
        return cls((parts, 0, _Origin(number, offset, "", "", delimiters)))

    @property
    def tag(self) -> str:
        return self[0][0]

    @property
    def elements(self) -> list[str]:
        return self[0][1:]

    @property
    def number(self) -> int:
        return self[2].number + self[1]

    @property
    def offset(self) -> int:
        index, origin = self[1], self[2]
        if not index:
            return origin.offset
        before = origin.text.split(origin.ending, index)[:index]
        return origin.offset + sum(map(len, before)) + index * len(origin.ending)

    @property
    def delimiters(self) -> Delimiters:
        return self[2].delimiters

    def get(self, n: int) -> str:
        """Element n, counted from 1; '' if the segment is shorter."""
        parts = self[0]
        return parts[n] if n < len(parts) else ""

    def up_to(self, n: int) -> list[str]:
        """Tag and elements 1 to n at least, '' where the segment is shorter."""
        parts = self[0]
        return parts if len(parts) > n else parts + [""] * (n + 1 - len(parts))

    def components(self, n: int) -> list[str]:
        """The components of element n; [''] if it is empty."""
        return self.get(n).split(self[2].delimiters.component)

    def repeats(self, n: int) -> list[str]:
        """The repetitions of element n; empty if the element is."""
        value = self.get(n)
        if not value:
            return []
        repetition = self[2].delimiters.repetition
        return value.split(repetition) if repetition else [value]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Segment) and self._content() == other._content()

    def __hash__(self) -> int:
        return hash((self.number, self.offset))

    def __repr__(self) -> str:
        return f"<{self.tag[:3]} segment {self.number} at byte {self.offset}>"

    def _content(self) -> tuple[list[str], int, int, Delimiters]:
        return self[0], self.number, self.offset, self[2].delimiters


class Problems(list[Problem]):
    """Collects what is wrong, up to a limit, so that a hostile file cannot fill the memory."""

    def __init__(self, most: int = 10_000) -> None:
        super().__init__()
        self.most = most
        self._places: dict[int, list[int]] = {}
        self._placed = 0

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

    def of_segments(self, first: int, last: int) -> list[Problem]:
        """What was found so far of the segments `first` to `last`, as it was found. Beyond the
        limit nobody knows which problems they have: that is among them then.

        It takes no longer the more problems other segments have.
        """
        for place in range(self._placed, len(self)):
            self._places.setdefault(self[place].segment_number, []).append(place)
        self._placed = len(self)
        if len(self._places) < last - first:
            numbers: Iterable[int] = [n for n in self._places if first <= n <= last]
        else:
            numbers = range(first, last + 1)
        places = {place for n in numbers for place in self._places.get(n, ())}
        if len(self) > self.most:
            places.add(self.most)
        return [self[place] for place in sorted(places)]

    def cents(self, segment: Segment, n: int, absent: int = 0) -> int:
        """Element n as cents; `absent` if empty; 0 and a problem if it is no amount."""
        parts = segment[0]
        text = parts[n] if n < len(parts) else ""
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
        parts = segment[0]
        text = parts[n] if n < len(parts) else ""
        if not text:
            return None
        quantity = read_quantity(text)
        if quantity is None:
            element = f"{segment.tag}{n:02d}"
            self.report("number_invalid", segment, f"{element} is not a number", element=element)
        return quantity

    def day(self, segment: Segment, n: int) -> date | None:
        """Element n as a CCYYMMDD date; None if empty; None and a problem if it is no day."""
        parts = segment[0]
        text = parts[n] if n < len(parts) else ""
        if not text:
            return None
        day = read_date(text)
        if day is None:
            element = f"{segment.tag}{n:02d}"
            self.report("date_invalid", segment, f"{element} is not a date", element=element)
        return day


class Source(Protocol):
    """What a file is read from: any binary file, however it is stored."""

    def read(self, size: int = -1, /) -> bytes: ...


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
                component, terminator = window[position + 1], window[position + 2]
                length = position + 3
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


class Stretch(NamedTuple):
    """Segments that follow one another with no envelope segment among them; to be iterated once."""

    segments: Iterable[Segment]
    length: int
    last_number: int


class _Look(NamedTuple):
    """What to look for in the text of one interchange; all of it follows from its separators."""

    envelope: re.Pattern[str]
    envelope_by_line: re.Pattern[str]
    end: re.Pattern[str]
    usual: bytes
    controls: bytes

    @classmethod
    def for_text(cls, delimiters: Delimiters) -> "_Look":
        separator, terminator = re.escape(delimiters.element), re.escape(delimiters.segment)
        marks = delimiters.element + delimiters.component + delimiters.repetition
        usual = (marks + delimiters.segment).encode("latin-1")
        tags = rf"(?:S[TE]|G[SE]|I[SE]A){separator}"
        return cls(
            re.compile(rf"{terminator}(?:[ {terminator}]|{tags})"),
            re.compile(rf"{terminator}[\r\n\t]*(?:[ {terminator}]|{tags})"),
            re.compile(
                rf"(?:\A|{terminator})[\r\n \t]*"
                rf"(IEA{separator}[^{terminator}]*{terminator}|ISA{separator})"
            ),
            _PRINTABLE + usual,
            _CONTROL.translate(None, usual),
        )

    def unusual(self, text: str) -> bytes:
        """The bytes that are neither printable ASCII nor separators."""
        return text.encode("latin-1").translate(None, self.usual)

    def is_plain(self, text: str, unusual: bytes, terminator: str) -> bool:
        """Whether no envelope segment can begin in `text`, no interchange within a segment, and no
        segment is empty or has a blank before it."""
        pattern = self.envelope_by_line if unusual else self.envelope
        # The terminator in front makes the pattern's first character one that is searched for fast.
        return pattern.search(terminator + text) is None and "ISA" not in text


def split(source: Source, problems: Problems, limits: Limits) -> Iterator[Segment | Stretch]:
    """All segments of the file, with the delimiters of their own interchange: those of the envelope
    one by one, those between them in stretches."""
    # One byte is one character here (Latin-1), so offsets in the text are offsets in the file.
    text = ""
    base = 0
    number = 0
    delimiters: Delimiters | None = None
    look = _Look.for_text(Delimiters())
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
                    look = _Look.for_text(delimiters)
                    yield Segment.make(["ISA", *[""] * 16], 0, base, delimiters)
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
                look = _Look.for_text(delimiters)
                if header.length != 106:
                    at("isa_width", base, "the ISA is not 106 characters wide", "ISA")
                elif not header.width_is_standard:
                    message = "the elements of the ISA do not have their fixed widths"
                    at("isa_element_width", base, message, "ISA")
                marks = delimiters.element + delimiters.component + delimiters.segment
                if len(set(marks)) < 3:
                    at("delimiters_clash", base, "two of the separators are the same", "ISA")
                yield Segment.make(header.parts, number, base, delimiters)
                text, base = text[header.length :], base + header.length
                continue

            unusual = look.unusual(text)
            plain = not overlong and look.is_plain(text, unusual, delimiters.segment)
            limit, boundary = (len(text), False) if plain else _boundary(text, look, overlong)
            end = text.rfind(delimiters.segment, 0, limit) + 1
            rest = text[end:limit]
            if end and overlong:
                overlong = False
                start = text.index(delimiters.segment) + 1
                text, base, end = text[start:], base + start, end - start
            if end:
                ready = text[: end - 1]
                if plain:
                    stretch = _cut(ready, number, base, delimiters, unusual, limits)
                if not plain or stretch is None:
                    stretch = _cut_carefully(
                        ready, number, base, delimiters, look.controls, problems, limits
                    )
                number = stretch.last_number
                if plain:
                    yield stretch
                else:
                    yield from _parted(stretch)
            text, base = text[end:], base + end
            if boundary or ended:
                body = rest.strip()
                if body and not overlong:
                    number += 1
                    if not boundary and body.startswith("IEA" + delimiters.element):
                        # Only the very last terminator is missing: nothing is lost.
                        at("unterminated_segment", base, "the IEA has no terminator", "IEA")
                        parts = body.split(delimiters.element)
                        yield Segment.make(parts, number, base, delimiters)
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


def _boundary(text: str, look: _Look, amid_segment: bool) -> tuple[int, bool]:
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
        # Amid a dropped segment, the text does not begin where a segment does.
        end = look.end.search(text, 1 if amid_segment else 0, limit)
        if end is not None:
            limit, found = (end.start(1) if end[1].startswith("ISA") else end.end(1)), True
    return limit, found


def _cut(
    text: str, number: int, offset: int, delimiters: Delimiters, unusual: bytes, limits: Limits
) -> Stretch | None:
    """The segments of plain `text`, which ends where a segment does; None if one needs a look.

    They are made one by one while the stretch is iterated, so that they are still in the
    processor's cache when they are used.
    """
    separator, terminator = delimiters.element, delimiters.segment
    body, line_end = text, ""
    if unusual:
        body = text.lstrip("\r\n")
        offset += len(text) - len(body)
        line_end = _line_end(body, terminator)
    ending = terminator + line_end
    pieces = body.split(ending)
    if unusual and not _only_line_ends(unusual, body, len(pieces) - 1, terminator, line_end):
        return None
    most = min(limits.segment_bytes, limits.elements)
    if not _ends_often(body, terminator, most) and max(map(len, pieces)) > most:
        return None
    origin = _Origin(number + 1, offset, body, ending, delimiters)
    made = zip(map(str.split, pieces, repeat(separator)), count(), repeat(origin))
    return Stretch(map(Segment, made), len(pieces), number + len(pieces))


def _ends_often(text: str, terminator: str, most: int) -> bool:
    """Whether no two terminators can be `most` characters apart: one is in each half of that."""
    half = max(most // 2, 1)
    starts = range(0, len(text) - half, half)
    return -1 not in map(text.find, repeat(terminator), starts, range(half, len(text), half))


def _only_line_ends(unusual: bytes, body: str, ends: int, terminator: str, line_end: str) -> bool:
    """Whether the unusual bytes of `body` are the line breaks after its terminators alone."""
    return (
        bool(line_end)
        and body.count(terminator) == ends
        and set(unusual.decode("latin-1")) <= set(line_end)
        and all(body.count(mark) == ends * line_end.count(mark) for mark in set(line_end))
    )


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
) -> Stretch:
    """The segments of any text that ends where a segment does; what is wrong is reported."""
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
        segments.append(Segment.make(parts, number, start, delimiters))
    return Stretch(segments, len(segments), number)


def _parted(stretch: Stretch) -> Iterator[Segment | Stretch]:
    """The segments of a stretch that may have envelope segments in it, parted at those."""
    between: list[Segment] = []
    for segment in stretch.segments:
        if segment[0][0] not in ENVELOPE:
            between.append(segment)
            continue
        if between:
            yield Stretch(between, len(between), between[-1].number)
            between = []
        yield segment
    if between:
        yield Stretch(between, len(between), between[-1].number)
