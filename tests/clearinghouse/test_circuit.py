"""A circuit opens after three failures in a row, lets one probe through, closes on an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from groupclaim.clearinghouse.circuit import FILES, INQUIRIES, GuardedClearinghouse
from groupclaim.clearinghouse.port import (
    DUPLICATE,
    Clearinghouse,
    NoAnswer,
    NotTaken,
    Unreachable,
)


class Scripted:
    """Answers what it is told to, and counts."""

    def __init__(self) -> None:
        self.raises: BaseException | None = None
        self.asked = 0
        self.waits: asyncio.Event | None = None

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def answer(*_: object) -> bytes:
            self.asked += 1
            if self.waits is not None:
                await self.waits.wait()
            if self.raises is not None:
                raise self.raises
            return b"answer"

        return answer


class Diary:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def opened(self, way: str) -> None:
        self.said.append(("opened", way))

    async def answered(self, way: str) -> None:
        self.said.append(("answered", way))


class Bench:
    def __init__(self) -> None:
        self.now = 0.0
        self.other, self.diary = Scripted(), Diary()
        self.guarded = GuardedClearinghouse(
            cast(Clearinghouse, self.other), self.diary, lambda: self.now
        )

    async def ask(self) -> str:
        try:
            return (await self.guarded.ask_eligibility(b"270")).decode()
        except Unreachable as error:
            return error.reason

    async def send(self) -> str:
        try:
            await self.guarded.send_batch("name", b"837")
        except (NotTaken, NoAnswer) as error:
            return str(error)
        return "taken"


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_three_failures_open_it_and_an_answer_between_starts_anew(bench: Bench) -> None:
    for raises in (Unreachable("connect"), Unreachable("connect"), None, Unreachable("connect")):
        bench.other.raises = raises
        assert await bench.ask() == (raises.reason if raises else "answer")
    bench.other.raises = NoAnswer("ReadTimeout")
    with pytest.raises(NoAnswer):
        await bench.guarded.request_authorization(b"278")
    assert bench.diary.said == [("answered", INQUIRIES)]
    bench.other.raises = Unreachable("unreadable_answer")
    await bench.ask()
    assert bench.diary.said[-1] == ("opened", INQUIRIES)
    assert await bench.ask() == "paused"
    assert bench.other.asked == 6


async def test_what_is_paused_never_left_and_says_when_to_come_again(bench: Bench) -> None:
    bench.other.raises = NotTaken("connect")
    for _ in range(3):
        assert await bench.send() == "connect"
    bench.now += 0.25
    with pytest.raises(NotTaken, match="paused") as refused:
        await bench.guarded.send_batch("name", b"837")
    assert (refused.value.final, refused.value.retry_after) == (False, timedelta(seconds=0.75))
    with pytest.raises(Unreachable, match="paused"):
        await bench.guarded.list_mailbox()
    assert bench.other.asked == 3
    bench.other.raises = None
    assert await bench.ask() == "answer"  # the other way is another circuit


async def test_one_probe_goes_and_pauses_double_up_to_half_a_minute(bench: Bench) -> None:
    bench.other.raises = Unreachable("connect")
    for _ in range(3):
        await bench.ask()
    for pause in (1, 2, 4, 8, 16, 30, 30):
        bench.now += pause - 0.1
        assert await bench.ask() == "paused"
        bench.now += 0.1
        assert await bench.ask() == "connect"
    bench.now += 30
    bench.other.waits = asyncio.Event()
    probe = asyncio.create_task(bench.ask())
    await asyncio.sleep(0)
    with pytest.raises(Unreachable, match="paused") as refused:
        await bench.guarded.ask_eligibility(b"270")
    # While a probe waits for its answer, many steps do not come back every second.
    assert refused.value.retry_after == timedelta(seconds=30)
    bench.other.raises = None
    bench.other.waits.set()
    assert await probe == "answer"
    assert await bench.ask() == "answer"
    bench.other.raises = Unreachable("connect")
    for _ in range(3):
        assert await bench.ask() == "connect"
    bench.now += 1  # the first pause again
    assert await bench.ask() == "connect"


async def test_who_asks_to_be_left_alone_is(bench: Bench) -> None:
    bench.other.raises = Unreachable("throttled", retry_after=timedelta(minutes=10))
    for _ in range(3):
        await bench.ask()
    bench.now += 599
    assert await bench.ask() == "paused"
    bench.now += 1
    assert await bench.ask() == "throttled"


async def test_a_probe_that_is_given_up_leaves_the_next_one_free(bench: Bench) -> None:
    bench.other.raises = Unreachable("connect")
    for _ in range(3):
        await bench.ask()
    bench.now += 5
    bench.other.waits = asyncio.Event()
    probe = asyncio.create_task(bench.ask())
    await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    bench.other.waits, bench.other.raises = None, None
    assert await bench.ask() == "answer"


@pytest.mark.parametrize("word", [NotTaken("unreadable", final=True), NotTaken(DUPLICATE)])
async def test_a_refusal_is_an_answer(bench: Bench, word: NotTaken) -> None:
    bench.other.raises = word
    for _ in range(5):
        assert await bench.send() == word.reason
    assert bench.diary.said == [("answered", FILES)] * 5
