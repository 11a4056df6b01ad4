"""What a payer would refuse in an outbound file, found before it is sent.

Three layers, all of which must be silent: the envelope (`core`), the guide's structure as pyx12
knows it, and the rules that no library has (`claim_rules`). Whatever cannot be checked is refused.

pyx12 is driven segment by segment, not through its `x12n_document`, because that one loses faults
(a transaction that does not fit its group, a second interchange with other separators) and writes
values into the log. It sees one interchange at a time, as text, and only guides it has a map for;
its maps are loaded once a process and only read afterwards, so threads may check at the same time.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain
from threading import Lock
from typing import Any

import pyx12.map_if
import pyx12.map_walker
import pyx12.params
import pyx12.x12file

from groupclaim.x12.authorization import GUIDE_278, GUIDE_278_INQUIRY
from groupclaim.x12.claim import GUIDE_837P
from groupclaim.x12.claim_rules import claim_problems
from groupclaim.x12.core import (
    Interchange,
    Problem,
    Problems,
    Segment,
    read_interchanges,
)
from groupclaim.x12.eligibility import GUIDE_270
from groupclaim.x12.inquiry_rules import (
    authorization_problems,
    eligibility_problems,
    status_problems,
)
from groupclaim.x12.status import GUIDE_276

_GROUP_LOOP = "/ISA_LOOP/GS_LOOP"
_CONTROL_MAP = "x12.control.00501.xml"
# What may be sent: by GS08 the GS01, ST01, pyx12's map if it has one, and our own rules.
_Rules = Callable[[Iterable[Segment]], Iterator[Problem]]
_GUIDES: dict[str, tuple[str, str, str | None, _Rules]] = {
    GUIDE_837P: ("HC", "837", "837.5010.X222.A1.xml", claim_problems),
    GUIDE_270: ("HS", "270", None, eligibility_problems),
    GUIDE_276: ("HR", "276", None, status_problems),
    GUIDE_278: ("HI", "278", None, authorization_problems),
    GUIDE_278_INQUIRY: ("HI", "278", None, authorization_problems),
}
_map_lock = Lock()


def check_outbound(data: bytes) -> tuple[Problem, ...]:
    """All that is wrong with an outbound file, in order of place; empty only if it may be sent.

    Each problem names loop, segment, element, place and repair, never the value. Professional
    claims (005010X222A1), eligibility inquiries (X279A1), status inquiries (X212), authorization
    requests (X217) and inquiries (X215) are known; anything else is refused as unchecked.
    """
    problems = Problems()
    starts: list[Segment] = []
    checks: list[tuple[int, str]] = []
    for interchange in read_interchanges(data, problems):
        starts.append(interchange.header)
        map_file = _check_interchange(interchange, problems)
        if map_file is not None:
            checks.append((len(starts) - 1, map_file))
    if not problems and not data.isascii():
        problems.report("not_ascii", None, "the file holds characters outside ASCII")
    # With the envelope broken, the walk through the guide would only repeat it in other words.
    if not any(problem.code in _ENVELOPE_CODES for problem in problems):
        for index, map_file in checks:
            end = starts[index + 1].offset if index + 1 < len(starts) else len(data)
            text = data[starts[index].offset : end].decode("latin-1")
            for problem in _walk(text, map_file, starts[index]):
                problems.add(problem)
    return tuple(sorted(set(problems), key=lambda p: (p.byte_offset, p.segment_number, p.code)))


_ENVELOPE_CODES = frozenset(
    {
        "no_interchange",
        "isa_unreadable",
        "isa_width",
        "isa_element_width",
        "delimiters_clash",
        "iea_missing",
        "ge_missing",
        "se_missing",
        "st_outside_group",
        "unterminated_segment",
        "not_ascii",
        "segment_too_long",
        "file_too_large",
        "guide_unchecked",
        "text_outside_interchange",
    }
)


def _check_interchange(interchange: Interchange, problems: Problems) -> str | None:
    """Envelope and our own rules of one interchange; returns the map of pyx12 to walk, if any."""
    header = interchange.header
    if interchange.version != "00501":
        _refuse(problems, "isa12_version", header, "ISA12", "ISA12 is not 00501", "write 00501")
    if header.get(15) not in ("T", "P"):
        _refuse(
            problems, "isa15_usage", header, "ISA15", "ISA15 is neither T nor P", "write T or P"
        )
    map_files = set()
    count = 0
    for transaction in interchange:
        count += 1
        group = transaction.group
        known = _GUIDES.get(group.version)
        if known is None:
            _refuse(
                problems,
                "guide_unchecked",
                group.header,
                "GS08",
                "there are no rules to check this guide by",
                "send a guide that is checked",
            )
            transaction.skip()
            continue
        functional_code, set_id, map_file, rules = known
        if group.functional_code != functional_code:
            _refuse(
                problems,
                "gs01_guide",
                group.header,
                "GS01",
                "GS01 does not fit GS08",
                f"write {functional_code}",
            )
        if transaction.set_id != set_id:
            _refuse(
                problems,
                "st01_group",
                transaction.header,
                "ST01",
                "the transaction does not fit its group",
                f"write {set_id}",
            )
            transaction.skip()
            continue
        if transaction.header.get(3) != group.version:
            _refuse(
                problems,
                "st03_guide",
                transaction.header,
                "ST03",
                "ST03 differs from GS08",
                "write the guide of GS08",
            )
        # One by one: of a batch of any size, only the claim in progress is in memory.
        for problem in rules(chain([transaction.header], transaction)):
            problems.add(problem)
        if map_file is not None:
            map_files.add(map_file)
    if not count:
        _refuse(
            problems,
            "no_transaction",
            header,
            "",
            "the interchange holds no transaction",
            "send nothing",
        )
    return map_files.pop() if map_files else None


def _refuse(
    problems: Problems, code: str, at: Segment, element: str, text: str, repair: str
) -> None:
    problems.add(
        Problem(
            code,
            at.number,
            at.offset,
            text,
            "ISA" if at.tag == "ISA" else "",
            at.tag,
            element,
            repair,
        )
    )


# --- the guide as pyx12 knows it ----------------------------------------------------------------


@cache
def _load_map(name: str) -> Any:
    return pyx12.map_if.load_map_file(name, pyx12.params.params())


def _map(name: str) -> Any:
    # The cache alone would let two threads load the same map at the same time.
    with _map_lock:
        return _load_map(name)


def _walk(text: str, map_file: str, header: Segment) -> Iterator[Problem]:
    """Faults of one interchange against pyx12's map."""
    try:
        yield from _walk_segments(text, map_file, header)
    except Exception as error:
        # pyx12 raises all kinds of errors on segments it did not expect. Not checked: not sent.
        yield Problem(
            "guide_check_failed",
            header.number,
            header.offset,
            f"the check against the guide broke off ({type(error).__name__})",
            repair="look at the structure of the file",
        )


