import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select, text

from groupclaim.model.claim import Adjustment as ModelAdjustment
from groupclaim.model.identity import control_number
from groupclaim.model.money import Cents
from groupclaim.store import batches, files, ledger, remittances
from groupclaim.store.claims import make_version
from groupclaim.store.database import Reading
from groupclaim.store.ledger import Account
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.remittances import PaymentChanged, claim_payments, file_of, posted
from groupclaim.store.schema import remittance, remittance_adjustment, transfer
from groupclaim.x12.core import Problem
from groupclaim.x12.parts import Adjustment, Reference
from groupclaim.x12.remittance import ClaimPayment, LinePayment, PaymentParty
from tests.store.world import (
    NOW,
    World,
    paid,
    payment,
    post,
    register,
    reversal,
    send_all,
    trial_balance,
    version_of,
)

MEDICARE = (("CO", "45", 3415), ("PR", "2", 617), ("CO", "253", 49))
"""Of 65.00: allowed 30.85, 20 % coinsurance, 2 % sequestration; 24.19 paid."""

UNREADABLE = Problem("amount_invalid", 9, 400, "CAS03 is not an amount", segment="CAS")
"""Reads as 0 cents, so a payment may balance all the same."""


@pytest.fixture
async def sent(world: World) -> World:
    """Every claim accepted by the clearinghouse at 65.00."""
    await send_all(world)
    return world


async def _money(reading: Reading, number: str) -> dict[str, Any]:
    row = await reading.first(
        text("SELECT * FROM claim_money WHERE claim_number = :n").bindparams(n=number)
    )
    assert row is not None
    return dict(row._mapping)


async def _transfers(reading: Reading, **where: object) -> Sequence[tuple[str, str, int]]:
    rows = await reading.rows(select(transfer).filter_by(**where).order_by(transfer.c.id))
    return [(row.debit, row.credit, row.cents) for row in rows]


async def test_a_balanced_payment_is_posted_whole(sent: World) -> None:
    a, b, *_ = sent.claims
    item = payment(paid(a, 2419, *MEDICARE), paid(b, 2700, ("CO", "45", 2300), ("PR", "3", 1500)))
    result = await post(sent, item)
    assert (result.state, result.difference_cents, result.reason) == ("posted", 0, "")
    assert [(c.claim_number, c.version, c.posting) for c in result.claims] == [
        (a, 1, "applied"),
        (b, 1, "applied"),
    ]
    async with sent.database.reading() as reading:
        assert await _transfers(reading, remittance_id=result.remittance_id) == [
            ("deposits", "clearing", 5119),
            ("clearing", "payer_receivable", 2419),
            ("contractual", "payer_receivable", 3415),
            ("patient_receivable", "payer_receivable", 617),
            ("sequestration", "payer_receivable", 49),
            ("clearing", "payer_receivable", 2700),
            ("contractual", "payer_receivable", 2300),
            ("patient_receivable", "payer_receivable", 1500),
        ]
        assert await _money(reading, a) == {
            "claim_number": a,
            "charge_cents": 6500,
            "allowed_cents": None,
            "paid_cents": 2419,
            "contractual_cents": 3464,
            "patient_cents": 617,
            "patient_paid_cents": 0,
            "patient_open_cents": 617,
            "payer_open_cents": 0,
        }
        assert await ledger.verify(reading) == ()


async def test_everything_an_835_says_of_a_claim_is_kept(sent: World) -> None:
    number = sent.claims[0]
    line = LinePayment(
        "90853",
        6500,
        4200,
        modifiers=("HJ", "95"),
        adjustments=(Adjustment("CO", "45", 2300),),
        allowed_cents=4200,
        line_control_number="L1",
        remark_codes=("N1",),
    )
    claim = ClaimPayment(
        control_number=f"{number}A",
        status="1",
        charge_cents=6500,
        paid_cents=2700,
        patient_responsibility_cents=1500,
        payer_claim_number="ICN1",
        adjustments=(Adjustment("PR", "3", 1500),),
        lines=(line,),
        remark_codes=("MA01",),
    )
    result = await post(sent, payment(claim))
    async with sent.database.reading() as reading:
        (kept,) = await claim_payments(reading, number)
        cuts = await reading.rows(
            select(remittance_adjustment.c.line_position, remittance_adjustment.c.cents)
        )
        assert (await _money(reading, number))["allowed_cents"] == 4200
    assert (kept.remittance_id, kept.position, kept.control_number) == (
        result.remittance_id, 1, f"{number}A",
    )  # fmt: skip
    assert (kept.paid, kept.patient, kept.allowed) == (2700, 1500, 4200)
    assert kept.adjustments == (
        ModelAdjustment.model_validate({"group": "PR", "reason": "3", "cents": 1500}),
        ModelAdjustment.model_validate({"group": "CO", "reason": "45", "cents": 2300}),
    )
    assert set(kept.remarks) == {"N1", "MA01"}
    assert [tuple(row) for row in cuts] == [(0, 1500), (1, 2300)]


