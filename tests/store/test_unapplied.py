"""Matching, unapplied cash and suspense: what finds its place by itself, and what people decide."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from groupclaim.store import ledger, remittances, unapplied
from groupclaim.store.ledger import Account
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.provider_adjustments import forward_balances
from groupclaim.store.remittances import CannotAccept
from groupclaim.store.schema import remittance_claim, remittance_line
from groupclaim.store.unapplied import CannotClear
from groupclaim.x12.parts import Person, Reference
from groupclaim.x12.remittance import LinePayment, PaymentParty, ProviderAdjustment
from tests.store.world import (
    NOW,
    PLANTED,
    World,
    bill_second,
    paid,
    payment,
    post,
    reversal,
    send_all,
    trial_balance,
)

FLAT = (("CO", "45", 2300),)
"""Of 65.00 the contract takes 23.00 off: 42.00 is paid."""


@pytest.fixture
async def sent(world: World) -> World:
    await send_all(world)
    return world


async def _unapplied(world: World) -> list[tuple[str, str | None, int]]:
    async with world.database.reading() as reading:
        assert await ledger.verify(reading) == ()
        return [
            (item.item, item.claim, int(item.cents))
            for item in await ledger.unapplied_items(reading)
        ]


async def _open(world: World, number: str) -> tuple[int, int]:
    async with world.database.reading() as reading:
        now = await ledger.balance(reading, number)
        return now.payer_open, now.patient_receivable


# --- whose claim, which line


@pytest.mark.parametrize(
    ("changes", "by"),
    [
        ({}, "claim_number"),
        ({"control_number": "CUT"}, "claim_number"),
        ({"control_number": "0", "member_id": f"{PLANTED[2]}P02"}, "member_date_charge"),
        ({"control_number": "0", "member_id": "OTHER"}, None),
        ({"control_number": "0", "member_id": f"{PLANTED[2]}P02", "charge": 6400}, None),
        ({"control_number": "0", "member_id": f"{PLANTED[2]}P02", "day": date(2026, 2, 4)}, None),
    ],
)
async def test_a_claim_is_found_by_its_number_else_by_member_day_and_charge(
    sent: World, changes: dict[str, object], by: str | None
) -> None:
    number = sent.claims[1]
    charge = int(str(changes.get("charge", 6500)))
    said = paid(number, charge - 2300, *FLAT, charge=charge, payer_claim_number="")
    control = changes.get("control_number", said.control_number)
    line = replace(said.lines[0], service_date=changes.get("day", date(2026, 2, 3)))
    said = replace(
        said,
        control_number=number if control == "CUT" else str(control),
        subscriber=Person("", "", str(changes.get("member_id", ""))),
        lines=(line,),
    )
    result = await post(sent, payment(said))
    (claim,) = result.claims
    assert (claim.claim_number, claim.matched_by) == (number if by else None, by)
    assert claim.posting == ("applied" if by else "unapplied")


async def test_a_later_payment_is_found_by_the_payers_number_of_an_earlier_one(sent: World) -> None:
    first = paid(sent.claims[0], 4200, *FLAT)
    await post(sent, payment(first))
    back = replace(
        reversal(first),
        control_number="0",
        payer_claim_number="ICN-NEW",
        references=(Reference("F8", first.payer_claim_number),),
    )
    result = await post(sent, payment(back, trace="T2"), "second")
    assert [(c.posting, c.matched_by) for c in result.claims] == [
        ("reversal", "payer_claim_number")
    ]
    assert await _open(sent, sent.claims[0]) == (6500, 0)


@pytest.mark.parametrize(
    ("line", "by"),
    [
        (LinePayment("90853", 6500, 6500, line_control_number="OURS"), "line_number"),
        (LinePayment("90853", 6500, 6500, line_control_number="?"), "code_and_modifiers"),
        (LinePayment("90853", 6500, 6500, modifiers=("HQ",)), "code"),
        (LinePayment("H0005", 6500, 6500, submitted_code="90853"), "code_and_modifiers"),
        (LinePayment("H0005", 6500, 6500, service_date=date(2026, 2, 3)), "charge_and_date"),
        (LinePayment("H0005", 6500, 6500, service_date=date(2026, 2, 4)), None),
    ],
)
async def test_a_line_is_found_and_the_reason_kept(
    sent: World, line: LinePayment, by: str | None
) -> None:
    number = sent.claims[0]
    ours = f"{number}A1"
    if line.line_control_number == "OURS":
        line = replace(line, line_control_number=ours)
    await post(sent, payment(paid(number, 6500, lines=(line,))))
    async with sent.database.reading() as reading:
        (row,) = await reading.rows(select(remittance_line))
    assert (row.our_line, row.matched_by) == (ours if by else None, by)


# --- payers after the first

PRIMARY = (("CO", "45", 3415), ("PR", "2", 617), ("CO", "253", 49))
"""Medicare allows 30.85 of 65.00: 6.17 is the patient's or the next payer's, 24.19 paid."""


async def test_the_next_payer_pays_the_patients_share(sent: World) -> None:
    """65.00 - 24.19 paid - 34.15 contract - 0.49 sequestration leaves 6.17, of which it pays 4.17
    and leaves a copay of 2.00. Its OA-23 of 58.83 is what the first payer made of the charge."""
    number = sent.claims[0]
    await post(sent, payment(paid(number, 2419, *PRIMARY, status="19")))
    assert await _open(sent, number) == (0, 617)
    second = paid(number, 417, ("OA", "23", 5883), ("PR", "3", 200), status="2")
    result = await post(sent, payment(second, trace="T2"), "second")
    assert [item.posting for item in result.claims] == ["applied"]
    assert await _open(sent, number) == (0, 200)
    await post(sent, payment(reversal(second), trace="T3"), "third")
    assert await _open(sent, number) == (0, 617)
    assert await _unapplied(sent) == []


async def test_a_next_payer_that_allows_less_ends_the_claim(sent: World) -> None:
    """Its own fee is below what was paid already: the 6.17 left is taken off by contract."""
    number = sent.claims[0]
    await post(sent, payment(paid(number, 2419, *PRIMARY)))
    nothing = paid(number, 0, ("OA", "23", 5883), ("CO", "45", 617), status="2")
    result = await post(sent, payment(nothing, trace="T2"), "second")
    assert [item.posting for item in result.claims] == ["applied"]
    assert await _open(sent, number) == (0, 0)


async def test_a_crossed_over_payment_waits_for_the_first_payer(sent: World) -> None:
    number = sent.claims[0]
    second = paid(number, 617, ("OA", "23", 5883), status="2")
    early = await post(sent, payment(second, trace="T2"), "second")
    assert [(c.posting, c.reason) for c in early.claims] == [
        ("unapplied", "a payer before this one has not decided yet")
    ]
    assert await _unapplied(sent) == [(f"{early.remittance_id}/1", number, 617)]
    result = await post(sent, payment(paid(number, 2419, *PRIMARY)))
    assert [(c.remittance_id, c.posting) for c in result.cleared] == [
        (early.remittance_id, "applied")
    ]
    assert await _unapplied(sent) == []
    assert await _open(sent, number) == (0, 0)


SECOND_SAYS_FIRST = (("OA", "23", 5883), ("PR", "3", 200))
"""The second pays 4.17 of the 6.17 that were left to it."""


async def _billed_to_the_second(world: World, number: str) -> None:
    """The claim was paid by the first payer, and a version of its own made for the second."""
    await post(world, payment(paid(number, 2419, *PRIMARY)))
    await bill_second(world, number)


@pytest.mark.parametrize(
    "said",
    [
        {"version": 2},
        {"version": 2, "status": "2"},
        {"control_number": "CUT", "status": "2"},
        {"control_number": "0", "subscriber": Person("", "", "SECOND77")},
    ],
)
async def test_the_second_payer_is_known_by_the_version_it_answers_whatever_clp02_says(
    sent: World, said: dict[str, Any]
) -> None:
    number = sent.claims[0]
    await _billed_to_the_second(sent, number)
    if said.get("control_number") == "CUT":
        said = {**said, "control_number": number}
    second = paid(number, 417, *SECOND_SAYS_FIRST, payer_claim_number="ICN-SECOND", **said)
    lines = tuple(replace(line, service_date=date(2026, 2, 3)) for line in second.lines)
    second = replace(second, lines=lines)
    result = await post(sent, payment(second, trace="T2"), "second")
    assert [(c.posting, c.version) for c in result.claims] == [("applied", 2)]
    assert await _open(sent, number) == (0, 200)
    async with sent.database.reading() as reading:
        found = await remittances.claim_payments(reading, number)
    assert [(item.version, item.payer_sequence) for item in found] == [(1, 1), (2, 2)]
    # A second time it is paid already; the reversal makes room for it.
    again = await post(sent, payment(second, trace="T3"), "third")
    assert [c.reason for c in again.claims] == [
        "the claim is paid already and that payment was not reversed"
    ]
    back = await post(sent, payment(reversal(second), trace="T4"), "fourth")
    assert [c.posting for c in back.claims] == ["reversal"]
    assert [c.posting for c in back.cleared] == ["applied"]
    assert await _open(sent, number) == (0, 200)
    assert await _unapplied(sent) == []


async def test_each_payer_takes_back_what_it_paid_itself(sent: World) -> None:
    """Both paid 30.00: of 65.00 the first leaves 35.00, of which the second leaves 5.00."""
    number = sent.claims[0]
    await _billed_to_the_second(sent, number)
    await post(sent, payment(reversal(paid(number, 2419, *PRIMARY)), trace="T2"), "reversal")
    first = paid(number, 3000, ("PR", "2", 3500))
    await post(sent, payment(first, trace="T3"), "corrected")
    second = paid(number, 3000, ("OA", "23", 3000), ("PR", "3", 500), version=2)
    await post(sent, payment(second, trace="T4"), "second")
    assert await _open(sent, number) == (0, 500)
    # The first payer takes back; what the second paid waits, until it takes that back itself.
    await post(sent, payment(reversal(first), trace="T5"), "back")
    assert [cents for _, _, cents in await _unapplied(sent)] == [3000]
    assert await _open(sent, number) == (6500, 0)
    await post(sent, payment(first, trace="T6"), "again")
    assert await _open(sent, number) == (0, 500)
    await post(sent, payment(reversal(second), trace="T7"), "second back")
    async with sent.database.reading() as reading:
        (left,) = await remittances.claim_payments(reading, number)
    assert (left.version, left.paid) == (1, 3000)
    assert await _unapplied(sent) == []


async def test_the_first_payers_number_alone_means_the_version_made_for_it(sent: World) -> None:
    number = sent.claims[0]
    await _billed_to_the_second(sent, number)
    back = replace(reversal(paid(number, 2419, *PRIMARY)), control_number=number)
    result = await post(sent, payment(back, trace="T2"), "second")
    assert [(c.posting, c.version) for c in result.claims] == [("reversal", 1)]
    stranger = paid(number, 2419, *PRIMARY, control_number="X-1", payer_claim_number="")
    held = await post(sent, payment(stranger, trace="T3"), "third")
    async with sent.database.transaction() as tx:
        assert await unapplied.assign(tx, held.remittance_id, 1, number, NOW)
        (found,) = await remittances.claim_payments(tx, number)
    assert (found.version, found.payer_sequence) == (1, 1)


@pytest.mark.parametrize(("status", "place"), [("19", 1), ("20", 2), ("21", 3)])
async def test_what_was_forwarded_is_a_decision_in_its_turn_and_unknown_only_without_a_claim(
    sent: World, status: str, place: int
) -> None:
    """CLP02 19, 20, 21 are 1, 2, 3 and say that the next payer comes by itself."""
    number = sent.claims[0]
    item = paid(number, 2419, *PRIMARY, status=status)
    early = await post(sent, payment(item, trace="T2"), "crossed")
    posting = "applied" if place == 1 else "unapplied"
    assert [(c.posting, c.claim_number) for c in early.claims] == [(posting, number)]
    stranger = replace(item, control_number="X-1", payer_claim_number="")
    unknown = await post(sent, payment(stranger, trace="T3"), "unknown")
    assert [c.reason for c in unknown.claims] == ["no claim of ours"]
    key = unknown.remittance_id
    other = sent.claims[1]
    if place > 1:
        with pytest.raises(CannotClear, match="a payer before this one"):
            async with sent.database.transaction() as tx:
                await unapplied.assign(tx, key, 1, other, NOW)
        for n, claim in enumerate((number, other)):
            denied = paid(claim, 0, ("CO", "197", 6500), status="4")
            await post(sent, payment(denied, trace=f"D{n}"), f"denied {n}")
    async with sent.database.transaction() as tx:
        assert await unapplied.assign(tx, key, 1, other, NOW)
    async with sent.database.reading() as reading:
        for claim in (number, other):
            (found,) = [one for one in await remittances.claim_payments(reading, claim) if one.paid]
            assert (found.payer_sequence, found.paid) == (place, 2419)
    assert await _unapplied(sent) == []


BY_CROSSOVER = (("OA", "23", 5883), ("PR", "3", 200))
"""Of the 6.17 that the first left the second pays 4.17. It calls itself the first (CLP02 1) and
answers the claim that the first was sent."""


async def test_a_payer_that_calls_itself_first_is_known_by_its_own_identifier(sent: World) -> None:
    number = sent.claims[0]
    await _billed_to_the_second(sent, number)
    second = payment(paid(number, 417, *BY_CROSSOVER, payer_claim_number="ICN-2"), trace="T2")
    second = replace(
        second, payer_identifier="1SECOND", payer=PaymentParty("Second", "SECOND1", "XV")
    )
    result = await post(sent, second, "second")
    assert [item.posting for item in result.claims] == ["applied"]
    assert await _open(sent, number) == (0, 200)
    async with sent.database.reading() as reading:
        places = [item.payer_sequence for item in await remittances.claim_payments(reading, number)]
    assert places == [1, 2]


@pytest.mark.parametrize(("payer", "left"), [(None, (0, 200)), (2, (0, 200)), (1, (-6500, 817))])
async def test_a_second_payers_money_is_assigned_at_its_own_place(
    sent: World, payer: int | None, left: tuple[int, int]
) -> None:
    """At the first payer's place, if a person says so, all of it comes on top of what the first has
    settled: 4.17 + 2.00 + 58.83 too much for the payer, 6.17 + 2.00 with the patient."""
    number = sent.claims[0]
    await post(sent, payment(paid(number, 2419, *PRIMARY)))
    stranger = paid(number, 417, *BY_CROSSOVER, control_number="X-1", payer_claim_number="")
    held = replace(payment(stranger, trace="T2"), payer_identifier="1SECOND")
    key = (await post(sent, held, "second")).remittance_id
    async with sent.database.transaction() as tx:
        assert await unapplied.assign(tx, key, 1, number, NOW, payer)
    assert await _open(sent, number) == left
    assert await _unapplied(sent) == []


@pytest.mark.parametrize("status", ["2", "1"])
async def test_a_second_payers_money_goes_to_the_version_made_for_it(
    sent: World, status: str
) -> None:
    number = sent.claims[0]
    await _billed_to_the_second(sent, number)
    stranger = paid(number, 417, *BY_CROSSOVER, status=status, payer_claim_number="")
    stranger = replace(stranger, control_number="X-1")
    held = replace(payment(stranger, trace="T2"), payer_identifier="1SECOND")
    key = (await post(sent, held, "second")).remittance_id
    async with sent.database.transaction() as tx:
        assert await unapplied.assign(tx, key, 1, number, NOW)
        found = await remittances.claim_payments(tx, number)
    assert [(item.version, item.payer_sequence) for item in found] == [(1, 1), (2, 2)]
    assert await _open(sent, number) == (0, 200)


async def test_what_the_second_paid_waits_while_the_first_has_taken_its_decision_back(
    sent: World,
) -> None:
    """The first corrects a share of 6.17 to 7.00: the second's 4.17 wait meanwhile, nobody finds
    them with the patient, and then 7.00 - 4.17 = 2.83 are left, of which the second's own figures
    leave 2.00 to the patient and explain 0.83 no longer."""
    number = sent.claims[0]
    await post(sent, payment(paid(number, 2419, *PRIMARY)))
    second = paid(number, 417, ("OA", "23", 5883), ("PR", "3", 200), status="2")
    key = (await post(sent, payment(second, trace="T2"), "second")).remittance_id
    back = reversal(paid(number, 2419, *PRIMARY))
    await post(sent, payment(back, trace="T3"), "third")
    assert await _open(sent, number) == (6500, 0)
    assert await _unapplied(sent) == [(f"{key}/1", number, 417)]
    async with sent.database.reading() as reading:
        assert (await ledger.open_items(reading)).patient_credits == ()
    cuts = (("CO", "45", 3332), ("PR", "2", 700), ("CO", "253", 49))
    corrected = paid(number, 2419, *cuts, payer_claim_number="ICN-NEW")
    result = await post(sent, payment(corrected, trace="T4"), "fourth")
    assert [(item.remittance_id, item.posting) for item in result.cleared] == [(key, "applied")]
    assert await _open(sent, number) == (83, 200)
    assert await _unapplied(sent) == []


async def test_of_decisions_without_money_the_one_that_a_reversal_names_is_taken_back(
    sent: World,
) -> None:
    """A denial, then all of it to the deductible; the denial is taken back, and the share stays."""
    number = sent.claims[0]
    denied = paid(number, 0, ("CO", "197", 6500), status="4", payer_claim_number="ICN-1")
    share = paid(number, 0, ("CO", "45", 3415), ("PR", "1", 3085), payer_claim_number="ICN-2")
    await post(sent, payment(denied, share))
    for trace, said in (("T2", "ICN-1"), ("T3", "ICN-9")):
        back = replace(reversal(denied), payer_claim_number=said)
        await post(sent, payment(back, trace=trace), trace)
        assert await _open(sent, number) == (3415 - 3415, 3085)
    await post(sent, payment(reversal(share), trace="T4"), "T4")
    assert await _open(sent, number) == (6500, 0)


# --- what a person decides


async def test_unapplied_cash_is_assigned_once_with_all_that_was_said(sent: World) -> None:
    number = sent.claims[0]
    stranger = paid(
        number, 2700, *FLAT, ("PR", "3", 1500), control_number="X-1", payer_claim_number=""
    )
    result = await post(sent, payment(stranger))
    assert await _unapplied(sent) == [(f"{result.remittance_id}/1", "X-1", 2700)]
    for expected in (True, False):
        async with sent.database.transaction() as tx:
            assert await unapplied.assign(tx, result.remittance_id, 1, number, NOW) is expected
    assert await _unapplied(sent) == []
    assert await _open(sent, number) == (0, 1500)
    async with sent.database.transaction() as tx:
        assert (await tx.first(select(remittance_claim))).matched_by == "person"  # type: ignore[union-attr]
        with pytest.raises(CannotClear, match="applied"):
            await unapplied.return_unapplied(tx, result.remittance_id, 1, "not ours", NOW)
        with pytest.raises(CannotClear, match="applied"):
            await unapplied.assign(tx, result.remittance_id, 1, sent.claims[1], NOW)


async def test_a_reversal_is_assigned_only_to_what_it_takes_back(sent: World) -> None:
    first = paid(sent.claims[0], 4200, *FLAT)
    await post(sent, payment(first))
    back = replace(reversal(first), control_number="X-1", payer_claim_number="")
    result = await post(sent, payment(back, trace="T2"), "second")
    key = result.remittance_id
    with pytest.raises(CannotClear, match="nothing that it takes back"):
        async with sent.database.transaction() as tx:
            await unapplied.assign(tx, key, 1, sent.claims[1], NOW)
    assert await _unapplied(sent) == [(f"{key}/1", "X-1", -4200)]
    async with sent.database.transaction() as tx:
        with pytest.raises(CannotClear, match="nothing to return"):
            await unapplied.return_unapplied(tx, key, 1, "why", NOW)
        assert await unapplied.assign(tx, key, 1, sent.claims[0], NOW)
    assert await _unapplied(sent) == []
    assert await _open(sent, sent.claims[0]) == (6500, 0)


async def test_money_returned_to_the_payer_is_not_taken_back_again(sent: World) -> None:
    stranger = paid(sent.claims[0], 4200, *FLAT)
    await post(sent, payment(stranger))
    result = await post(sent, payment(stranger, trace="T2"), "second")
    for expected in (True, False):
        async with sent.database.transaction() as tx:
            done = await unapplied.return_unapplied(tx, result.remittance_id, 1, "twice", NOW)
            assert done is expected
    assert await _unapplied(sent) == []
    async with sent.database.reading() as reading:
        assert (await trial_balance(reading))[Account.PAYER_REFUNDS] == -4200
    back = reversal(stranger)
    first = await post(sent, payment(back, trace="T3"), "third")
    assert [c.posting for c in first.claims] == ["reversal"]
    second = await post(sent, payment(back, trace="T4"), "fourth")
    assert [c.posting for c in second.claims] == ["unapplied"]


@pytest.mark.parametrize("place", [(99, 1), (1, 9)])
async def test_what_is_not_there_is_not_assigned(sent: World, place: tuple[int, int]) -> None:
    await post(sent, payment(paid(sent.claims[0], 4200, *FLAT)))
    async with sent.database.transaction() as tx:
        with pytest.raises(UnknownRecord):
            await unapplied.assign(tx, *place, sent.claims[0], NOW)
        with pytest.raises(UnknownRecord):
            await unapplied.settle_provider_adjustment(tx, *place, Account.INTEREST, NOW)


# --- payment suspense


async def test_a_payment_off_by_a_cent_is_never_accepted(sent: World) -> None:
    off = payment(paid(sent.claims[0], 4200, *FLAT), amount=4201)
    result = await post(sent, off)
    async with sent.database.transaction() as tx:
        with pytest.raises(CannotAccept, match="BPR02 = sum"):
            await remittances.accept(tx, result.remittance_id, off, two_people=True)
        assert await remittances.return_suspended(tx, result.remittance_id, "sent back", NOW)
        assert not await remittances.return_suspended(tx, result.remittance_id, "again", NOW)
        with pytest.raises(CannotAccept, match="not stand in suspense"):
            await remittances.accept(tx, result.remittance_id, off, two_people=True)
        assert (await ledger.open_items(tx)).suspended == ()


async def test_a_corrected_amount_takes_the_place_of_a_suspended_payment(sent: World) -> None:
    """The payer sent BPR02 a cent off and then corrected it: one person sees that it is so."""
    item = paid(sent.claims[0], 4200, *FLAT)
    wrong = await post(sent, payment(item, amount=4201))
    right = payment(item)
    second = await post(sent, right, "second")
    assert second.state == "suspended"
    async with sent.database.transaction() as tx:
        assert await remittances.accept(tx, second.remittance_id, right, two_people=False)
        assert not await remittances.accept(tx, second.remittance_id, right, two_people=False)
        done = await remittances.post(tx, second.remittance_id, right, NOW)
        assert (done.state, done.claims[0].posting) == ("posted", "applied")
        assert (await remittances.posted(tx, wrong.remittance_id)).state == "duplicate"
        assert not await remittances.accept(tx, second.remittance_id, right, two_people=False)
    with pytest.raises(LookupError):
        await post(sent, right, "third")
    assert await _unapplied(sent) == []


async def test_a_second_payment_of_one_trace_takes_two_people(sent: World) -> None:
    await post(sent, payment(paid(sent.claims[0], 4200, *FLAT)))
    other = payment(paid(sent.claims[1], 3000, ("CO", "45", 3500)))
    second = await post(sent, other, "second")
    async with sent.database.transaction() as tx:
        with pytest.raises(CannotAccept, match="second person"):
            await remittances.accept(tx, second.remittance_id, other, two_people=False)
        assert await remittances.accept(tx, second.remittance_id, other, two_people=True)
        await remittances.post(tx, second.remittance_id, other, NOW)
        assert (await trial_balance(tx))[Account.DEPOSITS] == 7200
    with pytest.raises(LookupError):  # delivered once more it is known
        await post(sent, other, "third")
    assert await _unapplied(sent) == []


# --- provider adjustments


@pytest.mark.parametrize(
    ("code", "account"),
    [
        ("WO", Account.TAKEBACK),
        ("FB", Account.TAKEBACK),
        ("72", Account.TAKEBACK),
        ("L6", Account.INTEREST),
        ("IR", Account.WITHHELD),
        ("J1", Account.OTHER_ADJUSTMENT),
        ("CS", Account.UNAPPLIED),
        ("ZZ", Account.UNAPPLIED),
    ],
)
@pytest.mark.parametrize("cents", [127, -127])
async def test_each_reason_has_its_account_and_sign(
    sent: World, code: str, account: Account, cents: int
) -> None:
    item = payment(paid(sent.claims[0], 4200, *FLAT), withheld=[(code, cents)])
    result = await post(sent, item)
    async with sent.database.reading() as reading:
        trial = await trial_balance(reading)
    assert (trial[Account.DEPOSITS], trial[account]) == (4200 - cents, cents)
    waiting = [(f"{result.remittance_id}/plb/1", None, -cents)]
    assert await _unapplied(sent) == (waiting if account is Account.UNAPPLIED else [])


async def test_an_adjustment_without_a_meaning_is_settled_once(sent: World) -> None:
    item = payment(paid(sent.claims[0], 4200, *FLAT), withheld=[("CS", -300)])
    key = (await post(sent, item)).remittance_id
    for expected in (True, False):
        async with sent.database.transaction() as tx:
            done = await unapplied.settle_provider_adjustment(tx, key, 1, Account.INTEREST, NOW)
            assert done is expected
    async with sent.database.transaction() as tx:
        with pytest.raises(CannotClear, match="interest"):
            await unapplied.settle_provider_adjustment(tx, key, 1, Account.WRITE_OFF, NOW)
        assert (await trial_balance(tx))[Account.INTEREST] == -300
    assert await _unapplied(sent) == []


async def test_a_balance_carried_forward_is_followed_until_it_is_used_up(sent: World) -> None:
    """42.00 paid, then corrected to 30.00: the payer carries the 12.00 forward and takes it from
    two later payments, 5.00 and 7.00; another 3.00 it takes without a word."""
    number, other, third = sent.claims[:3]
    first = paid(number, 4200, *FLAT)
    await post(sent, payment(first))
    corrected = paid(number, 3000, ("CO", "45", 3500), payer_claim_number="ICN-2")
    await post(
        sent, payment(reversal(first), corrected, trace="T2", withheld=[("FB", -1200)]), "T2"
    )
    for trace, claim, withheld in (
        ("T3", other, [("FB", 500)]),
        ("T4", third, [("FB", 700), ("WO", 300)]),
    ):
        await post(sent, payment(paid(claim, 4200, *FLAT), trace=trace, withheld=withheld), trace)
        async with sent.database.reading() as reading:
            balances = await forward_balances(reading)
        assert balances[0].claims == (number,)
        assert balances[0].open == {"T3": 700, "T4": 0}[trace]
    assert [(item.announced, item.taken, item.open) for item in balances] == [
        (1200, 1200, 0),
        (0, 300, -300),
    ]
    async with sent.database.reading() as reading:
        assert (await trial_balance(reading))[Account.TAKEBACK] == 300


async def test_what_one_payment_books_and_carries_forward_at_once_takes_nothing_yet(
    sent: World,
) -> None:
    """24.00 announced (WO 24.00 beside FB -24.00), then taken as 15.00 and 9.00."""
    number, *others = sent.claims[:4]
    steps = ((("WO", 2400), ("FB", -2400)), (("FB", 1500),), (("FB", 900),))
    expected = ((2400, 0), (2400, 1500), (2400, 2400))
    for place, (claim, adjustments) in enumerate(zip(others, steps, strict=True)):
        withheld = tuple(
            ProviderAdjustment("1999900107", reason, cents, f"{number}A")
            for reason, cents in adjustments
        )
        trace = f"T{place}"
        item = payment(paid(claim, 4200, *FLAT), trace=trace, withheld=list(adjustments))
        await post(sent, replace(item, provider_adjustments=withheld), trace)
        async with sent.database.reading() as reading:
            (balance,) = await forward_balances(reading)
        assert (balance.announced, balance.taken) == expected[place]
        assert balance.claims == (number,)


async def test_a_recovery_names_its_claim_and_a_refund_of_ours_offsets_it(sent: World) -> None:
    number = sent.claims[0]
    item = payment(paid(sent.claims[1], 4200, *FLAT))
    withheld = (
        ProviderAdjustment("1999900107", "WO", 900, f"{number}A"),
        ProviderAdjustment("1999900107", "72", -900, f"{number}A"),
    )
    await post(sent, replace(item, provider_adjustments=withheld))
    async with sent.database.reading() as reading:
        (balance,) = await forward_balances(reading)
    assert (balance.claims, balance.announced, balance.taken) == ((number,), 900, 900)


async def test_interest_inside_a_claim_is_no_reduction_of_it(sent: World) -> None:
    """42.00 by contract and 1.27 of interest: the claim is settled, the interest apart."""
    number = sent.claims[0]
    await post(sent, payment(paid(number, 4327, *FLAT, ("OA", "225", -127))))
    assert await _open(sent, number) == (0, 0)
    async with sent.database.reading() as reading:
        assert (await trial_balance(reading))[Account.INTEREST] == -127


# --- worked amounts: Medicare after the deductible, sequestration of 2 % on the payer's part alone


@pytest.mark.parametrize(
    ("allowed", "share", "sequestration", "amount"),
    [
        (3039, 608, 49, 2382),  # national fee of 2026, psychologist
        (2279, 456, 36, 1787),  # at 75 %
        (2583, 517, 41, 2025),  # at 85 %
        (3017, 603, 48, 2366),  # Virginia
        (2815, 563, 45, 2207),
    ],
)
async def test_medicare_leaves_the_coinsurance_and_nothing_else(
    sent: World, allowed: int, share: int, sequestration: int, amount: int
) -> None:
    """Allowed = paid + 20 % of the patient + sequestration; the rest of 65.00 is the contract's."""
    assert allowed == share + sequestration + amount
    number = sent.claims[0]
    cuts = (("CO", "45", 6500 - allowed), ("PR", "2", share), ("CO", "253", sequestration))
    await post(sent, payment(paid(number, amount, *cuts)))
    assert await _open(sent, number) == (0, share)
    async with sent.database.reading() as reading:
        trial = await trial_balance(reading)
    assert trial[Account.SEQUESTRATION] == sequestration
    assert trial[Account.CONTRACTUAL] == 6500 - allowed


@pytest.mark.parametrize("group", ["CO", "OA", "PI"])
@pytest.mark.parametrize("reason", ["1", "2", "3", "96", "197"])
async def test_only_group_pr_ever_reaches_a_patient(sent: World, group: str, reason: str) -> None:
    number = sent.claims[0]
    await post(sent, payment(paid(number, 3000, ("CO", "45", 2300), (group, reason, 1200))))
    assert await _open(sent, number) == (1200, 0)


@pytest.mark.parametrize("remark", ["N781", "N782", "N783"])
async def test_a_qualified_medicare_beneficiary_owes_nothing(sent: World, remark: str) -> None:
    number = sent.claims[0]
    await post(sent, payment(paid(number, 2419, *PRIMARY, remark_codes=(remark,))))
    assert await _open(sent, number) == (617, 0)
