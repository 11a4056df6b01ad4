"""A thousand batches are taken and their answers lost: each is found again without a person, and
none is sent twice, at a clearinghouse that would take everything twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from activities import queue, steps
from tests.activities.house import House, Killed
from tests.faults.burst import CUTOFF, NOW, made_practice
from tests.faults.extent import whole
from tests.faults.wire import accepted_versions

TRIES = 1000 if whole() else 18
TOGETHER = 6
MOST_LOOKS = 4
RESOLVED = 0.99

LOSSES = ("lose_answer", "accept_then_503", "the worker dies")


def lost_with_the_worker(house: House) -> None:
    """The next batch is taken, and who sent it does not live to hear of it."""
    send = house.clearinghouse.send_batch

    async def died(name: str, content: bytes) -> Any:
        await send(name, content)
        house.clearinghouse.send_batch = send  # type: ignore[method-assign]
        raise Killed

    house.clearinghouse.send_batch = died  # type: ignore[method-assign]


async def left_in_doubt(house: House, place: int) -> steps.BatchRef:
    """One batch of one claim, taken; nobody here knows."""
    batch = await house.cut(f"cut {place}")
    assert batch is not None
    assert (await house.perform(steps.BUILD_BATCH, batch)).claims == 1
    loss = LOSSES[place % len(LOSSES)]
    if loss == "the worker dies":
        lost_with_the_worker(house)
    else:
        await house.spoil({"on": "batch", "kind": loss, "times": 1})
    assert (await house.perform(steps.SEND_BATCH, batch)).outcome == "in_doubt"
    return batch


async def resolved(house: House, batch: steps.BatchRef) -> bool:
    """Whether looking again, as its workflow does, finds out what became of it."""
    for _ in range(MOST_LOOKS):
        look = await house.perform(steps.RECONCILE_BATCH, batch)
        if look.outcome == "received":
            announced = steps.Announce(batch_id=batch.batch_id, accepted=True)
            await house.perform(steps.ANNOUNCE_BATCH, announced)
            return True
        if look.outcome == "absent":  # wrong, and the wire tells: it goes again
            await house.perform(steps.SEND_BATCH, batch)
        await house.move_to(max(look.next_at, await house.clock.now()))
    return False


async def test_what_was_taken_without_a_word_is_found_and_never_sent_twice(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    samples, folder = tmp_path / "practice", tmp_path / "house"
    samples.mkdir()
    folder.mkdir()
    made_practice(TRIES, samples)
    monkeypatch.setattr(queue, "MOST_CLAIMS_IN_A_BATCH", 1)
    rosters = {
        f"S{first // 10 + 1}": tuple(
            f"B{place + 1}" for place in range(first, min(first + 10, TRIES))
        )
        for first in range(0, TRIES, 10)
    }
    found = 0
    async with House(folder, rosters, careless=True, samples=samples) as house:
        await house.move_to(NOW)
        await house.open_sessions()
        for item in house.happenings():
            await house.from_outside(item)
            await house.settle()
        await house.move_to(CUTOFF)
        for first in range(0, TRIES, TOGETHER):
            places = range(first, min(first + TOGETHER, TRIES))
            doubtful = [await left_in_doubt(house, place) for place in places]
            await house.move_to(await house.clock.now() + timedelta(minutes=31))
            for batch in doubtful:
                found += await resolved(house, batch)
            await house.settle()
        assert await house.cut("nothing is left") is None
        taken = accepted_versions(house.log_path)
        stages = [state.stage for state in house.states.values()]
    record_property("tries", TRIES)
    record_property("lost", TRIES - len(taken))
    record_property("doubled", sum(taken.values()) - len(taken))
    record_property("resolved_without_a_person", found / TRIES)
    assert (len(taken), sum(taken.values())) == (TRIES, TRIES)
    assert found >= RESOLVED * TRIES
    assert stages.count("submitted") == found