@pytest.mark.parametrize(
    ("change", "difference", "reason"),
    [
        ({"amount": 2420}, 1, "BPR02 = sum(CLP04) - sum(PLB) differs by 0.01"),
        ({"amount": 2418}, -1, "BPR02"),
        ({"withheld": [("WO", 100)], "amount": 2419}, 100, "BPR02"),
        ({"complete": False}, 0, "has no end"),
        ({"problems": (UNREADABLE,)}, 0, "not read whole: CAS (amount_invalid)"),
        ({"payment_date": None}, 0, "no date"),
        ({"trace": ""}, 0, "no date or no trace"),
    ],
)
async def test_a_payment_that_does_not_come_out_stands_whole_in_suspense(
    sent: World, change: dict[str, Any], difference: int, reason: str
) -> None:
    good = paid(sent.claims[1], 2419, *MEDICARE)
    async with sent.database.reading() as reading:
        before = await _transfers(reading)
    result = await post(sent, payment(good, **change))
    async with sent.database.reading() as reading:
        assert await _transfers(reading) == before
        assert await claim_payments(reading, sent.claims[1]) == ()
        assert await ledger.verify(reading) == ()
    assert (result.state, result.difference_cents) == ("suspended", difference)
    assert reason in result.reason
    assert [item.posting for item in result.claims] == ["suspended"]


async def test_one_claim_a_cent_off_suspends_the_whole_payment(sent: World) -> None:
    wrong = paid(sent.claims[0], 2420, *MEDICARE)
    good = paid(sent.claims[1], 2419, *MEDICARE)
    result = await post(sent, payment(good, wrong))
    assert (result.state, result.difference_cents) == ("suspended", 1)
    assert "claims[1].lines[0]: SVC03 = SVC02 - CAS differs by 0.01" in result.reason
    async with sent.database.reading() as reading:
        assert (await trial_balance(reading))[Account.DEPOSITS] == 0


# --- delivered again


async def test_the_same_payment_in_another_file_is_a_duplicate(sent: World) -> None:
    item = payment(paid(sent.claims[0], 2419, *MEDICARE))
    first = await post(sent, item, "era")
    copied = replace(item, interchange_control_number="000000099", control_number="0099")
    async with sent.database.transaction() as tx:
        registered = await register(tx, sent, copied, name="copy")
        again = await register(tx, sent, copied, name="copy")
        rows = await tx.rows(select(remittance).order_by(remittance.c.id))
        assert (await trial_balance(tx))[Account.DEPOSITS] == 2419
        copy = await remittances.post(tx, rows[1].id, copied, NOW)
        assert await ledger.verify(tx) == ()
    assert registered == again
    assert (registered.new, registered.repeated) == ((), 1)
    assert [(row.state, row.duplicate_of) for row in rows] == [
        ("posted", None),
        ("duplicate", first.remittance_id),
    ]
    assert (copy.state, copy.claims) == ("duplicate", ())


@pytest.mark.parametrize(
    ("change", "difference", "reason"),
    [
        ({"amount": 2500}, 81, "other amount"),
        ({"payment_date": date(2026, 2, 19)}, 0, "other payment date"),
        ({"cut": ("CO", "97", 3415)}, 0, "other content"),
    ],
)
async def test_the_same_trace_with_something_else_is_suspended(
    sent: World, change: dict[str, Any], difference: int, reason: str
) -> None:
    first = await post(sent, payment(paid(sent.claims[0], 2419, *MEDICARE)))
    changes = {name: value for name, value in change.items() if name != "cut"}
    cut = change.get("cut", MEDICARE[0])
    other = payment(paid(sent.claims[0], 2419, cut, *MEDICARE[1:]), **changes)
    second = await post(sent, other, "second")
    assert (second.state, second.difference_cents) == ("suspended", difference)
    assert second.reason == (f"same payer and trace as remittance {first.remittance_id}, {reason}")
    async with sent.database.reading() as reading:
        assert (await trial_balance(reading))[Account.DEPOSITS] == 2419
        assert await ledger.verify(reading) == ()


