"""The shared checker finds what is broken: each invariant spoilt once behind the product's back."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.client import WorkflowHistory

from tests.activities.house import KEYRING, House
from tests.activities.test_sample_practice import run_to_the_end
from tests.faults.invariants import broken, broken_histories
from tests.temporal import plugin
from tests.workflows.histories import payloads


@pytest.fixture(scope="module")
async def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a part of the practice leaves behind when it has been played to its end."""
    folder = tmp_path_factory.mktemp("played")
    async with House(folder, {"S1": ("P01", "P05", "P08"), "S3": ("P22", "P23")}) as house:
        await run_to_the_end(house)
    return folder


def sql(*statements: str) -> Callable[[Path], None]:
    """Written past the product, its triggers and its foreign keys."""

    def spoil(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "groupclaim.db")) as connection, connection:
            for (trigger,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                connection.execute(f"DROP TRIGGER {trigger}")
            for statement in statements:
                assert connection.execute(statement).rowcount > 0, statement

    return spoil


def sent_twice(folder: Path) -> None:
    """The last batch that was taken stands in the log of the clearinghouse once more."""
    log = folder / "raw.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    batch = next(item for item in lines if item["channel"] == "batch" and item["body"])
    again = {**batch, "n": len(lines) + 1} if "n" in batch else batch
    with log.open("a") as file:
        file.write(json.dumps(again) + "\n")


@pytest.mark.parametrize(
    ("spoil", "invariant"),
    [
        (sent_twice, "I1"),
        (sql("UPDATE claim SET stage = '' WHERE stage = 'closed'"), "I2"),
        (sql("DELETE FROM transfer WHERE id = (SELECT MAX(id) FROM transfer)"), "I4"),
        (sql("UPDATE authorization_use SET units = 90"), "I5"),
        (sql("DELETE FROM wakeup"), "I6"),
        (sql("UPDATE audit_entry SET actor = 'nobody' WHERE id = 2"), "I7"),
        (sql("UPDATE claim_event SET actor = 'Fictional' WHERE id = 1"), "I8"),
        (sql("UPDATE x12_file SET name = 'PLC900000105.edi'"), "I8"),
    ],
)
async def test_what_is_broken_is_found(
    left: Path, tmp_path: Path, spoil: Callable[[Path], None], invariant: str
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(left, folder)
    url = f"sqlite:///{folder / 'groupclaim.db'}"
    assert await broken(url, KEYRING, wire=folder / "raw.jsonl") == []
    spoil(folder)
    found = await broken(url, KEYRING, wire=folder / "raw.jsonl")
    assert {said.partition(":")[0] for said in found} == {invariant}


PAID = Path(__file__).parents[1] / "histories" / "claim_paid.json"


class Server:
    """One that knows a single workflow, whose history has been touched."""

    def __init__(self, touch: Callable[[WorkflowHistory], object]) -> None:
        self.history = WorkflowHistory.from_json("claim/GC1", PAID.read_text())
        touch(self.history)

    async def list_workflows(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(id="claim/GC1", run_id="1")

    def get_workflow_handle(self, workflow_id: str, run_id: str) -> Any:
        return self

    async def fetch_history(self) -> WorkflowHistory:
        return self.history


def unsealed(history: WorkflowHistory) -> None:
    next(payloads(history)).payload.metadata["encoding"] = b"json/plain"


def named(history: WorkflowHistory) -> None:
    attributes = history.events[0].workflow_execution_started_event_attributes
    attributes.search_attributes.indexed_fields["Stage"].data = b'"Ann Smith"'


def of_other_code(history: WorkflowHistory) -> None:
    """The first activity was another."""
    event = next(
        e for e in history.events if e.HasField("activity_task_scheduled_event_attributes")
    )
    event.activity_task_scheduled_event_attributes.activity_type.name = "gone"


@pytest.mark.parametrize(
    ("touch", "invariants"),
    [(lambda history: None, set()), (named, {"I8"}), (of_other_code, {"I9"})],
)
async def test_what_a_history_tells_is_looked_over(
    touch: Callable[[WorkflowHistory], object], invariants: set[str]
) -> None:
    server: Any = Server(touch)
    found = await broken_histories(server, plugin())
    assert {said.partition(":")[0] for said in found} == invariants


async def test_a_payload_in_the_clear_is_found() -> None:
    """Replay cannot read it either, and says so."""
    server: Any = Server(unsealed)
    first, *_ = await broken_histories(server, plugin())
    assert first.startswith("I8: claim/GC1: event 1: ")
    assert first.endswith("is not encrypted")
