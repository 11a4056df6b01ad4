"""Denials, deadlines and reports at the console."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from groupclaim.console.pages.denials import VIEWS
from groupclaim.store import audit, denials
from groupclaim.store.people import Role
from groupclaim.store.schema import claim
from tests.console.test_sessions_page import said
from tests.console.visitor import Practice, practice_at

LIMIT = datetime(2026, 8, 26, 4, 59, 59, tzinfo=UTC)
"""The last second of 25 August in Chicago."""


@pytest.fixture(scope="module")
async def denied(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Practice]:
    """A practice where one claim's denial is open and waits for a letter to be approved."""
    async with practice_at(tmp_path_factory.mktemp("denied")) as made:
        number = await made.house.claim_of("S1", "P05")
        now = await made.house.clock.now()
        async with made.house.database.transaction() as tx:
            payer_key = await tx.scalar(
                select(claim.c.payer_key).where(claim.c.claim_number == number)
            )
            cause = denials.Cause("claim", number, payer_key, "CO-50", "medical", "NOTE_INCOMPLETE")
            plan = {"rule": "denial:50", "playbook": "abc", "action": "appeal", "who": "biller"}
            await denials.open_denial(tx, number, 1, cause, 6000, date(2026, 2, 26), plan, now)
            row = await denials.read_denial(tx, number, 1)
            await denials.record_plan(
                tx, row, limit_at=LIMIT, limit_working="180 days from the notice of 2026-02-26"
            )
            await denials.keep_letter(tx, number, 1, "appeal", 1, "hand", b"packet", now)
        yield made


async def test_a_deadline_says_how_it_was_computed(denied: Practice) -> None:
    biller = await denied.signed_in("biller")
    page = said((await biller.get("/denials")).text)
    number = await denied.house.claim_of("S1", "P05")
    assert (
        f"2026-08-25 23:59 limit {number} CO-50 60.00 180 days from the notice of 2026-02-26"
        in page
    )
    held = await denied.house.claim_of("S2", "P19")
    assert f"look {held} coverage inactive – a reminder before the filing limit" in page


async def test_the_calendar_shows_a_day_by_what_is_due_on_it(denied: Practice) -> None:
    biller = await denied.signed_in("biller")
    page = said((await biller.get("/denials?view=calendar&month=2026-08")).text)
    assert "25 1 limit 60.00" in page
    assert "26 1 limit" not in page
    assert (await biller.get("/denials?view=calendar&month=august")).status_code == 422


async def test_the_board_shows_what_waits_for_a_letter_to_be_approved(denied: Practice) -> None:
    biller = await denied.signed_in("biller")
    page = said((await biller.get("/denials?view=board")).text)
    number = await denied.house.claim_of("S1", "P05")
    assert f"Letter to approve 1, 60.00 {number} 60.00 CO-50" in page
    assert "Letter to draft 0, 0.00 none" in page


async def test_cases_and_trends_name_what_would_have_stopped_it(denied: Practice) -> None:
    biller = await denied.signed_in("biller")
    assert "CO-50 medical" in said((await biller.get("/denials?view=cases")).text)
    trends = said((await biller.get("/denials?view=trends")).text)
    assert "CO-50" in trends
    assert "NOTE_INCOMPLETE" in trends


async def test_a_letter_is_read_by_those_who_may_and_each_look_is_noted(denied: Practice) -> None:
    number = await denied.house.claim_of("S1", "P05")
    viewer = await denied.signed_in("viewer")
    await viewer.get(f"/claims/{number}")
    assert (await viewer.post(f"/claims/{number}/letter")).status_code == 403
    biller = await denied.signed_in("biller")
    page = said((await biller.get(f"/claims/{number}")).text)
    assert "Limit 2026-08-25 23:59 : 180 days from the notice of 2026-02-26" in page
    assert "Approve the letter" not in page
    read = await biller.post(f"/claims/{number}/letter")
    assert (read.content, read.headers["content-type"]) == (b"packet", "application/pdf")
    async with denied.house.database.reading() as reading:
        noted = await audit.entries(reading, number)
    assert [entry.actor for entry in noted if entry.action == "read_letter"] == ["biller"]