def _walk_segments(text: str, map_file: str, header: Segment) -> Iterator[Problem]:
    control, guide = _map(_CONTROL_MAP), _map(map_file)
    reader = pyx12.x12file.X12Reader(io.StringIO(text))
    reader.check_837_lx = guide.id == "837"
    walker = pyx12.map_walker.walk_tree()
    terminator = header.delimiters.segment
    node = control.getnodebypath("/ISA_LOOP/ISA")
    offset = 0
    for number, segment in enumerate(reader, header.number):
        offset, start = _next_offset(text, terminator, offset)
        place = (number, header.offset + start)
        # Where a terminator was lost, a "tag" may be anything.
        tag = segment.get_seg_id()[:3]
        if tag == "ISA":
            walker.forceWalkCounterToLoopStart("/ISA_LOOP", "/ISA_LOOP/ISA")
        elif tag == "GS":
            walker.forceWalkCounterToLoopStart(_GROUP_LOOP, f"{_GROUP_LOOP}/GS")
            node = guide.getnodebypath(f"{_GROUP_LOOP}/GS")
        else:
            found, _, _, errors = walker.walk_errors(
                node, segment, reader.get_seg_count(), reader.get_cur_line(), reader.get_ls_id()
            )
            for error in errors:
                yield _segment_problem(error, tag, node, place)
            if found is None:
                continue
            node = found
        for error in node.is_valid_errors(segment)[1]:
            yield _element_problem(error, tag, node, place)
        for kind, code, *_ in reader.pop_errors():
            if kind == "seg" and code in _NUMBERING:
                element, message = _NUMBERING[code]
                yield Problem(
                    "numbering_wrong",
                    *place,
                    message,
                    _loop(node),
                    tag,
                    element,
                    "number from 1 without gaps, parents before children",
                )


