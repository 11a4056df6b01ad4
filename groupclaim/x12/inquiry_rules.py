"""Rules for what we ask a payer: 270 (005010X279A1), 276 (X212), 278 (X217, X215).

No open validator has these guides. The rules hold what one question about one person needs: the
levels and their order, the segments of each level in their order, and values fit to be answered.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from groupclaim.x12.core import Problem, Segment
from groupclaim.x12.values import (
    npi_is_valid,
    read_cents,
    read_date,
    read_period,
    read_quantity,
)

_PROCEDURE = re.compile(r"[0-9]{4}[0-9A-Z]|[A-Z][0-9]{4}")
_DIAGNOSIS = re.compile(r"[A-Z][0-9][0-9A-Z][0-9A-Z]{0,4}")


@dataclass(frozen=True, slots=True)
class _Step:
    """A segment of a level: `section` counts the loops of the level that may start anew."""

    tag: str
    section: int
    required: bool
    repeats: bool


def _steps(text: str) -> tuple[_Step, ...]:
    """The segments of a level in order: `!` required, `*` repeated, `|` begins a loop."""
    found = []
    for section, part in enumerate(text.split("|")):
        for word in part.split():
            tag = word.rstrip("!*")
            found.append(_Step(tag, section, "!" in word, "*" in word))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Guide:
    """`begins` are BHT01 and the BHT02 allowed, `parents` what each level stands under, `steps` its
    segments, `loops` the names of the level and of the name in it, `who` what each level is."""

    begins: tuple[str, tuple[str, ...]]
    parents: dict[str, tuple[str, ...]]
    steps: dict[str, tuple[_Step, ...]]
    loops: dict[str, tuple[str, str]]
    required: dict[str, str]


_PARTY_270 = _steps("HL! NM1! REF* N3 N4 PRV")
_PERSON_270 = _steps("HL! TRN* NM1! REF* N3 N4 PRV DMG INS HI DTP* | EQ! AMT* III* REF DTP")
_270 = _Guide(
    ("0022", ("13",)),
    {"20": ("",), "21": ("20",), "22": ("21",), "23": ("22",)},
    {"20": _steps("HL! NM1!"), "21": _PARTY_270, "22": _PERSON_270, "23": _PERSON_270},
    {
        "20": ("2000A", "2100A"), "21": ("2000B", "2100B"),
        "22": ("2000C", "2100C"), "23": ("2000D", "2100D"),
    },
    {"20": "payer", "21": "provider", "22": "subscriber"},
)  # fmt: skip

_CLAIM_276 = "| TRN! REF* AMT DTP | SVC! REF DTP!"
_276 = _Guide(
    ("0010", ("13",)),
    {"20": ("",), "21": ("20",), "19": ("21",), "22": ("19",), "23": ("22",)},
    {
        "20": _steps("HL! NM1!"), "21": _steps("HL! NM1!"), "19": _steps("HL! NM1!"),
        "22": _steps("HL! DMG NM1!" + _CLAIM_276), "23": _steps("HL! DMG! NM1!" + _CLAIM_276),
    },
    {
        "20": ("2000A", "2100A"), "21": ("2000B", "2100B"), "19": ("2000C", "2100C"),
        "22": ("2000D", "2100D"), "23": ("2000E", "2100E"),
    },
    {"20": "payer", "21": "receiver of the answer", "19": "provider", "22": "subscriber"},
)  # fmt: skip

_PERSON_278 = _steps("HL! NM1! REF* N3 N4 DMG INS")
_PROVIDER_278 = "| NM1! REF* N3 N4 PER PRV"
_278 = _Guide(
    ("0007", ("01", "13", "28", "36")),
    {
        "20": ("",), "21": ("20",), "22": ("21",), "23": ("22",),
        "EV": ("23", "22"), "SS": ("EV",),
    },
    {
        "20": _steps("HL! NM1!"), "21": _steps("HL! NM1! REF* N3 N4 PER PRV"),
        "22": _PERSON_278, "23": _PERSON_278,
        "EV": _steps("HL! TRN* UM! REF* DTP* HI HSD CRC* PWK* MSG" + _PROVIDER_278),
        "SS": _steps("HL! TRN* UM REF* DTP* SV1 HSD PWK* MSG" + _PROVIDER_278),
    },
    {
        "20": ("2000A", "2010A"), "21": ("2000B", "2010B"), "22": ("2000C", "2010C"),
        "23": ("2000D", "2010D"), "EV": ("2000E", "2010E"), "SS": ("2000F", "2010F"),
    },
    {"20": "reviewer", "21": "requester", "22": "subscriber", "EV": "event"},
)  # fmt: skip


def eligibility_problems(segments: Iterable[Segment]) -> Iterator[Problem]:
    """Problems of one 270, given its segments from ST to before SE."""
    check = _Inquiry(_270, segments)
    yield from check.problems()
    subscriber = check.names.get("22")
    born = any(read_date(s.get(2)) is not None for s in check.all("DMG"))
    if subscriber is not None and not subscriber.get(9) and not born:
        yield check.problem(
            "member_id_missing",
            subscriber,
            "NM109",
            "there is neither member id nor birth date to find the member by",
            "give one of them",
        )
    if not any(s.get(1) or s.get(2) for s in check.all("EQ")):
        yield check.missing("22", "EQ", "nothing is asked", "add EQ")


def status_problems(segments: Iterable[Segment]) -> Iterator[Problem]:
    """Problems of one 276, given its segments from ST to before SE."""
    check = _Inquiry(_276, segments)
    yield from check.problems()
    subscriber = check.names.get("22")
    if subscriber is not None and not subscriber.get(9):
        yield check.problem(
            "member_id_missing", subscriber, "NM109", "there is no member id", "give it"
        )
    if "23" not in check.levels and "22" in check.levels and not check.all("DMG"):
        yield check.missing(
            "22", "DMG", "the subscriber is the patient, but has no DMG", "add the birth date"
        )
    for segment in check.all("AMT"):
        yield from check.amount(segment, 2)
    for segment in check.all("SVC"):
        yield from check.procedure(segment, 1)
        yield from check.amount(segment, 2)
    dated = any(segment.get(1) == "472" for segment in check.all("DTP"))
    if check.all("TRN") and not dated:
        yield check.missing("22", "DTP", "there is no date of service", "add DTP*472")


def authorization_problems(segments: Iterable[Segment]) -> Iterator[Problem]:
    """Problems of one 278 request or inquiry, given its segments from ST to before SE."""
    check = _Inquiry(_278, segments)
    yield from check.problems()
    subscriber = check.names.get("22")
    if subscriber is not None and not subscriber.get(9):
        yield check.problem(
            "member_id_missing", subscriber, "NM109", "there is no member id", "give it"
        )
    for segment in check.all("UM"):
        get = segment.get
        for n, codes in ((1, _REQUEST_CATEGORIES), (2, _CERTIFICATIONS)):
            if get(n) not in codes:
                text = "the value is not among the codes of the guide"
                yield check.problem(
                    "element_code", segment, f"UM{n:02d}", text, "use a listed code"
                )
        if check.level_of[segment.number] == "EV" and not get(3):
            yield check.problem(
                "element_missing", segment, "UM03", "the service type is missing", "give it"
            )
    for segment in check.all("HI"):
        for n in range(1, len(segment.parts)):
            qualifier, *rest = segment.components(n)
            if qualifier in ("ABK", "ABF") and not _DIAGNOSIS.fullmatch(rest[0] if rest else ""):
                yield check.problem(
                    "diagnosis_form",
                    segment,
                    f"HI{n:02d}-2",
                    "not the form of an ICD-10-CM code without decimal point",
                    "write letter, digit, and up to five more characters, no point",
                )
    for segment in check.all("SV1"):
        yield from check.procedure(segment, 1)
        if segment.get(2):
            yield from check.amount(segment, 2)
        if segment.get(4):
            yield from check.quantity(segment, 4)
    for segment in check.all("HSD"):
        if segment.get(2):
            yield from check.quantity(segment, 2)


_REQUEST_CATEGORIES = frozenset({"AR", "HS", "IN", "SC"})
_CERTIFICATIONS = frozenset({"1", "2", "3", "4", "I", "N", "R", "S"})
_LONGEST = {3: 60, 4: 35, 9: 80}


class _Inquiry:
    """Walks one transaction and collects what its guide says about structure and names."""

    def __init__(self, guide: _Guide, segments: Iterable[Segment]) -> None:
        self.guide = guide
        self.segments = list(segments)
        self.levels: dict[str, Segment] = {}
        self.names: dict[str, Segment] = {}
        self.level_of: dict[int, str] = {}
        level = ""
        for segment in self.segments:
            if segment.tag == "HL":
                level = segment.get(3)
                self.levels.setdefault(level, segment)
            elif segment.tag == "NM1":
                self.names.setdefault(level, segment)
            self.level_of[segment.number] = level

    def all(self, tag: str) -> list[Segment]:
        return [segment for segment in self.segments if segment.tag == tag]

    def problem(self, code: str, at: Segment, element: str, text: str, repair: str) -> Problem:
        level = self.level_of.get(at.number, "")
        of_level, of_name = self.guide.loops.get(level, ("", ""))
        loop = of_name if at.tag in _NAMES else of_level
        return Problem(code, at.number, at.offset, text, loop, at.tag, element, repair)

    def missing(self, level: str, tag: str, text: str, repair: str) -> Problem:
        at = self.levels.get(level, self.segments[0])
        loop = self.guide.loops[level][1 if tag in _NAMES else 0]
        return Problem("segment_missing", at.number, at.offset, text, loop, at.tag, tag, repair)

    def problems(self) -> Iterator[Problem]:
        yield from self._beginning()
        yield from self._hierarchy()
        yield from self._order()
        for level, who in self.guide.required.items():
            if level not in self.levels:
                text = f"the level of the {who} is missing"
                yield self.missing(level, "HL03", text, f"add HL {level}")
        created = next((read_date(segment.get(4)) for segment in self.all("BHT")), None)
        for segment in self.segments:
            if segment.tag == "NM1":
                yield from self._name(segment)
            elif segment.tag == "DMG":
                yield from self._birth_date(segment, created)
            elif segment.tag == "DTP" and read_period(segment.get(2), segment.get(3)) is None:
                yield self.problem(
                    "element_date", segment, "DTP03", "not a date", "correct the date"
                )
        traces = self.all("TRN")
        if not any(segment.get(2) for segment in traces):
            text = "the question has no trace number"
            level = "EV" if "EV" in self.guide.loops else "22"
            yield self.missing(level, "TRN", text, "add TRN, or the answer cannot be matched")
        for segment in traces:
            if segment.get(3) and len(segment.get(3)) != 10:
                text = "the originator of the trace is not ten characters"
                repair = "write 1 and the employer identification number"
                yield self.problem("element_length", segment, "TRN03", text, repair)

    def _beginning(self) -> Iterator[Problem]:
        structure, purposes = self.guide.begins
        begins = self.all("BHT")
        if not begins:
            head = self.segments[0]
            yield self.problem("segment_missing", head, "BHT", "there is no BHT", "add it")
        for segment in begins:
            if segment.get(1) != structure or segment.get(2) not in purposes:
                text = "this is not the beginning of a question"
                repair = f"write {structure}, {' or '.join(purposes)}"
                yield self.problem("element_code", segment, "BHT02", text, repair)

    def _hierarchy(self) -> Iterator[Problem]:
        last: dict[str, str] = {"": ""}
        parents = {segment.get(2) for segment in self.all("HL")}
        for count, segment in enumerate(self.all("HL"), 1):
            number, parent, level = segment.get(1), segment.get(2), segment.get(3)
            allowed = [last[code] for code in self.guide.parents.get(level, ()) if code in last]
            if number != str(count) or not allowed or parent != allowed[0]:
                yield self.problem(
                    "numbering_wrong",
                    segment,
                    "HL01",
                    "the levels are not numbered, or do not stand under one another, as they must",
                    "number from 1 without gaps, parents before children",
                )
            has_children = "1" if number in parents else "0"
            if segment.get(4) and segment.get(4) != has_children:
                text = "HL04 does not say whether levels follow below this one"
                yield self.problem("hl04_children", segment, "HL04", text, f"write {has_children}")
            last[level] = number

    def _order(self) -> Iterator[Problem]:
        level: str = ""
        steps: tuple[_Step, ...] = _steps("ST! BHT!")
        place = -1
        at = self.segments[0]
        for segment in self.segments:
            if segment.tag == "HL":
                yield from self._left_out(steps, place, len(steps), at, level)
                level, place, at = segment.get(3), -1, segment
                steps = self.guide.steps.get(level, ())
            found = _next_step(steps, place, segment.tag)
            if found is None:
                if steps:  # an unknown level was reported by its number
                    yield self.problem(
                        "segment_unexpected",
                        segment,
                        "",
                        "the guide has no such segment here",
                        "take it out or put it into its place",
                    )
                continue
            if found > place:
                yield from self._left_out(steps, place, found, at, level)
            place = found
        yield from self._left_out(steps, place, len(steps), at, level)

    def _left_out(
        self, steps: tuple[_Step, ...], start: int, end: int, at: Segment, level: str
    ) -> Iterator[Problem]:
        """The required segments between two places, of sections that were begun."""
        begun = {steps[n].section for n in (start, end) if 0 <= n < len(steps)} or {0}
        for step in steps[start + 1 : end]:
            if step.required and step.section in begun and step.tag != "BHT":
                who = self.guide.required.get(level, "")
                text = f"the {who} is not named" if step.tag == "NM1" and who else (
                    f"the required {step.tag} is missing"
                )  # fmt: skip
                of_level, of_name = self.guide.loops.get(level, ("", ""))
                loop = of_name if step.tag in _NAMES else of_level
                yield Problem(
                    "segment_missing", at.number, at.offset, text, loop, at.tag, step.tag, "add it"
                )

    def _name(self, segment: Segment) -> Iterator[Problem]:
        get, level = segment.get, self.level_of[segment.number]
        if level == "20" and not get(9):
            yield self.problem(
                "element_missing", segment, "NM109", "the payer id is missing", "give it"
            )
        if get(8) == "XX" and not npi_is_valid(get(9)):
            text = "the NPI is not ten digits with a correct check digit"
            yield self.problem("npi_invalid", segment, "NM109", text, "correct the NPI")
        # Of the insured of a dependent, the identifier is enough.
        patient = "23" if "23" in self.levels else "22"
        if level == patient and not get(3):
            yield self.problem(
                "element_missing", segment, "NM103", "the last name is missing", "give it"
            )
        for n, longest in _LONGEST.items():
            if len(get(n)) > longest:
                text = f"the value exceeds {longest} characters"
                yield self.problem("element_too_long", segment, f"NM1{n:02d}", text, "shorten it")

    def _birth_date(self, segment: Segment, created: date | None) -> Iterator[Problem]:
        born = read_date(segment.get(2))
        if segment.get(2) and born is None:
            yield self.problem(
                "element_date", segment, "DMG02", "not a date", "correct the birth date"
            )
        elif born is not None and created is not None and born > created:
            text = "the birth date is after the date of the file"
            yield self.problem(
                "birth_date_future", segment, "DMG02", text, "correct the birth date"
            )

    def procedure(self, segment: Segment, n: int) -> Iterator[Problem]:
        qualifier, *rest = segment.components(n)
        if qualifier == "HC" and not _PROCEDURE.fullmatch(rest[0] if rest else ""):
            text = "not the form of a CPT or HCPCS code"
            element = f"{segment.tag}{n:02d}-2"
            yield self.problem("procedure_form", segment, element, text, "correct the code")

    def amount(self, segment: Segment, n: int) -> Iterator[Problem]:
        cents, element = read_cents(segment.get(n)), f"{segment.tag}{n:02d}"
        if cents is None:
            text = "not an amount with at most two decimals"
            yield self.problem("amount_invalid", segment, element, text, "correct the amount")
        elif cents < 0:
            text = "the amount is negative"
            yield self.problem("amount_negative", segment, element, text, "give zero or more")

    def quantity(self, segment: Segment, n: int) -> Iterator[Problem]:
        quantity = read_quantity(segment.get(n))
        if quantity is None or quantity <= 0:
            text = "not a number above zero"
            element = f"{segment.tag}{n:02d}"
            yield self.problem("units_not_positive", segment, element, text, "give the units")


_NAMES = frozenset({"NM1", "REF", "N3", "N4", "PER", "PRV", "DMG", "INS"})


def _next_step(steps: tuple[_Step, ...], place: int, tag: str) -> int | None:
    """Where a segment belongs after the one at `place`; None if nowhere."""
    if 0 <= place < len(steps) and steps[place].tag == tag and steps[place].repeats:
        return place
    for n in range(place + 1, len(steps)):
        if steps[n].tag == tag and (place < 0 or steps[n].section == steps[place].section):
            return n
    # Another loop of the level begins, or one that was there before begins again.
    for n, step in enumerate(steps):
        first = n == 0 or steps[n - 1].section != step.section
        if first and step.section and step.tag == tag:
            return n
    return None
