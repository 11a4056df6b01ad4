"""The Medicare physician fee schedule: what Medicare allows for a code in a locality.

``tables/`` holds relative value units and conversion factors copied from the CMS files PPRRVU (2025
October; 2026 July, for clinicians outside a qualifying alternative payment model) and the
geographic practice cost indices (2025 from CMS; 2026 from a public copy), for the codes and
localities that groupclaim prices. Locality ``US-00`` is the nation without geographic adjustment.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib import resources

from groupclaim.model.money import Cents


class NotPriced(LookupError):
    """The fee schedule has no entry for that code, locality or year."""


@dataclass(frozen=True, slots=True)
class RelativeValueUnits:
    """A code's units for one year: work, practice expense by setting, malpractice."""

    work: Decimal
    non_facility_practice: Decimal
    facility_practice: Decimal
    malpractice: Decimal


@dataclass(frozen=True, slots=True)
class CostIndices:
    """A locality's geographic practice cost indices for one year."""

    work: Decimal
    practice: Decimal
    malpractice: Decimal


class FeeSchedule:
    """Medicare allowed amounts by code, locality and day.

    >>> from datetime import date
    >>> schedule = FeeSchedule.load()
    >>> schedule.medicare_allowed("90853", "TX-11", date(2026, 2, 3), facility=False, percent=75)
    Cents(2289)
    """

    def __init__(
        self,
        units: dict[tuple[int, str], RelativeValueUnits],
        indices: dict[tuple[int, str], CostIndices],
        factors: dict[int, Decimal],
    ) -> None:
        self._units = units
        self._indices = indices
        self._factors = factors

    @classmethod
    def load(cls) -> FeeSchedule:
        """The schedule that comes with groupclaim."""
        return cls(
            units={
                (int(row["year"]), row["code"]): RelativeValueUnits(
                    work=Decimal(row["work"]),
                    non_facility_practice=Decimal(row["non_facility_practice"]),
                    facility_practice=Decimal(row["facility_practice"]),
                    malpractice=Decimal(row["malpractice"]),
                )
                for row in _rows("physician_fee_schedule_rvus.csv")
            },
            indices={
                (int(row["year"]), row["locality"]): CostIndices(
                    work=Decimal(row["work"]),
                    practice=Decimal(row["practice"]),
                    malpractice=Decimal(row["malpractice"]),
                )
                for row in _rows("geographic_practice_cost_indices.csv")
            },
            factors={
                int(row["year"]): Decimal(row["factor"]) for row in _rows("conversion_factors.csv")
            },
        )

    def medicare_allowed(
        self, code: str, locality: str, day: date, *, facility: bool, percent: int
    ) -> Cents:
        """What Medicare allows for one unit.

        ``percent`` is the licence's share. The full fee is rounded to the cent, reduced, and
        rounded again: the order moves a cent in some localities. Raises :class:`NotPriced`.
        """
        year = day.year
        units = self._units.get((year, code))
        indices = self._indices.get((year, locality))
        factor = self._factors.get(year)
        if units is None or indices is None or factor is None:
            missing = [
                name
                for name, value in (
                    (f"code {code}", units),
                    (f"locality {locality}", indices),
                    ("conversion factor", factor),
                )
                if value is None
            ]
            raise NotPriced(f"the fee schedule of {year} has no {', '.join(missing)}")
        practice = units.facility_practice if facility else units.non_facility_practice
        adjusted = (
            units.work * indices.work
            + practice * indices.practice
            + units.malpractice * indices.malpractice
        )
        return Cents.rounded(adjusted * factor * 100).share(percent, 100)


def _rows(table: str) -> list[dict[str, str]]:
    path = resources.files("groupclaim.policy") / "tables" / table
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
