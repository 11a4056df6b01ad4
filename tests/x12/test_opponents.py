"""Libraries that others wrote open what we write, and read the same figures from it."""

from contextlib import redirect_stdout
from dataclasses import replace
from decimal import Decimal
from io import StringIO

import oxedi
import pytest
from hypothesis import Phase, given, settings
from x12sdk.io import X12ModelReader

from groupclaim.x12 import (
    Adjustment,
    build_270,
    build_271,
    build_276,
    build_277,
    build_835,
    check_outbound,
    read_276,
    read_277,
    read_835,
    read_837p,
)
from tests.x12.examples import (
    CLAIM,
    FILES,
    FULL_CLAIM,
    INQUIRY,
    PAYMENT,
    RESPONSE,
    STATUS_INQUIRY,
    STATUS_RESPONSE,
    claim_file,
    envelope,
)
from tests.x12.strategies import payments

REVERSED = replace(
    PAYMENT.claims[0],
    status="22",
    charge_cents=-6500,
    paid_cents=-3765,
    patient_responsibility_cents=-1500,
    lines=(
        replace(
            PAYMENT.claims[0].lines[0],
            charge_cents=-6500,
            paid_cents=-3765,
            adjustments=(Adjustment("CO", "45", -1235), Adjustment("PR", "3", -1500)),
            allowed_cents=-5265,
        ),
    ),
)
DENIED = replace(
    PAYMENT.claims[0],
    control_number="GC0002A",
    status="4",
    paid_cents=0,
    patient_responsibility_cents=0,
    lines=(
        replace(
            PAYMENT.claims[0].lines[0],
            paid_cents=0,
            adjustments=(Adjustment("CO", "197", 6500),),
            allowed_cents=None,
        ),
    ),
)
MORE = replace(
    PAYMENT,
    trace_number="EFT0000002",
    claims=(REVERSED, PAYMENT.claims[0], DENIED),
    provider_adjustments=(),
    paid_cents=0,
    handling_code="H",
    method="NON",
    bank=None,
)


def models(data: bytes):
    with redirect_stdout(StringIO()), X12ModelReader(data.decode("ascii")) as reader:
        return list(reader.models())


def test_oxedi_opens_our_835_without_diagnostics():
    result = oxedi.parse(build_835(envelope(), [PAYMENT, MORE], 1))
    assert [(d.kind, d.path) for d in result.diagnostics] == []


def oxedi_rows(data: bytes, table: str) -> list[dict[str, str]]:
    """A table of oxedi as text, '' for what is absent; it has no other way out without Arrow."""
    _, head, *rows = oxedi.parse(data).tables[table].render().strip().split("\n")
    columns = [column.split(":")[0] for column in head.split(" | ")]
    return [
        dict(zip(columns, (cell.replace("∅", "") for cell in row.split(" | ")), strict=True))
        for row in rows
    ]


def cents(text: str) -> int:
    return int(Decimal(text or "0") * 100)


def compare(data: bytes) -> None:
    """oxedi and we read the same payments, claims, lines, adjustments and PLB."""
    found, _ = read_835(data)
    assert [
        (p.trace_number, p.payer_identifier, p.paid_cents, str(p.payment_date or ""), p.method)
        for p in found
    ] == [
        (r["trace_number"], r["payer_identifier"], cents(r["total_payment_amount"]),
         r["payment_date"], r["payment_method"])
        for r in oxedi_rows(data, "payments")
    ]  # fmt: skip
    claims = [claim for payment in found for claim in payment.claims]
    assert [
        (c.control_number, c.status, c.charge_cents, c.paid_cents, c.patient_responsibility_cents,
         c.payer_claim_number)
        for c in claims
    ] == [
        (r["claim_id"], r["claim_status"], cents(r["charge_amount"]), cents(r["payment_amount"]),
         cents(r["patient_responsibility"]), r["payer_control_number"])
        for r in oxedi_rows(data, "claims")
    ]  # fmt: skip
    lines = [(n, line) for n, claim in enumerate(claims) for line in claim.lines]
    assert [
        (n, line.code, line.charge_cents, line.paid_cents, line.allowed_cents or 0,
         line.line_control_number)
        for n, line in lines
    ] == [
        (int(r["claim"]), r["procedure_code"], cents(r["charge_amount"]),
         cents(r["payment_amount"]), cents(r["allowed_amount"]), r["line_item_control_number"])
        for r in oxedi_rows(data, "services")
    ]  # fmt: skip
    of_lines = [a for _, line in lines for a in line.adjustments]
    of_claims = [a for claim in claims for a in claim.adjustments]
    rows = oxedi_rows(data, "adjustments")
    for ours, theirs in (
        (of_claims, [r for r in rows if not r["service"]]),
        (of_lines, [r for r in rows if r["service"]]),
    ):
        assert [(a.group_code, a.reason_code, a.cents) for a in ours] == [
            (r["group_code"], r["reason_code"], cents(r["amount"])) for r in theirs
        ]
    assert [
        (a.reason_code, a.cents, a.reference) for p in found for a in p.provider_adjustments
    ] == [
        (r["reason_code"], cents(r["amount"]), r["reference_id"])
        for r in oxedi_rows(data, "provider_adjustments")
    ]


