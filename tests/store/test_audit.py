import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection

from groupclaim.store import audit
from groupclaim.store.audit import Head, Tampering
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring
from tests.store.world import NOW, PLANTED


@pytest.fixture
def vandal(database_url: str) -> Iterator[Connection]:
    """Someone with every right on the tables and the triggers switched off, but no keys."""
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            for table in ("audit_entry", "audit_seal"):
                for change in ("update", "delete"):
                    connection.execute(text(f"DROP TRIGGER {table}_no_{change}"))
        else:
            connection.execute(text("SET session_replication_role = replica"))
        yield connection
    engine.dispose()


async def _sealed(database: Database, *batches: int) -> Head:
    """Batches of so many entries, each sealed; the last head."""
    head = None
    number = 0
    for size in batches:
        async with database.transaction() as tx:
            for _ in range(size):
                number += 1
                await audit.record(
                    tx, NOW, "biller-1", "claim_viewed", f"GC{number}", {"field": "note"}
                )
            head = await audit.seal(tx, NOW)
    assert head is not None
    return head


async def _verify(database: Database, kept: Head | None = None) -> Tampering | None:
    async with database.reading() as reading:
        return await audit.verify(reading, kept)


async def test_an_untouched_log_holds(database: Database) -> None:
    assert await _verify(database) is None
    head = await _sealed(database, 3, 2)
    assert await _verify(database, head) is None
    async with database.transaction() as tx:
        await audit.record(tx, NOW, "biller-1", "claim_viewed", "GC9")
    assert await _verify(database, head) is None


async def test_what_people_say_is_read_with_the_key_only(
    database: Database, database_url: str
) -> None:
    reason = f"called {PLANTED[0]} {PLANTED[1]}"
    async with database.transaction() as tx:
        await audit.record(tx, NOW, "biller-1", "release_hold", "GC1", {"reason": reason})
        await audit.record(tx, NOW, "biller-1", "claim_viewed", "GC2")
        (stored, _) = await tx.rows(text("SELECT * FROM audit_entry ORDER BY id"))
        (entry,) = await audit.entries(tx, "GC1")
    assert (entry.actor, entry.action, entry.detail) == (
        "biller-1", "release_hold", {"reason": reason},
    )  # fmt: skip
    assert not any(word in str(tuple(stored)) for word in ("called", *PLANTED))
    assert await _verify(database) is None


async def test_what_is_sealed_is_not_sealed_again(database: Database) -> None:
    first = await _sealed(database, 2)
    async with database.transaction() as tx:
        assert await audit.seal(tx, NOW) is None
    second = await _sealed(database, 1)
    assert (first.number, second.number) == (1, 2)


async def test_a_head_survives_its_export(database: Database) -> None:
    head = await _sealed(database, 2)
    assert Head.model_validate_json(head.model_dump_json()) == head


@pytest.mark.parametrize(
    ("damage", "kind", "row"),
    [
        ("UPDATE audit_entry SET actor = 'other' WHERE id = 4", "changed", "audit_entry 4"),
        ("UPDATE audit_entry SET detail = '{}' WHERE id = 2", "changed", "audit_entry 2"),
        ("UPDATE audit_entry SET code = 'x' WHERE id = 1", "changed", "audit_entry 1"),
        ("UPDATE audit_entry SET key_id = 'x' WHERE id = 3", "changed", "audit_entry 3"),
        ("UPDATE audit_entry SET id = 99 WHERE id = 3", "deleted", "audit_entry 3"),
        ("DELETE FROM audit_entry WHERE id = 3", "deleted", "audit_entry 3"),
        ("DELETE FROM audit_entry WHERE id >= 4", "deleted", "audit_entry 4"),
        ("DELETE FROM audit_seal WHERE number = 1", "deleted", "audit_seal 1"),
        ("UPDATE audit_seal SET digest = 'x' WHERE number = 2", "changed", "audit_seal 2"),
        ("UPDATE audit_seal SET head = 'x' WHERE number = 1", "changed", "audit_seal 1"),
        ("UPDATE audit_seal SET entries = '[1, 2]' WHERE number = 1", "changed", "audit_seal 1"),
        ("UPDATE audit_seal SET entries = 'x' WHERE number = 1", "changed", "audit_seal 1"),
        (
            "INSERT INTO audit_entry (id, at, actor, action, subject, detail, nonce, key_id, code) "
            "SELECT 50, at, 'intruder', action, subject, detail, nonce, key_id, code "
            "FROM audit_entry WHERE id = 1",
            "inserted",
            "audit_entry 50",
        ),
        (
            "INSERT INTO audit_entry (id, at, actor, action, subject, detail, nonce, key_id, code) "
            "SELECT 51, at, actor, action, subject, detail, nonce, key_id, code "
            "FROM audit_entry WHERE id = 1",
            "inserted",
            "audit_entry 51",
        ),
    ],
)
async def test_the_first_bad_row_is_named(
    database: Database, vandal: Connection, damage: str, kind: str, row: str
) -> None:
    head = await _sealed(database, 3, 2)
    vandal.execute(text(damage))
    found = await _verify(database, head)
    assert found == Tampering(kind, row)  # type: ignore[arg-type]


async def test_an_entry_slipped_between_sealed_ones_is_found(
    database: Database, vandal: Connection
) -> None:
    await _sealed(database, 3, 2)
    vandal.execute(text("UPDATE audit_entry SET id = id + 10 WHERE id > 3"))
    assert await _verify(database) == Tampering("deleted", "audit_entry 4")


async def test_a_log_cut_off_behind_a_kept_head_is_found(
    database: Database, vandal: Connection
) -> None:
    head = await _sealed(database, 3, 2)
    vandal.execute(text("DELETE FROM audit_seal WHERE number = 2"))
    vandal.execute(text("DELETE FROM audit_entry WHERE id > 3"))
    assert await _verify(database) is None
    assert await _verify(database, head) == Tampering("cut_off", "audit_seal 2")


async def test_a_log_written_anew_with_other_keys_is_found(
    database: Database, database_url: str, vandal: Connection
) -> None:
    head = await _sealed(database, 2)
    for table in ("audit_seal", "audit_entry"):
        vandal.execute(text(f"DELETE FROM {table}"))
    forger = Database.connect(database_url, Keyring.generate())
    await _sealed(forger, 2)
    await forger.close()
    assert await _verify(database) is not None
    assert await _verify(database, head) is not None


async def test_keys_may_rotate_between_seals(
    database: Database, database_url: str, keyring: Keyring
) -> None:
    await _sealed(database, 2)
    rotated = Database.connect(database_url, keyring.rotated())
    head = await _sealed(rotated, 2)
    assert await _verify(rotated, head) is None
    await rotated.close()


async def test_an_entry_being_written_is_not_left_behind_the_seal(database: Database) -> None:
    async def seal() -> Head | None:
        async with database.transaction() as tx:
            await audit.record(tx, NOW, "biller-2", "claim_viewed", "GC2")
            return await audit.seal(tx, NOW)

    async with database.transaction() as tx:
        await audit.record(tx, NOW, "biller-1", "claim_viewed", "GC1")
        sealing = asyncio.create_task(seal())
        await asyncio.sleep(0.1)
        assert not sealing.done()
    head = await sealing
    assert await _verify(database, head) is None
    async with database.transaction() as tx:
        assert await audit.seal(tx, NOW) is None


async def test_a_detail_that_is_not_json_is_refused(database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(TypeError):
            await audit.record(tx, NOW, "biller-1", "claim_viewed", "GC1", {"at": object()})
