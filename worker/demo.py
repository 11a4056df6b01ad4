"""The demonstration: a practice's weeks, from its session files to audited payments, judged.

Real server, real database, real X12 over real HTTP or SFTP; only the clock is stored. What people
do comes from ``outside.json``; whether the outcome is right is not for this program to say: a judge
that shares no code with it compares the wire and the books with what was worked out by hand.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
from base64 import b64decode
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from activities.front_desk import FrontDesk
from groupclaim.model.base import Instant, Record, Reference, parse
from groupclaim.model.intake import PracticeFile, SessionFile
from groupclaim.model.money import Cents
from groupclaim.model.patient import Authorization
from groupclaim.model.session import AttendanceList, Participant
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from worker import summary
from worker.embedded import Process, Simulator, TemporalServer, worker_process
from worker.practice_time import PracticeTime
from worker.process import connect
from worker.settings import Settings


class AttendanceTaken(Record):
    at: Instant
    kind: Literal["attendance"]
    session: Reference
    participants: tuple[Participant, ...]


class NoteSigned(Record):
    at: Instant
    kind: Literal["note_signed"]
    session: Reference
    patient: Reference


class RosterAmended(Record):
    at: Instant
    kind: Literal["roster_amended"]
    session: Reference
    add: tuple[Reference, ...]
    remove: tuple[Reference, ...]


class AuthorizationReceived(Record):
    at: Instant
    kind: Literal["authorization_recorded"]
    authorization: Authorization


class HoldReleased(Record):
    at: Instant
    kind: Literal["hold_released"]
    session: Reference
    patient: Reference
    code: str
    by: str
    reason: str


class PatientPaid(Record):
    at: Instant
    kind: Literal["patient_payment"]
    session: Reference
    patient: Reference
    cents: Annotated[Cents, Field(gt=0)]


Happening = Annotated[
    AttendanceTaken
    | RosterAmended
    | NoteSigned
    | AuthorizationReceived
    | HoldReleased
    | PatientPaid,
    Field(discriminator="kind"),
]


class Outside(Record):
    """What people do, in order of the practice clock."""

    starts_at: Instant
    events: tuple[Happening, ...]


@dataclass(frozen=True)
class Scenario:
    """A practice, its sessions, and all that happens to it from outside."""

    folder: Path
    practice: PracticeFile
    sessions: SessionFile
    outside: Outside

    @classmethod
    def load(cls, folder: Path) -> Scenario:
        """Read the files of ``folder``. Raises :class:`InputRefused` or :class:`DemoFailed`."""
        return cls(
            folder.resolve(),
            parse(PracticeFile, _read(folder / "practice.json"), "practice.json"),
            parse(SessionFile, _read(folder / "sessions.json"), "sessions.json"),
            parse(Outside, _read(folder / "outside.json"), "outside.json"),
        )


@dataclass(frozen=True)
class Played:
    """What is left of a run: its figures, and where a judge finds the books and the wire."""

    outcome: dict[str, Any]
    database_url: str
    raw_log: Path
    identity_key: bytes


class DemoFailed(RuntimeError):
    """The demonstration could not be carried to its end."""


async def run_demo(
    samples: Path,
    state: Path,
    *,
    chaos: bool,
    tell: Callable[[str], None],
    files: Literal["http", "sftp"] = "http",
) -> dict[str, Any]:
    """Play the practice of ``samples`` in the empty folder ``state``; the outcome, judged.

    ``tell`` is given a line about each day. With ``chaos`` the worker is killed on the way and the
    simulator takes everything it is sent, however often. ``files``: how batches and mailbox files
    travel.
    """
    disturber = Chaos() if chaos else Calm()
    played = await play(Scenario.load(samples), state, disturber=disturber, tell=tell, files=files)
    return {
        **played.outcome,
        "kills": disturber.kills,
        "invariants": _judge(samples, played, tell),
    }


async def play(
    scenario: Scenario,
    state: Path,
    *,
    disturber: Calm,
    tell: Callable[[str], None],
    start_worker: Callable[[Settings], Process] = worker_process,
    files: Literal["http", "sftp"] = "http",
) -> Played:
    """Carry the scenario to its end in the empty folder ``state``, with servers of its own."""
    keyring = Keyring.load_or_generate(state / "keys.json")
    async with AsyncExitStack() as cleanup:
        server = disturber.engine(state)
        simulator = Simulator(
            state,
            scenario.folder / "payers.json",
            clock=scenario.outside.starts_at,
            accept_everything=disturber.forgetful_clearinghouse,
            files=files,
        )
        settings = simulator.connected(
            Settings(
                state=state,
                temporal=server.address,
                notes=scenario.folder / "notes.json",
                log_level="warning",
            )
        )
        migrate(settings.database_url)
        database = Database.connect(settings.database_url, keyring)
        cleanup.push_async_callback(database.close)
        clock = PracticeClock(database)
        await clock.set_stored(scenario.outside.starts_at)
        cleanup.callback(server.process.stop)
        cleanup.push_async_callback(simulator.close)
        await asyncio.gather(server.start(), simulator.start())
        worker = start_worker(settings)
        worker.start()
        cleanup.callback(worker.stop)
        client = await connect(settings, keyring)
        desk = FrontDesk(database, clock, client)
        await desk.load(scenario.practice, by="demonstration")
        time = PracticeTime(
            database,
            clock,
            client,
            simulator,
            await desk.connections(),
            (server.process, simulator.process, worker),
        )
        await disturber.prepare(simulator)

        added = await desk.add_sessions(scenario.sessions.root, by="demonstration")
        await disturber.during(desk.start_sessions(added), worker)
        await disturber.during(time.quiet(), worker)
        happenings = deque(scenario.outside.events)
        async for moment in _moments(happenings, time, database, tell):
            await disturber.during(time.move_to(moment), worker)
            while happenings and happenings[0].at <= moment:
                await disturber.during(happen(happenings.popleft(), desk), worker)
                await time.quiet()
        outcome = await summary.outcome(database, client)
    return Played(
        {**outcome, "submissions": _received(simulator.raw_log)},
        settings.database_url,
        simulator.raw_log,
        keyring.identity_key,
    )


async def _moments(
    happenings: deque[Happening],
    time: PracticeTime,
    database: Database,
    tell: Callable[[str], None],
) -> AsyncIterator[datetime]:
    """From moment to moment until nothing is left to happen but reminders.

    A claim that a payer has accepted and says no more about waits for a person or for ever.
    """
    day = None
    while happenings or await time.mail_is_due() or not await summary.settled(database):
        moment = await time.next_moment()
        if happenings and (moment is None or happenings[0].at <= moment):
            moment = happenings[0].at
        if moment is None:
            raise DemoFailed("claims are still under way, but nothing is awaited for them")
        if moment.date() != day:
            day = moment.date()
            tell(await summary.headline(database, moment))
        yield moment


async def happen(happening: Happening, desk: FrontDesk) -> None:
    """Do what people do, at the front desk; when is for the caller to see to."""
    match happening:
        case AttendanceTaken(session=session, participants=participants):
            await desk.record_attendance(
                AttendanceList(session=session, participants=participants), by="front-desk"
            )
        case RosterAmended(session=session, add=add, remove=remove):
            await desk.amend_roster(session, add=add, remove=remove, by="front-desk")
        case NoteSigned(session=session, patient=patient, at=at):
            await desk.sign_note(session, patient, at, by="record-system")
        case AuthorizationReceived(authorization=authorization):
            await desk.record_authorization(authorization, by="front-desk")
        case HoldReleased(session=session, patient=patient, code=code, by=by, reason=reason):
            number = await desk.claim_number(session, patient)
            await desk.release_hold(number, code=code, by=by, reason=reason)
        case PatientPaid(session=session, patient=patient, cents=cents, at=at):
            number = await desk.claim_number(session, patient)
            await desk.patient_payment(
                number, cents, receipt=f"{number}:{at.isoformat()}", by="front-desk"
            )


# --- calm and chaos


_LOST_ANSWER: dict[str, object] = {"on": "batch", "kind": "lose_answer", "times": 1}


class Calm:
    """Nothing disturbs the run but one lost answer to a batch: that happens on any day."""

    forgetful_clearinghouse = False
    kills = 0

    def engine(self, state: Path) -> TemporalServer:
        """The Temporal server of the run, not yet started."""
        return TemporalServer(state, ui=False)

    async def prepare(self, simulator: Simulator) -> None:
        """Called before the sessions start."""
        await simulator.set_faults([_LOST_ANSWER])

    async def during(self, doing: Awaitable[None], worker: Process) -> None:
        """Called around everything that is done."""
        await doing


_OVER_SFTP: tuple[dict[str, object], ...] = tuple(
    {"on": on, "kind": kind, "times": 1}
    for on, kind in (
        ("batch", "partial_upload"),
        ("batch", "disk_full"),
        ("batch", "rename_undone"),
        ("connection", "changed_host_key"),
    )
)


class Chaos(Calm):
    """Kills the worker with SIGKILL in the midst of work, and lets the clearinghouse misbehave.

    When it dies is drawn from a fixed seed; a slow batch makes sure that one death falls between
    a sending and its answer.
    """

    forgetful_clearinghouse = True

    def __init__(self, seed: int = 90853, kills_planned: int = 8) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
        self._turn = 0
        self._deaths = {1, 2, *self._chance.sample(range(3, 60), kills_planned - 2)}

    async def prepare(self, simulator: Simulator) -> None:
        await simulator.set_faults(
            [
                {"on": "batch", "kind": "slow", "times": 1, "seconds": 2.0},
                _LOST_ANSWER,
                {"on": "eligibility", "kind": "server_error", "times": 2},
                {"on": "mailbox", "kind": "duplicate", "times": 2},
                {"on": "mailbox", "kind": "out_of_order", "times": 3},
                *(_OVER_SFTP if simulator.files == "sftp" else ()),
            ]
        )

    async def during(self, doing: Awaitable[None], worker: Process) -> None:
        self._turn += 1
        if self._turn not in self._deaths:
            await doing
            return
        done = asyncio.ensure_future(doing)
        await asyncio.wait({done}, timeout=self._chance.uniform(0.05, 0.5))
        worker.kill()
        self.kills += 1
        worker.start()
        await done


# --- the judge


def _judge(samples: Path, played: Played, tell: Callable[[str], None]) -> dict[str, bool]:
    oracle = Path("tests/oracle")
    if not oracle.is_dir():
        raise DemoFailed(f"no judge at {oracle}: run the demonstration from the top of a checkout")
    answer = subprocess.run(  # noqa: S603 - our own program
        [
            sys.executable, str(oracle), "--json",
            "--database", played.database_url, "--wire", str(played.raw_log),
            "--samples", str(samples),
        ],
        # Not as an argument: those of a process are shown to everyone on the machine.
        env={**os.environ, "GROUPCLAIM_IDENTITY_KEY": played.identity_key.hex()},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    try:
        judgement = json.loads(answer.stdout)
    except ValueError:
        raise DemoFailed(f"the judge did not answer: {answer.stderr[-2000:]}") from None
    for disagreement in judgement["disagreements"]:
        tell(f"the judge: {disagreement}")
    invariants: dict[str, bool] = judgement["invariants"]
    return invariants


def _received(raw_log: Path) -> dict[str, int]:
    """Batches that the simulator took, and claim versions in them that it had taken before."""
    batches, seen, duplicates = 0, set[bytes](), 0
    for line in raw_log.read_text().splitlines():
        entry = json.loads(line)
        if entry["channel"] == "batch" and entry["outcome"].startswith("accepted"):
            batches += 1
            for control_number in re.findall(rb"CLM\*([^*]+)\*", b64decode(entry["body"])):
                duplicates += control_number in seen
                seen.add(control_number)
    return {"received": batches, "claim_versions": len(seen), "duplicates": duplicates}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DemoFailed(f"{path}: {error.strerror}") from None
    except ValueError:
        raise DemoFailed(f"{path}: not JSON") from None
