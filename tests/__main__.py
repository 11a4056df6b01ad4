"""Every test, in two lanes side by side: ``python -m tests``, which ``make test`` calls.

One lane plays whole practices (``tests/system``, ``tests/simulation``), most of whose time is
waiting for processes of their own; the other is all the rest. Each line says whose it is; last
come the tests that failed, of both lanes, and each lane's time. Ends 1 where one failed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from threading import Thread

PLAYED = ("tests/system", "tests/simulation")
LANES = {
    "played": PLAYED,
    "rest": ("tests", *(f"--ignore={folder}" for folder in PLAYED)),
}


class Lane(Thread):
    """One run of pytest, whose lines are printed as they come."""

    def __init__(self, name: str, arguments: tuple[str, ...]) -> None:
        super().__init__()
        self.title = name
        cache = f"cache_dir=.pytest_cache/{name}"
        self.command = [sys.executable, "-m", "pytest", "--durations=10", "-o", cache, *arguments]
        self.code = 1
        self.seconds = 0.0
        self.failed: list[str] = []

    def run(self) -> None:
        began = time.monotonic()
        with subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for line in process.stdout or ():
                print(f"{self.title:<6} | {line}", end="", flush=True)
                if line.startswith(("FAILED ", "ERROR ")):
                    self.failed.append(line.strip())
        self.code = process.returncode
        self.seconds = time.monotonic() - began


def main() -> int:
    lanes = [Lane(name, arguments) for name, arguments in LANES.items()]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    for lane in lanes:
        for failed in lane.failed:
            print(f"{lane.title:<6} | {failed}")
        told = "passed" if lane.code == 0 else f"failed (pytest ended {lane.code})"
        print(f"{lane.title}: {told} in {lane.seconds:.0f} s")
    return int(any(lane.code for lane in lanes))


if __name__ == "__main__":
    raise SystemExit(main())
