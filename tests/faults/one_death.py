"""One death at a time: each step of a house, rewound and died in at each of its points.

A step is carried out in calm first. Then, for each point that it came to (its beginning, each of
its commits, requests and signals from both sides, its end), everything is put back to what it was
before, the worker dies there once, the shared checker looks over what is left, the step is done
again, and what it leads to must be what the calm one led to. Since that holds for every step, it
holds for the way that they make together.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import LargeBinary, Select, Table, select
from starlette.applications import Starlette

from activities import steps
from groupclaim.simulator.clock import DrivenClock
from groupclaim.store.schema import Moment, audit_entry, metadata
from tests.activities.house import House, Killed
from tests.faults.dying import AFTER, BEFORE, Deaths, surround
from tests.faults.extent import whole
from tests.faults.invariants import broken
from tests.faults.wire import accepted_versions

_NEVER_ALIKE = {"audit_entry": {"id", "detail", "nonce", "code"}}
"""What is sealed anew each time, in columns of text; the log's numbers count readings too."""
_READING = "read_note"
"""A note that is read twice is noted twice, as having been read."""
_HOW_IT_LEFT = {"batch": {"sends", "answer"}}
"""A batch that had to be looked for was perhaps sent twice as not taken, and found in a listing."""
_CHECKERS = {"audit_seal"}
"""The checker seals the log, so this table has what it wrote."""

_COUNTS = {"files", "changed"}
"""How much was news to this try: nobody decides by it."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Everything as it was before a step."""

    database: sqlite3.Connection
    log: bytes
    spoiled: list[dict[str, Any]]
    application: Starlette
    clock: DrivenClock
    letters: frozenset[str]
    signals: tuple[Any, ...]
    started: dict[str, BaseModel]


