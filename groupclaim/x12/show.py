"""An X12 file for a person to read: loop by loop, amounts aligned, personal data masked.

Nothing is judged here. What cannot be told from its tag alone to be harmless is masked: names,
addresses, birth dates, identifiers of people, bank accounts, free text, and whole segments that no
guide has.
"""

from collections.abc import Callable, Iterator

from groupclaim.x12.core import (
    Limits,
    Problems,
    Segment,
    Source,
    Transaction,
    read_interchanges,
)
from groupclaim.x12.values import read_cents

MASK = "•••"

# The loop that a segment opens, by transaction: for HL by its level, for NM1 and N1 by the entity
# and the loop it stands in, for others by the tag alone.
_LEVELS: dict[str, dict[str, str]] = {
    "837": {"20": "2000A", "22": "2000B", "23": "2000C"},
    "270": {"20": "2000A", "21": "2000B", "22": "2000C", "23": "2000D"},
    "276": {"20": "2000A", "21": "2000B", "19": "2000C", "22": "2000D", "23": "2000E",
            "PT": "2000D"},
    "278": {"20": "2000A", "21": "2000B", "22": "2000C", "23": "2000D", "EV": "2000E",
            "SS": "2000F"},
}  # fmt: skip
_LEVELS["271"], _LEVELS["277"] = _LEVELS["270"], _LEVELS["276"]
_TAGS: dict[str, dict[str, str]] = {
    "835": {"LX": "2000", "CLP": "2100", "SVC": "2110", "PLB": "summary"},
    "837": {"CLM": "2300", "LX": "2400", "SVD": "2430"},
    "999": {"AK2": "2000", "IK3": "2100", "IK4": "2110", "IK5": "2000", "AK9": "summary"},
}
_NAMES_837 = {
    "41": "1000A", "40": "1000B", "85": "2010AA", "87": "2010AB", "IL": "2010BA", "PR": "2010BB",
    "QC": "2010CA",
}  # fmt: skip
_NAMES_CLAIM = {"DN": "2310A", "82": "2310B", "77": "2310C", "DQ": "2310D"}
_AMOUNTS: dict[str, tuple[int, ...]] = {
    "BPR": (2,), "CLP": (3, 4, 5), "SVC": (2, 3), "CAS": (3, 6, 9, 12, 15, 18), "AMT": (2,),
    "PLB": (4, 6, 8, 10, 12, 14), "CLM": (2,), "SV1": (2,), "SV2": (3,), "SV3": (2,), "SVD": (2,),
    "EB": (7,), "STC": (4, 5),
}  # fmt: skip
# Elements that are about a person wherever they stand.
_PRIVATE: dict[str, tuple[int, ...]] = {
    "DMG": tuple(range(1, 12)), "N3": (1, 2), "N4": (1, 3), "SBR": (3, 4), "NTE": (2,),
    "PAT": tuple(range(2, 10)), "MSG": (1,), "K3": (1,), "IK4": (4,), "AK4": (4,),
    "BPR": (8, 9, 10, 14, 15), "PER": tuple(range(2, 9)), "III": (4,), "STC": (12,),
}  # fmt: skip
# Who may be named: those who bill, pay, carry and treat. Everyone else is a person to protect.
_ROLES = "1P 2B 36 40 41 71 72 77 80 82 85 87 DK DN DQ FA P3 PE PR PRP SJ SEP TT TTP VN X3"
_PUBLIC_ROLES = frozenset(_ROLES.split())
_REFERENCES = "0K 1K 6R 9F BB BLT D9 EI EJ EV F8 FJ G1 HPI LU TJ 2U EO"
_PUBLIC_REFERENCES = frozenset(_REFERENCES.split())
# Segments that carry nothing about a person but what `_PRIVATE` names.
_SEGMENTS = (
    "AAA AK1 AK2 AK3 AK4 AK5 AK9 AMT BHT BPR CAS CLM CLP CRC CTX CUR DMG DTM DTP EB EQ HCR HI HL"
    " HSD IK3 IK4 IK5 III INS LE LQ LS LX MIA MOA MSG N1 N3 N4 NM1 NTE OI K3 PAT PER PLB PRV PWK"
    " QTY REF SBR STC SV1 SV2 SV3 SVC SVD TRN TS2 TS3 UM"
)
_KNOWN = frozenset(_SEGMENTS.split())


def show(
    source: bytes | Source, *, reveal: bool = False, limits: Limits | None = None
) -> Iterator[str]:
    """The lines of a file for a person, one at a time; with `reveal` nothing is masked."""
    problems = Problems()
    any_read = False
    for interchange in read_interchanges(source, problems, limits):
        any_read = True
        usage = "test" if interchange.test else "production"
        yield (
            f"Interchange {interchange.control_number or 'without ISA'}  {interchange.sender_id}"
            f" -> {interchange.receiver_id}  ({usage})"
        )
        for transaction in interchange:
            yield f"  Transaction {transaction.control_number}: {_kind(transaction)}"
            yield from _Page(transaction, reveal).lines()
        for segment in interchange.acknowledgments:
            yield f"  TA1  {' '.join(segment.elements)}"
    if not any_read:
        yield "no interchange could be read"
    for problem in problems:
        yield f"! segment {problem.segment_number}: {problem.code}: {problem.text}"


