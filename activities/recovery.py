"""A database restored from an older copy beside a Temporal that has gone on: what differs, mended.

What Temporal keeps of each workflow says what was done since the copy was made. Steps that only
write are done again from it, in the order in which they began, with nobody told and nothing
sent: whether a batch was taken stands in its history. What left the house and cannot be done again,
and what came from outside and is gone, is named for a person. To be used while no worker works.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select, update
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import steps
from activities.front_desk import PAYER_REFUND
from activities.outside import Outside
from activities.registry import every_activity
from groupclaim.clearinghouse.port import Clearinghouse, NoAnswer
from groupclaim.lifecycle.events import FactLearned, PatientPaid
from groupclaim.lifecycle.state import ClaimState, Fact
from groupclaim.model.authorization_request import RequestState
from groupclaim.model.money import Cents
from groupclaim.store import audit, batches, ledger, practice, voids
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import (
    authorization_request,
    batch,
    claim,
    connection,
    counter,
    dispute_case,
    group_session,
    participant,
    remittance,
    transfer,
    work_item,
    x12_file,
)

_DONE_AGAIN = frozenset(
    step.name
    for step in (
        steps.RECORD_ATTENDANCE,
        steps.AMEND_ROSTER,
        steps.RECORD_SESSION,
        steps.CHECK_ELIGIBILITY,
        steps.CHECK_AUTHORIZATION,
        steps.CHECK_DOCUMENTATION,
        steps.CHECK_CODING,
        steps.BUILD_CLAIM,
        steps.QUEUE_CLAIM,
        steps.CUT_BATCH,
        steps.BUILD_BATCH,
        steps.SEND_BATCH,
        steps.RECONCILE_BATCH,
        steps.RECORD_DECISION,
        steps.RECORD_WRITE_OFF,
        steps.RECORD_DENIAL_CHOICE,
        steps.DECIDE_DISPUTE,
        steps.PLAN_VOID,
    )
)
"""Steps whose effect is in the store, or that only ask; those of sending are told, not done."""

_BEGINNINGS = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
)

_LEFT_THE_HOUSE = {
    steps.CHARGE_CARD.name: "a patient's card may have been charged: compare with the processor",
    steps.SEND_LETTER.name: "a letter may have gone out: compare with the receipts",
    steps.ASK_AFTERWARDS.name: "an authorization may have been asked for: compare with the payer",
}

_CANNOT = (
    ApplicationError,
    practice.UnknownRecord,
    batches.BatchConflict,
    voids.RefundRefused,
)

_ACTS_OF_A_LOST_HOUR = 1_000
"""More often than this nobody has changed one work item since the copy was made."""

_DELETED_WITHIN = 60.0
"""Seconds. A server that deletes nothing in this time has more wrong with it."""

_HAND_IN_AGAIN = "hand the session's file in again; it goes on by itself"


@dataclass(frozen=True, slots=True)
class Difference:
    """``mended_by``: ``groupclaim`` when it was, or can be, mended here; else what people do."""

    kind: str
    subject: str
    found: str
    mended_by: str


@dataclass(frozen=True, slots=True)
class _Done:
    """Something that a workflow has done or was told since the copy was made. ``at``: when it was
    begun for the last time, or told."""

    at: datetime
    workflow_id: str
    run_id: str
    name: str
    activity_id: str
    given: Payload
    result: Payload | None


class _Mute:
    """Stands for the engine while steps are done again: who was told then need not be told now."""

    async def start_workflow(self, *_: object, **__: object) -> None: ...

    def get_workflow_handle(self, *_: object, **__: object) -> _Mute:
        return self

    async def signal(self, *_: object, **__: object) -> None: ...

    async def execute_update(self, *_: object, **__: object) -> None: ...


class _TakesNothing:
    """Stands for the clearinghouse while steps are done again: it is asked, and sent nothing. A
    request may have left in the time that is lost, so what became of it is in doubt."""

    def __init__(self, clearinghouse: Clearinghouse) -> None:
        self._clearinghouse = clearinghouse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clearinghouse, name)

    async def request_authorization(self, content: bytes) -> bytes:
        raise NoAnswer("the database was restored: it may have been sent")


class Recovery:
    """``outside`` is that of a worker; ``since``: when the copy was made, by the wall clock."""

    def __init__(self, outside: Outside, since: datetime) -> None:
        self._outside = outside
        self._client = outside.client
        self._since = since
        muted = replace(
            outside,
            client=cast(Client, _Mute()),
            clearinghouse=cast(Clearinghouse, _TakesNothing(outside.clearinghouse)),
        )
        self._activities: Mapping[str, Callable[..., Any]] = {
            getattr(each, "__temporal_activity_definition").name: each
            for each in every_activity(muted)
        }
        self._environment = ActivityEnvironment()
        self._done: Sequence[_Done] | None = None
        self._known = {
            step.name: step for step in vars(steps).values() if isinstance(step, steps.Step)
        }

    async def differences(self) -> tuple[Difference, ...]:
        """Everything in which the store, Temporal and the clearinghouse differ."""
        found = [item async for item in self._workflows()]
        found += [item async for item in self._interchanges()]
        return tuple(found)

    async def mend(self, by: str) -> tuple[Difference, ...]:
        """Mend what can be, note it in the audit log, and say what differed before."""
        before = await self.differences()
        behind = {item.subject for item in before}
        failed = [item async for item in self._do_again()]
        for item in before:
            kind = item.subject.partition("/")[0]
            if item.kind == "claim_behind":
                state = await self._state(item.subject)
                await self._run(steps.RECORD_PROGRESS.name, steps.ClaimProgress(state=state))
            elif item.kind == "taken_file" or kind in ("era", "dispute"):
                await self._forget(item.subject)
        async with self._outside.database.transaction() as tx:
            await self._raise_control_numbers(tx)
            await raise_revisions(tx)
            counts = {"differences": len(behind), "failed": len(failed)}
            await audit.record(tx, await practice_now(tx), by, "reconcile", "temporal", counts)
        return (*before, *failed)

    # --- what differs

    async def _workflows(self) -> AsyncIterator[Difference]:
        async with self._outside.database.reading() as reading:
            known = await _on_file(reading)
        async for execution in self._client.list_workflows():
            kind, _, key = execution.id.partition("/")
            if kind == "claim":
                if key not in known.claims:
                    yield Difference("unknown_claim", execution.id, "not on file", _HAND_IN_AGAIN)
                    continue
                state = await self._state(execution.id)
                if state.sequence > known.claims[key]:
                    yield Difference(
                        "claim_behind",
                        execution.id,
                        f"at {state.stage.value} after {state.sequence} steps, on file after "
                        f"{known.claims[key]}",
                        "groupclaim",
                    )
            elif kind == "session" and key not in known.sessions:
                yield Difference("unknown_session", execution.id, "not on file", _HAND_IN_AGAIN)
            elif kind == "837" and known.batches.get(key) not in ("accepted", "refused"):
                state_on_file = known.batches.get(key, "not on file")
                if (said := await self._sent(execution.id)) and said != state_on_file:
                    yield Difference(
                        "batch_behind", execution.id, f"{said}, on file {state_on_file}",
                        "groupclaim",
                    )  # fmt: skip
            elif kind == "inbound" and not any(one.startswith(key) for one in known.files):
                yield Difference(
                    "taken_file",
                    execution.id,
                    "taken from the mailbox, not on file",
                    "have the clearinghouse put it into the mailbox again; it is then taken anew",
                )
            elif kind == "era" and int(key) not in known.remittances:
                yield Difference(
                    "posted_payment", execution.id, "its number is free again", "groupclaim"
                )
            elif kind == "dispute" and int(key) not in known.disputes:
                yield Difference(
                    "unknown_dispute", execution.id, "its number is free again", "groupclaim"
                )
        for done in await self._since_then():
            if done.name in _LEFT_THE_HOUSE:
                yield Difference(
                    "left_the_house", done.workflow_id, done.name, _LEFT_THE_HOUSE[done.name]
                )
            elif done.name == "patient_paid":
                paid = await self._decoded(done.given, PatientPaid)
                async with self._outside.database.reading() as reading:
                    if not await _booked(reading, done.workflow_id.partition("/")[2], paid.key):
                        yield Difference(
                            "payment_of_patient", done.workflow_id, paid.key.partition(":")[2],
                            "book the receipt again",
                        )  # fmt: skip

    async def _interchanges(self) -> AsyncIterator[Difference]:
        listing = await self._outside.clearinghouse.list_batches()
        async with self._outside.database.reading() as reading:
            for row in await reading.rows(select(connection.c.id)):
                sender = (await practice.read_connection(reading, row.id)).sender_id
                last = await _last_number(reading, row.id)
                for item in listing.interchanges:
                    if item.sender_id != sender:
                        continue
                    known = await batches.batch_of_interchange(reading, row.id, item.control_number)
                    if known is None:
                        yield Difference(
                            "unknown_interchange",
                            item.control_number,
                            "the clearinghouse has it, no batch of ours is it",
                            "groupclaim, if its batch is behind too; else ask what it holds"
                            if int(item.control_number) > last
                            else "ask the clearinghouse what it holds",
                        )

    async def _raise_control_numbers(self, tx: Transaction) -> None:
        """No number that the clearinghouse has seen is ever given again."""
        listing = await self._outside.clearinghouse.list_batches()
        for row in await tx.rows(select(connection.c.id)):
            sender = (await practice.read_connection(tx, row.id)).sender_id
            seen = max(
                (int(i.control_number) for i in listing.interchanges if i.sender_id == sender),
                default=0,
            )
            name = f"interchange|{row.id}"
            await tx.insert_new(counter, {"name": name, "value": 0})
            await tx.execute(
                update(counter)
                .where(counter.c.name == name, counter.c.value < seen)
                .values(value=seen)
            )

    # --- what was done since, from the histories

    async def _since_then(self) -> Sequence[_Done]:
        """In order of time, steps by their beginning: what one has led to began after it, even if
        its end was put on record earlier. Read once: while no worker works, histories stay as they
        are."""
        if self._done is None:
            self._done = sorted(await self._read_histories(), key=lambda item: item.at)
        return self._done

    async def _read_histories(self) -> list[_Done]:
        found: list[_Done] = []
        async for execution in self._client.list_workflows():
            handle = self._client.get_workflow_handle(execution.id, run_id=execution.run_id)
            begun: dict[int, HistoryEvent] = {}
            async for event in handle.fetch_history_events():
                if event.event_type in _BEGINNINGS:
                    begun[event.event_id] = event
                    continue
                at = self._time(event)
                if at < self._since:
                    continue
                if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                    ended = event.activity_task_completed_event_attributes
                    scheduled = begun[ended.scheduled_event_id]
                    asked = scheduled.activity_task_scheduled_event_attributes
                    found.append(
                        _Done(
                            self._time(begun[ended.started_event_id]), execution.id,
                            execution.run_id, asked.activity_type.name, asked.activity_id,
                            asked.input.payloads[0], ended.result.payloads[0],
                        )
                    )  # fmt: skip
                elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                    told = event.workflow_execution_signaled_event_attributes
                    if told.signal_name in ("fact", "patient_paid"):
                        found.append(
                            _Done(
                                at, execution.id, execution.run_id, told.signal_name, "",
                                told.input.payloads[0], None,
                            )
                        )  # fmt: skip
        return found

    def _time(self, event: HistoryEvent) -> datetime:
        return event.event_time.ToDatetime(self._since.tzinfo)

    async def _do_again(self) -> AsyncIterator[Difference]:
        """Every step since then, in order. What cannot be done again is told and left out."""
        for done in await self._since_then():
            try:
                if done.name == "fact":
                    await self._learn(done)
                elif done.name in (steps.SEND_BATCH.name, steps.RECONCILE_BATCH.name):
                    await self._tell_sending(done)
                elif done.name in _DONE_AGAIN and not await self._was_refused(done):
                    step = self._known[done.name]
                    given = await self._decoded(done.given, step.input)
                    answer = await self._run(done.name, given, done.run_id, done.activity_id)
                    if (refused := getattr(answer, "refused", None)) is not None:
                        yield _not_done_again(done, refused)
                    if step is steps.CUT_BATCH and (why := await self._other_cut(done, answer)):
                        yield _not_done_again(done, why)
                    if step is steps.CHECK_AUTHORIZATION:
                        await self.ask_after_request(given, done.run_id, done.activity_id)
            except _CANNOT as error:
                yield _not_done_again(done, type(error).__name__)

    async def _was_refused(self, done: _Done) -> bool:
        """Whether people were told then that they may not decide so; today they might."""
        if done.result is None:
            return False
        answer = await self._decoded(done.result, self._known[done.name].output)
        return getattr(answer, "refused", None) is not None

    async def _other_cut(self, done: _Done, cut: steps.CutBatch) -> str | None:
        """Where its batch is not the one that was cut then, as far as its number and count say."""
        if done.result is None:
            return None
        then = await self._decoded(done.result, steps.CutBatch)
        return None if cut == then else f"{cut.claims} claims now, {then.claims} then"

    async def _run(self, name: str, given: Any, run_id: str = "", activity_id: str = "1") -> Any:
        self._environment.info = replace(
            ActivityEnvironment.default_info(), workflow_run_id=run_id, activity_id=activity_id
        )
        return await self._environment.run(self._activities[name], given)

    async def ask_after_request(
        self, given: steps.ClaimStep, run_id: str = "", activity_id: str = "1"
    ) -> None:
        """A request for authorization that may have left is asked after at once, and the step done
        again: what follows rests on what the payer has decided."""
        async with self._outside.database.transaction() as tx:
            asked = await tx.execute(
                update(authorization_request)
                .where(
                    authorization_request.c.claim_number == given.claim_number,
                    authorization_request.c.state == RequestState.ASKING.value,
                )
                .values(next_at=None)
            )
        if asked.rowcount:
            await self._run(steps.CHECK_AUTHORIZATION.name, given, run_id, activity_id)

    async def _learn(self, done: _Done) -> None:
        """What people had put on file: that a note was signed, or withdrawn, and that a payer got
        its money back. Raises RefundRefused where that payment is itself among what is lost."""
        fact = await self._decoded(done.given, FactLearned)
        number = done.workflow_id.partition("/")[2]
        async with self._outside.database.transaction() as tx:
            row = await tx.first(
                select(participant.c.session_id, participant.c.patient_id).where(
                    participant.c.claim_number == number
                )
            )
            if row is None:
                return
            if fact.fact is Fact.NOTE:
                await practice.record_note_signed(tx, row.session_id, row.patient_id, fact.at, None)
            elif fact.fact is Fact.NOTE_WITHDRAWN:
                await practice.withdraw_note(tx, row.session_id, row.patient_id, fact.at)
                await voids.withdraw_waiting(tx, number, fact.at)
            elif fact.fact is Fact.REFUND:
                cents, _, receipt = fact.key.removeprefix(f"{PAYER_REFUND}:").partition(":")
                await ledger.lock_claim(tx, number)
                await voids.book_refund(tx, number, Cents(int(cents)), receipt, fact.at)

    async def _tell_sending(self, done: _Done) -> None:
        """What became of a sending, as its history says; nothing is sent."""
        ref = await self._decoded(done.given, steps.BatchRef)
        outcome = await self._outcome(done)
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            await batches.begin_send(tx, ref.batch_id, now, now)
            found = await batches.read_batch(tx, ref.batch_id)
            if found.state not in ("sending", "in_doubt"):
                return
            if outcome in ("accepted", "received"):
                await batches.record_accepted(tx, ref.batch_id, now, found.next_at, "restored")
            elif outcome == "refused":
                await batches.record_refused(tx, ref.batch_id, now, "restored")
            elif found.state == "sending":
                await batches.record_in_doubt(tx, ref.batch_id, now, now)

    async def _outcome(self, done: _Done) -> str:
        step = self._known[done.name]
        if done.result is None:
            return "in_doubt"
        result = await self._decoded(done.result, step.output)
        return str(result.outcome)

    async def _sent(self, workflow_id: str) -> str:
        """What a submission's history says of its sending; nothing while it has not begun."""
        said = ""
        for done in await self._since_then():
            if done.workflow_id == workflow_id and done.name in (
                steps.SEND_BATCH.name,
                steps.RECONCILE_BATCH.name,
            ):
                said = await self._outcome(done)
        return {"received": "accepted", "unknown": "in_doubt", "absent": "built"}.get(said, said)

    async def _state(self, workflow_id: str) -> ClaimState:
        """The claim as its workflow holds it; also of one that has ended."""
        state: ClaimState = await self._client.get_workflow_handle(workflow_id).query(
            "state", result_type=ClaimState
        )
        return state

    async def _decoded(self, payload: Payload, kind: type[Any]) -> Any:
        (decoded,) = await self._client.data_converter.decode([payload], [kind])
        return decoded

    async def _forget(self, workflow_id: str) -> None:
        """Take a workflow out of Temporal, so that its id may be used again."""
        handle = self._client.get_workflow_handle(workflow_id)
        described = await handle.describe()
        if described.status is WorkflowExecutionStatus.RUNNING:
            await handle.terminate("the database was restored to before it")
        await self._client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=self._client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id),
            )
        )
        # The server deletes in its own time: the id is free when it is listed no more.
        async with asyncio.timeout(_DELETED_WITHIN):
            while True:
                found = await self._client.count_workflows(f"WorkflowId = '{workflow_id}'")
                if not found.count:
                    return
                await asyncio.sleep(0.1)


