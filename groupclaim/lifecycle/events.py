"""What can happen to a claim. Every event is dated by the practice clock.

The results of steps are events too; those that come from outside carry a ``key``, the same for the
same happening however often it is told. ``due_at`` is by when the next thing is expected: computed
where payer policy and calendar are at hand, never here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import Fact, Stage, Step
from groupclaim.model.base import Instant, Message
from groupclaim.model.session import Attendance


class Event(Message):
    at: Instant
    key: str = ""
    due_at: Instant | None = None


def _known_hold(code: str) -> str:
    if code not in HOLDS:
        raise ValueError(f"no such hold: one of {', '.join(HOLDS)}")
    return code


class Held(Message):
    """A rule's word that the claim must wait: hold code, whether a person may release it, and
    whether that is a waiver of two people with an expiry. ``payer_open``: the cents asked about."""

    code: Annotated[str, AfterValidator(_known_hold)]
    releasable: bool
    two_people: bool = False
    payer_open: int = 0


# --- results of steps


class EligibilityChecked(Event):
    """``self_pay``: nothing is told to any payer; attendance is expected until ``due_at``."""

    kind: Literal["eligibility_checked"] = "eligibility_checked"
    held: Held | None = None
    self_pay: bool = False


class AuthorizationChecked(Event):
    kind: Literal["authorization_checked"] = "authorization_checked"
    held: Held | None = None


class DocumentationChecked(Event):
    kind: Literal["documentation_checked"] = "documentation_checked"
    held: Held | None = None


class CodingChecked(Event):
    kind: Literal["coding_checked"] = "coding_checked"
    held: Held | None = None


class ClaimBuilt(Event):
    kind: Literal["claim_built"] = "claim_built"
    held: Held | None = None
    version: int = 0


class ClaimQueued(Event):
    """The claim waits for the next batch, which is cut at ``due_at``. ``stale``: it does not, for
    payer, member or patient on file are not those that the version was made with."""

    kind: Literal["claim_queued"] = "claim_queued"
    stale: bool = False


class DenialDecided(Event):
    """What to do about a rejection or denial: go back to ``restart`` and send ``frequency``; or
    wait for what becomes of ``denial``, the number under which people and the payer work it."""

    kind: Literal["denial_decided"] = "denial_decided"
    denial: int = 0
    held: Held | None = None
    correction: str | None = None
    restart: Step | None = None
    frequency: Literal["1", "7", "8"] = "1"


class PaymentAudited(Event):
    """``unpriced``: no rate is on file to compare with. ``reversed``: the payer has taken back all
    that it had decided, and its new decision is awaited until ``due_at``."""

    kind: Literal["payment_audited"] = "payment_audited"
    outcome: Literal["as_expected", "underpaid", "overpaid", "unpriced", "reversed"]


class BalanceSettled(Event):
    """What is left open after payment, in cents, and whether it is another payer's turn.

    ``next_payer``: it is to be billed (``bill``), the payer before has forwarded the claim to it
    until ``due_at`` (``crossover``), it has been billed and has not decided (``await``), it was
    billed with figures that the payer before has changed since (``changed``), or another should
    have been billed first (``wrong_order``). ``payer`` is its
    place, ``frequency`` what its claim will carry. ``charge_card``: the patient has agreed to that.
    """

    kind: Literal["balance_settled"] = "balance_settled"
    payer_open: int
    patient_open: int
    next_payer: Literal["bill", "crossover", "await", "changed", "wrong_order"] | None = None
    payer: int = 1
    frequency: Literal["1", "7"] = "1"
    charge_card: bool = False


class CardCharged(Event):
    """``not_charged``: the consent does not allow it, or what is owed has changed. ``announced``:
    the patient is told, or to be told, of amount and day; ``due_at`` is when it is looked at."""

    kind: Literal["card_charged"] = "card_charged"
    outcome: Literal["charged", "declined", "not_charged", "announced"]


class VoidPlanned(Event):
    """What comes next of a claim that is taken back. ``reason``: why it is not true.

    ``send``: a claim with frequency 8 to the payer at place ``payer``; ``wait``: for what it says;
    ``done``: no payer has anything of it, and ``rebill`` that it is true by now and billed anew.
    ``stands``: it was true all the time, and goes on from ``restart``, or waits at ``stage``, as
    ``version``; ``cause`` is that of a denial. ``held`` where a person must act.
    """

    kind: Literal["void_planned"] = "void_planned"
    next: Literal["hold", "send", "wait", "done", "stands"]
    held: Held | None = None
    reason: str | None = None
    payer: int = 1
    version: int = 0
    rebill: bool = False
    restart: Step | None = None
    stage: Stage | None = None
    cause: str | None = None


class StatusAsked(Event):
    """What the payer says of a claim that it was silent about; ``held`` where a person must act."""

    kind: Literal["status_asked"] = "status_asked"
    held: Held | None = None


class FollowedUp(Event):
    kind: Literal["followed_up"] = "followed_up"


# --- from outside


class AttendanceRecorded(Event):
    """The final attendance, or a correction of it.

    ``not_billable`` is the reason when nothing can be billed; ``sent`` that a version of the claim
    has already left and cannot be withdrawn. ``note_due_at`` is given while the note is not signed:
    there is nothing to check before it is. ``coverage_stale``: the payer's answer is too old for
    the day of service, so it is asked again first. ``prepaid``: cents of the patient's that nothing
    is due for.
    """

    kind: Literal["attendance_recorded"] = "attendance_recorded"
    attendance: Attendance
    not_billable: str | None = None
    sent: bool = False
    note_due_at: Instant | None = None
    coverage_stale: bool = False
    prepaid: int = 0


class FactLearned(Event):
    """``sent``: a version of the claim has left that the fact makes untrue."""

    kind: Literal["fact_learned"] = "fact_learned"
    fact: Fact
    sent: bool = False


class HoldReleased(Event):
    """A person takes responsibility for going on; who and why stands in the audit log.

    ``until``: from then on the waiver no longer counts for a step that is done again.
    """

    kind: Literal["hold_released"] = "hold_released"
    code: str
    until: Instant | None = None


class Submitted(Event):
    """The batch that holds this version was taken by the clearinghouse."""

    kind: Literal["submitted"] = "submitted"
    version: int


class Acknowledged(Event):
    """``999`` speaks of the transaction set, ``277CA`` of the claim itself."""

    kind: Literal["acknowledged"] = "acknowledged"
    by: Literal["999", "277CA"]
    version: int
    accepted: bool
    cause: str | None = None


class RemittancePosted(Event):
    """A payer's decision stands in the ledger. ``denied``: nothing paid or left to the patient."""

    kind: Literal["remittance_posted"] = "remittance_posted"
    version: int
    denied: bool
    cause: str | None = None


