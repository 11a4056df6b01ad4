"""``python -m tests.simulation [--seeds N] [--first SEED]``: plays practices, one on each processor
at a time."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.simulation.played import play

_TELL_EVERY = 50


def _problems(seed: int) -> tuple[list[str], float]:
    """What is wrong with that practice, and how many seconds of the processor it took."""
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        try:
            problems = asyncio.run(play(seed, Path(folder)))
        except Exception:  # whatever broke, the other seeds are still of interest
            problems = traceback.format_exc().splitlines()
    return problems, time.process_time() - began


def main() -> int:
    parser = argparse.ArgumentParser(description="Play made practices without the engine.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many at a time")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    failed, worked, began = 0, 0.0, time.monotonic()
    with ProcessPoolExecutor(asked.processes) as processes:
        for played, (problems, seconds) in enumerate(processes.map(_problems, seeds), 1):
            failed += bool(problems)
            worked += seconds
            for problem in problems:
                print(f"seed {seeds[played - 1]}: {problem}", flush=True)
            if played % _TELL_EVERY == 0 or played == asked.seeds:
                print(
                    f"{played} seeds from {asked.first}: {failed} failed; {worked:.0f} s of "
                    f"processor time in {time.monotonic() - began:.0f} s",
                    flush=True,
                )
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
