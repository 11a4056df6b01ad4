"""Pictures of the console for the README: ``python -m tests.console.screenshots FOLDER``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.console.browsing import served, someone
from tests.console.test_remittances_page import payment_of

ROSTERS = {
    "S1": ("P01", "P02", "P05", "P06", "P08"),
    "S2": ("P15", "P17", "P18", "P19"),
    "S3": ("P17", "P21", "P22", "P23"),
}


async def take(into: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder), ROSTERS, played=True) as (practice, browser):
            house = practice.house
            pages = {
                "today": "/",
                "claim": f"/claims/{await house.claim_of('S2', 'P18')}",
                "session": f"/sessions/{house.sessions['S3']}",
                "remittance": f"/remittances/{await payment_of(practice, 'S3', 'P17', 'applied')}",
                "denials": "/denials",
            }
            async with someone(browser, practice, "supervisor") as page:
                for name, path in pages.items():
                    await page.goto(path)
                    await page.screenshot(path=into / f"{name}.png")


if __name__ == "__main__":
    into = Path(sys.argv[1])
    into.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(into))
