"""A group session: who was invited, who came, what each note holds."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from groupclaim.model.base import Instant, Record, Reference
from groupclaim.model.money import Cents
from groupclaim.model.practice import ProcedureCode, State


class OtherService(Record):
    """Something else the patient had that day, here or elsewhere.

    ``separate_note``: it has a signed note of its own, with goals and interventions that are not
    the group's. Unless it is ``billed_elsewhere``, it then goes on the same claim.
    """

    patient: Reference
    code: ProcedureCode
    starts_at: Instant
    ends_at: Instant
    clinician: Reference | None = None
    billed_elsewhere: bool = False
    separate_note: bool = False

    @property
    def minutes(self) -> int:
        return int((self.ends_at - self.starts_at).total_seconds() // 60)


class RemotePart(Record):
    """How and from where a patient took part who was not in the room.

    ``state`` is where the patient was; ``consented`` that they agreed to a group by this medium.
    """

    medium: Literal["audio_video", "audio_only"]
    place: Literal["home", "elsewhere"]
    state: State | None = None
    consented: bool = False


class RemoteParticipant(RemotePart):
    """Who is expected to take part remotely, and how."""

    patient: Reference


class Family(Record):
    """One family in a group of families; the service is billed once, on ``billed``."""

    billed: Reference
    members: Annotated[tuple[Reference, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _billed_is_a_member(self) -> Family:
        if self.billed not in self.members:
            raise ValueError("billed: not one of the members")
        return self


class Activity(StrEnum):
    """What the group did. Only the first two are psychotherapy."""

    PSYCHOTHERAPY = "psychotherapy"
    FAMILY_PSYCHOTHERAPY = "family_psychotherapy"
    EDUCATION = "education"
    SUPPORT = "support"
    SUBSTANCE_USE_COUNSELLING = "substance_use_counselling"
    RECREATION = "recreation"
    DAILY_LIVING = "daily_living"


class GroupSession(Record):
    """A session as scheduled. ``roster`` lists the patients invited.

    ``remote`` lists who takes part from elsewhere, in a session that is not ``in_person``.
    ``families`` groups the roster where the activity is psychotherapy of several families.
    ``units`` is what the practice's own system would bill per patient; ``interactive_complexity``
    lists for whom it would add 90785; ``after_hours`` the code it would add for the hour.
    ``part2_programme``: the session belongs to a substance-use programme under 42 CFR Part 2.
    ``led_by``: who was in the room to lead it, where that was not the clinician.
    """

    ref: Reference
    location: Reference
    clinician: Reference
    starts_at: Instant
    ends_at: Instant
    mode: Literal["in_person", "telehealth", "mixed"]
    topic: str
    roster: Annotated[tuple[Reference, ...], Field(min_length=1, max_length=50)]
    other_services: tuple[OtherService, ...] = ()
    activity: Activity = Activity.PSYCHOTHERAPY
    remote: tuple[RemoteParticipant, ...] = ()
    families: tuple[Family, ...] = ()
    units: Annotated[int, Field(ge=1, le=20)] = 1
    interactive_complexity: tuple[Reference, ...] = ()
    after_hours: Literal["99050", "99051"] | None = None
    part2_programme: bool = False
    led_by: Literal["clinician", "peer", "unlicensed_facilitator"] = "clinician"

    @model_validator(mode="after")
    def _plausible(self) -> GroupSession:
        problems = self._inconsistent_details()
        if self.ends_at <= self.starts_at:
            problems.append("ends_at: not after starts_at")
        repeated = {ref for ref in self.roster if self.roster.count(ref) > 1}
        if repeated:
            problems.append(f"roster: {len(repeated)} patients are listed more than once")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _inconsistent_details(self) -> list[str]:
        problems = []
        invited, remote = set(self.roster), [item.patient for item in self.remote]
        if len(set(remote)) != len(remote):
            problems.append("remote: a patient is listed more than once")
        if not invited.issuperset(remote):
            problems.append("remote: names somebody who is not on the roster")
        if self.mode == "in_person" and remote:
            problems.append("remote: given although the session is in person")
        if self.mode == "telehealth" and invited != set(remote):
            problems.append("remote: a telehealth session says for each patient how and where")
        if not invited.issuperset(self.interactive_complexity):
            problems.append("interactive_complexity: names somebody who is not on the roster")
        related = [ref for family in self.families for ref in family.members]
        if len(set(related)) != len(related):
            problems.append("families: a patient is in more than one family")
        together = self.activity is Activity.FAMILY_PSYCHOTHERAPY
        if together != bool(self.families) or (together and set(related) != invited):
            problems.append("families: given for family psychotherapy, with everyone on the roster")
        return problems


class Attendance(StrEnum):
    ATTENDED = "attended"
    NO_SHOW = "no_show"
    EXCUSED = "excused"


_MOST_COPAY = 1_000_000
"""Ten thousand dollars: more is a slip of the keyboard."""


class Participant(Record):
    """What became of one invited patient. ``remote``: how they took part, where that differs from
    what the session says."""

    patient: Reference
    status: Attendance
    minutes: Annotated[int, Field(ge=0, le=600)] = 0
    copay_cents: Annotated[Cents, Field(ge=0, le=_MOST_COPAY)] = Cents(0)
    remote: RemotePart | None = None

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
    here because an incomplete note is a finding, not bad input. ``interactive_complexity`` says
    which of 90785's factors this patient showed, and how; empty supports no 90785. ``kind`` tells
    a progress note from psychotherapy notes (45 CFR 164.501), which billing may not see.
    ``group_summary`` is what all notes of the session share; ``written_at`` and ``edited_at`` say
    when the text was first entered and last changed.
    """

    kind: Literal["progress", "psychotherapy"] = "progress"
    patient: Reference | None = None
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
    interactive_complexity: str = ""
    group_summary: str = ""
    written_at: datetime | None = None
    edited_at: datetime | None = None
    late_entry: bool = False
    cosigned_by: Reference | None = None
    cosigned_at: datetime | None = None
    telehealth_consent: bool | None = None
