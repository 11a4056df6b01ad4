"""What the product's database says, read by plain SQL and believed only in the form agreed.

Accepts a SQLite file (path or ``sqlite`` URL, opened read-only) or a ``postgresql`` URL.
"""

from __future__ import annotations

import importlib
import sqlite3
import types
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NewType, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote
from uuid import UUID

from .deadlines import (
    ClaimDate,
    Day,
    Dispute,
    DisputedLine,
    Item,
    Moment,
    Note,
    Reminder,
    Request,
    Told,
    WorkedDenial,
)

Identifier = NewType("Identifier", str)
"""A key of the product's own choice: text, whole number or UUID; compared as text."""

Instant = NewType("Instant", str)
"""A moment, as text or in the database's own type; only its presence counts here."""


@dataclass(frozen=True, slots=True)
class Standing:
    session_id: str
    patient_id: str
    claim_number: str | None
    attendance: str
    standing: str
    reason: str | None
    stage: str | None


@dataclass(frozen=True, slots=True)
class Money:
    claim_number: str
    charge_cents: int | None
    allowed_cents: int | None
    paid_cents: int | None
    contractual_cents: int | None
    patient_cents: int | None
    patient_paid_cents: int | None
    patient_open_cents: int | None
    payer_open_cents: int | None


@dataclass(frozen=True, slots=True)
class Transfer:
    id: Identifier
    posted_at: Instant
    debit: str
    credit: str
    cents: int
    claim_number: str | None
    remittance_id: Identifier | None
    kind: str


@dataclass(frozen=True, slots=True)
class Remittance:
    id: Identifier
    payer_id: str
    trace: str
    payment_date: Day
    paid_cents: int
    state: str
    difference_cents: int | None


@dataclass(frozen=True, slots=True)
class RemittanceClaim:
    remittance_id: Identifier
    position: int
    control_number: str
    claim_number: str | None
    status: Identifier
    charge_cents: int
    paid_cents: int
    patient_cents: int
    payer_claim_number: str | None


@dataclass(frozen=True, slots=True)
class RemittanceLine:
    remittance_id: Identifier
    claim_position: int
    line_position: int
    code: str
    modifiers: str | None
    charge_cents: int
    paid_cents: int
    allowed_cents: int | None


@dataclass(frozen=True, slots=True)
class RemittanceAdjustment:
    remittance_id: Identifier
    claim_position: int
    line_position: int
    group_code: str
    reason_code: str
    cents: int


@dataclass(frozen=True, slots=True)
class ProviderAdjustment:
    remittance_id: Identifier
    position: int
    reason_code: str
    cents: int


