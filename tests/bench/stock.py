"""More claims on file: the rows of one finished room, copied under other ids (SQLite).

What is encrypted is copied as it is; seals of the audit log do not hold for copies. So queries
find as much to read past as a practice of that age would have.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table

from groupclaim.store.schema import metadata

_LINKS = ("claim_number", "session_id", "patient_id", "subject")
_PLACES = ("position", "claim_position", "remittance_position")
_APART = 10_000
"""Places in a payment or a batch that the copies of one row lie apart."""


def multiply(url: str, claims: int) -> int:
    """Copy a room until ``claims`` more are on file, whole rooms; how many that are."""
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = OFF")
        (session,) = connection.execute(
            "SELECT session_id FROM participant ORDER BY session_id LIMIT 1"
        ).fetchone()
        people = connection.execute(
            "SELECT claim_number, patient_id FROM participant WHERE session_id = ?", (session,)
        ).fetchall()
        (known,) = connection.execute(
            "SELECT COUNT(*) FROM group_session WHERE id LIKE 'copy%'"
        ).fetchone()
        rooms = range(known, known - (-claims // len(people)))
        ids = {session: "copy{room:07d}"}
        for seat, person in enumerate(people):
            ids[person["claim_number"]] = f"ZZ{{room:07d}}{seat:04d}"
            ids[person["patient_id"]] = f"copy{{room:07d}}p{seat:04d}"
        for table in metadata.sorted_tables:
            rows = _rows(connection, table, ids)
            if rows:
                _insert(connection, table, rows, ids, rooms)
        connection.execute("ANALYZE")
    return len(rooms) * len(people)


def _rows(connection: sqlite3.Connection, table: Table, ids: dict[str, str]) -> list[sqlite3.Row]:
    """What is kept of the room in a table."""
    marks = ", ".join("?" * len(ids))
    linked = [name for name in _LINKS if name in table.columns]
    if table.name in ("group_session", "patient"):
        linked = ["id"]
    where = " OR ".join(f'"{name}" IN ({marks})' for name in linked)
    if not linked:
        return []
    query = f'SELECT * FROM "{table.name}" WHERE {where}'
    return connection.execute(query, [*ids] * len(linked)).fetchall()


def _insert(
    connection: sqlite3.Connection,
    table: Table,
    rows: list[sqlite3.Row],
    ids: dict[str, str],
    rooms: range,
) -> None:
    counted = [
        column.name for column in table.primary_key if column.type.python_type is int
    ] if len(table.primary_key) == 1 else []  # fmt: skip
    kept = list(rows[0].keys())
    names = [name for name in kept if name not in counted]
    listed = ", ".join(f'"{name}"' for name in names)
    statement = (
        f'INSERT OR IGNORE INTO "{table.name}" ({listed}) VALUES ({", ".join("?" * len(names))})'
    )
    copies = (tuple(row) for room in rooms for row in _copied(table, rows, names, ids, room))
    connection.executemany(statement, copies)


def _copied(
    table: Table, rows: list[sqlite3.Row], names: list[str], ids: dict[str, str], room: int
) -> Iterator[list[Any]]:
    new = {old: pattern.format(room=room) for old, pattern in ids.items()}
    unique = {column.name for column in table.primary_key} | {"place", "key", "digest"}
    for row in rows:
        values = []
        for name in names:
            value = row[name]
            if isinstance(value, str):
                given = value
                for old, other in new.items():
                    if old in given:
                        given = given.replace(old, other)
                if given == value and name in unique and name not in _KEPT:
                    given = f"{value}~{room}"
                value = given
            elif (
                name in _PLACES
                and isinstance(value, int)
                and {"remittance_id", "batch_id"} & set(names)
            ):
                value += _APART * (room + 1)
            values.append(value)
        yield values


_KEPT = frozenset({"batch_id", "step", "kind", "connection_id", "authorization_id"})
"""Parts of keys that name something that is not copied."""
