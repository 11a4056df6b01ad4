"""`make bench`: processor time and memory beside other libraries, as a table for the README.

Every case runs in a process of its own, the ones to be compared in turn, and the best run counts:
the machine may be busy with something else.
"""

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench import posting
from tests.bench.cases import CASES

ROUNDS = {"bare_837": 3, "core_837": 3, "bare_835": 3, "core_835": 3, "oxedi_835": 3,
          "read_835": 3, "balanced_835": 3, "read_837": 2, "build_837": 2}  # fmt: skip
# What is compared with what, and the least that the ratio should be; None where no target is set.
COMPARED = (
    ("core, 837P", "core_837", "bare_837", "bare split loop", 0.5),
    ("core, 835", "core_835", "bare_835", "bare split loop", 0.5),
    ("core, 837P", "core_837", "pyx12_segments_837", "pyx12 segments", None),
    ("835 read", "read_835", "oxedi_835", "oxedi", 0.25),
    ("835 read and balanced", "balanced_835", "oxedi_835", "oxedi", None),
    ("835 read", "read_835", "x12sdk_835", "x12sdk", 10.0),
    ("837P read", "read_837", "x12sdk_837", "x12sdk", None),
    ("837P built", "build_837", "x12sdk_build_837", "x12sdk", 10.0),
    ("837P built, all checks", "checked_837", "pyx12_837", "pyx12 validating alone", 0.75),
)
MOST_MB = 60

POSTED = ("sqlite", "postgresql")
"""Databases on which a remittance is posted, in processor seconds: what else the machine does says
nothing of us."""
POSTING_RATIO, POSTING_MB = 0.4, 200


def measure(folder: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    names = [*CASES, "x12sdk_build_837"]
    for turn in range(max(ROUNDS.values())):
        for name in names:
            if turn >= ROUNDS.get(name, 1):
                continue
            command = [sys.executable, "-m", "tests.bench.cases", name, str(folder)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            result = json.loads(output.strip().splitlines()[-1])
            before = found.get(name, result)
            found[name] = {
                "seconds": min(before["seconds"], result["seconds"]),
                "peak_mb": max(before["peak_mb"], result["peak_mb"]),
            }
            print(f"{name}: {result['seconds']:.3f} s, {result['peak_mb']:.0f} MB", file=sys.stderr)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "tests.bench.files", folder], check=True)
        found = measure(Path(folder))
    print(f"10,000 claims; Python {platform.python_version()}; processor seconds, best run\n")
    print("| what | s | MB | beside | s | MB | ratio | target |")
    print("|---|---|---|---|---|---|---|---|")
    missed = 0
    for what, ours, other, name, target in COMPARED:
        a, b = found[ours], found[other]
        ratio = b["seconds"] / a["seconds"]
        verdict = "" if target is None else f"{target:g}: {'met' if ratio >= target else 'missed'}"
        missed += target is not None and ratio < target
        print(
            f"| {what} | {a['seconds']:.3f} | {a['peak_mb']:.0f} | {name} | {b['seconds']:.3f}"
            f" | {b['peak_mb']:.0f} | {ratio:.2f} | {verdict} |"
        )
    highest = max(found[ours]["peak_mb"] for _, ours, *_ in COMPARED)
    verdict = "met" if highest <= MOST_MB else "missed"
    print(f"\nHighest peak memory of ours: {highest:.0f} MB (target {MOST_MB}: {verdict})")
    missed += _posted()
    print(f"{missed} of the ratios miss their target", file=sys.stderr)


def _posted() -> int:
    """How many targets a posted remittance misses."""
    missed = 0
    print("\n| a remittance posted on | s | MB | its rows inserted bare, s | ratio | target |")
    print("|---|---|---|---|---|---|")
    for kind in POSTED:
        with tempfile.TemporaryDirectory() as folder:
            best = posting.measure(kind, Path(folder))
        ours, other = best["post_processor"], best["bare_processor"]
        ratio, peak = other / ours, best["post_peak_mb"]
        fails = ratio < POSTING_RATIO or peak > POSTING_MB
        missed += fails
        print(
            f"| {kind} | {ours:.2f} | {peak:.0f} | {other:.2f} | {ratio:.2f}"
            f" | {POSTING_RATIO:g}, {POSTING_MB} MB: {'missed' if fails else 'met'} |"
        )
    return missed


if __name__ == "__main__":
    main()
