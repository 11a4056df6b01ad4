"""Payments at the console: each comes out or says by how much it does not."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from groupclaim.store.people import Role
from groupclaim.store.schema import remittance, remittance_claim
from tests.console.test_sessions_page import said
from tests.console.visitor import Practice


@pytest.fixture
def practice(played: Practice) -> Practice:
    return played


async def payment_of(practice: Practice, session: str, patient: str, posting: str) -> int:
    """The payment in which a claim was decided so."""
    number = await practice.house.claim_of(session, patient)
    async with practice.house.database.reading() as reading:
        found: int = await reading.scalar(
            select(remittance_claim.c.remittance_id)
            .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
            .where(remittance_claim.c.claim_number == number, remittance_claim.c.posting == posting)
        )
    return found


async def test_every_payment_is_listed_and_comes_out(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    page = (await biller.get("/remittances")).text
    rows = re.findall(r"<tr data-row>.*?</tr>", page, re.S)
    async with practice.house.database.reading() as reading:
        known = await reading.rows(select(remittance))
    assert len(rows) == len(known) > 3
    assert f"{len(known)} of {len(known)}, complete as of" in said(page)
    posted = [row for row in rows if ">posted<" in row]
    assert posted
    for row in posted:
        cells = [said(cell) for cell in re.findall(r"<td.*?</td>", row, re.S)]
        assert cells[6] == "0.00"


async def test_a_payment_shows_its_claims_in_plain_words(practice: Practice) -> None:
    # P01 by samples/small/expected.csv: paid 24.19, contractual 29.15 and 0.49 of sequestration,
    # patient 6.17.
    biller = await practice.signed_in("biller")
    key = await payment_of(practice, "S1", "P01", "applied")
    page = said((await biller.get(f"/remittances/{key}")).text)
    assert await practice.house.claim_of("S1", "P01") in page
    assert "charged 60.00, paid 24.19, patient's share 6.17" in page
    assert "6.17 PR-2: the coinsurance (the patient's share)" in page
    assert "29.15 CO-45" in page
    assert "by contract, never asked of the patient" in page


async def test_what_was_underpaid_stands_beside_what_was_expected(practice: Practice) -> None:
    # P17: the contract says 28.15, 22.10 was allowed.
    biller = await practice.signed_in("biller")
    key = await payment_of(practice, "S3", "P17", "applied")
    page = said((await biller.get(f"/remittances/{key}")).text)
    assert "28.15 22.10" in page
    assert "unexplained expected:" in page


async def test_tabs_show_denied_payments_and_copies(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    denied = await payment_of(practice, "S2", "P18", "denied")
    async with practice.house.database.reading() as reading:
        copies = await reading.rows(
            select(remittance.c.id).where(remittance.c.state == "duplicate")
        )
    page = (await biller.get("/remittances?tab=denied")).text
    assert f'href="/remittances/{denied}"' in page
    paid = await payment_of(practice, "S1", "P01", "applied")
    assert f'href="/remittances/{paid}"' not in page
    duplicates = (await biller.get("/remittances?tab=duplicates")).text
    assert len(re.findall("<tr data-row>", duplicates)) == len(copies)
    for tab in ("suspense", "reversals", "provider", "unapplied"):
        assert "No payment of this kind" in (await biller.get(f"/remittances?tab={tab}")).text
    assert (await biller.get("/remittances?tab=all")).status_code == 422
    assert (await biller.get("/remittances?sort=paid_cents")).status_code == 422


async def test_who_sees_a_part_of_the_practice_sees_no_payments(practice: Practice) -> None:
    key = await payment_of(practice, "S1", "P01", "applied")
    await practice.let_in(Role.BILLER, name="one place", locations=("no-such-place",))
    for name in ("clinician", "one place"):
        browser = await practice.signed_in(name)
        page = (await browser.get("/remittances")).text
        assert "sees a part of it" in page
        assert f"/remittances/{key}" not in page
        assert (await browser.get(f"/remittances/{key}")).status_code == 404
    answer = await browser.post("/unapplied", item="1/1", claim="GC1", reason="mine")
    assert answer.status_code == 404


@pytest.mark.parametrize("key", ["0", "999999", "-1", "one", "9" * 40])
async def test_there_is_no_page_of_an_unknown_payment(practice: Practice, key: str) -> None:
    biller = await practice.signed_in("biller")
    assert (await biller.get(f"/remittances/{key}")).status_code == 404


async def test_money_is_assigned_to_a_claim_that_one_sees_only(practice: Practice) -> None:
    biller = await practice.signed_in("biller")
    number = await practice.house.claim_of("S1", "P01")
    unknown = await biller.post("/unapplied", item="1/1", claim="GC0000000000X", reason="a letter")
    assert unknown.status_code == 404
    wrong = await biller.post("/unapplied", item="first", claim=number, reason="a letter")
    assert (wrong.status_code, "an item is named" in wrong.text) == (409, True)


# --- policies


async def test_every_value_of_a_policy_stands_with_its_source(practice: Practice) -> None:
    viewer = await practice.signed_in("viewer")
    listed = (await viewer.get("/policies")).text
    policies = practice.house.outside.policies
    for name in policies.names:
        assert f'href="/policies/{name}"' in listed
    assert "groupclaim replay --from" in listed
    page = said((await viewer.get("/policies/texas-medicaid")).text)
    (edition, *_) = policies.editions("texas-medicaid")
    assert "filing limit: days 95" in page
    assert edition.version in page
    assert " ".join(edition.filing_limit.source.split()) in page
    assert (await viewer.get("/policies/no-such-policy")).status_code == 404
