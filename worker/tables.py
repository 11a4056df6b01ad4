"""Rows as tables for a person, the same in every command."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.table import Table

from groupclaim.model.money import Cents


def table(rows: list[dict[str, Any]], title: str = "") -> Table:
    """The rows for a person: amounts in dollars, ids whole."""
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE)
    for column in rows[0] if rows else ("nothing",):
        amount = column.endswith("_cents")
        table.add_column(
            column.removesuffix("_cents").replace("_", " "),
            justify="right" if amount else "left",
            no_wrap=amount or column.endswith(("_id", "_number", "_at", "_date", "_on")),
        )
    for row in rows:
        table.add_row(*(_cell(column, value) for column, value in row.items()))
    return table


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    return str(Cents(value)) if column.endswith("_cents") else str(value)
