"""A patient who pays alone: no payer hears of them, they owe the fee of what they attended."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pypdf
import pytest

from activities import steps
from activities.patient_papers import PatientPapers
from groupclaim.lifecycle import events
from groupclaim.lifecycle.state import Stage
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.store import claims, ledger, practice, work
from groupclaim.store.schema import fee
from tests.activities.house import KEYRING, SAMPLES, House

SESSIONS = json.loads((SAMPLES / "sessions.json").read_text())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """P06 has coverage and has asked that it is not used; they have paid 15.00 so far."""
    async with House(tmp_path, {"S1": ("P01", "P06")}) as made:
        data = json.loads((SAMPLES / "practice.json").read_text())
        for patient in data["patients"]:
            patient["self_pay"] = patient["ref"] == "P06"
        async with made.quietly() as tx:
            await practice.load_practice(tx, PracticeFile.model_validate_json(json.dumps(data)))
        await made.open_sessions()
        for item in made.happenings():
            if item["kind"] == "attendance":
                await made.move_to(datetime.fromisoformat(item["at"]))
                await made.from_outside(item)
        yield made


async def _left(house: House, number: str) -> ledger.Balance:
    async with house.database.reading() as reading:
        assert await ledger.verify(reading) == ()
        return await ledger.balance(reading, number)


async def test_they_owe_the_fee_less_what_they_have_paid(house: House) -> None:
    number = await house.claim_of("S1", "P06")
    state = house.states[number]
    assert (state.stage, state.payer, state.version) == (Stage.PATIENT_BALANCE, 0, 0)
    left = await _left(house, number)
    assert (left.charge, left.payer_open, left.patient_open) == (6000, 0, 4500)
    asked = [item for item in house.wire() if b"P06" in json.dumps(item).encode()]
    assert asked == []
    questions = [item for item in house.wire() if item.get("path", "").startswith("/eligibility")]
    assert len(questions) <= 1  # P01's alone
    paper = await PatientPapers(house.database).statement("P06", "R. Lee")
    text = pypdf.PdfReader(io.BytesIO(paper.pdf)).pages[0].extract_text()
    assert "$60.00" in text
    assert "You owe" in text
    assert "$45.00" in text
    assert "good-faith estimate" in " ".join(text.split())
    async with house.quietly() as tx:
        now = await house.clock.now()
        await ledger.book_patient_payment(tx, number, Cents(4500), "R1", now)
    await house.happens(number, events.PatientPaid(at=now, key="R1"))
    state = house.states[number]
    assert (state.stage, state.reason) == (Stage.NOT_BILLABLE, "SELF_PAY")
    assert state.ended
    assert (await _left(house, number)).patient_open == 0
    paper = await PatientPapers(house.database).statement("P06", "R. Lee")
    text = pypdf.PdfReader(io.BytesIO(paper.pdf)).pages[0].extract_text()
    assert "Nothing is due." in text
    assert "insurance" not in text.split("Questions")[0]


async def test_a_corrected_attendance_takes_the_fee_back(house: House) -> None:
    number = await house.claim_of("S1", "P06")
    await house.perform(
        steps.RECORD_ATTENDANCE,
        steps.RecordAttendance.model_validate(
            {
                "session_id": house.sessions["S1"],
                "by": "front-desk",
                "entries": [
                    {"patient_id": KEYRING.patient_id("P01"), "status": "attended", "minutes": 60},
                    {
                        "patient_id": KEYRING.patient_id("P06"),
                        "status": "no_show",
                        "minutes": 0,
                        "copay_cents": 1500,
                    },
                ],
            }
        ),
    )
    await house.settle()
    state = house.states[number]
    assert (state.stage, state.reason) == (Stage.NOT_BILLABLE, "NO_SHOW")
    assert state.hold is not None
    assert state.hold.code == "REFUND_DUE"
    left = await _left(house, number)
    assert (left.charge, left.patient_open) == (0, -1500)


async def test_without_a_fee_a_person_is_asked(house: House) -> None:
    number = await house.claim_of("S1", "P06")
    async with house.quietly() as tx:
        await tx.execute(fee.delete())
    step = steps.ClaimStep(claim_number=number, sequence=9)
    checked = await house.perform(steps.CHECK_ELIGIBILITY, step)
    assert checked.held is not None
    assert checked.held.code == "NO_FEE"


async def test_an_estimate_is_due_until_it_is_written(tmp_path: Path) -> None:
    """Scheduled on Monday 2 February for Monday the 9th, five business days ahead: due within one
    business day, by midnight of the 3rd where the practice is."""
    async with House(tmp_path, {"S3": ("P17", "P23")}) as house:
        data = json.loads((SAMPLES / "practice.json").read_text())
        for patient in data["patients"]:
            patient["self_pay"] = patient["ref"] == "P17"
        async with house.quietly() as tx:
            await practice.load_practice(tx, PracticeFile.model_validate_json(json.dumps(data)))
        await house.open_sessions()
        number = await house.claim_of("S3", "P17")
        (item,) = await _estimates(house)
        assert (item.claim_number, item.queue) == (number, "front desk")
        assert item.due_at is not None
        zone = item.due_at.astimezone(ZoneInfo("America/Chicago"))
        assert zone.isoformat() == "2026-02-03T23:59:59-06:00"
        assert await _told_of_estimate(house, number) == []
        # It is eight on Monday: the next alert is on Tuesday, the last day, at eight; then its end.
        for due, told in (("2026-02-03T08:00:00-06:00", 1), ("2026-02-03T23:59:59-06:00", 2)):
            moment = house.states[number].due_at
            assert moment is not None
            assert moment == datetime.fromisoformat(due)
            await house.move_to(moment)
            await house.happens(number, events.DeadlinePassed(at=moment))
            assert len(await _told_of_estimate(house, number)) == told
        # Expired, it is on the list; the claim waits for its session of the 9th.
        left = house.states[number].due_at
        assert left is not None
        assert left.date() == date(2026, 2, 10)
        step = steps.ClaimStep(claim_number=number, sequence=0)
        await house.move_to(await house.clock.now() + timedelta(days=3))
        await house.perform(steps.CHECK_ELIGIBILITY, step)
        assert await _estimates(house) == (item,), "expired, it stays, with its day"
        (session,) = (one for one in SESSIONS if one["ref"] == "S3")
        await PatientPapers(house.database).estimate(
            "P17", session["clinician"], session["location"], date(2026, 2, 9), 10,
            date(2026, 2, 2), "scheduled", "R. Lee",
        )  # fmt: skip
        assert await _estimates(house) == ()
        await house.perform(steps.CHECK_ELIGIBILITY, step)
        assert await _estimates(house) == ()


async def _estimates(house: House) -> tuple[work.WorkItem, ...]:
    async with house.database.reading() as reading:
        found = work.Wanted(code="ESTIMATE_DUE")
        return await work.items(reading, found, await house.clock.now())


async def test_nobody_is_told_of_an_estimate_that_is_written(tmp_path: Path) -> None:
    async with House(tmp_path, {"S3": ("P17", "P23")}) as house:
        data = json.loads((SAMPLES / "practice.json").read_text())
        for patient in data["patients"]:
            patient["self_pay"] = patient["ref"] == "P17"
        async with house.quietly() as tx:
            await practice.load_practice(tx, PracticeFile.model_validate_json(json.dumps(data)))
        await house.open_sessions()
        number = await house.claim_of("S3", "P17")
        (session,) = (one for one in SESSIONS if one["ref"] == "S3")
        await PatientPapers(house.database).estimate(
            "P17", session["clinician"], session["location"], date(2026, 2, 9), 10,
            date(2026, 2, 2), "scheduled", "R. Lee",
        )  # fmt: skip
        moment = house.states[number].due_at
        assert moment == datetime.fromisoformat("2026-02-03T08:00:00-06:00")
        await house.move_to(moment)
        await house.happens(number, events.DeadlinePassed(at=moment))
        assert await _told_of_estimate(house, number) == []
        later = house.states[number].due_at
        assert later is not None
        assert later.date() == date(2026, 2, 10)


async def _told_of_estimate(house: House, number: str) -> list[datetime]:
    async with house.database.reading() as reading:
        happened = await claims.timeline(reading, number)
    assert all(one.detail.get("deadline") for one in happened if one.kind == "alert")
    return [one.at for one in happened if one.kind == "alert"]
