"""A SQLite connection whose short statements run where they are asked for.

The asynchronous driver hands each call to a thread of its own, four times a statement: that costs
several times what a statement by key takes. Here only what may take long goes to that thread: what
waits for another writer (``BEGIN IMMEDIATE``) or for the disk (``COMMIT``), and inserts of many
rows. For processes whose statements are all short, as a worker's are.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any

import aiosqlite

_LONG = frozenset({"commit", "executescript"})
_MAY_WAIT = "BEGIN IMMEDIATE"
_MANY_ROWS = 100
_TURN = 32
"""After so many calls in a row others get a turn."""


class HastyConnection(aiosqlite.Connection):
    """What SQLAlchemy's adapter takes for a connection of its driver."""

    _calls = 0

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        many = fn.__name__ == "executemany" and len(args[1]) > _MANY_ROWS
        if many or fn.__name__ in _LONG or (args and args[0] == _MAY_WAIT):
            return await super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        if not self._running or not self._connection:
            raise ValueError("Connection closed")
        self._calls += 1
        if self._calls % _TURN == 0:
            await asyncio.sleep(0)
        return fn(*args, **kwargs)


def hasty(*args: Any, **kwargs: Any) -> HastyConnection:
    """Opens such a connection: the driver's ``connect``, for SQLAlchemy's ``async_creator_fn``."""
    options = {**kwargs, "check_same_thread": False}
    connection = HastyConnection(partial(sqlite3.connect, *args, **options), 64)
    connection._thread.daemon = True
    return connection