@dataclass(frozen=True, slots=True)
class Finding:
    claim_number: str | None
    rule: str
    severity: str
    created_at: Instant


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something in the database that does not have the form agreed."""

    table: str
    column: str
    expected: str
    found: str


@dataclass(slots=True)
class Books:
    """All rows the judge may read, and what was wrong with their form."""

    standings: list[Standing] = field(default_factory=list)
    money: list[Money] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    remittances: list[Remittance] = field(default_factory=list)
    remittance_claims: list[RemittanceClaim] = field(default_factory=list)
    remittance_lines: list[RemittanceLine] = field(default_factory=list)
    remittance_adjustments: list[RemittanceAdjustment] = field(default_factory=list)
    provider_adjustments: list[ProviderAdjustment] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    complaints: list[Complaint] = field(default_factory=list)


Row = TypeVar("Row")


def read_books(database: str) -> Books:
    """Read every table; a table that is missing or holds wrong types becomes a complaint."""
    books = Books()
    try:
        connection = _connect(database)
    except Exception as problem:  # whatever the driver raises, the books cannot be read
        found = f"it cannot be opened ({type(problem).__name__})"
        books.complaints.append(Complaint("(database)", "", "a readable database", found))
        return books
    with closing(connection):
        books.standings = _rows(connection, "participant_standing", Standing, books)
        books.money = _rows(connection, "claim_money", Money, books)
        books.transfers = _rows(connection, "transfer", Transfer, books)
        books.remittances = _rows(connection, "remittance", Remittance, books)
        books.remittance_claims = _rows(connection, "remittance_claim", RemittanceClaim, books)
        books.remittance_lines = _rows(connection, "remittance_line", RemittanceLine, books)
        books.remittance_adjustments = _rows(
            connection, "remittance_adjustment", RemittanceAdjustment, books
        )
        books.provider_adjustments = _rows(
            connection, "provider_adjustment", ProviderAdjustment, books
        )
        books.findings = _rows(connection, "finding", Finding, books)
        books.told = Told(
            reminders=_rows(connection, "claim_event", Reminder, books),
            items=_rows(connection, "work_item", Item, books),
            denials=_rows(connection, "denial", WorkedDenial, books),
            claims=_rows(connection, "claim", ClaimDate, books),
            disputes=_rows(connection, "dispute_case", Dispute, books),
            lines=_rows(connection, "audited_line", DisputedLine, books),
            notes=_rows(connection, "audit_entry", Note, books, "action = 'dispute_alert'"),
            requests=_rows(connection, "authorization_request", Request, books),
        )
    return books


def _connect(database: str) -> Any:
    scheme, separator, rest = database.partition("://")
    if separator and scheme.split("+")[0] in ("postgresql", "postgres"):
        return importlib.import_module("psycopg").connect(f"postgresql://{rest}", autocommit=True)
    path = Path(rest.removeprefix("/").split("?")[0] if separator else database)
    if separator and not scheme.startswith("sqlite"):
        raise ValueError(f"unknown kind of database: {scheme}")
    if not path.is_file():
        raise FileNotFoundError(path.name)
    return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)


def _rows(
    connection: Any, table: str, kind: type[Row], books: Books, wanted: str = ""
) -> list[Row]:
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    cursor = connection.cursor()
    try:
        where = f" WHERE {wanted}" if wanted else ""
        cursor.execute(f"SELECT {', '.join(names)} FROM {table}{where}")
        raw = cursor.fetchall()
    except Exception as problem:  # a missing table or column, named differently by each driver
        found = f"{type(problem).__name__}: {str(problem).strip()}"
        books.complaints.append(Complaint(table, "", f"columns {', '.join(names)}", found))
        return []
    finally:
        cursor.close()
    good: list[Row] = []
    for number, values in enumerate(raw, start=1):
        checked = {
            name: _checked(value, hints[name]) for name, value in zip(names, values, strict=True)
        }
        wrong = [name for name, value in checked.items() if value is _WRONG]
        for name in wrong:
            found = repr(values[names.index(name)])
            complaint = Complaint(table, name, _wanted(hints[name]), f"{found} in row {number}")
            books.complaints.append(complaint)
        if not wrong:
            good.append(kind(**checked))
    return good


_WRONG = object()


def _checked(value: object, hint: Any) -> object:
    """The value in the form the judge uses, or _WRONG."""
    if get_origin(hint) in (Union, types.UnionType):
        if value is None:
            return None
        hint = next(part for part in get_args(hint) if part is not type(None))
    return next(_forms(value, hint), _WRONG)


def _forms(value: object, hint: Any) -> Iterator[object]:
    if hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            yield value
        elif isinstance(value, Decimal) and value == value.to_integral_value():
            yield int(value)  # PostgreSQL sums whole numbers into NUMERIC
    elif hint is Identifier:
        if isinstance(value, str | int | UUID) and not isinstance(value, bool) and str(value):
            yield str(value)
    elif hint is Instant:
        if isinstance(value, datetime) or (isinstance(value, str) and value):
            yield str(value)
    elif hint is Moment:
        moment = _moment(value)
        if moment is not None:
            yield moment
    elif hint is Day:
        if isinstance(value, date) and not isinstance(value, datetime):
            yield value.isoformat()
        elif isinstance(value, str) and _is_day(value):
            yield value
    elif isinstance(value, str):
        yield value


def _moment(value: object) -> datetime | None:
    """An instant in UTC; None without an offset."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if not isinstance(read, datetime) or read.tzinfo is None:
        return None
    return read.astimezone(UTC)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _wanted(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    names = {int: "a whole number", Identifier: "a key", Instant: "a moment", Day: "a date"}
    names[Moment] = "a moment with an offset"
    return names.get(hint, "text")
