"""The base of every record: frozen, strict about its fields, equal by value."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails


class Record(BaseModel):
    """A value that never changes once made; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Record):
    """What our own processes tell one another and keep for later.

    A field that a newer release has added is passed over by an older one, so that both can work
    side by side while one replaces the other.
    """

    model_config = ConfigDict(extra="ignore")


def _with_offset(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("needs a time zone offset, as in 2026-02-03T17:00:00-06:00")
    if not 1900 <= value.year < 2200:
        raise ValueError("a year from 1900 to 2199")
    return value


Instant = Annotated[datetime, AfterValidator(_with_offset)]
"""A moment with its offset; a local time without one is refused, and a year beyond any session."""

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
"""A person's or organisation's name; 60 characters is the longest that X12 NM103 carries."""

Reference = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]
"""The practice's own id of a thing. It may hold a person's name, so it never leaves the store."""


class Dated(Record):
    """Something in force from a first to a last day, both included; no last day is open-ended."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    effective_from: Annotated[date, Field(alias="from")]
    effective_to: Annotated[date | None, Field(alias="to")] = None

    @model_validator(mode="after")
    def _ordered(self) -> Dated:
        if self.effective_to is not None and self.effective_to < self.effective_from:
            raise ValueError("ends before it begins")
        return self

    def in_force(self, day: date) -> bool:
        return self.effective_from <= day and (
            self.effective_to is None or day <= self.effective_to
        )


class InputRefused(ValueError):
    """Input that cannot be taken: every problem at once, each with its field and reason.

    The texts name fields and rules, never the refused value: it may be a person's.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = problems
        super().__init__(
            f"{source}: {len(problems)} problem{'s' if len(problems) != 1 else ''}\n"
            + "\n".join(f"  {problem}" for problem in problems)
        )


R = TypeVar("R", bound=BaseModel)


def parse(record: type[R], data: Any, source: str) -> R:
    """``data`` as a ``record``, or :class:`InputRefused` naming each field and why."""
    try:
        return record.model_validate(data)
    except ValidationError as error:
        raise InputRefused(source, describe(error)) from None


def describe(error: ValidationError) -> list[str]:
    """One line for each refused field, without the refused values."""
    return describe_details(error.errors(include_input=False, include_url=False))


def describe_details(details: Iterable[ErrorDetails]) -> list[str]:
    """As :func:`describe`, of what a :class:`ValidationError` lists."""
    lines = []
    for detail in details:
        place = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]
        ).lstrip(".")
        lines.append(f"{place or 'input'}: {_reason(detail)}")
    return lines


def _reason(detail: ErrorDetails) -> str:
    if detail["type"] == "union_tag_invalid":  # its own text repeats the refused value
        field, tags = detail["ctx"]["discriminator"].strip("'"), detail["ctx"]["expected_tags"]
        return f"{field}: one of {tags}"
    return detail["msg"].removeprefix("Value error, ")
