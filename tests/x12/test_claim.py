"""The 837P: what is written, byte for byte where it matters, and what is read back."""

from dataclasses import replace
from datetime import date

import pytest

from groupclaim.x12 import X12WriteError, build_837p, read_837p
from tests.x12.examples import (
    BILLING,
    CLAIM,
    FILES,
    FULL_CLAIM,
    LINE,
    RECEIVER,
    SUBMITTER,
    claim_file,
    envelope,
    file_of,
    lines_of,
)


def test_claim_as_written():
    assert lines_of(claim_file()) == [
        "ISA*00*          *00*          *ZZ*GROUPCLAIM01   *ZZ*CLEARINGHOUSE1 *260209*1700*^*00501"
        "*000000001*0*T*:",
        "GS*HC*GROUPCLAIM01*CLEARINGHOUSE1*20260209*1700*1*X*005010X222A1",
        "ST*837*0001*005010X222A1",
        "BHT*0019*00*BATCH0001*20260209*1700*CH",
        "NM1*41*2*INVENTED GROUP PRACTICE*****46*GC0001",
        "PER*IC*BILLING DESK*TE*8175550100",
        "NM1*40*2*INVENTED CLEARINGHOUSE*****46*CLEAR01",
        "HL*1**20*1",
        "PRV*BI*PXC*251S00000X",
        "NM1*85*2*INVENTED GROUP PRACTICE*****XX*1234567893",
        "N3*12 INVENTED ST",
        "N4*FORT WORTH*TX*761020001",
        "REF*EI*751234567",
        "HL*2*1*22*0",
        "SBR*P*18*GRP100******CI",
        "NM1*IL*1*INVENTED*TESTA****MI*MBR0000001",
        "N3*12 INVENTED ST",
        "N4*FORT WORTH*TX*761020001",
        "DMG*D8*19850412*F",
        "NM1*PR*2*INVENTED HEALTH PLAN*****PI*IHP01",
        "CLM*GC0001A*65***11:B:1*Y*A*Y*Y",
        "HI*ABK:F331",
        "NM1*82*1*PLACEHOLDER*SAM****XX*1987654328",
        "PRV*PE*PXC*103TC0700X",
        "LX*1",
        "SV1*HC:90853*65*UN*1***1",
        "DTP*472*D8*20260203",
        "REF*6R*GC0001A-1",
        "SE*27*0001",
        "GE*1*1",
        "IEA*1*000000001",
    ]


def test_full_claim_as_written():
    lines = lines_of(claim_file(FULL_CLAIM))
    assert lines[13:-3] == [
        "HL*2*1*22*1",
        "SBR*S********MC",
        "NM1*IL*1*INVENTED*PARENT****MI*MBR0000002",
        "NM1*PR*2*SECOND PLAN*****PI*SEC01",
        "HL*3*2*23*0",
        "PAT*19",
        "NM1*QC*1*INVENTED*CHILD",
        "N3*12 INVENTED ST",
        "N4*FORT WORTH*TX*761020001",
        "DMG*D8*20120103*M",
        "CLM*GC0002B*125.5***10:B:7*Y*A*Y*Y***********7",
        "PWK*OZ*EL***AC*ATT1",
        "AMT*F5*15",
        "REF*9F*REFERRAL1",
        "REF*G1*AUTH0001",
        "REF*F8*PCN0001",
        "NTE*ADD*CORRECTED MODIFIER",
        "HI*ABK:F331*ABF:F4310",
        "NM1*DN*1*DOCTOR*ANN****XX*1234567893",
        "NM1*82*1*PLACEHOLDER*SAM****XX*1987654328",
        "PRV*PE*PXC*103TC0700X",
        "NM1*77*2*INVENTED ROOM*****XX*1234567893",
        "N3*12 INVENTED ST",
        "N4*FORT WORTH*TX*761020001",
        "NM1*DQ*1*SENIOR*LEE****XX*1234567893",
        "SBR*P*18*GRP1******CI",
        "CAS*OA*94*1*1",
        "AMT*D*39",
        "AMT*A8*0",
        "AMT*EAF*15",
        "OI***Y***Y",
        "NM1*IL*1*INVENTED*PARENT****MI*MBR0000009",
        "NM1*PR*2*FIRST PLAN*****PI*IHP01",
        "DTP*573*D8*20260205",
        "REF*F8*FIRST1",
        "LX*1",
        "SV1*HC:90853:HO:95*65*UN*1***1:2",
        "DTP*472*D8*20260203",
        "REF*G1*AUTHLINE1",
        "REF*6R*GC0002B-1",
        "NTE*ADD*SECOND SESSION OF THE DAY",
        "NM1*82*1*OTHER*KIM****XX*1245319599",
        "PRV*PE*PXC*1041C0700X",
        "SVD*IHP01*40*HC:90853:HO**1",
        "CAS*CO*45*10",
        "CAS*PR*3*15*1",
        "DTP*573*D8*20260205",
        "AMT*EAF*15",
        "LX*2",
        "SV1*HC:90785*60.5*UN*1*11**1",
        "DTP*472*D8*20260203",
        "REF*6R*GC0002B-2",
    ]


