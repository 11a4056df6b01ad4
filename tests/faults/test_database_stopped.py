"""PostgreSQL is really stopped with work on its way: workers wait, and all goes on by itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from groupclaim.store.keys import Keyring
from tests.faults.burst import Playing, Watch, playing
from tests.faults.extent import whole
from tests.faults.invariants import broken, broken_histories
from tests.faults.wire import accepted_versions
from tests.postgres import NoPostgres, PostgresServer, postgres_under_control
from worker.plugin import groupclaim_plugin
from worker.process import payload_keys

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
            await practice.start_sessions()
            await watch.until("authorization", CLAIMS // 4)
            assert watch.reached("attendance") < CLAIMS, "nothing was on its way any more"
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
            state = practice.settings.state
            keyring = Keyring.load(state / "keys.json")
            found = await broken(
                server.url,
                keyring,
                wire=practice.simulator.raw_log,
                samples=tmp_path / "practice",
                logs=(state / "logs").glob("*.log"),
            )
            assert found == []
            plugin = groupclaim_plugin(payload_keys(keyring), keyring.current)
            assert await broken_histories(practice.client, plugin) == []


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
