from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy import select, update

from groupclaim.store.files import (
    fetched,
    file_problem,
    is_acknowledged,
    keep_file,
    read_file,
    record_acknowledged,
    record_fetched,
    record_problem,
    unacknowledged,
)
from groupclaim.store.keys import Undecipherable
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import x12_file
from groupclaim.store.waiting import open_work
from tests.store.world import NOW, PLANTED, World

CONTENT = f"ISA*00*NM1*QC*1*{PLANTED[1]}~".encode()


async def test_a_file_is_kept_once_and_encrypted(world: World) -> None:
    async with world.database.transaction() as tx:
        args = (world.connection_id, "inbound", "835", "a.835", CONTENT, NOW)
        digest = await keep_file(tx, *args)  # type: ignore[arg-type]
        assert await keep_file(tx, *args) == digest == sha256(CONTENT).hexdigest()  # type: ignore[arg-type]
        file = await read_file(tx, digest)
        (row,) = await tx.rows(select(x12_file))
    assert (file.content, file.kind, file.name) == (CONTENT, "835", "a.835")
    assert row.size == len(CONTENT)
    assert PLANTED[1].encode() not in row.content


async def test_a_name_with_a_zero_byte_keeps_no_file_out(world: World) -> None:
    """PostgreSQL takes none as text; one such name would stop the whole mailbox."""
    async with world.database.transaction() as tx:
        name = "a\0b.835"
        digest = await keep_file(tx, world.connection_id, "inbound", "835", name, CONTENT, NOW)
        assert await record_fetched(tx, world.connection_id, "f1", name, digest, NOW)
        assert (await read_file(tx, digest)).name == "a b.835"


async def test_a_changed_file_is_not_read(world: World) -> None:
    async with world.database.transaction() as tx:
        digest = await keep_file(tx, world.connection_id, "inbound", "835", "a", CONTENT, NOW)
        stored = await tx.scalar(select(x12_file.c.content))
        await tx.execute(update(x12_file).values(content=stored[:-1] + bytes([stored[-1] ^ 1])))
        with pytest.raises(Undecipherable, match=r"x12_file\.content"):
            await read_file(tx, digest)
        with pytest.raises(UnknownRecord):
            await read_file(tx, "0" * 64)


async def test_a_file_stands_as_a_problem_until_it_is_acknowledged(world: World) -> None:
    async with world.database.transaction() as tx:
        digest = await keep_file(tx, world.connection_id, "inbound", "835", "a", CONTENT, NOW)
        await record_fetched(tx, world.connection_id, "m1", "a", digest, NOW)
        assert await file_problem(tx, digest) is None
        later = NOW + timedelta(hours=1)
        assert await record_problem(tx, digest, "unreadable: x" + "y" * 300, NOW)
        assert not await record_problem(tx, digest, "unreadable: x" + "y" * 300, later)
        found = await file_problem(tx, digest)
        assert found is not None
        assert (found.text[:13], len(found.text), found.at) == ("unreadable: x", 200, later)
        assert (await open_work(tx)).files == ()
        await record_acknowledged(tx, world.connection_id, "m1", later)
        assert await file_problem(tx, digest) is None


async def test_the_same_bytes_under_two_names_are_both_acknowledged(world: World) -> None:
    async with world.database.transaction() as tx:
        digest = await keep_file(tx, world.connection_id, "inbound", "835", "a", CONTENT, NOW)
        here = world.connection_id
        assert await record_fetched(tx, here, "m1", "a", digest, NOW)
        assert not await record_fetched(tx, here, "m1", "a", digest, NOW)
        assert await record_fetched(tx, here, "m2", "b", digest, NOW)
        assert await fetched(tx, here, {"m1", "m2", "m9"}) == {"m1": digest, "m2": digest}
        assert await fetched(tx, here, {"m2"}) == {"m2": digest}
        many = {f"n{number}" for number in range(1200)}
        assert await fetched(tx, here, many | {"m1"}) == {"m1": digest}
        assert not await is_acknowledged(tx, here, digest)
        assert await unacknowledged(tx, here, digest) == ("m1", "m2")
        await record_acknowledged(tx, here, "m1", NOW)
        assert await is_acknowledged(tx, here, digest)
        assert await unacknowledged(tx, here) == ("m2",)
        assert await unacknowledged(tx, here, "0" * 64) == ()
