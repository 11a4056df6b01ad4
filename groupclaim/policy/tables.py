"""The tables under ``tables/``: comma-separated files; each row is checked, with its line told.

A folder of one's own may hold ``tables/<name>.csv``; it then stands in for the one that comes with
groupclaim.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from groupclaim.model.base import InputRefused, Record, describe

Row = TypeVar("Row", bound=Record)

_MOST_BYTES = 50 * 1024 * 1024


def packaged() -> Traversable:
    """The folder of policies and tables that comes with groupclaim."""
    return resources.files("groupclaim.policy")


def read_table(name: str, row: type[Row], folder: Path | None = None) -> tuple[Row, ...]:
    """The rows of ``tables/<name>.csv``, from ``folder`` if it is there, else as packaged.

    Raises :class:`InputRefused` with every problem of the file: line, column, reason.
    """
    return parse_table(f"tables/{name}.csv", table_text(name, folder), row)


def table_text(name: str, folder: Path | None = None) -> str:
    own = folder / "tables" / f"{name}.csv" if folder is not None else None
    if own is not None and own.is_file():
        return read_text(own, f"tables/{name}.csv")
    return (packaged() / "tables" / f"{name}.csv").read_text(encoding="utf-8")


def read_text(place: Traversable, name: str) -> str:
    """The text of a file of policies, as ``name`` in the folder. Raises :class:`InputRefused`."""
    with place.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise InputRefused(name, [f"file: larger than {_MOST_BYTES // 1024**2} MB"])
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InputRefused(name, ["file: not UTF-8"]) from None


def parse_table(file: str, text: str, row: type[Row]) -> tuple[Row, ...]:
    """The rows of a table's ``text``. An empty cell is a value that is not given."""
    reader = csv.DictReader(text.splitlines())
    try:
        header = tuple(reader.fieldnames or ())
    except csv.Error:
        raise InputRefused(file, [f"{file}:1: a cell that is too long"]) from None
    problems = [
        f"{file}:1: {column}: unknown column" for column in header if column not in row.model_fields
    ] + [
        f"{file}:1: {column}: column missing"
        for column, field in row.model_fields.items()
        if field.is_required() and column not in header
    ]
    rows = []
    try:
        for values in reader if not problems else ():
            where = f"{file}:{reader.line_num}"
            if None in values or None in values.values():
                problems.append(f"{where}: has other columns than the first line")
                continue
            given = {column: value for column, value in values.items() if value != ""}
            try:
                rows.append(row.model_validate_strings(given))
            except ValidationError as error:
                problems += [f"{where}: {line}" for line in describe(error)]
    except csv.Error:
        problems.append(f"{file}:{reader.reader.line_num}: a cell that is too long")
    if problems:
        raise InputRefused(file, problems)
    return tuple(rows)


def write_table(name: str, rows: Iterable[Record], folder: Path) -> Path:
    """Write ``rows`` (at least one) as ``tables/<name>.csv`` under ``folder``, or nothing."""
    documents = [item.model_dump(mode="json") for item in rows]
    target = folder / "tables" / f"{name}.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".draft")
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(documents[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(documents)
    draft.replace(target)
    return target
