"""Whose the interest of a late payment is.

Claims of 65.00, received on 2026-02-03 and paid 42.00 on 2027-03-05, day 395. Virginia gives 6 % a
year from day 30: 42.00 x 6 % x 365 / 365 = 2.52 for each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from activities.interest import interest_paid
from groupclaim.model.money import Cents
from groupclaim.rules.line_audit import audit_interest
from groupclaim.store import claims, remittances, unapplied
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from groupclaim.store.ledger import Account
from groupclaim.x12.parts import Amount
from groupclaim.x12.remittance import ClaimPayment, ProviderAdjustment
from tests.rules.made import policy
from tests.store.world import NOW, World, load_world, paid, payment, post, send_all

LATE = date(2027, 3, 5)
VIRGINIA = policy("virginia-commercial")
ZONE = ZoneInfo("America/Chicago")
CONTRACT = ("CO", "45", 2300)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    url = f"sqlite:///{tmp_path}/store.db"
    migrate(url)
    database = Database.connect(url, Keyring.generate())
    world = await load_world(database)
    await send_all(world)
    yield world
    await database.close()


async def remit(
    world: World, *items: ClaimPayment, interest: int, about: str = "", trace: str = "T1"
) -> int:
    """Pay these claims late, with so much interest beside them."""
    whole = payment(*items, trace=trace, withheld=[("L6", -interest)], payment_date=LATE)
    named = (ProviderAdjustment("1999900107", "L6", -interest, about),)
    return (await post(world, replace(whole, provider_adjustments=named), trace)).remittance_id


async def of_each(world: World, count: int) -> list[tuple[int | None, int]]:
    """For each claim the interest that came, and what is still owed by law."""
    found = []
    async with world.database.reading() as reading:
        for number in world.claims[:count]:
            (decided,) = await remittances.claim_payments(reading, number)
            came = await interest_paid(reading, VIRGINIA, ZONE, number, decided)
            late = audit_interest(
                VIRGINIA,
                await claims.read_version(reading, number, 1),
                decided,
                received_on=date(2026, 2, 3),
                paid_on=LATE,
                interest=came or Cents(0),
            )
            found.append((came, late.shortfall if late else Cents(0)))
    return [(None if came is None else int(came), int(owed)) for came, owed in found]


@pytest.mark.parametrize(
    ("interest", "expected"),
    [
        (756, [(252, 0), (252, 0), (252, 0)]),
        (900, [(252, 0), (252, 0), (252, 0)]),
        (600, [(252, 0), (252, 0), (96, 156)]),
        (0, [(0, 252), (0, 252), (0, 252)]),
    ],
)
async def test_interest_for_all_is_set_against_what_each_is_owed(
    world: World, interest: int, expected: list[tuple[int, int]]
) -> None:
    await remit(world, *(paid(n, 4200, CONTRACT) for n in world.claims[:3]), interest=interest)
    assert await of_each(world, 3) == expected


async def test_interest_that_names_its_claim_is_that_ones(world: World) -> None:
    items = [paid(number, 4200, CONTRACT) for number in world.claims[:2]]
    await remit(world, *items, interest=252, about=f"{world.claims[1]}A")
    assert await of_each(world, 2) == [(0, 252), (252, 0)]


async def test_the_payer_says_what_of_it_is_each_claims(world: World) -> None:
    """AMT*I of 3.00 and 1.56 make the 4.56 of the L6; where they do not, nobody has to believe."""
    for place, total in ((0, 456), (2, 500)):
        first, second = world.claims[place : place + 2]
        items = (
            paid(first, 4200, CONTRACT, amounts=(Amount("I", 300),)),
            paid(second, 4200, CONTRACT, amounts=(Amount("I", 156),)),
        )
        await remit(world, *items, interest=total, trace=f"T{place}")
    assert await of_each(world, 4) == [(300, 0), (156, 96), (252, 0), (248, 4)]


async def test_interest_inside_a_claim_leaves_the_rest_to_the_others(world: World) -> None:
    inside = paid(world.claims[0], 4452, CONTRACT, ("OA", "225", -252))
    await remit(world, inside, paid(world.claims[1], 4200, CONTRACT), interest=252)
    assert await of_each(world, 2) == [(0, 0), (252, 0)]


async def test_interest_that_comes_later_or_is_taken_back_counts(world: World) -> None:
    number, other = world.claims[:2]
    await remit(world, paid(number, 4200, CONTRACT), interest=0)
    await remit(world, paid(other, 4200, CONTRACT), interest=252, about=f"{number}A", trace="T2")
    assert await of_each(world, 2) == [(252, 0), (0, 252)]
    third = paid(world.claims[2], 4200, CONTRACT)
    await remit(world, third, interest=-252, about=f"{number}A", trace="T3")
    assert await of_each(world, 1) == [(0, 252)]


async def test_what_a_person_found_to_be_interest_is_interest(world: World) -> None:
    whole = payment(
        paid(world.claims[0], 4200, CONTRACT), withheld=[("CS", -252)], payment_date=LATE
    )
    key = (await post(world, whole)).remittance_id
    assert await of_each(world, 1) == [(0, 252)]
    async with world.database.transaction() as tx:
        await unapplied.settle_provider_adjustment(tx, key, 1, Account.INTEREST, NOW)
    assert await of_each(world, 1) == [(252, 0)]
