"""The ledger against a model of a few lines: whatever comes, in any order and however often."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from groupclaim.lifecycle.state import ClaimState, Hold, Stage, Step
from groupclaim.model.money import Cents
from groupclaim.store import claims, ledger
from groupclaim.store.database import Transaction
from groupclaim.store.ledger import Account, Booking, KeyReused, Violation
from groupclaim.store.schema import remittance, transfer
from groupclaim.x12.remittance import ClaimPayment
from tests.store.world import (
    NOW,
    World,
    paid,
    payment,
    post,
    post_in,
    reversal,
    send_all,
    trial_balance,
    version_of,
)

CHARGES = {1: 6500, 2: 7000}


async def test_a_booking_happens_once(world: World) -> None:
    booking = Booking("k", "deposit", Account.DEPOSITS, Account.CLEARING, 500)
    async with world.database.transaction() as tx:
        assert await ledger.book(tx, booking, NOW)
        assert not await ledger.book(tx, booking, NOW)
        with pytest.raises(KeyReused):
            await ledger.book(tx, replace(booking, cents=501), NOW)
        assert not await ledger.book(tx, replace(booking, key="k0", cents=0), NOW)
        assert await ledger.book(tx, replace(booking, key="k1", cents=-200), NOW)
        rows = await tx.rows(
            select(transfer.c.debit, transfer.c.credit, transfer.c.cents).order_by(transfer.c.id)
        )
    assert [tuple(row) for row in rows] == [
        ("deposits", "clearing", 500),
        ("clearing", "deposits", 200),
    ]


async def test_a_patient_payment_settles_what_is_open_and_holds_the_rest(world: World) -> None:
    await send_all(world)
    number = world.claims[0]
    await post(world, payment(paid(number, 4883, ("CO", "45", 1000), ("PR", "2", 617))))
    async with world.database.transaction() as tx:
        assert await ledger.book_patient_payment(tx, number, Cents(1000), "card-1", NOW)
        assert not await ledger.book_patient_payment(tx, number, Cents(1000), "card-1", NOW)
        with pytest.raises(KeyReused):
            await ledger.book_patient_payment(tx, number, Cents(617), "card-1", NOW)
        with pytest.raises(ValueError, match="above zero"):
            await ledger.book_patient_payment(tx, number, Cents(0), "card-2", NOW)
        now = await ledger.balance(tx, number)
        assert await ledger.verify(tx) == ()
    assert (now.patient_receivable, now.prepaid, now.patient_open) == (0, 383, -383)


async def test_what_a_patient_paid_too_much_can_go_back(world: World) -> None:
    await send_all(world)
    number = world.claims[0]
    await post(world, payment(paid(number, 4883, ("CO", "45", 1000), ("PR", "2", 617))))
    async with world.database.transaction() as tx:
        await ledger.book_patient_payment(tx, number, Cents(1000), "card-1", NOW)
        for _ in range(2):
            await ledger.book_patient_refund(tx, number, Cents(383), "card-1", NOW)
        now = await ledger.balance(tx, number)
        assert (now.patient_receivable, now.prepaid) == (0, 0)
        await ledger.book_patient_refund(tx, number, Cents(617), "all", NOW)
        assert (await ledger.balance(tx, number)).patient_open == 617
        assert (await trial_balance(tx))[Account.PATIENT_CASH] == 0
        assert await ledger.verify(tx) == ()


async def test_what_a_patient_paid_is_held_for_them_when_the_payer_takes_their_share_back(
    world: World,
) -> None:
    """Paid 6.17; corrected, 4.00 of it is theirs: 2.17 is held for them, and they owe nothing."""
    await send_all(world)
    number = world.claims[0]
    before = paid(number, 4883, ("CO", "45", 1000), ("PR", "2", 617))
    await post(world, payment(before))
    async with world.database.transaction() as tx:
        await ledger.book_patient_payment(tx, number, Cents(617), "card-1", NOW)
    after = paid(number, 5100, ("CO", "45", 1000), ("PR", "2", 400))
    await post(world, payment(reversal(before), trace="T2"), "second")
    async with world.database.reading() as reading:
        now = await ledger.balance(reading, number)
    assert (now.patient_receivable, now.prepaid) == (0, 617)
    await post(world, payment(after, trace="T3"), "third")
    async with world.database.reading() as reading:
        now = await ledger.balance(reading, number)
        assert (now.patient_receivable, now.prepaid, now.patient_open) == (0, 217, -217)
        assert await ledger.verify(reading) == ()


async def test_what_is_paid_in_advance_is_applied_when_it_becomes_due(world: World) -> None:
    number = world.claims[0]
    async with world.database.transaction() as tx:
        await ledger.book_copay(tx, number, Cents(1500), NOW)
        assert (await ledger.balance(tx, number)).prepaid == 1500
    await send_all(world, world.claims[:1])  # records attendance: no copay after all
    async with world.database.transaction() as tx:
        assert (await ledger.balance(tx, number)).prepaid == 0
        await ledger.book_copay(tx, number, Cents(1500), NOW)
    await post(world, payment(paid(number, 4000, ("CO", "45", 500), ("PR", "3", 2000))))
    async with world.database.reading() as reading:
        now = await ledger.balance(reading, number)
        assert (now.patient_receivable, now.prepaid, now.patient_open) == (500, 0, 500)
        assert await ledger.verify(reading) == ()


async def test_a_shortfall_written_off_is_no_longer_open(world: World) -> None:
    await send_all(world)
    number = world.claims[0]
    result = await post(world, payment(paid(number, 3000, ("CO", "45", 3500))))
    async with world.database.transaction() as tx:
        await ledger.book_underpayment(tx, number, result.remittance_id, 1, Cents(1200), NOW)
        for _ in range(2):
            await ledger.write_off(tx, number, Cents(1200), "release-1", NOW)
        now = await ledger.balance(tx, number)
        assert (now.payer_open, now.applied) == (0, 6500)
        assert (await trial_balance(tx))[Account.WRITE_OFF] == 1200


async def test_no_more_is_reopened_than_was_taken_off_as_contractual(world: World) -> None:
    await send_all(world)
    number = world.claims[0]
    result = await post(world, payment(paid(number, 6000, ("CO", "45", 500))))
    async with world.database.transaction() as tx:
        await ledger.book_underpayment(tx, number, result.remittance_id, 1, Cents(9000), NOW)
        assert (await ledger.balance(tx, number)).payer_open == 500


async def test_a_copay_of_who_is_not_billed_is_found_unless_its_refund_is_awaited(
    world: World,
) -> None:
    number = world.claims[0]
    refund = Hold(code="REFUND_DUE", redo=Step.SETTLE_BALANCE, since=NOW, releasable=False)
    state = ClaimState(claim_number=number, stage=Stage.NOT_BILLABLE, sequence=9, reason="NO_SHOW")
    async with world.database.transaction() as tx:
        await ledger.book_copay(tx, number, Cents(1500), NOW)
        await claims.record_progress(tx, state, NOW)
        (found,) = await ledger.verify(tx)
        assert (found.subject, found.found) == (f"claim {number}", 1500)
        awaited = state.model_copy(update={"sequence": 10, "hold": refund})
        await claims.record_progress(tx, awaited, NOW)
        assert await ledger.verify(tx) == ()


# --- what verify finds


async def _smuggle(tx: Transaction, **row: object) -> None:
    values = {"key": "smuggled", "posted_at": NOW, "kind": "payment", "cents": 7} | row
    await tx.execute(insert(transfer).values(values))


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"debit": "pocket", "credit": "charges"}, "a transfer moves cents between two accounts"),
        ({"debit": "deposits", "credit": "clearing"}, "money of a payer belongs to a remittance"),
        (
            {"debit": "deposits", "credit": "clearing", "remittance": True},
            "a payment is deposited once",
        ),
        (
            {"debit": "clearing", "credit": "payer_receivable", "remittance": True, "claim": True},
            "what is paid is moved",
        ),
        (
            {
                "debit": "patient_receivable",
                "credit": "payer_receivable",
                "remittance": True,
                "claim": True,
            },
            "only group PR reaches a patient",
        ),
        (
            {"debit": "payer_receivable", "credit": "charges", "claim": True},
            "the charge is a version's charge",
        ),
    ],
)
async def test_verify_names_what_does_not_add_up(
    world: World, row: dict[str, object], rule: str
) -> None:
    await send_all(world)
    number = world.claims[0]
    result = await post(world, payment(paid(number, 4200, ("CO", "45", 2300))))
    smuggled = {name: row[name] for name in ("debit", "credit")}
    if "remittance" in row:
        smuggled |= {"remittance_id": result.remittance_id, "remittance_position": 1}
    if "claim" in row:
        smuggled["claim_number"] = number
    async with world.database.transaction() as tx:
        assert await ledger.verify(tx) == ()
        await _smuggle(tx, **smuggled)
        assert rule in {found.rule for found in await ledger.verify(tx)}


async def test_a_closed_claim_with_something_open_is_found(world: World) -> None:
    await send_all(world)
    number = world.claims[0]
    state = ClaimState(claim_number=number, sequence=9, stage=Stage.CLOSED, version=1)
    async with world.database.transaction() as tx:
        await claims.record_progress(tx, state, NOW)
        assert await ledger.verify(tx) == (
            Violation("nothing is open on a closed claim", f"claim {number}", 0, 6500),
        )


async def test_a_suspended_payment_with_transfers_is_found(world: World) -> None:
    await send_all(world)
    off = payment(paid(world.claims[0], 4200, ("CO", "45", 2300)), amount=1)
    result = await post(world, off)
    async with world.database.transaction() as tx:
        await _smuggle(tx, debit="deposits", credit="clearing", remittance_id=result.remittance_id)
        (found,) = [v for v in await ledger.verify(tx) if "suspended" in v.rule]
    assert found.subject == f"remittance {result.remittance_id}"


# --- any order, any repetition

REMITTED: dict[str, tuple[int, int, int]] = {
    # paid, contractual, patient share; the rest of 65.00 stays open
    "first": (3000, 2000, 1500),
    "corrected": (3200, 1800, 1300),
}


def _remitted(name: str, number: str) -> ClaimPayment:
    if name == "denied":
        return paid(number, 0, ("CO", "197", 6500), status="4")
    if name == "reversed":
        return reversal(_remitted("first", number))
    amount, contractual, share = REMITTED[name]
    rest = 6500 - amount - contractual - share
    cuts = [("CO", "45", contractual), ("PR", "3", share), ("PI", "22", rest)]
    return paid(number, amount, *(cut for cut in cuts if cut[2]))


@dataclass
class Model:
    """What one claim should say, kept in the plainest way."""

    version: int = 0
    copay: int = 0
    paid_by_patient: dict[str, int] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    in_force: str = ""
    held: list[str] = field(default_factory=list)
    underpayment: int | None = None
    written_off: int = 0

    def accept(self, version: int) -> None:
        self.version = max(self.version, version)

    def remit(self, name: str) -> None:
        if name in self.told:
            return
        self.told.add(name)
        if name == "denied":
            self.accept(1)
        else:
            self.held.append(name)
            self._find_place(name)
        while any(self._find_place(held) for held in tuple(self.held)):
            pass

    def _find_place(self, name: str) -> bool:
        """Whether what is held can be applied now: a reversal takes back what it mirrors, in force
        or held itself; a payment needs that no other is in force."""
        if name == "reversed" and self.in_force == "first":
            self.in_force, self.underpayment = "", None
        elif name == "reversed" and "first" in self.held:
            self.held.remove("first")
        elif name != "reversed" and not self.in_force:
            self.accept(1)
            self.in_force = name
        else:
            return False
        self.held.remove(name)
        return True

    def underpay(self, owed: int) -> None:
        if self.in_force == "first" and self.underpayment is None:
            booked = max(0, min(owed - self.payer_open, REMITTED["first"][1]))
            self.underpayment = booked or None

    @property
    def payer_open(self) -> int:
        open_now = CHARGES.get(self.version, 0) - self.written_off
        if self.in_force:
            open_now -= sum(REMITTED[self.in_force]) - (self.underpayment or 0)
        return open_now

    @property
    def patient_open(self) -> int:
        share = REMITTED[self.in_force][2] if self.in_force else 0
        return share - self.copay - sum(self.paid_by_patient.values())

    @property
    def unapplied(self) -> int:
        return sum(
            -REMITTED["first"][0] if name == "reversed" else REMITTED[name][0] for name in self.held
        )


STEPS = st.one_of(
    st.tuples(st.just("accept"), st.sampled_from([1, 2])),
    st.tuples(st.just("copay"), st.sampled_from([0, 500, 2000])),
    st.tuples(st.just("patient"), st.sampled_from(["a", "b"])),
    st.tuples(st.just("remit"), st.sampled_from(["first", "corrected", "denied", "reversed"])),
    st.tuples(st.just("underpay"), st.sampled_from([400, 9000])),
    st.tuples(st.just("write_off"), st.just(300)),
)
PATIENT_PAYS = {"a": 700, "b": 1100}


class _RollBack(Exception):
    """Ends an example: nothing of it stays."""


@given(steps=st.lists(STEPS, max_size=14))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_any_order_and_repetition_gives_what_a_simple_model_says(
    world: World, steps: list[tuple[str, object]]
) -> None:
    number = world.claims[0]

    async def example() -> None:
        async with world.database.transaction() as tx:
            for version, charge in CHARGES.items():
                await claims.make_version(tx, version_of(number, version, charge), NOW)
            model = Model()
            for step in steps:
                await _play(tx, world, number, model, step)
            await _compare(tx, number, model)
            raise _RollBack

    with pytest.raises(_RollBack):
        await example()


async def _play(
    tx: Transaction, world: World, number: str, model: Model, step: tuple[str, object]
) -> None:
    match step:
        case ("accept", int(version)):
            await ledger.book_charge(tx, number, version, NOW)
            model.accept(version)
        case ("copay", int(cents)):
            await ledger.book_copay(tx, number, Cents(cents), NOW)
            model.copay = cents
        case ("patient", str(key)):
            cents = PATIENT_PAYS[key]
            await ledger.book_patient_payment(tx, number, Cents(cents), key, NOW)
            model.paid_by_patient[key] = cents
        case ("remit", str(name)):
            item = payment(_remitted(name, number), trace=name)
            assert (await post_in(tx, world, item, name)).state == "posted"
            model.remit(name)
        case ("underpay", int(owed)):
            first = await tx.scalar(select(remittance.c.id).where(remittance.c.trace == "first"))
            if first is not None:
                await ledger.book_underpayment(tx, number, first, 1, Cents(owed), NOW)
            model.underpay(owed)
        case ("write_off", int(cents)):
            await ledger.write_off(tx, number, Cents(cents), "once", NOW)
            model.written_off = cents


async def _compare(tx: Transaction, number: str, model: Model) -> None:
    now = await ledger.balance(tx, number)
    trial = await trial_balance(tx)
    assert (now.charge, now.payer_open, now.patient_open) == (
        CHARGES.get(model.version, 0),
        model.payer_open,
        model.patient_open,
    )
    assert sum(trial.values()) == 0
    assert trial[Account.CLEARING] == 0
    assert trial[Account.UNAPPLIED] == -model.unapplied - now.prepaid
    assert await ledger.verify(tx) == ()
