"""Roster files: a spreadsheet of who is invited to which session, as CSV or Excel.

One row is one participant of one session. What concerns the session stands in every row of it, or
in one and is empty in the others. Whoever reads the problems sees row and column, never what stood
there: it may be a person's name, or a formula.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from pydantic import ValidationError

from groupclaim.model.base import InputRefused
from groupclaim.model.session import Activity, GroupSession

MOST_BYTES = 5 * 1024 * 1024
"""A year of a large practice's sessions is below one megabyte."""
MOST_BYTES_UNPACKED = 50 * 1024 * 1024
"""An Excel file is a zip: what it unpacks to is looked at before it is opened."""
MOST_PARTS = 200
_PACKED_BY = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""What Excel writes, and nothing else that a zip may be packed by."""
MOST_ROWS = 20_000
MOST_COLUMNS = 60

COLUMNS: dict[str, str] = {
    "session": "the practice's id of the session",
    "patient": "the practice's id of the patient",
    "clinician": "the practice's id of who leads it",
    "location": "the practice's id of where it is",
    "starts": "2026-02-03 17:00 or 2/3/2026 5:00 PM, as clocks show there; or with an offset",
    "ends": "as starts",
    "mode": "in_person (if empty), telehealth or mixed",
    "topic": "what the group is about",
    "activity": f"{Activity.PSYCHOTHERAPY} (if empty) or what else the group does",
    "led_by": "clinician (if empty), peer or unlicensed_facilitator",
    "units": "units that the practice's own system would bill; 1 if empty",
    "after_hours": "99050 or 99051",
    "part2_programme": "yes where the session is of a substance-use programme (42 CFR Part 2)",
    "medium": "of a patient who takes part from elsewhere: audio_video or audio_only",
    "place": "where that patient is: home or elsewhere",
    "state": "in which state that patient is",
    "consented": "yes where that patient agreed to a group by this medium",
    "interactive_complexity": "yes where 90785 is asked for this patient",
}
"""The columns, in any order; the first six are needed."""

_NEEDED = ("session", "patient", "clinician", "location", "starts", "ends")
_OF_SESSION = ("clinician", "location", "starts", "ends", "mode", "topic", "activity", "led_by",
               "units", "after_hours", "part2_programme")  # fmt: skip
_ALLOWED: dict[str, frozenset[str]] = {
    "mode": frozenset({"in_person", "telehealth", "mixed"}),
    "activity": frozenset(set(Activity) - {Activity.FAMILY_PSYCHOTHERAPY}),
    "led_by": frozenset({"clinician", "peer", "unlicensed_facilitator"}),
    "after_hours": frozenset({"99050", "99051"}),
    "medium": frozenset({"audio_video", "audio_only"}),
    "place": frozenset({"home", "elsewhere"}),
}
_YES_NO = ("part2_programme", "consented", "interactive_complexity")
_TRUE, _FALSE = frozenset({"yes", "y", "true", "1"}), frozenset({"no", "n", "false", "0", ""})
_COLUMN_OF = {"starts_at": "starts", "ends_at": "ends", "ref": "session", "roster": "patient"}
_LOCAL_FORMS = ("%m/%d/%Y %I:%M %p", "%m/%d/%Y %H:%M")
_TIMES = "2026-02-03 17:00, or 2/3/2026 5:00 PM"
_LONGEST_REFERENCE = 80


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row cannot be taken. ``row`` as a spreadsheet counts, the header being row 1; of
    another kind of file, what ``unit`` says."""

    row: int
    column: str
    reason: str
    unit: str = "row"

    def __str__(self) -> str:
        return f"{self.unit} {self.row}, {self.column}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RosterRow:
    """One row that names a participant; the ids are the practice's own."""

    row: int
    session: str
    patient: str


