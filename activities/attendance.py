"""The room: who is on the roster, who came, and what that means for each claim."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from activities import steps
from activities.claims_told import known_claims
from activities.messages import Messages
from activities.on_file import LOOK_AGAIN, OnFile, invalid, on_file
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import AttendanceRecorded
from groupclaim.model.base import InputRefused
from groupclaim.model.session import Attendance
from groupclaim.rules.deadlines import attendance_deadline
from groupclaim.rules.eligibility import answer_is_stale
from groupclaim.store import audit, claims, ledger, practice
from groupclaim.store.clock import practice_now, sleep_until, timer_seconds
from groupclaim.store.database import Transaction
from workflows import session


class Room:
    def __init__(self, outside: Outside, messages: Messages) -> None:
        self._outside = outside
        self._messages = messages

    @performs(steps.LOAD_ROSTER)
    async def load_roster(self, ref: steps.SessionRef) -> steps.Roster:
        """The roster as it is now, and by when attendance should be recorded."""
        async with self._outside.database.transaction() as tx:
            return await _roster(tx, ref.session_id)

    @performs(steps.RECORD_ATTENDANCE)
    async def record_attendance(self, record: steps.RecordAttendance) -> steps.AttendanceRecorded:
        """Keep who came and tell every claim of the room; what it knows already it ignores."""
        entries = [
            claims.AttendanceEntry(
                item.patient_id, item.status, item.minutes, item.copay_cents, item.remote
            )
            for item in record.entries
        ]
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            try:
                recorded = await claims.record_attendance(tx, record.session_id, entries, now)
            except InputRefused as error:
                raise invalid("; ".join(error.problems)) from None
            if recorded.changed:
                await audit.record(
                    tx, now, record.by, "record_attendance", record.session_id,
                    {"attended": recorded.group_size, "changed": recorded.changed},
                )  # fmt: skip
            await sleep_until(tx, session.workflow_id(record.session_id), None)
        await self._tell(recorded.claims, now)
        return steps.AttendanceRecorded(group_size=recorded.group_size, changed=recorded.changed)

    @performs(steps.AMEND_ROSTER)
    async def amend_roster(self, amendment: steps.AmendRoster) -> steps.Roster:
        """Add to the roster and take off it; whoever is taken off is not billed, and all who came
        are told: what they know already they ignore."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            try:
                amended = await claims.amend_roster(
                    tx, amendment.session_id, amendment.add, amendment.remove, now
                )
            except InputRefused as error:
                raise invalid("; ".join(error.problems)) from None
            if amended.changed:
                await audit.record(
                    tx, now, amendment.by, "amend_roster", amendment.session_id,
                    {"added": len(amendment.add), "removed": len(amendment.remove)},
                )  # fmt: skip
            roster = await _roster(tx, amendment.session_id)
        await self._tell(amended.claims, now)
        return roster

    async def _tell(self, news: Sequence[claims.ClaimAttendance], now: datetime) -> None:
        async with self._outside.database.reading() as reading:
            known = await known_claims(reading, [item.claim_number for item in news])
            found = {
                item.claim_number: await on_file(self._outside, reading, item.claim_number)
                for item in news
                if item.not_billable is None
            }
            money = await ledger.balances(reading, [item.claim_number for item in news])
        for item in news:
            claim = known[item.claim_number]
            prepaid = max(0, -money[item.claim_number].patient_open) if item.not_billable else 0
            await self._messages.tell_claim(
                claim.payer_key,
                item.claim_number,
                "attendance",
                AttendanceRecorded(
                    at=now,
                    key=f"attendance:{item.revision}",
                    due_at=now + LOOK_AGAIN
                    if item.not_billable and (item.sent or prepaid)
                    else None,
                    attendance=item.attendance or Attendance.EXCUSED,
                    not_billable=item.not_billable,
                    sent=item.sent,
                    note_due_at=_note_due(found.get(item.claim_number), now),
                    coverage_stale=_coverage_stale(found.get(item.claim_number)),
                    prepaid=prepaid,
                ),
            )

    @performs(steps.RECORD_SESSION)
    async def record_session(self, progress: steps.SessionProgress) -> steps.Recorded:
        """Keep how far the session has come, for lists."""
        async with self._outside.database.transaction() as tx:
            await claims.record_session(tx, progress.session_id, progress.stage, progress.ended)
            if progress.attendance_recorded:
                await sleep_until(tx, session.workflow_id(progress.session_id), None)
        return steps.Recorded()

    @performs(steps.FOLLOW_UP_ATTENDANCE)
    async def follow_up_attendance(self, alert: steps.SessionAlert) -> steps.NextLook:
        """Attendance is missing: every claim of the room says so; reminders grow apart."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            roster = await practice.session_roster(tx, alert.session_id)
            for row in roster.rows:
                await claims.append_event(
                    tx,
                    row.claim_number,
                    f"alert|{alert.session_id}|{alert.follow_ups}|{row.claim_number}",
                    now,
                    "alert",
                    "groupclaim",
                    {"missing": "attendance", "level": alert.follow_ups},
                )
            due_at = now + min(timedelta(days=2 ** min(alert.follow_ups - 1, 3)), LOOK_AGAIN)
            await sleep_until(tx, session.workflow_id(alert.session_id), due_at)
            return steps.NextLook(due_at=due_at, timer_seconds=await timer_seconds(tx, due_at))


def _note_due(found: OnFile | None, now: datetime) -> datetime | None:
    """By when the note should be signed; None when it is, or nothing is billed anyway."""
    if found is None or found.billed is None or found.facts.note_signed_at is not None:
        return None
    due_at = found.billed.deadlines.note(found.facts.session.ends_at).at
    return due_at if due_at > now else found.look_again()


def _coverage_stale(found: OnFile | None) -> bool:
    """Whether the payer must be asked again before the claim goes on."""
    if found is None or found.billed is None:
        return False
    return answer_is_stale(found.facts, found.billed.policy)


async def _roster(tx: Transaction, session_id: str) -> steps.Roster:
    roster = await practice.session_roster(tx, session_id)
    due_at = attendance_deadline(roster.ends_at).at
    await sleep_until(
        tx, session.workflow_id(session_id), None if roster.attendance_recorded else due_at
    )
    return steps.Roster(
        entries=tuple(
            steps.RosterEntry(
                patient_id=row.patient_id, claim_number=row.claim_number, payer_key=row.payer_key
            )
            for row in roster.rows
        ),
        attendance_recorded=roster.attendance_recorded,
        attendance_due_at=due_at,
        timer_seconds=await timer_seconds(tx, due_at),
    )
