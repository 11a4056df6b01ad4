"""The machine's clock jumps by two hours, its zone is a wrong one, clocks and calendars change."""

from __future__ import annotations

import os
import time as machine
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import DateTime, TypeDecorator, select, text

from activities import steps
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.payer import PolicyBook
from groupclaim.rules.deadlines import Deadlines, attendance_deadline
from groupclaim.store import clock
from groupclaim.store.schema import metadata
from tests.activities.house import START, House
from tests.activities.test_sample_practice import accepted_versions, differences, run_to_the_end
from tests.faults.extent import whole

CHICAGO = "America/Chicago"
_BOOK, _CALENDAR = PolicyBook.load(), BusinessCalendar()


@contextmanager
def machine_in(zone: str) -> Iterator[None]:
    """The process believes to be in ``zone``."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    machine.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        machine.tzset()


# --- the reference table, worked out by hand
#
# Chicago is six hours behind UTC, five from 8 March to 1 November 2026 and from 12 March 2028.
# Each row: the deadline, whose policy, what it counts from, and when it is, in UTC.

TABLE = """
    999           commercial       2026-03-07T17:00:00-06:00  2026-03-08T23:00:00
    999           commercial       2026-10-31T17:00:00-05:00  2026-11-01T22:00:00
    999           commercial       2028-02-28T17:00:00-06:00  2028-02-29T23:00:00
    999           commercial       2026-12-31T20:00:00-06:00  2027-01-02T02:00:00
    277CA         commercial       2026-03-06T17:00:00-06:00  2026-03-11T22:00:00
    277CA         commercial       2026-10-30T17:00:00-05:00  2026-11-04T23:00:00
    277CA         commercial       2028-02-28T09:00:00-06:00  2028-03-02T15:00:00
    277CA         commercial       2026-12-30T17:00:00-06:00  2027-01-05T23:00:00
    remittance    commercial       2026-02-20T10:00:00-06:00  2026-03-22T15:00:00
    remittance    commercial       2026-10-15T10:00:00-05:00  2026-11-14T16:00:00
    remittance    commercial       2028-02-15T10:00:00-06:00  2028-03-16T15:00:00
    remittance    commercial       2026-12-10T23:30:00-06:00  2027-01-10T05:30:00
    status        commercial       2026-02-20T10:00:00-06:00  2026-03-13T15:00:00
    statement     commercial       2026-10-20T10:00:00-05:00  2026-11-19T16:00:00
    note          commercial       2026-03-06T19:00:00-06:00  2026-03-09T00:00:00
    note          commercial       2026-10-30T19:00:00-05:00  2026-11-02T01:00:00
    note          commercial       2028-02-28T11:00:00-06:00  2028-03-01T17:00:00
    note          commercial       2026-12-30T11:00:00-06:00  2027-01-01T17:00:00
    note          commercial       2026-03-06T02:30:00-06:00  2026-03-08T08:30:00
    note          commercial       2026-10-30T01:30:00-05:00  2026-11-01T06:30:00
    attendance    commercial       2026-03-07T19:00:00-06:00  2026-03-09T01:00:00
    attendance    commercial       2026-10-31T19:00:00-05:00  2026-11-02T00:00:00
    attendance    commercial       2028-02-28T19:00:00-06:00  2028-03-01T01:00:00
    filing        medicare-part-b  2028-02-29T10:00:00-06:00  2029-03-01T05:59:59
    filing        medicare-part-b  2026-12-31T10:00:00-06:00  2028-01-01T05:59:59
    filing        commercial       2026-01-15T10:00:00-06:00  2026-04-16T04:59:59
    filing        commercial       2026-10-01T10:00:00-05:00  2026-12-31T05:59:59
    filing        commercial       2027-12-15T10:00:00-06:00  2028-03-15T04:59:59
    filing        commercial       2026-12-31T23:30:00-06:00  2027-04-01T04:59:59
    appeal        commercial       2026-09-10T10:00:00-05:00  2027-03-10T05:59:59
    prompt_pay    texas-commercial 2026-02-10T09:30:00-06:00  2026-03-13T04:59:59
    prompt_pay    texas-commercial 2026-12-31T23:30:00-06:00  2027-01-31T05:59:59
    cutoff        commercial       2026-03-06T18:00:00-06:00  2026-03-09T22:00:00
    cutoff        commercial       2026-10-30T18:00:00-05:00  2026-11-02T23:00:00
    cutoff        commercial       2028-02-28T18:00:00-06:00  2028-02-29T23:00:00
    cutoff        commercial       2026-12-31T18:00:00-06:00  2027-01-04T23:00:00
