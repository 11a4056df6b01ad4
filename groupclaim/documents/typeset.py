"""Typesetting: one of our templates and its data, to a tagged PDF that a screen reader can read."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import typst
from pydantic import BaseModel

_TEMPLATES = Path(__file__).parent / "templates"

_ONE_AT_A_TIME = Lock()
"""A compiler asked by a second thread while it works refuses."""


@cache
def _compiler() -> typst.Compiler:
    """Sees the templates' folder alone, and no fonts of the machine: the same pages everywhere."""
    return typst.Compiler(root=str(_TEMPLATES), ignore_system_fonts=True)


def typeset(template: str, data: BaseModel, at: datetime) -> bytes:
    """The PDF (PDF/UA-1, tagged) of ``templates/<template>.typ`` filled with ``data``.

    The template finds ``data`` as JSON in ``sys.inputs.data``; text in it is shown as it stands,
    never read as markup. A character that no font here has is shown as one that is missing
    (U+FFFD). The same data ``at`` the same instant gives the same bytes. Raises
    :class:`typst.TypstError` when template and data do not fit.
    """
    given = data.model_dump_json()
    try:
        return _compiled(template, given, at)
    except typst.TypstError as error:
        shown = _without_missing(given, str(error.diagnostic))
        if shown == given:
            raise
    return _compiled(template, shown, at)


def _compiled(template: str, data: str, at: datetime) -> bytes:
    with _ONE_AT_A_TIME:
        pages = _compiler().compile(
            input=str(_TEMPLATES / f"{template}.typ"),
            format="pdf",
            sys_inputs={"data": data},
            pdf_standards="ua-1",
            timestamp=at,
        )
    if not isinstance(pages, bytes):
        raise TypeError("typst gave no PDF")
    return pages


_MISSING = "\N{REPLACEMENT CHARACTER}"


def _without_missing(data: str, said: str) -> str:
    """``data`` without the characters that the compiler ``said`` it cannot display: PDF/UA takes no
    page with such a one, and one in a name or a reason would keep a whole packet from being made.
    """
    read = json.loads(data)
    missing = {
        ord(mark): _MISSING
        for mark in set(_marks(read))
        if not (mark.isascii() and mark.isprintable())
        and (mark in said or f"\\u{{{ord(mark):x}}}" in said)
    }
    return json.dumps(_translated(read, missing)) if missing else data


def _marks(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(map(_marks, value.values()))
    if isinstance(value, list):
        return "".join(map(_marks, value))
    return value if isinstance(value, str) else ""


def _translated(value: Any, table: dict[int, str]) -> Any:
    if isinstance(value, dict):
        return {key: _translated(item, table) for key, item in value.items()}
    if isinstance(value, list):
        return [_translated(item, table) for item in value]
    return value.translate(table) if isinstance(value, str) else value
