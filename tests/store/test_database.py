import asyncio
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from groupclaim import store
from groupclaim.store import audit, claims, ledger
from groupclaim.store.audit import Head
from groupclaim.store.database import Database, _is_busy, migrate
from groupclaim.store.keys import Keyring, Undecipherable
from groupclaim.store.practice import UnknownRecord, claim_facts, read_practice
from groupclaim.store.schema import APPEND_ONLY, audit_seal, counter, metadata, transfer
from tests.store.world import NOW, PLANTED, World, attended, send_all


@pytest.fixture
def raw(database_url: str) -> Iterator[Connection]:
    """The database past all our code, as somebody with a shell would reach it."""
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_migrations_make_exactly_the_schema(raw: Connection) -> None:
    context = MigrationContext.configure(raw, opts={"compare_type": True})
    assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(database_url: str, raw: Connection) -> None:
    migrate(database_url)
    assert raw.scalar(text("SELECT COUNT(*) FROM alembic_version")) == 1
    assert raw.scalar(text("SELECT COUNT(*) FROM claim_money")) == 0


def newest() -> str:
    """The one head of a chain without branches: revisions are numbered from 0001 on."""
    folder = Path(store.__file__).parent / "migrations" / "versions"
    numbers = sorted(path.name[:4] for path in folder.glob("0*.py"))
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    return numbers[-1]


async def test_several_may_migrate_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    await asyncio.gather(*(asyncio.to_thread(migrate, url) for _ in range(4)))
    database = Database.connect(url, Keyring.generate())
    async with database.reading() as reading:
        assert await reading.scalar(text("SELECT version_num FROM alembic_version")) == newest()
    await database.close()


def test_who_opens_a_new_database_waits_for_who_writes_to_it(tmp_path: Path) -> None:
    """SQLite refuses the switch to write-ahead at once then, whatever its time-out."""
    path = tmp_path / "new.db"
    first = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    first.execute("CREATE TABLE written (number INTEGER)")
    first.execute("BEGIN IMMEDIATE")
    ending = threading.Timer(0.3, first.rollback)
    ending.start()
    try:
        migrate(f"sqlite:///{path}")
    finally:
        ending.join()
        first.close()
    with closing(sqlite3.connect(path)) as after:
        assert after.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert after.execute("SELECT version_num FROM alembic_version").fetchone() == (newest(),)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:/// and a path, or postgresql://"):
        Database.connect(url, Keyring.generate())


async def test_a_failed_block_leaves_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as tx:
            await tx.next_number("kept")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with database.reading() as reading:
        assert await reading.rows(select(counter)) == []


async def test_a_statement_that_fails_does_not_tell_what_it_held(database: Database) -> None:
    with pytest.raises(IntegrityError) as failed:
        async with database.transaction() as tx:
            await tx.execute(insert(counter), {"name": "Jane Doe", "value": None})
    assert "Jane Doe" not in str(failed.value).partition("DETAIL")[0]
    assert "hide_parameters" in str(failed.value)


async def test_numbers_have_no_gaps_and_no_twins(database: Database) -> None:
    async def take(fail: bool) -> int:
        async with database.transaction() as tx:
            number = await tx.next_number("series")
            if fail:
                raise RuntimeError
            return number

    results = await asyncio.gather(
        *(take(fail=place % 3 == 0) for place in range(30)), return_exceptions=True
    )
    assert sorted(item for item in results if isinstance(item, int)) == list(range(1, 21))


