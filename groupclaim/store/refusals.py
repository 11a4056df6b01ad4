"""Why the database refuses: what an operator must know before reading any log.

The drivers say it by codes: SQLite's result codes (https://www.sqlite.org/rescode.html) and
PostgreSQL's SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html).
"""

from __future__ import annotations

import sqlite3
from enum import StrEnum

import psycopg
from sqlalchemy.exc import DBAPIError

_DEPTH = 10


class Refusal(StrEnum):
    """What is wrong with the database or its disk; a statement that is wrong in itself is none."""

    DISK_FULL = "disk_full"
    READ_ONLY = "read_only"
    DISK_ERROR = "disk_error"
    DAMAGED = "damaged"
    UNREACHABLE = "unreachable"


_SQLITE = {
    sqlite3.SQLITE_FULL: Refusal.DISK_FULL,
    sqlite3.SQLITE_READONLY: Refusal.READ_ONLY,
    sqlite3.SQLITE_IOERR: Refusal.DISK_ERROR,
    sqlite3.SQLITE_CORRUPT: Refusal.DAMAGED,
    sqlite3.SQLITE_NOTADB: Refusal.DAMAGED,
    sqlite3.SQLITE_CANTOPEN: Refusal.UNREACHABLE,
}
_POSTGRESQL = {
    "53100": Refusal.DISK_FULL,
    "25006": Refusal.READ_ONLY,
    "58030": Refusal.DISK_ERROR,
    "XX001": Refusal.DAMAGED,
    "XX002": Refusal.DAMAGED,
    "57P01": Refusal.UNREACHABLE,
    "57P02": Refusal.UNREACHABLE,
    "57P03": Refusal.UNREACHABLE,
}
_PRIMARY = 0xFF
"""SQLite's extended codes bear the primary one in their lowest byte."""


def refusal_of(error: BaseException | None) -> Refusal | None:
    """What the database said in ``error`` or in what led to it; None where it was not that."""
    for _ in range(_DEPTH):
        if error is None:
            return None
        if isinstance(error, DBAPIError):
            return _said(error.orig)
        error = error.__cause__ or error.__context__
    return None


def _said(error: BaseException | None) -> Refusal | None:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return _SQLITE.get(code & _PRIMARY)
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return Refusal.UNREACHABLE  # the connection itself failed: no server said anything
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        lost = Refusal.UNREACHABLE if error.sqlstate.startswith("08") else None
        return _POSTGRESQL.get(error.sqlstate, lost)
    return None
