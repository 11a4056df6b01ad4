"""The levels (HL loops) of a status or authorization transaction, each with its segments."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from groupclaim.x12.core import Problems, Segment, Transaction
from groupclaim.x12.parts import Member, Party, read_address, read_party

NOBODY = Party("", "", qualifier="")
# What may stand above what, top first: information source or reviewer, receiver or requester,
# service provider, subscriber, dependent, event, service. Nesting cannot go deeper than this list.
_RANKS = {code: rank for rank, code in enumerate(("20", "21", "19", "22", "23", "EV", "SS"))}


@dataclass(slots=True)
class Level:
    """One HL loop: `code` is HL03, `segments` all that follows up to the next HL."""

    code: str
    header: Segment | None
    above: "Level | None"
    segments: list[Segment] = field(default_factory=list)
    below: "list[Level]" = field(default_factory=list)

    def find(self, code: str) -> "Level | None":
        """This level or the nearest above it with the code."""
        level: Level | None = self
        while level is not None and level.code != code:
            level = level.above
        return level

    def party(self, code: str) -> Party:
        """Whom the level with this code, here or above, names first."""
        level = self.find(code)
        name = _first(level.segments, "NM1") if level is not None else None
        return read_party(name) if name is not None else NOBODY


def read_levels(transaction: Transaction, problems: Problems) -> tuple[list[Segment], list[Level]]:
    """What stands before the first HL, and the levels in the order of the file.

    A level belongs under the one that HL02 names; where that is none above it in rank, which is
    reported, under the last level that could be above it.
    """
    head: list[Segment] = []
    levels: list[Level] = []
    by_number: dict[str, Level] = {}
    last: dict[str, Level] = {}
    for segment in transaction:
        if segment.tag != "HL":
            (levels[-1].segments if levels else head).append(segment)
            continue
        code, parent = segment.get(3), by_number.get(segment.get(2))
        rank = _RANKS.get(code)
        if rank is None:
            problems.report("hl03_unknown", segment, "HL03 is not a known level", element="HL03")
            rank = len(_RANKS)
        fits = parent is not None and _RANKS.get(parent.code, rank) < rank
        if not fits and (segment.get(2) or code != "20"):
            problems.report("hl02_parent", segment, "HL02 names no level above", element="HL02")
        if not fits:
            above = [one for name, one in last.items() if _RANKS[name] < rank]
            parent = max(above, key=lambda one: _RANKS[one.code], default=None)
        level = Level(code, segment, parent)
        if parent is not None:
            parent.below.append(level)
        if code in _RANKS:
            # What hung under an earlier level of this rank is closed.
            last = {name: one for name, one in last.items() if _RANKS[name] < rank}
            last[code] = level
        by_number.setdefault(segment.get(1), level)
        levels.append(level)
    return head, levels


def read_member(segments: list[Segment], problems: Problems, taken: set[int]) -> Member:
    """The person that NM1, REF, N3, N4, DMG and INS of a level describe, up to its first TRN.

    The numbers of the segments used are added to `taken`.
    """
    found: dict[str, Segment] = {}
    for segment in segments:
        if segment.tag == "TRN" or (segment.tag == "NM1" and "NM1" in found):
            break
        if segment.tag in ("NM1", "N3", "N4", "DMG", "INS") and segment.tag not in found:
            found[segment.tag] = segment
            taken.add(segment.number)
    name, demographics = found.get("NM1"), found.get("DMG")
    relation = found.get("INS")
    return Member(
        name.get(3) if name else "",
        name.get(4) if name else "",
        name.get(9) if name else "",
        problems.day(demographics, 2) if demographics else None,
        demographics.get(3) if demographics else "",
        read_address(found.get("N3"), found.get("N4")),
        name.get(5) if name else "",
        changed=relation is not None and relation.get(3) == "001",
    )


def unread(segments: list[Segment], taken: set[int]) -> Iterator[Segment]:
    """The segments whose numbers are not among those used."""
    return (segment for segment in segments if segment.number not in taken)


def _first(segments: list[Segment], tag: str) -> Segment | None:
    return next((segment for segment in segments if segment.tag == tag), None)
