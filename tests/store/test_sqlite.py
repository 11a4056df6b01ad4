"""Short statements on SQLite run in place, and never beside what the connection's thread is at."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from threading import Event, Timer

import pytest

from groupclaim.store.database import BUSY_SECONDS, Database, migrate
from groupclaim.store.keys import Keyring


@pytest.fixture
def path(tmp_path: Path) -> Path:
    migrate(f"sqlite:///{tmp_path}/short.db")
    return tmp_path / "short.db"


async def test_a_step_cancelled_while_another_process_writes_holds_nobody_up(path: Path) -> None:
    """Closed in place while its thread waits for the other, its connection stopped every step of
    the process until the other was done, and then took the process with it."""
    database = Database.connect(f"sqlite:///{path}", Keyring.generate(), short=True)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = Event()

    def end() -> None:
        other.execute("ROLLBACK")
        done.set()

    step = asyncio.create_task(_next(database))
    await asyncio.sleep(0.2)
    late = Timer(BUSY_SECONDS / 2, end)
    late.start()
    step.cancel()
    await asyncio.sleep(0.1)
    late.cancel()
    assert not done.is_set()
    end()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert await _next(database) == 1
    await database.close()
    other.close()


async def _next(database: Database) -> int:
    async with database.transaction() as tx:
        return await tx.next_number("cancelled")
