"""What letters to payers say: texts by category of denial, as data, with places to be filled."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from string import Formatter
from typing import Annotated

from pydantic import Field, ValidationError

from groupclaim.model.base import InputRefused, Record, describe
from groupclaim.policy.payer import Cited
from groupclaim.policy.tables import packaged

PLACES = frozenset(
    {
        "level", "cause", "service_date", "starts_at", "clinician", "licence", "plan_frequency",
        "diagnoses", "minutes", "group_size", "note_signed_at", "lines", "authorization_sentence",
        "coverage_sentence", "filing_sentence", "limit_sentence",
    }
)  # fmt: skip
"""The words in braces that a text may hold."""


class LetterText(Cited):
    """One kind of letter; its texts hold :data:`PLACES` in braces. ``verified``: somebody has
    checked it against the current text of the rules that it names."""

    subject: Annotated[str, Field(min_length=1)]
    paragraphs: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    request: Annotated[str, Field(min_length=1)]


class _Letters(Record):
    letter: dict[str, LetterText]


@cache
def letter_text(category: str | None) -> LetterText:
    """The text for denials of ``category``; the general one where there is none of its own."""
    letters = read_letters((packaged() / "letters.toml").read_text(encoding="utf-8"))
    return letters.get(category or "default", letters["default"])


def read_letters(text: str) -> Mapping[str, LetterText]:
    """The texts by category. Raises :class:`InputRefused` with every problem."""
    try:
        letters = _Letters.model_validate(tomllib.loads(text)).letter
    except tomllib.TOMLDecodeError as error:
        raise InputRefused("letters.toml", [f"not TOML: {error}"]) from None
    except ValidationError as error:
        raise InputRefused("letters.toml", describe(error)) from None
    problems = [
        f"letter.{name}: there is no {{{place}}} to be filled"
        for name, item in letters.items()
        for part in (item.subject, *item.paragraphs, item.request)
        for _, place, _, _ in Formatter().parse(part)
        if place is not None and place not in PLACES
    ]
    if "default" not in letters:
        problems.append("letter.default: missing")
    if problems:
        raise InputRefused("letters.toml", problems)
    return letters
