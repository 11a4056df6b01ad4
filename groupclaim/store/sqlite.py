"""A SQLite connection whose short statements run where they are asked for.

The asynchronous driver hands each call to a thread of its own, four times a statement: that costs
several times what a statement by key takes. Here only what may take long goes to that thread: what
waits for another writer (``BEGIN IMMEDIATE``) or for the disk (``COMMIT``), and inserts of many
rows. For processes whose statements are all short, as a worker's are.

A step that is cancelled leaves what its thread is at behind and closes the connection: that goes
after it, to the same thread. Closed in place, SQLite would fall with the whole process.
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
    _handed = 0
    """Calls given to the thread, counted where they are given."""
    _finished = 0
    """Of them those it is done with, counted by the thread: never by both at once."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self._running or not self._connection:
            raise ValueError("Connection closed")
        many = fn.__name__ == "executemany" and len(args[1]) > _MANY_ROWS
        busy = self._handed != self._finished
        if busy or many or fn.__name__ in _LONG or (args and args[0] == _MAY_WAIT):
            return await self._in_thread(fn, *args, **kwargs)
        self._calls += 1
        if self._calls % _TURN == 0:
            await asyncio.sleep(0)
        return fn(*args, **kwargs)

    async def _in_thread(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def counted() -> Any:
            try:
                return fn(*args, **kwargs)
            finally:
                self._finished += 1

        self._handed += 1
        return await super()._execute(counted)  # type: ignore[no-untyped-call]


def hasty(*args: Any, **kwargs: Any) -> HastyConnection:
    """Opens such a connection: the driver's ``connect``, for SQLAlchemy's ``async_creator_fn``."""
    options = {**kwargs, "check_same_thread": False}
    connection = HastyConnection(partial(sqlite3.connect, *args, **options), 64)
    connection._thread.daemon = True
    return connection
