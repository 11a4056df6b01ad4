"""The 835: what it says, whether it adds up, and what is wrong with it."""

import io
from dataclasses import replace
from datetime import date

import pytest

from groupclaim.x12 import (
    Adjustment,
    BankTransfer,
    ClaimPayment,
    Difference,
    LinePayment,
    Period,
    Person,
    Problems,
    Provider,
    ProviderAdjustment,
    Reference,
    balance,
    build_835,
    read_835,
    stream_835,
)
from tests.x12.examples import FILES, PAYMENT, envelope, file_of, lines_of

BASE = lines_of(build_835(envelope(), [PAYMENT], 1))


def read(data: bytes):
    (payment,), problems = read_835(data)
    return payment, [p.code for p in problems]


def with_line(**changes):
    claim = PAYMENT.claims[0]
    return replace(PAYMENT, claims=(replace(claim, lines=(replace(claim.lines[0], **changes),)),))


def with_claim(**changes):
    return replace(PAYMENT, claims=(replace(PAYMENT.claims[0], **changes),))


def test_minimal_sample():
    payment, problems = read((FILES / "835_90853.edi").read_bytes())
    assert problems == []
    assert (payment.trace_number, payment.payer_identifier) == ("EFT0000000", "1512345678")
    assert (payment.paid_cents, payment.payment_date) == (3765, date(2026, 11, 9))
    assert (payment.method, payment.handling_code, payment.is_debit) == ("ACH", "I", False)
    assert payment.bank == BankTransfer("021000021", "123456789", "071000013", "987654321")
    assert payment.payee.identifier == "1234567893"
    assert payment.payee.references == (Reference("TJ", "311234567"),)
    (claim,) = payment.claims
    assert (claim.control_number, claim.status, claim.payer_claim_number) == (
        "GT-000000", "1", "PCN000000000",
    )  # fmt: skip
    assert (claim.charge_cents, claim.paid_cents, claim.patient_responsibility_cents) == (
        6500, 3765, 1500,
    )  # fmt: skip
    assert claim.patient == Person("MEMBER0", "PAT0", "MBR0000000")
    assert claim.rendering == Provider("OKAFOR", "DANA", "1987654328")
    assert claim.received_on == date(2026, 11, 5)
    (line,) = claim.lines
    assert (line.code, line.charge_cents, line.paid_cents, line.allowed_cents) == (
        "90853", 6500, 3765, 5265,
    )  # fmt: skip
    assert line.adjustments == (Adjustment("CO", "45", 1235), Adjustment("PR", "3", 1500))
    assert (line.line_control_number, line.service_date) == ("GT-000000-1", date(2026, 11, 3))
    assert balance(payment) == ()


