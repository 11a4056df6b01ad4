"""Every step's name, input, output and patience: all that workflows know of activities.

Free of I/O imports, so that workflow code may import it. A step is done in ``activities/<module>``
by a function registered under the step's name; both sides share the records below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel
from temporalio.common import Priority, RetryPolicy

from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Consent
from groupclaim.lifecycle.state import Step as ClaimStepName
from groupclaim.model.base import Instant, Message
from groupclaim.model.money import Cents
from groupclaim.model.session import Attendance, RemotePart
from groupclaim.model.work import changed_meanwhile

TASK_QUEUE = "groupclaim"
"""Where all workflows and steps are done."""

INVALID = "Invalid"
"""Error type that is never retried: what was asked for is wrong in itself, an engineer must look.
Business refusals are results; an unknown outcome is a result too."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one attempt may take and how it is tried again.

    Workers heartbeat for every attempt by themselves, so ``heartbeat`` is how soon the death of a
    worker is noticed.
    """

    start_to_close: timedelta
    heartbeat: timedelta
    retry: RetryPolicy


def _retry(first: timedelta, longest: timedelta) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=first,
        maximum_interval=longest,
        non_retryable_error_types=[INVALID],
    )


DATABASE = Patience(
    start_to_close=timedelta(seconds=90),
    heartbeat=timedelta(seconds=8),
    retry=_retry(timedelta(milliseconds=200), timedelta(seconds=30)),
)
"""Reads and writes of the store, and signals to other workflows."""

GATEWAY = Patience(
    start_to_close=timedelta(seconds=60),
    heartbeat=timedelta(seconds=8),
    retry=_retry(timedelta(seconds=1), timedelta(minutes=5)),
)
"""One exchange with the clearinghouse; the client's own time-out is shorter."""

FILES = Patience(
    start_to_close=timedelta(minutes=10),
    heartbeat=timedelta(seconds=10),
    retry=_retry(timedelta(seconds=1), timedelta(minutes=2)),
)
"""Work on whole X12 files and whole remittances."""

BEHIND = Priority(priority_key=4)
"""Done when no other step waits: new claims are begun when those under way have nothing to do, so
that many handed in together are not all open at once."""

