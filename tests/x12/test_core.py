"""The streaming core reads what no library reads whole, and says what is wrong with the rest."""

import io

import pytest

from groupclaim.x12 import Limits, Problems, kinds, read_interchanges, read_transactions
from tests.x12.examples import FILES

SAMPLE = (FILES / "835_90853.edi").read_bytes().replace(b"\n", b"")


def read(data: bytes, limits: Limits | None = None):
    """Tag and last component of the first element of every segment, and the problem codes."""
    problems = Problems()
    found = [
        (t.set_id, t.complete, [(s.tag, s.components(1)[-1]) for s in t])
        for t in read_transactions(data, problems, limits)
    ]
    # `complete` is only known once the segments were taken.
    problems_again = Problems()
    complete = []
    for transaction in read_transactions(data, problems_again, limits):
        transaction.skip()
        complete.append(transaction.complete)
    assert problems_again == problems
    return [(s, c, segments) for (s, _, segments), c in zip(found, complete, strict=True)], [
        p.code for p in problems
    ]


WHOLE, NO_PROBLEMS = read(SAMPLE)


def with_delimiters(element: str, component: str, segment: str, repetition: str = "^") -> bytes:
    table = str.maketrans({"*": element, ":": component, "~": segment, "^": repetition})
    return SAMPLE.decode().translate(table).encode("latin-1")


def test_sample_is_clean():
    assert NO_PROBLEMS == []
    assert [(s, c, len(segments)) for s, c, segments in WHOLE] == [("835", True, 21)]


@pytest.mark.parametrize(
    "delimiters",
    [("*", ":", "~"), ("|", ">", "\n"), ("\x1d", "\x1f", "\x1c"), ("*", "<", "\r"),
     ("^", "&", "'", "!"), ("\t", ":", "~"), ("\xa7", "\xb6", "\xac")],
)  # fmt: skip
def test_delimiters_come_from_the_isa(delimiters):
    assert read(with_delimiters(*delimiters)) == (WHOLE, [])


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r", b"\n\n\n", b"\n    "])
def test_line_ends_and_indents_after_terminators(line_end):
    assert read(SAMPLE.replace(b"~", b"~" + line_end)) == (WHOLE, [])


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\n\n", b"  \r\n", b"\xef\xbb\xbf\n"])
def test_byte_order_mark_and_blank_lines_before_the_isa(before):
    assert read(before + SAMPLE) == (WHOLE, [])


def test_two_interchanges_with_different_delimiters():
    found, problems = read(SAMPLE + b"\n" + with_delimiters("|", ">", "\n"))
    assert found == WHOLE + WHOLE
    assert problems == ["isa13_duplicate"]


def test_second_interchange_is_found_though_the_first_breaks_off():
    cut = SAMPLE[: len(SAMPLE) // 2]
    found, problems = read(cut + with_delimiters("|", ">", "\n"))
    assert found[-1] == WHOLE[0]
    assert found[0][1] is False
    assert problems == ["unterminated_segment", "se_missing", "ge_missing", "iea_missing",
                        "isa13_duplicate"]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "encoded"), [("utf-8", "MÜLLER".encode()), ("latin-1", "MÜLLER".encode("latin-1"))]
)
def test_text_in_utf8_and_latin1(name, encoded):
    problems = Problems()
    data = SAMPLE.replace(b"MEMBER0", encoded)
    names = [
        s.get(3)
        for t in read_transactions(data, problems)
        for s in t
        if s.tag == "NM1" and s.get(1) == "QC"
    ]
    assert names == ["MÜLLER"]
    assert problems == []


def test_offsets_are_bytes_of_the_file():
    data = b"\xef\xbb\xbf" + SAMPLE.replace(b"~", b"~\r\n").replace(b"MEMBER0", "MÜLLER".encode())
    for transaction in read_transactions(data, Problems()):
        for segment in transaction:
            assert data[segment.offset :].startswith(segment.tag.encode() + b"*")