class DenialAdvanced(Event):
    """What has become of ``denial``: it is ``held`` for another, the claim is to be sent again from
    ``restart``, or (``settled``) nothing of it is open with the payer any more."""

    kind: Literal["denial_advanced"] = "denial_advanced"
    denial: int
    held: Held | None = None
    correction: str | None = None
    restart: Step | None = None
    frequency: Literal["1", "7", "8"] = "1"
    settled: bool = False


class PatientPaid(Event):
    """Money came from the patient, or went back to them."""

    kind: Literal["patient_paid"] = "patient_paid"


class LookAgainAsked(Event):
    """A person asks for another look: ``rules``, the step that the claim is held before is done
    again; ``status``, its payer is asked what has become of it."""

    kind: Literal["look_again_asked"] = "look_again_asked"
    what: Literal["rules", "status"]


class WrittenOff(Event):
    """A person has given up what a payer that never decided owes; the ledger shows it by then.
    ``unsent``: no payer has anything of it, and its filing limit has passed."""

    kind: Literal["written_off"] = "written_off"
    unsent: bool = False


class DeadlinePassed(Event):
    """``due_at`` of the state has come and nothing else has."""

    kind: Literal["deadline_passed"] = "deadline_passed"


StepResult = (
    EligibilityChecked
    | AuthorizationChecked
    | DocumentationChecked
    | CodingChecked
    | ClaimBuilt
    | ClaimQueued
    | DenialDecided
    | PaymentAudited
    | BalanceSettled
    | CardCharged
    | VoidPlanned
    | FollowedUp
    | StatusAsked
)
OutsideEvent = (
    AttendanceRecorded
    | FactLearned
    | HoldReleased
    | Submitted
    | Acknowledged
    | RemittancePosted
    | DenialAdvanced
    | PatientPaid
    | LookAgainAsked
    | WrittenOff
    | DeadlinePassed
)
