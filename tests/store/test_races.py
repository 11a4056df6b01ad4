"""Twenty workers, each with connections of its own, at one authorization, claim, payment, batch."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import date, timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select

from activities import steps, work_items
from groupclaim.model.patient import Authorization
from groupclaim.store import (
    audit,
    authorizations,
    batches,
    claims,
    files,
    ledger,
    practice,
    remittances,
    work,
)
from groupclaim.store.authorizations import Units
from groupclaim.store.database import Database, Transaction
from groupclaim.store.keys import Keyring
from groupclaim.store.ledger import Account
from groupclaim.store.schema import batch_claim, claim_version, transfer
from tests.store.test_authorizations import series
from tests.store.world import (
    CHARGE,
    NOW,
    World,
    attended,
    make_ready,
    paid,
    payment,
    register,
    send_all,
    trial_balance,
    version_of,
)

WORKERS = 20

Result = TypeVar("Result")


@pytest.fixture
async def workers(
    world: World, database_url: str, keyring: Keyring
) -> AsyncIterator[list[Database]]:
    """The databases of twenty workers, on the practice that is loaded."""
    opened = [Database.connect(database_url, keyring) for _ in range(WORKERS)]
    yield opened
    for one in opened:
        await one.close()


async def at_once(
    workers: list[Database], work: Callable[[int, Transaction], Coroutine[Any, Any, Result]]
) -> list[Result]:
    """What each worker got from doing ``work`` in a transaction of its own, all together."""

    async def one(place: int, database: Database) -> Result:
        async with database.transaction() as tx:
            return await work(place, tx)

    return await asyncio.gather(*(one(place, item) for place, item in enumerate(workers)))


async def test_one_authorization_of_five_visits_for_eight_claims(
    world: World, workers: list[Database]
) -> None:
    given = Authorization.model_validate(
        {
            "patient": "P01",
            "payer": "first",
            "number": "AUTH1",
            "codes": ("90853",),
            "units": 5,
            "used": 0,
            "from": date(2026, 1, 1),
            "to": date(2026, 12, 31),
        }
    )
    async with world.database.transaction() as tx:
        await practice.record_authorization(tx, given)
    numbers = await series(world.database, 8, NOW)

    async def reserve(place: int, tx: Transaction) -> tuple[str, bool]:
        number = numbers[place % 8]
        return number, await authorizations.reserve(tx, number, given, NOW)

    got = {number for number, taken in await at_once(workers, reserve) if taken}
    assert len(got) == 5
    async with world.database.reading() as reading:
        assert await authorizations.units(reading, given) == Units(5, 0, 5, 0, 0)


async def test_one_claim_has_one_version_in_one_batch(
    world: World, workers: list[Database]
) -> None:
    number = world.claims[0]
    async with world.database.transaction() as tx:
        await claims.record_attendance(tx, world.session_id, attended(world), NOW)

    async def make_and_cut(place: int, tx: Transaction) -> bool:
        # The first to come makes it; what the others made is the same, or never becomes a version.
        await claims.make_version(tx, version_of(number), NOW)
        await batches.queue_claim(tx, number, 1, world.connection_id, NOW)
        cut = await batches.cut_batch(tx, world.connection_id, f"cut {place}", NOW, 100)
        return cut is not None

    assert sum(await at_once(workers, make_and_cut)) == 1
    async with world.database.reading() as reading:
        for table in (claim_version, batch_claim):
            rows = select(func.count()).select_from(table).where(table.c.claim_number == number)
            assert await reading.scalar(rows) == 1


async def test_one_payment_in_twenty_files_is_posted_once(
    world: World, workers: list[Database]
) -> None:
    await send_all(world)
    item = payment(*(paid(number, 4200, ("CO", "45", 2300)) for number in world.claims))

    async def arrives(place: int, tx: Transaction) -> tuple[int, ...]:
        return (await register(tx, world, item, name=f"file {place}")).new

    new = [remittance for found in await at_once(workers, arrives) for remittance in found]
    assert len(new) == 1

    async def post(place: int, tx: Transaction) -> remittances.Posted:
        return await remittances.post(tx, new[0], item, NOW)

    assert len(set(await at_once(workers, post))) == 1
    async with world.database.reading() as reading:
        assert (await trial_balance(reading))[Account.DEPOSITS] == 6 * 4200
        assert await ledger.verify(reading) == ()


async def test_one_batch_is_cut_sent_and_charged_once(
    world: World, workers: list[Database]
) -> None:
    async with world.database.transaction() as tx:
        await claims.record_attendance(tx, world.session_id, attended(world), NOW)
        for number in world.claims:
            await make_ready(tx, world, number)

    async def cut(place: int, tx: Transaction) -> str:
        found = await batches.cut_batch(tx, world.connection_id, "one cut", NOW, 100)
        assert found is not None
        digest = await files.keep_file(
            tx, world.connection_id, "outbound", "837", "out", b"bytes", NOW
        )
        await batches.record_built(tx, found.batch_id, digest)
        return found.batch_id

    (batch_id,) = set(await at_once(workers, cut))

    async def send(place: int, tx: Transaction) -> bool:
        return await batches.begin_send(tx, batch_id, NOW, NOW + timedelta(hours=2))

    assert Counter(await at_once(workers, send)) == {True: 1, False: WORKERS - 1}

    async def accept(place: int, tx: Transaction) -> None:
        await batches.record_accepted(tx, batch_id, NOW, None)

    await at_once(workers, accept)
    async with world.database.reading() as reading:
        charged = await reading.rows(select(transfer.c.claim_number, transfer.c.cents))
        assert sorted(map(tuple, charged)) == sorted((n, CHARGE) for n in world.claims)
        assert await ledger.verify(reading) == ()


async def test_one_work_item_is_taken_by_one_of_twenty_people_and_each_click_counts_once(
    world: World, workers: list[Database]
) -> None:
    async with world.database.transaction() as tx:
        task = work.Task("money", "unapplied/1", "1", "UNAPPLIED_CASH", "biller")
        item_id = await work.open_item(tx, task, NOW)

    async def take(place: int, tx: Transaction) -> str | None:
        by = f"person {place % 10}"  # each clicks twice
        act = steps.ItemAct(
            item=item_id, kind="assign", revision=0, by=by, request=f"click of {by}", to=by
        )
        try:
            return (await work_items.carry_out(tx, act, NOW)).assignee
        except work.ChangedMeanwhile:
            return None

    took = Counter(await at_once(workers, take))
    ((by, times),) = [(by, times) for by, times in took.items() if by is not None]
    assert (times, took[None]) == (2, WORKERS - 2)
    async with world.database.reading() as reading:
        item = await work.read_item(reading, item_id)
        acts = await audit.entries(reading, item.subject)
    assert (item.assignee, item.revision, [one.actor for one in acts]) == (by, 1, [by])
