"""What processes have used, as the kernel counts it (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(pids: Iterable[int]) -> float:
    """Processor time of processes and of children they have waited for."""
    return sum(_seconds(pid) for pid in pids)


def _seconds(pid: int) -> float:
    fields = _stat(pid)
    return sum(int(fields[place]) for place in (11, 12, 13, 14)) / _TICKS if fields else 0.0


def _stat(pid: int) -> list[str]:
    """The fields of a process after its name; none when it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def family(pid: int) -> list[int]:
    """A process and its children: PostgreSQL has one for each connection."""
    children = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and int(fields[1]) == pid:
                children.append(int(entry.name))
    return [pid, *children]


def resident_kb(pid: int) -> int:
    """Memory of a process that is in use now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def busy_seconds() -> float:
    """Processor time that the whole machine has spent, on whatever."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS
