"""A throw-away PostgreSQL server for tests, from the machine's own binaries."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

_START_SECONDS = 30


class NoPostgres(Exception):
    """There are no PostgreSQL binaries here, or nobody who may run them."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server on a free port of the loopback interface; yields its ``postgresql://`` URL.

    Its data lives in a temporary folder and is never synced to disk; the server is stopped by its
    own process id at the end. PostgreSQL refuses to run as root, so root runs it as ``postgres`` or
    ``nobody``. Raises :class:`NoPostgres`.
    """
    initdb, postgres = _binary("initdb"), _binary("postgres")
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="groupclaim-postgres-"))
    try:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        data = folder / "data"
        _check(
            subprocess.run(
                [initdb, "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync"],
                capture_output=True,
                text=True,
                check=False,
                cwd=folder,
                **_as(user),
            )
        )
        port = _free_port()
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [
                    *(postgres, "-D", data, "-p", str(port), "-k", ""),
                    *("-c", "listen_addresses=127.0.0.1"),
                    *("-c", "fsync=off", "-c", "synchronous_commit=off"),
                    *("-c", "full_page_writes=off", "-c", "max_connections=200"),
                ],
                stdout=log,
                stderr=log,
                cwd=folder,
                **_as(user),
            )
        try:
            url = f"postgresql://test@127.0.0.1:{port}/postgres"
            _await(url, server, folder / "log")
            yield url
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown: clients are disconnected
            try:
                server.wait(timeout=_START_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binary(name: str) -> str:
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
