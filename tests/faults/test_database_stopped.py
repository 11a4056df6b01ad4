"""PostgreSQL is really stopped with work on its way: workers wait, and all goes on by itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from tests.faults.burst import Playing, Watch, playing
from tests.faults.extent import whole
from tests.faults.wire import accepted_versions
from tests.postgres import NoPostgres, PostgresServer, postgres_under_control

STOPPED_SECONDS = (30, 600) if whole() else (3,)
CLAIMS = 40 if whole() else 20


async def stopped(server: PostgresServer, seconds: float) -> None:
    """As after a crash, and as after a fast shutdown, the server comes back on its own files."""
    await asyncio.to_thread(server.stop, signal.SIGQUIT)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(server.start)


@pytest.mark.parametrize("seconds", STOPPED_SECONDS)
async def test_a_database_that_is_away_delays_work_and_loses_none(
    seconds: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Away twice: while claims are checked, and while the batch is on its way."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres_under_control())
        except NoPostgres as missing:
            pytest.skip(f"no PostgreSQL: {missing}")
        async with playing(CLAIMS, tmp_path, database_url=server.url) as practice:
            watch = Watch(practice, patience_seconds=2 * seconds + 600)
            with holding_up(server) as holder:
                await practice.start_sessions()
                await until_held_up(holder)
                await stopped(server, seconds)
            await until_it_answers(practice)
            await practice.hand_in()
            await watch.until("ready", CLAIMS)
            await practice.cut_off()
            await stopped(server, seconds)
            await until_it_answers(practice)
            await watch.until("submitted", CLAIMS)
            for worker in practice.crew:
                worker.check()  # the same that began: it never ended
            taken = accepted_versions(practice.simulator.raw_log)
            record_property("lost", CLAIMS - len(taken))
            record_property("doubled", sum(times > 1 for times in taken.values()))
            assert (len(taken), set(taken.values())) == (CLAIMS, {1})
            assert await practice.broken() == []


@contextmanager
def holding_up(server: PostgresServer) -> Iterator[psycopg.Connection]:
    """No payer's answer can be written down, so that claims are sure to be on their way when the
    server stops; the lock goes with it."""
    with closing(psycopg.connect(server.url)) as holder:
        holder.execute("LOCK TABLE eligibility IN EXCLUSIVE MODE")
        yield holder


async def until_held_up(holder: psycopg.Connection) -> None:
    """Return once a worker waits to write an answer down."""
    for _ in range(600):
        if holder.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("nothing is on its way")


async def until_it_answers(practice: Playing) -> None:
    """Connections of this process died too; each is found dead once."""
    for _ in range(60):
        try:
            await practice.clock.now()
        except DBAPIError:
            await asyncio.sleep(0.5)
        else:
            return
    raise AssertionError("the database never answers again")
