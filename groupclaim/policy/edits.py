"""National edits: which codes exclude each other, how many units a day has, what an add-on needs.

``tables/`` holds what public texts tell of the NCCI edits around 90853, unverified; the CMS files
themselves come in by ``groupclaim policy import ptp|mue|aoc``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from groupclaim.model.base import Record
from groupclaim.model.finding import Source
from groupclaim.model.practice import ProcedureCode
from groupclaim.policy.tables import read_table

PAIRS, UNIT_LIMITS, ADD_ONS = "ncci_pairs", "medically_unlikely_edits", "add_on_edits"
"""The names of the three tables."""

Setting = Literal["practitioner", "outpatient_hospital"]


class _Dated(Record):
    effective_from: date
    effective_to: date | None = None
    source: str
    verified: bool

    def in_force(self, day: date) -> bool:
        return self.effective_from <= day <= (self.effective_to or date.max)

    def cited(self) -> Source:
        """Where this edit comes from, for a finding."""
        return Source(
            policy="national edits",
            version=self.effective_from.isoformat(),
            citation=self.source,
            verified=self.verified,
        )


class EditPair(_Dated):
    """Of two codes of one clinician, patient and day, ``column_two`` is not paid.

    ``indicator``: 1 a modifier on column two lets both through, 0 none does, 9 the pair does not
    apply; None when it is not known.
    """

    column_one: ProcedureCode
    column_two: ProcedureCode
    indicator: Literal["0", "1", "9"] | None = None


class UnitLimit(_Dated):
    """The most units of a code for one patient. ``adjudication`` (MAI): 1 counts each line, 2 the
    day, absolutely, 3 the day, appealable; None when it is not known."""

    code: ProcedureCode
    setting: Setting
    units: Annotated[int, Field(ge=0)]
    adjudication: Literal["1", "2", "3"] | None = None


class AddOn(_Dated):
    """``add_on`` may stand with ``primary``. ``kind``: 1 only with those listed, 2 with what the
    contractor lists, 3 with those listed and others."""

    add_on: ProcedureCode
    primary: ProcedureCode
    kind: Literal["1", "2", "3"]


class CodeEdits:
    """The national edits.

    >>> from datetime import date
    >>> pair = CodeEdits.load().pair("90834", "90853", date(2026, 2, 3))
    >>> pair.column_two, pair.indicator
    ('90834', '1')
    """

    def __init__(
        self, pairs: Iterable[EditPair], limits: Iterable[UnitLimit], add_ons: Iterable[AddOn]
    ) -> None:
        self._pairs: defaultdict[frozenset[str], list[EditPair]] = defaultdict(list)
        for pair in pairs:
            self._pairs[frozenset((pair.column_one, pair.column_two))].append(pair)
        self._limits: defaultdict[tuple[str, str], list[UnitLimit]] = defaultdict(list)
        for limit in sorted(limits, key=lambda item: item.effective_from):
            self._limits[limit.code, limit.setting].append(limit)
        self._add_ons: defaultdict[str, list[AddOn]] = defaultdict(list)
        for item in add_ons:
            self._add_ons[item.add_on].append(item)

    @classmethod
    def load(cls, folder: Path | None = None) -> CodeEdits:
        """The edits that come with groupclaim; a table in ``folder`` stands in for its own.

        Raises :class:`groupclaim.model.base.InputRefused`.
        """
        return cls(
            read_table(PAIRS, EditPair, folder),
            read_table(UNIT_LIMITS, UnitLimit, folder),
            read_table(ADD_ONS, AddOn, folder),
        )

    @classmethod
    @cache
    def packaged(cls) -> CodeEdits:
        """The edits that come with groupclaim, read once."""
        return cls.load()

    def pair(self, one: str, other: str, day: date) -> EditPair | None:
        """The pair of two codes in force on ``day``, in whichever column each stands."""
        held = self._pairs.get(frozenset((one, other)), [])
        return next((pair for pair in held if pair.in_force(day) and pair.indicator != "9"), None)

    def unit_limit(self, code: str, setting: Setting, day: date) -> UnitLimit | None:
        """The limit in force on ``day``; the latest counts."""
        held = self._limits.get((code, setting), [])
        return next((limit for limit in reversed(held) if limit.in_force(day)), None)

    def add_on(self, code: str, day: date) -> tuple[AddOn, ...]:
        """With what ``code`` may stand on ``day``; empty when it is not known as an add-on."""
        return tuple(item for item in self._add_ons.get(code, []) if item.in_force(day))
