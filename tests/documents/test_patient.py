"""Papers for patients: right amounts, readable aloud, and data that is never markup."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pypdf
import pytest

from groupclaim.documents.patient import (
    Addressee,
    CardNotice,
    Estimate,
    Letterhead,
    Rendering,
    Statement,
    StatementLine,
    Superbill,
    SuperbillLine,
    card_notice_pdf,
    estimate_pdf,
    statement_pdf,
    superbill_pdf,
)
from groupclaim.model.money import Cents

AT = datetime(2026, 4, 1, 12, tzinfo=UTC)
PRACTICE = Letterhead(
    name="Invented Practice",
    address=("1 Elsewhere Lane", "Austin, TX 78701-0001"),
    phone="(512) 555-0142",
    npi="1999900107",
    tax_id="00-9990001",
)
HOSTILE = '#panic() *x* $ \\ ]) "quoted" <label> @ref /* */'


def someone(name: str = "Testa Invented") -> Addressee:
    return Addressee(
        name=name, address=("9 Nowhere", "Austin, TX 78702"), birth_date=date(1951, 4, 12)
    )


def line(day: int = 3) -> StatementLine:
    # 60.00 charged: 23.66 by insurance, 30.31 taken off, 6.03 the patient's, of which 5.00 paid.
    return StatementLine(
        service_date=date(2026, 2, day),
        service="Group therapy",
        charge=Cents(6000),
        insurance_paid=Cents(2366),
        adjustments=Cents(3031),
        share=Cents(603),
        patient_paid=Cents(500),
        balance=Cents(103),
    )


def statement(**changes: Any) -> Statement:
    values: dict[str, Any] = {
        "practice": PRACTICE,
        "patient": someone(),
        "account": "pabc",
        "issued_on": date(2026, 4, 1),
        "due_on": date(2026, 5, 1),
        "lines": (line(3), line(10)),
        "pending": 2,
        "dispute_cents": Cents(40000),
        "dispute_days": 120,
    }
    return Statement(**values | changes)


def superbill(**changes: Any) -> Superbill:
    values: dict[str, Any] = {
        "practice": PRACTICE,
        "patient": someone(),
        "member_id": "ZQ1",
        "payer": "First Invented",
        "provider": Rendering(
            name="Thespia Concocted", credential="psychologist", licence="TX 0", npi="1999900214"
        ),
        "issued_on": date(2026, 4, 1),
        "lines": (
            SuperbillLine(
                service_date=date(2026, 2, 3),
                code="90853",
                modifiers=("95",),
                place_of_service="10",
                diagnoses=("F33.1", "F41.1"),
                units=1,
                fee=Cents(6000),
            ),
        ),
        "paid": Cents(2500),
    }
    return Superbill(**values | changes)


def estimate(**changes: Any) -> Estimate:
    values: dict[str, Any] = {
        "practice": PRACTICE,
        "patient": someone(),
        "provider": Rendering(
            name="Thespia Concocted", credential="psychologist", licence="", npi="1999900214"
        ),
        "place": ("Invented Austin", "1 Elsewhere Lane"),
        "code": "90853",
        "diagnoses": ("F33.1",),
        "fee": Cents(6000),
        "sessions": 12,
        "first": date(2026, 4, 7),
        "last": date(2026, 6, 23),
        "issued_on": date(2026, 4, 1),
        "dispute_cents": Cents(40000),
        "dispute_days": 120,
        "dispute_fee": Cents(2500),
    }
    return Estimate(**values | changes)


def card_notice(**changes: Any) -> CardNotice:
    values: dict[str, Any] = {
        "practice": PRACTICE,
        "patient": someone(),
        "account": "pabc",
        "issued_on": date(2026, 4, 1),
        "service_date": date(2026, 2, 3),
        "service": "Group therapy",
        "amount": Cents(603),
        "charge_on": date(2026, 4, 14),
    }
    return CardNotice(**values | changes)


def text(pdf: bytes) -> str:
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text().split()) for page in pages)


def test_a_statement_says_what_is_owed_by_when_and_what_is_still_with_the_insurance() -> None:
    said = text(statement_pdf(statement(), AT))
    assert "You owe $2.06" in said
    assert "Please pay by 05/01/2026" in said
    assert "$60.00 $23.66 $30.31 $6.03 $5.00 $1.03" in said
    assert "2 more sessions are still with your insurance" in said
    assert "(512) 555-0142" in said
    assert "dispute it" not in said  # that is for bills without insurance
    assert "$400.00 or more above" in text(statement_pdf(statement(self_pay=True), AT))


def test_a_statement_may_owe_the_patient_or_nothing() -> None:
    owed = line().model_copy(update={"balance": Cents(-1500)})
    assert "We owe you $15.00" in text(statement_pdf(statement(lines=(owed,)), AT))
    assert "Nothing is due." in text(statement_pdf(statement(lines=(), pending=0), AT))


def test_a_superbill_holds_what_an_insurer_asks_for() -> None:
    said = text(superbill_pdf(superbill(), AT))
    for wanted in (
        "Testa Invented", "04/12/1951", "ZQ1", "Thespia Concocted, psychologist", "TX 0",
        "1999900214", "00-9990001", "1 Elsewhere Lane", "(512) 555-0142", "02/03/2026", "90853",
        "95", "10", "F33.1, F41.1", "$60.00", "$25.00", "Signature",
    ):  # fmt: skip
        assert wanted in said, wanted


def test_a_card_notice_names_amount_and_day_and_how_to_change_it() -> None:
    said = text(card_notice_pdf(card_notice(), AT))
    for wanted in (
        "$6.03",
        "Charged on 04/14/2026",
        "Your insurance has decided",
        "(512) 555-0142",
    ):
        assert wanted in said, wanted
    alone = text(card_notice_pdf(card_notice(self_pay=True), AT))
    assert "You pay for your sessions yourself" in alone
    assert "insurance" not in alone


def test_an_estimate_multiplies_and_says_how_a_bill_above_it_is_disputed() -> None:
    said = text(estimate_pdf(estimate(), AT))
    assert "Expected in all: $720.00" in said  # 12 sessions at 60.00
    assert "$400.00 or more above" in said
    assert "within 120 calendar days" in said
    assert "a fee of $25.00" in said
    assert "12 sessions from 04/07/2026 to 06/23/2026" in said


@pytest.mark.parametrize(
    "pdf",
    [
        statement_pdf(statement(), AT),
        superbill_pdf(superbill(), AT),
        estimate_pdf(estimate(), AT),
        card_notice_pdf(card_notice(), AT),
    ],
    ids=["statement", "superbill", "estimate", "card_notice"],
)
def test_each_is_tagged_for_screen_readers_in_english_with_a_title(pdf: bytes) -> None:
    read = pypdf.PdfReader(io.BytesIO(pdf))
    root = read.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    assert root["/StructTreeRoot"] is not None
    assert read.metadata is not None
    assert read.metadata.title
    tags = set(_tags(root["/StructTreeRoot"]))
    assert {"/H1", "/H2", "/Table", "/TD"} <= tags
    # The notice of a card has no rows of sessions, only facts beside their names.
    assert ("/TH" in tags) is ("Your card" not in read.metadata.title)


def _tags(element: Any) -> Iterator[str]:
    """The structure types of a tagged PDF, as a screen reader walks them."""
    element = element.get_object()
    if isinstance(element, list):
        for child in element:
            yield from _tags(child)
    elif isinstance(element, dict):
        if "/S" in element:
            yield str(element["/S"])
        if "/K" in element:
            yield from _tags(element["/K"])


@pytest.mark.parametrize("made", ["statement", "superbill", "estimate"])
def test_data_that_looks_like_markup_is_shown_as_it_stands(made: str) -> None:
    pdf = {
        "statement": lambda: statement_pdf(statement(patient=someone(HOSTILE)), AT),
        "superbill": lambda: superbill_pdf(superbill(patient=someone(HOSTILE)), AT),
        "estimate": lambda: estimate_pdf(estimate(patient=someone(HOSTILE)), AT),
    }[made]()
    assert HOSTILE in text(pdf)


def test_a_statement_of_a_thousand_sessions_is_made_within_two_seconds() -> None:
    statement_pdf(statement(), AT)  # the compiler is there
    many = statement(lines=tuple(line(3 + number % 25) for number in range(1000)))
    begun = time.process_time()
    pdf = statement_pdf(many, AT)
    assert time.process_time() - begun < 2
    assert "You owe $1030.00" in text(pdf)