async def test_posting_again_gives_the_stored_result(sent: World) -> None:
    item = payment(paid(sent.claims[0], 2419, *MEDICARE))
    first = await post(sent, item)
    async with sent.database.transaction() as tx:
        again = await remittances.post(tx, first.remittance_id, item, NOW)
        assert again == first == await posted(tx, first.remittance_id)
        with pytest.raises(PaymentChanged):
            await remittances.post(tx, first.remittance_id, payment(), NOW)
        assert (await trial_balance(tx))[Account.DEPOSITS] == 2419


async def test_many_who_post_the_same_remittance_post_it_once(sent: World) -> None:
    item = payment(*(paid(number, 2419, *MEDICARE) for number in sent.claims))
    async with sent.database.transaction() as tx:
        (remittance_id,) = (await register(tx, sent, item)).new

    async def post_it() -> remittances.Posted:
        async with sent.database.transaction() as tx:
            return await remittances.post(tx, remittance_id, item, NOW)

    results = await asyncio.gather(*(post_it() for _ in range(8)))
    assert len(set(results)) == 1
    async with sent.database.reading() as reading:
        assert (await trial_balance(reading))[Account.DEPOSITS] == 6 * 2419
        assert await ledger.verify(reading) == ()


async def test_of_copies_registered_at_once_one_counts(sent: World) -> None:
    item = payment(paid(sent.claims[0], 2419, *MEDICARE))

    async def arrive(name: str) -> remittances.Registered:
        async with sent.database.transaction() as tx:
            return await register(tx, sent, item, name=name)

    results = await asyncio.gather(*(arrive(f"file {n % 4}") for n in range(8)))
    assert len({result.new for result in results if result.new}) == 1
    async with sent.database.reading() as reading:
        rows = await reading.rows(
            select(remittance.c.state, func.count()).group_by(remittance.c.state)
        )
    assert dict([tuple(row) for row in rows]) == {"registered": 1, "duplicate": 3}


async def test_a_payment_is_found_in_its_file(sent: World) -> None:
    one = payment(paid(sent.claims[0], 2419, *MEDICARE), trace="T1")
    two = payment(paid(sent.claims[1], 2419, *MEDICARE), trace="T2")
    async with sent.database.transaction() as tx:
        registered = await register(tx, sent, one, two)
        digest, place = await file_of(tx, registered.new[1])
        assert (await files.read_file(tx, digest)).content == b"era"
        with pytest.raises(UnknownRecord, match="posted remittance"):
            await posted(tx, registered.new[1])
    assert place == 1


# --- denials, corrections, money of nobody


@pytest.mark.parametrize("status", ["1", "4"])
async def test_a_denial_writes_nothing_off(sent: World, status: str) -> None:
    number = sent.claims[0]
    result = await post(sent, payment(paid(number, 0, ("CO", "197", 6500), status=status)))
    assert [item.posting for item in result.claims] == ["denied"]
    async with sent.database.reading() as reading:
        assert await _transfers(reading, remittance_id=result.remittance_id) == []
        assert (await ledger.balance(reading, number)).payer_open == 6500
        (kept,) = await claim_payments(reading, number)
        assert kept.adjusted("CO") == 6500
        assert await ledger.verify(reading) == ()


async def test_a_denied_claim_can_be_paid_as_another_version(sent: World) -> None:
    number = sent.claims[0]
    await post(sent, payment(paid(number, 0, ("CO", "197", 6500), status="4")))
    await send_all(sent, [number], version=2)
    result = await post(
        sent,
        payment(paid(number, 4200, ("CO", "45", 2300), version=2), trace="T2"),
        "second",
    )
    assert [(item.version, item.posting) for item in result.claims] == [(2, "applied")]
    async with sent.database.reading() as reading:
        now = await ledger.balance(reading, number)
        assert (now.charge, now.payer_open, now.patient_open) == (6500, 0, 0)
        assert [item.status for item in await claim_payments(reading, number)] == ["4", "1"]
        assert await ledger.verify(reading) == ()


