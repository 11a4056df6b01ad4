"""A throw-away PostgreSQL server for tests, from the machine's own binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from worker.embedded import free_port

_START_SECONDS = 60
_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 2 * 1024**3


class NoPostgres(Exception):
    """There are no PostgreSQL binaries here, or nobody who may run them."""


class PostgresServer:
    """A server of its own; its data lives in ``folder/data`` and is never synced to disk.

    PostgreSQL refuses to run as root, so root runs it as ``postgres`` or ``nobody``. Raises
    :class:`NoPostgres`.
    """

    def __init__(self, folder: Path, wal_segment_megabytes: int = 16) -> None:
        self._folder = folder
        self._user = _user()
        self._postgres = binary("postgres")
        self._server: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        _check(
            subprocess.run(
                [
                    *(binary("initdb"), "-D", folder / "data", "-U", "test", "-A", "trust"),
                    *("-E", "UTF8", "--no-sync", f"--wal-segsize={wal_segment_megabytes}"),
                ],
                capture_output=True,
                text=True,
                check=False,
                cwd=folder,
                **_as(self._user),
            )
        )
        self._port = free_port()
        self.url = f"postgresql://test@127.0.0.1:{self._port}/postgres"

    @property
    def log(self) -> Path:
        return self._folder / "log"

    def start(self) -> None:
        """Start, again too, and wait until it answers."""
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                [
                    *(self._postgres, "-D", self._folder / "data", "-p", str(self._port)),
                    *("-k", "", "-c", "listen_addresses=127.0.0.1"),
                    # A server that dies keeps what was committed: the machine does not die.
                    *("-c", "fsync=off", "-c", "full_page_writes=off"),
                    *("-c", "max_connections=200"),
                ],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                **_as(self._user),
            )
        _await(self.url, self._server, self.log)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """By its own process id. SIGINT: clients are disconnected; SIGQUIT: at once, as a crash."""
        if self._server is None or self._server.poll() is not None:
            return
        self._server.send_signal(how)
        try:
            self._server.wait(timeout=_START_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()


@contextmanager
def postgres_under_control(*, in_memory: bool = False) -> Iterator[PostgresServer]:
    """A server that has been started; whoever has it may stop and start it. Its data lives in a
    temporary folder, or ``in_memory`` where there is room for that."""
    roomy = in_memory and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES
    folder = Path(tempfile.mkdtemp(prefix="groupclaim-postgres-", dir=_MEMORY if roomy else None))
    try:
        server = PostgresServer(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_server(*, in_memory: bool = False) -> Iterator[str]:
    """Run a server on a free port of the loopback interface; yields its ``postgresql://`` URL."""
    with postgres_under_control(in_memory=in_memory) as server:
        yield server.url


def binary(name: str) -> str:
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version)
    found = str(newest[-1]) if newest else shutil.which(name)
    if found is None:
        raise NoPostgres(f"no {name} in /usr/lib/postgresql/*/bin or on the path")
    return found


def _version(path: Path) -> int:
    major = path.parts[-3]
    return int(major) if major.isdigit() else 0


def _user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgres("root may not run PostgreSQL and there is no user postgres or nobody")


def _as(user: pwd.struct_passwd | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _check(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode != 0:
        raise NoPostgres(f"initdb failed: {done.stderr.strip()[-500:]}")


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                raise NoPostgres(f"the server did not start: {log.read_text()[-500:]}") from None
            time.sleep(0.1)
