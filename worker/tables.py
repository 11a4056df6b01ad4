"""Rows as tables for a person, the same in every command, and the terminal that shows them."""

from __future__ import annotations

import unicodedata
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from groupclaim.model.money import Cents


class Terminal(Console):
    """Shows what others wrote as it stands: nothing in it is markup, and nothing is obeyed."""

    def __init__(self, *, width: int | None = None) -> None:
        super().__init__(width=width, markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(harmless(text), **options)


def harmless(text: str) -> str:
    """``text`` as a terminal may have it: a control character, or one that turns the direction of
    writing, which could come from a payer's file, stands as one that is missing (U+FFFD)."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(mark) in ("Cc", "Cf") and mark not in "\n\t"
        else mark
        for mark in text
    )


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
