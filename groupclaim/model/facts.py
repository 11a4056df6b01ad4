"""Everything on file about one claim, gathered for the rules to look at."""

from __future__ import annotations

from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from groupclaim.model.base import Instant, Record
from groupclaim.model.money import Cents
from groupclaim.model.patient import Authorization, Coverage, Patient, TreatmentPlan
from groupclaim.model.practice import (
    Clinician,
    Contract,
    Fee,
    Location,
    Payer,
    Practice,
)
from groupclaim.model.session import Attendance, GroupSession, OtherService


class EligibilityAnswer(Record):
    """What the last 271 said of the day of service.

    ``authorization_required`` is EB11: Y, N or U (unknown). ``member_id`` is the one in force as
    the payer knows it.
    """

    active: bool
    member_known: bool
    authorization_required: Literal["Y", "N", "U"]
    member_id: str | None
    group_number: str | None = None
    copay: Cents | None = None
    coinsurance_percent: int | None = None
    checked_at: Instant


class ClaimFacts(Record):
    """One participant of one session with all that bears on billing it, as on file now.

    ``group_size`` counts the patients treated in the room, whoever pays; None before attendance is
    final. ``payer`` and ``coverage`` are None when nothing on file covers the day.
    """

    claim_number: str
    session_id: str
    patient_id: str
    practice: Practice
    location: Location
    clinician: Clinician
    session: GroupSession
    patient: Patient
    payer: Payer | None
    coverage: Coverage | None
    eligibility: EligibilityAnswer | None
    plan: TreatmentPlan | None
    authorizations: tuple[Authorization, ...]
    contracts: tuple[Contract, ...]
    fees: tuple[Fee, ...]
    other_services: tuple[OtherService, ...]
    attendance: Attendance | None
    minutes: int
    copay_paid: Cents
    group_size: int | None
    note_signed_at: Instant | None

    @property
    def service_date(self) -> date:
        """The day of service where the session was held."""
        return self.session.starts_at.astimezone(ZoneInfo(self.location.time_zone)).date()
