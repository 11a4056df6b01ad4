"""Many claims at once: from their sessions handed in together until every one of them was taken.

``python -m tests.faults.burst COUNT`` plays a burst in a temporary folder, with a worker for each
processor, and prints its figures. The server is the development server on a file with
``synchronous=OFF``, everything else is as in production; only the clock is stored, so that the
cut-off comes when all is ready.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import text
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from activities.front_desk import FrontDesk
from activities.steps import TASK_QUEUE
from groupclaim.model.base import parse
from groupclaim.model.intake import PracticeFile, SessionFile
from groupclaim.model.session import AttendanceList
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from tests.faults.invariants import broken, broken_histories
from tests.faults.wire import accepted_versions
from tests.system.scenarios import SAMPLES
from worker.embedded import Process, Simulator, TemporalServer, worker_process
from worker.plugin import groupclaim_plugin
from worker.process import connect, payload_keys
from worker.settings import Settings
from workflows import batch
from workflows.perform import Wake

_ROOM = 10
_HOURS = range(9, 17)
_FIRST_DAY = date(2026, 2, 2)
NOW = datetime.fromisoformat("2026-03-20T09:00:00-05:00")
CUTOFF = datetime.fromisoformat("2026-03-20T17:00:00-05:00")
_AT_ONCE = 20
_LOOK_SECONDS = 0.5

STAGES = (
    "eligibility", "authorization", "attendance", "documentation", "coding", "ready", "submitted"
)  # fmt: skip
"""The stages of a claim on its way out, in order."""

_WAITS = "NOTE_UNSIGNED"
"""How a claim waits for its note: attendance is handed in first, as on any evening."""

_KILOBYTES_IN_A_MEGABYTE = 1024


@dataclass(frozen=True)
class Burst:
    """Times in seconds, memory in megabytes (peak of the largest worker). ``p95`` says of a stage
    by when 95 of 100 claims had come to it, counted from the first session handed in."""

    claims: int
    submitted: int
    versions_received: int
    received_twice: int
    seconds: float
    p95: dict[str, float]
    worker_peak_megabytes: int
    worker_cpu_seconds: float
    server_cpu_seconds: float


class BurstFailed(RuntimeError):
    """A claim was held, or did not come to be submitted within the time given."""


def made_practice(claims: int, folder: Path) -> None:
    """A practice with ``claims`` patients, each once in a session of ten, all signed for: written
    to ``folder`` in the form of the samples."""
    chance = random.Random(90853)
    practice = _read("practice.json")
    world = _read("payers.json")
    people, coverages, plans, members = [], [], [], []
    sessions: list[dict[str, Any]] = []
    happens: list[dict[str, Any]] = []
    notes: dict[str, dict[str, Any]] = {}
    words = _words()
    (payer,) = (item for item in world["payers"] if item["payer_id"] == "SIMPLC")
    template = payer["members"][0]
    slots = _slots(practice["clinicians"])
    for first in range(0, claims, _ROOM):
        clinician, starts, ends = next(slots)
        ref = f"S{first // _ROOM + 1}"
        roster = [f"B{place + 1}" for place in range(first, min(first + _ROOM, claims))]
        sessions.append(
            {
                "ref": ref,
                "location": "austin",
                "clinician": clinician,
                "starts_at": starts.isoformat(),
                "ends_at": ends.isoformat(),
                "mode": "in_person",
                "topic": "Coping with worry in daily life",
                "roster": roster,
                "other_services": [],
            }
        )
        came = [
            {"patient": p, "status": "attended", "minutes": 60, "copay_cents": 0} for p in roster
        ]
        happens.append(
            {"at": NOW.isoformat(), "kind": "attendance", "session": ref, "participants": came}
        )
        happens += [
            {"at": NOW.isoformat(), "kind": "note_signed", "session": ref, "patient": patient}
            for patient in roster
        ]
        notes[ref] = {}
        for patient in roster:
            number = int(patient[1:])
            name = {
                "first_name": f"Inventa{_letters(number)}",
                "last_name": f"Burst{_letters(number)}",
            }
            member_id = f"PLC8{number:08d}"
            person = {**name, "birth_date": "1980-01-31", "sex": "U"}
            people.append({**practice["patients"][0], **person, "ref": patient})
            coverages.append(
                {
                    "patient": patient,
                    "payer": "placebo-health",
                    "priority": 1,
                    "member_id": member_id,
                    "group_number": "PLCGRP01",
                    "relationship": "self",
                    "from": "2025-01-01",
                    "to": None,
                }
            )
            plan = practice["treatment_plans"][number % len(practice["treatment_plans"])]
            plans.append({**plan, "patient": patient, "ref": f"TP-{patient}"})
            members.append(
                {
                    **template,
                    **person,
                    "member_ids": [{"id": member_id, "from": "2025-01-01", "to": None}],
                    "copay_cents": 0,
                    "coinsurance_percent": 0,
                    "deductible_remaining_cents": 0,
                    "authorization": {"answered": "N", "required": False},
                }
            )
            notes[ref][patient] = _note(
                chance, words, clinician, starts, ends, len(roster), plan["diagnoses"][0]
            )
    _write(
        folder,
        {
            "practice.json": {
                **practice,
                "patients": people,
                "coverages": coverages,
                "treatment_plans": plans,
                "authorizations": [],
            },
            "sessions.json": sessions,
            "notes.json": notes,
            "outside.json": {"starts_at": NOW.isoformat(), "events": happens},
            "payers.json": {
                **world,
                "payers": [
                    {**item, "members": members if item is payer else [], "authorizations": []}
                    for item in world["payers"]
                ],
            },
        },
    )
    header = (SAMPLES / "expected.csv").read_text().splitlines()[0]
    (folder / "expected.csv").write_text(header + "\n")


def _slots(clinicians: list[dict[str, Any]]) -> Any:
    """Hours of business days, each with every clinician once."""
    for day in count():
        on = _FIRST_DAY + timedelta(days=day)
        if on.weekday() >= 5:
            continue
        for hour in _HOURS:
            starts = datetime.fromisoformat(f"{on}T{hour:02d}:00:00-06:00")
            for clinician in clinicians:
                yield clinician["ref"], starts, starts + timedelta(hours=1)


def _note(
    chance: random.Random,
    words: list[str],
    clinician: str,
    starts: datetime,
    ends: datetime,
    group_size: int,
    diagnosis: str,
) -> dict[str, Any]:
    def sentence(length: int) -> str:
        return " ".join(chance.sample(words, length)).capitalize() + "."

    return {
        "clinician": clinician,
        "start_time": starts.isoformat(),
        "stop_time": ends.isoformat(),
        "attended": True,
        "group_size": group_size,
        "topic": "Coping with worry in daily life",
        "intervention": "Cognitive restructuring with a thought record.",
        "diagnosis": diagnosis,
        "participation": sentence(16),
        "progress": sentence(14),
        "goal": "G1",
        "necessity": sentence(16),
        "credential": "PsyD" if clinician == "C1" else "LCSW",
        "signed_by": clinician,
        "signed_at": (ends + timedelta(hours=1)).isoformat(),
        "location_or_mode": "in_person",
    }


def _words() -> list[str]:
    """Lower-case words of the samples' notes: none of them is a name."""
    texts = [
        note[field]
        for of_session in _read("notes.json").values()
        for note in of_session.values()
        for field in ("participation", "progress", "necessity")
    ]
    return sorted(
        {word for one in texts for word in one.split() if word.isalpha() and word.islower()}
    )


