"""What a claim costs, and that nothing of it is told in plain text."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.exceptions import ApplicationError

from activities import steps
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import Stage
from tests.workflows import paths
from tests.workflows.histories import in_the_clear, search_attributes, size
from tests.workflows.scene import Scene
from workflows import search

MAX_EVENTS = 110
MAX_BYTES = 20_000

CLAIM_NUMBER = "GCX7K2M9Q4TW1"


async def test_a_first_pass_claim_stays_within_its_budget(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the engine's timers, and records as long as real ones."""
    (handle,) = (await paths.claim_paid(scene, CLAIM_NUMBER)).values()
    history = await handle.fetch_history()
    kinds = Counter(EventType.Name(event.event_type)[11:].lower() for event in history.events)
    with capsys.disabled():
        print(f"\nfirst-pass claim: {len(history.events)} events, {size(history)} bytes encrypted")
    assert kinds["timer_started"] == kinds["timer_canceled"] == 5  # one for each wait
    assert len(history.events) <= MAX_EVENTS
    assert size(history) <= MAX_BYTES


# --- in plain text stands nothing personal

PERSONAL = "Testa Invented"

VALUES: dict[str, str] = {
    "Stage": "|".join(stage.value for stage in Stage),
    "HoldCode": "|".join(["none", *HOLDS]),
    "PayerKey": r"payer1|none",
    "WorkQueue": "|".join(["none", *(kind.waits_for.split(":")[0] for kind in HOLDS.values())]),
    "DueAt": r"[-0-9T:.+Z]+",
    "BilledCents": r"\d+",
    "OpenCents": r"\d+",
}


def check(history: WorkflowHistory) -> None:
    assert in_the_clear(history) == []
    for name, value in search_attributes(history):
        if value:  # an unset one has none
            assert re.fullmatch(VALUES[name], value.decode().strip('"')), f"{name}: {value!r}"
    for event in history.events:
        assert PERSONAL.encode() not in event.SerializeToString()


async def test_every_search_attribute_has_a_closed_list_of_values() -> None:
    assert {key.name for key in search.ALL} == set(VALUES)


async def test_nothing_personal_can_be_read_in_a_live_history(scene: Scene, number: str) -> None:
    """Names in a person's reason, an error's message and its details are all sealed."""
    raised = ApplicationError(f"no such member: {PERSONAL}", PERSONAL, type="Outage")
    scene.outside.answer(steps.CHECK_ELIGIBILITY, raised)
    refused = ApplicationError(f"{PERSONAL} is unknown", type=steps.INVALID, non_retryable=True)
    handle = await scene.claim(number)
    await scene.outside.rests(number, Stage.ATTENDANCE)
    await scene.attended(handle)
    await scene.outside.rests(number, Stage.READY)
    await scene.submitted(handle)
    await scene.outside.rests(number, Stage.SUBMITTED)
    await scene.not_attended(handle, sent=True)
    await scene.outside.rests(number, Stage.VOID, "ATTENDANCE_CHANGED")
    scene.outside.answer(steps.RECORD_DECISION, refused)
    with pytest.raises(Exception, match="Workflow update failed"):
        await scene.release(handle, "ATTENDANCE_CHANGED", request=f"asked by {PERSONAL}")
    history = await handle.fetch_history()
    kinds = {event.event_type for event in history.events}
    assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED in kinds
    assert any("Encoded failure" in str(event) for event in history.events)
    check(history)


HISTORIES = sorted((Path(__file__).parents[1] / "histories").glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_nothing_can_be_read_in_a_recorded_history(path: Path) -> None:
    history = WorkflowHistory.from_json(path.stem, path.read_text())
    check(history)
    started = history.events[0].workflow_execution_started_event_attributes
    assert re.fullmatch(
        r"(claim|session|batch|837|inbound|era|mailbox|dispute|denial|sampling|webhooks)/"
        r"[A-Za-z0-9-]+(/\d+)?",
        started.workflow_id,
    )
    assert not list(started.memo.fields)
    told = path.read_text()
    assert not re.search(r"supervisor-1|frontdesk-1|confirmed with the payer", told)