def test_offsets_and_numbers_hold_across_chunks():
    body = b"".join(b"CLP*%06d*1*65*65~" % n for n in range(20_000))
    data = SAMPLE.replace(b"LX*1~", b"LX*1~" + body)
    problems = Problems()
    seen = 0
    for transaction in read_transactions(io.BytesIO(data), problems):
        previous = transaction.header.number
        for segment in transaction:
            assert segment.number == previous + 1
            previous = segment.number
            if segment.tag == "CLP":
                assert data[segment.offset : segment.offset + 4] == b"CLP*"
                seen += 1
    assert seen == 20_001
    assert [p.code for p in problems] == ["se01_count"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"SE*23*0001~", b"SE*22*0001~", "se01_count"),
        (b"SE*23*0001~", b"SE*23*0002~", "se02_number"),
        (b"SE*23*0001~", b"", "se_missing"),
        (b"GE*1*1~", b"GE*2*1~", "ge01_count"),
        (b"GE*1*1~", b"GE*1*2~", "ge02_number"),
        (b"GE*1*1~", b"", "ge_missing"),
        (b"IEA*1*000000001~", b"IEA*2*000000001~", "iea01_count"),
        (b"IEA*1*000000001~", b"IEA*1*000000002~", "iea02_number"),
        (b"IEA*1*000000001~", b"", "iea_missing"),
        (b"GE*1*1~", b"XX*1~GE*1*1~", "segment_outside_transaction"),
        (b"GE*1*1~", b"SE*1*1~GE*1*1~", "se_without_st"),
        (b"MEMBER0", b"MEM\x01BER", "control_character"),
        (b"IEA*1*000000001~", b"IEA*1*000000001~rubbish", "text_outside_interchange"),
        (b"IEA*1*000000001~", b"IEA*1*000000001", "unterminated_segment"),
        (b"LX*1~", b"LX*1~~", "segment_empty"),
        (b"N3*1 PLAN WAY~", b"N3*1 PLAN\nWAY~", "line_break_in_segment"),
        (b"GS*HP", b"GX*HP", "st_outside_group"),
    ],
)
def test_envelope_faults_are_reported_and_the_rest_is_read(old, new, code):
    assert old in SAMPLE
    found, problems = read(SAMPLE.replace(old, new, 1))
    assert code in problems
    assert [segments[-1] for _, _, segments in found][:1] == [("AMT", "B6")]


def test_fault_names_its_place():
    problems = Problems()
    data = SAMPLE.replace(b"SE*23*", b"SE*99*")
    for transaction in read_transactions(data, problems):
        transaction.skip()
    (problem,) = problems
    assert (problem.code, problem.segment, problem.element) == ("se01_count", "SE", "SE01")
    assert problem.segment_number == 25
    assert problem.byte_offset == data.index(b"SE*99")


def test_duplicate_control_numbers():
    body = SAMPLE[SAMPLE.index(b"ST*") : SAMPLE.index(b"GE*")]
    twice = SAMPLE.replace(body, body + body).replace(b"GE*1*", b"GE*2*")
    found, problems = read(twice)
    assert problems == ["st02_duplicate"]
    assert len(found) == 2
    group = SAMPLE[SAMPLE.index(b"GS*") : SAMPLE.index(b"IEA*")]
    groups = SAMPLE.replace(group, group + group).replace(b"IEA*1*", b"IEA*2*")
    assert read(groups)[1] == ["gs06_duplicate"]


def test_bad_transaction_does_not_hide_the_next():
    body = SAMPLE[SAMPLE.index(b"ST*") : SAMPLE.index(b"GE*")]
    bad = body.replace(b"SE*23*0001~", b"")
    good = body.replace(b"*0001~", b"*0002~")
    found, problems = read(SAMPLE.replace(body, bad + good).replace(b"GE*1*", b"GE*2*"))
    assert [(s, c) for s, c, _ in found] == [("835", False), ("835", True)]
    assert problems == ["se_missing"]


@pytest.mark.parametrize("cut", range(1, 820, 7))
def test_truncation_never_passes_silently(cut):
    _, problems = read(SAMPLE[: len(SAMPLE) - cut])
    assert problems


@pytest.mark.parametrize("end", [1, 3, 4, 50, 104, 105, 106, 107, 140])
def test_cut_inside_or_right_after_the_isa(end):
    found, problems = read(SAMPLE[:end])
    assert found == []
    assert problems


