"""The product beside a bare engine of the same shape: `python -m tests.bench.engine`.

Both run on one Temporal development server each (a SQLite file, synchronous=OFF), with workers in
processes of their own, under the same worker settings, converter and encryption. The bare engine's
workflow repeats the recorded history of a claim paid at first pass (:mod:`tests.bench.shape`). Each
phase begins when the one before has ended for every claim, on both sides.

Ours does more than that history tells: session, batch, submission, files and remittances have
workflows of their own, shared by many claims, and the simulated clearinghouse reads and writes X12
beside it. The last is counted apart; all else is ours.
"""

from __future__ import annotations

import argparse
import asyncio
import compileall
import json
import os
import platform
import sqlite3
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import psycopg
from sqlalchemy import func, select
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
)

from activities import steps
from activities.front_desk import FrontDesk
from activities.steps import TASK_QUEUE
from groupclaim.lifecycle.state import Stage
from groupclaim.model.session import GroupSession
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from groupclaim.store.schema import claim
from tests.bench import bare, bare_worker, stock
from tests.bench.crowd import A_ROOM, ACKNOWLEDGED_AFTER_HOURS, Crowd, crowd
from tests.bench.processes import busy_seconds, family, processor_seconds, resident_kb
from tests.bench.shape import Shape, recorded
from tests.postgres import postgres_server
from worker.embedded import Process, Simulator, TemporalServer, worker_process
from worker.process import connect
from worker.settings import Settings
from workflows import batch, mailbox
from workflows.perform import Wake

STORE = "SQLite file, synchronous=OFF"
LOADED_ANEW = Path(bare.__file__).parent
"""What the bare engine's sandbox loads for each workflow: compiled beforehand, as an image is.

Ours runs without one (:mod:`worker.plugin`); its memory and time are the bare engine's alone."""
WARM = 2 * A_ROOM
"""Claims that go the whole way before anything is measured: code, maps and caches are loaded."""
AT_ONCE = 16
"""Requests of the client under way at once, on both sides."""
PATIENCE_SECONDS = 1200.0

TO_SUBMITTED = ("intake", "ready", "sent")
TO_CLOSED = ("payment",)
WHOLE = (*TO_SUBMITTED, "999", "277CA", *TO_CLOSED)
_CLEARINGHOUSE = "clearinghouse"

RATIO, EVENTS, MEMORY_RATIO = 0.7, 110, 1.5
"""Targets: claims a second beside the bare engine; events of a claim; memory of an open one."""


@dataclass
class Phase:
    """How long all claims took to get somewhere, and the processor seconds of each part."""

    name: str
    seconds: float
    processor: dict[str, float]
    others: float


@dataclass
class Lap:
    """A number of claims on their whole way."""

    claims: int
    phases: list[Phase] = field(default_factory=list)
    open_kb: dict[str, float] = field(default_factory=dict)
    """What server and workers have grown by while all claims were open, a claim."""

    def rate(self, *names: str) -> float:
        """Claims a second through these phases one after the other."""
        return self.claims / sum(one.seconds for one in self.phases if one.name in names)

    def processor(self, *names: str) -> dict[str, float]:
        """Processor milliseconds a claim in these phases, by part."""
        used: Counter[str] = Counter()
        for one in self.phases:
            if one.name in names:
                used.update(one.processor)
        return {part: seconds / self.claims * 1000 for part, seconds in used.items()}

    def own(self, *names: str) -> float:
        """Processor milliseconds a claim in these phases, without the clearinghouse."""
        used = self.processor(*names)
        return sum(used.values()) - used.get(_CLEARINGHOUSE, 0.0)

    @property
    def others(self) -> float:
        """Which part of the machine's processors somebody else had meanwhile."""
        seconds = sum(one.seconds for one in self.phases)
        return sum(one.others for one in self.phases) / seconds / (os.cpu_count() or 1)


