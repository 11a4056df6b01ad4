"""276 and 277: the question as asked, and answers as payers really give them."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from groupclaim.x12 import (
    Member,
    Status,
    StatusInformation,
    X12WriteError,
    build_276,
    build_277,
    check_outbound,
    read_276,
    read_277,
    read_277ca,
)
from tests.x12.examples import (
    FILES,
    STATUS_INQUIRY,
    STATUS_RESPONSE,
    envelope,
    file_of,
    lines_of,
)

OTHERS = Path(__file__).parent / "samples" / "files" / "LinuxForHealth+x12"
QUESTION = lines_of(build_276(envelope(), STATUS_INQUIRY, 1))
MUTATIONS = {
    "payer id": ("PI*IHP01", "PI*", "element_missing"),
    "provider NPI": ("XX*1234567893", "XX*1234567890", "npi_invalid"),
    "level": ("HL*2*1*21*1~NM1*41*2*INVENTED GROUP PRACTICE*****46*GC0001~", "",
              "segment_missing"),
    "numbering": ("HL*4*3*22*0", "HL*5*3*22*0", "numbering_wrong"),
    "children": ("HL*4*3*22*0", "HL*4*3*22*1", "hl04_children"),
    "name before birth date": ("DMG*D8*19850412*F~", "", "segment_missing"),
    "birth date": ("D8*19850412", "D8*19851312", "element_date"),
    "member id": ("MI*MBR0000001", "MI*", "member_id_missing"),
    "trace": ("TRN*1*GC0001A~", "", "segment_missing"),
    "amount": ("AMT*T3*65", "AMT*T3*6O", "amount_invalid"),
    "negative": ("AMT*T3*65", "AMT*T3*-65", "amount_negative"),
    "three decimals": ("AMT*T3*65", "AMT*T3*65.005", "amount_invalid"),
    "date": ("DTP*472*D8*20260203", "DTP*472*D8*20260231", "element_date"),
    "no date": ("DTP*472*D8*20260203~", "", "segment_missing"),
    "procedure": ("HC:90853", "HC:9X853", "procedure_form"),
    "order": ("AMT*T3*65~DTP*472*D8*20260203~", "DTP*472*D8*20260203~AMT*T3*65~",
              "segment_unexpected"),
    "foreign segment": ("AMT*T3*65~", "CLM*1~", "segment_unexpected"),
    "beginning": ("BHT*0010*13", "BHT*0010*08", "element_code"),
}  # fmt: skip


def test_question_as_written():
    assert QUESTION[2:-2] == [
        "ST*276*0001*005010X212",
        "BHT*0010*13*STAT0001*20260209*1700",
        "HL*1**20*1",
        "NM1*PR*2*INVENTED HEALTH PLAN*****PI*IHP01",
        "HL*2*1*21*1",
        "NM1*41*2*INVENTED GROUP PRACTICE*****46*GC0001",
        "HL*3*2*19*1",
        "NM1*1P*2*INVENTED GROUP PRACTICE*****XX*1234567893",
        "HL*4*3*22*0",
        "DMG*D8*19850412*F",
        "NM1*IL*1*INVENTED*TESTA****MI*MBR0000001",
        "TRN*1*GC0001A",
        "REF*1K*PCN0000001",
        "REF*EJ*GC0001A",
        "AMT*T3*65",
        "DTP*472*D8*20260203",
        "SVC*HC:90853*65*****1",
        "REF*FJ*GC0001A-1",
        "DTP*472*D8*20260203",
        "SE*20*0001",
    ]


def test_question_passes_the_outbound_check_and_is_read_back():
    data = file_of(QUESTION)
    assert check_outbound(data) == ()
    (read,), problems = read_276(data)
    assert problems == ()
    assert build_276(envelope(), read, 1) == data
    child = replace(STATUS_INQUIRY, dependent=Member("INVENTED", "KIM", "", date(2012, 1, 3), "M"))
    assert check_outbound(build_276(envelope(), child, 1)) == ()


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_caught(name):
    old, new, code = MUTATIONS[name]
    text = "".join(line + "~" for line in QUESTION)
    assert old in text
    changed = text.replace(old, new, text.count(old) if name == "no date" else 1)
    found = check_outbound(file_of(changed.rstrip("~").split("~")))
    assert code in [problem.code for problem in found]
    assert all(problem.repair for problem in found)


def test_questions_of_others():
    (first, second, third), problems = read_276((OTHERS / "demo-file/demo.276").read_bytes())
    assert problems == ()
    assert first.subscriber == Member("SMITH", "FRED", "123456789A", date(1930, 12, 10), "M")
    assert (first.patient_control_number, first.charge_cents) == ("SM123456", 851388)
    assert (first.service_date, first.last_service_date) == (date(2005, 8, 31), date(2005, 9, 6))
    assert (second.trace_number, second.provider.name) == ("ABCXYZ2", "HOME HOSPITAL")
    assert third.dependent == Member("MANN", "JOSEPH", "", date(1995, 11, 1), "M")
    assert third.subscriber == Member("MANN", "JOHN", "345678901")
    assert [(line.code, line.charge_cents) for line in third.lines] == [("99203", 15000)]
    (ours,), problems = read_276((FILES / "276.edi").read_bytes())
    assert problems == ()
    assert ours.lines[0].line_control_number == "GT-0001-1"


def test_answers_of_others():
    (first, second, third), problems = read_277((OTHERS / "demo-file/demo.277").read_bytes())
    assert problems == ()
    assert first.statuses == (Status("P3", "317"),)
    assert (first.trace_number, first.payer_claim_number) == ("ABCXYZ1", "05347006051")
    assert [(r.qualifier, r.value) for r in first.references] == [("BLT", "111")]
    assert second.information == (
        StatusInformation((Status("F0", "3"),), date(2005, 9, 15), 759900, 759900),
    )
    assert third.dependent == Member("MANN", "JOSEPH")
    assert third.statuses == (Status("F2", "88", "QC"),)
    assert third.lines[0].information[0].statuses == (Status("F2", "88", "QC"),)
    assert (third.lines[0].paid_cents, third.lines[0].service_date) == (0, date(2005, 5, 1))
    assert read_277ca((OTHERS / "demo-file/demo.277").read_bytes())[0] == ()


def test_refusals_above_the_claim():
    folder = OTHERS / "src/tests/resources/277_005010X212"
    (whole,), problems = read_277((folder / "information-receiver-level-status.277").read_bytes())
    assert problems == ()
    assert (whole.refused_at, whole.trace_number) == ("21", "ABC276XXX")
    assert whole.statuses == (Status("E0", "0"),)
    (claim, provider), problems = read_277((folder / "provider-level-status.277").read_bytes())
    assert problems == ()
    assert (claim.refused_at, provider.refused_at) == ("", "19")
    assert provider.statuses == (Status("E0", "24", "85"),)


@pytest.mark.parametrize("level", ["21", "19"])
def test_refusal_as_written_is_read_back(level):
    refused = replace(
        STATUS_RESPONSE,
        refused_at=level,
        subscriber=Member("", ""),
        patient_control_number="",
        payer_claim_number="",
        service_date=None,
    )
    (read,), problems = read_277(build_277(envelope(), refused, 1))
    assert problems == ()
    assert (read.refused_at, read.information) == (level, refused.information)


def test_answer_keeps_what_it_does_not_know():
    lines = lines_of(build_277(envelope(), STATUS_RESPONSE, 1))
    data = file_of([*lines[:-3], "ZZZ*1", "QTY*90*1", *lines[-3:]])
    (read,), problems = read_277(data)
    assert [segment.tag for segment in read.unread] == ["ZZZ", "QTY"]
    assert [problem.code for problem in problems] == ["segment_unknown", "segment_unknown"]
    assert read.statuses == (Status("F1", "65"),)


def test_a_broken_transaction_does_not_hide_the_next():
    first = build_277(envelope(), STATUS_RESPONSE, 1)
    second = build_277(envelope(2), STATUS_RESPONSE, 1)
    broken = first[: first.index(b"STC*")] + second
    answers, problems = read_277(broken)
    assert [(answer.complete, bool(answer.information)) for answer in answers] == [
        (False, False),
        (True, True),
    ]
    assert "se_missing" in [problem.code for problem in problems]


def test_more_statuses_than_fit_are_refused():
    many = StatusInformation((Status("F1", "1"),) * 4)
    with pytest.raises(X12WriteError, match="STC01"):
        build_277(envelope(), replace(STATUS_RESPONSE, information=(many,)), 1)
