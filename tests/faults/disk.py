"""A small disk of its own, to be really full: memory mounted as a file system, which takes root."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BLOCK = 4096


class NoDisk(Exception):
    """Nothing may be mounted here."""


class SmallDisk:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Take every byte that is free."""
        with self._ballast.open("ab", buffering=0) as ballast:
            while True:
                try:
                    ballast.write(bytes(_BLOCK))
                except OSError:
                    return

    def clear(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """Mounted until the end of the block. Raises :class:`NoDisk`."""
    path = Path(tempfile.mkdtemp(prefix="groupclaim-disk-"))
    try:
        with _mounted(path, megabytes):
            yield SmallDisk(path)
    finally:
        path.rmdir()


@contextmanager
def _mounted(path: Path, megabytes: int) -> Iterator[None]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", path],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0 or not os.path.ismount(path):
        raise NoDisk(mounted.stderr.strip())
    try:
        yield
    finally:
        # Lazily: a process that has just ended may still hold a file for a moment.
        subprocess.run(["umount", "--lazy", path], check=True)
