"""A letter to a payer with its exhibits, as one packet: typeset by us, assembled page by page."""

from __future__ import annotations

import io
from datetime import datetime

import pypdf
from pydantic import BaseModel

from groupclaim.documents.typeset import typeset
from groupclaim.model.letter import Exhibit, Letter


class _Enclosed(BaseModel):
    """An exhibit as its page shows it; ``letter`` is A, B, C."""

    mark: str
    reference: str
    exhibit: Exhibit
    redistribution: str | None


def packet(letter: Letter, at: datetime) -> bytes:
    """The PDF that is sent: the letter, then each exhibit, with an outline.

    The same letter ``at`` the same instant gives the same bytes. What comes from outside is shown
    as it stands, never read as markup.
    """
    parts = [("Letter", typeset("appeal", letter, at))]
    number = next((row.value for row in letter.reference if row.label == "Our claim number"), "")
    for place, exhibit in enumerate(letter.exhibits):
        mark = chr(ord("A") + place)
        enclosed = _Enclosed(
            mark=mark,
            reference=number,
            exhibit=exhibit,
            redistribution=letter.redistribution,
        )
        parts.append((f"{mark}: {exhibit.title}", typeset("exhibit", enclosed, at)))
    writer = pypdf.PdfWriter()
    for title, pages in parts:
        writer.append(io.BytesIO(pages), outline_item=title)
    writer.add_metadata({"/Title": letter.subject, "/Producer": "groupclaim"})
    assembled = io.BytesIO()
    writer.write(assembled)
    return assembled.getvalue()


def text_of(pages: bytes) -> str:
    """What a reader of the finished PDF can read, page by page."""
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pages)).pages)
