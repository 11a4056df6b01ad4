"""What is asked for by a 278, and what the payer decides."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from groupclaim.model.base import Instant, Record


class RequestState(StrEnum):
    """Where one request stands.

    NEW: written down, and nothing has left, or the payer has said that it took nothing. ASKING: it
    may have left and no answer is known; only an inquiry tells. PENDED: the payer has it and will
    decide. The others are answers: CALL that the payer decides by telephone or portal alone,
    NOT_NEEDED that no authorization is needed, UNUSABLE that the request cannot be worked on as it
    is, so that one with other content may follow.
    """

    NEW = "new"
    ASKING = "asking"
    PENDED = "pended"
    CERTIFIED = "certified"
    REFUSED = "refused"
    CALL = "call"
    NOT_NEEDED = "not_needed"
    UNUSABLE = "unusable"


OPEN_REQUESTS = frozenset({RequestState.NEW, RequestState.ASKING, RequestState.PENDED})


class RequestedAuthorization(Record):
    """A series of sessions to be authorized, both days included.

    ``extends`` is the number of the authorization whose units are used up: then an extension (UM02
    4) is asked for, else an initial one (I).
    """

    units: Annotated[int, Field(gt=0)]
    first_day: date
    last_day: date
    urgent: bool = False
    extends: str | None = None

    @property
    def certification(self) -> Literal["I", "4"]:
        return "4" if self.extends else "I"


class AuthorizationDecision(Record):
    """What one 278 of the payer says.

    ``action`` is HCR01: A1 certified in total, A2 in part, A3 not certified, A4 pended, A6
    modified, C cancelled, CT contact the payer, NA no action required; empty when nothing was
    decided: then ``rejections`` (AAA03) and ``follow_ups`` (AAA04) say why. ``reason`` is HCR03.
    ``units`` and days are those certified, None where the payer leaves them as asked for.
    ``clinician_npi`` is set where it certified one clinician alone.
    """

    at: Instant
    action: str = ""
    number: str | None = None
    reason: str = ""
    units: int | None = None
    first_day: date | None = None
    last_day: date | None = None
    clinician_npi: str | None = None
    rejections: tuple[str, ...] = ()
    follow_ups: tuple[str, ...] = ()

    @property
    def unknown_request(self) -> bool:
        """The payer says that it has no such request (AAA03 AA)."""
        return not self.action and "AA" in self.rejections
