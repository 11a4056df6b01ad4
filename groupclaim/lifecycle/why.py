"""Why a claim is where it is: computed from its state, never guessed."""

from __future__ import annotations

from collections.abc import Sequence

from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import CARD_ANNOUNCED, NEVER_FILED, ClaimState, Stage
from groupclaim.model.base import Instant, Message

_WAITS: dict[Stage, tuple[str, str, str]] = {
    # stage: waits for, released by, what the next automatic step is
    Stage.ATTENDANCE: (
        "front desk: the session's final attendance",
        "the recorded attendance",
        "the clinician's team is reminded",
    ),
    Stage.READY: (
        "the next batch to the clearinghouse",
        "the batch being taken",
        "the batch is cut and sent",
    ),
    Stage.SUBMITTED: (
        "clearinghouse: acknowledgment of the file (TA1, 999)",
        "the 999",
        "an alert that the acknowledgment is missing",
    ),
    Stage.ACKNOWLEDGED: (
        "payer: acknowledgment of the claim (277CA)",
        "the 277CA",
        "an alert that the acknowledgment is missing",
    ),
    Stage.ACCEPTED: (
        "payer: the remittance (835)",
        "the 835",
        "an alert that the payment is late",
    ),
    Stage.CROSSOVER: (
        "the next payer, to whom the one before has forwarded the claim: its remittance (835)",
        "the 835",
        "the next payer is billed by us",
    ),
    Stage.VOID: (
        "payer: to take the claim back (835)",
        "its reversal, or the recorded refund",
        "what it has said by then is looked at",
    ),
    Stage.PATIENT_BALANCE: (
        "patient: the share that the payer left to them",
        "the patient's payment",
        "the statement is due for another look",
    ),
}


_ANNOUNCED = (
    "patient: told of the amount and the day on which their card is charged, or to be told",
    "the day that they were told of, or a payment before it",
    "the card is charged, if they were told in time",
)


class Why(Message):
    """The five answers: who is waited for, since when, what comes next and when, what releases it,
    what happens if nothing does."""

    waiting_for: str
    since: Instant | None
    next_step: str
    next_at: Instant | None
    released_by: str
    otherwise: str


class Suspended(Message):
    """A payment in suspense that names a claim: nothing of it is posted until a person clears it.
    ``paid`` are dollars and cents as people write them, of the whole payment."""

    remittance_id: int
    trace: str
    paid: str


def why(state: ClaimState, suspended: Sequence[Suspended] = ()) -> Why:
    """The answers for ``state``; an ended claim says that nothing is awaited. Payments in suspense
    that name the claim are what it really waits for, however silent its payer seems."""
    answers = _why(state)
    if not suspended:
        return answers
    named = ", ".join(
        f"{item.paid} under trace {item.trace} (remittance {item.remittance_id})"
        for item in suspended
    )
    first = suspended[0].remittance_id
    return answers.model_copy(
        update={
            "waiting_for": f"{answers.waiting_for}; a payment that names it stands in suspense: "
            f"{named}",
            "released_by": f"the payment in suspense, once it is cleared (`groupclaim suspense "
            f"show {first}`); or {answers.released_by}",
        }
    )


def _why(state: ClaimState) -> Why:
    if state.hold is not None:
        kind = HOLDS[state.hold.code]
        return Why(
            waiting_for=f"{state.hold.code}: {kind.waits_for}",
            since=state.hold.since,
            next_step=_reminder(state),
            next_at=state.due_at,
            released_by=f"{kind.released_by}. {kind.repair}",
            otherwise=f"it stays held, is looked at again each time, and {_clock(state)[1]}",
        )
    if state.ended:
        reason = f" ({state.reason})" if state.reason else ""
        return Why(
            waiting_for=f"nothing: {state.stage.replace('_', ' ')}{reason}",
            since=state.since,
            next_step="none",
            next_at=None,
            released_by="nothing: it was given up once its filing limit had passed"
            if state.reason == NEVER_FILED
            else "a corrected attendance or a later remittance takes it up again",
            otherwise="it stays as it is",
        )
    if state.stage in _WAITS:
        waits_for, released_by, next_step = _WAITS[state.stage]
        if state.reason == CARD_ANNOUNCED:
            waits_for, released_by, next_step = _ANNOUNCED
        return Why(
            waiting_for=waits_for,
            since=state.since,
            next_step=next_step if state.due_at else "none before the answer",
            next_at=state.due_at,
            released_by=released_by,
            otherwise="the claim goes to the next payer with every figure of those before"
            if state.stage is Stage.CROSSOVER
            else "an alert is raised and the date is set anew",
        )
    return Why(
        waiting_for=f"groupclaim: {state.stage.replace('_', ' ')} is being worked on",
        since=state.since,
        next_step=(state.resume or state.stage).replace("_", " "),
        next_at=None,
        released_by="the step's own end; it is retried until then",
        otherwise="engineers are told: a step that fails for long shows in the metrics",
    )


def _reminder(state: ClaimState) -> str:
    if state.hold is not None and HOLDS[state.hold.code].asked_again:
        return "the payer is asked again"
    return f"a reminder{_clock(state)[0]}" if state.due_at else "none: a person decides"


def _clock(state: ClaimState) -> tuple[str, str]:
    """Which time runs while a claim is held: as the reminder before it says, and as what happens
    when nobody acts."""
    if state.hold is not None and state.hold.code == "REFUND_DUE":
        return " before the day of the refund", "the day by which it must be back passes"
    if state.denial:
        return (
            " before the limit to correct or appeal",
            "the limit to correct or appeal the denial runs",
        )
    if state.stage is Stage.VOID:
        return (
            " before the payer's money must be back",
            "the day by which the payer's money must be back passes",
        )
    if state.stage in _WITH_THE_PAYER:
        return "", "the payer decides meanwhile on what it was sent"
    if state.stage in _DECIDED:
        return "", "the money stays open"
    return " before the filing limit", "the filing limit runs"


_WITH_THE_PAYER = (Stage.SUBMITTED, Stage.ACKNOWLEDGED, Stage.ACCEPTED, Stage.CROSSOVER)
_DECIDED = (
    Stage.PAYMENT_AUDIT,
    Stage.UNDERPAYMENT_REVIEW,
    Stage.PATIENT_BALANCE,
    Stage.CLOSED,
    Stage.NOT_BILLABLE,
)
