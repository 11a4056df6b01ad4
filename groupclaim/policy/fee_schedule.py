"""The Medicare physician fee schedule: what Medicare allows for a code in a locality.

``tables/`` holds relative value units and conversion factors copied from the CMS files PPRRVU (2025
October; 2026 July, for clinicians outside a qualifying alternative payment model) and the
geographic practice cost indices (2025 from CMS; 2026 from a public copy), for the codes and
localities that groupclaim prices. ``groupclaim policy import`` loads a later edition. Locality
``US-00`` is the nation without geographic adjustment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Generic, Protocol, TypeVar

from pydantic import Field, StringConstraints

from groupclaim.model.base import Record
from groupclaim.model.money import Cents
from groupclaim.model.practice import ProcedureCode
from groupclaim.policy.tables import read_table

RVUS, INDICES, FACTORS = (
    "physician_fee_schedule_rvus",
    "geographic_practice_cost_indices",
    "conversion_factors",
)
"""The names of the three tables."""

NATION = "US-00"

_Units = Annotated[Decimal, Field(ge=0)]
_PRICED = frozenset("ART")
"""Status codes of services that the schedule pays: active, restricted, paid when alone."""


class NotPriced(LookupError):
    """The fee schedule has no entry for that code, locality or year, or does not pay the code."""


class RelativeValueUnits(Record):
    """A code's units from a day on: work, practice expense by setting, malpractice.

    ``status`` is the schedule's status code (B: paid with something else, never apart). A setting
    that the file marks as not applicable has no practice expense: it is never priced from.
    """

    effective_from: date
    code: ProcedureCode
    status: Annotated[str, StringConstraints(pattern=r"^[A-Z]$")]
    work: _Units
    non_facility_practice: _Units | None = None
    facility_practice: _Units | None = None
    malpractice: _Units
    source: str

    @property
    def key(self) -> str:
        return self.code


class CostIndices(Record):
    """A locality's geographic practice cost indices from a day on. Locality: ``TX-31``."""

    effective_from: date
    locality: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-\d{2}$")]
    work: _Units
    practice: _Units
    malpractice: _Units
    source: str

    @property
    def key(self) -> str:
        return self.locality


class ConversionFactor(Record):
    """Dollars for one relative value unit from a day on."""

    effective_from: date
    factor: Annotated[Decimal, Field(gt=0)]
    source: str

    @property
    def key(self) -> str:
        return ""


class _Dated(Protocol):
    @property
    def effective_from(self) -> date: ...
    @property
    def key(self) -> str: ...


Entry = TypeVar("Entry", bound=_Dated)


class _Editions(Generic[Entry]):
    """Entries by key and day. An entry holds until a later one, at most to the end of its year:
    the schedule is made anew each January."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: defaultdict[tuple[str, int], list[Entry]] = defaultdict(list)
        for entry in sorted(entries, key=lambda item: item.effective_from):
            self._entries[entry.key, entry.effective_from.year].append(entry)

    def on(self, key: str, day: date) -> Entry | None:
        held = self._entries.get((key, day.year), [])
        return next((item for item in reversed(held) if item.effective_from <= day), None)

    def keys(self, day: date) -> tuple[str, ...]:
        """Those with an entry in force on ``day``."""
        years = sorted(key for key, year in self._entries if year == day.year)
        return tuple(key for key in years if self.on(key, day) is not None)


@dataclass(frozen=True, slots=True)
class MedicareFee:
    """The full fee of one unit, rounded to the cent, and how it was worked out."""

    cents: Cents
    working: str


class FeeSchedule:
    """Medicare allowed amounts by code, locality and day.

    >>> from datetime import date
    >>> schedule = FeeSchedule.load()
    >>> schedule.medicare_allowed("90853", "TX-11", date(2026, 2, 3), facility=False, percent=75)
    Cents(2289)
    """

    def __init__(
        self,
        units: Iterable[RelativeValueUnits],
        indices: Iterable[CostIndices],
        factors: Iterable[ConversionFactor],
    ) -> None:
        self._units = _Editions(units)
        self._indices = _Editions(indices)
        self._factors = _Editions(factors)

    @classmethod
    def load(cls, folder: Path | None = None) -> FeeSchedule:
        """The schedule that comes with groupclaim; a table in ``folder`` stands in for its own.

        Raises :class:`groupclaim.model.base.InputRefused`.
        """
        return cls(
            units=read_table(RVUS, RelativeValueUnits, folder),
            indices=read_table(INDICES, CostIndices, folder),
            factors=read_table(FACTORS, ConversionFactor, folder),
        )

    def localities(self, day: date) -> tuple[str, ...]:
        """Those that have a price on ``day``, the nation among them."""
        return self._indices.keys(day)

    def medicare_fee(self, code: str, locality: str, day: date, *, facility: bool) -> MedicareFee:
        """The full fee for one unit. Raises :class:`NotPriced`."""
        units = self._units.on(code, day)
        indices = self._indices.on(locality, day)
        factor = self._factors.on("", day)
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
            raise NotPriced(f"the fee schedule of {day.year} has no {', '.join(missing)}")
        if units.status not in _PRICED:
            raise NotPriced(
                f"the fee schedule of {day.year} does not pay {code} apart (status {units.status})"
            )
        practice = units.facility_practice if facility else units.non_facility_practice
        setting = "facility" if facility else "non-facility"
        if practice is None:
            raise NotPriced(f"the fee schedule of {day.year} has no {setting} price of {code}")
        adjusted = (
            units.work * indices.work
            + practice * indices.practice
            + units.malpractice * indices.malpractice
        )
        cents = Cents.rounded(adjusted * factor.factor * 100)
        return MedicareFee(
            cents,
            f"Medicare physician fee schedule {day.year}, {locality}, {setting}: "
            f"({units.work} x {indices.work} + {practice} x {indices.practice} + "
            f"{units.malpractice} x {indices.malpractice}) x {factor.factor} = {cents}",
        )

    def medicare_allowed(
        self, code: str, locality: str, day: date, *, facility: bool, percent: int
    ) -> Cents:
        """What Medicare allows for one unit.

        ``percent`` is the licence's share. The full fee is rounded to the cent, reduced, and
        rounded again: the order moves a cent in some localities. Raises :class:`NotPriced`.
        """
        fee = self.medicare_fee(code, locality, day, facility=facility)
        return fee.cents.share(percent, 100)
