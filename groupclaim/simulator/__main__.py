"""`python -m groupclaim.simulator`: one clearinghouse on a local port."""

import argparse
import json
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import asyncssh
import uvicorn

from groupclaim.simulator import sftp
from groupclaim.simulator.clearinghouse import Clearinghouse
from groupclaim.simulator.clock import ClockError, DrivenClock, WallClock
from groupclaim.simulator.faults import Faults
from groupclaim.simulator.http import DroppableProtocol, create_application
from groupclaim.simulator.raw_log import RawLogError
from groupclaim.simulator.world import WorldError, load_world


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Returns 0, or 2 when an argument or file is unusable."""
    options = _options(arguments)
    try:
        files = None if options.sftp_port is None else _files(options)
        application = create_application(
            load_world(options.payers),
            options.log,
            clock=WallClock() if options.wall_clock else DrivenClock(options.clock),
            token=_token(options.token_file),
            control_token=_token(options.control_token_file),
            accept_everything=options.accept_everything,
            beside=None if files is None else files.serving,
        )
        listener = socket.create_server((options.host, options.port))
    except (OSError, *_UNUSABLE) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    # Before the server has its own handlers, and again when it hands the signal on after stopping.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    ports = {"port": listener.getsockname()[1]}
    if files is not None:
        ports["sftp_port"] = files.port
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        application,
        http=DroppableProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listener])
    return 0


class _TokenError(ValueError):
    """A token file without a usable token."""


_UNUSABLE = (WorldError, RawLogError, ClockError, asyncssh.KeyImportError, _TokenError)


@dataclass(frozen=True)
class _Files:
    """The way by SFTP, listening already."""

    port: int
    serving: Callable[[Clearinghouse, Faults], AbstractAsyncContextManager[None]]


def _files(options: argparse.Namespace) -> _Files:
    keys = options.sftp_authorized_keys
    authorized = None if keys is None else asyncssh.read_authorized_keys(str(keys))
    host_key = sftp.load_or_generate_host_key(options.sftp_host_key)
    password = _token(options.token_file)
    listener = socket.create_server((options.host, options.sftp_port))
    serving = partial(
        sftp.serving,
        listener=listener,
        host_key=host_key,
        password=password,
        authorized_keys=authorized,
    )
    return _Files(listener.getsockname()[1], serving)


def _token(path: Path) -> str:
    token = path.read_bytes().strip()
    if not token or not token.isascii():
        raise _TokenError(f"{path}: the token file needs one token in ASCII")
    return token.decode("ascii")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m groupclaim.simulator", description=__doc__)
    parser.add_argument("--payers", type=Path, required=True, help="JSON file of the payers")
    parser.add_argument("--log", type=Path, required=True, help="raw log, created or continued")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--token-file", type=Path, required=True, help="the practice's token")
    parser.add_argument("--control-token-file", type=Path, required=True)
    clock = parser.add_mutually_exclusive_group(required=True)
    clock.add_argument("--clock", type=datetime.fromisoformat, help="where the driven clock starts")
    clock.add_argument("--wall-clock", action="store_true", help="run on the real time of day")
    parser.add_argument(
        "--accept-everything", action="store_true", help="accept an interchange each time it comes"
    )
    parser.add_argument(
        "--sftp-port", type=int, help="serve SFTP on this port too (0 takes a free one)"
    )
    parser.add_argument(
        "--sftp-host-key", type=Path, help="its private key, made if missing; public half in .pub"
    )
    parser.add_argument(
        "--sftp-authorized-keys", type=Path, help="public keys that may log in without the token"
    )
    options = parser.parse_args(arguments)
    if options.sftp_port is not None and options.sftp_host_key is None:
        parser.error("--sftp-port needs --sftp-host-key")
    return options


if __name__ == "__main__":
    sys.exit(main())
