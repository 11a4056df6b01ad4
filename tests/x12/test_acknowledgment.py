"""TA1, 999 and 277CA: what became of what we sent."""

from dataclasses import replace
from datetime import date

import pytest

from groupclaim.x12 import (
    ClaimAcknowledgment,
    ClaimAcknowledgmentReport,
    GroupAcknowledgment,
    InterchangeAcknowledgment,
    LineAcknowledgment,
    Party,
    Person,
    ProviderAcknowledgment,
    Status,
    TransactionAcknowledgment,
    build_277ca,
    build_999,
    build_ta1,
    kinds,
    read_277ca,
    read_999,
    read_ta1,
)
from tests.x12.examples import FILES, SERVICE_DATE, envelope, file_of, lines_of

TA1 = InterchangeAcknowledgment("000000042", "260209", "1700", "R", "022")
REPORT = ClaimAcknowledgmentReport(
    reference="CA0001",
    source=Party("INVENTED HEALTH PLAN", "IHP01", qualifier="PI"),
    receiver=Party("INVENTED GROUP PRACTICE", "GC0001"),
    batch_reference="BATCH0001",
    providers=(
        ProviderAcknowledgment(
            Party("INVENTED GROUP PRACTICE", "1234567893", qualifier="XX"),
            (
                ClaimAcknowledgment(
                    "GC0001A", True, (Status("A2", "20"),), 6500, date(2026, 2, 10),
                    "PCN0000001", "CH1", Person("INVENTED", "TESTA", "MBR0000001"), SERVICE_DATE,
                ),
                ClaimAcknowledgment(
                    "GC0002A", False, (Status("A7", "164", "IL"),), 6500, date(2026, 2, 10),
                    patient=Person("INVENTED", "OTHER", "MBR0000002"), service_date=SERVICE_DATE,
                    lines=(LineAcknowledgment("90853", "GC0002A-1", (Status("A7", "454"),), 6500),),
                ),
            ),
        ),
    ),
    received_on=date(2026, 2, 9),
    processed_on=date(2026, 2, 10),
    statuses=(Status("A1", "20"),),
    accepted_count=1,
    rejected_count=1,
    accepted_cents=6500,
    rejected_cents=6500,
    total_cents=13000,
    source_trace="SRC1",
)  # fmt: skip
LINES = lines_of(build_277ca(envelope(), REPORT, 1))


def test_ta1_as_written():
    data = build_ta1(envelope(), [TA1])
    assert lines_of(data)[1:] == ["TA1*000000042*260209*1700*R*022", "IEA*0*000000001"]
    (interchange,), problems = kinds(data)
    assert problems == ()
    assert (interchange.interchange_acknowledgments, interchange.transactions) == (1, ())


def test_ta1_beside_a_999():
    group = GroupAcknowledgment("HC", "1", "A", included=1, received=1, accepted=1)
    data = build_999(envelope(), [group], 1, interchanges=[TA1])
    assert [t[:3] for t in lines_of(data)] == ["ISA", "TA1", "GS*", "ST*", "AK1", "AK9", "SE*",
                                               "GE*", "IEA"]  # fmt: skip
    assert [a.note_code for a in read_ta1(data)[0]] == ["022"]
    (interchange,), _ = kinds(data)
    assert (interchange.interchange_acknowledgments, len(interchange.transactions)) == (1, 1)


def test_ta1_with_an_unknown_code_is_kept_and_reported():
    data = file_of(["TA1*1*260209*1700*X*000" if line.startswith("TA1") else line
                    for line in lines_of(build_ta1(envelope(), [TA1]))])  # fmt: skip
    (ack,), problems = read_ta1(data)
    assert ack.code == "X"
    assert [p.code for p in problems] == ["ta104_unknown"]


def test_999_of_a_library():
    (accepted,), problems = read_999((FILES / "999_accepted.edi").read_bytes())
    assert problems == ()
    assert (accepted.group_control_number, accepted.status) == ("1", "A")
    assert accepted.transactions[0].accepted
    (rejected,), problems = read_999((FILES / "999_rejected.edi").read_bytes())
    assert problems == ()
    (transaction,) = rejected.transactions
    assert (transaction.status, transaction.error_codes, transaction.accepted) == (
        "R",
        ("5",),
        False,
    )
    (error,) = transaction.errors
    assert (error.segment, error.position, error.code) == ("HI", 21, "3")


