"""The console in a real browser: people at work, by mouse, by keyboard, and read aloud."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from groupclaim.console.pages.denials import VIEWS
from groupclaim.store import disputes
from tests.console.browsing import need_chromium, served, someone
from tests.console.test_claim_page import held_by_two
from tests.console.test_remittances_page import payment_of
from tests.console.visitor import PASSWORD, Practice

Window = tuple[Practice, Browser]
ROSTERS = {"S1": ("P01", "P05"), "S2": ("P18", "P19"), "S3": ("P17", "P21")}


@pytest.fixture(scope="module")
async def early(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Window]:
    """Before the first session."""
    need_chromium()
    async with served(tmp_path_factory.mktemp("early")) as here:
        yield here


@pytest.fixture(scope="module")
async def late(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Window]:
    """When all has been paid that is."""
    need_chromium()
    async with served(tmp_path_factory.mktemp("late"), ROSTERS, played=True) as here:
        yield here


async def test_a_biller_finds_the_late_note_and_watches_the_claim_move(
    early: Window,
) -> None:
    practice, browser = early
    house = practice.house
    number = await house.claim_of("S1", "P01")
    coming = house.happenings()
    came = next(item for item in coming if item["kind"] == "attendance")
    signed = next(
        item
        for item in coming
        if (item["kind"], item.get("session"), item.get("patient")) == ("note_signed", "S1", "P01")
    )
    await house.move_to(datetime.fromisoformat(came["at"]))
    await house.from_outside(came)
    async with someone(browser, practice, "biller") as page:
        await page.get_by_role("link", name="note unsigned").click()
        await page.get_by_role("link", name=number).click()
        await expect(page.get_by_text("clinician: ").first).to_be_visible()
        await expect(page.locator(".chip").first).to_have_text("documentation")
        # Nothing is clicked from here on: the page looks for news by itself.
        await house.move_to(datetime.fromisoformat(signed["at"]))
        await house.from_outside(signed)
        await expect(page.locator(".chip").first).to_have_text("ready")


async def test_a_supervisor_agrees_to_a_waiver_that_a_biller_proposes(
    early: Window,
) -> None:
    practice, browser = early
    number = await held_by_two(practice)
    async with someone(browser, practice, "biller") as page:
        await page.goto(f"/claims/{number}")
        await page.get_by_text("Propose a waiver").click()
        await page.get_by_label("Reason").fill("The payer agreed by telephone.")
        await page.get_by_label("It counts until").fill("2026-03-31T17:00")
        await page.get_by_role("button", name="Propose it").click()
        await expect(page.get_by_text("a supervisor, has to agree")).to_be_visible()
    async with someone(browser, practice, "supervisor") as page:
        row = page.get_by_role("row").filter(has_text="a waiver is proposed")
        await row.get_by_role("link", name=number).click()
        await page.get_by_role("button", name="I agree").click()
        await expect(page.get_by_text("Released: the claim goes on.")).to_be_visible()
    assert "NOT_COVERED" in practice.house.states[number].waived_until


async def test_a_viewer_is_refused_what_others_may(early: Window) -> None:
    practice, browser = early
    number = await practice.house.claim_of("S2", "P19")
    async with someone(browser, practice, "viewer") as page:
        await page.goto(f"/claims/{number}")
        await expect(page.get_by_text("The patient is masked for your role.")).to_be_visible()
        assert await page.get_by_role("button", name="Release").count() == 0
        answer = await page.goto("/reports/export?kind=payer")
        assert answer is not None
        assert answer.status == 403
        await expect(page.get_by_role("heading", name="Not allowed")).to_be_visible()


async def test_everything_on_the_way_to_a_claim_is_done_by_keyboard(
    early: Window,
) -> None:
    practice, browser = early
    context = await browser.new_context(base_url=practice.origin)
    page = await context.new_page()
    await page.goto("/sign-in")
    await expect(page.get_by_label("Name")).to_be_focused()
    await page.keyboard.type("biller")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/")
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(page.locator("tr.chosen input:checked")).to_have_count(1)
    # What is chosen stays chosen while the list looks for news.
    await page.evaluate(
        "new Promise(done => document.addEventListener('htmx:beforeRequest', done, {once: true}))"
    )
    await expect(page.locator("tr.chosen input:checked")).to_have_count(1)
    await page.keyboard.press("a")
    await expect(page.get_by_role("cell", name="biller").first).to_be_visible()
    await page.wait_for_load_state()  # the new page listens to keys
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/claims/*")
    await context.close()


@pytest.mark.parametrize("colours", ["light", "dark"])
async def test_no_page_is_hard_to_read(late: Window, colours: Literal["light", "dark"]) -> None:
    practice, browser = late
    number = await practice.house.claim_of("S2", "P18")
    payment = await payment_of(practice, "S3", "P17", "applied")
    async with practice.house.database.reading() as reading:
        (case, *_) = await disputes.cases(reading)
    async with someone(browser, practice, "supervisor", colours=colours) as page:
        for box in await page.get_by_role("checkbox").all():
            await box.check()
        await page.get_by_role("button", name="Look again").click()
        await expect(page.get_by_role("heading", name="Before it is done")).to_be_visible()
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        for path in (
            "/",
            f"/claims/{number}",
            f"/claims/{await practice.house.claim_of('S2', 'P19')}",
            "/sessions",
            f"/sessions/{practice.house.sessions['S3']}",
            "/remittances",
            "/remittances?tab=unapplied",
            f"/remittances/{payment}",
            f"/disputes/{case.id}",
            *(f"/denials?view={view}" for view in VIEWS),
            "/reports",
            "/policies",
            "/policies/texas-medicaid",
            "/password",
        ):
            await page.goto(path)
            found = await Axe().run(page)
            assert found.violations_count == 0, f"{path}\n{found.generate_report()}"
