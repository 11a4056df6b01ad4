"""Disputes on both databases: lines gather by payer, code and pattern until the payer is told.

Charge 65.00, contract 42.00; a claim allowed 36.00 is 6.00 short.
"""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from groupclaim.model.money import Cents
from groupclaim.rules.line_audit import LineAudit, Pattern
from groupclaim.store import disputes
from groupclaim.store.disputes import Case, Settled
from groupclaim.store.practice import UnknownRecord
from tests.store.world import NOW, World, paid, payment, post, reversal, send_all

LIMIT, SIXTY_DAYS = date(2026, 8, 17), date(2026, 4, 17)


def audit_of(shortfall: int, pattern: Pattern | None = Pattern.UNEXPLAINED) -> LineAudit:
    return LineAudit(
        line=1,
        code="90853",
        expected=Cents(4200),
        allowed=Cents(4200 - shortfall),
        shortfall=Cents(shortfall),
        pattern=pattern if shortfall else None,
        working="42.00 by contract",
    )


async def remitted(world: World, place: int, cents: int, trace: str) -> int:
    """The claim at ``place`` is paid so much; which remittance that was."""
    item = paid(world.claims[place], cents, ("CO", "45", 6500 - cents))
    return (await post(world, payment(item, trace=trace), trace)).remittance_id


async def audited(
    world: World, place: int, remittance_id: int, *audits: LineAudit
) -> tuple[int, ...]:
    settled = Settled(
        remittance_id, 1, Cents(6500), date(2026, 2, 4), date(2026, 2, 18), LIMIT, SIXTY_DAYS
    )
    async with world.database.transaction() as tx:
        return await disputes.record_audit(
            tx, world.claims[place], world.database.keyring.payer_key("first"), settled, audits, NOW
        )


async def every_case(world: World) -> tuple[Case, ...]:
    async with world.database.reading() as reading:
        return await disputes.cases(reading, closed=True)


@pytest.fixture
async def sent(world: World) -> World:
    await send_all(world)
    return world


async def test_lines_of_one_pattern_gather_and_overpayments_stand_apart(sent: World) -> None:
    for place, shortfall in enumerate((600, 600, -300, 0)):
        key = await remitted(sent, place, 4200 - shortfall, f"T{place}")
        await audited(sent, place, key, audit_of(shortfall))
    short, much = await every_case(sent)
    assert (short.kind, short.lines, short.claims, short.identified) == ("underpayment", 2, 2, 1200)
    assert (much.kind, much.lines, much.identified) == ("overpayment", 1, 300)
    # each by its own limit: the contract's for what is short, sixty days for what is too much
    assert (short.limit_on, much.limit_on) == (LIMIT, SIXTY_DAYS)
    async with sent.database.reading() as reading:
        stakes = [await disputes.at_stake(reading, number) for number in sent.claims[:4]]
        lines = await disputes.case_lines(reading, short.id)
    assert stakes == [600, 600, 300, 0]
    assert {(line.expected, line.allowed, line.difference) for line in lines} == {(4200, 3600, 600)}


async def test_audited_again_what_is_found_then_stands(sent: World) -> None:
    key = await remitted(sent, 0, 3600, "T1")
    (first,) = await audited(sent, 0, key, audit_of(600))
    touched = await audited(sent, 0, key, audit_of(600, Pattern.FACILITY_RATE))
    left, now = await every_case(sent)
    assert set(touched) == {left.id, now.id}
    assert (left.id, left.lines, left.limit_on) == (first, 0, None)
    assert (now.pattern, now.identified) == (Pattern.FACILITY_RATE, 600)


async def test_what_the_payer_was_told_of_never_changes(sent: World) -> None:
    one, other = await remitted(sent, 0, 3600, "T1"), await remitted(sent, 1, 3600, "T2")
    (case,) = await audited(sent, 0, one, audit_of(600))
    async with sent.database.transaction() as tx:
        await disputes.told(tx, case, NOW)  # nobody has been asked to approve it yet
        assert (await disputes.read_case(tx, case)).state == "gathering"
        await disputes.worth_a_letter(tx, case)
        await disputes.told(tx, case, NOW)
    assert await audited(sent, 0, one, audit_of(600)) == ()
    (fresh,) = await audited(sent, 1, other, audit_of(600))
    told, gathering = await every_case(sent)
    assert (told.state, told.identified, told.told_at) == ("told", 600, NOW)
    assert (gathering.id, gathering.state, gathering.identified) == (fresh, "gathering", 600)


async def test_a_correction_recovers_and_a_reversal_alone_does_not(sent: World) -> None:
    """6.00 short; reversed and paid 1.00 short: 5.00 came back."""
    item = paid(sent.claims[0], 3600, ("CO", "45", 2900))
    first = (await post(sent, payment(item), "one")).remittance_id
    await audited(sent, 0, first, audit_of(600))
    await post(sent, payment(reversal(item), trace="T2"), "two")
    async with sent.database.transaction() as tx:
        assert await disputes.record_corrections(tx, sent.claims[0]) == ()
    again = await remitted(sent, 0, 4100, "T3")
    await audited(sent, 0, again, audit_of(100))
    async with sent.database.transaction() as tx:
        (touched,) = await disputes.record_corrections(tx, sent.claims[0])
        assert await disputes.record_corrections(tx, sent.claims[0]) == ()  # told once
    (case,) = await every_case(sent)
    assert case.id == touched
    assert (case.identified, case.recovered, case.outstanding) == (700, 500, 200)


async def test_a_closed_case_lets_its_claims_go_by_its_own_request(sent: World) -> None:
    key = await remitted(sent, 0, 3600, "T1")
    (case,) = await audited(sent, 0, key, audit_of(600))
    request = disputes.release_request(case)
    async with sent.database.transaction() as tx:
        assert not await disputes.ended_for(tx, sent.claims[0], request)
        await disputes.close(tx, case, "given_up", NOW)
        await disputes.close(tx, case, "withdrawn", NOW)  # it has ended: nothing changes
        assert await disputes.ended_for(tx, sent.claims[0], request)
        assert not await disputes.ended_for(tx, sent.claims[1], request)
        assert not await disputes.ended_for(tx, sent.claims[0], "dispute-99")
        assert await disputes.at_stake(tx, sent.claims[0]) == 0
        assert (await disputes.read_case(tx, case)).outcome == "given_up"
        assert await disputes.cases(tx) == ()


async def test_a_recovered_case_releases_nobody(sent: World) -> None:
    key = await remitted(sent, 0, 3600, "T1")
    (case,) = await audited(sent, 0, key, audit_of(600))
    async with sent.database.transaction() as tx:
        await disputes.close(tx, case, "recovered", NOW)
        assert not await disputes.ended_for(tx, sent.claims[0], disputes.release_request(case))


async def test_two_workers_open_one_case(sent: World) -> None:
    keys = [await remitted(sent, place, 3600, f"T{place}") for place in range(4)]
    await asyncio.gather(
        *(audited(sent, place, key, audit_of(600)) for place, key in enumerate(keys))
    )
    (case,) = await every_case(sent)
    assert (case.lines, case.identified) == (4, 2400)


async def test_an_unknown_case_is_refused(world: World) -> None:
    async with world.database.transaction() as tx:
        with pytest.raises(UnknownRecord, match="dispute 7"):
            await disputes.lock_case(tx, 7)
