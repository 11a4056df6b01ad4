"""A payer never decides, or was never asked in time: what is lost is given up, by who may and after
its time, for good."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from activities import steps
from groupclaim.lifecycle.events import AttendanceRecorded, PatientPaid, WrittenOff
from groupclaim.lifecycle.state import Hold, Stage, Step
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.model.session import Attendance
from groupclaim.store import audit, ledger, practice
from groupclaim.store.schema import transfer
from tests.activities.house import SAMPLES, House
from tests.activities.test_inbound import arrives, only_batch, x277ca

CHARGE = 6000
COPAY = 1500
"""P06 gave it at the session."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Two claims have been sent, and nothing is heard of them."""
    async with House(tmp_path, {"S1": ("P01", "P06")}) as made:
        await made.until_sent()
        await made.settle()
        yield made


async def give_up(house: House, number: str, **changes: Any) -> steps.DecisionRecorded:
    given = {
        "claim_number": number, "version": 1, "by": "front-desk", "request": "click-1",
        "reason": "three calls, no answer",
    }  # fmt: skip
    what = steps.ClaimWriteOff.model_validate(given | changes)
    done: steps.DecisionRecorded = await house.perform(steps.RECORD_WRITE_OFF, what)
    return done


async def left(house: House, number: str) -> ledger.Balance:
    async with house.database.reading() as reading:
        return await ledger.balance(reading, number)


async def decisions(house: House, number: str) -> list[tuple[str, object]]:
    async with house.database.reading() as reading:
        return [
            (entry.actor, entry.detail["cents"])
            for entry in await audit.entries(reading, number)
            if entry.action == "write_off_claim"
        ]


async def pass_days(house: House, days: int) -> None:
    await house.move_to(await house.clock.now() + timedelta(days=days))


async def test_it_is_given_up_once_and_the_patient_owes_nothing(house: House) -> None:
    number = await house.claim_of("S1", "P01")
    assert house.states[number].stage is Stage.SUBMITTED
    # The policies of the samples give a payer 30 days from when it has the claim.
    await pass_days(house, 29)
    early = await give_up(house, number)
    assert "its payer may still decide until" in (early.refused or "")
    await pass_days(house, 2)
    stranger = await give_up(house, number, by="T. Poe")
    assert "is nobody who has been let in" in (stranger.refused or "")
    assert (await left(house, number)).payer_open == CHARGE
    for _ in range(2):
        done = await give_up(house, number)
        assert done.refused is None
    assert await decisions(house, number) == [("front-desk", CHARGE)]
    late = await give_up(house, number, by="R. Lee", request="click-2")
    assert late.refused == "nothing is open with its payer"
    await house.happens(number, WrittenOff(at=done.at, key="write_off:click-1"))
    assert house.states[number].ended
    assert house.states[number].stage is Stage.CLOSED
    after = await left(house, number)
    assert (after.payer_open, after.patient_open) == (0, 0)
    async with house.database.reading() as reading:
        assert await ledger.verify(reading) == ()


async def test_what_the_patient_has_given_goes_back(house: House) -> None:
    number = await house.claim_of("S1", "P06")
    await pass_days(house, 31)
    done = await give_up(house, number)
    assert done.refused is None
    await house.happens(number, WrittenOff(at=done.at, key="write_off:click-1"))
    state = house.states[number]
    assert state.hold is not None
    assert state.hold.code == "REFUND_DUE"
    after = await left(house, number)
    assert (after.payer_open, after.patient_open) == (0, -COPAY)


# --- what was never sent


@pytest.fixture
async def late(tmp_path: Path) -> AsyncIterator[House]:
    """Both sessions' papers come in when the filing limits have passed: a year and more."""
    async with House(tmp_path, {"S1": ("P01", "P06")}) as made:
        await made.open_sessions()
        await pass_days(made, 400)
        await made.hand_in()
        await made.settle()
        yield made


async def no_transfers(house: House, number: str) -> None:
    rows = await house.rows(
        select(transfer.c.kind).where(transfer.c.claim_number == number, transfer.c.kind != "copay")
    )
    assert rows == []


async def standing(house: House, number: str) -> tuple[str, str]:
    query = text("SELECT standing, reason FROM participant_standing WHERE claim_number = :number")
    (row,) = await house.rows(query.bindparams(number=number))
    return row.standing, row.reason


def told(done: steps.DecisionRecorded) -> WrittenOff:
    assert done.refused is None
    return WrittenOff(at=done.at, key="write_off:click-1", unsent=done.unsent)


async def test_what_was_never_sent_is_given_up_once_its_filing_limit_has_passed(
    late: House,
) -> None:
    number = await late.claim_of("S1", "P01")
    hold = late.states[number].hold
    assert hold is not None
    assert hold.code == "TIMELY_FILING"
    stranger = await give_up(late, number, version=0, by="T. Poe")
    assert "is nobody who has been let in" in (stranger.refused or "")
    assert await standing(late, number) == ("held", "TIMELY_FILING")
    for _ in range(2):
        done = await give_up(late, number, version=0)
        assert done.unsent
    assert await decisions(late, number) == [("front-desk", CHARGE)]
    await late.happens(number, told(done))
    state = late.states[number]
    assert (state.ended, state.stage, state.reason) == (True, Stage.NOT_BILLABLE, "TIMELY_FILING")
    assert await standing(late, number) == ("not_billable", "TIMELY_FILING")
    # Nothing was charged to anybody, so that nothing is owed: the patient gets no bill of it.
    await no_transfers(late, number)
    after = await left(late, number)
    assert (after.charge, after.payer_open, after.patient_open) == (0, 0, 0)
    # Attendance that is recorded again, in other minutes, does not take it up again.
    again = AttendanceRecorded(at=done.at, key="again", attendance=Attendance.ATTENDED)
    await late.happens(number, again)
    assert late.states[number].ended
    # Another click finds nothing that is held.
    second = await give_up(late, number, version=0, request="click-2")
    assert second.refused == "nothing is open with its payer"


