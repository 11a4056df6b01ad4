"""Runs the proof of every fault, or of those given by number, and ends with a table.

``python -m tests.faults [NUMBER ...]``; what ``make test`` proves in part is proved whole here. A
try is one run of a proof, or as many as the test says it made (``record_property("tries", n)``);
*lost* and *doubled* are what tests counted, and a question mark where a test failed before it
could. Below the table stand the figures that tests took, as seconds and megabytes. Ends 1 when a
proof failed or was skipped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

from tests.faults.catalogue import FAULTS, Fault
from tests.faults.extent import VARIABLE


@dataclass
class Tally:
    """What became of one proof, all its parameters together."""

    tries: int = 0
    survived: int = 0
    lost: int = 0
    doubled: int = 0
    uncounted: bool = False


class Recorder:
    """Counts by the name of the test, without parameters."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        self.figures: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test that never came to its call, or whose clean-up failed, has not survived."""
        if report.when != "call" and report.passed:
            return
        tally = self.tallies.setdefault(report.nodeid.partition("[")[0], Tally())
        counted = {str(name): value for name, value in report.user_properties}
        tries = int(str(counted.get("tries", 1)))
        if figures := counted.get("figures"):
            self.figures[report.nodeid] = str(figures)
        if report.when == "teardown":
            tally.survived -= tries
        else:
            tally.tries += tries
            tally.survived += tries * report.passed
        tally.lost += int(str(counted.get("lost", 0)))
        tally.doubled += int(str(counted.get("doubled", 0)))
        tally.uncounted |= not report.passed


def lines(faults: Sequence[Fault], tallies: dict[str, Tally]) -> Iterable[str]:
    """The table, and below it what nothing proves yet."""
    form = "{:>2}  {:<74} {:>6} {:>8} {:>5} {:>7}"
    yield form.format("", "fault", "tries", "survived", "lost", "doubled")
    for fault in faults:
        if not fault.proofs:
            yield f"{fault.number:>2}  {fault.what:<74} not covered: {fault.missing}"
            continue
        found = [tallies.get(proof, Tally(uncounted=True)) for proof in fault.proofs]
        unknown = any(tally.uncounted for tally in found)
        lost, doubled = sum(t.lost for t in found), sum(t.doubled for t in found)
        yield form.format(
            fault.number,
            fault.what,
            sum(tally.tries for tally in found),
            sum(tally.survived for tally in found),
            f"{lost}?" if unknown else lost,
            f"{doubled}?" if unknown else doubled,
        )
    for fault in faults:
        if fault.proofs and fault.missing:
            yield f"{fault.number:>2}  not covered of it: {fault.missing}"


def survived(faults: Sequence[Fault], tallies: dict[str, Tally]) -> bool:
    """Whether every proof there is ran, passed, and counted nothing lost or doubled."""
    found = [tallies.get(proof) for fault in faults for proof in fault.proofs]
    return all(
        tally is not None
        and tally.tries == tally.survived > 0
        and not (tally.lost or tally.doubled or tally.uncounted)
        for tally in found
    )


def main(arguments: Sequence[str]) -> int:
    known = {str(fault.number): fault for fault in FAULTS}
    if unknown := set(arguments) - set(known):
        sys.stderr.write(f"no such fault: {', '.join(sorted(unknown))}\n")
        return 2
    chosen = [known[number] for number in arguments] or list(FAULTS)
    proofs = list(dict.fromkeys(proof for fault in chosen for proof in fault.proofs))
    recorder = Recorder()
    os.environ[VARIABLE] = "whole"
    if proofs:
        pytest.main(["-p", "no:cacheprovider", *proofs], plugins=[recorder])
    sys.stdout.write("\n" + "\n".join(lines(chosen, recorder.tallies)) + "\n")
    for proof, figures in recorder.figures.items():
        sys.stdout.write(f"{proof}: {figures}\n")
    return 0 if survived(chosen, recorder.tallies) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