Input = TypeVar("Input", bound=BaseModel)
Output = TypeVar("Output", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Step(Generic[Input, Output]):
    name: str
    input: type[Input]
    output: type[Output]
    patience: Patience
    priority: Priority = Priority.default


# --- work items


class ItemAct(Message):
    """What a person does with a work item that they saw at ``revision``.

    ``workflow_id``: of the claim, denial or dispute that the item is about; empty where it is about
    none. ``request`` is the same when the same click comes twice, and for all items that are
    changed together.
    """

    item: str
    workflow_id: str = ""
    kind: Literal["assign", "pend", "reopen", "resolve"]
    revision: int
    by: str
    request: str
    to: str | None = None
    until: Instant | None = None
    text: str = ""


class ItemStanding(Message):
    """What a work item is; ``revision`` grows with every change of it, ``resolution`` is who
    resolved it."""

    item: str
    revision: int
    state: Literal["open", "pended", "resolved"]
    assignee: str | None = None
    resolution: str | None = None

    def changed(self) -> str:
        """What who saw an earlier revision is told."""
        return changed_meanwhile(self.state, self.assignee, self.resolution)


class ItemActed(Message):
    """``standing``: what the item is now. ``changed``: it was another already, so nothing was done;
    ``problems``: why what was asked for cannot be done with it."""

    standing: ItemStanding
    changed: bool = False
    problems: tuple[str, ...] = ()


ACT_ON_ITEM = Step("act_on_item", ItemAct, ItemActed, DATABASE)

# --- one claim


class ClaimStep(Message):
    """What a claim's step needs to know beyond the store. ``sequence`` makes its effects unique;
    ``since``: when the claim came to its stage, told where a term runs from that day.
    ``given_up``: the place of a payer that is waited for no more."""

    claim_number: str
    sequence: int
    version: int = 0
    frequency: str = "1"
    payer: int = 1
    cause: str | None = None
    waivers: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    consent: Consent | None = None
    follow_ups: int = 0
    since: Instant | None = None
    given_up: int = 0


class ClaimProgress(Message):
    """The claim's state after what just happened, to be kept for lists, restarts and people."""

    state: ClaimState


class Recorded(Message):
    """``timer_seconds``: how long to sleep until the deadline; None when there is none, or when the
    practice clock is not the wall clock and whoever moves it will wake the workflow. The amounts
    are in cents: charged so far, and still open with payer and patient. ``items``: what the work
    items of its holds are."""

    timer_seconds: float | None = None
    billed: int = 0
    open: int = 0
    items: tuple[ItemStanding, ...] = ()


class ClaimRef(Message):
    claim_number: str


class Kept(Message):
    """A claim's state as the store keeps it."""

    state: ClaimState


class ClaimDecision(Message):
    """A person's release of a hold; ``request`` is the same when the same click comes twice.
    ``second`` agreed with it, and it counts ``until`` then, where the hold asks for that."""

    claim_number: str
    code: str
    by: str
    reason: str
    request: str
    second: str | None = None
    until: Instant | None = None


class ClaimWriteOff(Message):
    """A person gives up what the payer of ``version`` owes and never decided, or what was never
    sent; ``second`` agreed. ``request`` is the same when the same click comes twice. ``state``: the
    claim as they saw it; by default as it is kept."""

    claim_number: str
    version: int
    by: str
    reason: str
    request: str
    second: str | None = None
    state: ClaimState | None = None


class DecisionRecorded(Message):
    """``refused``: why who decided may not, and who may; nothing was decided then. ``unsent``: of
    what was given up no payer has anything."""

    at: Instant
    refused: str | None = None
    unsent: bool = False


CHECK_ELIGIBILITY = Step(
    ClaimStepName.CHECK_ELIGIBILITY.value, ClaimStep, events.EligibilityChecked, GATEWAY, BEHIND
)
CHECK_AUTHORIZATION = Step(
    ClaimStepName.CHECK_AUTHORIZATION.value, ClaimStep, events.AuthorizationChecked, GATEWAY
)
CHECK_DOCUMENTATION = Step(
    ClaimStepName.CHECK_DOCUMENTATION.value, ClaimStep, events.DocumentationChecked, DATABASE
)
CHECK_CODING = Step(ClaimStepName.CHECK_CODING.value, ClaimStep, events.CodingChecked, DATABASE)
BUILD_CLAIM = Step(ClaimStepName.BUILD_CLAIM.value, ClaimStep, events.ClaimBuilt, DATABASE)
QUEUE_CLAIM = Step(ClaimStepName.QUEUE_CLAIM.value, ClaimStep, events.ClaimQueued, DATABASE)
DECIDE_DENIAL = Step(ClaimStepName.DECIDE_DENIAL.value, ClaimStep, events.DenialDecided, DATABASE)
AUDIT_PAYMENT = Step(ClaimStepName.AUDIT_PAYMENT.value, ClaimStep, events.PaymentAudited, DATABASE)
SETTLE_BALANCE = Step(
    ClaimStepName.SETTLE_BALANCE.value, ClaimStep, events.BalanceSettled, DATABASE
)
CHARGE_CARD = Step(ClaimStepName.CHARGE_CARD.value, ClaimStep, events.CardCharged, GATEWAY)
PLAN_VOID = Step(ClaimStepName.PLAN_VOID.value, ClaimStep, events.VoidPlanned, DATABASE)
FOLLOW_UP = Step(ClaimStepName.FOLLOW_UP.value, ClaimStep, events.FollowedUp, DATABASE)
ASK_STATUS = Step(ClaimStepName.ASK_STATUS.value, ClaimStep, events.StatusAsked, GATEWAY)
RECORD_DECISION = Step("record_decision", ClaimDecision, DecisionRecorded, DATABASE)
RECORD_WRITE_OFF = Step("record_write_off", ClaimWriteOff, DecisionRecorded, DATABASE)
LOAD_CLAIM = Step("load_claim", ClaimRef, Kept, DATABASE)
RECORD_PROGRESS = Step("record_progress", ClaimProgress, Recorded, DATABASE)

CLAIM_STEPS: dict[ClaimStepName, Step[ClaimStep, Any]] = {
    ClaimStepName(step.name): step
    for step in (
        CHECK_ELIGIBILITY,
        CHECK_AUTHORIZATION,
        CHECK_DOCUMENTATION,
        CHECK_CODING,
        BUILD_CLAIM,
        QUEUE_CLAIM,
        DECIDE_DENIAL,
        AUDIT_PAYMENT,
        SETTLE_BALANCE,
        CHARGE_CARD,
        PLAN_VOID,
        FOLLOW_UP,
        ASK_STATUS,
    )
}

# --- one session


class SessionRef(Message):
    session_id: str


class RosterEntry(Message):
    patient_id: str
    claim_number: str
    payer_key: str = "none"


class Roster(Message):
    """Who is on the roster now, and by when attendance is expected, unless it is recorded."""

    entries: tuple[RosterEntry, ...]
    attendance_recorded: bool = False
    attendance_due_at: Instant
    timer_seconds: float | None


class AttendanceEntry(Message):
    patient_id: str
    status: Attendance
    minutes: int
    copay_cents: Cents = Cents(0)
    remote: RemotePart | None = None


class RecordAttendance(Message):
    """The final attendance, or a correction of it; who says so stands in the audit log."""

    session_id: str
    entries: tuple[AttendanceEntry, ...]
    by: str


class AttendanceRecorded(Message):
    """``changed``: how many claims learned something new."""

    group_size: int
    changed: int


class AmendRoster(Message):
    """Patients added to or taken off the roster after the session was started."""

    session_id: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    by: str


class SessionProgress(Message):
    session_id: str
    stage: Literal["open", "closed"]
    attendance_recorded: bool
    ended: int


class SessionAlert(Message):
    """Attendance is missing: tell people, and say when to look again."""

    session_id: str
    follow_ups: int


class NextLook(Message):
    due_at: Instant
    timer_seconds: float | None


LOAD_ROSTER = Step("load_roster", SessionRef, Roster, DATABASE)
RECORD_ATTENDANCE = Step("record_attendance", RecordAttendance, AttendanceRecorded, DATABASE)
AMEND_ROSTER = Step("amend_roster", AmendRoster, Roster, DATABASE)
RECORD_SESSION = Step("record_session", SessionProgress, Recorded, DATABASE)
FOLLOW_UP_ATTENDANCE = Step("follow_up_attendance", SessionAlert, NextLook, DATABASE)

# --- one denial


class DenialRef(Message):
    """``news`` makes a plan asked for after something happened a step of its own."""

    claim_number: str
    denial: int
    news: int = 0


class DenialPlan(Message):
    """What comes next for a denial, by the playbook, with what is on file.

    ``next``: a letter is to be drafted (``draft``), an approved one to be sent (``send``), an
    authorization to be asked for after the service (``ask``), a person acts (``person``), somebody
    else answers (``wait``), or it has ended (``conclude``). A person may take each
    of ``choices``; ``people`` must agree to a letter or a bill, and ``people_to_write_off`` to
    giving it up. ``due_at`` is when somebody is told of it next. ``items``: what became of those on
    the work list about it.
    """

    at: Instant
    next: Literal["draft", "send", "ask", "person", "wait", "conclude"]
    action: str | None = None
    who: str = "groupclaim"
    what: str = ""
    choices: tuple[str, ...] = ()
    people: int = 0
    people_to_write_off: int = 1
    due_at: Instant | None = None
    timer_seconds: float | None = None
    otherwise: str = ""
    items: tuple[ItemStanding, ...] = ()


class DenialChoice(Message):
    """A person's decision on a denial. ``reference``: of a receipt or of the payer's answer.
    ``request`` is the same when the same click comes twice. ``item``: the work item that they saw,
    if they saw one; the next rung has another."""

    claim_number: str
    denial: int
    choice: str
    by: str
    reason: str
    request: str
    second: str | None = None
    reference: str | None = None
    item: str | None = None


class DenialAlert(Message):
    claim_number: str
    denial: int
    follow_ups: int


class Told(Message):
    """That something has been told, or done, and nothing needs to be known of it."""


PLAN_DENIAL = Step("plan_denial", DenialRef, DenialPlan, DATABASE)
DRAFT_LETTER = Step("draft_letter", DenialRef, Told, FILES)
SEND_LETTER = Step("send_letter", DenialRef, Told, FILES)
ASK_AFTERWARDS = Step("ask_afterwards", DenialRef, Told, GATEWAY)
RECORD_DENIAL_CHOICE = Step("record_denial_choice", DenialChoice, DecisionRecorded, DATABASE)
FOLLOW_UP_DENIAL = Step("follow_up_denial", DenialAlert, Told, DATABASE)
ANNOUNCE_DENIAL = Step("announce_denial", DenialRef, Told, DATABASE)

# --- batches and their submission


class ConnectionRef(Message):
    connection_id: str


class BatchRef(Message):
    batch_id: str


class CutBatch(Message):
    """The batch just cut; None when no claim was ready."""

    batch_id: str | None
    claims: int


class BuiltBatch(Message):
    digest: str
    claims: int
    size: int


class Sent(Message):
    """``accepted``: taken; ``refused``: answered and not taken; ``in_doubt``: no answer came.

    ``next_at`` is when the acknowledgment is expected, or when a listing may first prove absence.
    """

    outcome: Literal["accepted", "refused", "in_doubt"]
    next_at: Instant
    timer_seconds: float | None


class Reconciled(Message):
    """``absent`` only when a listing taken after the grace period lacks our interchange and no
    acknowledgment has been seen; ``unknown`` asks to look again at ``next_at``."""

    outcome: Literal["received", "absent", "unknown"]
    next_at: Instant
    timer_seconds: float | None


class Announce(Message):
    """Tell each claim of the batch: it was taken, or it was refused whole."""

    batch_id: str
    accepted: bool


class Announced(Message):
    claims: int


class BatchAlert(Message):
    batch_id: str
    follow_ups: int


NEXT_CUTOFF = Step("next_cutoff", ConnectionRef, NextLook, DATABASE)
CUT_BATCH = Step("cut_batch", ConnectionRef, CutBatch, DATABASE)
BUILD_BATCH = Step("build_batch", BatchRef, BuiltBatch, FILES)
SEND_BATCH = Step("send_batch", BatchRef, Sent, GATEWAY)
RECONCILE_BATCH = Step("reconcile_batch", BatchRef, Reconciled, GATEWAY)
ANNOUNCE_BATCH = Step("announce_batch", Announce, Announced, FILES)
FOLLOW_UP_BATCH = Step("follow_up_batch", BatchAlert, NextLook, DATABASE)

# --- files from outside


class FileRef(Message):
    """A stored inbound file, by the SHA-256 of its bytes."""

    digest: str
    connection_id: str


class FileContents(Message):
    """What a file holds. ``problems`` counts envelope faults; details stand in the store.

    ``stays``: it is left in the mailbox, because nothing in it can be read or payments may be
    hidden in it.
    """

    acknowledgments: int
    payments: int
    problems: int
    stays: bool = False


class FileProblem(Message):
    """Why a file could not be dealt with: the step or the payments, and the error's type."""

    digest: str
    problem: str


class Routed(Message):
    claims: int
    batches: int
    unmatched: int


class RemittanceRef(Message):
    remittance_id: int


class Remittances(Message):
    """Payments of the file that are new; ``repeated`` were delivered before."""

    new: tuple[int, ...]
    repeated: int


class Posted(Message):
    """``suspended`` payments stand whole in payment suspense, ``difference`` named in cents."""

    state: Literal["posted", "suspended"]
    claims: int
    difference_cents: int


class Polled(Message):
    files: int


POLL_MAILBOX = Step("poll_mailbox", ConnectionRef, Polled, FILES)
READ_FILE = Step("read_file", FileRef, FileContents, FILES)
ROUTE_ACKNOWLEDGMENTS = Step("route_acknowledgments", FileRef, Routed, FILES)
REGISTER_REMITTANCES = Step("register_remittances", FileRef, Remittances, FILES)
REPORT_FILE = Step("report_file", FileProblem, Recorded, DATABASE)
ACKNOWLEDGE_FILE = Step("acknowledge_file", FileRef, Recorded, GATEWAY)
POST_REMITTANCE = Step("post_remittance", RemittanceRef, Posted, FILES)
ANNOUNCE_REMITTANCE = Step("announce_remittance", RemittanceRef, Announced, FILES)

# --- disputes with payers


class DisputeLook(Message):
    """``follow_ups``: how often the case has been looked at for want of an answer, this time
    included."""

    case_id: int
    follow_ups: int = 0


class DisputeDecision(Message):
    """A person's approval of a case's letter, or their word that it is closed, and how;
    ``request`` is the same when the same click comes twice."""

    case_id: int
    action: Literal["approve", "close"]
    outcome: str | None = None
    by: str
    reason: str
    request: str
    second: str | None = None


class DisputeStanding(Message):
    """Where a case stands. The amounts are in cents; ``due_at`` is when it is looked at next.
    ``refused``: why what a person has just decided was not theirs to decide; ``items``: what its
    work items are."""

    state: Literal["gathering", "to_approve", "told", "closed"]
    kind: Literal["underpayment", "overpayment"]
    outcome: str | None = None
    claims: int = 0
    identified: int = 0
    recovered: int = 0
    due_at: Instant | None = None
    timer_seconds: float | None = None
    refused: str | None = None
    items: tuple[ItemStanding, ...] = ()


class DisputeRef(Message):
    case_id: int


class ClaimsReleased(Message):
    claims: int


LOOK_AT_DISPUTE = Step("look_at_dispute", DisputeLook, DisputeStanding, DATABASE)
DECIDE_DISPUTE = Step("decide_dispute", DisputeDecision, DisputeStanding, DATABASE)
RELEASE_DISPUTED = Step("release_disputed", DisputeRef, ClaimsReleased, DATABASE)

# --- audit samples


class SampleRound(Message):
    """A look whether the practice's setting wants a sample drawn by now."""


class SampleDrawn(Message):
    """``sample_id`` is None while nothing is to be drawn, or to be drawn from."""

    sample_id: str | None


DRAW_SAMPLE = Step("draw_sample", SampleRound, SampleDrawn, DATABASE)

# --- other systems


class WebhookRound(Message):
    """``most``: how many events are sent in one round."""

    most: int = 20


class WebhooksDelivered(Message):
    due: int
    taken: int


DELIVER_WEBHOOKS = Step("deliver_webhooks", WebhookRound, WebhooksDelivered, GATEWAY)