@dataclass(frozen=True, slots=True)
class OnFile:
    """What a roster may refer to: time zones by location, and whether an id is on file."""

    zones: Mapping[str, str]
    clinician: Callable[[str], bool]
    patient: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class RosterFile:
    """What a file says: its rows, the sessions of which every row is right, and all problems."""

    rows: tuple[RosterRow, ...]
    sessions: tuple[GroupSession, ...]
    problems: tuple[RowProblem, ...]
    unit: str = "row"


def read_roster(content: bytes, known: OnFile, source: str = "roster") -> RosterFile:
    """Read a CSV (UTF-8; comma, semicolon or tab) or Excel file.

    Raises :class:`InputRefused` where the file as a whole cannot be read: too large, no CSV or
    Excel, unknown or missing columns. What is wrong with single rows is told in the result.
    """
    if len(content) > MOST_BYTES:
        raise InputRefused(source, [f"file: larger than {MOST_BYTES // 1024**2} MB"])
    excel = content.startswith(b"PK\x03\x04")
    records = list(_excel(content, source) if excel else csv_rows(content, source))
    if not records:
        raise InputRefused(source, ["file: holds no row"])
    (first, header), *body = records
    names = _header(first, header, source)
    if len(body) > MOST_ROWS:
        raise InputRefused(source, [f"file: more than {MOST_ROWS} rows"])
    return _Reader(names, known).read(body)


# --- cells


