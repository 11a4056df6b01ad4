"""The streaming core: bytes in, interchanges, groups, transactions and their segments out.

Reading never raises for bad content. What is wrong becomes a `Problem` in a `Problems` list, and
reading goes on with the next segment, transaction or interchange. Memory does not grow with the
file: interchanges, transactions and segments are handed out one at a time and must be consumed in
order (moving on skips what was left).
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from groupclaim.x12.segments import (
    Delimiters,
    Limits,
    Problem,
    Problems,
    Segment,
    Source,
    Stretch,
    split,
)

__all__ = [
    "Delimiters",
    "Group",
    "Interchange",
    "Limits",
    "Problem",
    "Problems",
    "Segment",
    "Source",
    "Transaction",
    "read_interchanges",
    "read_transactions",
]


class _Stream:
    """What `split` gives, with one step back."""

    def __init__(self, items: Iterator[Segment | Stretch], problems: Problems) -> None:
        self.items = items
        self.problems = problems
        self.held: Segment | Stretch | None = None

    def next(self) -> Segment | Stretch | None:
        held, self.held = self.held, None
        return held if held is not None else next(self.items, None)


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
        # Chained, so that no Python code runs between one segment and the next.
        self._segments: Iterator[Segment] = chain.from_iterable(self._read(stream))

    def __iter__(self) -> Iterator[Segment]:
        return self._segments

    def skip(self) -> None:
        """Read to the end without looking."""
        for _ in self._segments:
            pass

    def watch(self, look: Callable[[Segment], None]) -> None:
        """Have `look` called with each segment before whoever iterates gets it."""
        segments = self._segments

        def watched() -> Iterator[Segment]:
            for segment in segments:
                look(segment)
                yield segment

        self._segments = watched()

    def _read(self, stream: _Stream) -> Iterator[Iterable[Segment]]:
        count = 1
        while (item := stream.next()) is not None:
            if isinstance(item, Stretch):
                self.last_number = item.last_number
                count += item.length
                yield item.segments
            elif item.tag == "SE":
                self.count, self.last_number = count + 1, item.number
                self._end(item, stream.problems)
                return
            else:
                stream.held = item
                break
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
        while (item := stream.next()) is not None:
            if isinstance(item, Stretch):
                self._outside(item, problems)
                continue
            segment, tag = item, item.tag
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
                stream.held = segment
                break
            elif tag == "SE":
                problems.report("se_without_st", segment, "there is no ST for this SE")
        if group is not None and group.header.tag == "GS":
            problems.report("ge_missing", group.header, "the group has no GE")
        if self.header.number:  # else the whole envelope is missing, which was reported
            problems.report(
                "iea_missing", self.header, "the interchange has no IEA; it is incomplete"
            )

    def _outside(self, stretch: Stretch, problems: Problems) -> None:
        """TA1 segments, and what has no place between transactions."""
        for segment in stretch.segments:
            if segment.tag == "TA1":
                self.acknowledgments.append(segment)
            else:
                problems.report(
                    "segment_outside_transaction",
                    segment,
                    "the segment stands outside any transaction",
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
    source: bytes | Source, problems: Problems, limits: Limits | None = None
) -> Iterator[Interchange]:
    """The interchanges of a file, one at a time; each must be used before the next is taken.

    Separators come from each ISA. A byte-order mark, blank lines, line ends after terminators and
    text in UTF-8 or Latin-1 are read as they should be. Every fault is added to `problems`.
    """
    stream_in: Source = io.BytesIO(source) if isinstance(source, bytes | bytearray) else source
    stream = _Stream(split(stream_in, problems, limits or Limits()), problems)
    seen: set[tuple[str, str]] = set()
    any_interchange = False
    while (item := stream.next()) is not None:
        segment = next(iter(item.segments)) if isinstance(item, Stretch) else item
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
    source: bytes | Source, problems: Problems, limits: Limits | None = None
) -> Iterator[Transaction]:
    """All transactions of a file, one at a time, whatever interchange and group they stand in."""
    for interchange in read_interchanges(source, problems, limits):
        yield from interchange
