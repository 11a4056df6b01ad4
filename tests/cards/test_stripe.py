"""Stripe as a stand-in speaks it: one charge for one key, whatever becomes of the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import httpx2
import pytest
from pydantic import SecretStr

from groupclaim.cards.port import ChargeOrder, ChargeResult, InDoubt, Misconfigured, NotAnswered
from groupclaim.cards.stripe import StripeCards
from groupclaim.model.money import Cents
from tests.cards.stand_in import SECRET, StandIn

ORDER = ChargeOrder(
    key="card|GC0000000000X|1",
    cents=Cents(603),
    customer="cus_1",
    payment_method="pm_1",
    begun_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
)
CHARGED = ChargeResult("charged", "pi_1", Cents(603))


@pytest.fixture
def stripe() -> StandIn:
    return StandIn()


@pytest.fixture
async def cards(stripe: StandIn) -> AsyncIterator[StripeCards]:
    adapter = StripeCards(
        SecretStr(SECRET),
        "http://stripe",
        transport=httpx2.ASGITransport(stripe.application()),
    )
    yield adapter
    await adapter.close()


async def test_a_charge_names_its_key_twice_and_nothing_personal(
    stripe: StandIn, cards: StripeCards
) -> None:
    assert await cards.charge(ORDER) == CHARGED
    (sent,) = stripe.requests
    assert sent == {
        "amount": "603",
        "currency": "usd",
        "customer": "cus_1",
        "payment_method": "pm_1",
        "off_session": "true",
        "confirm": "true",
        "metadata[groupclaim_charge]": ORDER.key,
        "key": ORDER.key,
    }


async def test_the_same_order_again_charges_nothing_more(
    stripe: StandIn, cards: StripeCards
) -> None:
    assert await cards.charge(ORDER) == await cards.charge(ORDER)
    assert stripe.charged == [603]


async def test_an_answer_that_is_lost_after_charging_leaves_doubt_until_it_is_asked(
    stripe: StandIn, cards: StripeCards
) -> None:
    stripe.lose_answers = 1
    with pytest.raises(InDoubt):
        await cards.charge(ORDER)
    assert await cards.find(ORDER) == CHARGED
    assert stripe.charged == [603]


async def test_what_was_never_charged_is_not_found_among_others(
    stripe: StandIn, cards: StripeCards
) -> None:
    stripe.page = 1
    for number in range(3):
        await cards.charge(replace(ORDER, key=f"other|{number}"))
    assert await cards.find(ORDER) is None
    first = replace(ORDER, key="other|0")  # on the last page
    assert await cards.find(first) == CHARGED


async def test_a_declined_card_says_why(stripe: StandIn, cards: StripeCards) -> None:
    stripe.declined.add("pm_1")
    declined = ChargeResult("declined", "pi_1", Cents(603), "insufficient_funds")
    assert await cards.charge(ORDER) == declined
    assert await cards.find(ORDER) == declined
    assert stripe.charged == []


async def test_what_is_still_being_worked_on_is_in_doubt(
    stripe: StandIn, cards: StripeCards
) -> None:
    stripe.status = "processing"
    with pytest.raises(InDoubt):
        await cards.charge(ORDER)


@pytest.mark.parametrize(
    ("status", "raised"),
    [(500, InDoubt), (502, InDoubt), (409, InDoubt), (429, NotAnswered), (400, Misconfigured)],
)
async def test_refusals(
    stripe: StandIn, cards: StripeCards, status: int, raised: type[Exception]
) -> None:
    stripe.refuse = [status]
    with pytest.raises(raised):
        await cards.charge(ORDER)
    assert stripe.charged == []


async def test_a_wrong_key_or_nobody_there(stripe: StandIn) -> None:
    wrong = StripeCards(
        SecretStr("sk_wrong"), "http://s", transport=httpx2.ASGITransport(stripe.application())
    )
    with pytest.raises(Misconfigured):
        await wrong.charge(ORDER)
    await wrong.close()
    nobody = StripeCards(SecretStr(SECRET), "http://127.0.0.1:9")
    with pytest.raises(NotAnswered):
        await nobody.charge(ORDER)
    with pytest.raises(NotAnswered):
        await nobody.find(ORDER)
    await nobody.close()


async def test_a_key_that_stands_for_another_amount_is_never_taken_for_ours(
    stripe: StandIn, cards: StripeCards
) -> None:
    await cards.charge(ORDER)
    with pytest.raises(Misconfigured):
        await cards.charge(replace(ORDER, cents=Cents(604)))
