"""Amounts, quantities, dates, names and NPIs, in and out."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groupclaim.x12.values import (
    amount_text,
    npi_is_valid,
    period_text,
    plain_text,
    quantity_text,
    read_cents,
    read_date,
    read_period,
    read_quantity,
    read_whole,
)


@pytest.mark.parametrize(
    ("text", "cents"),
    [("65", 6500), ("65.5", 6550), ("65.05", 6505), (".75", 75), ("-.75", -75), ("0", 0), ("-0", 0),
     ("1.230", 123), ("100.", 10000), ("00012", 1200)],
)  # fmt: skip
def test_amounts(text, cents):
    assert read_cents(text) == cents


@pytest.mark.parametrize(
    "text",
    ["", "-", ".", "1.005", "abc", "1e5", "1,000", "--1", "+1", "1 ", "NaN", "٣", "1" * 30, "1.2.3",
     "²"],
)  # fmt: skip
def test_what_is_no_amount(text):
    assert read_cents(text) is None


@pytest.mark.parametrize("sign", ["", "-"])
def test_what_no_ledger_could_add_up_is_no_amount(sign):
    assert read_cents(f"{sign}9999999999999.99") == int(f"{sign}999999999999999")
    for text in ("10000000000000", "10000000000000.00", "999999999999999999", "0" * 19):
        assert read_cents(sign + text) is None


@given(st.integers(-(10**12), 10**12))
def test_amounts_come_back(cents):
    text = amount_text(cents)
    assert read_cents(text) == cents
    assert "." not in text or not text.endswith(("0", "."))


@given(st.decimals(-(10**6), 10**6, places=3))
def test_quantities_come_back(quantity):
    assert read_quantity(quantity_text(quantity)) == quantity


@pytest.mark.parametrize("text", ["", "x", "1e3", "Infinity", "9" * 40, "1.1234567", "-"])
def test_what_is_no_quantity(text):
    assert read_quantity(text) is None


def test_quantity_types():
    assert read_quantity("2.0") == 2
    assert isinstance(read_quantity("2.0"), int)
    assert read_quantity("0.5") == Decimal("0.5")
    assert read_whole("007") == 7
    assert read_whole("-1") is None
    assert read_whole("1" * 10) is None


def test_dates():
    assert read_date("20260203") == date(2026, 2, 3)
    assert [
        read_date(t) for t in ("20261301", "20260230", "260203", "2026020a", "", "00000101")
    ] == [None] * 6
    assert read_period("D8", "20260203") == (date(2026, 2, 3), date(2026, 2, 3))
    assert read_period("RD8", "20260203-20260204") == (date(2026, 2, 3), date(2026, 2, 4))
    assert read_period("RD8", "20260203-") is None
    assert read_period("DT", "202602031530") == (date(2026, 2, 3), date(2026, 2, 3))
    assert period_text(date(2026, 2, 3), date(2026, 2, 3)) == ("D8", "20260203")
    assert period_text(date(2026, 2, 3), date(2026, 2, 4)) == ("RD8", "20260203-20260204")


@given(st.text(max_size=200), st.integers(1, 80))
def test_plain_text_holds_no_delimiter(text, longest):
    plain = plain_text(text, longest)
    assert len(plain) <= longest
    assert plain.isascii()
    assert not set(plain) & set("*:~^`\n\r\t>")
    assert plain == plain.upper()
    assert plain_text(plain, longest) == plain


def test_plain_text_takes_accents_off():
    assert plain_text(" Zoë  O'Brien*Núñez ", 60) == "ZOE O'BRIEN NUNEZ"


def test_npi_check_digit():
    assert npi_is_valid("1234567893")
    assert npi_is_valid("1987654328")
    wrong = ("1234567890", "123456789", "12345678930", "", "123456789x", "１２３４５６７８９３")
    assert not any(npi_is_valid(n) for n in wrong)
    assert sum(npi_is_valid(f"123456789{digit}") for digit in range(10)) == 1