class OneDeath(Deaths):
    """Has every step of ``house`` die so from now on; ``places`` counts where: step and point.

    In ``make test`` a step dies only when it is first carried out, else whenever it is; with
    ``first_only`` never but then: a clearinghouse that is opened anew has no spoiled files.
    """

    def __init__(self, house: House, *, first_only: bool = False) -> None:
        super().__init__()
        self._first_only = first_only or not whole()
        self.places: Counter[str] = Counter()
        self._house = house
        self._points: list[str] = []
        self._fatal: int | None = None
        self._seen: set[str] = set()
        self._path = house.log_path.with_name("groupclaim.db")
        self._letters = house.log_path.with_name("letters")
        surround(house, self)
        self._run = house.run
        house.run, house.acts = self._perform, self._act

    def forget(self, step: steps.Step[Any, Any]) -> None:
        """Have this step die anew when it is next carried out."""
        self._seen.discard(step.name)

    def strike(self, point: str) -> None:
        if not self._step:
            return
        self._points.append(point)
        if len(self._points) - 1 == self._fatal:
            raise Killed

    async def _perform(self, activity: Callable[..., Any], *given: Any) -> Any:
        name = getattr(activity, "__temporal_activity_definition").name
        return await self._die_in(name, lambda: self._run(activity, *given), *given)

    async def _act(self, act: Callable[..., Awaitable[Any]], *given: Any, **more: Any) -> Any:
        return await self._die_in(act.__name__, lambda: act(*given, **more))

    async def _die_in(self, name: str, step: Callable[[], Awaitable[Any]], *given: Any) -> Any:
        if name in self._seen and self._first_only:
            return await step()
        self._seen.add(name)
        before = await self._keep()
        result = await self._once(name, step)
        points, after, outcome = tuple(self._points), await self._keep(), await self._outcome(name)
        for number, point in enumerate(points):
            await self._again(before, reopen=True)
            place = f"{name}: {point} ({number + 1} of {len(points)})"
            self._fatal = number
            try:
                await self._once(name, step)
            except Killed:
                pass
            else:
                raise AssertionError(f"{place} was not reached")
            finally:
                self._fatal = None
            if whole():
                assert await self._broken() == [], place
            again = await self._once(name, step)
            if name == steps.SEND_BATCH.name and again.outcome == "in_doubt":
                await self._look_for(again.next_at, *given)
            else:
                assert _said(again) == _said(result), place
                told, told_again = (set(getattr(one, "items", ())) for one in (result, again))
                assert told <= told_again, place
            assert await self._broken() == [], place
            for what, is_now in (await self._outcome(name)).items():
                assert is_now == outcome[what], f"{place}: {what}"
            self.places[f"{name}: {point}"] += 1
        await self._again(after)
        return result

    async def _once(self, name: str, step: Callable[[], Awaitable[Any]]) -> Any:
        self._points = []
        self.begin(name)
        try:
            self.strike(BEFORE)
            result = await step()
            self.strike(AFTER)
            return result
        finally:
            self.end()

    async def _look_for(self, next_at: datetime, batch: steps.BatchRef) -> None:
        """A batch that may have left with its worker is looked for, and goes again where it has
        not arrived."""
        house, outcome = self._house, "unknown"
        while outcome not in ("received", "accepted"):
            await house.move_to(max(next_at, await house.clock.now()))
            step = steps.RECONCILE_BATCH if outcome == "unknown" else steps.SEND_BATCH
            said = await self._run(house.activities[step.name], batch)
            outcome, next_at = said.outcome, said.next_at

    # --- everything there is

    async def _keep(self) -> _Kept:
        board, copy = self._house.switchboard, sqlite3.connect(":memory:")
        with closing(sqlite3.connect(self._path)) as database:
            database.backup(copy)
        return _Kept(
            copy,
            self._house.log_path.read_bytes(),
            await self._house.spoiled(),
            self._house.application,
            self._house.payers_clock,
            frozenset(path.name for path in self._letters.iterdir()),
            tuple(board.signals),
            dict(board.started),
        )

    async def _again(self, kept: _Kept, *, reopen: bool = False) -> None:
        """``reopen``: the clearinghouse has seen more since then; what its log does not hold, as
        files spoiled on purpose, it then does not know any more."""
        house = self._house
        with closing(sqlite3.connect(self._path)) as database:
            kept.database.backup(database)
        if house.log_path.read_bytes() != kept.log:
            house.log_path.write_bytes(kept.log)
        if reopen:
            house.open_clearinghouse(kept.clock.now())
            await house.spoil(*kept.spoiled)
        else:
            house.application, house.payers_clock = kept.application, kept.clock
        for path in self._letters.iterdir():
            if path.name not in kept.letters:
                path.unlink()
        board = house.switchboard
        board.signals.clear()
        board.signals.extend(kept.signals)
        board.started = dict(kept.started)

    async def _broken(self) -> list[str]:
        house = self._house
        return await broken(
            f"sqlite:///{self._path}", house.database.keyring, wire=house.log_path, moving=False
        )

    async def _outcome(self, name: str) -> dict[str, Any]:
        """What stands in every table, what workflows were told, and what was taken outside. A batch
        that had to be looked for arrived later than in calm: when is not compared."""
        house, sent = self._house, name == steps.SEND_BATCH.name
        found: dict[str, Any] = {
            table.name: sorted(map(repr, await house.rows(_compared(table, sent))))
            for table in metadata.sorted_tables
            if table.name not in _CHECKERS
        }
        return found | {
            "told": list(house.switchboard.signals),
            "started": dict(house.switchboard.started),
            "letters": sorted(path.name for path in self._letters.iterdir()),
            "taken": accepted_versions(house.log_path),
            "files": {
                (entry["direction"], entry["name"], entry["outcome"])
                for entry in house.wire()
                if entry["channel"] == "mailbox"
            },
        }


def _compared(table: Table, sent: bool) -> Select[Any]:
    """The rows and columns that do not differ by nature: what is sealed does."""
    apart = _NEVER_ALIKE.get(table.name, set())
    if sent:
        apart = apart | _HOW_IT_LEFT.get(table.name, set())
    query = select(
        *(
            column
            for column in table.columns
            if column.name not in apart
            and not isinstance(column.type, LargeBinary)
            and not (sent and isinstance(column.type, Moment))
        )
    )
    return query.where(table.c.action != _READING) if table is audit_entry else query


def _said(result: Any) -> Any:
    """What a step says; of what a person asked for, only whether it was news. What is told of work
    items may be more the second time: of those that had changed before."""
    return result.model_dump(exclude=_COUNTS | {"items"}) if isinstance(result, BaseModel) else None
