"""Where a claim stands: all that decides what may happen to it next, and nothing personal."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from groupclaim.model.base import Instant, Message
from groupclaim.model.session import Attendance

TABLE_VERSION = 1
"""Version of the transition table that new claims start under."""


class Stage(StrEnum):
    """The step a claim has come to. In the order of a claim that meets no obstacle. ``VOID``: it
    was sent, is not true, and is being taken back from the payers that have it."""

    ELIGIBILITY = "eligibility"
    AUTHORIZATION = "authorization"
    ATTENDANCE = "attendance"
    DOCUMENTATION = "documentation"
    CODING = "coding"
    CLAIM_BUILD = "claim_build"
    READY = "ready"
    SUBMITTED = "submitted"
    ACKNOWLEDGED = "acknowledged"
    ACCEPTED = "accepted"
    CORRECTION = "correction"
    PAYMENT_AUDIT = "payment_audit"
    UNDERPAYMENT_REVIEW = "underpayment_review"
    CROSSOVER = "crossover"
    PATIENT_BALANCE = "patient_balance"
    VOID = "void"
    CLOSED = "closed"
    NOT_BILLABLE = "not_billable"


ENDED = frozenset({Stage.CLOSED, Stage.NOT_BILLABLE})


class Step(StrEnum):
    """What a transition may ask to be done; each is an activity of this name."""

    CHECK_ELIGIBILITY = "check_eligibility"
    CHECK_AUTHORIZATION = "check_authorization"
    CHECK_DOCUMENTATION = "check_documentation"
    CHECK_CODING = "check_coding"
    BUILD_CLAIM = "build_claim"
    QUEUE_CLAIM = "queue_claim"
    DECIDE_DENIAL = "decide_denial"
    AUDIT_PAYMENT = "audit_payment"
    SETTLE_BALANCE = "settle_balance"
    CHARGE_CARD = "charge_card"
    PLAN_VOID = "plan_void"
    FOLLOW_UP = "follow_up"
    ASK_STATUS = "ask_status"


class Fact(StrEnum):
    """What may become known about a claim from outside, apart from the payers' answers.

    ``LEFT_BEHIND``: a batch went without the version that waited for it, because what it was
    checked with no longer stands. ``NOTE_WITHDRAWN``: the note no longer supports the claim.
    ``REFUND``: money of a payer was sent back to it."""

    COVERAGE = "coverage"
    AUTHORIZATION = "authorization"
    NOTE = "note"
    NOTE_COPIED = "note_copied"
    ATTENDANCE = "attendance"
    LEFT_BEHIND = "left_behind"
    NOTE_WITHDRAWN = "note_withdrawn"
    REFUND = "refund"


class Hold(Message):
    """Why a claim does not go on. ``redo`` is done again when the hold is released or cleared.

    A kind of hold without ``redo`` stands beside whatever else happens until a person has decided.
    It hides any other hold meanwhile, and takes over that one's ``redo``. ``payer_open``: what a
    person is asked to give up, or below zero to keep, in cents.
    """

    code: str
    redo: Step | None
    since: Instant
    releasable: bool
    two_people: bool = False
    payer_open: int = 0


class Consent(Message):
    """A person's word that ``payer_open`` cents, as they were shown, are given up or, below zero,
    kept. ``key`` names the release: what follows from it is booked once."""

    key: str
    payer_open: int


class ClaimState(Message):
    """Where one claim stands.

    ``version`` counts the claim versions made; ``frequency`` is what the next one will carry.
    ``corrections`` names each correction already tried, ``waivers`` each hold code a person has
    released, ``waived_until`` when such a release ends, ``seen`` the keys of the last events taken,
    so that a repeated one changes nothing.
    ``denial``: the number of the denial that is being worked, 0 when none is.
    ``note_signed``: that has been told, perhaps before anyone said who came. ``consent`` belongs to
    the step under way alone: money that is open later is asked about anew.
    ``given_up``: the place of a payer that has not decided and is waited for no more, 0 for none.
    ``payer``: whose turn it is, in the order of the coverages: 1 is billed first, 2 for what the
    first has left to the patient, 0 where the patient alone pays. ``sequence`` counts events taken.
    ``resume`` is the step under way: a claim taken up again, after continue-as-new or from the
    store, does it again.
    """

    claim_number: str
    table: int = TABLE_VERSION
    sequence: int = 0
    stage: Stage = Stage.ELIGIBILITY
    since: Instant | None = None
    reason: str | None = None
    hold: Hold | None = None
    due_at: Instant | None = None
    follow_ups: int = 0
    attendance: Attendance | None = None
    note_signed: bool = False
    version: int = 0
    frequency: str = "1"
    payer: int = 1
    given_up: int = 0
    cause: str | None = None
    denial: int = 0
    corrections: tuple[str, ...] = ()
    waivers: tuple[str, ...] = ()
    waived_until: dict[str, Instant] = Field(default_factory=dict)
    resume: Step | None = None
    consent: Consent | None = None
    seen: Annotated[tuple[str, ...], Field(max_length=100)] = ()

    @property
    def ended(self) -> bool:
        return self.stage in ENDED and self.resume is None and self.hold is None


NEVER_FILED = "TIMELY_FILING"
"""Why a claim is not billable that was given up after its filing limit had passed."""

CARD_ANNOUNCED = "CARD_ANNOUNCED"
"""Why a claim waits whose patient is told before their card is charged."""
