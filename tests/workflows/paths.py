"""The main paths of every workflow type: walked by tests, and recorded for replay.

Each takes a scene and an opaque name that is its own, and returns the workflows it used by the name
of the history that is recorded of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from zlib import crc32

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from activities import steps
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import ClaimState, Fact, Stage, Step
from groupclaim.model.session import Attendance
from tests.workflows.outside import DAY, HOUR, START, claim_of, roster, settled
from tests.workflows.scene import Scene, eventually
from workflows import (
    acting,
    claim,
    denial,
    dispute,
    messages,
    sampling,
    session,
    submission,
    webhook,
)

Handles = dict[str, WorkflowHandle[Any, Any]]
Path = Callable[[Scene, str], Awaitable[Handles]]


# --- a claim


async def claim_paid(scene: Scene, name: str) -> Handles:
    """No obstacle: eligibility to the closed account."""
    handle = await scene.claim(name)
    await scene.outside.rests(name, Stage.ATTENDANCE)
    await scene.attended(handle)
    await scene.outside.rests(name, Stage.READY)
    await scene.sent_and_accepted(handle)
    await scene.remitted(handle)
    await handle.result()
    return {"claim_paid": handle}


async def claim_held(scene: Scene, name: str) -> Handles:
    """A late note, a group size that a person releases, and a shortfall that is written off."""
    outside = scene.outside
    outside.answer(
        steps.CHECK_DOCUMENTATION,
        events.DocumentationChecked(
            at=START, held=events.Held(code="NOTE_UNSIGNED", releasable=False), due_at=START + DAY
        ),
    )
    outside.answer(
        steps.CHECK_CODING,
        events.CodingChecked(at=START, held=events.Held(code="GROUP_SIZE_REVIEW", releasable=True)),
    )
    outside.answer(
        steps.SETTLE_BALANCE,
        events.BalanceSettled(at=START, payer_open=375, patient_open=0),
        events.BalanceSettled(at=START, payer_open=0, patient_open=1500, due_at=START + 30 * DAY),
    )
    handle = await scene.claim(name)
    await outside.rests(name, Stage.ATTENDANCE)
    await scene.attended(handle)
    await outside.rests(name, Stage.DOCUMENTATION, "NOTE_UNSIGNED")
    await scene.tell(handle, events.FactLearned(at=START, key="note:1", fact=Fact.NOTE))
    await outside.rests(name, Stage.CODING, "GROUP_SIZE_REVIEW")
    await scene.release(handle, "GROUP_SIZE_REVIEW")
    await outside.rests(name, Stage.READY)
    await scene.sent_and_accepted(handle)
    await scene.remitted(handle)
    await outside.rests(name, Stage.UNDERPAYMENT_REVIEW, "UNDERPAYMENT_REVIEW")
    await scene.release(handle, "UNDERPAYMENT_REVIEW", "request-2")
    await outside.rests(name, Stage.PATIENT_BALANCE)
    await scene.tell(handle, events.PatientPaid(at=START, key="patient:1"))
    await handle.result()
    return {"claim_held": handle}


async def claim_corrected(scene: Scene, name: str) -> Handles:
    """Rejected by 277CA and sent as new, denied with CO-197 and replaced, then paid."""
    outside = scene.outside
    outside.answer(
        steps.DECIDE_DENIAL,
        events.DenialDecided(
            at=START, correction="refresh_member_id", restart=Step.CHECK_ELIGIBILITY
        ),
        events.DenialDecided(
            at=START,
            correction="add_authorization",
            restart=Step.CHECK_AUTHORIZATION,
            frequency="7",
        ),
    )
    handle = await scene.claim(name)
    await outside.rests(name, Stage.ATTENDANCE)
    await scene.attended(handle)
    await outside.rests(name, Stage.READY)
    await scene.submitted(handle)
    await outside.rests(name, Stage.SUBMITTED)
    await scene.acknowledged(handle, "277CA", cause="A7:164")
    await outside.rests(name, Stage.READY, version=2)
    await scene.sent_and_accepted(handle, 2)
    await scene.remitted(handle, 2, denied="CO-197")
    await outside.rests(name, Stage.READY, version=3)
    await scene.sent_and_accepted(handle, 3)
    await scene.remitted(handle, 3)
    await handle.result()
    return {"claim_corrected": handle}


async def claim_denied(scene: Scene, name: str) -> Handles:
    """A denial that the file cannot mend is worked by a workflow of its own: somebody is reminded,
    a person has it sent again, and that is told to the claim, which is then paid."""
    outside = scene.outside
    handle = await scene.claim(name)
    await outside.rests(name, Stage.ATTENDANCE)
    await scene.attended(handle)
    await outside.rests(name, Stage.READY)
    await scene.sent_and_accepted(handle)
    held = events.Held(code="DENIED", releasable=True)
    outside.answer(
        steps.DECIDE_DENIAL,
        events.DenialDecided(at=START, held=held, denial=1),
        events.DenialDecided(at=START, held=held, denial=1),
    )
    await scene.remitted(handle, denied="CO-4")
    await outside.rests(name, Stage.CORRECTION, "DENIED")
    child = scene.client.get_workflow_handle(denial.workflow_id(name, 1))
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 1)
    await scene.release(handle, "DENIED")  # decided anew: the denial is told to look again
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 2)
    await scene.fast_forward(child, DAY)
    await eventually(lambda: len(outside.inputs(steps.FOLLOW_UP_DENIAL)) == 1)
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 3)
    outside.answer(steps.PLAN_DENIAL, steps.DenialPlan(at=START, next="conclude"))
    await scene.decide(child, "send_again")
    await child.result()
    await scene.tell(
        handle,
        events.DenialAdvanced(
            at=START, key="denial:1", denial=1, correction="review_coding",
            restart=Step.CHECK_CODING, frequency="7",
        ),
    )  # fmt: skip
    await outside.rests(name, Stage.READY, version=2)
    await scene.sent_and_accepted(handle, 2)
    await scene.remitted(handle, 2)
    await handle.result()
    return {"claim_denied": handle, "denial_worked": child}


async def denial_appealed(scene: Scene, name: str) -> Handles:
    """A letter is drafted, approved by two, sent, and the payer's next decision ends it."""
    outside = scene.outside
    outside.wall_clock = False
    person = outside._plan_denial(steps.DenialRef(claim_number=name, denial=1))
    outside.answer(
        steps.PLAN_DENIAL,
        person.model_copy(update={"next": "draft", "choices": ()}),
        person.model_copy(update={"choices": ("approve",), "people": 2}),
        person.model_copy(update={"next": "send", "choices": ()}),
        person.model_copy(update={"next": "wait", "choices": ("upheld",)}),
        steps.DenialPlan(at=START, next="conclude"),
    )
    handle = await scene.denial(name)
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 1)
    await scene.decide(handle, "approve", second="supervisor-1")
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 2)
    await handle.signal("look_again")
    await handle.result()
    return {"denial_appealed": handle}


