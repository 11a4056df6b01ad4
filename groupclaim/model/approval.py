"""Who may decide about money given up, paid back or claimed in a letter: limits by role, dated."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from groupclaim.model.base import Dated
from groupclaim.model.money import Cents


class Role(StrEnum):
    """What somebody who has been let in is there for."""

    VIEWER = "viewer"
    BILLER = "biller"
    CLINICIAN = "clinician"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"


class Decision(StrEnum):
    """What takes an approval. ``WRITE_OFF``: what a payer owes is given up. ``REVIEW_RELEASE``: a
    claim goes on although its payment is off. ``DISPUTE_END``: a dispute ends with something of it
    open. ``REFUND``: money goes back to a patient or a payer. ``LETTER``: an appeal, documents or a
    dispute go to the payer."""

    WRITE_OFF = "write_off"
    REVIEW_RELEASE = "review_release"
    DISPUTE_END = "dispute_end"
    REFUND = "refund"
    LETTER = "letter"


_Amount = Annotated[Cents, Field(ge=0)]


class ApprovalLimit(Dated):
    """Up to which amount each role decides, in cents; a role that is not named does not. Above
    ``second_above`` a second person must agree; None: one is enough, whatever the amount."""

    decision: Decision
    roles: Annotated[dict[Role, _Amount | Literal["any"]], Field(min_length=1)]
    second_above: _Amount | None = None


def overlapping(limits: tuple[ApprovalLimit, ...]) -> list[str]:
    """The decisions for which two limits would be in force on one day."""
    found = []
    for place, one in enumerate(limits):
        for other in limits[:place]:
            if one.decision is other.decision and (
                one.in_force(other.effective_from) or other.in_force(one.effective_from)
            ):
                found.append(one.decision.value)
    return sorted(set(found))
