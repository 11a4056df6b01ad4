"""The clearinghouse fails in every way there is for an hour: it is asked rarely, the owner is told
in time, nothing is lost and nothing goes twice.

Retries come as the engine would make them by the steps' own policies, on a clock driven by hand.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from pydantic import BaseModel, SecretStr
from sqlalchemy import text, update
from temporalio.exceptions import ApplicationError

from activities import steps
from activities.registry import every_activity
from groupclaim.clearinghouse import http
from groupclaim.clearinghouse.circuit import GuardedClearinghouse
from groupclaim.clearinghouse.http import HttpClearinghouse
from groupclaim.store import watch
from groupclaim.store.connection_down import KIND, ConnectionDiary
from groupclaim.store.schema import work_item
from tests.activities.house import START, House
from tests.deploy.tools import DEPLOY
from tests.faults.wire import accepted_versions
from worker.settings import Settings

TOLD_WITHIN = timedelta(minutes=5)
OUTAGE = timedelta(hours=1)
_TOKEN = SecretStr("practice")
_NOTHING_HANGS = 0.05

KINDS = (
    "status 500", "status 503", "status 429", "status 401", "hangs", "cut off", "half a body",
    "wrong JSON", "slow",
)  # fmt: skip


class Failing(httpx2.AsyncBaseTransport):
    """The simulator behind something that spoils every request while ``kind`` is set."""

    def __init__(self, application: Any) -> None:
        self._inner = httpx2.ASGITransport(application)
        self.kind: str | None = None
        self.requests = 0
        self.waited = 0.0
        """Seconds that requests would have waited with the time-outs of production."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        kind = self.kind
        if kind in ("hangs", "slow"):
            self.waited += http._SEND_SECONDS  # as long as any request waits
        if kind is None:
            return await self._inner.handle_async_request(request)
        if kind.startswith("status"):
            return httpx2.Response(int(kind.split()[1]), request=request)
        if kind == "hangs":
            await asyncio.sleep(60)
        if kind == "cut off":
            raise httpx2.RemoteProtocolError("cut off", request=request)
        if kind in ("half a body", "slow"):
            return httpx2.Response(200, stream=_Body(kind), request=request)
        return httpx2.Response(200, content=b'{"files": 7}', request=request)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, kind: str) -> None:
        self._kind = kind

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"fil'
        while self._kind == "slow":
            await asyncio.sleep(0.01)
            yield b" "
        raise httpx2.ReadError("the rest never came")


class Engine:
    """Tries steps as Temporal does."""

    def __init__(self, house: House, transport: Failing) -> None:
        self.house, self.transport = house, transport
        self.slept = 0.0

    @property
    def now(self) -> float:
        """Seconds of the machine since the outage began."""
        return self.slept + self.transport.waited

    async def attempt(self, step: steps.Step[Any, Any], what: BaseModel) -> timedelta | None:
        """None when the step has ended, else how soon it must not come again before."""
        try:
            await self.house.perform(step, what)
        except ApplicationError as error:
            return error.next_retry_delay or timedelta(0)
        return None

    async def down(self) -> set[str]:
        async with self.house.database.reading() as reading:
            found = await watch.often(reading, await self.house.clock.now())
        return {way for (way,) in found[watch.CONNECTIONS_DOWN]}

    async def until(
        self, step: steps.Step[Any, Any], what: BaseModel, ends: Callable[[], bool]
    ) -> float | None:
        """Try until the step has ended or ``ends`` holds; when the way was first seen down."""
        apart, told = step.patience.retry.initial_interval, None
        while not ends():
            asked = await self.attempt(step, what)
            if told is None and await self.down():
                told = self.now
            if asked is None:
                break
            self.slept += max(asked, apart).total_seconds() if not asked else asked.total_seconds()
            longest = step.patience.retry.maximum_interval
            apart = min(apart * 2, longest) if longest else apart * 2
        return told


def seconds(said: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([sm])", said).groups()  # type: ignore[union-attr]
    return int(number) * {"s": 1, "m": 60}[unit]


def seconds_until_told() -> float:
    """From the row in the database to the message: exporter, scrape, rule, and grouping."""
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["global"]
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    (rule,) = (rule for rule in rules if rule["alert"] == "ConnectionDown")
    route = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())["route"]
    return (
        Settings().exporter_seconds
        + seconds(prometheus["scrape_interval"])
        + seconds(prometheus["evaluation_interval"])
        + seconds(rule["for"])
        + seconds(route["group_wait"])
    )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, {"S1": ("P01", "P04")}) as made:
        yield made


