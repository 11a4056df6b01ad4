"""How much a worker holds follows from what memory it may take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.capacity import workflows_held

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("name", "told", "held"),
    [
        # 1 GiB: half of it is 536,870,912 bytes, at 200,000 each.
        ("sys/fs/cgroup/memory.max", "1073741824\n", 2_684),
        ("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n", 1_342),
        ("sys/fs/cgroup/memory.max", "300000\n", 1),
    ],
)
def test_a_container_gives_half_of_its_limit(
    tmp_path: Path, name: str, told: str, held: int
) -> None:
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    file.write_text(told)
    assert workflows_held(tmp_path) == held


@pytest.mark.parametrize("told", [None, "max\n", "9223372036854771712\n"])
def test_without_a_limit_each_processor_has_its_part_of_the_machine(
    tmp_path: Path, told: str | None
) -> None:
    if told is not None:
        file = tmp_path / "sys/fs/cgroup/memory.max"
        file.parent.mkdir(parents=True)
        file.write_text(told)
    assert workflows_held(tmp_path) == MACHINE // (os.cpu_count() or 1) // 2 // 200_000