async def test_a_supervisor_approves_a_letter_and_a_biller_does_not(denied: Practice) -> None:
    number = await denied.house.claim_of("S1", "P05")
    biller = await denied.signed_in("biller")
    await biller.get(f"/claims/{number}")
    path = f"/claims/{number}/letter/approve"
    assert (await biller.post(path, reason="It is right.")).status_code == 403
    supervisor = await denied.signed_in("supervisor")
    assert "Approve the letter" in (await supervisor.get(f"/claims/{number}")).text
    assert (await supervisor.post(path, reason="It is right.")).status_code == 303
    page = said((await supervisor.get(f"/claims/{number}")).text)
    assert "approved by supervisor" in page
    assert "Approve the letter" not in page
    assert "Being sent 1, 60.00" in said((await supervisor.get("/denials?view=board")).text)
    other = await denied.house.claim_of("S2", "P19")
    answer = await supervisor.post(f"/claims/{other}/letter/approve", reason="It is right.")
    assert (answer.status_code, "No denial of this claim" in answer.text) == (409, True)


async def test_who_sees_no_session_sees_no_denial(denied: Practice) -> None:
    await denied.let_in(Role.BILLER, name="elsewhere", locations=("no-such-place",))
    browser = await denied.signed_in("elsewhere")
    for view in VIEWS:
        page = (await browser.get(f"/denials?view={view}")).text
        assert "CO-50" not in page
        assert await denied.house.claim_of("S1", "P05") not in page


async def test_a_denial_that_was_mended_stands_as_mended(played: Practice) -> None:
    # P18 by samples/small/expected.csv: denied CO-197 for 60.00, mended and paid.
    biller = await played.signed_in("biller")
    board = said((await biller.get("/denials?view=board")).text)
    assert (
        f"Mended or paid 1, 60.00 {await played.house.claim_of('S2', 'P18')} 60.00 CO-197" in board
    )
    trends = said((await biller.get("/denials?view=trends")).text)
    assert re.search(r"CO-197 .* 1 60\.00 1 1 2026-02-27 to 2026-02-27 AUTH_REQUIRED", trends)
    disputes = said((await biller.get("/denials?view=disputes")).text)
    assert "unexplained" in disputes
    assert "6.05" in disputes
    assert (await biller.get("/denials?view=all")).status_code == 422


# --- reports


async def test_a_report_adds_up_as_by_hand(played: Practice) -> None:
    # S1 of one day: P01 30.85, P05 and P06 28.15 each allowed: 87.15; paid 24.19 + 2 x 13.15.
    biller = await played.signed_in("biller")
    page = said((await biller.get("/reports?kind=service-line&last=2026-02-03")).text)
    assert "allowed 87.15" in page
    assert "paid 50.49" in page
    assert "6.05" in said((await biller.get("/reports?kind=underpayments")).text)
    assert "Nothing to report" in (await biller.get("/reports?first=2027-01-01")).text
    for bad in ("kind=everything", "first=soon", "first=2026-03-01&last=2026-02-01"):
        assert (await biller.get(f"/reports?{bad}")).status_code == 422


async def test_an_export_is_for_those_who_work_and_is_noted(played: Practice) -> None:
    viewer = await played.signed_in("viewer")
    assert (await viewer.get("/reports/export?kind=payer")).status_code == 403
    biller = await played.signed_in("biller")
    answer = await biller.get("/reports/export?kind=underpayments")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="underpayments.csv"'
    assert "6.05" in answer.text
    async with played.house.database.reading() as reading:
        noted = await audit.entries(reading, "underpayments")
    assert [(entry.actor, entry.action) for entry in noted] == [("biller", "export_report")]


async def test_reports_are_not_for_those_who_see_a_part(played: Practice) -> None:
    clinician = await played.signed_in("clinician")
    page = (await clinician.get("/reports?kind=underpayments")).text
    assert "sees a part of it" in page
    assert "6.05" not in page
    await played.let_in(Role.BILLER, name="half", locations=("no-such-place",))
    half = await played.signed_in("half")
    assert (await half.get("/reports/export?kind=payer")).status_code == 404


def test_no_page_is_read_from_outside_its_folder() -> None:
    templates = Path(__file__).parents[2] / "groupclaim/console/templates"
    for template in templates.glob("*.html"):
        assert not re.search(r'(?:src|href)="https?:', template.read_text()), template.name
