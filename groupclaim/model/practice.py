"""The practice and whom it deals with: locations, clinicians, payers, contracts, connections."""

from __future__ import annotations

from datetime import date, time
from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from groupclaim.model.approval import ApprovalLimit, overlapping
from groupclaim.model.base import Dated, Name, Record, Reference
from groupclaim.model.identity import Npi
from groupclaim.model.money import Cents


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("not a time zone of the IANA database") from None
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]
State = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
ZipCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{9}$")]
Taxonomy = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{9}X$")]
ProcedureCode = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{5}$")]
TelephoneNumber = Annotated[str, StringConstraints(pattern=r"^[0-9]{10}$")]


class Address(Record):
    """A street address in the United States, with the nine-digit ZIP code that claims need."""

    line: Annotated[str, StringConstraints(min_length=1, max_length=55)]
    city: Annotated[str, StringConstraints(min_length=2, max_length=30)]
    state: State
    zip: ZipCode


class Contact(Record):
    name: Name
    phone: TelephoneNumber


class AuditSampling(Record):
    """How often billed claims are drawn to be looked at again: of the services of each month,
    quarter or year (``months``), at most ``size``, ``after_days`` after it has ended."""

    months: Literal[1, 3, 12] = 1
    size: Annotated[int, Field(ge=2, le=500)] = 30
    after_days: Annotated[int, Field(ge=0, le=90)] = 15


class Practice(Record):
    """The billing provider. ``approvals``: who may decide about money, where the practice has other
    limits than those of ``groupclaim/policy/approvals.toml``. ``card_notice_days``: how long before
    a card is charged its owner is told; None: as ``patient_rights.toml`` says. ``audit_sampling``:
    null where no sample is drawn by itself."""

    ref: Reference
    name: Name
    npi: Npi
    tax_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{9}$")]
    taxonomy: Taxonomy
    time_zone: TimeZone
    address: Address
    contact: Contact
    audit_sampling: AuditSampling | None = AuditSampling()
    approvals: tuple[ApprovalLimit, ...] = ()
    card_notice_days: Annotated[int, Field(ge=0, le=60)] | None = None

    @model_validator(mode="after")
    def _one_limit_on_a_day(self) -> Practice:
        if twice := overlapping(self.approvals):
            raise ValueError(f"approvals: two limits on one day for {', '.join(twice)}")
        return self


class Location(Record):
    """Where groups meet. ``medicare_locality`` names the fee-schedule locality, as ``TX-31``;
    ``part2_programme``: a substance-use programme under 42 CFR Part 2 is held there."""

    ref: Reference
    name: Name
    address: Address
    place_of_service: Annotated[str, StringConstraints(pattern=r"^[0-9]{2}$")]
    medicare_locality: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}-[0-9]{2}$")]
    time_zone: TimeZone
    part2_programme: bool = False


class LicenceKind(StrEnum):
    """What a clinician is licensed as; payers price and accept by it."""

    PSYCHIATRIST = "psychiatrist"
    PSYCHOLOGIST = "psychologist"
    NURSE_PRACTITIONER = "nurse_practitioner"
    LCSW = "lcsw"
    LMFT = "lmft"
    LPC = "lpc"
    LPC_ASSOCIATE = "lpc_associate"


class Licence(Record):
    kind: LicenceKind
    state: State
    number: Annotated[str, StringConstraints(min_length=1, max_length=30)]
    valid_from: date
    valid_to: date

    def valid_on(self, day: date) -> bool:
        return self.valid_from <= day <= self.valid_to


class Enrolment(Dated):
    """From when until when a payer takes a clinician's claims (its credentialing)."""

    payer: Reference


class Clinician(Record):
    """A rendering provider. ``supervisor``: under whom somebody works who may not bill alone.

    ``enrolments`` are those with all payers; None where the practice does not keep them here."""

    ref: Reference
    first_name: Name
    last_name: Name
    npi: Npi
    taxonomy: Taxonomy
    licences: Annotated[tuple[Licence, ...], Field(min_length=1)]
    supervisor: Reference | None = None
    enrolments: tuple[Enrolment, ...] | None = None


_Hours = Annotated[int, Field(ge=1, le=24 * 60)]


class Connection(Record):
    """A clearinghouse that takes claims. Ready claims are cut into a batch at ``cutoff_local``.

    By when it answers a batch: hours from sending to its TA1 and its 999, and from the 999 to the
    payer's 277CA. What is not given is what the payer's policy expects.
    """

    ref: Reference
    sender_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2,15}$")]
    receiver_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2,15}$")]
    cutoff_local: time
    time_zone: TimeZone
    hours_to_ta1: _Hours = 4
    hours_to_999: _Hours | None = None
    hours_to_277ca: _Hours | None = None


class Payer(Record):
    """Who pays. ``policy`` names the dated rules it follows (``groupclaim/policy``)."""

    ref: Reference
    name: Name
    payer_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2,80}$")]
    policy: str
    filing_indicator: Literal["12", "13", "16", "BL", "CH", "CI", "HM", "MB", "MC", "ZZ"]
    connection: Reference


class Fee(Dated):
    """What the practice charges for a code, whoever pays."""

    code: ProcedureCode
    cents: Annotated[Cents, Field(gt=0)]


class ContractRate(Record):
    """A contracted amount; no ``licence``, ``setting`` or ``modifier`` means any."""

    code: ProcedureCode
    licence: LicenceKind | None = None
    setting: Literal["facility", "non_facility"] | None = None
    modifier: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2}$")] | None = None
    cents: Annotated[Cents, Field(gt=0)]


LicencePercent = dict[LicenceKind, Annotated[int, Field(ge=1, le=100)]]
"""What a contract pays by licence, in percent; a licence that is not named gets all."""


class FeeScheduleContract(Dated):
    """The payer allows the amounts listed here. ``licence_percent`` reduces a rate that is listed
    for any licence, never one that is listed for the licence itself."""

    payer: Reference
    method: Literal["fee_schedule"]
    rates: Annotated[tuple[ContractRate, ...], Field(min_length=1)]
    licence_percent: LicencePercent = Field(default_factory=dict)


class MedicareContract(Dated):
    """The payer allows what the Medicare physician fee schedule gives for the locality."""

    payer: Reference
    method: Literal["medicare_physician_fee_schedule"]


class PercentOfMedicareContract(Dated):
    """The payer allows a percentage of the Medicare fee, of the named ``year`` where the contract
    froze it, else of the year of service."""

    payer: Reference
    method: Literal["percent_of_medicare"]
    percent: Annotated[int, Field(ge=1, le=500)]
    year: Annotated[int, Field(ge=2020, le=2100)] | None = None
    licence_percent: LicencePercent = Field(default_factory=dict)


class PercentOfChargeContract(Dated):
    """The payer allows a percentage of what the practice charges."""

    payer: Reference
    method: Literal["percent_of_charge"]
    percent: Annotated[int, Field(ge=1, le=100)]


class PerDiemContract(Dated):
    """The payer pays a day as a whole; the codes in ``includes`` are paid with it, never apart."""

    payer: Reference
    method: Literal["per_diem"]
    includes: Annotated[tuple[ProcedureCode, ...], Field(min_length=1)]


Contract = Annotated[
    FeeScheduleContract
    | MedicareContract
    | PercentOfMedicareContract
    | PercentOfChargeContract
    | PerDiemContract,
    Field(discriminator="method"),
]
