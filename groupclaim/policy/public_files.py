"""Importers of the public files of CMS, in the layouts in which they are published.

Each takes one file as it was downloaded and merges what it says of psychotherapy codes into the
tables of a folder that :meth:`FeeSchedule.load` and :meth:`CodeEdits.load` read. Descriptors of
codes are never kept: they are the American Medical Association's. Nothing is written when a file
has a problem; every problem is told at once, with its line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from groupclaim.model.base import InputRefused, Record, describe
from groupclaim.policy.edits import (
    ADD_ONS,
    PAIRS,
    UNIT_LIMITS,
    AddOn,
    EditPair,
    Setting,
    UnitLimit,
)
from groupclaim.policy.fee_schedule import (
    FACTORS,
    INDICES,
    NATION,
    RVUS,
    ConversionFactor,
    CostIndices,
    RelativeValueUnits,
)
from groupclaim.policy.tables import parse_table, table_text, write_table

_KEPT = re.compile(r"9078|9079|908|961[5-7]|992[01]|9905[01]|G041[01]|G0560|H[02]0|S9480")
"""How the codes begin that are kept: psychotherapy, health behaviour, evaluation, what stands
beside group psychotherapy. The files hold every code of medicine, millions of pairs of them."""

_CODE = re.compile(r"[0-9A-Z]{4}[0-9A-Z]")
_MOST_PROBLEMS = 50
_MONTHS = {
    "january": 1, "february": 2, "march": 3, "april": 4, "may": 5, "june": 6,
    "july": 7, "august": 8, "september": 9, "october": 10, "november": 11, "december": 12,
}  # fmt: skip

Kept = TypeVar("Kept", bound=Record)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: ``rows`` by table, and from which day they hold."""

    effective_from: date
    rows: dict[str, int]