async def test_a_part_denied_stays_receivable(sent: World) -> None:
    number = sent.claims[0]
    await post(sent, payment(paid(number, 3000, ("CO", "45", 2300), ("PI", "22", 1200))))
    async with sent.database.reading() as reading:
        assert (await ledger.balance(reading, number)).payer_open == 1200
        assert (await _money(reading, number))["contractual_cents"] == 2300


async def test_a_qualified_medicare_beneficiary_is_not_asked_to_pay(sent: World) -> None:
    number = sent.claims[0]
    await post(sent, payment(paid(number, 2419, *MEDICARE, remark_codes=("N782",))))
    async with sent.database.reading() as reading:
        now = await ledger.balance(reading, number)
        assert (now.payer_open, now.patient_receivable) == (617, 0)


async def test_reductions_after_pricing_and_of_prior_payers_are_kept_apart(sent: World) -> None:
    number = sent.claims[0]
    await post(
        sent,
        payment(
            paid(number, 1000, ("CO", "45", 4000), ("CO", "237", 300), ("OA", "23", 1200)),
        ),
    )
    async with sent.database.reading() as reading:
        trial = await trial_balance(reading)
        assert (trial[Account.CONTRACTUAL], trial[Account.OTHER_ADJUSTMENT]) == (4000, 1500)
        assert (await ledger.balance(reading, number)).payer_open == 0


async def test_a_reversal_and_its_correction_net_out(sent: World) -> None:
    number = sent.claims[0]
    before = paid(number, 2419, *MEDICARE)
    await post(sent, payment(before))
    after = paid(number, 2700, ("CO", "45", 2300), ("PR", "2", 1500))
    # The correction stands first: what order a payer writes them in must not matter.
    result = await post(sent, payment(after, reversal(before), trace="T2"), "second")
    assert [item.posting for item in result.claims] == ["applied", "reversal"]
    async with sent.database.reading() as reading:
        money = await _money(reading, number)
        assert money["paid_cents"] == 2700
        assert money["contractual_cents"] == 2300
        assert (money["patient_cents"], money["payer_open_cents"]) == (1500, 0)
        assert [item.paid for item in await claim_payments(reading, number)] == [2700]
        assert (await trial_balance(reading))[Account.DEPOSITS] == 2700
        assert await ledger.verify(reading) == ()


async def test_a_reversal_takes_the_underpayment_back_too(sent: World) -> None:
    number = sent.claims[0]
    item = paid(number, 3000, ("CO", "45", 3500))
    result = await post(sent, payment(item))
    async with sent.database.transaction() as tx:
        for _ in range(2):
            await ledger.book_underpayment(tx, number, result.remittance_id, 1, Cents(1200), NOW)
            assert (await ledger.balance(tx, number)).payer_open == 1200
    await post(sent, payment(reversal(item), trace="T2"), "second")
    async with sent.database.transaction() as tx:
        assert (await ledger.balance(tx, number)).payer_open == 6500
        booked = await ledger.book_underpayment(
            tx, number, result.remittance_id, 1, Cents(1200), NOW
        )
        assert not booked
        assert (await ledger.balance(tx, number)).payer_open == 6500
        assert await ledger.verify(tx) == ()


async def test_a_correction_without_its_reversal_is_unapplied_cash(sent: World) -> None:
    number = sent.claims[0]
    await post(sent, payment(paid(number, 2419, *MEDICARE)))
    again = paid(number, 2700, ("CO", "45", 2300), ("PR", "2", 1500))
    result = await post(sent, payment(again, trace="T2"), "second")
    assert [(item.posting, item.claim_number) for item in result.claims] == [("unapplied", number)]
    async with sent.database.reading() as reading:
        assert (await trial_balance(reading))[Account.UNAPPLIED] == -2700
        assert (await _money(reading, number))["paid_cents"] == 2419
        assert await ledger.verify(reading) == ()


async def test_a_reversal_of_nothing_is_taken_from_unapplied_cash(sent: World) -> None:
    lost = reversal(paid(sent.claims[0], 2419, *MEDICARE))
    other = paid(sent.claims[1], 4200, ("CO", "45", 2300))
    result = await post(sent, payment(lost, other))
    assert [item.posting for item in result.claims] == ["unapplied", "applied"]
    async with sent.database.reading() as reading:
        assert (await trial_balance(reading))[Account.UNAPPLIED] == 2419
        assert (await ledger.balance(reading, sent.claims[0])).payer_open == 6500
        assert await ledger.verify(reading) == ()