def test_everything_the_guide_can_say_about_a_claim():
    lines = list(BASE)
    at = next(n for n, line in enumerate(lines) if line.startswith("CLP"))
    end = next(n for n, line in enumerate(lines) if line.startswith("PLB"))
    lines[at:end] = [
        "TS3*6543*11*20261231*1*65",
        "TS2*1*65",
        "CLP*GC0009A*22*-65*-37.65*-15*12*PCN9*11*1",
        "CAS*CO*45*-1**97*-2*1*144*.5**A1*1**B7*1**26*.5",
        "NM1*QC*1*INVENTED*TESTA****MI*M1",
        "NM1*IL*1*INVENTED*PARENT****MI*M2",
        "NM1*74*1*CORRECTED*NAME****C*M3",
        "NM1*82*1*PLACEHOLDER*SAM****XX*1987654328",
        "NM1*TT*2*NEXT PAYER*****PI*NP1",
        "NM1*PR*2*RIGHT PAYER*****PI*RP1",
        "NM1*GB*1*OTHER*INSURED",
        "MOA***MA01*MA07*N1*MA18*N2",
        "REF*F8*PCN8",
        "REF*G1*AUTH1",
        "DTM*036*20260131",
        "DTM*050*20260210",
        "DTM*232*20260203",
        "AMT*I*-1.23",
        "AMT*AU*-50",
        "SVC*HC:90834:59:HO*-65*-37.65*0900*-1*HC:90853:HQ*-2",
        "DTM*150*20260203",
        "DTM*151*20260204",
        "CAS*PR*1*-1*-1*2*-2**3*-3**66*-4**122*-5**204*-6",
        "CAS*OA*23*-6.35",
        "REF*6R*GC0009A-1",
        "REF*0K*POLICY1",
        "REF*HPI*1987654328",
        "AMT*B6*-52.65",
        "AMT*KH*-1",
        "LQ*HE*N130",
        "LQ*HE*M15",
    ]
    payment, problems = read(file_of(lines))
    assert problems == ["clp05_balance"]
    assert [s.tag for s in payment.unread] == ["TS3", "TS2"]
    (claim,) = payment.claims
    assert claim.is_reversal
    assert [(a.reason_code, a.cents, a.quantity) for a in claim.adjustments] == [
        ("45", -100, None), ("97", -200, 1), ("144", 50, None), ("A1", 100, None),
        ("B7", 100, None), ("26", 50, None),
    ]  # fmt: skip
    assert claim.corrected == Person("CORRECTED", "NAME", "M3", qualifier="C")
    assert (claim.subscriber.member_id, claim.patient.member_id) == ("M2", "M1")
    assert (claim.crossover_payer.name, claim.corrected_payer.identifier) == ("NEXT PAYER", "RP1")
    assert claim.remark_codes == ("MA01", "MA07", "N1", "MA18", "N2")
    assert claim.references == (Reference("F8", "PCN8"), Reference("G1", "AUTH1"))
    assert claim.coverage_expired_on == date(2026, 1, 31)
    assert claim.dates == (Period("232", date(2026, 2, 3), date(2026, 2, 3)),)
    assert [(a.qualifier, a.cents) for a in claim.amounts] == [("I", -123), ("AU", -5000)]
    assert [s.get(1) for s in claim.unread] == ["GB"]
    (line,) = claim.lines
    assert (line.code, line.modifiers, line.units) == ("90834", ("59", "HO"), -1)
    assert (line.submitted_code, line.submitted_modifiers, line.submitted_units) == (
        "90853", ("HQ",), -2,
    )  # fmt: skip
    assert (line.service_date, line.last_service_date) == (date(2026, 2, 3), date(2026, 2, 4))
    assert [a.reason_code for a in line.adjustments] == ["1", "2", "3", "66", "122", "204", "23"]
    assert line.references == (Reference("0K", "POLICY1"),)
    assert line.rendering.npi == "1987654328"
    assert (line.allowed_cents, line.revenue_code) == (-5265, "0900")
    assert line.remark_codes == ("N130", "M15")
    assert [(a.qualifier, a.cents) for a in line.amounts] == [("KH", -100)]


def test_provider_adjustments_of_all_pairs():
    lines = [line for line in BASE if not line.startswith("PLB")]
    lines[-3:-3] = [
        "PLB*1234567893*20261231*WO:PCN1*5*L6*-1*FB:X*.5*72:Y*-2*CS*3*J1*4",
        "PLB*1234567893*20261231*WO*1",
    ]
    payment, problems = read(file_of(lines))
    assert problems == []
    year_end = date(2026, 12, 31)
    assert payment.provider_adjustments == tuple(
        ProviderAdjustment("1234567893", code, cents, reference, year_end)
        for code, cents, reference in [
            ("WO", 500, "PCN1"), ("L6", -100, ""), ("FB", 50, "X"), ("72", -200, "Y"),
            ("CS", 300, ""), ("J1", 400, ""), ("WO", 100, ""),
        ]
    )  # fmt: skip


def test_balanced():
    assert balance(PAYMENT) == ()
    debit = replace(PAYMENT, claims=(), provider_adjustments=(), paid_cents=500, is_debit=True)
    assert [d.cents for d in balance(debit)] == [-500]


@pytest.mark.parametrize(
    ("payment", "expected"),
    [
        (replace(PAYMENT, paid_cents=3266),
         [Difference("payment", "payment", "BPR02 = sum(CLP04) - sum(PLB)", 3266, 3265)]),
        # A positive PLB reduces the payment: read with the wrong sign this would pass.
        (replace(PAYMENT, paid_cents=3765 + 500),
         [Difference("payment", "payment", "BPR02 = sum(CLP04) - sum(PLB)", 4265, 3265)]),
        (with_line(paid_cents=3764),
         [Difference("line", "claims[0].lines[0]", "SVC03 = SVC02 - CAS", 3764, 3765),
          Difference("claim_lines", "claims[0]", "CLP04 = sum(SVC03) - CAS of claim", 3765, 3764)]),
        (with_claim(charge_cents=6501),
         [Difference("claim", "claims[0]", "CLP04 = CLP03 - CAS of claim and lines", 3765, 3766),
          Difference("claim_lines", "claims[0]", "CLP03 = sum(SVC02)", 6501, 6500)]),
        (with_claim(paid_cents=3766),
         [Difference("claim", "claims[0]", "CLP04 = CLP03 - CAS of claim and lines", 3766, 3765),
          Difference("claim_lines", "claims[0]", "CLP04 = sum(SVC03) - CAS of claim", 3766, 3765),
          Difference("payment", "payment", "BPR02 = sum(CLP04) - sum(PLB)", 3265, 3266)]),
    ],
)  # fmt: skip
def test_each_difference_is_named(payment, expected):
    assert list(balance(payment)) == expected