async def test_a_copay_for_what_was_never_sent_goes_back(late: House) -> None:
    number = await late.claim_of("S1", "P06")
    await late.happens(number, told(await give_up(late, number, version=0)))
    state = late.states[number]
    assert state.hold is not None
    assert (state.stage, state.hold.code) == (Stage.NOT_BILLABLE, "REFUND_DUE")
    assert (await left(late, number)).patient_open == -COPAY
    async with late.database.transaction() as tx:
        await ledger.book_patient_refund(tx, number, Cents(COPAY), "R1", told_at(late, number))
    await late.happens(number, PatientPaid(at=told_at(late, number), key="R1"))
    assert late.states[number].ended


def told_at(house: House, number: str) -> datetime:
    since = house.states[number].since
    assert since is not None
    return since


@pytest.mark.parametrize(
    ("by", "second", "refused"),
    [
        ("front-desk", None, "a write-off of 60.00"),
        ("R. Lee", None, "second"),
        ("R. Lee", "R. Lee", "second"),
        ("R. Lee", "S. Kim", None),
    ],
)
async def test_the_limits_are_those_of_any_write_off(
    late: House, by: str, second: str | None, refused: str | None
) -> None:
    """A biller up to 50.00, a supervisor alone up to 55.00: a session costs 60.00."""
    data = json.loads((SAMPLES / "practice.json").read_text())
    data["practice"]["approvals"] = [
        {
            "decision": "write_off", "roles": {"biller": 5000, "supervisor": "any"},
            "second_above": 5500, "from": "2026-01-01", "to": None,
        }
    ]  # fmt: skip
    async with late.database.transaction() as tx:
        await practice.load_practice(tx, PracticeFile.model_validate_json(json.dumps(data)))
    number = await late.claim_of("S1", "P01")
    done = await give_up(late, number, version=0, by=by, second=second)
    if refused is None:
        assert (done.refused, done.unsent) == (None, True)
    else:
        assert refused in (done.refused or "")
        assert await decisions(late, number) == []


async def test_what_may_still_be_sent_is_not_given_up(tmp_path: Path) -> None:
    """Held for its note. Its payer takes claims for a year; the day after, it is given up."""
    async with House(tmp_path, {"S1": ("P01", "P06")}) as house:
        await house.open_sessions()
        (came,) = [item for item in house.happenings() if item["kind"] == "attendance"]
        await house.move_to(datetime.fromisoformat(came["at"]))
        await house.from_outside(came)
        number = await house.claim_of("S1", "P01")
        hold = house.states[number].hold
        assert hold is not None
        assert hold.code == "NOTE_UNSIGNED"
        early = await give_up(house, number, version=0)
        assert "it may still be sent until 2027-02-03" in (early.refused or "")
        assert await decisions(house, number) == []
        # 3 February 2026 and a calendar year (42 CFR 424.44).
        await house.move_to(datetime.fromisoformat("2027-02-04T00:00:01-06:00"))
        await house.happens(number, told(await give_up(house, number, version=0)))
        assert await standing(house, number) == ("not_billable", "TIMELY_FILING")


async def test_what_was_rejected_and_came_too_late_again_is_charged_no_longer(
    house: House,
) -> None:
    number = await house.claim_of("S1", "P01")
    rejection = x277ca(await only_batch(house), accepted=False)
    await house.perform(steps.ROUTE_ACKNOWLEDGMENTS, await arrives(house, rejection))
    await house.settle()
    hold = house.states[number].hold
    assert hold is not None
    assert hold.code == "REJECTED"
    assert (await left(house, number)).payer_open == CHARGE
    early = await give_up(house, number)
    assert "it may still be sent until" in (early.refused or "")
    await pass_days(house, 400)
    done = await give_up(house, number)
    assert await decisions(house, number) == [("front-desk", CHARGE)]
    await house.happens(number, told(done))
    assert await standing(house, number) == ("not_billable", "TIMELY_FILING")
    after = await left(house, number)
    assert (after.charge, after.payer_open, after.patient_open) == (0, 0, 0)
    async with house.database.reading() as reading:
        assert await ledger.verify(reading) == ()


async def test_what_its_payer_took_and_then_did_not_know_is_written_off_as_billed(
    house: House,
) -> None:
    """Not on file, so it was to be sent anew, and that was too late: it stands as accepted."""
    number = await house.claim_of("S1", "P01")
    await pass_days(house, 400)
    now = await house.clock.now()
    held = house.states[number].model_copy(
        update={
            "stage": Stage.CLAIM_BUILD,
            "hold": Hold(
                code="TIMELY_FILING", redo=Step.BUILD_CLAIM, since=now, releasable=True,
                two_people=True,
            ),
            "sequence": house.states[number].sequence + 1,
        }
    )  # fmt: skip
    house.states[number] = held
    await house.perform(steps.RECORD_PROGRESS, steps.ClaimProgress(state=held))
    done = await give_up(house, number)
    assert not done.unsent
    await house.happens(number, told(done))
    assert house.states[number].stage is Stage.CLOSED
    assert (await standing(house, number))[0] == "billed"
    after = await left(house, number)
    assert (after.charge, after.payer_open, after.patient_open) == (CHARGE, 0, 0)
