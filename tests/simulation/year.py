"""Plays a made year on Temporal: the practice's own workflows on a real server, the simulated
clearinghouse in a process of its own, and a stored clock that moves when nothing is in progress.
Every claim must come to its end; a judge that imports nothing of the product says whether it did
so rightly. ``python -m tests.simulation.year --seed N --weeks N`` plays one."""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select
from temporalio.client import Client
from temporalio.worker import Worker

from activities.cash_desk import CashDesk
from activities.front_desk import FrontDesk
from activities.notes import JsonNotes
from activities.outside import Outside
from activities.registry import every_activity
from activities.steps import TASK_QUEUE
from groupclaim.clearinghouse.http import HttpClearinghouse
from groupclaim.delivery.folder import PickUpFolder
from groupclaim.lifecycle.why import why
from groupclaim.model.base import parse
from groupclaim.model.intake import PracticeFile, SessionFile
from groupclaim.model.session import AttendanceList
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.edits import CodeEdits
from groupclaim.policy.fee_schedule import FeeSchedule
from groupclaim.policy.payer import PolicyBook
from groupclaim.policy.playbook import Playbook
from groupclaim.store import claims, people
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import migrate
from groupclaim.store.schema import claim, group_session
from tests.activities.house import KEYRING, connect
from tests.oracle.judge import judge
from tests.simulation.made_year import MadeYear, make_year
from tests.simulation.people import PEOPLE, People
from tests.simulation.traffic import Traffic
from tests.temporal import plugin, start_environment
from worker.embedded import Simulator
from worker.practice_time import PracticeTime

_MONTHS_AFTER = timedelta(days=420)
"""How long after the last session claims may take to end: appeals and silent payers take months."""
_SITTING_HOUR = 16
"""When people work the list, in UTC, on each weekday."""
_JUDGED = ("I1", "I2", "I3", "I4", "I6", "I10")


class _Time(PracticeTime):
    """Asks only those who were told something."""

    traffic: Traffic
    client: Client

    async def quiet(self) -> None:
        for process in self._processes:
            process.check()
        await self.traffic.rest(self.client)


@dataclass
class Played:
    """What became of a made year; ``problems`` are what is not as it must be."""

    seed: int
    claims: int = 0
    ended_in: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    days: int = 0
    moments: int = 0
    seconds: float = 0.0
    processor_seconds: float = 0.0
    events: int = 0
    workflows: int = 0
    problems: list[str] = field(default_factory=list)

    def told(self) -> str:
        stages = ", ".join(f"{count} {stage}" for stage, count in sorted(self.ended_in.items()))
        acts = ", ".join(f"{count} {kind}" for kind, count in sorted(self.acts.items()))
        return (
            f"seed {self.seed}: {self.claims} claims in {self.days} days of the practice clock; "
            f"ended: {stages}; people acted on: {acts}; {self.moments} moments, {self.seconds:.0f} "
            f"s, {self.processor_seconds:.0f} s of processor time, {self.workflows} runs of "
            f"workflows with {self.events} events"
        )


async def play_year(
    seed: int, folder: Path, *, weeks: int, tell: Callable[[str], None] = lambda line: None
) -> Played:
    """Play it in the empty ``folder`` and have it judged."""
    samples = folder / "practice"
    samples.mkdir()
    made = make_year(seed, samples, weeks=weeks)
    played = Played(seed)
    began, worked = time.monotonic(), _processor_seconds()
    async with AsyncExitStack() as house:
        year = await _Year.open(house, seed, made, folder)
        await year.play(played, tell)
        played.events = sum(year.traffic.runs.values())
        played.workflows = len(year.traffic.runs)
        did = year.people.did
        log = year.simulator.raw_log
    _write_down(samples, made, did)
    verdict = judge(str(folder / "groupclaim.db"), log, samples, KEYRING.identity_key)
    played.problems += [
        f"{found['invariant']}: {found['row']} {found['column']}: expected {found['expected']}, "
        f"found {found['found']}"
        for found in verdict["disagreements"]
        if found["invariant"] in _JUDGED
    ]
    played.seconds = time.monotonic() - began
    played.processor_seconds = _processor_seconds() - worked
    return played


