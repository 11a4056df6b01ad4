"""A worker that dies at every point there is, once: a plugin for the tests of the steps.

``pytest -p tests.faults.dying tests/activities/...`` runs them with each step dying once before it
begins, before and after each of its commits, requests, letters, charges and signals, and after it
has ended. What the
tests expect stays what it was. The points died at are written to the file named by
``GROUPCLAIM_DEATHS``, one a line.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from groupclaim.cards.stripe import StripeCards
from groupclaim.delivery.folder import PickUpFolder
from groupclaim.store.database import Database, Transaction
from tests.activities.house import House, Killed

VARIABLE = "GROUPCLAIM_DEATHS"

_REQUESTS = (
    "ask_eligibility", "request_authorization", "ask_authorization", "ask_claim_status",
    "send_batch", "list_batches", "list_mailbox", "download", "acknowledge",
)  # fmt: skip

BEFORE, AFTER = "before it began", "after it had ended"

_places: set[str] = set()


class _Once(deque[Any]):
    """What workflows are told: they know a telling again by its key, and so it counts once."""

    def append(self, item: Any) -> None:
        if item not in self:
            super().append(item)


class Deaths:
    """Kills each step of one house once at each point, in the order in which it comes to them."""

    def __init__(self) -> None:
        self._step = ""
        self._reached: Counter[str] = Counter()
        self._died: set[str] = set()

    def begin(self, step: str) -> None:
        self._step = step
        self._reached.clear()

    def end(self) -> None:
        self._step = ""

    def strike(self, point: str) -> None:
        if not self._step:
            return
        self._reached[point] += 1
        place = f"{self._step}: {point} {self._reached[point]}"
        if place not in self._died:
            self._died.add(place)
            _places.add(place)
            raise Killed

    def around(self, method: Callable[..., Coroutine[Any, Any, Any]], name: str) -> Any:
        async def struck(*args: Any, **options: Any) -> Any:
            self.strike(f"before {name}")
            result = await method(*args, **options)
            self.strike(f"after {name}")
            return result

        return struck

    def around_commits(self, database: Database) -> None:
        transaction = database.transaction

        @asynccontextmanager
        async def struck() -> AsyncIterator[Transaction]:
            async with transaction() as tx:
                yield tx
                self.strike("before commit")
            self.strike("after commit")

        database.transaction = struck  # type: ignore[method-assign]


def surround(house: House, deaths: Deaths) -> None:
    """Have ``deaths`` strike around every commit, request and signal of the house."""
    deaths.around_commits(house.database)
    for name in _REQUESTS:
        setattr(house.clearinghouse, name, deaths.around(getattr(house.clearinghouse, name), name))
    for name in ("start_workflow", "signal"):
        setattr(house.switchboard, name, deaths.around(getattr(house.switchboard, name), name))
    house.switchboard.signals = _Once(house.switchboard.signals)


def _haunt(house: House) -> Deaths:
    deaths = Deaths()
    surround(house, deaths)
    run = house.run

    async def dying_run(activity: Callable[..., Any], *given: Any) -> Any:
        deaths.begin(getattr(activity, "__temporal_activity_definition").name)
        try:
            deaths.strike(BEFORE)
            result = await run(activity, *given)
            deaths.strike(AFTER)
            return result
        finally:
            deaths.end()

    async def dying_act(act: Callable[..., Any], *given: Any, **more: Any) -> Any:
        while True:
            deaths.begin(act.__name__)
            try:
                deaths.strike(BEFORE)
                result = await act(*given, **more)
                deaths.strike(AFTER)
                return result
            except Killed:
                continue
            finally:
                deaths.end()

    house.run, house.acts = dying_run, dying_act
    return deaths


def _haunt_sender(owner: type, name: str, haunting: list[Deaths], patch: Any) -> None:
    """Whoever takes letters or charges is made by tests of their own, so the class is haunted."""
    method = getattr(owner, name)

    async def struck(*args: Any, **options: Any) -> Any:
        if not haunting:
            return await method(*args, **options)
        return await haunting[-1].around(method, name)(*args, **options)

    patch.setattr(owner, name, struck)


@pytest.fixture(autouse=True)
def dying(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every house of a test is haunted."""
    from tests.activities.test_cards import Letters  # by now its asserts have been rewritten

    enter = House.__aenter__
    haunting: list[Deaths] = []
    for owner, name in (
        (PickUpFolder, "deliver"),
        (Letters, "deliver"),
        (StripeCards, "charge"),
        (StripeCards, "find"),
    ):
        _haunt_sender(owner, name, haunting, monkeypatch)

    async def entered(self: House) -> House:
        house = await enter(self)
        haunting.append(_haunt(house))
        return house

    monkeypatch.setattr(House, "__aenter__", entered)


def pytest_sessionfinish() -> None:
    if path := os.environ.get(VARIABLE):
        Path(path).write_text("".join(f"{place}\n" for place in sorted(_places)))
