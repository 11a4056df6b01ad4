"""People at the console of a whole house: a real Temporal server, worker, simulator and browser.

One session of two. P01's note is late; P04's claim is denied (CO-50), so a letter is drafted. The
practice clock stands while people must decide, and then runs on by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from groupclaim.store import denials, people
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from groupclaim.store.people import Role
from tests.console.browsing import CHROMIUM, need_chromium
from tests.system.scenarios import SAMPLES
from worker import embedded, live
from worker.console import wall_time
from worker.demo import Scenario
from worker.process import connect
from worker.settings import Settings

ROSTER = ("P01", "P04")
PASSWORD = "a long enough password"
PATIENCE_MS = 120_000


def scenario_at(folder: Path) -> Scenario:
    """The small practice with one session of two, one note never signed, one claim denied."""

    def put(name: str, content: Any) -> None:
        (folder / name).write_text(json.dumps(content))

    read = {
        name: json.loads((SAMPLES / f"{name}.json").read_text())
        for name in ("practice", "sessions", "outside", "payers", "notes")
    }
    (session,) = [item for item in read["sessions"] if item["ref"] == "S1"]
    session["roster"] = list(ROSTER)
    session["other_services"] = []
    came = [item for item in read["outside"]["events"] if item.get("session") == "S1"]
    (taken,) = [item for item in came if item["kind"] == "attendance"]
    taken["participants"] = [item for item in taken["participants"] if item["patient"] in ROSTER]
    signed = [
        item for item in came if (item["kind"], item.get("patient")) == ("note_signed", "P04")
    ]
    (member,) = [item["member_id"] for item in read["practice"]["coverages"]
                 if item["patient"] == "P04"]  # fmt: skip
    for payer in read["payers"]["payers"]:
        held = [one["id"] for each in payer["members"] for one in each["member_ids"]]
        if member in held:
            denial = {"member_id": member, "service_date": "2026-02-03", "reason": "50"}
            payer["denials"] = [{**denial, "stands": True}]
    for note in read["notes"]["S1"].values():
        note["group_size"] = len(ROSTER)
    # Signed after the first reminder of 02-05, which looks at the note again, and before the next.
    read["notes"]["S1"]["P01"]["signed_at"] = "2026-02-06T09:00:00-06:00"
    put("practice.json", read["practice"])
    put("sessions.json", [session])
    put("outside.json", {**read["outside"], "events": [taken, *signed]})
    put("payers.json", read["payers"])
    put("notes.json", read["notes"])
    return Scenario.load(folder)


@dataclass
class Practice:
    database: Database
    origin: str
    late: str
    denied: str


@contextlib.asynccontextmanager
async def practice_that_runs(folder: Path) -> AsyncIterator[Practice]:
    scenario = scenario_at(folder)
    state = folder / "state"
    state.mkdir()
    keyring = Keyring.load_or_generate(state / "keys.json")
    server = embedded.TemporalServer(state, ui=False)
    simulator = embedded.Simulator(state, folder / "payers.json", clock=scenario.outside.starts_at)
    settings = Settings(
        state=state,
        temporal=server.address,
        notes=folder / "notes.json",
        console=f"http://127.0.0.1:{embedded.free_port()}",
        log_level="warning",
    )
    migrate(settings.database_url)
    async with contextlib.AsyncExitStack() as cleanup:
        database = Database.connect(settings.database_url, keyring)
        cleanup.push_async_callback(database.close)
        await live.set_clock(database, scenario.outside.starts_at)
        async with database.transaction() as tx:
            for role in (Role.BILLER, Role.CLINICIAN, Role.SUPERVISOR, Role.VIEWER):
                clinician = "C1" if role is Role.CLINICIAN else ""
                account = people.Account(name=role.value, clinician=clinician)
                await people.add_user(tx, account, role, wall_time())
                user = await people.find(tx, role.value)
                assert user is not None
                await people.change_password(tx, user.id, PASSWORD)
        cleanup.callback(server.process.stop)
        cleanup.push_async_callback(simulator.close)
        await asyncio.gather(server.start(), simulator.start())
        for process in (
            embedded.worker_process(simulator.connected(settings)),
            embedded.console_process(settings),
        ):
            cleanup.callback(process.stop)
            process.start()
        needed = (server.process, simulator.process)
        house = embedded.House(database, await connect(settings, keyring), simulator, needed)
        playing = asyncio.create_task(live.play(scenario, house, pace_seconds=0, tell=print))

        async def end() -> None:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)

        cleanup.push_async_callback(end)
        late, denied = [
            keyring.claim_number(
                keyring.opaque("practice", scenario.practice.practice.ref),
                keyring.session_id("S1"),
                keyring.patient_id(patient),
            )
            for patient in ROSTER
        ]
        yield Practice(database, settings.console, late, denied)
        if playing.done():
            playing.result()


@pytest.fixture(scope="module")
async def work(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Practice, Browser]]:
    need_chromium()
    async with (
        practice_that_runs(tmp_path_factory.mktemp("work")) as practice,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield practice, browser
        await browser.close()


async def typed_in(browser: Browser, practice: Practice, name: str) -> Page:
    """A person's window, signed in without a mouse, as soon as the console answers."""
    async with httpx2.AsyncClient(base_url=practice.origin) as probe:
        while True:
            try:
                (await probe.get("/health")).raise_for_status()
                break
            except httpx2.HTTPError:
                await asyncio.sleep(0.2)
    context = await browser.new_context(base_url=practice.origin)
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    await page.goto("/sign-in")
    await expect(page.get_by_label("Name")).to_be_focused()
    await page.keyboard.type(name)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/")
    return page


