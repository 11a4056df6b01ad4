"""A circuit breaker for the way to the payers: who fails again and again is left alone for a while.

Inquiries and files go by ways of their own, and each has a circuit. After :data:`FAILURES` failures
in a row it opens: nothing more is asked, so that no step waits for time-outs and nobody who is down
is stormed. When its pause has passed one request goes as a probe; an answer closes the circuit, a
failure doubles the pause. What is refused meanwhile never left the house, and the step that asked
comes again by itself.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

from groupclaim.clearinghouse.port import (
    DUPLICATE,
    Clearinghouse,
    Listing,
    MailboxFile,
    NoAnswer,
    NotTaken,
    Receipt,
    Unreachable,
)

FAILURES = 3
"""How many in a row open a circuit: with the longest time-outs these take under three minutes."""

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=30)
"""Unless the other side asks to be left alone for longer. It doubles as a step's own retries do, so
that a short disturbance costs no more than these would have."""

PAUSED = "paused"
"""The reason of what is refused while a circuit is open."""

INQUIRIES, FILES = "inquiries", "files"
"""The two ways: what payers answer at once, and what goes and comes as files."""


class Diary(Protocol):
    """Where others learn how a way stands. It may fail to write, and says nothing of it here."""

    async def opened(self, way: str) -> None:
        """The way does not answer; told again with each probe that fails."""
        ...

    async def answered(self, way: str) -> None:
        """The way has answered; told at every answer."""
        ...


class Circuit:
    """One way's state in this process; ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._closed_again: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        return self._closed_again is not None

    def admit(self) -> timedelta | None:
        """None lets a request go, and it must be told of how it ended; else how long to wait."""
        if self._closed_again is None:
            return None
        left = self._closed_again - self._clock()
        if left > 0:
            return timedelta(seconds=left)
        if self._probing:
            return self._pause
        self._probing = True
        return None

    def answered(self) -> None:
        self._failures, self._pause = 0, FIRST_PAUSE
        self._closed_again, self._probing = None, False

    def failed(self, retry_after: timedelta | None) -> None:
        """A request had no answer. Those that were under way together with it count too."""
        self._failures += 1
        if self._failures < FAILURES:
            return
        if self._probing:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._probing = False
        pause = max(self._pause, retry_after or timedelta(0))
        self._closed_again = self._clock() + pause.total_seconds()

    def abandoned(self) -> None:
        """The request was given up before it ended, and says nothing of the way."""
        self._probing = False


class GuardedClearinghouse:
    """A clearinghouse behind its two circuits."""

    def __init__(
        self,
        clearinghouse: Clearinghouse,
        diary: Diary,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clearinghouse = clearinghouse
        self._diary = diary
        self._circuits = {way: Circuit(clock) for way in (INQUIRIES, FILES)}

    @asynccontextmanager
    async def _question(self, way: str) -> AsyncIterator[None]:
        if (left := self._circuits[way].admit()) is not None:
            raise Unreachable(PAUSED, retry_after=left)
        async with self._watched(way):
            yield

    @asynccontextmanager
    async def _offer(self, way: str) -> AsyncIterator[None]:
        if (left := self._circuits[way].admit()) is not None:
            raise NotTaken(PAUSED, retry_after=left)
        async with self._watched(way):
            yield

    @asynccontextmanager
    async def _watched(self, way: str) -> AsyncIterator[None]:
        circuit = self._circuits[way]
        try:
            yield
        except NotTaken as error:
            if error.final or error.reason == DUPLICATE:  # a word of theirs is an answer
                await self._answered(way)
            else:
                await self._failed(way, error.retry_after)
            raise
        except Unreachable as error:
            await self._failed(way, error.retry_after)
            raise
        except NoAnswer:
            await self._failed(way, None)
            raise
        except BaseException:
            circuit.abandoned()
            raise
        await self._answered(way)

    async def _failed(self, way: str, retry_after: timedelta | None) -> None:
        circuit = self._circuits[way]
        circuit.failed(retry_after)
        if circuit.is_open:
            await self._diary.opened(way)

    async def _answered(self, way: str) -> None:
        self._circuits[way].answered()
        await self._diary.answered(way)

    async def ask_eligibility(self, inquiry: bytes) -> bytes:
        async with self._question(INQUIRIES):
            return await self._clearinghouse.ask_eligibility(inquiry)

    async def request_authorization(self, request: bytes) -> bytes:
        async with self._offer(INQUIRIES):
            return await self._clearinghouse.request_authorization(request)

    async def ask_authorization(self, inquiry: bytes) -> bytes:
        async with self._question(INQUIRIES):
            return await self._clearinghouse.ask_authorization(inquiry)

    async def ask_claim_status(self, inquiry: bytes) -> bytes:
        async with self._question(INQUIRIES):
            return await self._clearinghouse.ask_claim_status(inquiry)

    async def send_batch(self, name: str, content: bytes) -> Receipt:
        async with self._offer(FILES):
            return await self._clearinghouse.send_batch(name, content)

    async def list_batches(self) -> Listing:
        async with self._question(FILES):
            return await self._clearinghouse.list_batches()

    async def list_mailbox(self) -> tuple[MailboxFile, ...]:
        async with self._question(FILES):
            return await self._clearinghouse.list_mailbox()

    async def download(self, file: MailboxFile) -> bytes | None:
        async with self._question(FILES):
            return await self._clearinghouse.download(file)

    async def acknowledge(self, file_id: str) -> None:
        async with self._question(FILES):
            await self._clearinghouse.acknowledge(file_id)

    async def close(self) -> None:
        await self._clearinghouse.close()