def test_999_of_others_partly_accepted():
    (group,), problems = read_999((FILES / "others" / "simple.999").read_bytes())
    assert problems == ()
    assert (group.status, group.included, group.received, group.accepted) == ("P", 3, 3, 1)
    assert [t.status for t in group.transactions] == ["A", "R", "R"]
    first, second = group.transactions[1].errors[0], group.transactions[2].errors[0]
    assert (first.segment, first.position, first.code) == ("CLM", 22, "8")
    assert first.contexts == ("CLM01:123456789",)
    assert [(e.position, e.reference, e.code) for e in first.elements] == [(2, "782", "1")]
    assert second.contexts == ("SITUATIONAL TRIGGER", "CLM01:987654321")


def test_997_is_read_the_same_way():
    lines = lines_of((FILES / "999_rejected.edi").read_bytes().replace(b"\n", b""))
    old = [line.replace("ST*999", "ST*997").replace("IK", "AK") for line in lines]
    (group,), _ = read_999(file_of(old))
    assert [(t.status, t.errors[0].segment) for t in group.transactions] == [("R", "HI")]


@pytest.mark.parametrize(("drop", "code"), [("AK1", "ak1_missing"), ("AK9", "ak9_missing")])
def test_999_without_frame_is_reported(drop, code):
    lines = lines_of((FILES / "999_accepted.edi").read_bytes().replace(b"\n", b""))
    _, problems = read_999(file_of([line for line in lines if not line.startswith(drop)]))
    assert [p.code for p in problems] == [code]


def test_bad_value_of_a_999_stays_out_of_repr():
    transaction = TransactionAcknowledgment("837", "0001", "R")
    data = build_999(envelope(), [GroupAcknowledgment("HC", "1", "R", (transaction,))], 1)
    lines = lines_of(data)
    lines[5:5] = ["IK3*NM1*8**8", "IK4*3:2:1*1035*6*TESTA"]
    (group,), _ = read_999(file_of(lines))
    (element,) = group.transactions[0].errors[0].elements
    assert (element.position, element.component, element.repetition) == (3, 2, 1)
    assert element.bad_value == "TESTA"
    assert "TESTA" not in repr(group)


def test_277ca_as_written():
    assert LINES[2:-2] == [
        "ST*277*0001*005010X214",
        "BHT*0085*08*CA0001*20260209*1700*TH",
        "HL*1**20*1",
        "NM1*PR*2*INVENTED HEALTH PLAN*****PI*IHP01",
        "TRN*1*SRC1",
        "DTP*050*D8*20260209",
        "DTP*009*D8*20260210",
        "HL*2*1*21*1",
        "NM1*41*2*INVENTED GROUP PRACTICE*****46*GC0001",
        "TRN*2*BATCH0001",
        "STC*A1:20*20260210*WQ*130",
        "QTY*90*1",
        "QTY*AA*1",
        "AMT*YU*65",
        "AMT*YY*65",
        "HL*3*2*19*1",
        "NM1*85*2*INVENTED GROUP PRACTICE*****XX*1234567893",
        "HL*4*3*PT",
        "NM1*QC*1*INVENTED*TESTA****MI*MBR0000001",
        "TRN*2*GC0001A",
        "STC*A2:20*20260210*WQ*65",
        "REF*1K*PCN0000001",
        "REF*D9*CH1",
        "DTP*472*D8*20260203",
        "HL*5*3*PT",
        "NM1*QC*1*INVENTED*OTHER****MI*MBR0000002",
        "TRN*2*GC0002A",
        "STC*A7:164:IL*20260210*U*65",
        "DTP*472*D8*20260203",
        "SVC*HC:90853*65*****1",
        "STC*A7:454*20260210*U",
        "REF*FJ*GC0002A-1",
        "SE*33*0001",
    ]


def test_277ca_of_others():
    (report,), problems = read_277ca((FILES / "others" / "accepted.277ca").read_bytes())
    assert problems == ()
    assert (report.batch_reference, report.accepted, report.accepted_count) == (
        "000000674",
        True,
        1,
    )
    (claim,) = report.claims
    assert (claim.control_number, claim.accepted, claim.payer_claim_number) == (
        "5781", True, "1107000000014420",
    )  # fmt: skip
    assert (claim.statuses, claim.charge_cents) == ((Status("A2", "20"),), 12500)


