"""A claim turns out not to be true while its denial or its payment is still argued about.

Nobody appeals for it, or asks for more money, any more; what a payer has been asked already, a
person withdraws. P04 (Texas Medicaid) is denied 60.00 on 20 February. P05 and P06 (Placebo, by
contract 28.15) were paid 22.10 that day: 6.05 short each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from activities import steps
from groupclaim.lifecycle.state import Stage
from groupclaim.store import denials, disputes, voids, work
from groupclaim.store.schema import transfer
from tests.activities import test_voids as taken
from tests.activities.house import House
from tests.activities.test_denial import choose, denied, letters, plan, ref_of, sent_on, to_do
from tests.activities.test_dispute import ROSTER as DISPUTED
from tests.activities.test_dispute import all_cases, decide, look, remitted, short
from tests.activities.test_remittance import arrives, paid, x835


@pytest.fixture
async def appealing(tmp_path: Path) -> AsyncIterator[House]:
    async with sent_on(tmp_path) as made:
        yield made


@pytest.fixture
async def disputing(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, DISPUTED) as made:
        await made.until_sent()
        yield made


async def to_withdraw(house: House) -> list[work.WorkItem]:
    """What people are asked to withdraw, as the list shows it."""
    async with house.database.reading() as reading:
        found = await work.items(reading, work.Wanted(), await house.clock.now())
    return [item for item in found if item.kind == "withdrawal"]


async def found_out(house: House, patient: str, how: str) -> None:
    """It becomes known that nothing can be billed for ``patient``."""
    if how == "absent":
        await taken._correct(house, **{patient: "no_show"})
        return
    desk = taken._desk(house)
    await house.acts(desk.withdraw_note, "S1", patient, "of another patient", "C. Clinician")
    await house.settle()


async def outcome(house: House, number: str) -> str | None:
    async with house.database.reading() as reading:
        return (await denials.read_denial(reading, number, 1)).outcome


REASONS = {"absent": "NO_SHOW", "note": "NOTE_WITHDRAWN"}


@pytest.mark.parametrize("how", REASONS)
async def test_an_approved_letter_does_not_leave(appealing: House, how: str) -> None:
    house = appealing
    (number,) = await denied(house, "50", "P04")
    await plan(house, number)
    await house.perform(steps.DRAFT_LETTER, await ref_of(number))
    await plan(house, number)
    await choose(house, number, "approve")
    assert (await plan(house, number)).next == "send"
    await found_out(house, "P04", how)
    # Denied, so the payer has nothing of it: no void. The step was on its way already.
    assert taken._stands(house, number) == ("not_billable", None, REASONS[how])
    await house.perform(steps.SEND_LETTER, await ref_of(number))
    assert not list((house._folder / "letters").iterdir())
    assert [one.state for one in await letters(house, number)] == ["approved"]
    assert (await plan(house, number, news=1)).next == "conclude"
    assert await outcome(house, number) == "superseded"
    assert await to_do(house) == []
    assert await to_withdraw(house) == []
    await choose(house, number, "write_off")  # somebody's late click gives nothing up
    assert await taken._books(house, number) == {}


@pytest.mark.parametrize("how", REASONS)
async def test_a_letter_that_the_payer_has_is_withdrawn_by_a_person(
    appealing: House, how: str
) -> None:
    house = appealing
    (number,) = await denied(house, "50", "P04")
    await plan(house, number)
    await house.perform(steps.DRAFT_LETTER, await ref_of(number))
    await choose(house, number, "approve")
    await house.perform(steps.SEND_LETTER, await ref_of(number))
    await choose(house, number, "record_receipt", reference="TRACK 1")
    await plan(house, number)
    await found_out(house, "P04", how)
    assert taken._stands(house, number) == ("not_billable", None, REASONS[how])
    assert (await plan(house, number, news=1)).next == "conclude"
    assert await to_do(house) == []
    (item,) = await to_withdraw(house)
    assert (item.code, item.queue, item.cents, item.claim_number) == (
        "APPEAL_WITHDRAWN", "biller", 6000, number,
    )  # fmt: skip
    now = await house.clock.now()
    assert item.due_at is not None
    assert (item.due_at - now).days == 7
    async with house.quietly() as tx:
        (said,) = await work.comments(tx, item.id)
        assert "receipt TRACK 1" in said.text
        await work.resolve(tx, item.id, "A. Biller", item.revision, now)
    # The payer is late: it grants the appeal and pays. That is an overpayment from that day on.
    again = paid(number, 2520, ("CO", "45", 3480))
    await house.take_in(await arrives(house, x835(again, trace="T9")))
    await house.settle()
    code = "ATTENDANCE_CHANGED" if how == "absent" else "DOCUMENTATION_CHANGED"
    assert taken._stands(house, number) == ("void", code, REASONS[how])
    assert await taken._overpayments(house, number) == [(2520, REASONS[how], None)]
    assert await to_withdraw(house) == []  # told once


async def told_dispute(house: House, *patients: str) -> tuple[disputes.Case, list[str]]:
    """The payer has been told that these claims were paid 6.05 short."""
    numbers = [await house.claim_of("S1", patient) for patient in patients]
    await remitted(house, "T1", *(short(number) for number in numbers))
    (case,) = await all_cases(house)
    await look(house, case.id)
    await decide(house, case.id, "approve")
    (case,) = await all_cases(house)
    assert (case.state, case.outstanding) == ("told", 605 * len(patients))
    return case, numbers


async def test_a_dispute_of_that_claim_alone_ends_and_the_payer_is_told(disputing: House) -> None:
    house = disputing
    case, (number,) = await told_dispute(house, "P05")
    await found_out(house, "P05", "absent")
    assert taken._stands(house, number) == ("void", "ATTENDANCE_CHANGED", "NO_SHOW")
    (ended,) = await all_cases(house)
    assert (ended.state, ended.outcome, ended.lines) == ("closed", "withdrawn", 0)
    (item,) = await to_withdraw(house)
    assert (item.code, item.cents, item.due_at is not None) == ("DISPUTE_WITHDRAWN", 605, True)
    async with house.database.reading() as reading:
        # What the letter said stays on file.
        (line,) = await disputes.case_lines(reading, case.id)
        assert await disputes.at_stake(reading, number) == 0
        (owed,) = await voids.overpayments(reading)
    assert (line.difference, line.withdrawn_at is not None) == (605, True)
    assert owed.cents == 2210  # the whole of what was paid goes back


async def test_of_a_dispute_of_two_claims_the_other_goes_on_and_one_true_after_all_too(
    disputing: House,
) -> None:
    house = disputing
    case, (number, other) = await told_dispute(house, "P05", "P06")
    await found_out(house, "P05", "absent")
    (smaller,) = await all_cases(house)
    assert (smaller.state, smaller.claims, smaller.outstanding) == ("told", 1, 605)
    assert [item.claim_number for item in await to_withdraw(house)] == [number]
    assert house.states[other].stage is Stage.UNDERPAYMENT_REVIEW
    await taken._correct(house)  # P05 was there after all, and the payer has heard nothing yet
    assert house.states[number].stage is Stage.UNDERPAYMENT_REVIEW
    (whole,) = await all_cases(house)
    assert (whole.id, whole.state, whole.claims, whole.outstanding) == (case.id, "told", 2, 1210)
    assert await to_withdraw(house) == []


async def test_of_a_dispute_that_nobody_was_told_of_nothing_is_left(disputing: House) -> None:
    house = disputing
    number = await house.claim_of("S1", "P05")
    await remitted(house, "T1", short(number))
    await found_out(house, "P05", "note")
    (ended,) = await all_cases(house)
    assert (ended.state, ended.outcome, ended.lines) == ("closed", "withdrawn", 0)
    assert await to_withdraw(house) == []
    async with house.database.reading() as reading:
        assert await disputes.case_lines(reading, ended.id) == ()


async def test_an_overpayment_told_of_is_not_paid_back_twice(disputing: House) -> None:
    """42.50 for 28.15: 14.35 too much, told. Then all 42.50 are: closing the dispute as refunded
    books nothing of the claim's, whose whole money goes back by its void."""
    house = disputing
    number = await house.claim_of("S1", "P05")
    other = await house.claim_of("S1", "P06")
    much = [paid(one, 4250, ("CO", "45", 1750)) for one in (number, other)]
    await remitted(house, "T1", *much)
    (case,) = await all_cases(house)
    await look(house, case.id)
    await decide(house, case.id, "approve")
    await found_out(house, "P05", "absent")
    await decide(house, case.id, "close", "refunded")
    refunds = select(transfer).where(transfer.c.kind == "payer_refund")
    assert {(row.claim_number, row.cents) for row in await house.rows(refunds)} == {(other, 1435)}
    assert await taken._overpayments(house, number) == [(4250, "NO_SHOW", None)]