async def test_money_for_no_claim_of_ours_is_unapplied(sent: World) -> None:
    stranger = paid(sent.claims[0], 4200, ("CO", "45", 2300), control_number="SOMEONE-1")
    result = await post(sent, payment(stranger))
    assert [(c.claim_number, c.posting, c.reason) for c in result.claims] == [
        (None, "unapplied", "no claim of ours")
    ]
    async with sent.database.reading() as reading:
        assert (await trial_balance(reading))[Account.UNAPPLIED] == -4200


@pytest.mark.parametrize(
    "changes",
    [
        {"control_number": "9" * 50},
        {"control_number": "SOMEONE\0"},
        {"payer_claim_number": "7" * 60, "control_number": "SOMEONE-1"},
    ],
    ids=["CLP01", "NUL", "CLP07"],
)
async def test_an_identifier_longer_than_we_keep_stops_no_payment(
    sent: World, changes: dict[str, Any]
) -> None:
    """On both databases: SQLite would keep it and PostgreSQL refuse it."""
    ours = paid(sent.claims[0], 4200, ("CO", "45", 2300))
    theirs = paid(sent.claims[1], 100, ("CO", "45", 6400), **changes)
    result = await post(sent, payment(ours, theirs, trace="T" * 60))
    assert result.state == "posted"
    assert [item.posting for item in result.claims] == ["applied", "unapplied"]
    kept = result.claims[1].control_number
    assert kept == changes["control_number"].replace("\0", " ")[:38]


async def test_more_remark_codes_than_we_keep_are_kept_as_far_as_they_go(sent: World) -> None:
    number = sent.claims[0]
    remarks = tuple(f"N{code}" for code in range(500, 560))
    result = await post(sent, payment(paid(number, 6500, remark_codes=remarks)))
    assert result.state == "posted"
    async with sent.database.reading() as reading:
        (kept,) = await claim_payments(reading, number)
    assert kept.remarks == remarks[:40]


@pytest.mark.parametrize(
    ("claim", "withheld", "place"),
    [
        (paid("X", 4200, ("CO", "45XXXX", 2300)), (), "CAS of claim 1"),
        (paid("X", 4200, ("COX", "45", 2300)), (), "CAS of claim 1"),
        (paid("X", 6500, status="100"), (), "CLP02 of claim 1"),
        (paid("X", 6500), (("WOXXXX", 100),), "PLB 1"),
    ],
    ids=["reason", "group", "status", "provider adjustment"],
)
async def test_a_code_longer_than_x12_allows_suspends_the_payment(
    sent: World, claim: ClaimPayment, withheld: Sequence[tuple[str, int]], place: str
) -> None:
    """Cut to what we keep it would be another code."""
    claim = replace(claim, control_number=control_number(sent.claims[0], 1))
    result = await post(sent, payment(claim, withheld=withheld))
    assert (result.state, result.difference_cents) == ("suspended", 0)
    assert result.reason == f"codes longer than X12 allows: {place}"
    async with sent.database.reading() as reading:
        assert await ledger.verify(reading) == ()
        assert (await _money(reading, sent.claims[0]))["paid_cents"] == 0


@pytest.mark.parametrize(("charge", "posting"), [(6500, "applied"), (6400, "unapplied")])
async def test_a_garbled_claim_number_is_matched_by_the_payers_own(
    sent: World, charge: int, posting: str
) -> None:
    number = sent.claims[0]
    async with sent.database.transaction() as tx:
        digest = await files.keep_file(tx, sent.connection_id, "inbound", "277CA", "a", b"x", NOW)
        await batches.record_acknowledgment(
            tx, "277CA", digest, "1", accepted=True, codes="A2", received_at=NOW,
            claim_number=number, version=1, payer_claim_number=f"ICN{number}",
        )  # fmt: skip
    garbled = paid(number, 4200, ("CO", "45", charge - 4200), charge=charge, control_number="?")
    result = await post(sent, payment(garbled))
    assert [item.posting for item in result.claims] == [posting]


async def test_a_claim_version_never_made_is_no_claim_of_ours(sent: World) -> None:
    result = await post(sent, payment(paid(sent.claims[0], 6500, version=5)))
    assert [item.posting for item in result.claims] == ["unapplied"]


