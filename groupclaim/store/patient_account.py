"""One patient's account: what each session cost, who paid, what is left, and what it was for.

Reads one patient's claims and nobody else's. What a patient owes is the ledger's word alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, case, func, select

from groupclaim.lifecycle.state import Stage
from groupclaim.model.base import InputRefused
from groupclaim.model.claim import ClaimVersion
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.money import Cents
from groupclaim.model.patient import Patient, TreatmentPlan
from groupclaim.model.practice import Clinician, Fee, Location, Practice
from groupclaim.model.session import Attendance
from groupclaim.store.claims import read_version
from groupclaim.store.database import Reading
from groupclaim.store.ledger import Account, balances
from groupclaim.store.practice import UnknownRecord, claim_facts, open_all, read_practice
from groupclaim.store.schema import (
    claim,
    clinician,
    fee,
    location,
    participant,
    patient,
    transfer,
    treatment_plan,
)

SETTLED_STAGES = frozenset({Stage.PATIENT_BALANCE, Stage.CLOSED, Stage.NOT_BILLABLE})
"""Every payer has decided, and what they owe is settled; or none is asked."""

_REFUND_DUE = "REFUND_DUE"


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One claim of the patient. ``settled``: no payer's decision is awaited or in question.

    ``charge`` = ``insurance_paid`` + ``adjustments`` + ``share`` where it is settled; ``share``
    less ``patient_paid`` is what the patient owes, below zero what they are owed.
    """

    claim_number: str
    service_date: date
    settled: bool
    charge: Cents
    insurance_paid: Cents
    adjustments: Cents
    share: Cents
    patient_paid: Cents

    @property
    def balance(self) -> Cents:
        return self.share - self.patient_paid


async def account(reading: Reading, patient_id: str) -> tuple[AccountLine, ...]:
    """The patient's claims that something was charged or paid for or that a payer may still decide,
    the oldest first. Raises :class:`UnknownRecord`."""
    if await reading.first(select(patient.c.id).where(patient.c.id == patient_id)) is None:
        raise UnknownRecord("patient")
    rows = await reading.rows(
        select(claim.c.claim_number, claim.c.service_date, claim.c.stage, claim.c.hold_code)
        .join(participant, participant.c.claim_number == claim.c.claim_number)
        .where(claim.c.patient_id == patient_id, participant.c.attendance == Attendance.ATTENDED)
        .order_by(claim.c.service_date, claim.c.claim_number)
    )
    numbers = [row.claim_number for row in rows]
    money = await balances(reading, numbers)
    moved = await _moved(reading, numbers)
    lines = []
    for row in rows:
        open_now = money[row.claim_number]
        insurance, patient_paid = moved.get(row.claim_number, (Cents(0), Cents(0)))
        share = open_now.patient_open + patient_paid
        lines.append(
            AccountLine(
                claim_number=row.claim_number,
                service_date=row.service_date,
                settled=row.stage in SETTLED_STAGES and row.hold_code in (None, _REFUND_DUE),
                charge=open_now.charge,
                insurance_paid=insurance,
                adjustments=open_now.charge - insurance - share - open_now.payer_open,
                share=share,
                patient_paid=patient_paid,
            )
        )
    return tuple(lines)


async def _moved(reading: Reading, numbers: list[str]) -> dict[str, tuple[Cents, Cents]]:
    """What insurance and patient have paid for each claim, less what went back."""

    def net(account: Account) -> ColumnElement[int]:
        signed = case(
            (transfer.c.debit == account.value, transfer.c.cents),
            (transfer.c.credit == account.value, -transfer.c.cents),
            else_=0,
        )
        return func.coalesce(func.sum(signed), 0)

    rows = await reading.rows(
        select(
            transfer.c.claim_number,
            net(Account.CLEARING).label("clearing"),
            net(Account.PATIENT_CASH).label("cash"),
        )
        .where(transfer.c.claim_number.in_(numbers))
        .group_by(transfer.c.claim_number)
    )
    return {row.claim_number: (Cents(int(row.clearing)), Cents(int(row.cash))) for row in rows}


@dataclass(frozen=True, slots=True)
class ServiceGiven:
    """One attended session with its signed note; ``version`` is what was last billed of it."""

    facts: ClaimFacts
    version: ClaimVersion | None


async def services_given(
    reading: Reading, patient_id: str, first: date, last: date
) -> tuple[ServiceGiven, ...]:
    """The patient's services from ``first`` to ``last`` that a signed note supports, oldest first.

    A session that may not be billed as group therapy is not among them.
    """
    rows = await reading.rows(
        select(claim.c.claim_number, claim.c.version)
        .join(participant, participant.c.claim_number == claim.c.claim_number)
        .where(
            claim.c.patient_id == patient_id,
            claim.c.service_date >= first,
            claim.c.service_date <= last,
            participant.c.attendance == Attendance.ATTENDED,
            participant.c.not_billable.is_(None),
        )
        .order_by(claim.c.service_date, claim.c.claim_number)
    )
    found = []
    for row in rows:
        facts = await claim_facts(reading, row.claim_number)
        if facts.note_signed_at is None:
            continue
        version = (
            await read_version(reading, row.claim_number, row.version) if row.version else None
        )
        found.append(ServiceGiven(facts, version))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class EstimateFacts:
    """What a good-faith estimate is made of; ``plan`` is the patient's, if one is valid then."""

    patient: Patient
    practice: Practice
    clinician: Clinician
    location: Location
    fee: Fee | None
    plan: TreatmentPlan | None


async def estimate_facts(
    reading: Reading, patient_ref: str, clinician_ref: str, location_ref: str, code: str, day: date
) -> EstimateFacts:
    """The practice's own records by their ids, with the fee for ``code`` and the plan of ``day``.

    Raises :class:`InputRefused` naming every id that is not on file.
    """
    keys = reading.keyring
    people = await open_all(reading, patient, Patient, patient.c.id == keys.patient_id(patient_ref))
    clinicians = await open_all(
        reading, clinician, Clinician, clinician.c.id == keys.opaque("clinician", clinician_ref)
    )
    places = await open_all(
        reading, location, Location, location.c.id == keys.opaque("location", location_ref)
    )
    problems = [
        f"{name}: no such record"
        for name, found in (("patient", people), ("clinician", clinicians), ("location", places))
        if not found
    ]
    if problems:
        raise InputRefused("estimate", problems)
    fees = [
        item for item in await open_all(reading, fee, Fee, fee.c.code == code) if item.in_force(day)
    ]
    plans = await open_all(
        reading,
        treatment_plan,
        TreatmentPlan,
        treatment_plan.c.patient_id == keys.patient_id(patient_ref),
        treatment_plan.c.valid_from <= day,
        treatment_plan.c.valid_to >= day,
    )
    return EstimateFacts(
        patient=people[0],
        practice=await read_practice(reading),
        clinician=clinicians[0],
        location=places[0],
        fee=max(fees, key=lambda item: item.effective_from, default=None),
        plan=max(plans, key=lambda item: (item.signed_at, item.ref), default=None),
    )


async def read_patient(reading: Reading, patient_id: str) -> Patient:
    """The patient's own record. Raises :class:`UnknownRecord`."""
    found = await open_all(reading, patient, Patient, patient.c.id == patient_id)
    if not found:
        raise UnknownRecord("patient")
    return found[0]
