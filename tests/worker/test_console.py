"""How the console is served: behind a proxy each browser still counts for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.console.visitor import ORIGIN, Practice, practice_at
from worker.console import serving
from worker.process import SettingsRefused
from worker.settings import Settings

PROXY, STRANGER, BILLER = "10.1.2.3", "203.0.113.7", "198.51.100.2"


@pytest.fixture
async def practice(tmp_path: Path) -> AsyncIterator[Practice]:
    async with practice_at(tmp_path) as made:
        yield made


def browser(practice: Practice, proxies: str, came_from: str, said: str) -> httpx2.AsyncClient:
    """Whoever connects from ``came_from`` and says in X-Forwarded-For on whose behalf."""
    config = serving(Settings(console_proxies=proxies), practice.app, "127.0.0.1", 0)
    config.load()
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(config.loaded_app, client=(came_from, 1)),
        base_url=ORIGIN,
        headers={"x-forwarded-for": said, "origin": ORIGIN},
    )


async def tries(browser: httpx2.AsyncClient, times: int) -> list[int]:
    form = {"name": "nobody", "password": "wrong"}
    return [(await browser.post("/sign-in", data=form)).status_code for _ in range(times)]


async def test_who_tries_passwords_keeps_nobody_else_behind_the_proxy_out(
    practice: Practice,
) -> None:
    stranger = browser(practice, "10.0.0.0/8", PROXY, f"{BILLER}, {STRANGER}")
    assert await tries(stranger, 21) == [403] * 20 + [429]
    other = browser(practice, "10.0.0.0/8", PROXY, BILLER)
    assert await tries(other, 1) == [403]


@pytest.mark.parametrize("proxies", ["", "10.9.9.9"])
async def test_nobody_but_the_proxy_is_believed(practice: Practice, proxies: str) -> None:
    made_up = [browser(practice, proxies, PROXY, f"192.0.2.{number}") for number in range(21)]
    assert [(await tries(one, 1))[0] for one in made_up] == [403] * 20 + [429]


@pytest.mark.parametrize("proxies", ["*", "proxy.example", "10.0.0.0/99"])
def test_what_is_no_address_is_refused(proxies: str) -> None:
    with pytest.raises(SettingsRefused, match="console_proxies"):
        serving(Settings(console_proxies=proxies), None, "127.0.0.1", 0)