def test_same_arguments_same_bytes():
    assert claim_file(CLAIM, FULL_CLAIM) == claim_file(CLAIM, FULL_CLAIM)


def test_minimal_sample_is_read():
    (transaction,), problems = read_837p((FILES / "837P_90853.edi").read_bytes())
    assert problems == ()
    assert transaction.complete
    assert (transaction.batch_reference, transaction.control_number) == ("0001", "0001")
    assert transaction.submitter.contact_phone == "6145550100"
    (group,) = transaction.billing_groups
    assert (group.billing_provider.npi, group.billing_provider.tax_id) == (
        "1234567893", "311234567",
    )  # fmt: skip
    (claim,) = group.claims
    assert (claim.control_number, claim.charge_cents, claim.place_of_service, claim.frequency) == (
        "GT-0001", 6500, "11", "1",
    )  # fmt: skip
    assert (claim.subscriber.member_id, claim.subscriber.birth_date) == (
        "MBR0000001", date(1985, 4, 12),
    )  # fmt: skip
    assert (claim.payer.payer_id, claim.payer.filing_indicator) == ("BEHP1", "CI")
    assert claim.diagnoses == ("F331",)
    assert (claim.rendering.npi, claim.rendering.taxonomy) == ("1987654328", "103T00000X")
    assert claim.lines[0].line_control_number == "GT-0001-1"
    assert transaction.unread == () == claim.unread


def test_file_of_others_is_read():
    data = (FILES / "others" / "moov.837p").read_bytes()
    (transaction,), _ = read_837p(data)
    assert len(transaction.claims) == 8
    assert sum(c.charge_cents for c in transaction.claims) == sum(
        line.charge_cents for c in transaction.claims for line in c.lines
    )
    # What has no field of its own is kept, and so is what follows it.
    assert [s.tag for s in transaction.unread][:3] == ["NM1", "N3", "N4"]
    assert transaction.claims[0].referring.last_name == "SMITH"


def test_text_is_made_writable_and_identifiers_are_refused():
    accented = replace(
        CLAIM, subscriber=replace(CLAIM.subscriber, last_name="Núñez*~:^\n", first_name="Zoë")
    )
    assert "NM1*IL*1*NUNEZ*ZOE****MI*MBR0000001" in lines_of(claim_file(accented))
    bad = replace(
        CLAIM,
        control_number="GC*1",
        subscriber=replace(CLAIM.subscriber, member_id="M~1"),
        diagnoses=("F33:1",),
        lines=(replace(LINE, line_control_number="É"),),
    )
    with pytest.raises(X12WriteError) as caught:
        claim_file(bad)
    assert [problem.split()[0] for problem in caught.value.problems] == [
        "NM109", "CLM01", "HI01-2", "REF02",
    ]  # fmt: skip
    assert not any(text in str(caught.value) for text in ("GC*1", "M~1", "F33", "É"))


def test_number_out_of_range_is_refused():
    with pytest.raises(X12WriteError, match="ST02"):
        build_837p(envelope(), SUBMITTER, RECEIVER, BILLING, [CLAIM], 0, "B")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("SV1*HC:90853*65*", "SV1*HC:90853*6X*", "amount_invalid"),
        ("DMG*D8*19850412*F", "DMG*D8*19851312*F", "date_invalid"),
        ("DTP*472*D8*20260203", "DTP*472*D8*2026", "date_invalid"),
        ("SV1*HC:90853*65*UN*1***1", "SV1*HC:90853*65*UN*1***A", "number_invalid"),
        ("SV1*HC:90853*65*UN*1", "SV1*HC:90853*65*UN*one", "number_invalid"),
        ("SV1*HC:90853", "SV1*90853", "procedure_unreadable"),
        ("LX*1", "QQQ*1", "segment_unknown"),
    ],
)
def test_reader_reports_and_goes_on(old, new, code):
    lines = lines_of(claim_file(CLAIM, FULL_CLAIM))
    lines = [line.replace(old, new) for line in lines]
    (transaction,), problems = read_837p(file_of(lines))
    assert code in {p.code for p in problems}
    assert [c.control_number for c in transaction.claims] == ["GC0001A", "GC0002B"]


def test_institutional_line_keeps_charge_and_code():
    lines = [line.replace("SV1*HC:90853*65*UN*1***1", "SV2*0900*HC:90853*65*UN*1")
             for line in lines_of(claim_file())]  # fmt: skip
    (transaction,), problems = read_837p(file_of(lines))
    assert problems == ()
    (line,) = transaction.claims[0].lines
    assert (line.code, line.charge_cents, [s.tag for s in line.unread]) == ("90853", 6500, ["SV2"])


def test_personal_data_stays_out_of_repr():
    text = repr(CLAIM) + repr(FULL_CLAIM) + repr(BILLING)
    for secret in ("TESTA", "PARENT", "CHILD", "MBR0000001", "1985", "INVENTED ST", "751234567"):
        assert secret not in text
