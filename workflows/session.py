"""One group session: starts a claim for each participant and owns what concerns the whole room.

Participants are independent: each claim goes its own way, this workflow only waits until all have
ended. It is never continued as new, because a child's end is told to the run that started it; a
roster has at most 50 names, which keeps the history far below the engine's limit. A correction
that comes after the end starts it anew for as long as that takes.
"""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import (
    ApplicationError,
    ChildWorkflowError,
    WorkflowAlreadyStartedError,
)
from temporalio.workflow import ParentClosePolicy

import workflows.claim as claims
from activities import steps
from workflows.messages import SessionEnd as SessionEnd
from workflows.messages import SessionStanding as SessionStanding
from workflows.messages import SessionStart as SessionStart
from workflows.perform import Alarm, Wake, perform, perform_here

NAME = "GroupSessionWorkflow"


def workflow_id(session_id: str) -> str:
    return f"session/{session_id}"


@workflow.defn(name=NAME)
class GroupSessionWorkflow:
    @workflow.init
    def __init__(self, start: SessionStart) -> None:
        self._session_id = start.session_id
        self._roster: dict[str, steps.RosterEntry] = {}
        self._invited: set[str] = set()
        self._ended: set[str] = set()
        self._followers: list[asyncio.Task[None]] = []
        self._attendance_recorded = False
        self._room = asyncio.Lock()
        self._loaded = False
        self._alarm = Alarm()

    @workflow.run
    async def run(self, start: SessionStart) -> SessionEnd:
        roster = await perform(
            steps.LOAD_ROSTER, steps.SessionRef(session_id=start.session_id), "load the roster"
        )
        self._attendance_recorded = roster.attendance_recorded
        await self._start_claims(roster)
        self._loaded = True
        await self._await_attendance(roster)
        await self._record("open")
        while not self._all_ended():
            await workflow.wait_condition(self._all_ended)
            await self._record("closed")
        return SessionEnd(claims=len(self._roster))

    def _all_ended(self) -> bool:
        return len(self._ended) == len(self._roster) and workflow.all_handlers_finished()

    async def _start_claims(self, roster: steps.Roster) -> None:
        """Start a claim for each new name; whoever was taken off keeps theirs until it ends."""
        self._invited = {entry.patient_id for entry in roster.entries}
        new = [entry for entry in roster.entries if entry.claim_number not in self._roster]
        self._roster.update((entry.claim_number, entry) for entry in new)
        # All at once: one after the other, each would cost a task of this workflow.
        await asyncio.gather(*map(self._start_claim, new))

    async def _start_claim(self, entry: steps.RosterEntry) -> None:
        try:
            handle = await workflow.start_child_workflow(
                claims.NAME,
                claims.ClaimStart(claim_number=entry.claim_number, payer_key=entry.payer_key),
                id=claims.workflow_id(entry.claim_number),
                result_type=claims.ClaimEnd,
                parent_close_policy=ParentClosePolicy.ABANDON,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=claims.first_search_attributes(entry.payer_key),
                static_summary=f"90853 claim {entry.claim_number}",
            )
        except WorkflowAlreadyStartedError:
            # The claim is or was carried by another run: nothing here waits for it.
            self._ended.add(entry.claim_number)
            return
        self._followers.append(asyncio.create_task(self._follow(entry.claim_number, handle)))

    async def _follow(
        self, claim_number: str, handle: workflow.ChildWorkflowHandle[claims.ClaimWorkflow, object]
    ) -> None:
        try:
            await handle
        except ChildWorkflowError:
            # Ended against the rules of the house: open until an engineer has taken it up again.
            return
        self._ended.add(claim_number)
        self._show()

    async def _await_attendance(self, roster: steps.Roster) -> None:
        """Remind, each time a little later, until the final attendance is recorded."""
        due_at, timer_seconds, follow_ups = roster.attendance_due_at, roster.timer_seconds, 0
        while not self._attendance_recorded:
            self._show()
            await self._alarm.until(
                due_at,
                timer_seconds,
                "attendance overdue",
                unless=lambda: self._attendance_recorded,
            )
            if not self._attendance_recorded:
                follow_ups += 1
                look = await perform(
                    steps.FOLLOW_UP_ATTENDANCE,
                    steps.SessionAlert(session_id=self._session_id, follow_ups=follow_ups),
                    "attendance is missing",
                )
                due_at, timer_seconds = look.due_at, look.timer_seconds

    async def _record(self, stage: str) -> None:
        self._show()
        await perform_here(
            steps.RECORD_SESSION,
            steps.SessionProgress(
                session_id=self._session_id,
                stage="closed" if stage == "closed" else "open",
                attendance_recorded=self._attendance_recorded,
                ended=len(self._ended),
            ),
        )

    def _show(self) -> None:
        attendance = "recorded" if self._attendance_recorded else "awaited"
        workflow.set_current_details(
            f"Attendance {attendance}; {len(self._ended)} of {len(self._roster)} claims have ended"
        )

    @workflow.update(name="record_attendance", description="The final attendance, or a correction")
    async def record_attendance(self, record: steps.RecordAttendance) -> steps.AttendanceRecorded:
        await workflow.wait_condition(lambda: self._loaded)
        async with self._room:
            self._refuse(self._faults_of_attendance(record))
            recorded = await perform(steps.RECORD_ATTENDANCE, record, "record attendance")
            self._attendance_recorded = True
        return recorded

    @record_attendance.validator
    def _check_attendance(self, record: steps.RecordAttendance) -> None:
        if self._loaded and (faults := self._faults_of_attendance(record)):
            raise ValueError("; ".join(faults))

    def _faults_of_attendance(self, record: steps.RecordAttendance) -> list[str]:
        named = {entry.patient_id for entry in record.entries}
        problems = []
        if len(named) != len(record.entries):
            problems.append("someone is listed more than once")
        if strangers := named - self._invited:
            problems.append(f"{len(strangers)} people are not on the roster: amend it first")
        if missing := self._invited - named:
            problems.append(f"{len(missing)} people on the roster have no attendance")
        return problems

    @staticmethod
    def _refuse(faults: list[str]) -> None:
        """Fail an update that came before the roster was loaded, and so past its validator."""
        if faults:
            raise ApplicationError("; ".join(faults), non_retryable=True)

    @workflow.update(name="amend_roster", description="Add people to the roster, or take them off")
    async def amend_roster(self, amendment: steps.AmendRoster) -> SessionStanding:
        await workflow.wait_condition(lambda: self._loaded)
        async with self._room:
            self._refuse(self._faults_of_amendment(amendment))
            roster = await perform(steps.AMEND_ROSTER, amendment, "amend the roster")
            await self._start_claims(roster)
            if self._attendance_recorded:
                await self._record("open")
        return self.progress()

    @amend_roster.validator
    def _check_amendment(self, amendment: steps.AmendRoster) -> None:
        if self._loaded and (faults := self._faults_of_amendment(amendment)):
            raise ValueError("; ".join(faults))

    def _faults_of_amendment(self, amendment: steps.AmendRoster) -> list[str]:
        problems = []
        if self._invited & set(amendment.add):
            problems.append("already on the roster")
        if set(amendment.remove) - self._invited:
            problems.append("not on the roster")
        return problems

    @workflow.signal(name="wake", description="The practice clock was moved")
    def wake(self, wake: Wake) -> None:
        self._alarm.moved(wake)

    @workflow.query(name="progress", description="Roster, attendance, claims still open")
    def progress(self) -> SessionStanding:
        return SessionStanding(
            roster=len(self._roster),
            attendance_recorded=self._attendance_recorded,
            ended=len(self._ended),
            open_claims=tuple(sorted(set(self._roster) - self._ended)),
        )
