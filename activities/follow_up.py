"""A deadline has passed: people are told, and the next one is set. Nothing waits in silence."""

from __future__ import annotations

from datetime import timedelta

from activities import steps
from activities.estimates_owed import estimate_owed
from activities.on_file import LOOK_AGAIN, REFUND_DUE, on_file, refund_deadline
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import FollowedUp
from groupclaim.lifecycle.state import Stage
from groupclaim.rules.deadlines import attendance_deadline
from groupclaim.store import claims

_FROM_OUTSIDE = frozenset(
    {Stage.ATTENDANCE, Stage.READY, Stage.SUBMITTED, Stage.ACKNOWLEDGED, Stage.ACCEPTED}
)
"""Stages that wait for somebody who is asked again soon, not for a date of the payer's."""


class FollowUp:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.FOLLOW_UP)
    async def follow_up(self, step: steps.ClaimStep) -> FollowedUp:
        """Raise the alert, once for each level, and say when to look again."""
        async with self._outside.database.transaction() as tx:
            found = await on_file(self._outside, tx, step.claim_number, step.version)
            state = await claims.load_state(tx, step.claim_number)
            estimate = await estimate_owed(tx, found)
            expected = attendance_deadline(found.facts.session.ends_at).at
            # Woken for the estimate alone, which may have been written meanwhile.
            early = state.stage is Stage.ATTENDANCE and state.hold is None and found.now < expected
            if not early or estimate is not None:
                await claims.append_event(
                    tx,
                    step.claim_number,
                    f"alert|{step.claim_number}|{step.sequence}",
                    found.now,
                    "alert",
                    "groupclaim",
                    {
                        "stage": state.stage.value,
                        "hold": state.hold.code if state.hold else None,
                        "level": step.follow_ups,
                        **({"deadline": estimate.rule} if early and estimate else {}),
                    },
                    sequence=step.sequence,
                )
        alert = estimate.next_alert(found.now) if estimate else None
        if early:
            return FollowedUp(at=found.now, due_at=min(expected, alert or expected))
        if state.hold is not None and state.hold.code == REFUND_DUE:
            # Told of before its day and on it, and every week once that has passed.
            alert = refund_deadline(found, state.hold.since).next_alert(found.now)
            return FollowedUp(at=found.now, due_at=alert or found.now + LOOK_AGAIN)
        if state.hold is None and state.stage is Stage.PATIENT_BALANCE and found.billed:
            return FollowedUp(at=found.now, due_at=found.billed.deadlines.statement(found.now).at)
        if state.hold is None and state.stage in _FROM_OUTSIDE:
            apart = timedelta(days=2 ** min(max(step.follow_ups - 1, 0), 3))
            return FollowedUp(at=found.now, due_at=found.now + min(apart, LOOK_AGAIN))
        return FollowedUp(at=found.now, due_at=found.look_again())