async def test_a_reading_sees_one_moment(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.next_number("seen")
    async with database.reading() as reading:
        query = select(counter.c.value)
        assert await reading.scalar(query) == 1
        async with database.transaction() as tx:
            await tx.next_number("seen")
        assert await reading.scalar(query) == 1
    async with database.reading() as reading:
        assert await reading.scalar(query) == 2


async def test_writers_of_several_connections_queue(
    database_url: str, database: Database, keyring: Keyring
) -> None:
    other = Database.connect(database_url, keyring)

    async def write(where: Database) -> None:
        async with where.transaction() as tx:
            value = await tx.next_number("busy")
            await asyncio.sleep(0.002)
            assert value == await tx.scalar(select(counter.c.value))

    await asyncio.gather(*(write(place) for place in [database, other] * 20))
    async with database.reading() as reading:
        assert await reading.scalar(select(counter.c.value)) == 40
    await other.close()


@pytest.fixture
def other_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    """Another process in the middle of writing to a SQLite database, ``busy.db``. We wait for it a
    twentieth of a second at a time."""
    migrate(f"sqlite:///{tmp_path}/busy.db")
    monkeypatch.setattr("groupclaim.store.database.BUSY_SECONDS", 0.05)
    other = sqlite3.connect(tmp_path / "busy.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


async def _write(path: Path) -> int:
    database = Database.connect(f"sqlite:///{path}/busy.db", Keyring.generate())
    try:
        async with database.transaction() as tx:
            return await tx.next_number("busy")
    finally:
        await database.close()


async def test_a_busy_database_is_tried_again(
    other_writer: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def is_busy(error: BaseException | None) -> bool:
        refused.append(error)
        other_writer.rollback()
        return _is_busy(error)

    monkeypatch.setattr("groupclaim.store.database._is_busy", is_busy)
    assert await _write(tmp_path) == 1
    assert len(refused) == 1


async def test_but_not_for_ever(other_writer: sqlite3.Connection, tmp_path: Path) -> None:
    with pytest.raises(OperationalError, match="database is locked"):
        await _write(tmp_path)
    assert other_writer.in_transaction


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {} SET {}", "DELETE FROM {}"])
async def test_append_only_tables_refuse_every_change(
    world: World, raw: Connection, table: str, change: str
) -> None:
    await send_all(world)
    async with world.database.transaction() as tx:
        await claims.append_event(tx, world.claims[0], "key", NOW, "note", "somebody", {})
        await audit.record(tx, NOW, "somebody", "look", world.claims[0])
        await audit.seal(tx, NOW)
    before = raw.execute(text(f"SELECT * FROM {table}")).all()
    assert before
    column = {"transfer": "cents = 1", "claim_event": "kind = 'x'", "audit_entry": "actor = 'x'"}
    with pytest.raises(DBAPIError, match=f"{table} is append-only"):
        raw.execute(text(change.format(table, column.get(table, "digest = 'x'"))))
    raw.rollback()
    assert raw.execute(text(f"SELECT * FROM {table}")).all() == before


@pytest.mark.parametrize(
    "wrong", [{"cents": 0}, {"cents": -5}, {"credit": "deposits"}, {"claim_number": "GCNOBODY"}]
)
async def test_the_database_itself_refuses_an_impossible_transfer(
    database: Database, wrong: dict[str, object]
) -> None:
    row = {
        "key": "k",
        "posted_at": NOW,
        "debit": "deposits",
        "credit": "clearing",
        "cents": 5,
        "kind": "deposit",
    }
    with pytest.raises(IntegrityError):
        async with database.transaction() as tx:
            await tx.execute(insert(transfer).values({**row, **wrong}))


async def test_nothing_personal_is_in_the_database_files(
    world: World, database_url: str, tmp_path: Path
) -> None:
    await send_all(world)
    content = _dump(database_url, tmp_path)
    assert world.claims[0].encode() in content
    personal = [*PLANTED, "1980-01-31", "GROUP9", "Concocted"]
    for planted in personal:
        assert planted.encode() not in content
        assert planted.encode().hex().encode() not in content


def _dump(url: str, folder: Path) -> bytes:
    if url.startswith("sqlite"):
        return b"".join(path.read_bytes() for path in folder.glob("store.db*"))
    return subprocess.run(["pg_dump", "--inserts", url], capture_output=True, check=True).stdout


async def test_moments_come_back_as_they_went_in(database: Database, world: World) -> None:
    async with database.transaction() as tx:
        await claims.append_event(tx, world.claims[0], "k", NOW, "note", "x", {"n": 1})
        (event,) = await claims.timeline(tx, world.claims[0])
    assert event.at == NOW
    assert event.at.utcoffset() == NOW.utcoffset()
    with pytest.raises(Exception, match="time zone offset"):
        async with database.transaction() as tx:
            await claims.append_event(
                tx, world.claims[0], "k2", NOW.replace(tzinfo=None), "note", "x", {}
            )


async def test_after_key_rotation_everything_is_still_read(
    world: World, database_url: str, keyring: Keyring
) -> None:
    rotated = Database.connect(database_url, keyring.rotated())
    async with rotated.reading() as reading:
        facts = await claim_facts(reading, world.claims[0])
        assert facts.patient.first_name == PLANTED[0]
        assert (await read_practice(reading)).name == "Invented Practice"
    async with rotated.transaction() as tx:
        await claims.record_attendance(tx, world.session_id, attended(world, copay=1500), NOW)
        assert await ledger.verify(tx) == ()
    await rotated.close()


async def test_unknown_ids_are_named(database: Database) -> None:
    async with database.reading() as reading:
        with pytest.raises(UnknownRecord, match="claim GC1"):
            await claim_facts(reading, "GC1")
        with pytest.raises(UnknownRecord, match="practice"):
            await read_practice(reading)


async def test_a_document_once_opened_is_the_same_record_but_of_its_own_column_only(
    world: World,
) -> None:
    given = Head(number=7, digest="d", head="h")
    async with world.database.transaction() as tx:
        document = tx.seal(audit_seal, given)
    records = []
    for _ in range(2):
        async with world.database.reading() as reading:
            records.append(reading.unseal(audit_seal, document, Head))
            with pytest.raises(Undecipherable, match=r"counter\.document: changed, or not of this"):
                reading.unseal(counter, document, Head)
    assert records[0] == given
    assert records[1] is records[0]
