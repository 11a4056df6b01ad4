"""Signals reach workflows that run, that have ended and that never ran, on the real engine."""

from __future__ import annotations

from uuid import uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from activities.messages import Messages
from groupclaim.lifecycle.events import PatientPaid
from tests.activities.house import START
from workflows import batch, claim, submission


async def events_of(client: Client, workflow_id: str) -> list[int]:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return [event.event_type for event in history.events]


async def test_a_claim_is_taken_up_from_its_snapshot_and_then_only_signalled(
    client: Client, task_queue: str
) -> None:
    messages = Messages(client, task_queue)
    number = f"GC{uuid4().hex[:11].upper()}"
    for key in ("receipt-1", "receipt-1"):
        await messages.tell_claim("p1", number, "patient_paid", PatientPaid(at=START, key=key))
    handle = client.get_workflow_handle(claim.workflow_id(number))
    events = await events_of(client, handle.id)
    assert events.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED) == 1
    assert events.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) == 2
    first = (await handle.describe()).run_id
    await handle.terminate("the test has seen enough")
    await messages.tell_claim("p1", number, "patient_paid", PatientPaid(at=START, key="receipt-2"))
    again = await handle.describe()
    assert again.run_id != first
    await handle.terminate("the test has seen enough")


async def test_the_batch_of_a_connection_is_woken_once_and_told_of_each_claim(
    client: Client, task_queue: str
) -> None:
    messages = Messages(client, task_queue)
    connection = uuid4().hex[:16]
    for _ in range(2):
        await messages.tell_ready(connection)
    events = await events_of(client, batch.workflow_id(connection))
    assert events.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) == 2
    await client.get_workflow_handle(batch.workflow_id(connection)).terminate("done")


async def test_a_submission_that_has_ended_need_not_be_told(
    client: Client, task_queue: str
) -> None:
    messages = Messages(client, task_queue)
    batch_id = uuid4().hex[:16]
    await messages.tell_submission(batch_id, "999", accepted=True)
    handle = await client.start_workflow(
        submission.NAME,
        submission.SubmissionStart(batch_id=batch_id),
        id=submission.workflow_id(batch_id),
        task_queue=task_queue,
    )
    await messages.tell_submission(batch_id, "999", accepted=True)
    events = await events_of(client, handle.id)
    assert events.count(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED) == 1
    await handle.terminate("done")