def test_short_isa_is_read_by_counting_separators():
    short = SAMPLE.replace(b"GROUPTHERAPY01 ", b"GROUPTHERAPY01", 1)
    found, problems = read(short)
    assert (found, problems) == (WHOLE, ["isa_width"])
    # One element too few: all after it stand one place too early.
    found, problems = read(SAMPLE.replace(b"*ZZ*", b"*", 1))
    assert (found, problems) == (WHOLE, ["isa_width", "iea02_number"])


def test_file_without_isa_is_read_and_reported():
    body = SAMPLE[SAMPLE.index(b"ST*") : SAMPLE.index(b"GE*")]
    found, problems = read(body)
    assert found == WHOLE
    assert problems == ["isa_missing", "st_outside_group"]


@pytest.mark.parametrize(
    "data",
    [b"", b"   \n", b"hello world", bytes(range(256)) * 20, b"ISA", b"ISA*",
     b"\xff\xfeI\x00S\x00A\x00*\x00", b"ISA" * 5000],
)  # fmt: skip
def test_what_is_no_x12_gives_a_problem_and_nothing_else(data):
    found, problems = read(data)
    assert found == []
    assert problems[-1] == "no_interchange"


def test_limits_hold():
    long = SAMPLE.replace(b"MEMBER0", b"A" * 200_000)
    found, problems = read(long)
    assert problems == ["segment_too_long", "se01_count"] or problems == ["segment_too_long"]
    assert ("NM1", "QC") not in found[0][2]
    assert found[0][2][-1] == ("AMT", "B6")
    many = SAMPLE.replace(b"LX*1~", b"LX*1" + b"*1" * 400 + b"~")
    assert read(many)[1] == ["too_many_elements"]
    assert "file_too_large" in read(SAMPLE, Limits(file_bytes=500))[1]


def test_number_of_problems_is_limited():
    problems = Problems(most=3)
    data = SAMPLE.replace(b"GE*1*1~", b"XX*1~" * 50 + b"GE*1*1~")
    for interchange in read_interchanges(data, problems):
        interchange.skip()
    assert [p.code for p in problems] == ["segment_outside_transaction"] * 3 + ["too_many_problems"]


def test_problem_text_quotes_no_value():
    data = SAMPLE.replace(b"MEMBER0", b"SECRET\x01NAME").replace(b"SE*23*0001", b"SE*23*9999")
    problems = Problems()
    for interchange in read_interchanges(data, problems):
        interchange.skip()
    assert len(problems) == 2
    assert not any("SECRET" in repr(p) or "9999" in repr(p) for p in problems)


def test_kinds_name_what_is_inside():
    data = SAMPLE + b"\n" + (FILES / "999_accepted.edi").read_bytes()
    found, problems = kinds(data)
    assert [[(t.name, t.guide, t.control_number, t.segment_count) for t in i.transactions]
            for i in found] == [
        [("835", "005010X221A1", "0001", 23)], [("999", "005010X231", "0001", 6)],
    ]  # fmt: skip
    assert [(i.sender_id, i.control_number, i.complete) for i in found] == [
        ("GROUPTHERAPY01", "000000001", True),
        ("PAYERCLEAR01", "611220808", True),
    ]
    assert problems == ()


def test_components_and_repetitions():
    data = SAMPLE.replace(b"HC:90853", b"HC:90853:59^X")
    (segment,) = [s for t in read_transactions(data, Problems()) for s in t if s.tag == "SVC"]
    assert segment.components(1) == ["HC", "90853", "59^X"]
    assert segment.repeats(1) == ["HC:90853:59", "X"]
    assert segment.get(30) == ""
    assert segment.repeats(30) == []
    assert segment.elements[1:3] == ["65", "37.65"]


@pytest.mark.parametrize(
    ("name", "segments", "codes"),
    [
        ("others/emedny.835", [65], []),
        ("others/mult_loops.835", [31], []),
        ("others/demo.271", [22], []),
        ("others/accepted.277ca", [23], []),
        ("others/simple.999", [16], []),
        ("others/newline_indented.837p", [39], []),
        ("others/without_isa.835", [32], ["isa_missing", "st_outside_group", "se01_count"]),
    ],
)
def test_files_of_others(name, segments, codes):
    found, problems = kinds((FILES / name).read_bytes())
    assert [t.segment_count for i in found for t in i.transactions] == segments
    assert [p.code for p in problems] == codes
