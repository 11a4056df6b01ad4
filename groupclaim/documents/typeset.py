"""Typesetting: one of our templates and its data, to a tagged PDF that a screen reader can read."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from threading import Lock

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
    never read as markup. The same data ``at`` the same instant gives the same bytes. Raises
    :class:`typst.TypstError` when template and data do not fit.
    """
    with _ONE_AT_A_TIME:
        pages = _compiler().compile(
            input=str(_TEMPLATES / f"{template}.typ"),
            format="pdf",
            sys_inputs={"data": data.model_dump_json()},
            pdf_standards="ua-1",
            timestamp=at,
        )
    if not isinstance(pages, bytes):
        raise TypeError("typst gave no PDF")
    return pages
