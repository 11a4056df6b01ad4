"""The bare engine: a workflow that repeats a recorded shape, with one database commit a step.

Nothing of the product is in it but codec and worker settings: what the product takes longer than
this is its own.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RawValue, SearchAttributeKey, SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    import json
    from typing import Any

    import psycopg

    from tests.bench.shape import Move, Shape, recorded

SHAPE: Shape = recorded()

NAME = "BareClaim"
STEP = "bare_step"
MARKS = "CREATE TABLE mark (claim TEXT NOT NULL, place INTEGER NOT NULL, said TEXT NOT NULL,\
 PRIMARY KEY (claim, place))"
MARKS_BY_PLACE = "CREATE INDEX mark_by_place ON mark (place)"

_KEYS = {
    "BilledCents": SearchAttributeKey.for_int,
    "OpenCents": SearchAttributeKey.for_int,
    "DueAt": SearchAttributeKey.for_datetime,
}


def asked(claim: str, place: int, move: Move) -> str:
    """What goes into the step at ``place``: as long as recorded."""
    return f"{claim}|{place}|{move.gives}|".ljust(move.takes, "x")


@workflow.defn(name=NAME)
class BareClaim:
    def __init__(self) -> None:
        self._told: set[str] = set()

    @workflow.run
    async def run(self, start: str) -> str:
        claim = start.partition("|")[0]
        for place, move in enumerate(SHAPE.moves):
            match move.kind:
                case "activity":
                    await workflow.execute_activity(
                        STEP,
                        asked(claim, place, move),
                        result_type=str,
                        start_to_close_timeout=timedelta(seconds=90),
                    )
                case "local":
                    await workflow.execute_local_activity(
                        STEP,
                        asked(claim, place, move),
                        result_type=str,
                        start_to_close_timeout=timedelta(seconds=90),
                    )
                case "upsert":
                    workflow.upsert_search_attributes(_updates(move))
                case "wait":
                    await self._wait(move)
        return "x" * SHAPE.ends_with

    async def _wait(self, move: Move) -> None:
        await workflow.wait_condition(
            lambda: move.name in self._told,
            timeout=timedelta(seconds=move.seconds),
            timeout_summary="x" * move.takes,
        )

    @workflow.signal(dynamic=True)
    def told(self, name: str, args: Sequence[RawValue]) -> None:
        workflow.payload_converter().from_payload(args[0].payload, str)
        self._told.add(name)


def _updates(move: Move) -> list[SearchAttributeUpdate[Any]]:
    found: list[SearchAttributeUpdate[Any]] = []
    for name, text in move.attributes:
        if name == "DueAt":
            found.append(
                SearchAttributeKey.for_datetime(name).value_set(
                    workflow.now().replace(microsecond=0)
                )
            )
        else:
            key = _KEYS.get(name, SearchAttributeKey.for_keyword)(name)
            found.append(key.value_set(json.loads(text)))
    return found


Commit = Callable[[str, int, str], Awaitable[None]]


class Marks:
    """One row and one commit a step, through nothing but the driver."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit

    @activity.defn(name=STEP)
    async def step(self, asked: str) -> str:
        claim, place, gives, _ = asked.split("|", 3)
        await self._commit(claim, int(place), asked)
        return "x" * int(gives)


async def committing(url: str, connections: int = 8) -> Commit:
    """How a step is written to ``url``, under the settings that the product uses."""
    if url.startswith("sqlite:///"):
        return _sqlite(url.removeprefix("sqlite:///"))
    pool: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    for _ in range(connections):
        pool.put_nowait(await psycopg.AsyncConnection.connect(url))

    async def commit(claim: str, place: int, said: str) -> None:
        connection = await pool.get()
        try:
            await connection.execute(
                "INSERT INTO mark VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", (claim, place, said)
            )
            await connection.commit()
        finally:
            pool.put_nowait(connection)

    return commit


def _sqlite(path: str) -> Commit:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("busy_timeout = 60000", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    writer = asyncio.Lock()

    def written(claim: str, place: int, said: str) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT OR IGNORE INTO mark VALUES (?, ?, ?)", (claim, place, said))
        connection.execute("COMMIT")

    async def commit(claim: str, place: int, said: str) -> None:
        async with writer:
            await asyncio.to_thread(written, claim, place, said)

    return commit
