"""Money: whole cents of one currency (US dollars)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class Cents(int):
    """An amount in whole cents. Sums and differences stay ``Cents``; fractions are refused.

    >>> Cents(6500) - Cents(2815)
    Cents(3685)
    >>> str(Cents(-605))
    '-6.05'
    """

    __slots__ = ()

    def __new__(cls, value: int) -> Cents:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError("an amount is a whole number of cents")
        return super().__new__(cls, value)

    @classmethod
    def rounded(cls, cents: Decimal) -> Cents:
        """The nearest whole cent, halves away from zero, as payers price a line."""
        return cls(int(cents.quantize(Decimal(1), rounding=ROUND_HALF_UP)))

    def share(self, numerator: int, denominator: int) -> Cents:
        """``self * numerator / denominator``, rounded to the cent."""
        return Cents.rounded(Decimal(int(self)) * numerator / denominator)

    def __add__(self, other: int) -> Cents:
        return Cents(int(self) + other)

    __radd__ = __add__

    def __sub__(self, other: int) -> Cents:
        return Cents(int(self) - other)

    def __rsub__(self, other: int) -> Cents:
        return Cents(other - int(self))

    def __neg__(self) -> Cents:
        return Cents(-int(self))

    def __abs__(self) -> Cents:
        return Cents(abs(int(self)))

    def __str__(self) -> str:
        sign = "-" if self < 0 else ""
        return f"{sign}{abs(int(self)) // 100}.{abs(int(self)) % 100:02d}"

    def __repr__(self) -> str:
        return f"Cents({int(self)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls,
            core_schema.int_schema(strict=True),
            serialization=core_schema.plain_serializer_function_ser_schema(int),
        )