async def built(house: House) -> steps.BatchRef:
    await house.open_sessions()
    await house.hand_in("S1")
    await house.move_to(datetime.fromisoformat("2026-02-04T17:00:00-06:00"))
    batch = await house.cut("1")
    assert batch is not None
    await house.perform(steps.BUILD_BATCH, batch)
    return batch


def guarded(house: House) -> Engine:
    """The house's activities, with the way out as a worker has it."""
    transport = Failing(house.application)
    engine = Engine(house, transport)
    clock = lambda: engine.now  # noqa: E731
    clearinghouse = GuardedClearinghouse(
        HttpClearinghouse("http://clearinghouse", _TOKEN, transport=transport),
        ConnectionDiary(house.database, clock),
        clock,
    )
    outside = replace(house.outside, clearinghouse=clearinghouse)
    for activity in every_activity(outside):
        house.activities[getattr(activity, "__temporal_activity_definition").name] = activity
    return engine


@pytest.mark.parametrize("kind", KINDS)
async def test_the_circuit_opens_the_owner_is_told_and_all_goes_on(
    house: House,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    batch = await built(house)
    engine = guarded(house)
    engine.transport.kind = kind
    over = OUTAGE.total_seconds()
    with monkeypatch.context() as patched:
        if kind in ("hangs", "slow"):
            # Only what never comes is waited for so shortly: an answer may take its time.
            patched.setattr(http, "_READ_SECONDS", _NOTHING_HANGS)
        told = await engine.until(steps.POLL_MAILBOX, house.connection, lambda: engine.now > over)
    assert told is not None
    assert told + seconds_until_told() <= TOLD_WITHIN.total_seconds()
    assert await engine.down() == {"files"}
    # Three that failed, pauses of 1, 2, 4, 8 and 16 seconds, then one probe each half minute.
    assert engine.transport.requests <= 3 + 5 + 120
    # What is to be sent meanwhile stays: nothing of it leaves.
    await engine.attempt(steps.POLL_MAILBOX, house.connection)
    before = engine.transport.requests
    assert await engine.attempt(steps.SEND_BATCH, batch) is not None
    (state,) = await house.rows(text("SELECT state FROM batch"))
    assert (engine.transport.requests, state.state) == (before, "built")
    engine.transport.kind = None
    engine.slept += 60
    assert await engine.attempt(steps.POLL_MAILBOX, house.connection) is None
    assert await engine.down() == set()
    assert await engine.attempt(steps.SEND_BATCH, batch) is None
    taken = accepted_versions(house.log_path)
    record_property("lost", 2 - len(taken))
    record_property("doubled", sum(taken.values()) - len(taken))
    assert sorted(taken.values()) == [1, 1]
    items = await house.rows(text("SELECT state, code FROM work_item WHERE kind = 'connection'"))
    assert [tuple(item) for item in items] == [("resolved", "CONNECTION_DOWN")]


async def test_a_worker_that_finds_an_answer_resolves_what_another_said(house: House) -> None:
    """The first worker dies with its circuit open; the next one asks and is answered."""
    engine = guarded(house)
    engine.transport.kind = "status 500"
    for _ in range(3):
        await engine.attempt(steps.POLL_MAILBOX, house.connection)
    assert await engine.down() == {"files"}
    other = guarded(house)
    assert await other.attempt(steps.POLL_MAILBOX, house.connection) is None
    assert await other.down() == set()


async def test_who_says_that_it_is_done_is_told_again(house: House) -> None:
    engine = guarded(house)
    engine.transport.kind = "status 500"
    for _ in range(3):
        await engine.attempt(steps.POLL_MAILBOX, house.connection)
    async with house.database.transaction() as tx:
        await tx.execute(
            update(work_item)
            .where(work_item.c.kind == KIND)
            .values(state="resolved", resolution="T. Poe", resolved_at=START)
        )
    assert await engine.down() == set()
    await house.clock.move_to(START + timedelta(minutes=1))
    engine.slept += 5
    await engine.attempt(steps.POLL_MAILBOX, house.connection)
    assert await engine.down() == {"files"}
