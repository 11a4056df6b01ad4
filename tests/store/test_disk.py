"""A disk that is full or read-only stops a posting whole; with room again it goes on as if new."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from groupclaim.store import ledger, remittances
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring
from groupclaim.store.ledger import Account
from groupclaim.store.refusals import Refusal, refusal_of
from groupclaim.store.schema import remittance, transfer
from groupclaim.x12.remittance import Payment
from tests.store.world import NOW, World, paid, payment, register, send_all, trial_balance

PAYMENTS = 30
MOST_PAGES = 100
"""More than posting them can need: with so many left the posting goes through."""


async def counted(database: Database) -> tuple[int, int]:
    async with database.reading() as reading:
        return (
            await reading.scalar(select(func.count()).select_from(remittance)),
            await reading.scalar(select(func.count()).select_from(transfer)),
        )


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_posting_on_a_full_disk_leaves_nothing_behind(
    world: World,
    database_url: str,
    keyring: Keyring,
    record_property: Callable[[str, object], None],
) -> None:
    """The disk is full after every number of pages that the posting could still write; only SQLite
    can be told so."""
    await send_all(world)
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as plain:
        plain.execute("VACUUM")  # no page is left free inside
    items = [
        payment(paid("GCUNKNOWN", 4200, ("CO", "45", 2300)), trace=f"T{place}")
        for place in range(PAYMENTS)
    ]
    before = await counted(world.database)

    async def with_pages_left(pages: int) -> str:
        small = Database.connect(database_url, keyring)
        try:
            async with small.transaction() as tx:
                used = await tx.scalar(text("PRAGMA page_count"))
                await tx.execute(text(f"PRAGMA max_page_count = {used + pages}"))
                new = (await register(tx, world, *items)).new
                for remittance_id, item in zip(new, items, strict=True):
                    await remittances.post(tx, remittance_id, item, NOW)
        except DBAPIError as refused:
            return str(refused.orig)
        finally:
            await small.close()
        return "posted"

    stopped = 0
    while (said := await with_pages_left(stopped)) != "posted":
        assert said == "database or disk is full"
        assert await counted(world.database) == before
        stopped += 1
        assert stopped < MOST_PAGES
    assert stopped > 0
    record_property("tries", stopped)
    async with world.database.reading() as reading:
        assert (await trial_balance(reading))[Account.DEPOSITS] == PAYMENTS * 4200
        assert await ledger.verify(reading) == ()
        assert await reading.scalar(text("PRAGMA integrity_check")) == "ok"


async def post_read_only(world: World, remittance_id: int, item: Payment) -> None:
    async with world.database.transaction() as tx:
        if tx.connection.dialect.name == "sqlite":
            await tx.execute(text("PRAGMA query_only = 1"))
            try:
                await remittances.post(tx, remittance_id, item, NOW)
            finally:  # a setting of the connection, which goes back to the pool
                await tx.execute(text("PRAGMA query_only = 0"))
        else:
            await tx.execute(text("SET TRANSACTION READ ONLY"))
            await remittances.post(tx, remittance_id, item, NOW)


async def test_a_posting_on_a_read_only_disk_leaves_nothing_behind(world: World) -> None:
    await send_all(world)
    item = payment(paid(world.claims[0], 4200, ("CO", "45", 2300)))
    async with world.database.transaction() as tx:
        (new,) = (await register(tx, world, item)).new
    before = await counted(world.database)
    with pytest.raises(DBAPIError, match=r"readonly|read-only") as refused:
        await post_read_only(world, new, item)
    assert refusal_of(refused.value) is Refusal.READ_ONLY
    assert await counted(world.database) == before
    async with world.database.transaction() as tx:
        await remittances.post(tx, new, item, NOW)
        assert (await trial_balance(tx))[Account.DEPOSITS] == 4200
        assert await ledger.verify(tx) == ()
