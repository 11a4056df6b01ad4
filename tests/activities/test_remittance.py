"""Payments: posted once and whole, or kept in suspense; each claim is told what stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from activities import steps
from activities.remittance import denial_cause
from groupclaim import x12
from groupclaim.lifecycle.events import HoldReleased, PatientPaid, RemittancePosted
from groupclaim.lifecycle.state import Consent, Stage
from groupclaim.model.claim import Adjustment, ClaimPayment
from groupclaim.model.identity import control_number
from groupclaim.model.money import Cents
from groupclaim.store import batches, claims, files, ledger
from tests.activities.house import START, House

ROSTER = {"S1": ("P04", "P06")}
"""Both pay a flat contract rate: 25.20 without a share, 28.15 with a copay of 15.00."""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with House(tmp_path, ROSTER) as made:
        await made.until_sent()
        yield made


def paid(claim: str, paid_cents: int, *adjustments: tuple[str, str, int]) -> x12.ClaimPayment:
    parts = tuple(x12.Adjustment(*item) for item in adjustments)
    line = x12.LinePayment(
        "90853", 6000, paid_cents, adjustments=parts, service_date=date(2026, 2, 3)
    )
    share = sum(item.cents for item in parts if item.group_code == "PR")
    return x12.ClaimPayment(
        control_number(claim, 1), "1", 6000, paid_cents, share, "MC", "ICN7", lines=(line,)
    )


def taken_back(before: x12.ClaimPayment) -> x12.ClaimPayment:
    (line,) = before.lines
    cuts = tuple(replace(item, cents=-item.cents) for item in line.adjustments)
    back = replace(line, charge_cents=-6000, paid_cents=-line.paid_cents, adjustments=cuts)
    return replace(
        before,
        status="22",
        charge_cents=-6000,
        paid_cents=-before.paid_cents,
        patient_responsibility_cents=-before.patient_responsibility_cents,
        lines=(back,),
    )


def x835(
    *payments: x12.ClaimPayment,
    trace: str = "T1",
    total: int | None = None,
    withheld: tuple[x12.ProviderAdjustment, ...] = (),
    on: date = date(2026, 2, 20),
) -> bytes:
    sum_paid = sum(item.paid_cents for item in payments) - sum(item.cents for item in withheld)
    payment = x12.Payment(
        trace_number=trace,
        payer_identifier="1999999999",
        payment_date=on,
        paid_cents=sum_paid if total is None else total,
        payer=x12.PaymentParty("PAYER", "SIMTXM", "XV"),
        payee=x12.PaymentParty("PRACTICE", "1999900107", "XX"),
        claims=payments,
        provider_adjustments=withheld,
    )
    envelope = x12.Envelope(
        sender_id="SIMCLEAR01",
        receiver_id="MAKEBELIEVE01",
        interchange_control_number=7,
        group_control_number=7,
        at=datetime(2026, 2, 20, tzinfo=UTC),
        test=True,
    )
    return x12.build_835(envelope, (payment,), 1)


async def arrives(house: House, content: bytes) -> steps.FileRef:
    async with house.database.transaction() as tx:
        digest = await files.keep_file(
            tx, house.connection_id, "inbound", "835", "835.edi", content, START
        )
    return steps.FileRef(digest=digest, connection_id=house.connection_id)


async def balance(house: House, claim: str) -> ledger.Balance:
    async with house.database.reading() as reading:
        return await ledger.balance(reading, claim)


async def test_a_payment_registered_and_posted_twice_is_one_payment(house: House) -> None:
    claim = await house.claim_of("S1", "P04")
    file = await arrives(house, x835(paid(claim, 2520, ("CO", "45", 3480))))
    first = await house.perform(steps.REGISTER_REMITTANCES, file)
    assert await house.perform(steps.REGISTER_REMITTANCES, file) == first
    ref = steps.RemittanceRef(remittance_id=first.new[0])
    posted = await house.perform(steps.POST_REMITTANCE, ref)
    assert (posted.state, posted.claims, posted.difference_cents) == ("posted", 1, 0)
    transfers = await house.rows(text("SELECT COUNT(*) AS n FROM transfer"))
    assert await house.perform(steps.POST_REMITTANCE, ref) == posted
    assert await house.rows(text("SELECT COUNT(*) AS n FROM transfer")) == transfers
    for _ in range(2):
        await house.perform(steps.ANNOUNCE_REMITTANCE, ref)
    events = [what for _, _, what in house.switchboard.signals]
    assert len(events) == 2
    assert all(isinstance(event, RemittancePosted) for event in events)
    assert events[0] == events[1]
    await house.settle()
    assert house.states[claim].stage == "closed"
    assert (await balance(house, claim)).payer_open == 0


async def test_a_payment_that_does_not_balance_stands_whole_in_suspense(house: House) -> None:
    claim = await house.claim_of("S1", "P04")
    content = x835(paid(claim, 2520, ("CO", "45", 3480)), total=2500)
    file = await arrives(house, content)
    (remittance_id,) = (await house.perform(steps.REGISTER_REMITTANCES, file)).new
    before = await balance(house, claim)
    posted = await house.perform(
        steps.POST_REMITTANCE, steps.RemittanceRef(remittance_id=remittance_id)
    )
    assert (posted.state, posted.difference_cents) == ("suspended", -20)
    assert await balance(house, claim) == before


async def test_a_denial_is_told_with_its_cause_and_moves_no_money(house: House) -> None:
    claim = await house.claim_of("S1", "P04")
    file = await arrives(house, x835(paid(claim, 0, ("CO", "197", 6000))))
    await house.take_in(file)
    ((workflow_id, signal, event),) = house.switchboard.signals
    assert (workflow_id, signal) == (f"claim/{claim}", "remit_835")
    assert isinstance(event, RemittancePosted)
    assert (event.denied, event.cause, event.version) == (True, "CO-197", 1)
    await house.settle()
    hold = house.states[claim].hold
    assert hold is not None
    assert hold.code == "DENIED"
    assert (await balance(house, claim)).payer_open == 6000


async def test_a_deductible_is_no_denial_though_nothing_is_paid(house: House) -> None:
    claim = await house.claim_of("S1", "P04")
    content = x835(paid(claim, 0, ("CO", "45", 3480), ("PR", "1", 2520)))
    await house.take_in(await arrives(house, content))
    ((_, _, event),) = house.switchboard.signals
    assert isinstance(event, RemittancePosted)
    assert not event.denied
    await house.settle()
    assert house.states[claim].stage == "patient_balance"


async def test_money_for_nobody_of_ours_is_told_to_nobody(house: House) -> None:
    stranger = replace(paid("GC0000000000X", 2520, ("CO", "45", 3480)), control_number="STRANGE")
    await house.take_in(await arrives(house, x835(stranger)))
    assert not house.switchboard.signals
    rows = await house.rows(text("SELECT posting FROM remittance_claim"))
    assert [row.posting for row in rows] == ["unapplied"]


async def test_a_reversal_without_correction_leaves_the_claim_with_its_payer(
    house: House,
) -> None:
    claim = await house.claim_of("S1", "P04")
    await house.take_in(await arrives(house, x835(paid(claim, 2520, ("CO", "45", 3480)))))
    await house.settle()
    reversal = taken_back(paid(claim, 2520, ("CO", "45", 3480)))
    await house.take_in(await arrives(house, x835(reversal, trace="T2")))
    await house.settle()
    state = house.states[claim]
    assert (state.stage, state.hold) == ("accepted", None)
    assert state.due_at is not None  # the payer's new decision is awaited
    assert (await balance(house, claim)).payer_open == 6000
    (shown,) = await house.rows(
        text(f"SELECT reason, stage FROM participant_standing WHERE claim_number = '{claim}'")
    )
    assert (shown.reason, shown.stage) == ("", "accepted")
    (money,) = await house.rows(
        text(f"SELECT allowed_cents, paid_cents FROM claim_money WHERE claim_number = '{claim}'")
    )
    assert (money.allowed_cents, money.paid_cents) == (0, 0)


async def test_the_share_of_a_qualified_beneficiary_goes_to_nobody_where_no_medicaid_is_on_file(
    house: House,
) -> None:
    claim = await house.claim_of("S1", "P04")
    # Allowed are 25.20; 20 % of it, 5.04, nobody may be asked for.
    said = paid(claim, 2016, ("CO", "45", 3480), ("OA", "209", 504))
    await house.take_in(await arrives(house, x835(said)))
    await house.settle()
    assert house.states[claim].stage == "closed"
    left = await balance(house, claim)
    assert (left.payer_open, left.patient_open) == (0, 0)
    (given_up,) = await house.rows(
        text(f"SELECT debit, credit, cents FROM transfer WHERE claim_number = '{claim}'"
             " AND kind = 'share_given_up'")
    )  # fmt: skip
    assert tuple(given_up) == ("other_adjustment", "payer_receivable", 504)
    # Taken back, the whole charge is the payer's again.
    await house.take_in(await arrives(house, x835(taken_back(said), trace="T2")))
    await house.settle()
    assert house.states[claim].stage == "accepted"
    assert (await balance(house, claim)).payer_open == 6000


async def release(house: House, claim: str, key: str) -> None:
    hold = house.states[claim].hold
    assert hold is not None
    await house.happens(claim, HoldReleased(at=START, key=key, code=hold.code))


async def test_every_released_shortfall_is_written_off_and_each_once(house: House) -> None:
    claim = await house.claim_of("S1", "P06")
    short = paid(claim, 710, ("CO", "45", 3790), ("PR", "3", 1500))
    await house.take_in(await arrives(house, x835(short)))
    await house.settle()
    assert (await balance(house, claim)).payer_open == 605
    state = house.states[claim]
    consent = Consent(key="release:one", payer_open=605)
    step = steps.ClaimStep(claim_number=claim, sequence=state.sequence, version=1, consent=consent)
    await release(house, claim, "release:one")
    assert house.states[claim].stage == "closed"
    # A retry of the step, and one that comes when something else is open.
    for open_now in (0, 605):
        async with house.database.transaction() as tx:
            await ledger.write_off(tx, claim, Cents(-open_now), "reopened by hand", START)
        assert (await house.perform(steps.SETTLE_BALANCE, step)).payer_open == open_now
    async with house.database.transaction() as tx:
        await ledger.write_off(tx, claim, Cents(605), "given up by hand", START)
    # The payer takes everything back and decides as before: as much is open again, and released.
    await house.take_in(await arrives(house, x835(taken_back(short), short, trace="T2")))
    await house.settle()
    await release(house, claim, "release:two")
    after = await balance(house, claim)
    assert (after.payer_open, after.patient_open) == (0, 0)
    assert house.states[claim].stage == "closed"


async def test_no_more_is_written_off_than_was_shown(house: House) -> None:
    claim = await house.claim_of("S1", "P06")
    short = paid(claim, 710, ("CO", "45", 3790), ("PR", "3", 1500))
    await house.take_in(await arrives(house, x835(short)))
    await house.settle()
    async with house.database.transaction() as tx:
        await ledger.write_off(tx, claim, Cents(600), "meanwhile", START)
    await release(house, claim, "release:one")
    assert (await balance(house, claim)).payer_open == 5
    hold = house.states[claim].hold
    assert hold is not None
    assert hold.payer_open == 5
    async with house.database.transaction() as tx:
        await ledger.write_off(tx, claim, Cents(-100), "meanwhile too", START)
    await release(house, claim, "release:two")
    assert (await balance(house, claim)).payer_open == 100


async def test_to_keep_what_the_contract_does_not_give_is_no_word_on_another_balance(
    house: House,
) -> None:
    claim = await house.claim_of("S1", "P06")
    much = paid(claim, 4500, ("PR", "3", 1500))
    await house.take_in(await arrives(house, x835(much)))
    await house.settle()
    state = house.states[claim]
    assert state.hold is not None
    assert (state.stage, state.hold.code) == ("payment_audit", "OVERPAYMENT_REVIEW")
    async with house.database.transaction() as tx:
        await ledger.write_off(tx, claim, Cents(300), "a balance nobody was shown", START)
    await release(house, claim, "release:one")
    state = house.states[claim]
    assert state.hold is not None
    assert (state.hold.code, state.hold.payer_open) == ("OVERPAYMENT_REVIEW", -300)
    assert (await balance(house, claim)).payer_open == -300
    await release(house, claim, "release:two")
    assert (await balance(house, claim)).payer_open == 0


async def test_what_the_patient_pays_too_much_waits_for_its_refund(house: House) -> None:
    claim = await house.claim_of("S1", "P06")
    await house.take_in(
        await arrives(house, x835(paid(claim, 1315, ("CO", "45", 3185), ("PR", "3", 1500))))
    )
    await house.settle()
    async with house.database.transaction() as tx:
        await ledger.book_patient_payment(tx, claim, Cents(100), "receipt-1", START)
        kept = await claims.load_state(tx, claim)
    assert kept.stage == "closed"
    await house.happens(claim, PatientPaid(at=START, key="receipt-1"))
    hold = house.states[claim].hold
    assert hold is not None
    assert (hold.code, hold.releasable) == ("REFUND_DUE", False)
    assert house.states[claim].due_at is not None
    async with house.database.transaction() as tx:
        await ledger.book_patient_refund(tx, claim, Cents(100), "refund-1", START)
    await house.happens(claim, PatientPaid(at=START, key="refund-1"))
    assert house.states[claim].ended
    async with house.database.reading() as reading:
        assert await ledger.verify(reading) == ()


async def test_what_is_paid_takes_a_waiting_version_out_of_the_queue(house: House) -> None:
    claim = await house.claim_of("S1", "P04")
    async with house.database.transaction() as tx:
        first = await claims.read_version(tx, claim, 1)
        second = first.model_copy(update={"version": 2, "control_number": control_number(claim, 2)})
        await claims.make_version(tx, second, START)
        await batches.queue_claim(tx, claim, 2, house.connection_id, START)
    house.states[claim] = house.states[claim].model_copy(
        update={"stage": Stage.READY, "version": 2}
    )
    await house.take_in(await arrives(house, x835(paid(claim, 2520, ("CO", "45", 3480)))))
    await house.settle()
    assert house.states[claim].stage == "closed"
    assert await house.cut("2") is None


@pytest.mark.parametrize(
    ("adjustments", "cause"),
    [
        ((("CO", "45", 3000), ("CO", "197", 3000)), "CO-197"),
        ((("CO", "16", 100), ("PI", "29", 5900)), "PI-29"),
        ((("CO", "45", 6000),), "CO-45"),
        ((), None),
    ],
)
def test_the_cause_is_the_largest_adjustment_that_no_contract_explains(
    adjustments: tuple[tuple[str, str, int], ...], cause: str | None
) -> None:
    payment = ClaimPayment(
        remittance_id=1,
        position=1,
        control_number="X",
        status="4",
        charge=Cents(6000),
        paid=Cents(0),
        patient=Cents(0),
        allowed=None,
        payer_claim_number=None,
        adjustments=tuple(
            Adjustment(group=group, reason=reason, cents=Cents(cents))
            for group, reason, cents in adjustments
        ),
    )
    assert denial_cause(payment) == cause
