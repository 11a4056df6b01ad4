"""Plays a made practice to its end without the engine: transition, steps, store and simulator under
a scheduler whose every choice comes from the seed. What became of it is judged from outside."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel
from temporalio.exceptions import ApplicationError

from activities import steps
from groupclaim.lifecycle import events
from tests.activities.house import KEYRING, House, Reaper
from tests.oracle.judge import judge
from tests.simulation.made_practice import MadePractice, make_practice

_HORIZON = timedelta(days=75)
_LAST_HORIZON = timedelta(days=200)
"""How long after the last event of the outside world all goes on in any case, and how long if some
claim has not come to rest: a payer that takes its payment back and says no more is asked again for
months before a person has to call."""

_DECIDED_BY_PEOPLE = frozenset(
    {
        "UNDERPAYMENT_REVIEW",
        "OVERPAYMENT_REVIEW",
        "PAYMENT_UNPRICED",
        "INFORMATION_REQUESTED",
        "REJECTED",
        "DENIED",
        "ATTENDANCE_CHANGED",
    }
)
"""Holds that people here release now and then; the others stand: nobody mends what they name."""

_MOST_TICKS = 4000
_MOST_TRIES = 12
_JUDGED = ("I1", "I2", "I3", "I4", "I6", "I10")
_NEEDS_A_RUN = ("at least one", "rows")
"""How the judge says that there is nothing to judge: a practice may be drawn that bills nobody."""

_NOT_A_PAYERS_WORD = "garbage-"
"""Files that the simulator spoils on purpose: nobody can read them, the judge neither."""


class _Shuffled(House):
    """Workflows take turns in an order of the seed; what one of them is told keeps its order.
    A step that fails for a while is tried again, as the engine would."""

    def __init__(self, folder: Path, made: MadePractice, random: Random) -> None:
        super().__init__(folder, made.rosters, careless=True, samples=made.folder)
        self._random = random

    def next_signal(self) -> tuple[str, str, BaseModel]:
        signals = self.switchboard.signals
        whose = self._random.choice(sorted({item[0] for item in signals}))
        chosen = next(item for item in signals if item[0] == whose)
        signals.remove(chosen)
        return chosen

    async def perform(
        self,
        step: steps.Step[Any, Any],
        what: BaseModel,
        attempt: str = "1",
        *,
        failing: timedelta | None = None,
    ) -> Any:
        for tries in range(_MOST_TRIES):
            try:
                return await super().perform(step, what, attempt, failing=failing)
            except ApplicationError as error:
                if error.non_retryable or tries + 1 == _MOST_TRIES:
                    raise
        return None


async def play(seed: int, folder: Path) -> list[str]:
    """What is not as it must be at the end; nothing, where all is."""
    samples = folder / "practice"
    samples.mkdir()
    made = make_practice(seed, samples)
    random = Random(f"schedule {seed}")
    async with _Shuffled(folder, made, random) as house:
        await house.spoil(*made.faults)
        if made.deaths:
            house.unleash(Reaper(seed, share=made.deaths))
        await _play(house, random)
        problems = _not_at_rest(house)
    database = folder / "groupclaim.db"
    problems += _over_granted(database, samples) + _silent(database)
    verdict = judge(str(database), house.log_path, samples, KEYRING.identity_key)
    problems += [
        f"{found['invariant']}: {found['row']} {found['column']}: expected {found['expected']}, "
        f"found {found['found']}"
        for found in verdict["disagreements"]
        if found["invariant"] in _JUDGED
        and not found["expected"].startswith(_NEEDS_A_RUN)
        and not found["row"].startswith(_NOT_A_PAYERS_WORD)
    ]
    return problems


async def _play(house: _Shuffled, random: Random) -> None:
    await house.open_sessions()
    await house.settle()
    outside = house.happenings()
    last = max(datetime.fromisoformat(item["at"]) for item in outside)
    for _ in range(_MOST_TICKS):
        coming = [
            datetime.fromisoformat(outside[0]["at"]) if outside else None,
            await house.next_wakeup(),
            await house.next_delivery(),
        ]
        next_at = min((at for at in coming if at is not None), default=None)
        if next_at is None or next_at > last + _LAST_HORIZON:
            return
        if next_at > last + _HORIZON and not _not_at_rest(house):
            return
        # Now and then everybody is late: the worker was down, the mailbox was not looked into.
        late = timedelta(hours=random.randint(1, 60)) if random.random() < 0.05 else timedelta()
        now = max(next_at + late, await house.clock.now())
        await house.move_to(now)
        turns = ["poll", "outside", "wake", "people"]
        random.shuffle(turns)
        for turn in turns:
            if turn == "poll":
                await house.poll()
            elif turn == "wake":
                await house.wake(now)
            elif turn == "people" and random.random() < 0.2:
                await _somebody_decides(house, random, now)
            while turn == "outside" and outside and _due(outside[0]) <= now:
                await house.from_outside(outside.pop(0))
    raise AssertionError(f"not at rest after {_MOST_TICKS} moments")


async def _somebody_decides(house: _Shuffled, random: Random, now: datetime) -> None:
    held = [
        (number, state.hold.code)
        for number, state in sorted(house.states.items())
        if state.hold is not None
        and state.hold.releasable
        and not state.hold.two_people
        and state.hold.code in _DECIDED_BY_PEOPLE
    ]
    if not held:
        return
    number, code = random.choice(held)
    request = now.isoformat()
    decision = steps.ClaimDecision(
        claim_number=number, code=code, by="R. Lee", reason="looked at", request=request
    )
    recorded = await house.perform(steps.RECORD_DECISION, decision)
    released = events.HoldReleased(at=recorded.at, key=f"release:{request}", code=code)
    await house.happens(number, released)
    await house.settle()


def _due(item: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(item["at"])


def _not_at_rest(house: House) -> list[str]:
    """Claims that neither have ended nor wait for a person who knows about it."""
    return [
        f"END: {number} is at {state.stage} since {state.since}, due {state.due_at}, held by nobody"
        for number, state in house.states.items()
        if state.hold is None
        and (state.resume is not None or state.stage not in ("closed", "not_billable"))
        and not (state.stage == "patient_balance" and state.due_at is not None)
    ]


def _over_granted(database: Path, samples: Path) -> list[str]:
    """I5: patients of whose authorization more is in use than the payer granted."""
    events = json.loads((samples / "outside.json").read_text())["events"]
    granted = json.loads((samples / "practice.json").read_text())["authorizations"]
    granted += [item["authorization"] for item in events if "authorization" in item]
    units = {KEYRING.patient_id(item["patient"]): item["units"] - item["used"] for item in granted}
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT a.patient_id, sum(u.units) FROM authorization a"
            " JOIN authorization_use u ON u.authorization_id = a.id WHERE u.state <> 'released'"
            " GROUP BY a.patient_id"
        ).fetchall()
    return [
        f"I5: patient {patient}: {used} units in use, {units.get(patient, 0)} granted"
        for patient, used in rows
        if used > units.get(patient, 0)
    ]


def _silent(database: Path) -> list[str]:
    """I6: claims that wait and of which nobody has been told anything for longer than reminders
    are ever apart, or that wait without any date at all."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT s.claim_number, s.stage, s.reason FROM participant_standing s"
            " LEFT JOIN wakeup w ON w.workflow_id = 'claim/' || s.claim_number"
            " WHERE s.standing IN ('in_progress', 'held') AND w.due_at IS NULL"
        ).fetchall()
    return [f"I6: {row[0]} waits at {row[1]} ({row[2]}) without a date" for row in rows]
