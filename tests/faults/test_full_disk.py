"""The disk under a database, or under Temporal, is really full: the cause is named, nothing is half
done, and with room again all goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import DBAPIError
from temporalio.service import RPCError

from activities.measures import count_refusal
from groupclaim.store import ledger, remittances
from groupclaim.store.database import migrate
from groupclaim.store.keys import Keyring
from groupclaim.store.ledger import Account
from groupclaim.store.refusals import Refusal
from tests.faults.burst import Playing, Watch, playing
from tests.faults.disk import NoDisk, SmallDisk, small_disk
from tests.faults.invariants import broken
from tests.faults.wire import accepted_versions
from tests.postgres import NoPostgres, PostgresServer
from tests.store.conftest import database, keyring, world
from tests.store.world import NOW, World, paid, payment, register, send_all, trial_balance
from worker.exporter import Exporter

__all__ = ["database", "keyring", "world"]

PAYMENTS = 40
MOST_TRIES = 400
CLAIMS = 10


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with ExitStack() as stack:
        try:
            made = stack.enter_context(small_disk(160))
        except (NoDisk, FileNotFoundError) as missing:
            pytest.skip(f"nothing can be mounted: {missing}")
        yield made


@pytest.fixture
def server(disk: SmallDisk, request: pytest.FixtureRequest) -> Iterator[PostgresServer | None]:
    """PostgreSQL on that disk, with the size of a segment of its log; None for SQLite."""
    if request.param is None:
        yield None
        return
    folder = disk.path / "postgres"
    folder.mkdir()
    try:
        made = PostgresServer(folder, wal_segment_megabytes=request.param)
    except NoPostgres as missing:
        pytest.skip(f"no PostgreSQL: {missing}")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def database_url(disk: SmallDisk, server: PostgresServer | None) -> str:
    url = server.url if server else f"sqlite:///{disk.path / 'store.db'}"
    migrate(url)
    return url


def counted(cause: Refusal) -> float:
    labels = {"cause": cause.value}
    return REGISTRY.get_sample_value("groupclaim_database_refusals_total", labels) or 0.0


@pytest.mark.parametrize(
    ("server", "causes"),
    [
        pytest.param(None, {Refusal.DISK_FULL}, id="SQLite"),
        # Its log still has room in its segment: the tables cannot grow.
        pytest.param(16, {Refusal.DISK_FULL}, id="PostgreSQL"),
        # The log itself cannot grow: the server stops, whoever asks finds nobody.
        pytest.param(1, {Refusal.DISK_FULL, Refusal.UNREACHABLE}, id="PostgreSQL's log"),
    ],
    indirect=["server"],
)
async def test_a_full_disk_is_named_and_leaves_nothing_half_done(
    disk: SmallDisk,
    server: PostgresServer | None,
    causes: set[Refusal],
    world: World,
    database_url: str,
    keyring: Keyring,
    record_property: Callable[[str, object], None],
) -> None:
    await send_all(world)
    before = {cause: counted(cause) for cause in Refusal}
    disk.fill()
    found: set[Refusal] = set()
    posted = tries = 0
    while not causes <= found:
        tries += 1
        assert tries < MOST_TRIES, (found, posted)
        if Refusal.UNREACHABLE in causes:
            await asyncio.to_thread(begin_another_segment, database_url)
        try:
            await post(world, tries)
        except DBAPIError as error:
            said = error
        else:
            posted += 1
            continue
        cause = count_refusal(said)
        assert cause in causes, said.orig
        found.add(cause)
        if Refusal.UNREACHABLE not in causes:
            assert await deposits(world) == posted * 4200 * PAYMENTS
    assert all(counted(cause) > before[cause] for cause in causes)
    disk.clear()
    if server is not None and Refusal.UNREACHABLE in causes:
        server.stop()
        server.start()
        await world.database.close()  # whose connections died with it
    assert await deposits(world) == posted * 4200 * PAYMENTS
    await post(world, 0)
    record_property("tries", tries)
    assert await deposits(world) == (posted + 1) * 4200 * PAYMENTS
    async with world.database.reading() as reading:
        assert await ledger.verify(reading) == ()
    assert await broken(database_url, keyring, moving=False) == []


def begin_another_segment(url: str) -> None:
    """PostgreSQL goes on in the next file of its log, sooner than by itself."""
    with suppress(psycopg.Error), psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute("SELECT pg_switch_wal()")


async def post(world: World, number: int) -> None:
    """A file of payments in one transaction."""
    items = [
        payment(paid("GCUNKNOWN", 4200, ("CO", "45", 2300)), trace=f"T{number}-{place}")
        for place in range(PAYMENTS)
    ]
    async with world.database.transaction() as tx:
        new = (await register(tx, world, *items)).new
        for remittance_id, item in zip(new, items, strict=True):
            await remittances.post(tx, remittance_id, item, NOW)


async def deposits(world: World) -> int:
    async with world.database.reading() as reading:
        return (await trial_balance(reading)).get(Account.DEPOSITS, 0)


async def test_temporal_on_a_full_disk_stops_and_goes_on(
    disk: SmallDisk, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Its disk fills while claims are on their way. The exporter, which watches that disk as its
    folder of state, tells it; with room again the same server goes on."""
    async with playing(CLAIMS, tmp_path, temporal_folder=disk.path) as practice:
        watch = Watch(practice)
        settings = practice.settings.model_copy(update={"state": disk.path})
        exporter = Exporter(settings)
        await practice.start_sessions()
        await watch.until("eligibility", CLAIMS)
        disk.fill()
        with pytest.raises(RPCError):
            await until_refused(practice)
        await exporter.read(everything=False)
        assert free(exporter) < 0.1
        await exporter.close()
        await asyncio.sleep(3)
        disk.clear()
        await practice.hand_in()
        await watch.until("ready", CLAIMS)
        await practice.cut_off()
        await watch.until("submitted", CLAIMS)
        taken = accepted_versions(practice.simulator.raw_log)
        record_property("lost", CLAIMS - len(taken))
        record_property("doubled", sum(times > 1 for times in taken.values()))
        assert (len(taken), set(taken.values())) == (CLAIMS, {1})
        assert await practice.broken() == []


async def until_refused(practice: Playing) -> None:
    """What was written already may leave a little room."""
    for _ in range(50):
        await practice.hand_in()


def free(exporter: Exporter) -> float:
    found = exporter.registry.get_sample_value(
        "groupclaim_exporter_disk_free_ratio", {"holds": "state"}
    )
    assert found is not None
    return found
