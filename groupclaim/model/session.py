"""A group session: who was invited, who came, what each note holds."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from groupclaim.model.base import Instant, Record, Reference
from groupclaim.model.money import Cents
from groupclaim.model.practice import ProcedureCode


class OtherService(Record):
    """Something else the patient had that day, here or elsewhere."""

    patient: Reference
    code: ProcedureCode
    starts_at: Instant
    ends_at: Instant
    clinician: Reference | None = None
    billed_elsewhere: bool = False


class GroupSession(Record):
    """A session as scheduled. ``roster`` lists the patients invited."""

    ref: Reference
    location: Reference
    clinician: Reference
    starts_at: Instant
    ends_at: Instant
    mode: Literal["in_person"]
    topic: str
    roster: Annotated[tuple[Reference, ...], Field(min_length=1, max_length=50)]
    other_services: tuple[OtherService, ...] = ()

    @model_validator(mode="after")
    def _plausible(self) -> GroupSession:
        problems = []
        if self.ends_at <= self.starts_at:
            problems.append("ends_at: not after starts_at")
        repeated = {ref for ref in self.roster if self.roster.count(ref) > 1}
        if repeated:
            problems.append(f"roster: {len(repeated)} patients are listed more than once")
        if problems:
            raise ValueError("; ".join(problems))
        return self


class Attendance(StrEnum):
    ATTENDED = "attended"
    NO_SHOW = "no_show"
    EXCUSED = "excused"


class Participant(Record):
    """What became of one invited patient."""

    patient: Reference
    status: Attendance
    minutes: Annotated[int, Field(ge=0, le=600)] = 0
    copay_cents: Annotated[Cents, Field(ge=0)] = Cents(0)

    @model_validator(mode="after")
    def _minutes_when_attended(self) -> Participant:
        if (self.minutes > 0) != (self.status is Attendance.ATTENDED):
            raise ValueError("minutes: above zero exactly when the patient attended")
        return self


class AttendanceList(Record):
    """The final attendance of a session; a later list corrects an earlier one."""

    session: Reference
    participants: Annotated[tuple[Participant, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> AttendanceList:
        patients = [item.patient for item in self.participants]
        if len(set(patients)) != len(patients):
            raise ValueError("participants: a patient is listed more than once")
        return self


class ProgressNote(Record):
    """One patient's note of one session, as the record system holds it.

    Its text is read when it is checked, shown or sent, and never stored by us. Fields are optional
    here because an incomplete note is a finding, not bad input.
    """

    clinician: Reference | None = None
    start_time: datetime | None = None
    stop_time: datetime | None = None
    attended: bool | None = None
    group_size: int | None = None
    topic: str = ""
    intervention: str = ""
    diagnosis: str = ""
    participation: str = ""
    progress: str = ""
    goal: str = ""
    necessity: str = ""
    credential: str = ""
    signed_by: Reference | None = None
    signed_at: datetime | None = None
    location_or_mode: str = ""
