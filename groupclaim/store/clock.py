"""The practice clock: the one source of business dates and times.

In production it is the wall clock. In the demo, the chaos run and the simulated year it is an
instant kept in the database that someone moves forward when nothing is in progress; then timers of
workflows are not set at all, and whoever moves the clock wakes the workflows that are due.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import bindparam, delete, select

from groupclaim.store.database import Database, Reading, Transaction
from groupclaim.store.schema import practice_clock, wakeup


class ClockRefused(ValueError):
    """The clock cannot be moved that way."""


class PracticeClock:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def now(self) -> datetime:
        async with self._database.reading() as reading:
            return await practice_now(reading)

    async def is_stored(self) -> bool:
        """True when the clock stands still until someone moves it."""
        async with self._database.reading() as reading:
            return await _stored(reading) is not None

    async def set_stored(self, instant: datetime) -> None:
        """Stop the clock at ``instant``; from now on it only moves by :meth:`move_to`.

        Raises :class:`ClockRefused` when it already stands at a later instant.
        """
        async with self._database.transaction() as tx:
            if not await tx.insert_new(
                practice_clock, {"id": 1, "mode": "stored", "instant": instant}
            ):
                await _move(tx, instant)

    async def move_to(self, instant: datetime) -> None:
        """Move a stored clock forward; :class:`ClockRefused` when that would be back."""
        async with self._database.transaction() as tx:
            if await _stored(tx) is None:
                raise ClockRefused("the practice clock is the wall clock: it moves by itself")
            await _move(tx, instant)


async def practice_now(reading: Reading) -> datetime:
    """The practice's time, in UTC."""
    return await _stored(reading) or datetime.now(UTC)


async def timer_seconds(reading: Reading, due: datetime) -> float | None:
    """How long a timer must run until ``due``; None when the clock is stored and whoever moves it
    wakes the workflow."""
    if await _stored(reading) is not None:
        return None
    return max(0.0, (due - datetime.now(UTC)).total_seconds())


_INSTANT = select(practice_clock.c.instant)

CLOCK = _INSTANT.scalar_subquery().label("clock")
"""A column for a statement that a transaction often begins with; what it says goes to
:func:`clock_read`, and the clock needs no statement of its own."""


def clock_read(reading: Reading, instant: datetime | None) -> None:
    """Note what :data:`CLOCK` said, unless the clock was read before."""
    reading.read.setdefault("clock", instant)


async def _stored(reading: Reading) -> datetime | None:
    """Read once: within one transaction the clock stands."""
    if "clock" not in reading.read:
        clock_read(reading, await reading.scalar(_INSTANT))
    instant: datetime | None = reading.read["clock"]
    return instant


async def _move(tx: Transaction, instant: datetime) -> None:
    moved = await tx.execute(
        practice_clock.update()
        .where(practice_clock.c.mode == "stored", practice_clock.c.instant <= instant)
        .values(instant=instant)
    )
    if moved.rowcount == 0:
        raise ClockRefused("the practice clock never goes back")


# --- what is due: who sleeps, and until when


async def sleep_until(tx: Transaction, workflow_id: str, due_at: datetime | None) -> None:
    """Note that a workflow waits until ``due_at``; None when it waits for no moment."""
    if due_at is None:
        await tx.execute(_SLEEPS_NO_MORE, {"who": workflow_id})
    else:
        await tx.put(wakeup, {"workflow_id": workflow_id, "due_at": due_at})


_SLEEPS_NO_MORE = delete(wakeup).where(wakeup.c.workflow_id == bindparam("who"))


async def next_wakeup(reading: Reading) -> datetime | None:
    """The earliest moment that any workflow waits for."""
    row = await reading.first(_NEXT)
    return row.due_at if row else None


_NEXT = select(wakeup.c.due_at).order_by(wakeup.c.due_at).limit(1)
_DUE = (
    select(wakeup)
    .where(wakeup.c.due_at <= bindparam("until"))
    .order_by(wakeup.c.due_at, wakeup.c.workflow_id)
)


async def due_wakeups(reading: Reading, until: datetime) -> tuple[tuple[str, datetime], ...]:
    """Workflows whose moment has come, the longest due first, with that moment."""
    rows = (await reading.execute(_DUE, {"until": until})).all()
    return tuple((row.workflow_id, row.due_at) for row in rows)