def _processor_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _write_down(samples: Path, made: MadeYear, did: list[dict[str, Any]]) -> None:
    events = sorted([*made.events, *did], key=lambda item: datetime.fromisoformat(item["at"]))
    outside = {"starts_at": made.starts_at.isoformat(), "events": events}
    (samples / "outside.json").write_text(json.dumps(outside))


class _Year:
    """The house of one run: server, worker, clearinghouse, people."""

    def __init__(self, made: MadeYear, folder: Path) -> None:
        self.made = made
        self.folder = folder
        self.traffic = Traffic()
        self._happenings = deque(made.events)
        self._faults = deque(made.faults)
        sessions = json.loads((made.folder / "sessions.json").read_text())
        self._weeks = deque(
            [session for session in sessions if session["ref"] in week] for week in made.weeks
        )

    @classmethod
    async def open(cls, house: AsyncExitStack, seed: int, made: MadeYear, folder: Path) -> _Year:
        self = cls(made, folder)
        url = f"sqlite:///{folder / 'groupclaim.db'}"
        migrate(url)
        self.database = connect(url)
        house.push_async_callback(self.database.close)
        clock = PracticeClock(self.database)
        await clock.set_stored(made.starts_at)
        environment = await house.enter_async_context(await start_environment())
        self.client = await Client.connect(
            environment.client.service_client.config.target_host,
            plugins=[plugin()],
            interceptors=[self.traffic],
        )
        self.simulator = Simulator(folder, made.folder / "payers.json", clock=made.starts_at)
        house.push_async_callback(self.simulator.close)
        await self.simulator.start()
        clearinghouse = HttpClearinghouse(
            self.simulator.address, SecretStr(self.simulator.tokens.practice.read_text().strip())
        )
        house.push_async_callback(clearinghouse.close)
        (folder / "letters").mkdir()
        outside = Outside(
            database=self.database,
            clearinghouse=clearinghouse,
            notes=JsonNotes(made.folder / "notes.json"),
            policies=PolicyBook.load(),
            fees=FeeSchedule.load(),
            edits=CodeEdits.load(),
            calendar=BusinessCalendar(),
            playbook=Playbook.load(),
            letters=PickUpFolder(folder / "letters"),
            client=self.client,
            task_queue=TASK_QUEUE,
        )
        worker = Worker(
            self.client,
            task_queue=TASK_QUEUE,
            activities=every_activity(outside),
        )
        await house.enter_async_context(worker)
        self.desk = FrontDesk(self.database, clock, self.client)
        practice = json.loads((made.folder / "practice.json").read_text())
        await self.desk.load(parse(PracticeFile, practice, "practice"), by="front-desk")
        async with self.database.transaction() as tx:
            for name in PEOPLE:
                account = people.Account(name=name, subject=name)
                await people.add_user(tx, account, people.Role.SUPERVISOR, made.starts_at)
        self.time = _Time(
            self.database,
            clock,
            self.client,
            self.simulator,
            await self.desk.connections(),
            (self.simulator.process,),
        )
        self.time.traffic, self.time.client = self.traffic, self.client
        self.whose: dict[str, tuple[str, str]] = {}
        self.people = People(
            seed,
            made,
            self.database,
            self.desk,
            CashDesk(self.database, clock, self.client),
            self.client,
            self.whose,
        )
        return self

    async def play(self, played: Played, tell: Callable[[str], None]) -> None:
        """From moment to moment, until every claim has ended or none will any more."""
        now = sitting = started = self.made.starts_at
        last = datetime.fromisoformat(self.made.events[-1]["at"])
        while True:
            if sitting <= now:
                await self._schedule_week(now)
                await self.people.work(now)
                await self.time.quiet()
                sitting = _next_sitting(now)
                if not self._happenings and await self._all_ended():
                    break
                if now > last + _MONTHS_AFTER:
                    played.problems += await self._open_claims()
                    played.problems += [
                        f"END: refused {count} times: {what}"
                        for what, count in self.people.refusals.most_common(10)
                    ]
                    break
                if now.weekday() == 0:
                    tell(f"{now:%Y-%m-%d}: {played.moments} moments, {await self._stages()}")
            waits = [await self.time.next_moment(), sitting]
            if self._happenings:
                waits.append(datetime.fromisoformat(self._happenings[0]["at"]))
            now = max(now, min(at for at in waits if at is not None))
            while self._faults and self._faults[0][0] <= now:
                await self.simulator.set_faults([self._faults.popleft()[1]])
            await self.time.move_to(now)
            await self._happen(now)
            played.moments += 1
        played.days = (now - started).days
        played.ended_in = await self._stages()
        played.claims = played.ended_in.total()
        played.acts = self.people.acts

    async def _schedule_week(self, now: datetime) -> None:
        """Sessions are handed in on the Friday before, or as soon as somebody sits down then."""
        while self._weeks:
            starts = datetime.fromisoformat(self._weeks[0][0]["starts_at"])
            if starts - now > timedelta(days=3, hours=12):
                return
            week = self._weeks.popleft()
            sessions = parse(SessionFile, week, "sessions").root
            added = await self.desk.add_sessions(sessions, by="front-desk")
            await self.desk.start_sessions(added)
            for session in week:
                for patient in session["roster"]:
                    number = await self.desk.claim_number(session["ref"], patient)
                    self.whose[number] = (session["ref"], patient)
            await self.time.quiet()

    async def _happen(self, now: datetime) -> None:
        due = []
        while self._happenings and datetime.fromisoformat(self._happenings[0]["at"]) <= now:
            due.append(self._happenings.popleft())
        if not due:
            return
        await asyncio.gather(*map(self._outside, due))
        await self.time.quiet()

    async def _outside(self, item: dict[str, Any]) -> None:
        if item["kind"] == "attendance":
            taken = {"session": item["session"], "participants": item["participants"]}
            await self.desk.record_attendance(
                parse(AttendanceList, taken, "attendance"), by="front-desk"
            )
        else:
            at = datetime.fromisoformat(item["at"])
            await self.desk.sign_note(item["session"], item["patient"], at, by="record-system")

    async def _stages(self) -> Counter[str]:
        async with self.database.reading() as reading:
            rows = await reading.rows(select(claim.c.stage, claim.c.hold_code))
        return Counter(
            f"{row.stage} ({row.hold_code})" if row.hold_code else row.stage for row in rows
        )

    async def _all_ended(self) -> bool:
        async with self.database.reading() as reading:
            still = await reading.first(
                select(group_session.c.id).where(group_session.c.stage == "open").limit(1)
            )
        ended = {"closed", "not_billable"}
        return still is None and not self._weeks and (await self._stages()).keys() <= ended

    async def _open_claims(self) -> list[str]:
        found = []
        async with self.database.reading() as reading:
            for number, whose in self.whose.items():
                state = await claims.load_state(reading, number)
                if not state.ended:
                    told = why(state)
                    found.append(
                        f"END: {'/'.join(whose)} {number} is at {state.stage} since "
                        f"{state.since}, waits for {told.waiting_for}, next {told.next_step} at "
                        f"{told.next_at}"
                    )
        return found


def _next_sitting(now: datetime) -> datetime:
    day = (now + timedelta(days=1)).replace(hour=_SITTING_HOUR, minute=0, second=0, microsecond=0)
    while day.weekday() > 4:
        day += timedelta(days=1)
    return day


def main() -> int:
    parser = argparse.ArgumentParser(description="Play a made practice on Temporal.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weeks", type=int, default=52, help="weeks of four groups of ten people")
    parser.add_argument("--keep", type=Path, help="an empty folder in which all of it stays")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kept = asked.keep or Path(folder)
        kept.mkdir(parents=True, exist_ok=True)
        played = asyncio.run(
            play_year(
                asked.seed, kept, weeks=asked.weeks, tell=lambda line: print(line, flush=True)
            )
        )
    print(played.told())
    for problem in played.problems:
        print(f"seed {played.seed}: {problem}")
    if played.problems:
        print(f"again: python -m tests.simulation.year --seed {asked.seed} --weeks {asked.weeks}")
    return min(len(played.problems), 1)


if __name__ == "__main__":
    sys.exit(main())
