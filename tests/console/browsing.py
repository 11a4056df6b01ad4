"""A console that is served to a real browser: the application on a port, and Debian's Chromium."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
import uvicorn
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.activities.house import SMALL
from tests.console.visitor import PASSWORD, Practice, practice_at
from tests.temporal import PATIENCE_SECONDS

CHROMIUM = shutil.which("chromium") or ""

PATIENCE_MILLISECONDS = PATIENCE_SECONDS * 1000
expect.set_options(timeout=PATIENCE_MILLISECONDS)


def need_chromium() -> None:
    if not CHROMIUM:
        if os.environ.get("CI") == "true":
            raise FileNotFoundError("chromium")
        pytest.skip("no chromium here (Debian: apt-get install chromium)")


@asynccontextmanager
async def served(
    folder: Path, rosters: Mapping[str, tuple[str, ...]] = SMALL, *, played: bool = False
) -> AsyncIterator[tuple[Practice, Browser]]:
    """The practice on a port of this machine, and a browser."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with practice_at(folder, rosters, played=played, origin=origin) as practice:
            server = uvicorn.Server(uvicorn.Config(practice.app, log_config=None))
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            try:
                async with async_playwright() as playwright:
                    browser = await playwright.chromium.launch(
                        executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
                    )
                    yield practice, browser
                    await browser.close()
            finally:
                server.should_exit = True
                await serving


@asynccontextmanager
async def someone(
    browser: Browser, practice: Practice, name: str, *, colours: Literal["light", "dark"] = "light"
) -> AsyncIterator[Page]:
    """A person's window, signed in. What the browser complains about fails the test."""
    context = await browser.new_context(
        base_url=practice.origin,
        color_scheme=colours,
        viewport={"width": 1280, "height": 860},
    )
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = await context.new_page()
    complaints: list[str] = []

    def listen(said: ConsoleMessage) -> None:
        if said.type == "error":
            complaints.append(f"{said.text} {said.location}")

    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto("/sign-in")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/")
    yield page
    await context.close()
    assert [said for said in complaints if "status of 403" not in said] == [], complaints
