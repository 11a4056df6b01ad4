"""Recorded histories replay on today's code, and a change of the commands is noticed.

A history that no longer replays is a claim that would hang. Keep the old way under
``workflow.patched``; record anew only for a change that no running workflow can meet.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from activities import steps
from tests.temporal import KEY_ID, PAYLOAD_KEYS, plugin
from tests.workflows import fingerprints
from tests.workflows.paths import PATHS
from worker.plugin import WORKFLOWS, groupclaim_plugin

HISTORIES = sorted((Path(__file__).parents[1] / "histories").glob("*.json"))


def read(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text())


def replayer() -> Replayer:
    return Replayer(workflows=[], plugins=[plugin()])


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_replay(path: Path) -> None:
    await replayer().replay_workflow(read(path))


async def test_a_history_of_another_way_does_not_replay() -> None:
    """The replayer can fail: the same history with two steps exchanged is refused."""
    text = (HISTORIES[0].parent / "claim_paid.json").read_text()
    exchanged = text.replace('"check_coding"', '"?"').replace(
        '"check_documentation"', '"check_coding"'
    )
    history = WorkflowHistory.from_json("claim", exchanged.replace('"?"', '"check_documentation"'))
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(history)


def definition(kind: type) -> Any:
    """What the SDK keeps of a workflow type: its name, signals and updates."""
    return vars(kind)["__temporal_workflow_definition"]


def test_every_workflow_type_and_path_is_recorded() -> None:
    types = Counter(
        json.loads(path.read_text())["events"][0]["workflowExecutionStartedEventAttributes"][
            "workflowType"
        ]["name"]
        for path in HISTORIES
    )
    assert set(types) == {definition(kind).name for kind in WORKFLOWS}
    assert {path.__name__ for path in PATHS} <= {path.stem for path in HISTORIES}


def test_every_step_and_message_is_recorded() -> None:
    """A signal or update that several types take the same way is recorded of one of them."""
    handlers = {
        (definition(kind).name, name): taken.fn.__qualname__
        for kind in WORKFLOWS
        for name, taken in (definition(kind).signals | definition(kind).updates).items()
    }
    performed, told = set(), set()
    for path in HISTORIES:
        history = read(path)
        kind = history.events[0].workflow_execution_started_event_attributes.workflow_type.name
        for event in history.events:
            performed.add(event.activity_task_scheduled_event_attributes.activity_type.name)
            marked = event.marker_recorded_event_attributes
            if marked.marker_name == "core_local_activity":
                (about,) = marked.details["data"].payloads
                performed.add(json.loads(about.data)["activity_type"])
            signal = event.workflow_execution_signaled_event_attributes.signal_name
            update = event.workflow_execution_update_accepted_event_attributes
            told |= {(kind, signal), (kind, update.accepted_request.input.name)}
    steps_there_are = {step.name for step in vars(steps).values() if isinstance(step, steps.Step)}
    assert sorted(steps_there_are - performed) == []
    recorded = {handlers[one] for one in told & set(handlers)}
    assert sorted(set(handlers.values()) - recorded) == []


async def test_a_history_under_an_older_key_replays_under_the_new_one_and_not_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without the older key the task fails, by the key's id, and would be tried again: no workflow
    ends by it."""
    history = read(HISTORIES[0].parent / "claim_paid.json")
    new = {"test-2": bytes(range(32, 64))}
    rotated = Replayer(workflows=[], plugins=[groupclaim_plugin({**PAYLOAD_KEYS, **new}, "test-2")])
    await rotated.replay_workflow(history)
    assert "no payload key" not in caplog.text
    lost = Replayer(workflows=[], plugins=[groupclaim_plugin(new, "test-2")])
    with pytest.raises(RuntimeError, match="activation completion failed"):
        await lost.replay_workflow(history)
    assert f"no payload key '{KEY_ID}'" in caplog.text


def test_the_commands_of_every_workflow_are_those_written_down() -> None:
    recorded = json.loads(fingerprints.RECORDED.read_text())
    today = fingerprints.fingerprints()
    changed = sorted(name for name in {*recorded, *today} if recorded.get(name) != today.get(name))
    assert not changed, (
        f"the commands of {', '.join(changed)} have changed. If a workflow under way can meet the "
        "change, keep the old way under workflow.patched; see that tests/histories still replays, "
        "record what is new (python -m tests.workflows.record_histories), "
        f"then write the commands down with {fingerprints.REGENERATE}"
    )


def test_the_list_of_commands_misses_none_that_the_workflows_use() -> None:
    """Every step is performed somewhere, so that dropping one is a change of the list."""
    commands = fingerprints.fingerprints().values()
    told = {command for function in commands for command in function}
    missing = [
        name
        for name, step in vars(steps).items()
        if isinstance(step, steps.Step) and step not in steps.CLAIM_STEPS.values()
        if not {f"perform(steps.{name})", f"perform_here(steps.{name})"} & told
    ]
    assert not missing