async def denial_asked_afterwards(scene: Scene, name: str) -> Handles:
    """The payer is asked for the authorization that was missing; by a stored clock somebody is
    reminded, and the claim has news."""
    outside = scene.outside
    outside.wall_clock = False
    person = outside._plan_denial(steps.DenialRef(claim_number=name, denial=1))
    outside.answer(
        steps.PLAN_DENIAL,
        person.model_copy(update={"next": "ask", "choices": ()}),
        person.model_copy(update={"next": "wait", "choices": ()}),
        person.model_copy(update={"next": "wait", "choices": (), "due_at": START + 3 * DAY}),
        steps.DenialPlan(at=START, next="conclude"),
    )
    handle = await scene.denial(name)
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 1)
    await settled(handle)
    await scene.wake(handle, DAY)
    await eventually(lambda: len(outside.inputs(steps.ANNOUNCE_DENIAL)) == 2)
    await settled(handle)
    await handle.signal("look_again")
    await handle.result()
    return {"denial_asked_afterwards": handle}


async def claim_overdue(scene: Scene, name: str) -> Handles:
    """Deadlines pass by the engine's timers: attendance and the 277CA are late."""
    outside = scene.outside
    handle = await scene.claim(name)
    await outside.rests(name, Stage.ATTENDANCE)
    await scene.fast_forward(handle, DAY)
    await eventually(lambda: len(outside.inputs(steps.FOLLOW_UP)) == 1)
    await scene.attended(handle)
    await outside.rests(name, Stage.READY)
    await scene.submitted(handle)
    await outside.rests(name, Stage.SUBMITTED)
    await scene.acknowledged(handle, "999")
    await outside.rests(name, Stage.ACKNOWLEDGED)
    await scene.fast_forward(handle, 3 * DAY)
    await eventually(lambda: len(outside.inputs(steps.ASK_STATUS)) == 1)
    await scene.fast_forward(handle, DAY)
    await eventually(lambda: len(outside.inputs(steps.ASK_STATUS)) == 2)
    await scene.acknowledged(handle, "277CA")
    await outside.rests(name, Stage.ACCEPTED)
    await scene.remitted(handle)
    await handle.result()
    return {"claim_overdue": handle}