def read_lines(lines):
    (report,), problems = read_277ca(file_of(lines))
    return report, [p.code for p in problems]


@pytest.mark.parametrize("qualifier", ["FJ", "6R"])
def test_line_control_number_with_either_qualifier(qualifier):
    report, problems = read_lines([line.replace("REF*FJ", f"REF*{qualifier}") for line in LINES])
    assert problems == []
    assert report.claims[1].lines[0].line_control_number == "GC0002A-1"


@pytest.mark.parametrize(
    ("status", "accepted"),
    [("STC*A2:20*20260210*WQ*65", True), ("STC*A7:164*20260210*U*65", False),
     ("STC*A2:20*20260210**65", True), ("STC*A3:21*20260210**65", False),
     ("STC*A8:1*20260210", False), ("STC*A0:16*20260210", True), ("STC*E1:1*20260210", False),
     ("STC*A2:20*20260210*WQ*65~STC*A6:125*20260210*U*65", False)],
)  # fmt: skip
def test_accepted_or_rejected(status, accepted):
    lines = []
    for line in LINES:
        lines += status.split("~") if line == "STC*A2:20*20260210*WQ*65" else [line]
    report, _ = read_lines(lines)
    assert report.claims[0].accepted is accepted


def test_claim_without_any_status_is_not_accepted():
    report, _ = read_lines([line for line in LINES if not line.startswith("STC*A2:20")])
    assert report.claims[0].control_number == "GC0001A"
    assert report.claims[0].accepted is False


def test_three_statuses_in_one_segment():
    lines = [line.replace("STC*A7:164:IL*20260210*U*65",
                          "STC*A7:164:IL*202602101200*U*65******A6:125:85*A8:1*FREE TEXT")
             for line in LINES]  # fmt: skip
    report, problems = read_lines(lines)
    assert problems == []
    claim = report.claims[1]
    assert claim.statuses == (
        Status("A7", "164", "IL"), Status("A6", "125", "85"), Status("A8", "1"),
    )  # fmt: skip
    assert (claim.effective_date, claim.message) == (date(2026, 2, 10), "FREE TEXT")
    assert "FREE TEXT" not in repr(claim)


def test_rejected_provider_and_batch():
    report, _ = read_lines([*LINES[:19], "TRN*1*0", "STC*A8:562:85*20260210*U*130", *LINES[-3:]])
    (provider,) = report.providers
    assert (provider.accepted, provider.claims, report.accepted) == (False, (), True)
    report, _ = read_lines([line.replace("STC*A1:20*20260210*WQ", "STC*A3:24*20260210*U")
                            for line in LINES])  # fmt: skip
    assert report.accepted is False


def test_two_claims_under_one_patient():
    second = ["TRN*2*GC0003A", "STC*A2:20*20260210*WQ*70"]
    at = LINES.index("HL*5*3*PT")
    report, problems = read_lines([*LINES[:at], *second, *LINES[at:]])
    assert problems == []
    assert [(c.control_number, c.charge_cents) for c in report.claims] == [
        ("GC0001A", 6500), ("GC0003A", 7000), ("GC0002A", 6500),
    ]  # fmt: skip
    assert report.claims[1].patient == report.claims[0].patient


def test_status_response_is_left_to_its_own_reader():
    data = "".join(line.replace("X214", "X212") + "~" for line in LINES).encode()
    assert read_277ca(data) == ((), ())
    (interchange,), _ = kinds(data)
    assert interchange.transactions[0].name == "277"
    (interchange,), _ = kinds("".join(line + "~" for line in LINES).encode())
    assert interchange.transactions[0].name == "277CA"


def test_claims_are_read_though_one_segment_is_unknown():
    report, problems = read_lines([*LINES[:19], "ZZZ*1", *LINES[19:]])
    assert problems == ["segment_unknown"]
    assert len(report.claims) == 2
    assert [s.tag for s in report.unread] == ["ZZZ"]


def test_incomplete_report_says_so():
    whole = "".join(line + "~" for line in LINES).encode()
    cut = whole[: whole.index(b"HL*5*")]
    (report,), problems = read_277ca(cut)
    assert not report.complete
    assert [c.control_number for c in report.claims] == ["GC0001A"]
    assert [p.code for p in problems] == ["se_missing", "ge_missing", "iea_missing"]
    assert replace(report, complete=True) != report
