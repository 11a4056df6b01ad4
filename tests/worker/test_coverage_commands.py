"""Commands about coverage found late: what they put on file, whom they tell, what they refuse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client
from typer.testing import CliRunner

from activities.front_desk import FrontDesk
from groupclaim.store.clock import PracticeClock
from tests.store.world import NOW, World
from tests.worker.test_books_commands import run, within
from worker import decision_commands
from worker.cli import application
from worker.settings import Settings
from worker.terminal import books

GIVEN = {
    "patient": "P01",
    "payer": "second",
    "priority": 1,
    "member_id": "M2",
    "relationship": "self",
    "from": "2026-02-01",
}


class Listener:
    """A client of which only the ids of signalled workflows are kept."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def get_workflow_handle(self, workflow_id: str) -> Listener:
        self.told.append(workflow_id)
        return self

    async def signal(self, name: str, event: Any) -> None:
        assert name == "fact"


@pytest.fixture
def listener(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Listener:
    heard = Listener()

    @asynccontextmanager
    async def desk() -> AsyncIterator[FrontDesk]:
        async with books() as database:
            yield FrontDesk(database, PracticeClock(database), cast(Client, heard))

    monkeypatch.setattr(decision_commands, "desk", desk)

    async def happen(world: World) -> None:
        await PracticeClock(world.database).set_stored(NOW)

    within(settings, happen)
    return heard


def refused(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(application, arguments)
    return result.exit_code, " ".join(result.output.split())


def test_a_coverage_found_first_takes_its_place(listener: Listener, tmp_path: Path) -> None:
    file = tmp_path / "coverage.json"
    file.write_text(json.dumps(GIVEN))
    code, told = refused("coverage", "record", str(file))
    assert (code, "--insert` moves it down" in told) == (2, True)
    assert listener.told == []
    assert run("coverage", "record", str(file), "--insert", "--by", "R. Lee") == {"claims_told": 1}
    (one,) = listener.told
    assert one.startswith("claim/")
    ordered = ("coverage", "order", "P01", "first", "second", "--from", "2026-02-01")
    assert run(*ordered) == {"claims_told": 1}
    assert run(*ordered) == {"claims_told": 0}  # it is so already
    code, told = refused("coverage", "order", "P01", "first", "--from", "2026-02-01")
    assert (code, "1 with a coverage from that day on left out" in told) == (2, True)