class _File:
    """A file being read: its rows with their lines, and the problems found in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self._left_out = 0

    def rows(self, delimiter: Literal[",", "\t"]) -> Iterator[tuple[int, list[str]]]:
        # Some of the files are in the code page of the office that makes them.
        with self.path.open(encoding="cp1252", errors="replace", newline="") as file:
            reader = (
                csv.reader(file, delimiter="	", quoting=csv.QUOTE_NONE)
                if delimiter == "	"
                else csv.reader(file)
            )
            try:
                for row in reader:
                    yield reader.line_num, [cell.strip().strip("\ufeff") for cell in row]
            except csv.Error:
                self.refuse(reader.line_num, "a cell that is too long")

    def refuse(self, line: int, reason: str) -> None:
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(f"{self.path.name}:{line}: {reason}")
        else:
            self._left_out += 1

    def make(self, line: int, record: type[Kept], **values: object) -> Kept | None:
        given = {key: str(value) for key, value in values.items() if value not in ("", None)}
        try:
            return record.model_validate_strings(given)
        except ValidationError as error:
            for problem in describe(error):
                self.refuse(line, problem)
        return None

    def finish(self, found: Sequence[object], what: str) -> None:
        """Raise InputRefused with every problem; a file with nothing of ours is one."""
        if self._left_out:
            self.problems.append(f"{self.path.name}: and {self._left_out} more")
        if not self.problems and not found:
            self.problems.append(f"{self.path.name}:1: no {what} that is kept")
        if self.problems:
            raise InputRefused(self.path.name, self.problems)


# --- relative value units


def import_rvus(path: Path, into: Path, effective_from: date | None = None) -> Imported:
    """PPRRVU, the relative value file (CSV): units, status and conversion factor.

    The day comes from the title (``2025 ... Relative Value File October Release``) unless given.
    Raises :class:`InputRefused`.
    """
    file = _File(path)
    head: list[list[str]] = []
    columns: dict[str, int] | None = None
    units: list[RelativeValueUnits] = []
    factors: dict[str, int] = {}
    day = effective_from
    for line, row in file.rows(","):
        if columns is None:
            head.append(row)
            if row[:2] == ["HCPCS", "MOD"]:
                columns = _rvu_columns(file, line, head)
                day = day or _released(head)
                if day is None:
                    file.refuse(1, "the title names no year and month of release: give the day")
            if file.problems:
                break
            continue
        if len(row) <= max(columns.values()):
            if any(row):
                file.refuse(line, f"{len(row)} columns, needs {max(columns.values()) + 1}")
            continue
        if row[columns["MOD"]] or not _KEPT.match(row[0]):
            continue
        made = _units(file, line, row, columns, day)
        if made is not None:
            units.append(made)
            factors.setdefault(row[columns["CONV FACTOR"]], line)
    if columns is None and not file.problems:
        file.refuse(1, "no line begins HCPCS,MOD: not a relative value file")
    if len(factors) > 1:
        file.refuse(max(factors.values()), "the conversion factor changes within the file")
    file.finish(units, "code")
    assert day is not None
    factor = file.make(
        1, ConversionFactor, effective_from=day, factor=next(iter(factors)), source=path.stem
    )
    file.finish(units, "code")
    return Imported(
        day,
        {
            RVUS: _merge(
                RVUS, RelativeValueUnits, units, into, lambda item: (item.effective_from, item.code)
            ),
            FACTORS: _merge(
                FACTORS,
                ConversionFactor,
                [factor] if factor else [],
                into,
                lambda item: item.effective_from,
            ),
        },
    )


_RVU_COLUMNS = (
    "MOD", "STATUS CODE", "WORK RVU", "NON-FAC PE RVU", "FACILITY PE RVU", "MP RVU",
    "NON-FACILITY TOTAL", "CONV FACTOR",
)  # fmt: skip


def _rvu_columns(file: _File, line: int, head: list[list[str]]) -> dict[str, int]:
    """Columns by name: a name is written over the last two lines of the heading. ``NA INDICATOR``
    stands twice; each is found right after the practice expense that it speaks of."""
    names = [
        " ".join(part for part in (above, name) if part)
        for above, name in zip(head[-2], head[-1], strict=False)
    ]
    found = {name: index for index, name in reversed(list(enumerate(names)))}
    found["MOD"] = 1
    for name in _RVU_COLUMNS:
        if name not in found:
            file.refuse(line, f"no column {name}")
    for practice in ("NON-FAC PE RVU", "FACILITY PE RVU"):
        index = found.get(practice)
        if index is not None and names[index + 1 : index + 2] != ["NA INDICATOR"]:
            file.refuse(line, f"no column NA INDICATOR after {practice}")
    return found


def _released(head: list[list[str]]) -> date | None:
    title = " ".join(cell for row in head for cell in row).lower()
    year = re.search(r"\b(20\d\d) national physician fee schedule", title)
    month = re.search(rf"\b({'|'.join(_MONTHS)}) release", title)
    if year is None:
        return None
    return date(int(year[1]), _MONTHS[month[1]] if month else 1, 1)


def _units(
    file: _File, line: int, row: list[str], columns: dict[str, int], day: date | None
) -> RelativeValueUnits | None:
    def practice(column: str) -> str:
        index = columns[column]
        return "" if row[index + 1] == "NA" else row[index]

    made = file.make(
        line,
        RelativeValueUnits,
        effective_from=day,
        code=row[0],
        status=row[columns["STATUS CODE"]],
        work=row[columns["WORK RVU"]],
        non_facility_practice=practice("NON-FAC PE RVU"),
        facility_practice=practice("FACILITY PE RVU"),
        malpractice=row[columns["MP RVU"]],
        source=file.path.stem,
    )
    if made is not None and made.non_facility_practice is not None:
        total = made.work + made.non_facility_practice + made.malpractice
        if str(total) != row[columns["NON-FACILITY TOTAL"]]:
            file.refuse(line, f"{row[0]}: the parts add up to {total}, not to the file's total")
    return made


# --- geographic indices


def import_indices(path: Path, into: Path, effective_from: date | None = None) -> Imported:
    """GPCI, the geographic practice cost indices (CSV). The day is the first of the year that the
    columns name unless given; of two work indices the one with the floor of 1.0 counts."""
    file = _File(path)
    columns: dict[str, int] | None = None
    found: dict[str, CostIndices] = {}
    day = effective_from
    for line, row in file.rows(","):
        if columns is None:
            if "State" in row and "Locality Number" in row:
                columns, year = _index_columns(file, line, row)
                day = day or (date(year, 1, 1) if year else None)
            continue
        if file.problems or len(row) <= max(columns.values()) or not row[columns["State"]]:
            continue  # the footnotes under the table
        locality = f"{row[columns['State']]}-{row[columns['Locality Number']].zfill(2)}"
        made = file.make(
            line,
            CostIndices,
            effective_from=day,
            locality=locality,
            work=row[columns["PW"]],
            practice=row[columns["PE"]],
            malpractice=row[columns["MP"]],
            source=path.stem,
        )
        if made is None:
            continue
        if found.setdefault(locality, made) != made:
            file.refuse(line, f"{locality} has other indices further up")
    if columns is None:
        file.refuse(1, "no line has the columns State and Locality Number: not an index file")
    file.finish(list(found.values()), "locality")
    assert day is not None
    nation = CostIndices.model_validate_strings(
        {"effective_from": day.isoformat(), "locality": NATION, "source": "no adjustment"}
        | dict.fromkeys(("work", "practice", "malpractice"), "1")
    )
    rows = [nation, *found.values()]
    return Imported(
        day,
        {
            INDICES: _merge(
                INDICES, CostIndices, rows, into, lambda item: (item.effective_from, item.locality)
            )
        },
    )


def _index_columns(file: _File, line: int, row: list[str]) -> tuple[dict[str, int], int | None]:
    columns = {"State": row.index("State"), "Locality Number": row.index("Locality Number")}
    years = set()
    for index, name in enumerate(row):
        matched = re.match(r"(20\d\d) (PW|PE|MP) GPCI", name)
        if matched and "without" not in name:
            columns[matched[2]] = index
            years.add(int(matched[1]))
    for name in ("PW", "PE", "MP"):
        if name not in columns:
            file.refuse(line, f"no column for the {name} index")
    if len(years) > 1:
        file.refuse(line, "the columns name more than one year")
    return columns, next(iter(years), None)


# --- edits


def import_pairs(path: Path, into: Path, effective_from: date | None = None) -> Imported:
    """One of the NCCI procedure-to-procedure files (``ccipra-v...-f1.txt`` to ``f4``, with tabs).

    The first import into a folder takes the place of what comes with groupclaim; the next add to
    it. Each pair has its own days; ``effective_from`` leaves out those that ended before it.
    """
    file = _File(path)
    pairs: list[EditPair] = []
    headed = False
    for line, row in file.rows("\t"):
        if not headed or not _CODE.fullmatch(row[0] if row else ""):
            headed = headed or (len(row) > 1 and (row[0], row[1]) == ("Column 1", "Column 2"))
            if headed and pairs and any(row):
                file.refuse(line, "no pair of codes")
            continue
        if len(row) < 6:
            file.refuse(line, f"{len(row)} columns, needs 6")
            continue
        one, two, _, first, last, indicator = row[:6]
        if not (_KEPT.match(one) and _KEPT.match(two)):
            continue
        ended = _compact_date(file, line, last) if last not in ("", "*") else None
        began = _compact_date(file, line, first)
        if began is None:
            continue
        made = file.make(
            line,
            EditPair,
            effective_from=began,
            effective_to=ended,
            column_one=one,
            column_two=two,
            indicator=indicator,
            source=path.stem,
            verified="true",
        )
        never = ended is not None and ended <= began
        over = effective_from is not None and ended is not None and ended < effective_from
        if made is not None and not never and not over:
            pairs.append(made)
    if not headed:
        file.refuse(1, "no line begins Column 1, Column 2: not a file of pairs")
    file.finish(pairs, "pair")
    return Imported(
        max(item.effective_from for item in pairs),
        {
            PAIRS: _merge(
                PAIRS,
                EditPair,
                pairs,
                into,
                lambda item: (item.column_one, item.column_two, item.effective_from),
                anew=True,
            )
        },
    )


def import_unit_limits(path: Path, into: Path, effective_from: date | None = None) -> Imported:
    """A file of medically unlikely edits (CSV), of practitioners or of hospital outpatients. The
    day comes from the file's name (``Eff_10-01-2025``) unless given."""
    file = _File(path)
    named = re.search(r"(\d{2})-(\d{2})-(\d{4})", path.name)
    day = effective_from or (date(int(named[3]), int(named[1]), int(named[2])) if named else None)
    if day is None:
        file.refuse(1, "the file's name has no day as in Eff_10-01-2025: give the day")
    columns: dict[str, int] | None = None
    setting: Setting = "practitioner"
    limits: list[UnitLimit] = []
    for line, row in file.rows(","):
        if day is None:
            break
        if columns is None:
            if row and row[0].upper().startswith("HCPCS"):
                columns = {
                    key: index
                    for index, name in enumerate(row)
                    for key in ("MUE Values", "MUE Adjudication Indicator")
                    if key.lower() in " ".join(name.split()).lower()
                }
                if "outpatient" in " ".join(row).lower():
                    setting = "outpatient_hospital"
                if len(columns) < 2:
                    file.refuse(line, "no columns MUE Values and MUE Adjudication Indicator")
                    break
            continue
        if not row or not _KEPT.match(row[0]) or len(row) <= max(columns.values()):
            continue
        made = file.make(
            line,
            UnitLimit,
            effective_from=day,
            code=row[0],
            setting=setting,
            units=row[columns["MUE Values"]],
            adjudication=row[columns["MUE Adjudication Indicator"]][:1],
            source=path.stem,
            verified="true",
        )
        if made is not None:
            limits.append(made)
    if columns is None and not file.problems:
        file.refuse(1, "no line begins HCPCS: not a file of unit limits")
    file.finish(limits, "code")
    assert day is not None
    return Imported(
        day,
        {
            UNIT_LIMITS: _merge(
                UNIT_LIMITS,
                UnitLimit,
                limits,
                into,
                lambda item: (item.code, item.setting, item.effective_from),
            )
        },
    )


