"""A state folder of one's own for tests of commands, and work done in its database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring
from tests.store.world import NOW, World, load_world, send_all
from worker.settings import Settings

Result = TypeVar("Result")


def within(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """What ``work`` gives in the database of these settings."""

    async def opened() -> Result:
        database = Database.connect(settings.database_url, Keyring.load(settings.keys_file))
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(opened())


async def sent(database: Database) -> World:
    """The invented practice with all its claims sent."""
    await PracticeClock(database).set_stored(NOW)
    world = await load_world(database)
    await send_all(world)
    return world