async def claim_by_stored_clock(scene: Scene, name: str) -> Handles:
    """No timers: the claim is woken when the stored clock has been moved."""
    outside = scene.outside
    outside.wall_clock = False
    handle = await scene.claim(name)
    await outside.rests(name, Stage.ATTENDANCE)
    await scene.wake(handle, DAY / 2)
    await scene.wake(handle, DAY / 2)
    await eventually(lambda: len(outside.inputs(steps.FOLLOW_UP)) == 1)
    await scene.attended(handle)
    await outside.rests(name, Stage.READY)
    await scene.sent_and_accepted(handle)
    await scene.remitted(handle)
    await handle.result()
    return {"claim_by_stored_clock": handle}


async def claim_not_billable(scene: Scene, name: str) -> Handles:
    handle = await scene.claim(name)
    await scene.outside.rests(name, Stage.ATTENDANCE)
    await scene.not_attended(handle)
    await handle.result()
    return {"claim_not_billable": handle}


async def claim_voided(scene: Scene, name: str) -> Handles:
    """Attendance is corrected after the claim was sent: it is paid, a person agrees that it is
    taken back, the payer reverses it."""
    outside = scene.outside
    handle = await scene.claim(name)
    await outside.rests(name, Stage.ATTENDANCE)
    await scene.attended(handle)
    await outside.rests(name, Stage.READY)
    await scene.sent_and_accepted(handle)
    await scene.not_attended(handle, sent=True)
    await outside.rests(name, Stage.VOID, "ATTENDANCE_CHANGED")
    await scene.remitted(handle)
    await eventually(lambda: len(outside.inputs(steps.PLAN_VOID)) == 2)
    outside.answer(
        steps.PLAN_VOID,
        events.VoidPlanned(at=START, next="send", reason="NO_SHOW"),
        events.VoidPlanned(at=START, next="wait", reason="NO_SHOW", due_at=START + DAY),
        events.VoidPlanned(at=START, next="done", reason="NO_SHOW"),
    )
    await scene.release(handle, "ATTENDANCE_CHANGED")
    await outside.rests(name, Stage.VOID, version=2)
    await scene.submitted(handle, 2)
    await scene.acknowledged(handle, "277CA", 2)
    await eventually(lambda: len(outside.inputs(steps.PLAN_VOID)) == 4)
    await scene.tell(
        handle, events.RemittancePosted(at=START, key="835:reversal", version=1, denied=False)
    )
    await handle.result()
    return {"claim_voided": handle}


async def claim_woken(scene: Scene, name: str) -> Handles:
    """A closed claim is taken up again from the store when a second remittance comes."""
    state = ClaimState(
        claim_number=name,
        sequence=17,
        stage=Stage.CLOSED,
        since=START,
        attendance=Attendance.ATTENDED,
        version=1,
        seen=("attendance:1",),
    )
    event = events.RemittancePosted(at=START, key="835:2", version=1, denied=False)
    handle = await scene.client.start_workflow(
        claim.NAME,
        claim.ClaimStart(claim_number=name, payer_key="payer1", state=state),
        id=claim.workflow_id(name),
        task_queue=scene.task_queue,
        result_type=claim.ClaimEnd,
        start_signal="remit_835",
        start_signal_args=[event],
        search_attributes=claim.first_search_attributes("payer1"),
    )
    await handle.result()
    return {"claim_woken": handle}


