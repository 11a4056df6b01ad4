"""A patient's account on both databases: what reaches them is group PR and nothing else."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
from sqlalchemy import text

from groupclaim.cards.port import ChargeResult
from groupclaim.documents.patient import Addressee, Estimate, Letterhead, Rendering
from groupclaim.model.money import Cents
from groupclaim.model.patient import CardConsent
from groupclaim.store import card_notices, cards, estimates, ledger, patient_account
from groupclaim.store.practice import UnknownRecord
from tests.store.world import CHARGE, NOW, PLANTED, World, paid, payment, post, reversal, send_all

REASONS = ["45", "253", "23", "97", "197", "209", "A1", "22", "131", "1", "2", "3"]


async def test_an_account_shows_each_claim_in_parts_that_add_up(world: World) -> None:
    await send_all(world)
    first = world.claims[0]
    await post(world, payment(paid(first, 2700, ("CO", "45", 2300), ("PR", "3", 1500))))
    async with world.database.transaction() as tx:
        await ledger.book_patient_payment(tx, first, Cents(2000), "R1", NOW)
    async with world.database.reading() as reading:
        (mine,) = await patient_account.account(reading, world.patients[0])
        (other,) = await patient_account.account(reading, world.patients[1])
    assert (mine.charge, mine.insurance_paid, mine.adjustments, mine.share) == (
        6500,
        2700,
        2300,
        1500,
    )
    assert (mine.patient_paid, mine.balance) == (2000, -500)
    assert (other.charge, other.share, other.settled) == (6500, 0, False)


async def test_a_charge_of_a_card_is_written_down_once_and_ends_once(world: World) -> None:
    number = world.claims[0]
    await send_all(world)
    await post(world, payment(paid(number, 2700, ("CO", "45", 2300), ("PR", "3", 1500))))
    consent = CardConsent.model_validate(
        {"customer": "cus_1", "payment_method": "pm_1", "most_cents": 5000,
         "signed_on": "2026-01-01"}, strict=False,
    )  # fmt: skip
    async with world.database.transaction() as tx:
        notice = await card_notices.make(tx, number, Cents(1500), NOW.date(), NOW)
        order = await cards.begin(tx, number, Cents(1500), consent, notice, NOW)
        assert await cards.begin(tx, number, Cents(900), consent, notice, NOW) == order
    charged = ChargeResult("charged", "pi_1", Cents(1500))
    async with world.database.transaction() as tx:
        assert await cards.settle(tx, number, order, charged, NOW)
        assert not await cards.settle(tx, number, order, charged, NOW)
        assert not await cards.abandon(tx, number, order, NOW)
        assert await cards.under_way(tx, number) is None
        assert (await ledger.balance(tx, number)).patient_open == 0
        again = await cards.begin(tx, number, Cents(100), consent, notice, NOW)
    assert (order.key, again.key) == (f"card|{number}|1", f"card|{number}|2")


async def test_a_notice_covers_one_charge_of_at_most_its_amount(world: World) -> None:
    number, day = world.claims[0], NOW.date()
    async with world.database.transaction() as tx:
        assert await card_notices.covering(tx, number, Cents(1)) is None
        first = await card_notices.make(tx, number, Cents(1500), day, NOW)
        assert await card_notices.covering(tx, number, Cents(1501)) is None
        assert await card_notices.covering(tx, number, Cents(1400)) == first
        later = day + timedelta(days=10)
        assert await card_notices.told(tx, first, later, "front-desk", NOW)
        assert not await card_notices.told(tx, first, day, "somebody else", NOW)
        (kept,) = await card_notices.of_claim(tx, number)
        assert (kept.charge_on, kept.told_by, kept.told_at) == (later, "front-desk", NOW)
        await card_notices.used(tx, kept, 1)
        assert await card_notices.covering(tx, number, Cents(1400)) is None
        assert (await card_notices.make(tx, number, Cents(1), day, NOW)).number == 2


async def test_an_estimate_is_kept_as_it_was_given_and_nothing_of_it_in_the_clear(
    world: World,
) -> None:
    """Twelve sessions at 65.00: 780.00."""
    letterhead = Letterhead(name="P", address=("a",), phone="1", npi="1", tax_id="1")
    made = Estimate(
        practice=letterhead,
        patient=Addressee(name=PLANTED[0], address=(PLANTED[3],), birth_date=date(1980, 1, 31)),
        provider=Rendering(name="T", credential="psychologist", licence="", npi="1"),
        place=("a",), code="90853", diagnoses=("F33.1",), fee=Cents(6500), sessions=12,
        first=date(2026, 3, 3), last=date(2026, 5, 19), issued_on=NOW.date(),
        dispute_cents=Cents(40_000), dispute_days=120, dispute_fee=Cents(2500),
    )  # fmt: skip
    async with world.database.transaction() as tx:
        kept = {"due_by": date(2026, 2, 6), "work_item_id": None, "by": "front-desk", "at": NOW}
        number = await estimates.keep(tx, world.patients[0], made, **kept)
        await estimates.keep(tx, world.patients[1], made, **kept)
    async with world.database.reading() as reading:
        assert await estimates.read(reading, number) == (made, NOW)
        (own,) = await estimates.given(reading, world.patients[0])
        assert len(await estimates.given(reading)) == 2
        with pytest.raises(UnknownRecord, match="estimate 99"):
            await estimates.read(reading, 99)
        row = await reading.first(text("SELECT * FROM good_faith_estimate"))
    assert (own.id, own.cents, own.sessions, own.due_by) == (number, 78_000, 12, date(2026, 2, 6))
    assert not any(name.encode() in repr(tuple(row)).encode() for name in PLANTED)


async def test_whatever_is_taken_off_only_the_share_reaches_the_patient(world: World) -> None:
    """Whatever a payer writes under CO, OA, PI or CR, of whatever reason, stays off the patient; of
    a qualified beneficiary (N781 to N783) the share does too. Six claims a payment, 25 payments
    made up at random, each taken back before the next."""
    await send_all(world)
    chance = Random(7)
    for round_ in range(25):
        said, shares = [], {}
        for number in world.claims:
            cuts = [
                (chance.choice(["CO", "OA", "PI", "CR"]), chance.choice(REASONS),
                 chance.randint(1, 1500))
                for _ in range(chance.randint(0, 3))
            ]  # fmt: skip
            cuts += [
                ("PR", chance.choice("123"), chance.randint(1, 600))
                for _ in range(chance.randint(0, 2))
            ]
            spared = chance.random() < 0.3
            amount = CHARGE - sum(cents for _, _, cents in cuts)
            remarks = (chance.choice(["N781", "N782", "N783"]),) if spared else ()
            said.append(paid(number, amount, *cuts, remark_codes=remarks))
            due = sum(cents for group, _, cents in cuts if group == "PR")
            shares[number] = 0 if spared else due
        await post(world, payment(*said, trace=f"T{round_}"), f"era {round_}")
        async with world.database.reading() as reading:
            assert await ledger.verify(reading) == ()
            for place, number in enumerate(world.claims):
                (line,) = await patient_account.account(reading, world.patients[place])
                assert line.share == line.balance == shares[number]
        back = [reversal(item) for item in said]
        await post(world, payment(*back, trace=f"B{round_}"), f"back {round_}")
        async with world.database.reading() as reading:
            for patient in world.patients:
                (line,) = await patient_account.account(reading, patient)
                assert line.balance == 0
