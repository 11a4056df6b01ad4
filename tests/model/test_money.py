from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from groupclaim.model.money import Cents

AMOUNTS = st.integers(min_value=-(10**12), max_value=10**12)
CENTS = TypeAdapter(Cents)


@given(AMOUNTS, AMOUNTS)
def test_arithmetic_stays_cents(one: int, other: int) -> None:
    for result, expected in (
        (Cents(one) + Cents(other), one + other),
        (Cents(one) - other, one - other),
        (one - Cents(other), one - other),
        (one + Cents(other), one + other),
        (-Cents(one), -one),
        (abs(Cents(one)), abs(one)),
        (sum([Cents(one), Cents(other)], Cents(0)), one + other),
    ):
        assert type(result) is Cents
        assert result == expected


@pytest.mark.parametrize("value", [1.5, 1.0, True, "100", Decimal(1), None])
def test_fractions_and_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="whole number of cents"):
        Cents(value)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        CENTS.validate_python(value)


def test_halves_are_rounded_away_from_zero() -> None:
    assert [Cents.rounded(Decimal(text)) for text in ("0.5", "1.5", "-0.5", "2.4")] == [1, 2, -1, 2]


@given(AMOUNTS, st.integers(min_value=0, max_value=100))
def test_a_share_is_off_by_less_than_a_cent(amount: int, percent: int) -> None:
    assert abs(Cents(amount).share(percent, 100) * 100 - amount * percent) <= 50


def test_sequestration_of_two_percent() -> None:
    assert Cents(2252).share(2, 100) == 45
    assert Cents(2275).share(2, 100) == 46  # 45.5


@given(AMOUNTS)
def test_json_is_a_plain_integer(amount: int) -> None:
    text = CENTS.dump_json(Cents(amount))
    assert text == str(amount).encode()
    read = CENTS.validate_json(text)
    assert type(read) is Cents
    assert read == amount