class Watch:
    """The processes of one side, and what they have used."""

    def __init__(self, parts: dict[str, Callable[[], Iterable[int]]]) -> None:
        self._parts = parts

    def used(self) -> dict[str, float]:
        return {part: processor_seconds(pids()) for part, pids in self._parts.items()}

    def resident(self) -> dict[str, int]:
        return {
            part: sum(resident_kb(pid) for pid in self._parts[part]())
            for part in ("server", "workers")
        }

    async def phase(self, name: str, doing: Awaitable[object]) -> Phase:
        began, before, busy = perf_counter(), self.used(), busy_seconds()
        await doing
        seconds, after = perf_counter() - began, self.used()
        processor = {part: after[part] - before[part] for part in after}
        others = busy_seconds() - busy - sum(processor.values())
        return Phase(name, seconds, processor, max(0.0, others))


async def at_once(doing: Iterable[Awaitable[object]]) -> None:
    """All of them, so many at a time."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(item: Awaitable[object]) -> None:
        async with turn:
            await item

    await asyncio.gather(*map(one, doing))


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await reached():  # noqa: ASYNC110 - what is waited for stands in a database
            await asyncio.sleep(0.25)


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[tuple[str, Callable[[], list[int]]]]:
    """An empty database and the processes that serve it."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'bench.db'}", list
        return
    with postgres_server() as url:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            assert row is not None
            stat = Path(f"/proc/{row[0]}/stat").read_text().rpartition(")")[2].split()
        yield url, lambda: family(int(stat[1]))


def _pid(process: Process) -> int:
    assert process.pid is not None, f"{process.name} was not started"
    return process.pid


# --- the product


