"""270 and 271: the question as asked, and answers as payers really give them."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from groupclaim.x12 import (
    EligibilityResponse,
    Member,
    Period,
    Reference,
    Rejection,
    build_270,
    build_271,
    read_270,
    read_271,
)
from tests.x12.examples import FILES, INQUIRY, RESPONSE, envelope, file_of, lines_of

ANSWER = lines_of(build_271(envelope(), RESPONSE, 1))


def test_inquiry_as_written():
    assert lines_of(build_270(envelope(), INQUIRY, 7))[2:-2] == [
        "ST*270*0007*005010X279A1",
        "BHT*0022*13*ELIG0001*20260209*1700",
        "HL*1**20*1",
        "NM1*PR*2*INVENTED HEALTH PLAN*****PI*IHP01",
        "HL*2*1*21*1",
        "NM1*1P*2*INVENTED GROUP PRACTICE*****XX*1234567893",
        "HL*3*2*22*0",
        "TRN*1*TRACE0001*1751234567",
        "NM1*IL*1*INVENTED*TESTA****MI*MBR0000001",
        "DMG*D8*19850412*F",
        "DTP*291*D8*20260203",
        "EQ*30",
        "EQ*MH",
        "SE*14*0007",
    ]


def test_inquiry_by_procedure_as_written():
    asked = replace(INQUIRY, service_types=(), procedure_code="90853", modifiers=("HO",))
    assert "EQ**HC:90853:HO" in lines_of(build_270(envelope(), asked, 1))


def test_minimal_inquiries_are_read():
    (by_type,), problems = read_270((FILES / "270_MH.edi").read_bytes())
    assert problems == ()
    assert by_type.service_types == ("MH",)
    assert by_type.subscriber == Member("EXAMPLE", "PAT", "MBR0000001", date(1985, 4, 12), "F")
    assert (by_type.trace_number, by_type.payer.identifier) == ("ELIG0001", "BEHP1")
    assert by_type.service_date == date(2026, 11, 5)
    (by_code,), problems = read_270((FILES / "270_by_procedure_90853.edi").read_bytes())
    assert problems == ()
    assert (by_code.service_types, by_code.procedure_code) == ((), "90853")


def test_answer_as_written():
    assert ANSWER[8:-2] == [
        "HL*3*2*22*0",
        "TRN*2*TRACE0001*1751234567",
        "NM1*IL*1*INVENTED*TESTA****MI*MBR0000007",
        "DMG*D8*19850412*F",
        "INS*Y*18*001*25",
        "DTP*291*RD8*20260101-20261231",
        "EB*1*IND*30^MH*C1*GOLD******Y*Y",
        "EB*B*IND*MH***27*15",
        "EB*U**MH",
        "MSG*CALL THE ADMINISTRATOR",
        "LS*2120",
        "NM1*VN*2*CARVE OUT INC*****PI*CO1",
        "N3*12 INVENTED ST",
        "N4*FORT WORTH*TX*761020001",
        "PER*IC*DESK*TE*8005550101",
        "LE*2120",
        "SE*23*0001",
    ]


def test_answer_of_others():
    (answer,), problems = read_271((FILES / "others" / "demo.271").read_bytes())
    assert problems == ()
    assert [b.information for b in answer.benefits] == ["1", "L", "1", "B", "B"]
    assert answer.benefits[2].service_types == (
        "1", "33", "35", "47", "86", "88", "98", "AL", "MH", "UC",
    )  # fmt: skip
    assert [(b.cents, b.in_network, b.period) for b in answer.benefits[3:]] == [
        (1000, "Y", "27"), (3000, "N", "27"),
    ]  # fmt: skip
    assert answer.benefits[1].entities[0].name == "MARCUS JONES"
    assert answer.dates == (Period("346", date(2006, 1, 1), date(2006, 1, 1)),)
    assert (answer.trace_number, answer.subscriber.address.city) == ("93175-012547", "KANSAS CITY")
    (several,), problems = read_271((FILES / "others" / "multiple_eb.271").read_bytes())
    assert problems == ()
    assert [(b.information, b.cents) for b in several.benefits] == [("1", None), ("B", 500)]
    assert several.benefits[1].dates[0].qualifier == "291"


def with_segments(*segments: str) -> EligibilityResponse:
    """The answer read from a file with these segments instead of its benefits."""
    head = ANSWER[: next(n for n, line in enumerate(ANSWER) if line.startswith("EB*"))]
    (answer,), _ = read_271(file_of([*head, *segments, *ANSWER[-3:]]))
    return answer


def test_every_element_of_a_benefit():
    (benefit,) = with_segments(
        "EB*F*IND*MH^A6*QM*PLAN*29*-12.34*.2*VS*20*U*W*HC:90853:HQ:95",
        "HSD*VS*30*DA*2*27*1",
        "REF*18*PLAN1",
        "DTP*348*D8*20260101",
        "AAA*N**56*C",
        "MSG*FIRST",
        "MSG*SECOND",
    ).benefits
    assert (benefit.information, benefit.coverage_level, benefit.service_types) == (
        "F", "IND", ("MH", "A6"),
    )  # fmt: skip
    assert (benefit.insurance_type, benefit.plan, benefit.period) == ("QM", "PLAN", "29")
    assert (benefit.cents, benefit.percent) == (-1234, Decimal("0.2"))
    assert (benefit.quantity_qualifier, benefit.quantity) == ("VS", 20)
    assert (benefit.authorization, benefit.in_network) == ("U", "W")
    assert (benefit.procedure_code, benefit.modifiers) == ("90853", ("HQ", "95"))
    (delivery,) = benefit.deliveries
    assert (delivery.quantity, delivery.unit, delivery.sample, delivery.period) == (
        30,
        "DA",
        2,
        "27",
    )
    assert benefit.references == (Reference("18", "PLAN1"),)
    assert benefit.dates == (Period("348", date(2026, 1, 1), date(2026, 1, 1)),)
    assert benefit.rejections == (Rejection("EB", "56", "C"),)
    assert benefit.messages == ("FIRST", "SECOND")


@pytest.mark.parametrize(
    ("level", "after"),
    [("20", "NM1*PR"), ("21", "NM1*1P"), ("22", "NM1*IL")],
)
def test_rejections_at_every_level(level, after):
    lines = [line for line in ANSWER if not line.startswith(("EB", "MSG", "L", "N3", "N4", "PER"))]
    at = next(n for n, line in enumerate(lines) if line.startswith(after))
    lines.insert(at + 1, "AAA*N**75*C")
    lines = [line for line in lines if not line.startswith(("EB", "DTP"))]
    (answer,), problems = read_271(file_of(lines))
    assert problems == ()
    assert answer.rejections == (Rejection(level, "75", "C"),)
    assert answer.benefits == ()


def test_rejected_payer_without_any_person():
    lines = [*ANSWER[:6], "AAA*Y**42*R", *ANSWER[-3:]]
    (answer,), problems = read_271(file_of(lines))
    assert problems == ()
    assert (answer.rejections, answer.subscriber) == (
        (Rejection("20", "42", "R", "Y"),), Member("", ""),
    )  # fmt: skip


def test_two_members_in_one_answer():
    person = ANSWER[ANSWER.index("HL*3*2*22*0") : -3]
    second = "~".join(person)
    for old, new in (("HL*3*2", "HL*4*2"), ("TRACE0001", "TRACE0002"), ("*30^MH*", "*98*")):
        second = second.replace(old, new)
    answers, problems = read_271(file_of([*ANSWER[:-3], *second.split("~"), *ANSWER[-3:]]))
    assert problems == ()
    assert [a.trace_number for a in answers] == ["TRACE0001", "TRACE0002"]
    assert [a.benefits[0].service_types for a in answers] == [("30", "MH"), ("98",)]


def test_dependent_answer_names_both():
    answer = replace(RESPONSE, dependent=Member("INVENTED", "CHILD", birth_date=date(2012, 1, 3)))
    (read,), problems = read_271(build_271(envelope(), answer, 1))
    assert problems == ()
    assert (read.subscriber.first_name, read.dependent.first_name) == ("TESTA", "CHILD")
    assert len(read.benefits) == 3


def test_trace_of_a_clearinghouse_does_not_hide_ours():
    lines = list(ANSWER)
    lines.insert(lines.index("TRN*2*TRACE0001*1751234567"), "TRN*1*CLEAR99*9CLEARING1")
    (answer,), _ = read_271(file_of(lines))
    assert answer.trace_number == "TRACE0001"


def test_unknown_is_kept_and_reported():
    lines = [*ANSWER[:-3], "ZZZ*1", "III*ZZ*11", *ANSWER[-3:]]
    (answer,), problems = read_271(file_of(lines))
    assert [p.code for p in problems] == ["segment_unknown"]
    assert [s.tag for s in answer.unread] == ["ZZZ", "III"]
    assert len(answer.benefits) == 3


def test_codes_are_kept_as_they_are():
    (benefit,) = with_segments("EB*QQ*XXX*??*ZZ*****77*x*7*8*IV:1").benefits
    assert (benefit.information, benefit.service_types, benefit.authorization) == (
        "QQ", ("??",), "7",
    )  # fmt: skip
    assert benefit.quantity is None


def test_personal_data_stays_out_of_repr():
    text = repr(INQUIRY) + repr(RESPONSE)
    assert not any(secret in text for secret in ("TESTA", "MBR0000001", "1985", "CALL THE"))
