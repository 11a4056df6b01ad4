"""A letter to a payer and what is enclosed with it, as facts; how it looks is for documents."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from groupclaim.model.base import Instant, Record

Channel = Literal["upload", "fax", "mail", "hand"]
"""How a packet reaches a payer."""


class Row(Record):
    """One line of a table: what it is, and what it says."""

    label: str
    value: str


class Exhibit(Record):
    """Something enclosed: rows of facts, and text where the payer needs it."""

    title: str
    rows: tuple[Row, ...] = ()
    paragraphs: tuple[str, ...] = ()


class Letter(Record):
    """One letter of one claim. ``reference`` are the numbers by which the payer finds the claim;
    ``redistribution`` is the notice that goes with substance-use records (42 CFR Part 2)."""

    sender: Annotated[tuple[str, ...], Field(min_length=1)]
    addressee: Annotated[tuple[str, ...], Field(min_length=1)]
    written_on: date
    subject: str
    reference: tuple[Row, ...]
    paragraphs: tuple[str, ...]
    request: str
    signatory: str
    exhibits: tuple[Exhibit, ...] = ()
    redistribution: str | None = None


class Milestone(Record):
    """One station of a claim on its way to the payer, as proof of when it was filed."""

    at: Instant
    what: str
    reference: str
