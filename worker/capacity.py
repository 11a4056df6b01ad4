"""How much one worker holds at once, from the memory that it may take.

A workflow that a worker no longer holds is played again from its whole history at its next task:
where open claims outnumber those held, a claim on its way out costs half as much again. So a worker
holds as many as fit, and what sleeps the longest makes room first.
"""

from __future__ import annotations

import os
from pathlib import Path

from groupclaim.store.database import CONNECTIONS

STEPS_AT_ONCE = CONNECTIONS
"""Each needs one of the store. More make nothing faster, since they share one processor:
each then takes many seconds, must heartbeat, and may be tried again while it is under way."""

WORKFLOW_BYTES = 200_000
"""Of an open claim: 149 kB measured at its first stages, and some for what comes to it later."""

_LIMITS = ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where a container is told how much it may take (control groups 2 and 1)."""


def workflows_held(root: Path = Path("/")) -> int:
    """How many open workflows a worker keeps in its memory: half of what it may take.

    That is the limit of its container where it has one; else its part of the machine's memory, of
    which each processor may have a worker. ``root``: of the file system that tells the limit.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [limit for name in _LIMITS if (limit := _limit(root / name)) and limit < machine]
    memory = min(limits) if limits else machine // (os.cpu_count() or 1)
    return max(1, memory // 2 // WORKFLOW_BYTES)


def _limit(file: Path) -> int | None:
    """In bytes; None where the file is missing or names none."""
    try:
        told = file.read_text().strip()
    except OSError:
        return None
    return int(told) if told.isdecimal() else None