async def test_a_predetermination_decides_nothing(sent: World) -> None:
    item = paid(sent.claims[0], 0, ("CO", "45", 6500), status="25")
    result = await post(sent, payment(item))
    assert [item.posting for item in result.claims] == ["information"]
    async with sent.database.reading() as reading:
        assert (await ledger.balance(reading, sent.claims[0])).payer_open == 6500
        assert await claim_payments(reading, sent.claims[0]) == ()


@pytest.mark.parametrize(("withheld", "deposit"), [(500, 3700), (-25, 4225), (4300, -100)])
async def test_a_recovery_is_booked_as_a_takeback(sent: World, withheld: int, deposit: int) -> None:
    item = payment(paid(sent.claims[0], 4200, ("CO", "45", 2300)), withheld=[("WO", withheld)])
    result = await post(sent, item)
    assert result.state == "posted"
    async with sent.database.reading() as reading:
        trial = await trial_balance(reading)
        assert trial[Account.DEPOSITS] == deposit
        assert trial[Account.TAKEBACK] == withheld
        assert trial[Account.CLEARING] == 0
        assert await ledger.verify(reading) == ()


def _payee(qualifier: str, identifier: str, *references: tuple[str, str]) -> PaymentParty:
    return PaymentParty(
        "Somebody", identifier, qualifier, references=tuple(Reference(*one) for one in references)
    )


@pytest.mark.parametrize(
    ("payee", "state"),
    [
        (_payee("XX", "1999900107"), "posted"),
        (_payee("FI", "009990001"), "posted"),
        (_payee("FI", "00-9990001"), "posted"),
        (_payee("XX", "1234567893", ("TJ", "009990001")), "posted"),
        (_payee("", "", ("TJ", "009990001")), "posted"),
        (_payee("", ""), "posted"),
        (_payee("XX", "1234567893"), "suspended"),
        (_payee("FI", "123456789"), "suspended"),
        (_payee("XX", "1234567893", ("TJ", "123456789")), "suspended"),
        (_payee("XX", "009990001X"), "suspended"),
    ],
)
async def test_a_payment_for_another_practice_is_not_posted_as_ours(
    sent: World, payee: PaymentParty, state: str
) -> None:
    item = replace(payment(paid(sent.claims[0], 4200, ("CO", "45", 2300))), payee=payee)
    result = await post(sent, item)
    assert result.state == state
    async with sent.database.transaction() as tx:
        deposited = (await trial_balance(tx))[Account.DEPOSITS]
        assert deposited == (4200 if state == "posted" else 0)
        if state == "suspended":
            (waiting,) = (await ledger.open_items(tx)).suspended
            assert waiting.reason.startswith("the payee is another practice: N1*PE says ")
            assert payee.identifier in waiting.reason
            with pytest.raises(remittances.CannotAccept, match="another practice"):
                await remittances.accept(tx, result.remittance_id, item, two_people=True)
            assert await remittances.return_suspended(tx, result.remittance_id, "theirs", NOW)


async def test_a_copy_for_another_practice_takes_nobodys_place(sent: World) -> None:
    whole = payment(paid(sent.claims[0], 4200, ("CO", "45", 2300)))
    short = replace(whole, claims=(replace(whole.claims[0], charge_cents=6400),))
    assert (await post(sent, short)).state == "suspended"
    other = replace(whole, payee=_payee("XX", "1234567893"))
    assert (await post(sent, other, "other")).state == "suspended"
    assert (await post(sent, whole, "whole")).state == "posted"


async def test_a_payment_before_any_acknowledgment_charges_the_claim(world: World) -> None:
    """The batch is in doubt when the 835 comes; the late answer charges nothing more."""
    number = world.claims[0]
    async with world.database.transaction() as tx:
        await make_version(tx, version_of(number), NOW)
    await post(world, payment(paid(number, 4200, ("CO", "45", 2300))))
    async with world.database.transaction() as tx:
        assert not await ledger.book_charge(tx, number, 1, NOW)
        now = await ledger.balance(tx, number)
        assert (now.charge, now.payer_open) == (6500, 0)


# --- what waits for a person


