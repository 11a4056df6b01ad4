"""278: the request as sent, and answers as reviewers really give them."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from groupclaim.x12 import (
    Decision,
    Delivery,
    Rejection,
    build_278_request,
    build_278_response,
    check_outbound,
    read_278_requests,
    read_278_responses,
)
from tests.x12.examples import (
    AUTHORIZATION_REQUEST,
    AUTHORIZATION_RESPONSE,
    FILES,
    INQUIRY,
    envelope,
    file_of,
    lines_of,
)

OTHERS = Path(__file__).parent / "samples" / "files" / "aurelianware+hipaa-attachments"
REQUEST = lines_of(build_278_request(envelope(), AUTHORIZATION_REQUEST, 1))
ANSWER = lines_of(build_278_response(envelope(), AUTHORIZATION_RESPONSE, 1))
MUTATIONS = {
    "reviewer": ("PI*IHP01", "PI*", "element_missing"),
    "requester NPI": ("XX*1234567893", "XX*1234567890", "npi_invalid"),
    "provider NPI": ("XX*1987654328", "XX*1987654329", "npi_invalid"),
    "member id": ("MI*MBR0000001", "MI*", "member_id_missing"),
    "event": ("HL*4*3*EV*1", "HL*4*3*23*1", "segment_missing"),
    "numbering": ("HL*5*4*SS*0", "HL*6*4*SS*0", "numbering_wrong"),
    "children": ("HL*4*3*EV*1", "HL*4*3*EV*0", "hl04_children"),
    "trace": ("TRN*1*TRACE0002*1751234567~", "", "segment_missing"),
    "originator": ("*1751234567", "*175123456", "element_length"),
    "request": ("UM*HS*I*A6*11:B~", "", "segment_missing"),
    "category": ("UM*HS*I", "UM*XX*I", "element_code"),
    "certification": ("UM*HS*I", "UM*HS*Q", "element_code"),
    "service type": ("UM*HS*I*A6", "UM*HS*I*", "element_missing"),
    "diagnosis with point": ("ABK:F331", "ABK:F33.1", "diagnosis_form"),
    "date": ("RD8*20260201-20260430", "RD8*20260201-20260431", "element_date"),
    "procedure": ("HC:90853", "HC:9X853", "procedure_form"),
    "units": ("UN*12", "UN*0", "units_not_positive"),
    "visits": ("HSD*VS*12", "HSD*VS*-1", "units_not_positive"),
    "order": ("HI*ABK:F331~HSD*VS*12~", "HSD*VS*12~HI*ABK:F331~", "segment_unexpected"),
    "beginning": ("BHT*0007*13", "BHT*0007*11", "element_code"),
}  # fmt: skip


def test_request_as_written():
    assert REQUEST[2:-2] == [
        "ST*278*0001*005010X217",
        "BHT*0007*13*AUTH0001*20260209*1700",
        "HL*1**20*1",
        "NM1*X3*2*INVENTED HEALTH PLAN*****PI*IHP01",
        "HL*2*1*21*1",
        "NM1*1P*2*INVENTED GROUP PRACTICE*****XX*1234567893",
        "PER*IC*BILLING DESK*TE*8175550100",
        "HL*3*2*22*1",
        "NM1*IL*1*INVENTED*TESTA****MI*MBR0000001",
        "DMG*D8*19850412*F",
        "HL*4*3*EV*1",
        "TRN*1*TRACE0002*1751234567",
        "UM*HS*I*A6*11:B",
        "DTP*AAH*RD8*20260201-20260430",
        "HI*ABK:F331",
        "HSD*VS*12",
        "NM1*SJ*1*PLACEHOLDER*SAM****XX*1987654328",
        "PRV*PE*PXC*103TC0700X",
        "HL*5*4*SS*0",
        "DTP*472*RD8*20260201-20260430",
        "SV1*HC:90853*65*UN*12",
        "SE*22*0001",
    ]


def test_request_passes_the_outbound_check():
    assert check_outbound(file_of(REQUEST)) == ()
    child = replace(AUTHORIZATION_REQUEST, dependent=INQUIRY.subscriber, services=())
    assert check_outbound(build_278_request(envelope(), child, 1)) == ()
    cancelled = replace(AUTHORIZATION_REQUEST, certification="3", authorization_number="AUTH777")
    data = build_278_request(envelope(), cancelled, 1)
    assert check_outbound(data) == ()
    assert b"BHT*0007*01*" in data


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_caught(name):
    old, new, code = MUTATIONS[name]
    text = "".join(line + "~" for line in REQUEST)
    assert old in text
    found = check_outbound(file_of(text.replace(old, new).rstrip("~").split("~")))
    assert code in [problem.code for problem in found]
    assert all(problem.repair for problem in found)


def test_an_answer_is_never_sent_by_us():
    assert [problem.code for problem in check_outbound(file_of(ANSWER))] != []


def test_answer_is_read():
    (read,), problems = read_278_responses(file_of(ANSWER))
    assert problems == ()
    assert read.decision == Decision("A6", "AUTH777")
    assert (read.first_day, read.last_day) == (date(2026, 2, 1), date(2026, 4, 30))
    assert read.deliveries == (Delivery("VS", 8),)
    assert [(s.code, s.units, s.decision) for s in read.services] == [
        ("90853", 8, Decision("A6", "AUTH777"))
    ]
    assert (read.is_final, read.trace_number, read.unread) == (True, "TRACE0002", ())
    assert read_278_requests(file_of(ANSWER)) == ((), ())


def test_pended_answer_says_that_more_follows():
    pended = replace(AUTHORIZATION_RESPONSE, decision=Decision("A4"), is_final=False, services=())
    (read,), _ = read_278_responses(build_278_response(envelope(), pended, 1))
    assert (read.decision, read.is_final) == (Decision("A4"), False)


def test_refused_requester_is_an_answer_without_decision():
    refused = replace(
        AUTHORIZATION_RESPONSE,
        decision=None,
        services=(),
        rejections=(Rejection("21", "50", "N"), Rejection("EV", "33", "C")),
    )
    (read,), problems = read_278_responses(build_278_response(envelope(), refused, 1))
    assert problems == ()
    assert read.decision is None
    assert read.rejections == refused.rejections


def test_answer_refused_before_any_event():
    cut = ANSWER.index("HL*3*2*22*1")
    lines = [*ANSWER[:cut], "AAA*N**50*N", *ANSWER[-3:]]
    (read,), problems = read_278_responses(file_of(lines))
    assert [problem.code for problem in problems] == ["event_missing"]
    assert read.decision is None
    assert Rejection("21", "50", "N") in [
        replace(rejection, level="21") for rejection in read.rejections
    ]


def test_traces_of_others_are_not_taken_for_ours():
    at = ANSWER.index("TRN*2*TRACE0002*1751234567")
    (read,), _ = read_278_responses(
        file_of([*ANSWER[:at], "TRN*1*THEIRS*9999999999", *ANSWER[at:]])
    )
    assert read.trace_number == "TRACE0002"
    assert [segment.get(2) for segment in read.unread] == ["THEIRS"]


def test_requests_and_answers_of_others():
    (ours,), problems = read_278_requests((FILES / "278_90853_x12.edi").read_bytes())
    assert problems == ()
    assert (ours.service_type, ours.place_of_service, ours.diagnoses) == ("A6", "11", ("F331",))
    assert (ours.services[0].code, ours.services[0].units) == ("90853", 12)
    data = (OTHERS / "test-x12-278-review-request.edi").read_bytes()
    (review,), problems = read_278_responses(data)
    assert review.decision == Decision("A1", "R", "A")
    assert review.trace_number == ""
    assert review.subscriber.member_id == "987654321"
    assert review.dates[0].first == date(2025, 9, 25)
    folder = OTHERS / "docs/examples/authorizations/request"
    for path in sorted(folder.glob("x217-*.edi")):
        requests, _ = read_278_requests(path.read_bytes())
        answers, _ = read_278_responses(path.read_bytes())
        assert len(requests) + len(answers) == 1


def test_an_inquiry_asks_for_the_request_of_its_trace_under_its_own_guide():
    inquiry = replace(AUTHORIZATION_REQUEST, is_inquiry=True)
    written = build_278_request(envelope(), inquiry, 1)
    assert check_outbound(written) == ()
    lines = lines_of(written)
    assert lines[2:4] == ["ST*278*0001*005010X215", "BHT*0007*28*AUTH0001*20260209*1700"]
    assert lines[1].endswith("*X*005010X215")
    (read,), problems = read_278_requests(written)
    assert (read.is_inquiry, read.trace_number, problems) == (True, "TRACE0002", ())
    (asked,), _ = read_278_requests(build_278_request(envelope(), AUTHORIZATION_REQUEST, 1))
    assert not asked.is_inquiry
