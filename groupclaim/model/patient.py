"""A patient, what covers them, and what has been planned and authorized for them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from groupclaim.model.base import Dated, Instant, Name, Record, Reference
from groupclaim.model.money import Cents
from groupclaim.model.practice import Address, ProcedureCode

Diagnosis = Annotated[str, StringConstraints(pattern=r"^[A-TV-Z][0-9][0-9A-Z]{1,5}$")]
"""An ICD-10-CM code without its point, as claims carry it."""

MemberId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Z]{2,80}$")]


class Part2Consent(Record):
    """A patient's written consent to disclose substance-use records (42 CFR Part 2).

    ``scope``: treatment, payment and health care operations together, payment alone, or something
    that does not reach a payer. ``payers`` names those it is given for; none means any.
    ``until`` is its last day; ``revoked_on`` the day from which it no longer counts.
    """

    ref: Reference
    scope: Literal["treatment_payment_operations", "payment", "treatment"]
    payers: tuple[Reference, ...] = ()
    signed_on: date
    until: date | None = None
    revoked_on: date | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Part2Consent:
        if any(day is not None and day < self.signed_on for day in (self.until, self.revoked_on)):
            raise ValueError("ends before it was signed")
        return self

    def in_force(self, day: date) -> bool:
        return (
            self.signed_on <= day
            and (self.until is None or day <= self.until)
            and (self.revoked_on is None or day < self.revoked_on)
        )


class CardConsent(Record):
    """A patient's written consent to charge a card on file for their own share of each session.

    ``customer`` and ``payment_method`` are the card processor's tokens, never a card number;
    ``most_cents`` is the most that one charge may be. It counts from ``signed_on``; ``until`` is
    its last day, ``revoked_on`` the day from which it no longer counts.
    """

    customer: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,80}$")]
    payment_method: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,80}$")]
    most_cents: Annotated[Cents, Field(gt=0)]
    signed_on: date
    until: date | None = None
    revoked_on: date | None = None

    def in_force(self, day: date) -> bool:
        return (
            self.signed_on <= day
            and (self.until is None or day <= self.until)
            and (self.revoked_on is None or day < self.revoked_on)
        )


class Patient(Record):
    """``part2``: some of the patient's records are substance-use records under 42 CFR Part 2.
    ``card``: what may be charged without asking again. ``self_pay``: the patient pays for every
    session and nothing is told to a payer, as 45 CFR 164.522(a)(1)(vi) lets them ask."""

    ref: Reference
    first_name: Name
    last_name: Name
    birth_date: date
    sex: Literal["F", "M", "U"]
    address: Address
    part2: bool = False
    part2_consents: tuple[Part2Consent, ...] = ()
    card: CardConsent | None = None
    self_pay: bool = False


class Coverage(Dated):
    """A patient's insurance with one payer; ``priority`` 1 is billed first. ``referral`` is the
    number of the referral on file, where the payer asks for one. ``medicare_secondary`` says why
    Medicare pays after another payer (SBR05: 12 working aged, 13 kidney disease, 43 disabled, ...).
    """

    patient: Reference
    payer: Reference
    priority: Annotated[int, Field(ge=1, le=9)]
    member_id: MemberId
    group_number: str | None = None
    relationship: Literal["self"]
    medicare_secondary: Literal["12", "13", "14", "15", "16", "41", "42", "43", "47"] | None = None
    referral: Annotated[str, StringConstraints(pattern=r"^[0-9A-Z-]{1,50}$")] | None = None


class CoverageCall(Dated):
    """What a payer said by telephone, as evidence: who said it, when, under which reference.

    It counts for days of service from a first to a last day. ``authorization_required`` is Y, N or
    U (not said); ``visits_remaining`` and ``referral_required`` are None when not said.
    """

    patient: Reference
    payer: Reference
    reference: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,50}$")]
    person: Name
    called_at: Instant
    effective_to: Annotated[date, Field(alias="to")]
    active: bool
    authorization_required: Literal["Y", "N", "U"] = "U"
    copay_cents: Annotated[Cents, Field(ge=0)] | None = None
    coinsurance_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    visits_remaining: Annotated[int, Field(ge=0)] | None = None
    referral_required: bool | None = None


class TreatmentPlan(Record):
    """What the clinician planned. Medicare wants the type of therapy named: ``modality``.

    ``urgent``: the clinician says that to wait for a payer's standard decision could endanger the
    patient; an authorization is then asked for as urgent (42 CFR 422.570).
    """

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
    urgent: bool = False

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