async def test_a_whole_copy_of_a_suspended_payment_takes_its_place(sent: World) -> None:
    number = sent.claims[0]
    whole = payment(paid(number, 4200, ("CO", "45", 2300)))
    cut = replace(whole, claims=(), complete=False)
    suspended = await post(sent, cut, "cut")
    assert suspended.state == "suspended"
    async with sent.database.reading() as reading:
        (waiting,) = (await ledger.open_items(reading)).suspended
    assert (waiting.trace, waiting.paid, waiting.difference) == ("T1", 4200, 4200)
    result = await post(sent, whole, "whole")
    assert result.state == "posted"
    with pytest.raises(LookupError):
        await post(sent, whole, "again")
    async with sent.database.reading() as reading:
        old = await posted(reading, suspended.remittance_id)
        assert (old.state, old.reason.endswith(f"remittance {result.remittance_id}")) == (
            "duplicate",
            True,
        )
        assert await ledger.open_items(reading) == ledger.OpenItems((), (), ())
        assert (await ledger.balance(reading, number)).payer_open == 0
        assert await ledger.verify(reading) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"paid_cents": 4201},
        {"payment_date": date(2026, 2, 19)},
        {"complete": False},
        {"claims": ()},
    ],
)
async def test_a_copy_that_is_another_payment_or_not_whole_takes_nobodys_place(
    sent: World, changes: dict[str, Any]
) -> None:
    whole = payment(paid(sent.claims[0], 4200, ("CO", "45", 2300)))
    await post(sent, replace(whole, claims=(whole.claims[0],) * 2, complete=False), "cut")
    assert (await post(sent, replace(whole, **changes), "other")).state == "suspended"
    async with sent.database.reading() as reading:
        assert len((await ledger.open_items(reading)).suspended) == 2
        assert await _transfers(reading, remittance_id=1) == []


async def test_a_posted_payment_is_never_replaced(sent: World) -> None:
    first = payment(paid(sent.claims[0], 4200, ("CO", "45", 2300)))
    await post(sent, first)
    other = payment(paid(sent.claims[1], 4200, ("CO", "45", 2300)))
    assert (await post(sent, other, "other")).state == "suspended"


async def test_two_whole_copies_at_once_are_one_payment(sent: World) -> None:
    whole = payment(paid(sent.claims[0], 4200, ("CO", "45", 2300)))
    await post(sent, replace(whole, claims=(), complete=False), "cut")

    async def arrive(name: str) -> remittances.Registered:
        async with sent.database.transaction() as tx:
            return await register(tx, sent, whole, name=name)

    both = await asyncio.gather(arrive("one"), arrive("two"))
    assert sorted(len(item.new) for item in both) == [0, 1]
    assert sum(item.repeated for item in both) == 1


async def test_unapplied_cash_is_listed_by_claim_and_payer_until_it_is_taken_back(
    sent: World,
) -> None:
    number = sent.claims[0]
    first = paid(number, 4200, ("CO", "45", 2300))
    stranger = paid(
        number, 100, ("CO", "45", 6400), control_number="SOMEONE-1", payer_claim_number="ICN-0"
    )
    await post(sent, payment(first))
    await post(sent, payment(first, stranger, trace="T2", withheld=[("CS", 300)]), "second")
    async with sent.database.reading() as reading:
        found = (await ledger.open_items(reading)).unapplied
    assert [(item.claim, item.cents, item.reasons) for item in found] == [
        (number, 4200, ("the claim is paid already and that payment was not reversed",)),
        ("SOMEONE-1", 100, ("no claim of ours",)),
        (None, -300, ("provider adjustment CS",)),
    ]
    assert {item.payer_id for item in found} == {"1FIRST"}
    for trace in ("T3", "T4"):  # the applied one is taken back first, then the other
        await post(sent, payment(reversal(first), trace=trace), trace)
    async with sent.database.reading() as reading:
        found = (await ledger.open_items(reading)).unapplied
    assert [item.claim for item in found] == ["SOMEONE-1", None]


async def test_what_patients_paid_too_much_is_listed(sent: World) -> None:
    number = sent.claims[0]
    async with sent.database.transaction() as tx:
        await ledger.book_patient_payment(tx, number, Cents(1500), "1", NOW)
    await post(sent, payment(paid(number, 3200, ("CO", "45", 2300), ("PR", "3", 1000))))
    async with sent.database.reading() as reading:
        (credit,) = (await ledger.open_items(reading)).patient_credits
    assert (credit.claim_number, credit.cents) == (number, 500)
