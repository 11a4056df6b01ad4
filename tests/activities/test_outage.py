"""Nothing is tried on in silence for ever: after half an hour the record says what fails."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError

from activities import steps
from activities.eligibility import ASK_AGAIN
from groupclaim.clearinghouse.port import NotTaken, Unreachable
from groupclaim.lifecycle import events
from groupclaim.model.patient import CoverageCall
from groupclaim.store import practice
from tests.activities.house import START, House

MINUTES = timedelta(minutes=1)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, {"S1": ("P01", "P04")}) as made:
        yield made


@pytest.fixture
def cut_off(house: House, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Payers cannot be asked until this is undone."""

    async def unreachable(_: bytes) -> bytes:
        raise Unreachable("connect")

    monkeypatch.setattr(house.clearinghouse, "ask_eligibility", unreachable)
    return monkeypatch


async def ask(house: House, number: str, failing: timedelta) -> Any:
    step = steps.ClaimStep(claim_number=number, sequence=0)
    return await house.perform(steps.CHECK_ELIGIBILITY, step, failing=failing)


async def test_a_payer_that_cannot_be_reached_is_told_after_half_an_hour(
    house: House, cut_off: pytest.MonkeyPatch
) -> None:
    number = await house.claim_of("S1", "P01")
    for minutes in (0, 30):
        with pytest.raises(ApplicationError, match="eligibility"):
            await ask(house, number, minutes * MINUTES)
    checked = await ask(house, number, 31 * MINUTES)
    assert (checked.held.code, checked.held.releasable) == ("PAYER_UNREACHABLE", False)
    assert checked.due_at == START + ASK_AGAIN
    rows = await house.rows(text("SELECT rule, sentence FROM finding"))
    assert [row.rule for row in rows] == ["payer_unreachable"]
    assert "30 minutes" in rows[0].sentence


async def test_it_is_asked_again_by_itself_and_goes_on_once_it_answers(
    house: House, cut_off: pytest.MonkeyPatch
) -> None:
    number = await house.claim_of("S1", "P01")
    house.failing = 31 * MINUTES
    await house.happens(number)
    state = house.states[number]
    assert state.hold is not None
    assert state.due_at == START + ASK_AGAIN
    await house.move_to(state.due_at)
    await house.happens(number, events.DeadlinePassed(at=state.due_at))
    state = house.states[number]
    assert state.hold is not None, "still down: told once more, and asked again later"
    assert state.due_at == START + 2 * ASK_AGAIN
    alerts = await house.rows(text("SELECT detail FROM claim_event WHERE kind = 'alert'"))
    assert len(alerts) == 1
    cut_off.undo()
    house.failing = timedelta(0)
    await house.move_to(state.due_at)
    await house.happens(number, events.DeadlinePassed(at=state.due_at))
    assert house.states[number].hold is None
    assert house.states[number].stage == "attendance"


async def test_a_call_on_file_stands_in_for_the_answer_that_does_not_come(
    house: House, cut_off: pytest.MonkeyPatch
) -> None:
    number = await house.claim_of("S1", "P01")
    async with house.database.reading() as reading:
        facts = await practice.claim_facts(reading, number)
    assert facts.payer is not None
    call = CoverageCall.model_validate(
        {"patient": "P01", "payer": facts.payer.ref, "reference": "CALL-1", "person": "Someone",
         "called_at": START, "active": True, "authorization_required": "N",
         "from": facts.service_date, "to": facts.service_date}
    )  # fmt: skip
    async with house.database.transaction() as tx:
        await practice.record_coverage_call(tx, call)
    assert (await ask(house, number, 31 * MINUTES)).held is None
    async with house.database.reading() as reading:
        answer = (await practice.claim_facts(reading, number)).eligibility
    assert answer is not None
    assert answer.call == "CALL-1"


async def test_each_claim_of_a_batch_that_nobody_takes_says_so_once_a_day(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.open_sessions()
    await house.hand_in("S1")
    await house.move_to(datetime.fromisoformat("2026-02-04T17:00:00-06:00"))
    batch = await house.cut("1")
    assert batch is not None
    await house.perform(steps.BUILD_BATCH, batch)

    async def refused(name: str, content: bytes) -> Any:
        raise NotTaken("connect")

    monkeypatch.setattr(house.clearinghouse, "send_batch", refused)

    async def alerts(failing: timedelta) -> list[str]:
        with pytest.raises(ApplicationError, match="not taken"):
            await house.perform(steps.SEND_BATCH, batch, failing=failing)
        rows = await house.rows(text("SELECT claim_number FROM claim_event WHERE kind = 'alert'"))
        return sorted(row.claim_number for row in rows)

    both = sorted([await house.claim_of("S1", patient) for patient in ("P01", "P04")])
    assert await alerts(30 * MINUTES) == []
    assert await alerts(31 * MINUTES) == both
    assert await alerts(timedelta(hours=5)) == both
    assert await alerts(timedelta(days=1, hours=1)) == sorted(2 * both)
