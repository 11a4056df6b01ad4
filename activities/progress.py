"""Keeps where a claim stands, for lists, restarts and the clock; and what people have decided."""

from __future__ import annotations

from datetime import datetime

from activities import steps
from activities.outside import Outside, performs
from activities.work_items import standings
from groupclaim.lifecycle.state import ClaimState
from groupclaim.model.approval import Decision
from groupclaim.store import (
    approvals,
    audit,
    claims,
    disputes,
    ledger,
    practice,
    webhooks,
    work,
)
from groupclaim.store.clock import practice_now, sleep_until, timer_seconds
from groupclaim.store.database import Transaction
from workflows import claim


async def _tell_systems(
    tx: Transaction, before: ClaimState, state: ClaimState, now: datetime
) -> None:
    key = f"{state.claim_number}|{state.sequence}"
    hold = state.hold.code if state.hold else None
    data = {"claim_number": state.claim_number, "stage": state.stage.value, "hold": hold}
    if state.stage is not before.stage:
        await webhooks.note(tx, webhooks.Event.CLAIM_STAGE_CHANGED, key, data, now)
    if hold is not None and state.hold != before.hold:
        await webhooks.note(tx, webhooks.Event.HOLD_OPENED, key, data, now)


class Progress:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.LOAD_CLAIM)
    async def load_claim(self, ref: steps.ClaimRef) -> steps.Kept:
        """The claim as it was last kept: a database row says where it stands, not a message."""
        async with self._outside.database.reading() as reading:
            return steps.Kept(state=await claims.load_state(reading, ref.claim_number))

    @performs(steps.RECORD_PROGRESS)
    async def record_progress(self, progress: steps.ClaimProgress) -> steps.Recorded:
        """Keep the state with its deadline; one older than the state kept changes nothing."""
        state = progress.state
        async with self._outside.database.transaction() as tx:
            before = await claims.locked_state(tx, state.claim_number)
            now = await practice_now(tx)
            if await claims.record_progress(tx, state, now, before=before):
                await _tell_systems(tx, before, state, now)
            kept = state if before.sequence <= state.sequence else before
            await sleep_until(tx, claim.workflow_id(state.claim_number), kept.due_at)
            left = await ledger.balance(tx, state.claim_number)
            if kept.hold is not None and not left.charge:
                at_stake = await practice.usual_charge(tx, state.claim_number)
            else:
                at_stake = left.payer_open + left.patient_open
            held = kept.hold is not None or before.hold is not None
            if held:
                await work.follow_hold(tx, kept, abs(at_stake), now)
            # Done again after a death, it finds a hold that is gone already: what became of the
            # item the workflow has not heard.
            again = before.sequence >= state.sequence
            items = await standings(tx, "hold", state.claim_number) if held or again else ()
            return steps.Recorded(
                timer_seconds=await timer_seconds(tx, state.due_at) if state.due_at else None,
                billed=left.charge,
                open=left.payer_open + left.patient_open,
                items=items,
            )

    @performs(steps.RECORD_DECISION)
    async def record_decision(self, decision: steps.ClaimDecision) -> steps.DecisionRecorded:
        """Who decided what and why: in the audit log before anything follows from it, once."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            key = f"decision|{decision.claim_number}|{decision.request}"
            refused = None
            if not await claims.has_event(tx, key):
                refused = await _refusal(tx, decision, now)
            if refused is not None:
                return steps.DecisionRecorded(at=now, refused=refused)
            new = await claims.append_event(
                tx,
                decision.claim_number,
                key,
                now,
                "decision",
                decision.by,
                {"released": decision.code},
            )
            if new:
                await audit.record(
                    tx,
                    now,
                    decision.by,
                    "release_hold",
                    decision.claim_number,
                    {
                        "code": decision.code,
                        "reason": decision.reason,
                        "request": decision.request,
                        "second": decision.second,
                        "until": decision.until.isoformat() if decision.until else None,
                    },
                )
        return steps.DecisionRecorded(at=now)


_PAYMENT_REVIEWS = ("UNDERPAYMENT_REVIEW", "OVERPAYMENT_REVIEW")


async def _refusal(tx: Transaction, decision: steps.ClaimDecision, now: datetime) -> str | None:
    """A payment that is off is let stand by who may give that much up. Where its dispute has ended
    so, that was decided there."""
    if decision.code not in _PAYMENT_REVIEWS:
        return None
    number = decision.claim_number
    if await disputes.ended_for(tx, number, decision.request):
        return None
    state = await claims.load_state(tx, number)
    left = abs(state.hold.payer_open or 0) if state.hold is not None else 0
    cents = max(left, int(await disputes.at_stake(tx, number)))
    return await approvals.refusal(
        tx,
        Decision.REVIEW_RELEASE,
        cents,
        number,
        now,
        by=decision.by,
        second=decision.second,
        request=decision.request,
    )
