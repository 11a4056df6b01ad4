"""``python -m tests.simulation [--seeds N] [--first SEED]``: plays one practice after another."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import traceback
from pathlib import Path

from tests.simulation.played import play


def main() -> int:
    parser = argparse.ArgumentParser(description="Play made practices without the engine.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    asked = parser.parse_args()
    failed = 0
    for seed in range(asked.first, asked.first + asked.seeds):
        with tempfile.TemporaryDirectory() as folder:
            try:
                problems = asyncio.run(play(seed, Path(folder)))
            except Exception:  # whatever broke, the other seeds are still of interest
                problems = traceback.format_exc().splitlines()
        failed += bool(problems)
        for problem in problems:
            print(f"seed {seed}: {problem}", flush=True)
    print(f"{asked.seeds} seeds from {asked.first}: {failed} failed")
    return min(failed, 1)


sys.exit(main())