def _letters(number: int) -> str:
    found = ""
    while number:
        number, place = divmod(number, 26)
        found += "abcdefghijklmnopqrstuvwxyz"[place]
    return found


def _read(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text())


def _write(folder: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


@dataclass(frozen=True)
class Playing:
    """A made practice with its processes at work; ``came``: what people hand in."""

    server: TemporalServer
    simulator: Simulator
    settings: Settings
    database: Database
    clock: PracticeClock
    client: Client
    desk: FrontDesk
    crew: list[Process]
    came: list[dict[str, Any]]

    async def broken(self, *, histories: bool = True) -> list[str]:
        """What of the invariants does not hold: of books, wire, outcomes and logs, and of
        ``histories``, each of which is replayed."""
        state, keyring = self.settings.state, self.database.keyring
        found = await broken(
            self.settings.database_url,
            keyring,
            wire=self.simulator.raw_log,
            samples=state.parent / "practice",
            logs=(state / "logs").glob("*.log"),
        )
        if histories:
            plugin = groupclaim_plugin(payload_keys(keyring), keyring.current)
            found += await broken_histories(self.client, plugin)
        return found

    async def start_sessions(self) -> None:
        samples = self.settings.state.parent / "practice"
        sessions = json.loads((samples / "sessions.json").read_text())
        added = await self.desk.add_sessions(
            parse(SessionFile, sessions, "sessions").root, by="burst"
        )
        await self.desk.start_sessions(added)

    async def hand_in(self, *sessions: str) -> None:
        """Who came to these sessions, or to all of them, and that all notes are signed."""

        async def take(came: dict[str, Any]) -> None:
            await self.record_attendance(came)
            await self.sign_notes(came)

        await self.of_each_session(take, *sessions)

    async def of_each_session(
        self, act: Callable[[dict[str, Any]], Awaitable[None]], *sessions: str
    ) -> None:
        """``act`` on who came to each of these sessions, or to all of them; some at once."""
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(came: dict[str, Any]) -> None:
            async with limit:
                await act(came)

        await asyncio.gather(
            *(
                one(item)
                for item in self.came
                if item["kind"] == "attendance" and item["session"] in (sessions or item["session"])
            )
        )

    async def record_attendance(self, came: dict[str, Any]) -> None:
        given = {"session": came["session"], "participants": came["participants"]}
        await self.desk.record_attendance(parse(AttendanceList, given, "attendance"), by="burst")

    async def sign_notes(self, came: dict[str, Any]) -> None:
        for one in came["participants"]:
            await self.desk.sign_note(came["session"], one["patient"], NOW, by="burst")

    async def cut_off(self) -> None:
        """The cut-off comes: what is ready is sent."""
        await self.clock.move_to(CUTOFF)
        await self.simulator.move_clock(CUTOFF)
        for connection in await self.desk.connections():
            handle = self.client.get_workflow_handle(batch.workflow_id(connection))
            await handle.signal("wake", Wake(now=CUTOFF))


@asynccontextmanager
async def playing(
    claims: int,
    folder: Path,
    *,
    database_url: str = "",
    workers: int = 1,
    temporal_folder: Path | None = None,
) -> AsyncIterator[Playing]:
    """A made practice in the empty ``folder``, loaded, its workers asking for work; Temporal keeps
    its file in ``temporal_folder`` where that is given."""
    samples, state = folder / "practice", folder / "state"
    samples.mkdir()
    made_practice(claims, samples)
    keyring = Keyring.load_or_generate(state / "keys.json")
    async with AsyncExitStack() as cleanup:
        server = TemporalServer(temporal_folder or state, ui=False)
        simulator = Simulator(state, samples / "payers.json", clock=NOW, accept_everything=True)
        settings = simulator.connected(
            Settings(
                state=state,
                database=database_url,
                temporal=server.address,
                notes=samples / "notes.json",
                log_level="warning",
            )
        )
        migrate(settings.database_url)
        database = Database.connect(settings.database_url, keyring)
        cleanup.push_async_callback(database.close)
        clock = PracticeClock(database)
        await clock.set_stored(NOW)
        cleanup.callback(server.process.stop)
        cleanup.push_async_callback(simulator.close)
        await asyncio.gather(server.start(), simulator.start())
        crew = [worker_process(settings, f"worker-{place + 1}") for place in range(workers)]
        for worker in crew:
            worker.start()
            cleanup.callback(worker.stop)
        client = await connect(settings, keyring)
        desk = FrontDesk(database, clock, client)
        practice = json.loads((samples / "practice.json").read_text())
        await desk.load(parse(PracticeFile, practice, "practice"), by="burst")
        came = json.loads((samples / "outside.json").read_text())["events"]
        await _at_work(client, crew)
        yield Playing(server, simulator, settings, database, clock, client, desk, crew, came)


async def burst(
    claims: int,
    folder: Path,
    *,
    database_url: str = "",
    workers: int = 1,
    patience_seconds: float = 7200,
) -> Burst:
    """Play a burst of ``claims`` in the empty ``folder``; ``database_url``: of an empty database,
    else a SQLite file there. Raises :class:`BurstFailed`."""
    async with playing(claims, folder, database_url=database_url, workers=workers) as practice:
        watch = Watch(practice, patience_seconds)
        await practice.start_sessions()
        handing_in = asyncio.ensure_future(practice.hand_in())
        await watch.until("ready", claims)
        await handing_in
        await practice.cut_off()
        await watch.until("submitted", claims)
        seconds = watch.elapsed()
        versions, twice = _received(practice.simulator.raw_log)
        return Burst(
            claims=claims,
            submitted=watch.reached("submitted"),
            versions_received=versions,
            received_twice=twice,
            seconds=round(seconds, 1),
            p95={stage: watch.p95(stage) for stage in STAGES},
            worker_peak_megabytes=max(peak_megabytes(worker) for worker in practice.crew),
            worker_cpu_seconds=round(sum(map(_cpu, practice.crew)), 1),
            server_cpu_seconds=round(_cpu(practice.server.process), 1),
        )


async def _at_work(client: Client, crew: list[Process]) -> None:
    """Return when every worker asks for steps: their start is no part of a burst."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=TASK_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    while True:
        for worker in crew:
            worker.check()
        described = await client.workflow_service.describe_task_queue(request)
        if len({poller.identity for poller in described.pollers}) >= len(crew):
            return
        await asyncio.sleep(_LOOK_SECONDS)


class Watch:
    """When so many claims were first seen to have come to each stage."""

    def __init__(self, practice: Playing, patience_seconds: float = 600) -> None:
        self._database = practice.database
        self._crew = practice.crew
        self._began = time.monotonic()
        self._patience = patience_seconds
        self._reached: dict[str, list[float]] = {stage: [] for stage in STAGES}

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    async def until(self, stage: str, claims: int) -> None:
        await self._look()
        while self.reached(stage) < claims:
            if self.elapsed() > self._patience:
                stands = {name: self.reached(name) for name in STAGES}
                raise BurstFailed(f"after {self._patience} s only {stands}")
            await asyncio.sleep(_LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        for worker in self._crew:
            worker.check()
        async with self._database.reading() as reading:
            rows = await reading.rows(
                text("SELECT stage, hold_code, count(*) AS claims FROM claim GROUP BY 1, 2")
            )
        now = self.elapsed()
        held = {row.hold_code: row.claims for row in rows if row.hold_code not in (None, _WAITS)}
        if held:
            raise BurstFailed(f"held: {held}")
        there: Counter[str] = Counter()
        for row in rows:
            at = STAGES.index(row.stage) if row.stage in STAGES else len(STAGES) - 1
            there.update(dict.fromkeys(STAGES[: at + 1], row.claims))
        for stage, times in self._reached.items():
            times += [now] * (there[stage] - len(times))

    def reached(self, stage: str) -> int:
        return len(self._reached[stage])

    def p95(self, stage: str) -> float:
        times = self._reached[stage]
        return round(times[max(0, -(-len(times) * 95 // 100) - 1)], 1) if times else 0.0


def _received(raw_log: Path) -> tuple[int, int]:
    """How many claim versions the clearinghouse took, and how many of them more than once."""
    versions = accepted_versions(raw_log)
    return len(versions), sum(times > 1 for times in versions.values())


def peak_megabytes(process: Process) -> int:
    """The most memory that it has held."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return (
        int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
        // _KILOBYTES_IN_A_MEGABYTE
    )


def _cpu(process: Process) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    claims = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(burst(claims, Path(folder), workers=os.cpu_count() or 1))
    sys.stdout.write(json.dumps(asdict(found), indent=2) + "\n")


if __name__ == "__main__":
    main()