def _kind(transaction: Transaction) -> str:
    guide = f" ({transaction.guide})" if transaction.guide else ""
    return f"{transaction.set_id}{guide}"


class _Page:
    """Prints one transaction; knows the loop it is in."""

    def __init__(self, transaction: Transaction, reveal: bool) -> None:
        self.transaction = transaction
        self.hidden: Callable[[Segment], list[str]] = _as_is if reveal else self._masked
        self.set_id = transaction.set_id
        self.loop = "header"
        self.in_claim = False
        self.private_party = False

    def lines(self) -> Iterator[str]:
        loop = ""
        for segment in self.transaction:
            self._enter(segment)
            if self.loop != loop:
                loop = self.loop
                yield f"    {loop}"
            parts = self.hidden(segment)
            amounts = _AMOUNTS.get(segment.tag, ())
            text = " ".join(
                part or "-" for n, part in enumerate(parts[1:], 1) if n not in amounts or not part
            )
            figures = [part for n in amounts for part in parts[n : n + 1] if part]
            yield from _row(segment, text, figures)

    def _enter(self, segment: Segment) -> None:
        tag, qualifier = segment.tag, segment.get(1)
        levels = _LEVELS.get(self.set_id, {})
        opened = _TAGS.get(self.set_id, {}).get(tag)
        if tag == "HL":
            self.loop, self.in_claim = levels.get(segment.get(3), "level?"), False
        elif tag == "N1" and self.set_id == "835":
            self.loop = {"PR": "1000A", "PE": "1000B"}.get(qualifier, self.loop)
        elif tag == "NM1":
            self.loop = self._named(qualifier)
        elif tag == "SBR" and self.in_claim:
            self.loop = "2320"
        elif tag in ("EQ", "EB") and levels:
            self.loop = f"2110{self.loop[-1]}"
        elif tag == "TRN" and self.set_id in ("276", "277"):
            self.loop = f"2200{self.loop[-1]}"
        elif tag == "SVC" and self.set_id in ("276", "277"):
            self.loop = f"2220{self.loop[-1]}"
        elif opened is not None:
            self.loop = opened
            self.in_claim = self.in_claim or tag == "CLM"
        if tag in ("NM1", "N1"):
            self.private_party = qualifier not in _PUBLIC_ROLES
        elif tag in ("HL", "CLM", "CLP", "LX", "SVC", "EB"):
            self.private_party = tag in ("CLP", "SVC")

    def _named(self, role: str) -> str:
        """The loop that a name opens."""
        if self.set_id == "837":
            if not self.in_claim:
                return _NAMES_837.get(role, self.loop)
            if self.loop.startswith("24"):
                return "2420"
            if self.loop.startswith(("232", "233")):
                return {"IL": "2330A", "PR": "2330B"}.get(role, "2330")
            return _NAMES_CLAIM.get(role, "2310")
        if self.set_id in ("270", "271", "276", "277"):
            return f"{'212' if self.loop.startswith('211') else '210'}0{self.loop[-1]}"
        if self.set_id == "278":
            return f"2010{self.loop[-1]}"
        return self.loop

    def _masked(self, segment: Segment) -> list[str]:
        parts, tag = list(segment.parts), segment.tag
        places: tuple[int, ...] = _PRIVATE.get(tag, ())
        if tag not in _KNOWN:
            parts[0], places = tag[:3], tuple(range(1, len(parts)))
        elif tag in ("NM1", "N1"):
            # An organisation is named even where a person could stand, but not an insured one.
            if self.private_party:
                places = (2, 3, 4) if tag == "N1" else (3, 4, 5, 6, 7, 9)
        elif tag == "REF" and segment.get(1) not in _PUBLIC_REFERENCES:
            places = (2, 3)
        elif tag in ("N3", "N4", "PER") and not self.private_party:
            places = ()
        for n in places:
            if n < len(parts) and parts[n]:
                parts[n] = MASK
        return parts


def _as_is(segment: Segment) -> list[str]:
    return segment.parts


def _row(segment: Segment, text: str, amounts: list[str]) -> Iterator[str]:
    """One line of text, up to three amounts right of it, and further lines for more amounts."""
    first = f"{segment.number:>8}  {segment.tag[:3]:<4}{text}"
    for start in range(0, max(len(amounts), 1), 3):
        row = first if start == 0 else ""
        columns = "".join(f"{_dollars(amount):>13}" for amount in amounts[start : start + 3])
        yield f"{row:<62}{columns}".rstrip()


def _dollars(text: str) -> str:
    cents = read_cents(text)
    if cents is None:
        return text
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100:,}.{abs(cents) % 100:02d}"
