"""An audit-defence binder: what is on record of a claim or a session, as one tagged PDF."""

from __future__ import annotations

import io
from datetime import date, datetime

import pypdf
from pydantic import BaseModel, ConfigDict

from groupclaim.documents.typeset import typeset
from groupclaim.model.letter import Exhibit, Row


class Part(BaseModel):
    """One claim of a binder, its sections in the order in which an auditor asks for them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    sections: tuple[Exhibit, ...]


class Binder(BaseModel):
    """``cover`` says what was asked for and by whom; ``notice`` is the one that goes with
    substance-use records (42 CFR Part 2), on each page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    prepared_on: date
    cover: tuple[Row, ...]
    parts: tuple[Part, ...]
    notice: str | None = None


def binder_pdf(binder: Binder, at: datetime) -> bytes:
    """The binder as a tagged PDF with an outline. The same binder ``at`` the same instant gives
    the same bytes."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(typeset("binder", binder, at)))
    writer.add_metadata({"/Title": binder.title, "/Producer": "groupclaim"})
    whole = io.BytesIO()
    writer.write(whole)
    return whole.getvalue()
