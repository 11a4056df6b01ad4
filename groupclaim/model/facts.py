"""Everything on file about one claim, gathered for the rules to look at."""

from __future__ import annotations

from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from groupclaim.model.base import Instant, Record, Reference
from groupclaim.model.money import Cents
from groupclaim.model.patient import (
    Authorization,
    Coverage,
    CoverageCall,
    Patient,
    TreatmentPlan,
)
from groupclaim.model.practice import (
    Clinician,
    Contract,
    Fee,
    Location,
    Payer,
    Practice,
)
from groupclaim.model.session import Attendance, GroupSession, OtherService, RemotePart


class EligibilityAnswer(Record):
    """What the last 271 said of the day of service.

    ``authorization_required`` is EB11: Y, N or U (unknown). ``member_id`` is the one in force as
    the payer knows it. ``qualified_medicare_beneficiary``: no Medicare deductible, coinsurance or
    copay may be collected. ``visits_remaining`` is what the plan has left, None when not said.
    ``asked`` and ``asked_member_id`` are payer and member id of the coverage on file that was asked
    about: of another coverage, or a corrected one, the answer says nothing. ``carve_out`` is the
    payer on file to which it referred and which is billed instead. ``call`` is the reference of the
    telephone call that this answer rests on.
    """

    active: bool
    member_known: bool
    authorization_required: Literal["Y", "N", "U"]
    member_id: str | None
    group_number: str | None = None
    copay: Cents | None = None
    coinsurance_percent: int | None = None
    checked_at: Instant
    qualified_medicare_beneficiary: bool = False
    visits_remaining: int | None = None
    referral_required: bool | None = None
    asked: Reference | None = None
    asked_member_id: str | None = None
    carve_out: Reference | None = None
    call: str | None = None

    def is_about(self, coverage: Coverage) -> bool:
        """Whether this answers for ``coverage`` as it is on file now."""
        return (self.asked, self.asked_member_id) == (coverage.payer, coverage.member_id)


class ClaimFacts(Record):
    """One participant of one session with all that bears on billing it, as on file now.

    ``payer`` and ``coverage`` are None when nothing on file covers the day; ``eligibility`` is what
    was last answered about that coverage. ``group_size`` counts the patients treated in the room,
    whoever pays; None before attendance is final. ``remote`` is how the patient took part by the
    final attendance, where that differs from the session. ``supervisor`` is the clinician's, where
    the clinician has one. ``authorizations`` are all the patient's, whose ``used`` counts units
    that other claims hold. ``other_session_days`` are the days of the patient's other attended
    group sessions of the same calendar year, one entry a session. ``decided_on`` is the date of
    the payer's last decision that stands.
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
    note_withdrawn_at: Instant | None = None
    remote: RemotePart | None = None
    supervisor: Clinician | None = None
    coverage_calls: tuple[CoverageCall, ...] = ()
    other_session_days: tuple[date, ...] = ()
    decided_on: date | None = None

    @property
    def taken_part_remotely(self) -> RemotePart | None:
        """How the patient took part from elsewhere; None when they were in the room."""
        expected = (item for item in self.session.remote if item.patient == self.patient.ref)
        return self.remote or next(expected, None)

    @property
    def service_date(self) -> date:
        """The day of service where the session was held."""
        return self.session.starts_at.astimezone(ZoneInfo(self.location.time_zone)).date()