def csv_rows(content: bytes, source: str) -> Iterator[tuple[int, list[str]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputRefused(
            source, ["file: neither Excel (.xlsx) nor CSV in UTF-8; save it as one of them"]
        ) from None
    if "\0" in text:
        raise InputRefused(source, ["file: holds zero bytes, which CSV has not"])
    first = text.lstrip("\r\n").split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error:
            raise InputRefused(
                source, [f"row {number}: a quote that is not closed, or a cell that is too long"]
            ) from None
        if number > MOST_ROWS + 2:
            raise InputRefused(source, [f"file: more than {MOST_ROWS} rows"])
        if any(cell.strip() for cell in cells):
            yield number, [cell.strip() for cell in cells]


def _excel(content: bytes, source: str) -> Iterator[tuple[int, list[str]]]:
    """The first sheet. Refused before it is opened where it would unpack to too much."""
    try:
        _check_package(content, source)
        book = load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()
        problems = []
        for number, cells in enumerate(sheet.iter_rows(), 1):
            if number > MOST_ROWS + 2:
                raise InputRefused(source, [f"file: more than {MOST_ROWS} rows"])
            if len(cells) > MOST_COLUMNS:
                raise InputRefused(source, [f"row {number}: more than {MOST_COLUMNS} cells"])
            problems += [
                f"row {number}, column {place}: a formula or an error; put the value there"
                for place, cell in enumerate(cells, 1)
                if getattr(cell, "data_type", "n") in ("f", "e")
            ]
            texts = [_cell_text(cell.value) for cell in cells]
            if any(texts):
                yield number, texts
        if problems:
            raise InputRefused(source, problems[:100])
    except InputRefused:
        raise
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, IndexError, OSError,
            EOFError, SyntaxError, TypeError, AttributeError, RuntimeError,
            zlib.error):  # fmt: skip
        raise InputRefused(source, ["file: not a readable Excel file (.xlsx)"]) from None


def _check_package(content: bytes, source: str) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        parts = package.infolist()
        if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_BYTES_UNPACKED:
            raise InputRefused(
                source, [f"file: unpacks to more than {MOST_BYTES_UNPACKED // 1024**2} MB"]
            )
        if any(part.compress_type not in _PACKED_BY for part in parts):
            raise zipfile.BadZipFile
        for part in parts:
            # The declared size binds: a part that unpacks to more fails its checksum. Any part may
            # be the sheet, whatever it is called, and be written in two bytes a letter.
            text = package.read(part).replace(b"\0", b"")
            if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
                raise InputRefused(source, ["file: holds declarations that Excel does not write"])


def _cell_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _header(row: int, cells: list[str], source: str) -> dict[int, str]:
    """Which column each name stands in. Names are not repeated: a cell may hold anything."""
    names: dict[int, str] = {}
    problems = []
    for place, cell in enumerate(cells):
        name = cell.casefold()
        if not name:
            continue
        if name not in COLUMNS:
            problems.append(f"row {row}, column {place + 1}: no such column")
        elif name in names.values():
            problems.append(f"row {row}, column {place + 1}: {name} stands there twice")
        else:
            names[place] = name
    missing = [name for name in _NEEDED if name not in names.values()]
    problems += [f"row {row}: the column {name} is missing" for name in missing]
    if problems:
        raise InputRefused(source, [*problems, f"columns: {', '.join(COLUMNS)}"])
    return names


# --- rows and sessions


@dataclass(frozen=True, slots=True)
class _Record:
    row: int
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")


class _Reader:
    def __init__(self, names: Mapping[int, str], known: OnFile) -> None:
        self._names = names
        self._known = known
        self._problems: set[RowProblem] = set()
        self._rows: set[int] = set()

    def read(self, body: Iterable[tuple[int, list[str]]]) -> RosterFile:
        groups: dict[str, list[_Record]] = {}
        rows = []
        for number, cells in body:
            record = self._record(number, cells)
            rows.append(RosterRow(number, record["session"], record["patient"]))
            groups.setdefault(record["session"], []).append(record)
        sessions = []
        for ref, records in groups.items():
            session = self._session(ref, records) if ref else None
            if session is not None and not self._any_wrong(records):
                sessions.append(session)
        ordered = sorted(self._problems, key=lambda item: (item.row, item.column, item.reason))
        return RosterFile(tuple(rows), tuple(sessions), tuple(ordered))

    def _wrong(self, record: _Record, column: str, reason: str) -> None:
        self._problems.add(RowProblem(record.row, column, reason))
        self._rows.add(record.row)

    def _record(self, number: int, cells: list[str]) -> _Record:
        record = _Record(number, {name: cells[place] for place, name in self._names.items()
                                  if place < len(cells)})  # fmt: skip
        for place, cell in enumerate(cells):
            if cell and place not in self._names:
                self._wrong(record, f"column {place + 1}", "a cell without a heading")
        for column in ("session", "patient"):
            if not record[column]:
                self._wrong(record, column, "is empty")
            elif len(record[column]) > _LONGEST_REFERENCE:
                self._wrong(record, column, f"longer than {_LONGEST_REFERENCE} characters")
        if record["patient"] and not self._known.patient(record["patient"]):
            self._wrong(record, "patient", "no such patient on file")
        for column, allowed in _ALLOWED.items():
            if record[column] and record[column].casefold() not in allowed:
                self._wrong(record, column, f"one of {', '.join(sorted(allowed))}")
        for column in _YES_NO:
            if record[column].casefold() not in _TRUE | _FALSE:
                self._wrong(record, column, "yes or no")
        if record["units"] and not (record["units"].isascii() and record["units"].isdigit()):
            self._wrong(record, "units", "a whole number")
        return record

    def _session(self, ref: str, records: list[_Record]) -> GroupSession | None:
        said: dict[str, _Record] = {}
        for column in _OF_SESSION:
            for record in records:
                if not record[column]:
                    continue
                first = said.setdefault(column, record)
                if record[column] != first[column]:
                    self._wrong(record, column, f"not as in row {first.row} of the same session")
        head = records[0]
        for column in ("clinician", "location", "starts", "ends"):
            if column not in said:
                self._wrong(head, column, "is empty in every row of the session")
        values = {column: record[column] for column, record in said.items()}
        if "clinician" in said and not self._known.clinician(values["clinician"]):
            self._wrong(said["clinician"], "clinician", "no such clinician on file")
        zone = self._known.zones.get(values.get("location", ""))
        if "location" in said and zone is None:
            self._wrong(said["location"], "location", "no such location on file")
        mode = values.get("mode", "in_person").casefold()
        self._check_roster(records, mode)
        if zone is None:
            return None
        starts = self._moment(said.get("starts"), "starts", zone)
        ends = self._moment(said.get("ends"), "ends", zone)
        if starts is None or ends is None or self._any_wrong(records):
            return None
        return self._made(
            records,
            {
                "ref": ref,
                "location": values["location"],
                "clinician": values["clinician"],
                "starts_at": starts,
                "ends_at": ends,
                "mode": mode,
                "topic": values.get("topic", ""),
                "roster": tuple(record["patient"] for record in records),
                "activity": Activity(values.get("activity", Activity.PSYCHOTHERAPY).casefold()),
                "led_by": values.get("led_by", "clinician").casefold(),
                "units": int(values.get("units", "1")),
                "after_hours": values.get("after_hours"),
                "part2_programme": values.get("part2_programme", "").casefold() in _TRUE,
                "interactive_complexity": tuple(
                    record["patient"]
                    for record in records
                    if record["interactive_complexity"].casefold() in _TRUE
                ),
                "remote": tuple(
                    {
                        "patient": record["patient"],
                        "medium": record["medium"].casefold(),
                        "place": record["place"].casefold(),
                        "state": record["state"].upper() or None,
                        "consented": record["consented"].casefold() in _TRUE,
                    }
                    for record in records
                    if record["medium"]
                ),
            },
        )

    def _any_wrong(self, records: list[_Record]) -> bool:
        return not self._rows.isdisjoint(record.row for record in records)

    def _made(self, records: list[_Record], values: dict[str, Any]) -> GroupSession | None:
        try:
            return GroupSession.model_validate(values)
        except ValidationError as error:
            for detail in error.errors(include_input=False, include_url=False):
                place, reason = list(detail["loc"]), detail["msg"].removeprefix("Value error, ")
                record = records[0]
                if place[:1] == ["remote"] and len(place) > 1 and isinstance(place[1], int):
                    remote = [item for item in records if item["medium"]]
                    record, place = remote[place[1]], place[2:]
                column = str(place[0]) if place else "session"
                self._wrong(record, _COLUMN_OF.get(column, column), reason)
        return None

    def _check_roster(self, records: list[_Record], mode: str) -> None:
        seen: dict[str, int] = {}
        for record in records:
            first = seen.setdefault(record["patient"], record.row)
            if record["patient"] and first != record.row:
                self._wrong(record, "patient", f"stands in row {first} of the session already")
            remote = bool(record["medium"])
            if mode == "in_person" and remote:
                self._wrong(record, "medium", "given although the session is in person")
            if mode == "telehealth" and not remote:
                self._wrong(record, "medium", "needed for each patient of a telehealth session")
            if remote and not record["place"]:
                self._wrong(record, "place", "needed where a medium is given")
            if not remote:
                for column in ("place", "state", "consented"):
                    if record[column] and record[column].casefold() not in _FALSE:
                        self._wrong(record, column, "given without a medium")

    def _moment(self, record: _Record | None, column: str, zone: str) -> datetime | None:
        """A time with its offset; one without is meant as clocks show it where the session is."""
        if record is None:
            return None
        moment = _parsed(record[column])
        if moment is None:
            self._wrong(
                record, column, "not a date and time; 2026-02-03 17:00, or 2/3/2026 5:00 PM"
            )
            return None
        if moment.tzinfo is not None:
            return moment
        early = moment.replace(tzinfo=ZoneInfo(zone), fold=0)
        late = moment.replace(tzinfo=ZoneInfo(zone), fold=1)
        if early.utcoffset() == late.utcoffset():
            return early
        back = early.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        reason = (
            "comes twice that day; give the offset"
            if back == moment
            else "does not exist that day: clocks are put forward"
        )
        self._wrong(record, column, reason)
        return None


def _parsed(text: str) -> datetime | None:
    if len(text) > len("2026-02-03") and text[:4].isdigit():
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None
    for form in _LOCAL_FORMS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - local, as _moment says
        except ValueError:
            continue
    return None