_ADD_ON_COLUMNS = {
    "kind": "aocedittype",
    "add_on": "addoncode",
    "primary": "primarycode",
    "first": "aocediteffdt",
    "last": "aoceditdeldt",
}


def import_add_ons(path: Path, into: Path, effective_from: date | None = None) -> Imported:
    """The add-on code edits (``AOC_V2025Q4_01-MCR.txt``, with tabs). Primary codes that the
    contractor defines (``CCCCC``) are left out. ``effective_from`` as for the pairs."""
    file = _File(path)
    columns: dict[str, int] | None = None
    add_ons: list[AddOn] = []
    for line, row in file.rows("\t"):
        if columns is None:
            names = [re.sub(r"[^a-z]", "", name.lower()) for name in row]
            if _ADD_ON_COLUMNS["add_on"] in names:
                columns = {
                    key: names.index(name) for key, name in _ADD_ON_COLUMNS.items() if name in names
                }
                for key in _ADD_ON_COLUMNS.keys() - columns.keys():
                    file.refuse(line, f"no column {_ADD_ON_COLUMNS[key]}")
            if file.problems:
                break
            continue
        if len(row) <= max(columns[key] for key in ("kind", "add_on", "primary", "first")):
            continue
        row += [""] * (max(columns.values()) + 1 - len(row))
        code, primary = row[columns["add_on"]], row[columns["primary"]]
        if not _KEPT.match(code) or not _KEPT.match(primary):
            continue
        began = _ordinal_date(file, line, row[columns["first"]])
        if began is None:
            continue
        last = row[columns["last"]]
        ended = _ordinal_date(file, line, last) if last else None
        made = file.make(
            line,
            AddOn,
            effective_from=began,
            effective_to=ended,
            add_on=code,
            primary=primary,
            kind=row[columns["kind"]],
            source=path.stem,
            verified="true",
        )
        over = effective_from is not None and ended is not None and ended < effective_from
        if made is not None and not over:
            add_ons.append(made)
    if columns is None:
        file.refuse(1, "no line has a column for the add-on code: not a file of add-on edits")
    file.finish(add_ons, "add-on")
    return Imported(
        max(item.effective_from for item in add_ons),
        {
            ADD_ONS: _merge(
                ADD_ONS,
                AddOn,
                add_ons,
                into,
                lambda item: (item.add_on, item.primary, item.effective_from),
                anew=True,
            )
        },
    )