def test_adjustments_at_claim_level_balance():
    claim = ClaimPayment(
        "X", "1", 10000, 4000, adjustments=(Adjustment("CO", "45", 1000),),
        lines=(LinePayment("90853", 10000, 5000, adjustments=(Adjustment("PR", "1", 5000),)),),
    )  # fmt: skip
    payment = replace(PAYMENT, claims=(claim,), provider_adjustments=(), paid_cents=4000)
    assert balance(payment) == ()


def replaced(old: str, new: str) -> bytes:
    text = "~".join(BASE)
    assert old in text
    return file_of(text.replace(old, new, 1).split("~"))


def with_base(old: str, new: str) -> bytes:
    text = "".join(line + "~" for line in BASE)
    assert old in text
    return text.replace(old, new, 1).encode("ascii")


def repeated() -> bytes:
    text = "".join(line + "~" for line in BASE)
    body = text[text.index("ST*") : text.index("GE*")]
    return text.replace(body, body + body).replace("GE*1*", "GE*2*").encode("ascii")


CLP = next(line for line in BASE if line.startswith("CLP"))
CLAIM_SEGMENTS = "~".join(BASE[BASE.index(CLP) : -4])
SE = BASE[-3]
# The 26 kinds that were tried on the libraries of this field, which caught 12 to 20 of them.
MUTATIONS = {
    "01 payment is not the sum": (replaced("BPR*I*32.65", "BPR*I*32.66"), "balance:payment", ""),
    "02 claim does not balance": (
        replaced("*1*65*37.65*15", "*1*66*37.65*15"), "balance:claim", ""),
    "03 claim is not the sum of its lines": (
        replaced("*1*65*37.65*15", "*1*65*37.64*15"), "balance:claim_lines", ""),
    "04 line does not balance": (
        replaced("CAS*CO*45*12.35", "CAS*CO*45*12.34"), "balance:line", ""),
    "05 group code ZZ": (replaced("CAS*CO*45", "CAS*ZZ*45"), "cas01_unknown", "CAS"),
    "06 reason code that cannot exist": (replaced("CAS*CO*45", "CAS*CO*9999"), "carc_form", "CAS"),
    "07 remark code that cannot exist": (replaced("HE*N130", "HE*N99999"), "rarc_form", "LQ"),
    "08 claim status 99": (replaced("GC0001A*1*", "GC0001A*99*"), "clp02_unknown", "CLP"),
    "09 trace missing": (replaced("~TRN*1*EFT0000001*1512345678", ""), "trn_missing", "ST"),
    "10 SE missing": (with_base(SE + "~", ""), "se_missing", "ST"),
    "11 SE01 wrong": (with_base(SE, "SE*99*0001"), "se01_count", "SE"),
    "12 ST02 twice": (repeated(), "st02_duplicate", "ST"),
    "13 date with month 13": (replaced("472*20260203", "472*20261303"), "date_invalid", "DTM"),
    "14 patient missing": (
        replaced("~NM1*QC*1*INVENTED*TESTA****MI*MBR0000001", ""), "patient_missing", "CLP"),
    "15 LX missing": (replaced("~LX*1", ""), "lx_missing", "CLP"),
    "16 provider adjustment XX": (replaced("*WO:", "*XX:"), "plb03_unknown", "PLB"),
    "17 provider adjustment without amount": (
        replaced("WO:PCN0000000*5", "WO:PCN0000000"), "amount_missing", "PLB"),
    "18 payee NPI wrong": (replaced("XX*1234567893", "XX*1234567890"), "npi_invalid", "N1"),
    "19 amount is no number": (replaced("*37.65**1", "*3X.65**1"), "amount_invalid", "SVC"),
    "20 cut in the middle": (with_base("IEA", "IEA")[:400], "unterminated_segment", ""),
    "21 IEA02 wrong": (with_base("IEA*1*000000001", "IEA*1*000000009"), "iea02_number", "IEA"),
    "22 claim number missing": (replaced("CLP*GC0001A*", "CLP**"), "clp01_missing", "CLP"),
    "23 patient share is not the sum": (
        replaced("*37.65*15*12", "*37.65*16*12"), "clp05_balance", "CLP"),
    "24 claim twice": (
        replaced(CLAIM_SEGMENTS, f"{CLAIM_SEGMENTS}~{CLAIM_SEGMENTS}"), "clp_duplicate", "CLP"),
    "25 unknown segment": (replaced("~LX*1", "~ZZZ*1~LX*1"), "segment_unknown", "ZZZ"),
    "26 other separator in one segment": (
        replaced("REF*6R*GC0001A-1", "REF|6R|GC0001A-1"), "segment_unknown", "REF"),
}  # fmt: skip


