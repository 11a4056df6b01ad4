"""Disputes: what payers got wrong is gathered by pattern, told, corrected, refunded or given up.

Charge 60.00; the contract of P05 and P06 gives 28.15. All 835s are of 2026-02-20.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pypdf
import pytest
from sqlalchemy import delete, select, text

from activities import disputing, steps
from groupclaim import x12
from groupclaim.model.identity import control_number
from groupclaim.model.money import Cents
from groupclaim.policy.payer import PolicyBook
from groupclaim.rules.line_audit import Pattern
from groupclaim.store import audit, disputes, ledger, work
from groupclaim.store.schema import contract
from tests.activities.house import SAMPLES, House
from tests.activities.test_remittance import arrives, paid, release, taken_back, x835
from workflows import claim as claim_workflow

ROSTER = {"S1": ("P01", "P02", "P03", "P05", "P06")}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, ROSTER) as made:
        await made.until_sent()
        yield made


async def remitted(
    house: House, trace: str, *payments: x12.ClaimPayment, on: date = date(2026, 2, 20)
) -> None:
    await house.take_in(await arrives(house, x835(*payments, trace=trace, on=on)))
    await house.settle()


async def all_cases(house: House) -> tuple[disputes.Case, ...]:
    async with house.database.reading() as reading:
        return await disputes.cases(reading, closed=True)


async def look(house: House, case_id: int, follow_ups: int = 0) -> steps.DisputeStanding:
    asked = steps.DisputeLook(case_id=case_id, follow_ups=follow_ups)
    standing: steps.DisputeStanding = await house.perform(steps.LOOK_AT_DISPUTE, asked)
    return standing


async def decide(
    house: House, case_id: int, action: str, outcome: str | None = None
) -> steps.DisputeStanding:
    decision = steps.DisputeDecision.model_validate(
        {
            "case_id": case_id,
            "action": action,
            "outcome": outcome,
            "by": "R. Lee",
            "reason": "as the contract says",
            "request": f"{action}-1",
        }
    )
    standing: steps.DisputeStanding = await house.perform(steps.DECIDE_DISPUTE, decision)
    return standing


async def test_an_end_beyond_their_limit_is_refused_and_audited(house: House) -> None:
    """30.10 open on P05 and P06: a biller gives 25.00 up, a supervisor any amount."""
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    await remitted(house, "T1", short(one, 1505), short(other, 1505))
    (case,) = await all_cases(house)
    decision = steps.DisputeDecision(
        case_id=case.id,
        action="close",
        outcome="withdrawn",
        by="front-desk",
        reason="x",
        request="r1",
    )
    standing = await house.perform(steps.DECIDE_DISPUTE, decision)
    assert standing.state == "to_approve"
    assert "30.10: beyond what a biller decides; may: " in (standing.refused or "")
    agreed = decision.model_copy(update={"second": "R. Lee", "outcome": "given_up"})
    assert (await house.perform(steps.DECIDE_DISPUTE, agreed)).outcome == "given_up"
    async with house.database.reading() as reading:
        entries = await audit.entries(reading, f"dispute/{case.id}")
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("front-desk", "approval_refused"),
        ("front-desk", "dispute_close"),
    ]
    assert entries[-1].detail["second"] == "R. Lee"


async def test_a_shortfall_is_let_stand_by_who_may_or_by_its_dispute(house: House) -> None:
    one = await house.claim_of("S1", "P05")
    await remitted(house, "T1", short(one, 1505))
    (case,) = await all_cases(house)

    async def released(by: str, request: str) -> str | None:
        decision = steps.ClaimDecision(
            claim_number=one, code="UNDERPAYMENT_REVIEW", by=by, reason="x", request=request
        )
        return (await house.perform(steps.RECORD_DECISION, decision)).refused

    assert "15.05: T. Poe: is nobody" in (await released("T. Poe", "r1") or "")
    # The name of a dispute opens nothing while the dispute is open.
    forged = disputes.release_request(case.id)
    assert "is nobody" in (await released(f"dispute {case.id}", forged) or "")
    assert await released("front-desk", "r2") is None  # 15.05 is within a biller's 25.00
    await decide(house, case.id, "close", "given_up")
    assert await released(f"dispute {case.id}", forged) is None


async def to_do(house: House) -> list[tuple[str, int, date | None]]:
    """What stands on the work list about disputes: code, cents, the last day."""
    async with house.database.reading() as reading:
        found = await work.items(reading, work.Wanted(), await house.clock.now())
    return [
        (item.code, item.cents, item.due_at.date() if item.due_at else None)
        for item in found
        if item.kind == "dispute"
    ]


async def test_a_letter_to_approve_and_a_silent_payer_are_on_the_work_list(house: House) -> None:
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    await remitted(house, "T1", short(one), short(other))
    (case,) = await all_cases(house)
    await look(house, case.id)
    # 2 x 6.05; 180 days after 20 February, by midnight in Austin, five hours before it is in UTC
    last_day = date(2026, 8, 20)
    assert await to_do(house) == [("DISPUTE_TO_APPROVE", 1210, last_day)]
    await decide(house, case.id, "approve")
    assert await to_do(house) == []
    await look(house, case.id, follow_ups=1)
    assert await to_do(house) == [("DISPUTE_UNANSWERED", 1210, last_day)]
    await decide(house, case.id, "close", "given_up")
    assert await to_do(house) == []


def short(claim: str, cents: int = 605) -> x12.ClaimPayment:
    """So many cents less than 28.15 are allowed and paid."""
    return paid(claim, 2815 - cents, ("CO", "45", 3185 + cents))


async def test_one_case_gathers_the_lines_of_one_pattern(house: House) -> None:
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    await remitted(house, "T1", short(one), short(other))
    (case,) = await all_cases(house)
    assert (case.kind, case.code, case.pattern) == (
        "underpayment",
        "90853",
        Pattern.UNEXPLAINED,
    )
    assert (case.state, case.lines, case.claims) == ("to_approve", 2, 2)
    assert (case.identified, case.recovered, case.outstanding) == (1210, 0, 1210)
    assert case.limit_on == date(2026, 8, 19)  # 180 days after 02-20, a Wednesday
    async with house.database.reading() as reading:
        lines = await disputes.case_lines(reading, case.id)
    assert {line.claim_number for line in lines} == {one, other}
    assert [(line.expected, line.allowed, line.difference) for line in lines] == [
        (2815, 2210, 605)
    ] * 2
    assert {(line.trace, line.payer_claim_number) for line in lines} == {("T1", "ICN7")}


async def test_patterns_are_apart_and_what_is_right_is_in_none(house: House) -> None:
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    # 24.00 is the social worker's rate; the other one is right.
    await remitted(house, "T1", short(one, 415), short(other, 0))
    (case,) = await all_cases(house)
    assert (case.pattern, case.identified, case.state) == (
        Pattern.WRONG_LICENCE_TIER,
        415,
        "gathering",
    )
    rows = await house.rows(text("SELECT pattern, shortfall_cents, case_id FROM audited_line"))
    assert {tuple(row) for row in rows} == {
        ("wrong_licence_tier", 415, case.id),
        ("", 0, None),
    }


@pytest.mark.parametrize(("second", "state"), [(84, "gathering"), (85, "to_approve")])
async def test_small_amounts_gather_until_they_are_worth_a_letter(
    house: House, second: int, state: str
) -> None:
    """4.15 alone, then 0.84 or 0.85 more: the floor is 5.00."""
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    await remitted(house, "T1", short(one, 416))
    await remitted(house, "T2", short(other, second - 1))
    (case,) = await all_cases(house)
    assert (case.identified, case.state) == (415 + second, state)


@pytest.mark.parametrize(
    ("second", "state", "to_be_done"),
    [
        (499, "gathering", []),
        # 180 days after 20 August, a Tuesday, by midnight in Austin
        (500, "to_approve", [("DISPUTE_TO_APPROVE", 916, date(2027, 2, 17))]),
    ],
)
async def test_what_it_is_too_late_for_adds_nothing_and_sets_no_day(
    house: House, second: int, state: str, to_be_done: list[tuple[str, int, date]]
) -> None:
    """4.16 gathered until it was too late, on 19 August; what comes then must be worth a letter by
    itself."""
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    await remitted(house, "T1", short(one, 416))
    await house.move_to(datetime(2026, 8, 25, 12, tzinfo=UTC))
    await remitted(house, "T2", short(other, second), on=date(2026, 8, 20))
    (case,) = await all_cases(house)
    assert (case.identified, case.state) == (416 + second, state)
    await look(house, case.id)
    assert await to_do(house) == to_be_done


async def test_an_overpayment_that_was_told_and_not_returned_stays_overdue(house: House) -> None:
    one = await house.claim_of("S1", "P05")
    await remitted(house, "T1", paid(one, 4250, ("CO", "45", 1750)))
    (case,) = await all_cases(house)
    await decide(house, case.id, "approve")
    await look(house, case.id, follow_ups=1)
    assert case.limit_on is not None
    last_day = case.limit_on + timedelta(days=1)  # by midnight in Austin
    assert await to_do(house) == [("DISPUTE_UNANSWERED", 1435, last_day)]
    await house.move_to(await house.clock.now() + timedelta(days=90))
    await look(house, case.id, follow_ups=2)
    assert await to_do(house) == [("DISPUTE_UNANSWERED", 1435, last_day)]


async def test_auditing_again_changes_nothing(house: House) -> None:
    one = await house.claim_of("S1", "P05")
    await remitted(house, "T1", short(one))
    before = await all_cases(house)
    state = house.states[one]
    step = steps.ClaimStep(claim_number=one, sequence=state.sequence, version=1)
    await house.perform(steps.AUDIT_PAYMENT, step)
    await house.settle()
    assert [replace(case, due_at=None) for case in await all_cases(house)] == [
        replace(case, due_at=None) for case in before
    ]


async def test_an_approved_letter_fixes_its_lines(house: House) -> None:
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    await remitted(house, "T1", short(one))
    (case,) = await all_cases(house)
    standing = await decide(house, case.id, "approve")
    now = await house.clock.now()
    assert standing.state == "told"
    assert standing.due_at == now + timedelta(days=30)
    assert await decide(house, case.id, "approve") == standing  # the same click again
    async with house.database.reading() as reading:
        entries = await audit.entries(reading, f"dispute/{case.id}")
    assert [(entry.actor, entry.action) for entry in entries] == [("R. Lee", "dispute_approve")]
    await remitted(house, "T2", short(other))
    told, fresh = await all_cases(house)
    assert (told.lines, told.state) == (1, "told")
    assert (fresh.lines, fresh.state) == (1, "to_approve")


async def test_the_payers_correction_is_the_result(house: House) -> None:
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    await remitted(house, "T1", short(one), short(other))
    (case,) = await all_cases(house)
    await decide(house, case.id, "approve")
    # Taken back and not yet paid again: nothing is put right by that.
    await remitted(house, "T2", taken_back(short(one)), taken_back(short(other)))
    assert (await all_cases(house))[0].recovered == 0
    # One paid in full, the other 2.00 short: that much still stands, in a case of its own.
    await remitted(house, "T3", short(one, 0), short(other, 200))
    told, fresh = await all_cases(house)
    assert (told.identified, told.recovered, told.state) == (1210, 1010, "told")
    assert (fresh.identified, fresh.state) == (200, "gathering")
    async with house.database.reading() as reading:
        assert (await ledger.balance(reading, one)).payer_open == 0
        assert (await ledger.balance(reading, other)).payer_open == 200
    await remitted(house, "T4", taken_back(short(other, 200)))
    await remitted(house, "T5", short(other, 0))
    told, fresh = await all_cases(house)
    assert (told.recovered, told.state, told.outcome) == (1210, "closed", "recovered")
    assert (fresh.recovered, fresh.state, fresh.outcome) == (200, "closed", "recovered")


async def test_a_look_for_want_of_an_answer_is_an_alert_once(house: House) -> None:
    one = await house.claim_of("S1", "P05")
    await remitted(house, "T1", short(one))
    (case,) = await all_cases(house)
    for _ in range(2):
        await look(house, case.id, follow_ups=1)
    async with house.database.reading() as reading:
        entries = await audit.entries(reading, f"dispute/{case.id}")
    assert [entry.action for entry in entries] == ["dispute_alert"]


async def test_the_next_look_comes_before_the_limit(house: House) -> None:
    """The limit is the end of 2026-08-19 in Chicago: 30, 14 and 3 days before it, then itself."""
    one = await house.claim_of("S1", "P05")
    await remitted(house, "T1", short(one))
    (case,) = await all_cases(house)
    limit = datetime(2026, 8, 20, 4, 59, 59, tzinfo=UTC)
    for days in (30, 14, 3, 0):
        standing = await look(house, case.id)
        assert standing.due_at == limit - timedelta(days=days)
        await house.move_to(standing.due_at)
    after = await look(house, case.id)
    assert after.due_at == limit + timedelta(days=30)


async def test_an_overpayment_is_refunded_in_sixty_days_and_booked(house: House) -> None:
    """42.50 for 28.15: 14.35 too much, with no floor."""
    one = await house.claim_of("S1", "P05")
    much = paid(one, 4250, ("CO", "45", 1750))
    await remitted(house, "T1", much)
    (case,) = await all_cases(house)
    assert (case.kind, case.state, case.identified) == ("overpayment", "to_approve", 1435)
    found_on = (await house.clock.now()).date()
    assert case.limit_on is not None
    # Sixty days, or the business day before.
    assert timedelta(days=57) <= case.limit_on - found_on <= timedelta(days=60)
    assert case.limit_on.weekday() < 5
    await decide(house, case.id, "close", "refunded")
    await decide(house, case.id, "close", "refunded")
    (case,) = await all_cases(house)
    assert (case.state, case.outcome) == ("closed", "refunded")
    await house.perform(steps.RELEASE_DISPUTED, steps.DisputeRef(case_id=case.id))
    ((workflow_id, name, what),) = house.switchboard.signals
    assert (workflow_id, name) == (f"claim/{one}", "release_hold")
    assert isinstance(what, claim_workflow.ReleaseHold)
    assert (what.code, what.request) == ("OVERPAYMENT_REVIEW", f"dispute-{case.id}")
    house.switchboard.signals.clear()
    await release(house, one, "release:refund")
    assert house.states[one].stage == "patient_balance"  # only a copay that is not due is left
    (money,) = await house.rows(text(f"SELECT * FROM claim_money WHERE claim_number = '{one}'"))
    assert (money.paid_cents, money.contractual_cents, money.payer_open_cents) == (2815, 3185, 0)
    async with house.database.reading() as reading:
        assert await ledger.verify(reading) == ()


async def test_a_payer_that_takes_its_overpayment_back_ends_the_case(house: House) -> None:
    one = await house.claim_of("S1", "P05")
    much = paid(one, 4250, ("CO", "45", 1750))
    await remitted(house, "T1", much)
    await remitted(house, "T2", taken_back(much), short(one, 0))
    (case,) = await all_cases(house)
    assert (case.recovered, case.outcome) == (1435, "taken_back")


async def test_only_claims_still_held_for_it_are_released(house: House) -> None:
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    await remitted(house, "T1", short(one), short(other))
    await release(house, other, "release:by hand")
    (case,) = await all_cases(house)
    await decide(house, case.id, "close", "given_up")
    released = await house.perform(steps.RELEASE_DISPUTED, steps.DisputeRef(case_id=case.id))
    assert released.claims == 1
    assert [workflow_id for workflow_id, _, _ in house.switchboard.signals] == [f"claim/{one}"]


async def test_without_a_contract_the_room_is_the_control(house: House) -> None:
    """Medicare allowed 30.85, 30.85 and 23.14 in one room: the third is 7.71 below the others."""
    async with house.database.transaction() as tx:
        await tx.execute(delete(contract))
    numbers = [await house.claim_of("S1", patient) for patient in ("P01", "P02", "P03")]
    for place, (number, allowed) in enumerate(zip(numbers, (2314, 3085, 3085), strict=True)):
        taken = Cents(allowed).share(2, 100)
        cuts = (("CO", "45", 6000 - allowed), ("CO", "253", taken))
        await remitted(house, f"T{place}", paid(number, allowed - taken, *cuts))
    (case,) = await all_cases(house)
    assert (case.pattern, case.identified) == (Pattern.DIFFERS_FROM_ROOM, 771)
    async with house.database.reading() as reading:
        (line,) = await disputes.case_lines(reading, case.id)
        standing = await reading.scalar(select(text("stage")).select_from(text("claim")).limit(1))
    assert standing is not None
    assert line.claim_number == numbers[0]
    hold = house.states[numbers[0]].hold
    assert hold is not None
    assert hold.code == "PAYMENT_UNPRICED"  # the money itself waits for a contract


async def test_the_letter_proves_each_line_and_names_nobody(house: House) -> None:
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    await remitted(house, "TRACE77", short(one), short(other))
    (case,) = await all_cases(house)
    draft = await disputing.write_letter(house.database, house.outside.policies, case.id, "R. Lee")
    await decide(house, case.id, "approve")
    letters = [
        await disputing.write_letter(house.database, house.outside.policies, case.id, "R. Lee")
        for _ in range(2)
    ]
    assert letters[0] == letters[1] == draft  # the clock stood still
    pdf = pypdf.PdfReader(io.BytesIO(letters[0]))
    assert pdf.trailer["/Root"]["/MarkInfo"]["/Marked"]
    words = " ".join(page.extract_text() for page in pdf.pages).replace("\n", " ")
    for told in (one, other, "TRACE77", "ICN7", "$28.15", "$22.10", "$6.05", "$12.10", "90853"):
        assert told in words, told
    practice_file = json.loads((SAMPLES / "practice.json").read_text())
    for person in practice_file["patients"]:
        assert person["first_name"] not in words
        assert f"{person['last_name']}," not in words
    for cover in practice_file["coverages"]:
        assert cover["member_id"] not in words
    async with house.database.reading() as reading:
        found = await disputing.case_file(reading, house.outside.policies, case.id)
        entries = await audit.entries(reading, f"dispute/{case.id}")
    assert found.penalty == 0  # no law is known for this payer
    assert [entry.action for entry in entries].count("dispute_letter") == 3


async def test_the_letter_of_a_texas_plan_tells_its_penalty(house: House) -> None:
    """Received in February and told at once; still unpaid a day after the 30 days to mend it, the
    balance is under 45 days late: half of (60.00 - 28.15) x 6.05 / 28.15 = 6.85, 3.43 a line."""
    one = await house.claim_of("S1", "P05")
    await remitted(house, "T1", short(one))
    (case,) = await all_cases(house)
    texas = PolicyBook({"commercial": house.outside.policies.editions("texas-commercial")})
    async with house.database.reading() as reading:
        found = await disputing.case_file(reading, texas, case.id)
        line = found.lines[0]
    assert line.received_on is not None
    late = (found.pay_by + timedelta(days=1) - (line.received_on + timedelta(days=30))).days
    assert 1 <= late <= 45
    assert found.penalty == 343


async def test_a_takeback_without_a_reversal_is_disputed_when_it_is_taken(house: House) -> None:
    """28.15 paid for P05; 10.00 of it announced, then kept from the payment of P06."""
    one, other = await house.claim_of("S1", "P05"), await house.claim_of("S1", "P06")
    await remitted(house, "T1", short(one, 0))
    named = control_number(one, 1)
    announced = (
        x12.ProviderAdjustment("1999900107", "WO", 1000, named),
        x12.ProviderAdjustment("1999900107", "FB", -1000, named),
    )
    rest = paid(other, 1315, ("CO", "45", 3185), ("PR", "3", 1500))
    await house.take_in(await arrives(house, x835(rest, trace="T2", withheld=announced[1:])))
    await house.settle()
    assert await all_cases(house) == ()
    more = replace(rest, control_number="STRANGE")
    await house.take_in(await arrives(house, x835(more, trace="T3", withheld=announced[:1])))
    await house.settle()
    (case,) = await all_cases(house)
    assert (case.pattern, case.identified) == (Pattern.TAKEBACK_WITHOUT_REVERSAL, 1000)
    async with house.database.reading() as reading:
        (line,) = await disputes.case_lines(reading, case.id)
    assert (line.claim_number, line.trace) == (one, "T3")