@pytest.mark.parametrize(
    "name",
    ["835_90853.edi", "others/emedny.835", "others/managed_care.835", "others/mult_loops.835"],
)
def test_oxedi_and_we_read_the_same_from_files(name):
    compare((FILES / name).read_bytes())


def test_oxedi_and_we_read_the_same_from_what_we_write():
    compare(build_835(envelope(), [PAYMENT, MORE], 1))


@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(payments())
def test_oxedi_and_we_read_the_same_from_invented_payments(payment):
    compare(build_835(envelope(), [payment], 1))


def found(model: object, name: str):
    """Every segment of an x12sdk model with this field name, in order."""
    if isinstance(model, dict):
        for key, value in model.items():
            if key == name and value:
                yield from value if isinstance(value, list) else [value]
            else:
                yield from found(value, name)
    elif isinstance(model, list):
        for value in model:
            yield from found(value, name)


def sdk(data: bytes, segment: str, *fields: str) -> list[tuple[object, ...]]:
    return [
        tuple(int(v * 100) if isinstance(v, Decimal) else v for v in map(one.get, fields))
        for model in models(data)
        for one in found(model.model_dump(), segment)
    ]


OTHERS = FILES.parent / "samples" / "files"


@pytest.mark.parametrize(
    "name",
    [
        "badx12-wheel-0.2.2/tests/files/edi/X221-tertiary-payments.edi",
        "badx12-wheel-0.2.2/tests/files/edi/X221-secondary-payment-with-higher-fee-schedule.edi",
        "badx12-wheel-0.2.2/tests/files/edi/X221-dollars-and-data-sent-separate.edi",
        "LinuxForHealth+x12/src/tests/resources/835_005010X221A1/managed-care.835",
    ],
)
def test_x12sdk_and_we_read_the_same_payments(name):
    data = (OTHERS / name).read_bytes()
    payments, _ = read_835(data)
    assert [
        (c.control_number, c.status, c.charge_cents, c.paid_cents, c.payer_claim_number)
        for payment in payments
        for c in payment.claims
    ] == sdk(
        data, "clp_segment", "patient_control_number", "claim_status_code",
        "total_claim_charge_amount", "claim_payment_amount", "payer_claim_control_number",
    )  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "LinuxForHealth+x12/src/tests/resources/837_005010X222A2/demo.example1.837",
        "badx12-wheel-0.2.2/tests/files/edi/X222-ppo-repriced-claim.edi",
        "badx12-wheel-0.2.2/tests/files/edi/X222-drug-administered-in-the-physician-office.edi",
    ],
)
def test_x12sdk_and_we_read_the_same_claims(name):
    data = (OTHERS / name).read_bytes()
    transactions, _ = read_837p(data)
    claims = [claim for transaction in transactions for claim in transaction.claims]
    assert [(c.control_number, c.charge_cents) for c in claims] == sdk(
        data, "clm_segment", "patient_control_number", "total_claim_charge_amount"
    )
    assert [(line.charge_cents,) for c in claims for line in c.lines] == sdk(
        data, "sv1_segment", "line_item_charge_amount"
    )


def test_x12sdk_and_we_read_the_same_status_questions_and_answers():
    data = (OTHERS / "LinuxForHealth+x12/demo-file/demo.276").read_bytes()
    questions, _ = read_276(data)
    assert [(q.trace_number,) for q in questions] == sdk(
        data, "trn_segment", "reference_identification_1"
    )
    assert [(q.charge_cents,) for q in questions if q.charge_cents is not None] == sdk(
        data, "amt_segment", "monetary_amount"
    )
    data = (OTHERS / "LinuxForHealth+x12/demo-file/demo.277").read_bytes()
    answers, _ = read_277(data)
    assert [
        (one.effective_date, one.charge_cents, one.paid_cents)
        for answer in answers
        for one in answer.information
    ] == [
        row
        for row in sdk(
            data, "stc_segment", "status_effective_date", "total_claim_charge_amount",
            "claim_payment_amount",
        )
        if row[1] is not None
    ]  # fmt: skip


def test_x12sdk_opens_our_files():
    assert len(models(claim_file())) == 1
    assert len(models(claim_file(FULL_CLAIM, CLAIM))) == 1
    assert len(models(build_270(envelope(), INQUIRY, 1))) == 1
    assert len(models(build_271(envelope(), RESPONSE, 1))) == 1
    assert len(models(build_835(envelope(), [PAYMENT], 1))) == 1
    assert len(models(build_276(envelope(), STATUS_INQUIRY, 1))) == 1
    assert len(models(build_277(envelope(), STATUS_RESPONSE, 1))) == 1


def test_x12sdk_reads_our_figures():
    (claim_model,) = models(claim_file())
    text = claim_model.x12()
    assert "CLM*GC0001A*65***11:B:1" in text
    assert "SV1*HC:90853*65*UN*1***1" in text


def test_pyx12_takes_what_x12sdk_takes():
    assert check_outbound(claim_file(CLAIM, FULL_CLAIM)) == ()