def _compact_date(file: _File, line: int, text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        file.refuse(line, "a date is not written YYYYMMDD")
    return None


def _ordinal_date(file: _File, line: int, text: str) -> date | None:
    """The day of ``2025274``: year, and number of the day in it."""
    if not re.fullmatch(r"\d{7}", text) or not 1 <= int(text[4:]) <= 366:
        file.refuse(line, "a date is not written YYYYDDD")
        return None
    return date(int(text[:4]), 1, 1) + timedelta(days=int(text[4:]) - 1)


def _merge(
    table: str,
    record: type[Kept],
    rows: Iterable[Kept],
    into: Path,
    key: Callable[[Kept], object],
    *,
    anew: bool = False,
) -> int:
    """Put ``rows`` into the folder's table in place of those with the same key; the number of rows.

    A table that the folder does not have begins with what comes with groupclaim, or, ``anew``, with
    nothing: a complete list takes the place of what was only told about it.
    """
    known: tuple[Kept, ...] = ()
    if not anew or (into / "tables" / f"{table}.csv").is_file():
        known = parse_table(f"tables/{table}.csv", table_text(table, into), record)
    new = {key(item): item for item in rows}
    merged = {key(item): item for item in known} | new
    write_table(table, (merged[place] for place in sorted(merged, key=str)), into)
    return len(new)


IMPORTERS: dict[str, Callable[[Path, Path, date | None], Imported]] = {
    "pprrvu": import_rvus,
    "gpci": import_indices,
    "ptp": import_pairs,
    "mue": import_unit_limits,
    "aoc": import_add_ons,
}
"""The importers by the name under which CMS publishes the file."""