class Product:
    """The product on servers of its own, with a crowd that nobody has started yet."""

    def __init__(
        self,
        watch: Watch,
        database: Database,
        url: str,
        client: Client,
        desk: FrontDesk,
        simulator: Simulator,
        people: Crowd,
        started: datetime,
    ) -> None:
        self.watch = watch
        self.database = database
        self.url = url
        self.client = client
        self._desk = desk
        self._simulator = simulator
        self._people = people
        self._clearinghouse_time = started
        self._done = 0
        self._closed = 0

    async def lap(self, claims: int) -> Lap:
        """Carry so many claims of the crowd, in whole rooms, from intake to closed."""
        lap = await self.to_submitted(claims)
        size = lap.claims
        await self._mail(timedelta(minutes=20))
        lap.phases.append(await self.watch.phase("999", self._taken(Stage.ACKNOWLEDGED, size)))
        await self._mail(timedelta(hours=ACKNOWLEDGED_AFTER_HOURS))
        lap.phases.append(await self.watch.phase("277CA", self._taken(Stage.ACCEPTED, size)))
        await self._mail(timedelta(days=2))
        self._closed += size
        lap.phases.append(
            await self.watch.phase("payment", self._taken(Stage.CLOSED, self._closed))
        )
        return lap

    async def stocked(self, claims: int) -> None:
        """So many closed claims are on file besides, with all that is kept of them."""
        self._closed += await asyncio.to_thread(stock.multiply, self.url, claims)

    async def to_submitted(self, claims: int) -> Lap:
        """Carry so many claims, in whole rooms, from intake to submitted."""
        rooms = range(self._done, self._done + -(-claims // A_ROOM))
        self._done = rooms.stop
        chosen = [self._people.sessions.root[room] for room in rooms]
        lap = Lap(len(chosen) * A_ROOM)
        resident = self.watch.resident()
        lap.phases.append(await self.watch.phase("intake", self._intake(chosen, lap.claims)))
        lap.open_kb = {
            part: (kb - resident[part]) / lap.claims for part, kb in self.watch.resident().items()
        }
        taken = [self._people.attendance[room] for room in rooms]
        lap.phases.append(
            await self.watch.phase(
                "ready",
                self._reached(
                    Stage.READY,
                    lap.claims,
                    at_once(self._desk.record_attendance(item, by="bench") for item in taken),
                ),
            )
        )
        lap.phases.append(
            await self.watch.phase("sent", self._reached(Stage.SUBMITTED, lap.claims, self._cut()))
        )
        return lap

    async def _intake(self, chosen: list[GroupSession], size: int) -> None:
        """Sessions are handed in after they were held, with their notes signed."""
        added = await self._desk.add_sessions(chosen, by="bench")
        signed = datetime.now(UTC)
        await at_once(
            self._desk.sign_note(item.ref, patient, signed, by="record-system")
            for item in chosen
            for patient in item.roster
        )
        await self._reached(Stage.ATTENDANCE, size, self._desk.start_sessions(added))

    async def _cut(self) -> None:
        """The cut-off has come: nobody waits for five in the afternoon."""
        for connection in await self._desk.connections():
            await self.client.get_workflow_handle(batch.workflow_id(connection)).signal(
                "wake", Wake(now=datetime.now(UTC) + timedelta(days=7))
            )

    async def _mail(self, later: timedelta) -> None:
        """The clearinghouse's time goes on, and something new lies in the mailbox."""
        self._clearinghouse_time += later
        await self._simulator.move_clock(self._clearinghouse_time)

    async def _taken(self, stage: Stage, size: int) -> None:
        """The mailbox is looked into; once more, where a look of its schedule was under way."""
        for connection in 2 * await self._desk.connections():
            await self.client.execute_workflow(
                mailbox.NAME,
                steps.ConnectionRef(connection_id=connection),
                id=mailbox.workflow_id(connection),
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
        await self._reached(stage, size)

    async def _reached(
        self, stage: Stage, size: int, doing: Awaitable[object] | None = None
    ) -> None:
        if doing is not None:
            await doing

        async def there() -> bool:
            return await self._count(stage) >= size

        await until(there)

    async def _count(self, stage: Stage) -> int:
        async with self.database.reading() as reading:
            rows = await reading.rows(
                select(claim.c.hold_code, func.count().label("claims"))
                .where(claim.c.stage == stage.value)
                .group_by(claim.c.hold_code)
            )
            held = await reading.rows(
                select(claim.c.hold_code).where(claim.c.hold_code.is_not(None)).distinct()
            )
        if held:
            raise RuntimeError(f"a claim is held: {sorted(row.hold_code for row in held)}")
        return sum(row.claims for row in rows)


@asynccontextmanager
async def product(kind: str, workers: int, people: int) -> AsyncIterator[Product]:
    """The product with so many worker processes, warm, and a crowd of so many people."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="groupclaim-bench-")))
        url, serving = stack.enter_context(databases(kind, folder))
        now = datetime.now(UTC)
        made = crowd(people + WARM, folder, now)
        server = TemporalServer(folder, ui=False)
        simulator = Simulator(folder, made.payers, clock=now)
        settings = simulator.connected(
            Settings(
                state=folder, database=url, temporal=server.address, notes=made.notes,
                log_level="error",
            )
        )  # fmt: skip
        migrate(url)
        keyring = Keyring.load_or_generate(settings.keys_file)
        database = Database.connect(url, keyring, short=True)
        stack.push_async_callback(database.close)
        stack.callback(server.process.stop)
        stack.push_async_callback(simulator.close)
        await asyncio.gather(server.start(), simulator.start())
        client = await connect(settings, keyring)
        desk = FrontDesk(database, PracticeClock(database), client)
        await desk.load(made.practice, by="bench")
        doing = [worker_process(settings, f"worker{place}") for place in range(workers)]
        for process in doing:
            process.start()
            stack.callback(process.stop)
        watch = Watch(
            {
                "server": lambda: [_pid(server.process)],
                "workers": lambda: list(map(_pid, doing)),
                "database": serving,
                "client": lambda: [os.getpid()],
                _CLEARINGHOUSE: lambda: [_pid(simulator.process)],
            }
        )
        run = Product(watch, database, url, client, desk, simulator, made, now)
        await run.lap(WARM)
        yield run


# --- the bare engine


class Bare:
    """The bare engine on servers of its own."""

    def __init__(self, watch: Watch, client: Client, url: str, shape: Shape) -> None:
        self.watch = watch
        self.client = client
        self.shape = shape
        self._url = url
        self._done = 0

    async def lap(self, size: int) -> Lap:
        """Carry so many claims through the shape, phase by phase as the product's."""
        lap = await self.to_submitted(size)
        lap.phases += [
            await self.watch.phase("999", self._told(lap, "ack_999")),
            await self.watch.phase("277CA", self._told(lap, "ack_277ca")),
            await self.watch.phase("payment", self._told(lap, "remit_835")),
        ]
        return lap

    async def to_submitted(self, size: int) -> Lap:
        self._names = [f"b{number}" for number in range(self._done, self._done + size)]
        self._done += size
        lap = Lap(size)
        resident = self.watch.resident()
        lap.phases.append(await self.watch.phase("intake", self._started(lap)))
        lap.open_kb = {
            part: (kb - resident[part]) / size for part, kb in self.watch.resident().items()
        }
        lap.phases += [
            await self.watch.phase("ready", self._told(lap, "attendance")),
            await self.watch.phase("sent", self._told(lap, "submitted")),
        ]
        return lap

    async def _started(self, lap: Lap) -> None:
        attributes = TypedSearchAttributes(
            [
                SearchAttributePair(SearchAttributeKey.for_keyword("Stage"), "eligibility"),
                SearchAttributePair(SearchAttributeKey.for_keyword("PayerKey"), "payer1"),
            ]
        )
        await at_once(
            self.client.start_workflow(
                bare.NAME,
                f"{name}|".ljust(self.shape.starts_with, "x"),
                id=name,
                task_queue=bare_worker.QUEUE,
                search_attributes=attributes,
                static_summary=f"90853 claim {name}",
            )
            for name in self._names
        )
        await self._marked(self._place_before("attendance"))

    async def _told(self, lap: Lap, signal: str) -> None:
        (move,) = [one for one in self.shape.moves if (one.kind, one.name) == ("wait", signal)]
        await at_once(
            self.client.get_workflow_handle(name).signal(signal, "x" * move.gives)
            for name in self._names
        )
        waits = self.shape.waits()
        following = waits[waits.index(signal) + 1 :]
        await self._marked(self._place_before(following[0] if following else None))

    def _place_before(self, wait: str | None) -> int:
        """The last step that is written down before that wait, or before the end."""
        last = 0
        for place, move in enumerate(self.shape.moves):
            if move.kind == "wait" and move.name == wait:
                break
            if move.kind in ("activity", "local"):
                last = place
        return last

    async def _marked(self, place: int) -> None:
        async def there() -> bool:
            return self._count(place) >= self._done

        await until(there)

    def _count(self, place: int) -> int:
        query = "SELECT COUNT(*) FROM mark WHERE place = {}"
        if self._url.startswith("sqlite:///"):
            with sqlite3.connect(self._url.removeprefix("sqlite:///")) as connection:
                return int(connection.execute(query.format("?"), (place,)).fetchone()[0])
        with psycopg.connect(self._url) as server:
            row = server.execute(query.format("%s"), (place,)).fetchone()
            assert row is not None
            return int(row[0])


@asynccontextmanager
async def bare_engine(kind: str, workers: int) -> AsyncIterator[Bare]:
    """The bare engine with so many worker processes, warm."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="groupclaim-bare-")))
        url, serving = stack.enter_context(databases(kind, folder))
        _execute(url, bare.MARKS, bare.MARKS_BY_PLACE)
        keys = folder / "keys.json"
        Keyring.load_or_generate(keys)
        server = TemporalServer(folder, ui=False)
        stack.callback(server.process.stop)
        await server.start()
        client = await bare_worker.connect(server.address, keys)
        doing = [
            Process(
                f"bare{place}",
                [sys.executable, "-m", "tests.bench.bare_worker", server.address, url, str(keys)],
                folder / "logs" / f"bare{place}.log",
            )
            for place in range(workers)
        ]
        for process in doing:
            process.start()
            stack.callback(process.stop)
        watch = Watch(
            {
                "server": lambda: [_pid(server.process)],
                "workers": lambda: list(map(_pid, doing)),
                "database": serving,
                "client": lambda: [os.getpid()],
            }
        )
        run = Bare(watch, client, url, recorded())
        await run.lap(WARM)
        yield run


def _execute(url: str, *statements: str) -> None:
    if url.startswith("sqlite:///"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            for statement in statements:
                connection.execute(statement)
        return
    with psycopg.connect(url) as server:
        for statement in statements:
            server.execute(statement)


# --- what a claim costs


@dataclass(frozen=True)
class Cost:
    """Counted in histories: of claims, and of all that they share, a claim."""

    events: float
    actions: float
    shared_actions: float
    seconds: dict[str, list[float]]
    """How long each step took from its scheduling on, as measured."""


_ACTIONS = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_MARKER_RECORDED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
}
_LOOKED_AT = 100
"""Claims whose histories are read; all others are alike."""
_BY_ITSELF = ("mailbox/", "webhooks")
"""What a schedule starts again and again, however many claims there are."""


async def cost(client: Client, lap: Lap) -> Cost:
    """Of everything in the server: the warm-up took the same way."""
    events: list[int] = []
    actions: list[int] = []
    shared = 0
    seconds: dict[str, list[float]] = defaultdict(list)
    async for found in client.list_workflows(""):
        is_claim = found.id.startswith("claim/")
        if found.id.startswith(_BY_ITSELF) or (is_claim and len(events) >= _LOOKED_AT):
            continue
        history = await client.get_workflow_handle(found.id, run_id=found.run_id).fetch_history()
        billed = sum(event.event_type in _ACTIONS for event in history.events)
        if is_claim:
            events.append(len(history.events))
            actions.append(billed)
        else:
            shared += billed
        scheduled = {}
        for event in history.events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                name = event.activity_task_scheduled_event_attributes.activity_type.name
                scheduled[event.event_id] = (name, event.event_time.ToDatetime())
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                done = event.activity_task_completed_event_attributes
                name, at = scheduled[done.scheduled_event_id]
                took = event.event_time.ToDatetime() - at
                seconds[name].append(took.total_seconds())
    return Cost(
        sum(events) / len(events),
        sum(actions) / len(actions),
        shared / (lap.claims + WARM),
        seconds,
    )


# --- the run


@dataclass
class Found:
    """One database and number of workers: both sides."""

    database: str
    workers: int
    ours: Lap
    bare: Lap
    cost: Cost

    def ratio(self, *names: str) -> float:
        """Claims a second, ours to the bare engine's."""
        return self.ours.rate(*names) / self.bare.rate(*names)

    def processor_ratio(self, *names: str) -> float:
        """The bare engine's processor time to ours: less touched by what else the machine does."""
        return self.bare.own(*names) / self.ours.own(*names)

    def told(self) -> dict[str, Any]:
        return {
            "database": self.database,
            "workers": self.workers,
            "claims": self.ours.claims,
            "ways": {
                way: {
                    "ours_per_second": round(self.ours.rate(*names), 2),
                    "bare_per_second": round(self.bare.rate(*names), 2),
                    "ratio": round(self.ratio(*names), 2),
                    "ours_cpu_ms": _rounded(self.ours.processor(*names)),
                    "bare_cpu_ms": _rounded(self.bare.processor(*names)),
                    "cpu_ratio": round(self.processor_ratio(*names), 2),
                }
                for way, names in _WAYS.items()
            },
            "open_kb": {
                "ours": _rounded(self.ours.open_kb),
                "bare": _rounded(self.bare.open_kb),
            },
            "others": {"ours": round(self.ours.others, 2), "bare": round(self.bare.others, 2)},
            "events": self.cost.events,
            "actions": self.cost.actions,
            "shared_actions": round(self.cost.shared_actions, 2),
            "latency_ms": {
                step: dict(zip(("p50", "p95", "p99"), _percentiles(took), strict=True))
                for step, took in sorted(self.cost.seconds.items())
                if len(took) > 1
            },
        }


_WAYS = {"intake to submitted": TO_SUBMITTED, "remittance to closed": TO_CLOSED, "whole": WHOLE}


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in values.items()}


def _percentiles(seconds: list[float]) -> tuple[int, int, int]:
    cuts = quantiles(seconds, n=100)
    return round(cuts[49] * 1000), round(cuts[94] * 1000), round(cuts[98] * 1000)


async def compare(kind: str, workers: int, claims: int) -> Found:
    async with product(kind, workers, claims) as run:
        ours = await run.lap(claims)
        counted = await cost(run.client, ours)
    async with bare_engine(kind, workers) as beside:
        return Found(kind, workers, ours, await beside.lap(ours.claims), counted)


async def growth(claims: int, sizes: Iterable[int]) -> dict[int, float]:
    """Processor milliseconds of workers and database a claim, with so many on file before."""
    listed = sorted(sizes)
    found = {}
    async with product("sqlite", 1, claims * len(listed)) as run:
        on_file = WARM
        for size in listed:
            if size > on_file:
                await run.stocked(size - on_file)
                on_file = size
            lap = await run.lap(claims)
            on_file += lap.claims
            used = lap.processor(*WHOLE)
            found[size] = used["workers"] + used["database"]
    return found


async def main(options: argparse.Namespace) -> int:
    """Print the table; how many targets are missed."""
    compileall.compile_dir(LOADED_ANEW, quiet=1)
    found = []
    for kind in options.databases:
        for workers in options.workers:
            claims = options.claims
            if not found:
                claims = max(claims, options.first)
            found.append(await compare(kind, workers, claims))
            print(f"{kind}, {workers} workers: done", file=sys.stderr)
    grown = await growth(options.growth_claims, options.growth) if options.growth else {}
    shape = recorded()
    told = {
        "temporal": STORE,
        "temporalio": version("temporalio"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "shape": {"events": shape.events, "actions": shape.actions, "commits": shape.commits},
        "compared": [one.told() for one in found],
        "growth_cpu_ms": {str(size): round(used, 1) for size, used in grown.items()},
    }
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    return _print(found, grown, shape)


def _print(found: list[Found], grown: dict[int, float], shape: Shape) -> int:
    print(f"\nTemporal's development server on a {STORE}; temporalio {version('temporalio')},")
    print(
        f"{os.cpu_count()} processors. Bare engine: {shape.events} events, {shape.commits} commits"
    )
    print("a claim, from tests/histories/claim_paid.json. Processor ms a claim: server + workers +")
    print("client + database; cpu ratio = bare / ours.\n")
    print("| database, workers | way | claims/s | bare | ratio | cpu ms | bare | cpu ratio |")
    print("|---|---|---|---|---|---|---|---|")
    missed = 0
    for one in found:
        for way, names in _WAYS.items():
            missed += one.ratio(*names) < RATIO
            print(
                f"| {one.database}, {one.workers} | {way} | {one.ours.rate(*names):.2f}"
                f" | {one.bare.rate(*names):.2f} | {one.ratio(*names):.2f}"
                f" | {one.ours.own(*names):.0f} | {one.bare.own(*names):.0f}"
                f" | {one.processor_ratio(*names):.2f} |"
            )
    busy = max(max(one.ours.others, one.bare.others) for one in found)
    print(f"\nTarget ratio {RATIO:g}. Somebody else had up to {busy:.0%} of the processors.\n")
    first = found[0]
    counted = first.cost
    missed += counted.events > EVENTS
    print(
        f"History events a claim {counted.events:.0f} (at most {EVENTS}); Temporal actions"
        f" {counted.actions:.0f}, and {counted.shared_actions:.1f} of what claims share."
    )
    ours, theirs = first.ours.open_kb, first.bare.open_kb
    missed += ours["workers"] > MEMORY_RATIO * theirs["workers"]
    print(
        f"Memory of 1,000 open claims: worker {ours['workers'] / 1.024:.0f} MB"
        f" (bare {theirs['workers'] / 1.024:.0f}; at most {MEMORY_RATIO:g} times), server"
        f" {ours['server'] / 1.024:.0f} MB (bare {theirs['server'] / 1.024:.0f});"
        f" by {first.ours.claims} claims.\n"
    )
    print(f"| step ({first.database}, {first.workers}, all at once) | p50 ms | p95 | p99 |")
    print("|---|---|---|---|")
    for step, took in sorted(counted.seconds.items()):
        if len(took) > 1:
            print("| " + " | ".join(map(str, (step, *_percentiles(took)))) + " |")
    if grown:
        print("\n| claims on file before | cpu ms a claim, worker |")
        print("|---|---|")
        for size, used in grown.items():
            print(f"| {size:,} | {used:.0f} |")
    print(f"{missed} targets are missed", file=sys.stderr)
    return missed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.engine", description=__doc__)
    names = {"sqlite", "postgresql"}
    parser.add_argument("--databases", nargs="+", choices=names, default=["sqlite", "postgresql"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--claims", type=int, default=160)
    parser.add_argument("--first", type=int, default=480, help="of the first, for its memory")
    parser.add_argument("--growth", nargs="*", type=int, default=[100, 1_000, 5_000, 20_000])
    parser.add_argument("--growth-claims", type=int, default=64, help="measured at each size")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_options()))
