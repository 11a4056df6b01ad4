"""A worker that dies by SIGKILL once at each activity boundary, and who starts it again.

``python -m tests.system.crashing_worker MOMENT FOLDER`` supervises; with ``--work`` it works.
MOMENT is ``before`` (the activity has been taken and nothing done) or ``after`` (everything is
done and nothing reported; also once between the clearinghouse's answer and our noting it).
FOLDER gets one empty file for each boundary died at.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.worker import ExecuteActivityInput

from activities import steps
from groupclaim.clearinghouse.http import HttpClearinghouse
from groupclaim.clearinghouse.port import Receipt
from worker import plugin, telemetry
from worker.process import run_worker
from worker.settings import Settings

_PR_SET_PDEATHSIG = 1


def die_once(place: str, folder: Path) -> None:
    """SIGKILL this process, unless it has died at ``place`` before."""
    try:
        (folder / place).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def work(moment: str, folder: Path) -> None:
    for patience in (steps.DATABASE, steps.GATEWAY, steps.FILES):
        object.__setattr__(patience, "heartbeat", timedelta(seconds=2))
    carry_out = plugin._Attempt.execute_activity

    async def execute_activity(self: Any, given: ExecuteActivityInput) -> Any:
        place = f"{moment}:{activity.info().activity_type}"
        if moment == "before":
            die_once(place, folder)
        result = await carry_out(self, given)
        if moment == "after":
            die_once(place, folder)
        return result

    plugin._Attempt.execute_activity = execute_activity  # type: ignore[method-assign, assignment]
    send = HttpClearinghouse.send_batch

    async def send_batch(self: HttpClearinghouse, name: str, content: bytes) -> Receipt:
        receipt = await send(self, name, content)
        if moment == "after":
            die_once("after:the clearinghouse's answer", folder)
        return receipt

    HttpClearinghouse.send_batch = send_batch  # type: ignore[method-assign]
    settings = Settings()
    telemetry.configure_logging(settings.log_level)
    asyncio.run(run_worker(settings))


def supervise(arguments: list[str]) -> None:
    """Start the worker again each time it dies, until SIGTERM."""
    stopping = False
    child: subprocess.Popen[bytes] | None = None

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        if child is not None:
            child.terminate()

    signal.signal(signal.SIGTERM, stop)
    while not stopping:
        child = subprocess.Popen([sys.executable, "-m", __spec__.name, "--work", *arguments])
        code = child.wait()
        if code != -signal.SIGKILL and not stopping:
            sys.exit(code)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if sys.argv[1] == "--work":
        work(sys.argv[2], Path(sys.argv[3]))
    else:
        supervise(sys.argv[1:])
