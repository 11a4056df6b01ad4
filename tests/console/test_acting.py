"""Acting from the pages on payers' money, patients' payments, rosters and disputes: as the commands
do, once, by who may, and on record."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from groupclaim.console.console import Console
from groupclaim.model.money import Cents
from groupclaim.store import audit, disputes, ledger
from tests.activities.test_remittance import ROSTER, paid, x835
from tests.console.test_sessions_page import said
from tests.console.visitor import Browser, Practice, practice_at


@pytest.fixture
async def sent(tmp_path: Path) -> AsyncIterator[Practice]:
    """One session of two, both claims with their payers."""
    async with practice_at(tmp_path, ROSTER) as made:
        await made.house.until_sent()
        yield made


async def brought(practice: Practice, content: bytes) -> int:
    console: Console = practice.app.state.console
    (standing,) = (await console.cash.bring(content, "era.835", "R. Lee")).payments
    return standing.remittance_id


async def acts(practice: Practice, subject: str) -> list[tuple[str, str]]:
    async with practice.house.database.reading() as reading:
        return [(item.actor, item.action) for item in await audit.entries(reading, subject)]


async def page_of(browser: Browser, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, answer.text
    return said(answer.text)


async def test_a_suspended_payment_is_cleared_on_its_page_by_who_may(sent: Practice) -> None:
    claim = await sent.house.claim_of("S1", "P04")
    off = await brought(sent, x835(paid(claim, 2520, ("CO", "45", 3480)), total=2519))
    viewer, supervisor = [await sent.signed_in(name) for name in ("viewer", "supervisor")]
    assert "Clear it" not in await page_of(viewer, f"/remittances/{off}")
    page = await page_of(supervisor, f"/remittances/{off}")
    assert "Note that it went back" in page
    assert "Accept and post it" not in page
    refused = await supervisor.post(f"/remittances/{off}/accept", reason="it is small")
    assert refused.status_code == 409
    done = await supervisor.post(f"/remittances/{off}/return", reason="sent back by cheque")
    assert done.headers["location"] == f"/remittances/{off}?told=returned"
    assert "The money went back" in await page_of(supervisor, f"/remittances/{off}")
    assert ("supervisor", "suspense_returned") in await acts(sent, f"remittance {off}")
    whole = await brought(sent, x835(paid(claim, 2520, ("CO", "45", 3480))))
    accepted = await supervisor.post(f"/remittances/{whole}/accept", reason="the corrected copy")
    assert accepted.headers["location"] == f"/remittances/{whole}?told=accepted"
    assert "posted" in await page_of(supervisor, f"/remittances/{whole}")


async def test_unapplied_cash_goes_to_its_claim_or_back(sent: Practice) -> None:
    claim = await sent.house.claim_of("S1", "P04")
    nobodys = paid("GC0000000000X", 1000, ("CO", "45", 5000))
    first = await brought(sent, x835(nobodys, trace="T8"))
    supervisor = await sent.signed_in("supervisor")
    page = (await supervisor.get("/remittances?tab=unapplied")).text
    (item,) = re.findall(r'action="/unapplied/return">.*?name="item" value="([^"]+)"', page, re.S)
    assert item == f"{first}/1"
    wrong = await supervisor.post("/unapplied/settle", item=item, account="interest", reason="x")
    assert wrong.status_code == 409
    back = await supervisor.post("/unapplied/return", item=item, reason="not our patient")
    assert back.headers["location"].endswith("told=returned")
    assert ("supervisor", "unapplied_returned") in await acts(sent, f"remittance {first}")
    async with sent.house.database.reading() as reading:
        assert await ledger.unapplied_items(reading) == ()
    assert claim not in await page_of(supervisor, "/remittances?tab=unapplied")


async def test_what_a_patient_pays_is_booked_once_for_each_receipt(sent: Practice) -> None:
    number = await sent.house.claim_of("S1", "P06")
    biller = await sent.signed_in("biller")
    for amount in ("", "-1", "1.005", "ten", "1e9", "NaN"):
        wrong = await biller.post(f"/claims/{number}/payment", amount=amount, receipt="r1")
        assert wrong.status_code == 422, amount
    for told in ("paid", "known"):
        done = await biller.post(f"/claims/{number}/payment", amount="$15.00", receipt="r1")
        assert done.headers["location"] == f"/claims/{number}?told={told}"
    async with sent.house.database.reading() as reading:
        booked = await ledger.balance(reading, number)
    # Nothing has been decided yet: the copay of 15.00 taken at the session and these 15.00 are
    # the patient's credit.
    assert booked.patient_open == Cents(-3000)
    other = await biller.post(f"/claims/{number}/payment", amount="16", receipt="r1")
    assert (other.status_code, "another amount" in other.text) == (409, True)
    assert (await acts(sent, number)).count(("biller", "patient_payment")) == 1


async def test_a_roster_is_amended_on_the_session_s_page(sent: Practice) -> None:
    session_id = sent.house.sessions["S1"]
    biller = await sent.signed_in("biller")
    assert (await biller.post(f"/sessions/{session_id}/amend")).status_code == 422
    done = await biller.post(f"/sessions/{session_id}/amend", add="P05")
    assert done.headers["location"] == f"/sessions/{session_id}?told=amended"
    assert await sent.house.claim_of("S1", "P05") in await page_of(
        biller, f"/sessions/{session_id}"
    )
    clinician = await sent.signed_in("clinician")
    assert (await clinician.post(f"/sessions/{session_id}/amend", add="P08")).status_code == 403


async def test_a_dispute_shows_what_proves_it_and_ends_by_who_may(tmp_path: Path) -> None:
    # P17: the contract says 28.15, 22.10 was allowed: 6.05 short.
    async with practice_at(tmp_path, {"S3": ("P17", "P21")}, played=True) as practice:
        async with practice.house.database.reading() as reading:
            (case, *_) = await disputes.cases(reading)
        biller, supervisor = [await practice.signed_in(name) for name in ("biller", "supervisor")]
        page = await page_of(biller, f"/disputes/{case.id}")
        assert "28.15 22.10 6.05" in page
        assert "Close it" not in page
        refused = await biller.post(
            f"/disputes/{case.id}/close", outcome="withdrawn", reason="our contract was old"
        )
        assert refused.status_code == 403
        letter = await supervisor.post(f"/disputes/{case.id}/letter")
        assert letter.content.startswith(b"%PDF")
        done = await supervisor.post(
            f"/disputes/{case.id}/close", outcome="withdrawn", reason="our contract was old"
        )
        assert done.headers["location"] == f"/disputes/{case.id}?told=closed", done.text
        assert "withdrawn" in await page_of(supervisor, f"/disputes/{case.id}")
        noted = await acts(practice, f"dispute/{case.id}")
        assert ("supervisor", "dispute_letter") in noted
        assert (await biller.get("/disputes/999")).status_code == 404


async def test_what_was_never_sent_in_time_is_given_up_at_the_console(tmp_path: Path) -> None:
    async with practice_at(tmp_path, rosters={"S1": ("P01", "P06")}) as late:
        house = late.house
        await house.open_sessions()
        await house.move_to(await house.clock.now() + timedelta(days=400))
        await house.hand_in()
        number = await house.claim_of("S1", "P01")
        biller, supervisor = [await late.signed_in(name) for name in ("biller", "supervisor")]
        page = await page_of(supervisor, f"/claims/{number}")
        assert "It can be sent no more" in page
        path = f"/claims/{number}/write-off"
        assert (await supervisor.post(path, reason="")).status_code == 422
        done = await supervisor.post(path, reason="the note came after a year")
        assert done.headers["location"] == f"/claims/{number}?told=written_off"
        late_click = await biller.post(path, reason="the note came after a year")
        assert late_click.status_code in (403, 409)
        assert (await acts(late, number)).count(("supervisor", "write_off_claim")) == 1
        page = await page_of(supervisor, f"/claims/{number}")
        assert "It can be sent no more" not in page
        assert "not billable" in page


async def test_what_a_payer_never_decides_is_written_off_by_who_may_and_once(
    sent: Practice,
) -> None:
    number = await sent.house.claim_of("S1", "P04")
    viewer, supervisor = [await sent.signed_in(name) for name in ("viewer", "supervisor")]
    assert "Write off what" not in await page_of(viewer, f"/claims/{number}")
    assert "Write off what the payer owes" in await page_of(supervisor, f"/claims/{number}")
    path, why = f"/claims/{number}/write-off", "three calls, no answer"
    early = await supervisor.post(path, reason=why)
    assert (early.status_code, "may still decide until" in early.text) == (409, True)
    await sent.house.move_to(await sent.house.clock.now() + timedelta(days=31))
    assert (await viewer.post(path, reason=why)).status_code == 403
    done = await supervisor.post(path, reason=why)
    assert done.headers["location"] == f"/claims/{number}?told=written_off"
    late = await supervisor.post(path, reason=why)
    assert (late.status_code, "nothing is open" in late.text) == (409, True)
    assert (await acts(sent, number)).count(("supervisor", "write_off_claim")) == 1
    async with sent.house.database.reading() as reading:
        left = await ledger.balance(reading, number)
    assert left.payer_open == Cents(0)
    assert left.patient_open <= Cents(0)
