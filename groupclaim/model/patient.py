"""A patient, what covers them, and what has been planned and authorized for them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from groupclaim.model.base import Instant, Name, Record, Reference
from groupclaim.model.practice import Address, Dated, ProcedureCode

Diagnosis = Annotated[str, StringConstraints(pattern=r"^[A-TV-Z][0-9][0-9A-Z]{1,5}$")]
"""An ICD-10-CM code without its point, as claims carry it."""

MemberId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2,80}$")]


class Patient(Record):
    ref: Reference
    first_name: Name
    last_name: Name
    birth_date: date
    sex: Literal["F", "M", "U"]
    address: Address


class Coverage(Dated):
    """A patient's insurance with one payer; ``priority`` 1 is billed first."""

    patient: Reference
    payer: Reference
    priority: Annotated[int, Field(ge=1, le=9)]
    member_id: MemberId
    group_number: str | None = None
    relationship: Literal["self"]


class TreatmentPlan(Record):
    """What the clinician planned. Medicare wants the type of therapy named: ``modality``."""

    patient: Reference
    ref: Reference
    diagnoses: Annotated[tuple[Diagnosis, ...], Field(min_length=1, max_length=12)]
    goals: Annotated[tuple[str, ...], Field(min_length=1)]
    modality: Literal["group", "individual", "group_and_individual"]
    frequency: str
    minutes: Annotated[int, Field(gt=0)]
    valid_from: date
    valid_to: date
    signed_at: Instant

    @model_validator(mode="after")
    def _ordered(self) -> TreatmentPlan:
        if self.valid_to < self.valid_from:
            raise ValueError("ends before it begins")
        return self

    def valid_on(self, day: date) -> bool:
        return self.valid_from <= day <= self.valid_to


class Authorization(Dated):
    """A prior authorization as the payer gave it: number, codes, clinician, units, dates."""

    patient: Reference
    payer: Reference
    number: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z-]{1,50}$")]
    codes: Annotated[tuple[ProcedureCode, ...], Field(min_length=1)]
    clinician: Reference | None = None
    units: Annotated[int, Field(ge=0)]
    used: Annotated[int, Field(ge=0)] = 0
    effective_to: Annotated[date, Field(alias="to")]

    @model_validator(mode="after")
    def _within_units(self) -> Authorization:
        if self.used > self.units:
            raise ValueError("more units used than authorized")
        return self
