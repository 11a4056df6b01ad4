"""Units of authorizations: never more than granted, whoever asks at once."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from groupclaim.model.intake import SessionFile
from groupclaim.model.patient import Authorization
from groupclaim.model.session import Attendance
from groupclaim.store import authorizations, claims, practice
from groupclaim.store.authorizations import Units
from groupclaim.store.claims import AttendanceEntry
from groupclaim.store.database import Database
from tests.store.world import World


def permit(units: int = 5, used: int = 0, **changes: Any) -> Authorization:
    values = {
        "patient": "P01",
        "payer": "first",
        "number": "AUTH1",
        "codes": ("90853",),
        "units": units,
        "used": used,
        "from": date(2026, 1, 1),
        "to": date(2026, 12, 31),
    }
    return Authorization.model_validate(values | changes)


async def series(database: Database, count: int, now: datetime) -> list[str]:
    """The claims of one patient in ``count`` weekly sessions, with a second patient each time."""
    sessions = [
        {
            "ref": f"weekly {week}",
            "location": "austin",
            "clinician": "C1",
            "starts_at": (now + timedelta(days=7 * week)).isoformat(),
            "ends_at": (now + timedelta(days=7 * week, hours=1)).isoformat(),
            "mode": "in_person",
            "topic": "Weekly",
            "roster": ["P01", "P02"],
        }
        for week in range(count)
    ]
    async with database.transaction() as tx:
        added = await practice.add_sessions(tx, SessionFile.model_validate(sessions).root, now)
        patient = tx.keyring.patient_id("P01")
        return [await claims.claim_of(tx, item.session_id, patient) for item in added]


async def put_on_file(database: Database, given: Authorization) -> None:
    async with database.transaction() as tx:
        await practice.record_authorization(tx, given)


async def reserve(database: Database, number: str, given: Authorization, now: datetime) -> bool:
    async with database.transaction() as tx:
        return await authorizations.reserve(tx, number, given, now)


async def units(database: Database, given: Authorization) -> Units:
    async with database.reading() as reading:
        return await authorizations.units(reading, given)


async def test_twenty_at_once_take_five_units(
    world: World, database: Database, now: datetime
) -> None:
    given = permit(units=7, used=2)
    await put_on_file(database, given)
    numbers = await series(database, 20, now)
    taken = await asyncio.gather(*(reserve(database, item, given, now) for item in numbers))
    assert sum(taken) == 5
    assert await units(database, given) == Units(7, 2, reserved=5, committed=0, consumed=0)


async def test_twenty_workers_in_all_states_never_exceed_what_is_granted(
    world: World, database: Database, now: datetime
) -> None:
    given = permit()
    await put_on_file(database, given)
    numbers = await series(database, 20, now)

    async def live(place: int, number: str) -> None:
        for _ in range(2):
            if not await reserve(database, number, given, now):
                continue
            async with database.transaction() as tx:
                await authorizations.commit(tx, number, now)
            async with database.transaction() as tx:
                if place % 2:
                    await authorizations.release(tx, number, now)
                else:
                    await authorizations.consume(tx, number, now)
            held = await units(database, given)
            assert held.left >= 0

    await asyncio.gather(*(live(place, number) for place, number in enumerate(numbers)))
    held = await units(database, given)
    assert held.consumed + held.committed + held.reserved <= 5
    assert held.left == 5 - held.consumed


async def test_the_way_of_one_unit(world: World, database: Database, now: datetime) -> None:
    given = permit()
    await put_on_file(database, given)
    (number,) = await series(database, 1, now)
    assert await reserve(database, number, given, now)
    assert await reserve(database, number, given, now)
    assert (await units(database, given)).reserved == 1
    async with database.transaction() as tx:
        assert await authorizations.commit(tx, number, now)
        assert not await authorizations.commit(tx, number, now)
        assert await authorizations.consume(tx, number, now)
        assert not await authorizations.consume(tx, number, now)
        assert not await authorizations.release(tx, number, now)
    assert (await units(database, given)).consumed == 1
    async with database.transaction() as tx:
        assert await authorizations.release(tx, number, now, consumed=True)
    assert (await units(database, given)).left == 5


async def test_a_payer_that_takes_its_denial_back_gets_the_unit_if_one_is_left(
    world: World, database: Database, now: datetime
) -> None:
    given = permit(units=1)
    await put_on_file(database, given)
    first, second = await series(database, 2, now)
    assert await reserve(database, first, given, now)
    async with database.transaction() as tx:
        await authorizations.release(tx, first, now, consumed=True)
        assert await authorizations.consume(tx, first, now)
        await authorizations.release(tx, first, now, consumed=True)
    assert await reserve(database, second, given, now)
    async with database.transaction() as tx:
        assert not await authorizations.consume(tx, first, now)
    assert (await units(database, given)).left == 0


async def test_without_an_authorization_nothing_moves(
    world: World, database: Database, now: datetime
) -> None:
    (number,) = await series(database, 1, now)
    assert not await reserve(database, number, permit(), now)
    async with database.transaction() as tx:
        assert not await authorizations.commit(tx, number, now)
        assert not await authorizations.consume(tx, number, now)
        assert not await authorizations.release(tx, number, now)


async def test_another_authorization_frees_the_unit_of_the_first(
    world: World, database: Database, now: datetime
) -> None:
    old, new = permit(), permit(number="AUTH2")
    await put_on_file(database, old)
    await put_on_file(database, new)
    (number,) = await series(database, 1, now)
    assert await reserve(database, number, old, now)
    assert await reserve(database, number, new, now)
    assert (await units(database, old)).left == 5
    assert (await units(database, new)).reserved == 1


async def test_a_claim_sees_what_others_hold_and_not_its_own(
    world: World, database: Database, now: datetime
) -> None:
    given = permit(used=1)
    await put_on_file(database, given)
    first, second = await series(database, 2, now)
    await reserve(database, first, given, now)
    async with database.reading() as reading:
        own = (await practice.claim_facts(reading, first)).authorizations
        other = (await practice.claim_facts(reading, second)).authorizations
    assert ([item.used for item in own], [item.used for item in other]) == ([1], [2])


async def test_units_taken_back_by_the_payer_leave_none(
    world: World, database: Database, now: datetime
) -> None:
    given = permit()
    await put_on_file(database, given)
    first, second = await series(database, 2, now)
    await reserve(database, first, given, now)
    fewer = permit(units=1, used=1)
    await put_on_file(database, fewer)
    assert not await reserve(database, second, fewer, now)
    async with database.reading() as reading:
        facts = await practice.claim_facts(reading, second)
    assert facts.authorizations[0].used == facts.authorizations[0].units == 1


# --- with the room


async def attend(database: Database, number: str, status: Attendance, now: datetime) -> None:
    async with database.transaction() as tx:
        facts = await practice.claim_facts(tx, number)
        own, other = (tx.keyring.patient_id(ref) for ref in ("P01", "P02"))
        minutes = 60 if status is Attendance.ATTENDED else 0
        entries = [
            AttendanceEntry(own, status, minutes),
            AttendanceEntry(other, Attendance.ATTENDED, 60),
        ]
        await claims.record_attendance(tx, facts.session_id, entries, now)


@pytest.mark.parametrize("status", [Attendance.NO_SHOW, Attendance.EXCUSED])
async def test_who_did_not_come_uses_no_unit(
    world: World, database: Database, now: datetime, status: Attendance
) -> None:
    given = permit()
    await put_on_file(database, given)
    (number,) = await series(database, 1, now)
    await reserve(database, number, given, now)
    await attend(database, number, status, now)
    assert (await units(database, given)).left == 5


async def test_attendance_commits_and_its_correction_releases(
    world: World, database: Database, now: datetime
) -> None:
    given = permit()
    await put_on_file(database, given)
    (number,) = await series(database, 1, now)
    await reserve(database, number, given, now)
    await attend(database, number, Attendance.ATTENDED, now)
    assert (await units(database, given)).committed == 1
    await attend(database, number, Attendance.NO_SHOW, now)
    assert (await units(database, given)).left == 5
    await attend(database, number, Attendance.ATTENDED, now)
    assert await reserve(database, number, given, now)
    assert (await units(database, given)).committed == 1


async def test_who_is_taken_off_the_roster_uses_no_unit(
    world: World, database: Database, now: datetime
) -> None:
    given = permit()
    await put_on_file(database, given)
    (number,) = await series(database, 1, now)
    await reserve(database, number, given, now)
    async with database.transaction() as tx:
        facts = await practice.claim_facts(tx, number)
        await claims.amend_roster(tx, facts.session_id, [], [tx.keyring.patient_id("P01")], now)
    assert (await units(database, given)).left == 5


async def test_what_a_forecast_looks_at(world: World, database: Database, now: datetime) -> None:
    given = permit()
    await put_on_file(database, given)
    first, *_ = await series(database, 3, now)
    await reserve(database, first, given, now)
    async with database.reading() as reading:
        standing = await authorizations.standings(reading, date(2026, 2, 3))
        mine = next(item for item in standing if item.permit.number == "AUTH1")
        assert mine.units.left == 4
        assert [day.isoformat() for day in mine.scheduled][-2:] == ["2026-02-10", "2026-02-17"]
        assert mine.last_day == date(2026, 2, 17)
        assert not await authorizations.standings(reading, date(2027, 1, 1))
