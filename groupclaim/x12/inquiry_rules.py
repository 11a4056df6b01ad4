"""Rules for an outbound 270 (005010X279A1): one question about one person, fit to be answered."""

from collections.abc import Iterator, Sequence
from datetime import date

from groupclaim.x12.core import Problem, Segment
from groupclaim.x12.values import npi_is_valid, read_date, read_period

# The levels of an inquiry, each with its parent.
_PARENTS = {"20": "", "21": "20", "22": "21", "23": "22"}
_TAGS = frozenset(
    (
        "ST",
        "BHT",
        "HL",
        "NM1",
        "REF",
        "N3",
        "N4",
        "PER",
        "PRV",
        "TRN",
        "DMG",
        "INS",
        "HI",
        "DTP",
        "EQ",
        "AMT",
        "III",
    )
)


def inquiry_problems(segments: Sequence[Segment]) -> Iterator[Problem]:
    """Problems of one 270, given its segments from ST to before SE."""
    head = segments[0]
    levels: dict[str, tuple[Segment, str]] = {}
    names: dict[str, Segment] = {}
    created: date | None = None
    level, count, asked, traced, demographics = "", 0, False, False, False

    for segment in segments:
        tag, get = segment.tag, segment.get
        if tag not in _TAGS:
            yield _problem(
                "segment_unexpected",
                segment,
                level,
                "",
                "the guide has no such segment",
                "take it out",
            )
        elif tag == "BHT":
            created = read_date(get(4))
            if (get(1), get(2)) != ("0022", "13"):
                yield _problem(
                    "element_code",
                    segment,
                    "",
                    "BHT02",
                    "this is not the beginning of an inquiry",
                    "write 0022, 13",
                )
        elif tag == "HL":
            count += 1
            level = get(3)
            parent = _PARENTS.get(level)
            expected = levels[parent][1] if parent and parent in levels else ""
            if get(1) != str(count) or parent is None or get(2) != expected:
                yield _problem(
                    "numbering_wrong",
                    segment,
                    level,
                    "HL01",
                    "levels 20, 21, 22 and 23 do not follow one another",
                    "number from 1 without gaps, parents before children",
                )
            levels[level] = (segment, get(1))
        elif tag == "NM1":
            names.setdefault(level, segment)
            yield from _name_problems(segment, level)
        elif tag == "TRN":
            traced = traced or bool(get(2))
        elif tag == "DMG":
            demographics = demographics or read_date(get(2)) is not None
            birth_date = read_date(get(2))
            if get(2) and birth_date is None:
                yield _problem(
                    "element_date", segment, level, "DMG02", "not a date", "correct the birth date"
                )
            elif birth_date is not None and created is not None and birth_date > created:
                yield _problem(
                    "birth_date_future",
                    segment,
                    level,
                    "DMG02",
                    "the birth date is after the date of the file",
                    "correct the birth date",
                )
        elif tag == "DTP" and read_period(get(2), get(3)) is None:
            yield _problem(
                "element_date", segment, level, "DTP03", "not a date", "correct the date"
            )
        elif tag == "EQ":
            asked = asked or bool(get(1) or get(2))

    for code, what in (("20", "payer"), ("21", "provider"), ("22", "subscriber")):
        if code not in levels:
            yield _problem(
                "segment_missing",
                head,
                code,
                "HL03",
                f"the level of the {what} is missing",
                f"add HL {code}",
            )
        elif code not in names:
            yield _problem(
                "segment_missing",
                levels[code][0],
                code,
                "NM1",
                f"the {what} is not named",
                "add NM1",
            )
    subscriber = names.get("22")
    if subscriber is not None and not subscriber.get(9) and not demographics:
        yield _problem(
            "member_id_missing",
            subscriber,
            "22",
            "NM109",
            "there is neither member id nor birth date to find the member by",
            "give one of them",
        )
    if not traced:
        yield _problem(
            "segment_missing",
            head,
            "22",
            "TRN",
            "the question has no trace number",
            "add TRN, or the answer cannot be matched",
        )
    if not asked:
        yield _problem("segment_missing", head, "22", "EQ", "nothing is asked", "add EQ")


def _name_problems(segment: Segment, level: str) -> Iterator[Problem]:
    get = segment.get
    if level == "20" and not get(9):
        yield _problem(
            "element_missing", segment, level, "NM109", "the payer id is missing", "give it"
        )
    if level == "21" and get(8) == "XX" and not npi_is_valid(get(9)):
        yield _problem(
            "npi_invalid",
            segment,
            level,
            "NM109",
            "the NPI is not ten digits with a correct check digit",
            "correct the NPI",
        )
    if level in ("22", "23") and not get(3):
        yield _problem(
            "element_missing", segment, level, "NM103", "the last name is missing", "give it"
        )
    for n, longest in ((3, 60), (4, 35), (9, 80)):
        if len(get(n)) > longest:
            yield _problem(
                "element_too_long",
                segment,
                level,
                f"NM1{n:02d}",
                f"the value exceeds {longest} characters",
                "shorten it",
            )


def _problem(code: str, at: Segment, level: str, element: str, text: str, repair: str) -> Problem:
    loop = {"20": "2100A", "21": "2100B", "22": "2100C", "23": "2100D"}.get(level, "")
    return Problem(code, at.number, at.offset, text, loop, at.tag, element, repair)
