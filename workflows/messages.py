"""What workflows are started with, told and answer.

In a module of its own, so that who starts or asks a workflow need not know how it works.
"""

from __future__ import annotations

from typing import Literal

from activities.steps import NextLook
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Stage, Step
from groupclaim.model.base import Instant, Message

# --- one claim


class ClaimStart(Message):
    """``state`` is given when a claim is taken up again: woken from the store, or continued.

    ``inbox`` and ``woken_at`` are what a run that continues as new had been told and not yet used.
    """

    claim_number: str
    payer_key: str
    state: ClaimState | None = None
    inbox: tuple[events.OutsideEvent, ...] = ()
    woken_at: Instant | None = None


class ClaimEnd(Message):
    stage: Stage
    reason: str | None


class ReleaseHold(Message):
    """A person's word that the claim may go on although ``code`` holds it.

    ``second`` agrees and ``until`` ends it, where the kind of hold asks for two people. ``item``:
    the work item that they saw, if they saw one; a claim held anew has another.
    """

    code: str
    by: str
    reason: str
    request: str
    second: str | None = None
    until: Instant | None = None
    item: str | None = None


class WriteOff(Message):
    """A person's word that nothing more is to be had of a payer that never decided, or that can be
    sent nothing any more; ``second`` agrees."""

    by: str
    reason: str
    request: str
    second: str | None = None


class LookAgain(Message):
    """A person's wish that the rules are run again, or the payer asked for the claim's status."""

    what: Literal["rules", "status"]
    at: Instant
    request: str


class ClaimStanding(Message):
    """Where the claim stands, for people and lists."""

    stage: Stage
    hold_code: str | None
    reason: str | None
    version: int
    due_at: str | None
    step: Step | None


# --- one session


class SessionStart(Message):
    session_id: str


class SessionEnd(Message):
    claims: int


class SessionStanding(Message):
    """How far the session is: how many are on the roster, whose claims have ended."""

    roster: int
    attendance_recorded: bool
    ended: int
    open_claims: tuple[str, ...]


# --- ready claims of a connection


class BatchStart(Message):
    """``cutoff`` and ``woken_at`` are what a run that continues as new waits for, and was told."""

    connection_id: str
    cutoff: NextLook | None = None
    woken_at: Instant | None = None


class Ready(Message):
    """A claim has become ready; which one stands in the store."""


# --- one batch on its way


class SubmissionStart(Message):
    batch_id: str


class BatchAcknowledged(Message):
    """A TA1 or 999 about the batch has been routed; what it said stands in the store.

    A batch whose TA1 is not ``accepted`` gets no 999.
    """

    by: str
    accepted: bool = True


# --- one denial


class DenialStart(Message):
    """``news``, ``follow_ups``, ``seen`` and ``woken_at`` are what a run that continues as new
    had come to."""

    claim_number: str
    denial: int
    news: int = 0
    follow_ups: int = 0
    seen: tuple[str, ...] = ()
    woken_at: Instant | None = None


# --- one dispute


class DisputeStart(Message):
    """``follow_ups`` is what a run that continues as new had counted."""

    case_id: int
    follow_ups: int = 0


class Found(Message):
    """A line was found or corrected; which one stands in the store."""


class Approve(Message):
    """A person's word that the letter goes out as it is; ``second`` agrees."""

    by: str
    reason: str
    request: str
    second: str | None = None


class Close(Message):
    """A person's word that nothing more is to be had, or owed, and why."""

    outcome: str
    by: str
    reason: str
    request: str
    second: str | None = None