"""
"""Of the notes' two last rows: half past two did not exist on 8 March, which is half past three by
the new time; half past one was twice on 1 November, and the first of them counts."""

ROWS = [line.split() for line in TABLE.strip().splitlines()]
ZONES = (
    "UTC", CHICAGO, "Asia/Kolkata", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Nowhere/Nothing"
)  # fmt: skip


def deadline(kind: str, policy: str, start: datetime) -> datetime | None:
    local_day: date = datetime.fromisoformat(start.isoformat()).date()
    limits = Deadlines(_BOOK.policy(policy, local_day), _CALENDAR, CHICAGO)
    inquiry, paid = limits.status_inquiry(start), limits.prompt_pay(start)
    return {
        "999": lambda: limits.acknowledgment_999(start).at,
        "277CA": lambda: limits.acknowledgment_277ca(start).at,
        "remittance": lambda: limits.remittance(start).at,
        "status": lambda: inquiry.at if inquiry else None,
        "statement": lambda: limits.statement(start).at,
        "note": lambda: limits.note(start).at,
        "attendance": lambda: attendance_deadline(start).at,
        "filing": lambda: limits.filing_limit(local_day).at,
        "appeal": lambda: limits.appeal_limit(local_day).at,
        "prompt_pay": lambda: paid.at if paid else None,
        "cutoff": lambda: _CALENDAR.next_cutoff(start, time(17), CHICAGO),
    }[kind]()


@pytest.mark.parametrize("zone", ZONES)
def test_deadlines_are_those_of_the_table_wherever_the_machine_believes_to_be(
    zone: str, record_property: Callable[[str, object], None]
) -> None:
    """Given in UTC, as they come out of the store, or as they were written: the same."""
    with machine_in(zone):
        found = [
            [kind, policy, start, f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"]
            for kind, policy, start, _ in ROWS
            if (at := deadline(kind, policy, datetime.fromisoformat(start))) is not None
        ]
        from_the_store = [
            deadline(kind, policy, datetime.fromisoformat(start).astimezone(UTC))
            for kind, policy, start, _ in ROWS
            if kind not in ("filing", "appeal")  # these count from a day, not from a moment
        ]
    record_property("tries", len(ROWS))
    assert found == ROWS
    assert [f"{at:%Y-%m-%dT%H:%M:%S}" for at in map(in_utc, from_the_store)] == [
        row[3] for row in ROWS if row[0] not in ("filing", "appeal")
    ]


def in_utc(at: datetime | None) -> datetime:
    assert at is not None
    return at.astimezone(UTC)


# --- the whole practice


async def every_moment(house: House) -> dict[str, list[str]]:
    """What the books say of time: each table's moments and days, row by row."""
    found: dict[str, list[str]] = {}
    async with house.database.reading() as reading:
        for table in metadata.sorted_tables:
            dated = [
                column
                for column in table.columns
                if isinstance(column.type, DateTime | TypeDecorator) or column.name.endswith("_on")
            ]
            if dated:
                rows = await reading.rows(select(*dated))
                found[table.name] = sorted(repr(tuple(row)) for row in rows)
    return found


def on_the_wire(house: House) -> list[str]:
    return [entry["body"] for entry in house.wire() if entry["channel"] in ("batch", "mailbox")]