async def claim_continued(scene: Scene, name: str) -> Handles:
    """Continued as new between two waits (where the server suggests it after few events)."""
    outside = scene.outside
    handle = await scene.claim(name)
    first = scene.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)
    await outside.rests(name, Stage.ATTENDANCE)
    await scene.attended(handle)
    await outside.rests(name, Stage.READY)
    await scene.sent_and_accepted(handle)
    await scene.remitted(handle)
    await handle.result()
    last = scene.client.get_workflow_handle(handle.id, result_type=claim.ClaimEnd)
    return {"claim_continued_first": first, "claim_continued_last": last}


async def claim_written_off(scene: Scene, name: str) -> Handles:
    """The payer never decides, and a person gives it up; while that is booked, the payer says that
    it never took the claim, which sends nothing again."""
    booked = asyncio.Event()

    async def book(given: steps.ClaimWriteOff) -> steps.DecisionRecorded:
        await booked.wait()
        return steps.DecisionRecorded(at=START)

    scene.outside.answer(steps.RECORD_WRITE_OFF, book)
    handle = await scene.claim(name)
    await scene.outside.rests(name, Stage.ATTENDANCE)
    await scene.attended(handle)
    await scene.outside.rests(name, Stage.READY)
    await scene.sent_and_accepted(handle)
    await settled(handle)
    given = claim.WriteOff(by="supervisor-1", reason="three calls, no answer", request="click-1")
    update = asyncio.ensure_future(
        handle.execute_update("write_off", given, result_type=claim.ClaimStanding)
    )
    await eventually(lambda: scene.outside.inputs(steps.RECORD_WRITE_OFF))
    late = events.Acknowledged(
        at=START, key="277CA:late", due_at=START + DAY, by="277CA", version=1, accepted=False,
        cause="A7:164",
    )  # fmt: skip
    await handle.signal("ack_277ca", late)
    await eventually(lambda: taken(handle))
    booked.set()
    await update
    await handle.result()
    return {"claim_written_off": handle}


