"""PostgreSQL cuts every connection in the midst of a posting: nothing of it stays, and it is done
whole by whoever tries again."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from groupclaim.store import remittances
from groupclaim.store.database import Database
from groupclaim.store.ledger import Account
from tests.store.conftest import (
    database,
    database_url,
    keyring,
    postgres,
    postgres_template,
    world,
)
from tests.store.world import NOW, World, paid, payment, register, send_all, trial_balance

__all__ = ["database", "database_url", "keyring", "postgres", "postgres_template", "world"]

TIMES = 5


def cut_every_connection(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as administrator:
        cut = administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    return len(cut)


async def posted(world: World) -> int:
    async with world.database.reading() as reading:
        return (await trial_balance(reading))[Account.DEPOSITS]


async def until_it_answers(database: Database) -> None:
    """As a step does that is tried again: dead connections are found one by one."""
    for _ in range(30):
        try:
            async with database.transaction():
                return
        except DBAPIError:
            continue
    raise AssertionError("the database never answers again")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_posting_cut_off_leaves_nothing_and_is_done_whole_later(
    world: World, database_url: str, record_property: Callable[[str, object], None]
) -> None:
    await send_all(world)
    item = payment(*(paid(number, 4200, ("CO", "45", 2300)) for number in world.claims))
    async with world.database.transaction() as tx:
        (new,) = (await register(tx, world, item)).new

    async def cut_off() -> None:
        async with world.database.transaction() as tx:
            await remittances.post(tx, new, item, NOW)
            assert cut_every_connection(database_url) > 0

    for _ in range(TIMES):
        with pytest.raises(DBAPIError):
            await cut_off()
        await until_it_answers(world.database)
        assert await posted(world) == 0
    async with world.database.transaction() as tx:
        await remittances.post(tx, new, item, NOW)
    record_property("tries", TIMES)
    assert await posted(world) == 6 * 4200