_NUMBERING = {
    "HL1": ("HL01", "HL01 does not count up by one"),
    "HL2": ("HL02", "HL02 names no open parent"),
    "LX": ("LX01", "LX01 does not count up by one within the claim"),
}


def _next_offset(text: str, terminator: str, offset: int) -> tuple[int, int]:
    """Where the segment after `offset` ends and starts, without the line breaks before it."""
    end = text.find(terminator, offset)
    end = len(text) if end < 0 else end + 1
    start = offset
    while start < end and text[start] in "\r\n":
        start += 1
    return end, start


def _loop(node: Any) -> str:
    """The loop a map node belongs to, such as 2010AA; '' outside the guide's own loops."""
    parent = node if node.is_loop() else node.parent
    name = str(getattr(parent, "id", "") or "")
    return name if name[:1].isdigit() else ""


_SEGMENT_FAULTS = {
    "1": (
        "segment_unexpected",
        "the guide has no such segment here",
        "take it out or put it into its loop",
    ),
    "2": ("segment_not_used", "the guide does not use this segment here", "take it out"),
    "3": ("segment_missing", "a required segment is missing", "add it"),
    "4": (
        "loop_too_often",
        "the loop occurs more often than the guide allows",
        "take out the surplus",
    ),
    "5": (
        "segment_too_often",
        "the segment occurs more often than the guide allows",
        "take out the surplus",
    ),
}

_ELEMENT_FAULTS = {
    "1": ("element_missing", "a required element is empty", "fill it in"),
    "2": (
        "element_missing",
        "an element is empty that others of the segment require",
        "fill it in, or empty the others",
    ),
    "3": ("element_surplus", "the segment has more elements than the guide", "take them out"),
    "4": ("element_too_short", "the value is shorter than the guide allows", "correct it"),
    "5": ("element_too_long", "the value is longer than the guide allows", "shorten it"),
    "6": (
        "element_characters",
        "the value holds characters that its type does not allow",
        "take them out",
    ),
    "7": ("element_code", "the value is not among the codes of the guide", "use a listed code"),
    "8": ("element_date", "the value is not a date of the format announced", "correct the date"),
    "9": ("element_time", "the value is not a time of the format announced", "correct the time"),
    "10": (
        "element_not_used",
        "the guide does not use this element, or not with the others",
        "empty it",
    ),
}


def _segment_problem(error: Any, tag: str, node: Any, place: tuple[int, int]) -> Problem:
    code, text, repair = _SEGMENT_FAULTS.get(
        error.err_cde, ("segment_invalid", "the segment does not follow the guide", "correct it")
    )
    subject, loop = tag, _loop(node)
    if error.err_cde == "3" and error.map_node is not None:
        subject, loop = str(error.map_node.id), _loop(error.map_node)
        text = f"the required {subject} is missing; noticed at this place"
    elif error.map_node is not None:
        loop = _loop(error.map_node)
    return Problem(code, *place, text, loop, subject, "", repair)


def _element_problem(error: Any, tag: str, node: Any, place: tuple[int, int]) -> Problem:
    code, text, repair = _ELEMENT_FAULTS.get(
        error.err_cde, ("element_invalid", "the element does not follow the guide", "correct it")
    )
    reference = str(error.refdes or "")
    element = reference if reference.startswith(tag) else f"{tag}{reference}"
    return Problem(code, *place, text, _loop(node), tag, element, repair)