async def taken(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether everything that the workflow was told has been handed to it."""
    return not (await handle.describe()).raw_description.HasField("pending_workflow_task")


async def claim_acted_on(scene: Scene, name: str) -> Handles:
    """A work item about a claim is taken and put back by people, once each."""
    handle = await scene.claim(name)
    await scene.outside.rests(name, Stage.ATTENDANCE)
    await settled(handle)
    for revision, to in enumerate(("biller-1", None)):
        act = steps.ItemAct(
            item="0123456789abcdef", workflow_id=handle.id, kind="assign", revision=revision,
            by="biller-1", request=f"click-{revision}", to=to,
        )  # fmt: skip
        await handle.execute_update(acting.UPDATE, act, result_type=steps.ItemStanding)
        await settled(handle)
    await scene.not_attended(handle)
    await handle.result()
    return {"claim_acted_on": handle}


async def claim_charged(scene: Scene, name: str) -> Handles:
    """A person has the payer asked about it; what is left to the patient is announced, and then
    charged to their card."""
    outside = scene.outside
    owed = events.BalanceSettled(at=START, payer_open=0, patient_open=603, charge_card=True)
    outside.answer(steps.SETTLE_BALANCE, owed)
    outside.answer(
        steps.CLAIM_STEPS[Step.CHARGE_CARD],
        events.CardCharged(at=START, outcome="announced", due_at=START + DAY),
        events.CardCharged(at=START, outcome="charged"),
    )
    handle = await scene.claim(name)
    await outside.rests(name, Stage.ATTENDANCE)
    await scene.attended(handle)
    await outside.rests(name, Stage.READY)
    await scene.sent_and_accepted(handle)
    await settled(handle)
    wish = messages.LookAgain(at=START, what="status", request="click-1")
    await handle.execute_update("look_again", wish, result_type=claim.ClaimStanding)
    await eventually(lambda: len(outside.inputs(steps.ASK_STATUS)) == 1)
    await scene.remitted(handle)
    await outside.rests(name, Stage.PATIENT_BALANCE)
    await scene.fast_forward(handle, DAY)
    await handle.result()
    return {"claim_charged": handle}


# --- a session


def attendance(session_id: str, *patients: str, absent: str = "") -> steps.RecordAttendance:
    return steps.RecordAttendance(
        session_id=session_id,
        entries=tuple(
            steps.AttendanceEntry(
                patient_id=patient,
                status=Attendance.NO_SHOW if patient == absent else Attendance.ATTENDED,
                minutes=0 if patient == absent else 60,
            )
            for patient in patients
        ),
        by="frontdesk-1",
    )


def participants(name: str, count: int = 3) -> tuple[str, ...]:
    return tuple(f"{name[-8:]}{place}" for place in range(1, count + 1))


async def session_of_three(scene: Scene, name: str) -> Handles:
    """One is paid, one did not come, one is held until the note is signed."""
    outside = scene.outside
    patients = participants(name)
    outside.answer(
        steps.LOAD_ROSTER,
        roster(*patients, due_at=START + DAY, timer_seconds=outside.sleep(START + DAY)),
    )
    outside.answer(
        steps.RECORD_ATTENDANCE, steps.AttendanceRecorded(group_size=2, changed=len(patients))
    )
    handle = await scene.session(name)
    claims = {}
    for patient in patients:
        await outside.rests(claim_of(patient), Stage.ATTENDANCE)
        claims[patient] = scene.client.get_workflow_handle(claim.workflow_id(claim_of(patient)))
    paid, absent, held = patients
    await handle.execute_update(
        "record_attendance",
        attendance(name, *patients, absent=absent),
        result_type=steps.AttendanceRecorded,
    )
    await scene.not_attended(claims[absent])
    await claims[absent].result()
    await scene.attended(claims[paid])
    await outside.rests(claim_of(paid), Stage.READY)
    outside.answer(
        steps.CHECK_DOCUMENTATION,
        events.DocumentationChecked(
            at=START, held=events.Held(code="NOTE_UNSIGNED", releasable=False)
        ),
    )
    await scene.attended(claims[held])
    await outside.rests(claim_of(held), Stage.DOCUMENTATION, "NOTE_UNSIGNED")
    await scene.sent_and_accepted(claims[paid])
    await scene.remitted(claims[paid])
    await claims[paid].result()
    await scene.tell(claims[held], events.FactLearned(at=START, key="note:1", fact=Fact.NOTE))
    await outside.rests(claim_of(held), Stage.READY)
    await scene.sent_and_accepted(claims[held])
    await scene.remitted(claims[held])
    await handle.result()
    return {"session_of_three": handle}


async def session_amended(scene: Scene, name: str) -> Handles:
    """Attendance is late, the roster is amended, and one claim had been started before."""
    outside = scene.outside
    first, second, late = participants(name)
    before = await scene.claim(claim_of(first))
    outside.answer(
        steps.LOAD_ROSTER,
        # The server skips no time of a workflow whose children run: so this wait is a real one.
        roster(first, second, due_at=START + DAY, timer_seconds=0.5),
    )
    outside.answer(steps.AMEND_ROSTER, roster(second, late, due_at=START + DAY, timer_seconds=None))
    handle = await scene.session(name)
    await outside.rests(claim_of(second), Stage.ATTENDANCE)
    await eventually(lambda: len(outside.inputs(steps.FOLLOW_UP_ATTENDANCE)) == 1)
    await handle.execute_update(
        "amend_roster",
        steps.AmendRoster(session_id=name, add=(late,), remove=(first,), by="frontdesk-1"),
        result_type=session.SessionStanding,
    )
    await handle.execute_update(
        "record_attendance",
        attendance(name, second, late),
        result_type=steps.AttendanceRecorded,
    )
    for patient in (second, late):
        await outside.rests(claim_of(patient), Stage.ATTENDANCE)
        await scene.not_attended(
            scene.client.get_workflow_handle(claim.workflow_id(claim_of(patient)))
        )
    await handle.result()
    await scene.not_attended(before)
    await before.result()
    return {"session_amended": handle}


async def session_by_stored_clock(scene: Scene, name: str) -> Handles:
    """Attendance is late by a stored clock, then nobody was there."""
    outside = scene.outside
    outside.wall_clock = False
    patients = participants(name, 2)
    outside.answer(steps.LOAD_ROSTER, roster(*patients, due_at=START + DAY, timer_seconds=None))
    handle = await scene.session(name)
    for patient in patients:
        await outside.rests(claim_of(patient), Stage.ATTENDANCE)
    await scene.wake(handle, DAY)
    await eventually(lambda: len(outside.inputs(steps.FOLLOW_UP_ATTENDANCE)) == 1)
    await handle.execute_update(
        "record_attendance", attendance(name, *patients), result_type=steps.AttendanceRecorded
    )
    for patient in patients:
        number = claim_of(patient)
        await scene.not_attended(scene.client.get_workflow_handle(claim.workflow_id(number)))
    await handle.result()
    return {"session_by_stored_clock": handle}


# --- batches


async def batch_cut(scene: Scene, name: str) -> Handles:
    """Two batches at one cut-off; more becomes ready while they are cut, and waits for the next."""
    outside = scene.outside
    asked = asyncio.Event()
    go_on = asyncio.Event()

    async def nothing_left(given: steps.ConnectionRef) -> steps.CutBatch:
        asked.set()
        await go_on.wait()
        return steps.CutBatch(batch_id=None, claims=0)

    outside.answer(
        steps.CUT_BATCH,
        steps.CutBatch(batch_id=f"{name}-1", claims=100),
        steps.CutBatch(batch_id=f"{name}-2", claims=7),
        nothing_left,
        steps.CutBatch(batch_id=f"{name}-3", claims=1),
    )
    outside.answer(steps.SEND_BATCH, *(outside.sent("refused") for _ in range(3)))
    handle = await scene.ready(name)
    await eventually(lambda: outside.inputs(steps.NEXT_CUTOFF))
    await scene.fast_forward(handle, 6 * HOUR)
    await asked.wait()
    await scene.ready(name)
    go_on.set()
    await eventually(lambda: len(outside.inputs(steps.NEXT_CUTOFF)) == 2)
    await scene.fast_forward(handle, 6 * HOUR)
    await handle.result()
    for place in (1, 2, 3):
        child = scene.client.get_workflow_handle(submission.workflow_id(f"{name}-{place}"))
        await child.result()
    return {"batch_cut": handle}


async def batch_by_stored_clock(scene: Scene, name: str) -> Handles:
    outside = scene.outside
    outside.wall_clock = False
    handle = await scene.ready(name)
    await eventually(lambda: outside.inputs(steps.NEXT_CUTOFF))
    await scene.wake(handle, HOUR)
    await scene.wake(handle, 5 * HOUR)
    await handle.result()
    return {"batch_by_stored_clock": handle}


# --- submissions


async def acknowledged(
    handle: WorkflowHandle[Any, Any], by: str = "999", *, accepted: bool = True
) -> None:
    await handle.signal("acknowledged", submission.BatchAcknowledged(by=by, accepted=accepted))


async def submission_accepted(scene: Scene, name: str) -> Handles:
    """Taken; the TA1 comes in time, the 999 late."""
    handle = await scene.submission(name)
    await eventually(lambda: scene.outside.inputs(steps.ANNOUNCE_BATCH))
    await acknowledged(handle, "TA1")
    await scene.fast_forward(handle, HOUR)
    await eventually(lambda: scene.outside.inputs(steps.FOLLOW_UP_BATCH))
    await acknowledged(handle)
    await handle.result()
    return {"submission_accepted": handle}


async def submission_refused(scene: Scene, name: str) -> Handles:
    scene.outside.answer(steps.SEND_BATCH, scene.outside.sent("refused"))
    handle = await scene.submission(name)
    await handle.result()
    return {"submission_refused": handle}


async def submission_in_doubt_received(scene: Scene, name: str) -> Handles:
    """No answer; a first listing says nothing yet, a second shows our interchange."""
    outside = scene.outside
    outside.answer(steps.SEND_BATCH, outside.sent("in_doubt"))
    outside.answer(
        steps.RECONCILE_BATCH, outside.reconciled("unknown"), outside.reconciled("received")
    )
    handle = await scene.submission(name)
    for count in (1, 2):
        await eventually(lambda: outside.inputs(steps.SEND_BATCH))
        await scene.fast_forward(handle, HOUR)
        await eventually(lambda count=count: len(outside.inputs(steps.RECONCILE_BATCH)) == count)
    await acknowledged(handle)
    await handle.result()
    return {"submission_in_doubt_received": handle}


async def submission_in_doubt_absent(scene: Scene, name: str) -> Handles:
    """No answer, proven absent, so the same batch goes again; then an acknowledgment in doubt."""
    outside = scene.outside
    outside.answer(steps.SEND_BATCH, outside.sent("in_doubt"), outside.sent("in_doubt"))
    outside.answer(
        steps.RECONCILE_BATCH, outside.reconciled("absent"), outside.reconciled("received")
    )
    handle = await scene.submission(name)
    await eventually(lambda: outside.inputs(steps.SEND_BATCH))
    await scene.fast_forward(handle, HOUR)
    await eventually(lambda: len(outside.inputs(steps.SEND_BATCH)) == 2)
    await acknowledged(handle)
    await handle.result()
    return {"submission_in_doubt_absent": handle}


async def submission_by_stored_clock(scene: Scene, name: str) -> Handles:
    """The 999 is late by a stored clock."""
    outside = scene.outside
    outside.wall_clock = False
    handle = await scene.submission(name)
    await eventually(lambda: outside.inputs(steps.ANNOUNCE_BATCH))
    await settled(handle)
    await scene.wake(handle, DAY)
    await eventually(lambda: outside.inputs(steps.FOLLOW_UP_BATCH))
    await acknowledged(handle)
    await handle.result()
    return {"submission_by_stored_clock": handle}


# --- files


async def inbound_refused(scene: Scene, name: str) -> Handles:
    """A file that cannot be read stands as a problem, and its workflow fails."""
    refused = ApplicationError("not X12", type=steps.INVALID, non_retryable=True)
    scene.outside.answer(steps.READ_FILE, refused)
    handle = await scene.inbound(name)
    with suppress(WorkflowFailureError):
        await handle.result()
    return {"inbound_refused": handle}


async def inbound_acknowledgments(scene: Scene, name: str) -> Handles:
    handle = await scene.inbound(name)
    await handle.result()
    return {"inbound_acknowledgments": handle}


def first_payment_of(name: str) -> int:
    """The first of ten numbers that are no other name's: a server posts each payment once."""
    return crc32(name.encode()) * 10


async def inbound_payments(scene: Scene, name: str) -> Handles:
    """Three payments: one posted, one suspended, one already being posted by another file."""
    outside = scene.outside
    first = first_payment_of(name)
    outside.answer(steps.READ_FILE, steps.FileContents(acknowledgments=0, payments=3, problems=0))
    outside.answer(
        steps.REGISTER_REMITTANCES,
        steps.Remittances(new=(first, first + 1, first + 2), repeated=1),
    )
    outside.answer(
        steps.POST_REMITTANCE,
        steps.Posted(state="posted", claims=2, difference_cents=0),
        steps.Posted(state="posted", claims=2, difference_cents=0),
        steps.Posted(state="suspended", claims=0, difference_cents=250),
    )
    before = await scene.remittance(first + 1)
    await before.result()
    handle = await scene.inbound(name)
    await handle.result()
    suspended = scene.client.get_workflow_handle(f"era/{first + 2}")
    return {
        "inbound_payments": handle,
        "remittance_posted": before,
        "remittance_suspended": suspended,
    }


async def mailbox_polled(scene: Scene, name: str) -> Handles:
    """The mailbox cannot be reached at first."""
    scene.outside.answer(steps.POLL_MAILBOX, ApplicationError("unreachable", type="Outage"))
    handle = await scene.mailbox(name)
    await handle.result()
    return {"mailbox_polled": handle}


async def webhooks_delivered(scene: Scene, name: str) -> Handles:
    """The database does not answer at first."""
    scene.outside.answer(steps.DELIVER_WEBHOOKS, ApplicationError("busy", type="Outage"))
    handle = await scene.start(
        webhook.NAME, steps.WebhookRound(), f"webhooks/{name}", steps.WebhooksDelivered
    )
    await handle.result()
    return {"webhooks_delivered": handle}


async def sample_drawn(scene: Scene, name: str) -> Handles:
    """The database does not answer at first."""
    scene.outside.answer(steps.DRAW_SAMPLE, ApplicationError("busy", type="Outage"))
    handle = await scene.start(
        sampling.NAME, steps.SampleRound(), f"sampling/{name}", steps.SampleDrawn
    )
    await handle.result()
    return {"sample_drawn": handle}


# --- disputes


def case_of(name: str) -> int:
    return crc32(name.encode())


def looks(scene: Scene) -> int:
    return len(scene.outside.inputs(steps.LOOK_AT_DISPUTE))


async def dispute_recovered(scene: Scene, name: str) -> Handles:
    """Below the floor at first; approved, asked again after 30 days, corrected by the payer."""
    outside, case_id = scene.outside, case_of(name)
    outside.answer(
        steps.LOOK_AT_DISPUTE,
        outside.dispute("gathering", identified=345),
        outside.dispute("to_approve"),
        outside.dispute("told"),
        outside.dispute("told"),
        outside.dispute("closed", outcome="recovered", recovered=1210),
    )
    handle = await scene.dispute(case_id)
    await eventually(lambda: looks(scene) == 1)
    await settled(handle)
    await scene.dispute(case_id)
    await eventually(lambda: looks(scene) == 2)
    await settled(handle)
    approval = dispute.Approve(by="contract-owner", reason="as the contract", request="r1")
    await handle.execute_update("approve", approval, result_type=steps.DisputeStanding)
    await eventually(lambda: looks(scene) == 3)
    await scene.fast_forward(handle, 31 * DAY)
    await eventually(lambda: looks(scene) == 4)
    await settled(handle)
    await scene.dispute(case_id)
    await handle.result()
    return {"dispute_recovered": handle}


async def dispute_given_up(scene: Scene, name: str) -> Handles:
    """A person gives it up, and the claims that waited are released."""
    outside = scene.outside
    outside.answer(
        steps.LOOK_AT_DISPUTE,
        outside.dispute("to_approve"),
        outside.dispute("closed", outcome="given_up"),
    )
    handle = await scene.dispute(case_of(name))
    await eventually(lambda: looks(scene) == 1)
    await settled(handle)
    end = dispute.Close(outcome="given_up", by="contract-owner", reason="too small", request="r1")
    await handle.execute_update("close", end, result_type=steps.DisputeStanding)
    await handle.result()
    return {"dispute_given_up": handle}


async def dispute_by_stored_clock(scene: Scene, name: str) -> Handles:
    """The payer's answer is due by a stored clock, and has come by then."""
    outside = scene.outside
    outside.wall_clock = False
    outside.answer(
        steps.LOOK_AT_DISPUTE,
        outside.dispute("told"),
        outside.dispute("closed", outcome="recovered", recovered=1210),
    )
    handle = await scene.dispute(case_of(name))
    await eventually(lambda: looks(scene) == 1)
    await settled(handle)
    await scene.wake(handle, 31 * DAY)
    await handle.result()
    return {"dispute_by_stored_clock": handle}


PATHS: tuple[Path, ...] = (
    claim_paid,
    claim_held,
    claim_corrected,
    claim_denied,
    denial_appealed,
    denial_asked_afterwards,
    claim_overdue,
    claim_by_stored_clock,
    claim_not_billable,
    claim_voided,
    claim_woken,
    claim_acted_on,
    claim_written_off,
    claim_charged,
    session_of_three,
    session_amended,
    session_by_stored_clock,
    batch_cut,
    batch_by_stored_clock,
    submission_accepted,
    submission_refused,
    submission_in_doubt_received,
    submission_in_doubt_absent,
    submission_by_stored_clock,
    inbound_refused,
    inbound_acknowledgments,
    inbound_payments,
    mailbox_polled,
    webhooks_delivered,
    sample_drawn,
    dispute_recovered,
    dispute_given_up,
    dispute_by_stored_clock,
)
"""The paths that any development server can show; ``claim_continued`` needs one of its own."""
