"""Places of service and modifiers that groupclaim knows, in its own words."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Literal

from pydantic import StringConstraints

from groupclaim.model.base import Record
from groupclaim.policy.tables import read_table


class PlaceOfService(Record):
    """``facility``: the fee schedule prices services there with the facility's practice expense."""

    code: Annotated[str, StringConstraints(pattern=r"^\d{2}$")]
    meaning: str
    facility: bool


class ModifierMeaning(Record):
    code: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2}$")]
    kind: Literal["distinct", "evaluation", "telehealth", "degree", "programme", "notice"]
    meaning: str


@cache
def places_of_service() -> dict[str, PlaceOfService]:
    return {item.code: item for item in read_table("places_of_service", PlaceOfService)}


@cache
def modifiers() -> dict[str, ModifierMeaning]:
    return {item.code: item for item in read_table("modifiers", ModifierMeaning)}