def _not_done_again(done: _Done, why: str) -> Difference:
    return Difference(
        "not_done_again",
        done.workflow_id,
        f"{done.name}: {why}",
        "see what it needs, and ask for it again at the workflow",
    )


async def raise_revisions(tx: Transaction) -> None:
    """No revision of a work item that a workflow may know of from the time that is lost is ever
    given again: it would refuse whoever acts on the item, as one who saw an older one."""
    await tx.execute(update(work_item).values(revision=work_item.c.revision + _ACTS_OF_A_LOST_HOUR))


@dataclass(frozen=True, slots=True)
class _OnFile:
    claims: Mapping[str, int]
    sessions: frozenset[str]
    batches: Mapping[str, str]
    files: frozenset[str]
    remittances: frozenset[int]
    disputes: frozenset[int]


async def _on_file(reading: Reading) -> _OnFile:
    async def ids(column: Any) -> frozenset[Any]:
        return frozenset(row[0] for row in await reading.rows(select(column)))

    numbers = await reading.rows(select(claim.c.claim_number, claim.c.sequence))
    states = await reading.rows(select(batch.c.id, batch.c.state))
    return _OnFile(
        claims={row.claim_number: row.sequence for row in numbers},
        sessions=await ids(group_session.c.id),
        batches={row.id: row.state for row in states},
        files=await ids(x12_file.c.digest),
        remittances=await ids(remittance.c.id),
        disputes=await ids(dispute_case.c.id),
    )


async def _last_number(reading: Reading, connection_id: str) -> int:
    value = await reading.scalar(
        select(counter.c.value).where(counter.c.name == f"interchange|{connection_id}")
    )
    return int(value or 0)


async def _booked(reading: Reading, number: str, key: str) -> bool:
    """Whether a receipt or refund that a claim was told of stands in the ledger."""
    kind, _, receipt = key.partition(":")
    kinds = {"receipt": "patient_payment", "refund": "patient_refund"}
    booking = f"{kinds.get(kind, kind)}|{number}|{receipt}"
    return (
        await reading.first(
            select(transfer.c.id).where(transfer.c.key.in_((booking, f"{booking}|prepaid")))
        )
    ) is not None