def test_base_is_clean():
    payment, problems = read(file_of(BASE))
    assert problems == []
    assert balance(payment) == ()
    assert replace(payment, sender_id="", receiver_id="", interchange_control_number="",
                   control_number="") == PAYMENT  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_is_caught_and_named(name):
    data, code, segment = MUTATIONS[name]
    payments, problems = read_835(data)
    found = [(p.code, p.segment) for p in problems]
    found += [(f"balance:{d.level}", "") for payment in payments for d in balance(payment)]
    assert (code, segment) in found


def test_unreadable_amount_is_told_with_its_payment():
    data = MUTATIONS["19 amount is no number"][0]
    payment, _ = read(data)
    assert [(p.code, p.element) for p in payment.problems] == [("amount_invalid", "SVC03")]
    assert payment.claims[0].lines[0].paid_cents == 0


def test_broken_payment_does_not_hide_the_next():
    body = BASE[2:-2]
    broken = [line for line in body if not line.startswith(("SE*", "BPR*"))]
    good = [line.replace("0001", "0002") if line[:2] in ("ST", "SE") else line for line in body]
    data = "".join(line + "~" for line in [*BASE[:2], *broken, *good, "GE*2*1", BASE[-1]]).encode()
    payments, problems = read_835(data)
    assert [p.complete for p in payments] == [False, True]
    assert [p.code for p in problems] == ["se_missing", "bpr_missing"]
    assert [p.code for p in payments[0].problems] == ["se_missing", "bpr_missing"]
    assert payments[1].problems == ()
    assert payments[1].claims == payments[0].claims


def test_personal_data_stays_out_of_repr():
    assert "TESTA" not in repr(PAYMENT)
    assert "MBR0000001" not in repr(PAYMENT)


def test_an_unreadable_amount_makes_the_whole_payment_untrustworthy():
    """Charge, payment and adjustments of the claim read as 0: it balances, and is worth nothing."""
    unread = replace(
        PAYMENT.claims[0], charge_cents=0, paid_cents=0, patient_responsibility_cents=0, lines=()
    )
    nothing = replace(PAYMENT, claims=(unread,), provider_adjustments=(), paid_cents=0)
    data = build_835(envelope(), [nothing], 1)
    (good,), _ = read_835(data)
    assert (balance(good), good.trustworthy, good.doubts) == ((), True, ())
    (bad,), _ = read_835(data.replace(b"*1*0*0*", b"*1*6O.00*0*"))
    assert balance(bad) == ()
    assert not bad.trustworthy
    assert [(doubt.code, doubt.element) for doubt in bad.doubts] == [("amount_invalid", "CLP03")]


def test_more_problems_than_are_listed_make_every_payment_untrustworthy():
    data = build_835(envelope(), [PAYMENT, PAYMENT], 1)
    first, second = data.split(b"ST*835*0002")
    noisy = first.replace(b"SVC*", b"ZZZ*1~" * 10_010 + b"SVC*", 1) + b"ST*835*0002" + second
    payments, problems = read_835(noisy)
    assert problems[-1].code == "too_many_problems"
    assert [payment.trustworthy for payment in payments] == [False, False]


class _Looked(Problems):
    """Problems that are found by their segment, not by going through all of them."""

    def __iter__(self):
        raise AssertionError("all problems of the file were gone through for one payment")


def test_a_file_of_many_broken_payments_takes_no_longer_for_each():
    """Twenty thousand of them, 1.5 MB, once took a minute and a half."""
    start = (FILES / "835_90853.edi").read_bytes()[:106]
    empty = b"GS*HP*S*R*20260101*1200*1*X*005010X221A1~ST*835*0001~XX*1~SE*3*0001~GE*1*1~"
    problems = _Looked()
    payments = list(stream_835(io.BytesIO(start + empty * 3), problems))
    assert [{p.code for p in payment.problems} for payment in payments] == [
        {"segment_unknown", "bpr_missing", "trn_missing", "n1_missing"}
    ] * 3
    few = _Looked(most=5)
    *_, last = stream_835(io.BytesIO(start + empty * 3), few)
    assert [p.code for p in last.problems] == ["too_many_problems"]
