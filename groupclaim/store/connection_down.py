"""That the way to the payers does not answer, as a work item: it outlives who found it out.

One item for each way, however many workers fail; whichever is answered first resolves it. A person
who says that it is done does not silence it: the next failure puts it on the list again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from groupclaim.store import work
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Database, Reading
from groupclaim.store.schema import work_item

KIND = "connection"
CODE = "CONNECTION_DOWN"

_LOOK_SECONDS = 30.0
"""How often a worker that is answered looks whether another has said that nobody is."""


def subject(way: str) -> str:
    return f"connection/{way}"


async def down(reading: Reading) -> frozenset[str]:
    """The ways that do not answer."""
    rows = await reading.rows(
        select(work_item.c.subject).where(
            work_item.c.kind == KIND, work_item.c.state != work.WorkState.RESOLVED.value
        )
    )
    return frozenset(row.subject.removeprefix(subject("")) for row in rows)


class ConnectionDiary:
    """Writes what a process learns of its ways. A database that does not take it changes nothing of
    what was sent or asked: it is written at the next failure, or at the next answer."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._looked: dict[str, float] = {}
        self._log = structlog.get_logger("groupclaim.connection")

    async def opened(self, way: str) -> None:
        self._looked.pop(way, None)
        try:
            async with self._database.transaction() as tx:
                if way in await down(tx):
                    return
                now = await practice_now(tx)
                task = work.Task(
                    kind=KIND,
                    subject=subject(way),
                    key=now.isoformat(),
                    code=CODE,
                    queue="engineers",
                )
                await work.open_item(tx, task, now)
        except SQLAlchemyError as error:
            self._log.error("not written down", exception_type=type(error).__name__)

    async def answered(self, way: str) -> None:
        now = self._clock()
        if now - self._looked.get(way, -_LOOK_SECONDS) < _LOOK_SECONDS:
            return
        try:
            async with self._database.reading() as reading:
                known = way in await down(reading)
            if known:
                async with self._database.transaction() as tx:
                    await work.close_items(tx, KIND, subject(way), await practice_now(tx))
        except SQLAlchemyError as error:
            self._log.error("not written down", exception_type=type(error).__name__)
            return
        self._looked[way] = now
