"""A claim's versions and lines, and what a remittance says of one."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from groupclaim.model.base import Record
from groupclaim.model.facts import EligibilityAnswer
from groupclaim.model.money import Cents
from groupclaim.model.patient import Coverage
from groupclaim.model.practice import Address, Payer, ProcedureCode, Taxonomy

Modifier = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2}$")]

ORIGINAL: Literal["1"] = "1"
REPLACEMENT: Literal["7"] = "7"
VOID: Literal["8"] = "8"


class ClaimLine(Record):
    """One service line. ``line_control_number`` comes back in 835 and 277CA (REF*6R)."""

    line_control_number: str
    code: ProcedureCode
    modifiers: Annotated[tuple[Modifier, ...], Field(max_length=4)] = ()
    charge: Annotated[Cents, Field(gt=0)]
    units: Annotated[int, Field(gt=0)]
    place_of_service: str
    diagnosis_pointers: Annotated[tuple[int, ...], Field(min_length=1, max_length=4)]
    service_date: date


class Subscriber(Record):
    """The insured patient as a claim names them. ``member_id`` is the payer's own where it has
    corrected the one on file."""

    last_name: str
    first_name: str
    birth_date: date
    sex: Literal["F", "M", "U"]
    address: Address
    member_id: str
    group_number: str | None


class Rendering(Record):
    """The clinician whom a claim names as having given the service (2310B)."""

    last_name: str
    first_name: str
    npi: str
    taxonomy: Taxonomy


class Facility(Record):
    """Where the service was given, when that is not the billing provider's address (2310C)."""

    name: str
    address: Address


class ClaimParties(Record):
    """To whom and of whom a version of a claim speaks, as on file when it was made.

    What follows from the claim later (the same bytes again, deadlines, denials, audits) is read
    from here: coverage and policies on file may have changed since. ``policy_from`` and
    ``policy_version`` name the edition of the payer's policy that was in force. ``coverage`` and
    ``answer`` are what member id and group number were taken from. ``note`` is the claim note.
    """

    payer: Payer
    policy_from: date
    policy_version: str
    coverage: Coverage
    answer: EligibilityAnswer | None
    subscriber: Subscriber
    rendering: Rendering
    facility: Facility | None = None
    note: str = ""


class Attachment(Record):
    """Documents that a claim announces (PWK): what kind, how they travel, and the control number
    that stands on the packet itself."""

    report_type: str
    transmission: Literal["BM", "EL", "FX"]
    control_number: Annotated[str, StringConstraints(min_length=2, max_length=50)]


class Adjustment(Record):
    """Why less than the charge was paid. ``group``: CO, PR, OA, PI or CR; ``reason``: a CARC."""

    group: str
    reason: str
    cents: Cents


class PriorLine(Record):
    """What a payer before decided on the line of the same place in the claim."""

    paid: Cents
    code: str
    modifiers: tuple[str, ...]
    adjustments: tuple[Adjustment, ...]


class PriorDecision(Record):
    """What a payer before decided of the whole claim, in its own figures: the next one is told so.

    ``paid`` + all adjustments are the charge. ``adjustments`` are those of no line; ``lines`` are
    as many as the claim has, in its order.
    """

    payer: Payer
    coverage: Coverage
    member_id: str
    group_number: str | None
    decided_on: date
    paid: Cents
    payer_claim_number: str | None
    adjustments: tuple[Adjustment, ...]
    lines: Annotated[tuple[PriorLine, ...], Field(min_length=1)]


class ClaimVersion(Record):
    """What one version of a claim says; one that has been put into a batch never changes.

    ``payer_sequence``: 1 where the payer is billed first, 2 where after one other; ``prior`` are
    the decisions of those before it, the first payer's first. ``attachments`` went to the payer
    apart from the claim. ``made_by`` is the number of the claim's step that made it,
    ``note_digest`` tells which text of the note it was made with.
    """

    claim_number: str
    version: Annotated[int, Field(ge=1)]
    control_number: str
    parties: ClaimParties
    payer_sequence: Annotated[int, Field(ge=1, le=3)] = 1
    prior: tuple[PriorDecision, ...] = ()
    frequency: Literal["1", "7", "8"]
    original_reference: str | None = None
    prior_authorization: str | None = None
    diagnoses: Annotated[tuple[str, ...], Field(min_length=1, max_length=12)]
    place_of_service: str
    patient_paid: Annotated[Cents, Field(ge=0)] = Cents(0)
    attachments: Annotated[tuple[Attachment, ...], Field(max_length=10)] = ()
    lines: Annotated[tuple[ClaimLine, ...], Field(min_length=1, max_length=50)]
    made_by: Annotated[int, Field(ge=0)] = 0
    note_digest: str | None = None

    @model_validator(mode="after")
    def _refers_to_what_it_replaces(self) -> ClaimVersion:
        if (self.frequency != ORIGINAL) != (self.original_reference is not None):
            raise ValueError("original_reference: given exactly when a claim is replaced or voided")
        if len(self.prior) != self.payer_sequence - 1:
            raise ValueError("prior: needs one decision of each payer before")
        if any(len(decision.lines) != len(self.lines) for decision in self.prior):
            raise ValueError("prior: a decision has as many lines as the claim")
        return self

    @property
    def charge(self) -> Cents:
        return Cents(sum(line.charge for line in self.lines))


class LinePayment(Record):
    """What one remittance says of one service line. ``position`` counts from 1; ``units`` are those
    paid, None when not said; ``allowed`` is AMT*B6."""

    position: int
    code: str
    modifiers: tuple[str, ...] = ()
    units: int | None = None
    charge: Cents
    paid: Cents
    allowed: Cents | None
    line_control_number: str = ""
    adjustments: tuple[Adjustment, ...] = ()


class ClaimPayment(Record):
    """What one remittance says of one claim version, in figures. ``adjustments`` are those of the
    claim itself and of all its lines; ``lines`` are as the payer wrote them, if it did. ``version``
    is the one of ours that it means; ``payer_sequence`` is the deciding payer's place in the order
    of billing."""

    remittance_id: int
    position: int
    control_number: str
    status: str
    charge: Cents
    paid: Cents
    patient: Cents
    allowed: Cents | None
    payer_claim_number: str | None
    adjustments: tuple[Adjustment, ...]
    remarks: tuple[str, ...] = ()
    lines: tuple[LinePayment, ...] = ()
    version: Annotated[int, Field(ge=1)] | None = None
    payer_sequence: Annotated[int, Field(ge=1, le=3)] = 1

    @property
    def by_line(self) -> bool:
        """Whether each amount stands at a line: nothing was adjusted at the claim as a whole."""
        at_lines = sum(len(line.adjustments) for line in self.lines)
        return bool(self.lines) and at_lines == len(self.adjustments)

    def adjusted(self, group: str) -> Cents:
        """The sum of this payment's adjustments of one group code."""
        return Cents(sum(item.cents for item in self.adjustments if item.group == group))