async def test_a_practice_played_in_a_wrong_zone_is_the_same_to_the_second(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Every moment in the books and every byte that was exchanged, over the change to summer
    time."""
    played: list[tuple[dict[str, list[str]], list[str]]] = []
    zones = ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago")[: None if whole() else 2]
    for place, zone in enumerate(zones):
        folder = tmp_path / str(place)
        folder.mkdir()
        with machine_in(zone):
            async with House(folder) as house:
                await run_to_the_end(house)
                assert await differences(house) == []
                played.append((await every_moment(house), on_the_wire(house)))
    moments, wire = played[0]
    assert sum(len(rows) for rows in moments.values()) > 200
    assert len(wire) > 20
    record_property("tries", len(zones))
    assert played[1:] == [played[0]] * (len(zones) - 1)


class MachineClock:
    """The wall clock of the machine, as it reads while it is ``off`` by so much."""

    def __init__(self) -> None:
        self.true = START
        self.off = timedelta(0)

    def now(self, zone: Any) -> datetime:
        return (self.true + self.off).astimezone(zone)


class JumpingHouse(House):
    """A practice by the wall clock of a machine that jumps: each step sees it right, two hours
    ahead or two hours behind; timers ring by it too."""

    def __init__(self, folder: Path, machine_clock: MachineClock, jumps: tuple[int, ...]) -> None:
        super().__init__(folder)
        self.machine_clock = machine_clock
        self.jumps = cycle(timedelta(hours=hours) for hours in jumps)
        # Apart from the steps' own, so that no timer rings late for ever.
        self.timers = cycle(timedelta(hours=hours) for hours in sorted({0, *jumps}))
        self.seen: dict[timedelta, int] = {}

    async def __aenter__(self) -> JumpingHouse:
        await super().__aenter__()
        async with self.quietly() as tx:
            await tx.execute(text("DELETE FROM practice_clock"))
        return self

    async def perform(
        self, step: steps.Step[Any, Any], what: BaseModel, attempt: str = "1", **options: Any
    ) -> Any:
        self.machine_clock.off = next(self.jumps)
        self.seen[self.machine_clock.off] = self.seen.get(self.machine_clock.off, 0) + 1
        return await super().perform(step, what, attempt, **options)

    async def move_to(self, instant: datetime) -> None:
        assert not await self.clock.is_stored()
        self.machine_clock.true = max(instant, self.machine_clock.true)
        self.machine_clock.off = timedelta(0)
        self.payers_clock.advance(self.machine_clock.true)

    async def wake(self, now: datetime) -> None:
        await super().wake(now + next(self.timers))

    async def send(self, batch: steps.BatchRef) -> None:
        """By a clock that is behind a note may not be signed yet: its claim waits for the next
        batch."""
        if (await self.perform(steps.BUILD_BATCH, batch)).claims:
            await super().send(batch)
        else:
            await self.settle()


async def business_days_counted(house: House) -> list[str]:
    """Deadlines that count from a day of service or of a decision."""
    rows = await house.rows(text("SELECT claim_number, limit_at FROM denial"))
    return sorted(repr(tuple(row)) for row in rows)


@pytest.mark.parametrize("jumps", [(0, 2, -2), (2, -2)] if whole() else [(0, 2, -2)])
async def test_a_clock_that_jumps_by_two_hours_changes_no_outcome_and_no_limit(
    jumps: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    machine_clock = MachineClock()
    monkeypatch.setattr(clock, "datetime", machine_clock)
    outcomes = []
    for name, hours in (("calm", (0,)), ("jumping", jumps)):
        (tmp_path / name).mkdir()
        machine_clock.true, machine_clock.off = START, timedelta(0)
        async with JumpingHouse(tmp_path / name, machine_clock, hours) as house:
            await run_to_the_end(house)
            machine_clock.off = timedelta(0)
            assert await differences(house) == []
            taken = accepted_versions(house)
            outcomes.append((await business_days_counted(house), taken))
            seen = house.seen
    assert set(seen) == {timedelta(hours=hours) for hours in jumps}
    assert min(seen.values()) > 20
    calm, jumping = outcomes
    assert calm[0]
    record_property("tries", sum(seen.values()))
    record_property("lost", len(set(calm[1]) - set(jumping[1])))
    record_property("doubled", sum(n > 1 for of in jumping[1].values() for n in of.values()))
    assert jumping == calm