async def opened(page: Page, text: str) -> None:
    """Wait until a row of the list says ``text``, go there by keys, and open it."""
    row = page.locator("tr[data-row]").filter(has_text=text)
    await expect(row).to_have_count(1, timeout=PATIENCE_MS)
    await page.locator("#main").focus()
    while not await row.evaluate("row => row.classList.contains('chosen')"):
        await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/claims/*")


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the field or button of that name has the focus."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        found: str = await page.evaluate(
            "(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()"
        )
        if found.startswith(name):
            return
    raise AssertionError(f"Tab never comes to {name}")


async def test_a_late_note_is_found_and_signed_and_its_claim_is_paid(
    work: tuple[Practice, Browser],
) -> None:
    practice, browser = work
    biller = await typed_in(browser, practice, "biller")
    # P04's denial is the last that happens by itself: from then on the clock stands.
    decided = (
        biller.locator("tr[data-row]").filter(has_text=practice.denied).filter(has_text="APPEAL")
    )
    await expect(decided).to_have_count(1, timeout=PATIENCE_MS)
    await opened(biller, "NOTE_UNSIGNED")
    assert biller.url.endswith(practice.late)
    await expect(biller.get_by_text("It is signed")).to_have_count(0)  # it is not theirs to say

    clinician = await typed_in(browser, practice, "clinician")
    await opened(clinician, practice.late)
    await tab_to(clinician, "It is signed")
    await clinician.keyboard.press("Enter")
    await expect(clinician.get_by_text("Noted that the note is signed")).to_be_visible()

    # The biller touches nothing: days pass, and the page follows. P01 by
    # samples/small/expected.csv: 24.19 paid, 6.17 left to the patient.
    paid = biller.locator("p").filter(has_text="paid 24.19")
    await expect(paid).to_be_visible(timeout=PATIENCE_MS)
    await expect(biller.locator(".chip").first).to_have_text("patient balance")
    await expect(paid).to_contain_text("the patient owes 6.17")


async def test_a_supervisor_approves_an_appeal_by_keyboard(work: tuple[Practice, Browser]) -> None:
    practice, browser = work
    supervisor = await typed_in(browser, practice, "supervisor")
    await opened(supervisor, practice.denied)
    await expect(supervisor.get_by_text("drafted")).to_be_visible()
    await tab_to(supervisor, "Why it may go")
    await supervisor.keyboard.type("complete, as the plan says")
    await tab_to(supervisor, "Approve the letter")
    await supervisor.keyboard.press("Enter")
    await expect(supervisor.get_by_text("Approved: the letter goes to the payer.")).to_be_visible()
    async with practice.database.reading() as reading:
        (letter,) = await denials.letters_of(reading, practice.denied, 1)
    assert letter.approved_by == "supervisor"


async def test_a_viewer_reads_and_is_refused_the_rest(work: tuple[Practice, Browser]) -> None:
    practice, browser = work
    viewer = await typed_in(browser, practice, "viewer")
    await viewer.goto(f"/claims/{practice.denied}")
    await expect(viewer.get_by_text("The patient is masked for your role.")).to_be_visible()
    for name in ("Release", "Approve", "Book", "Look again"):
        assert await viewer.get_by_role("button", name=name).count() == 0
    answer = await viewer.goto("/work-items/export")
    assert answer is not None
    assert answer.status == 403
