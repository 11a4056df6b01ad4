"""A folder that somebody else empties: a payer's upload agent, a fax gateway's or mail house's
pick-up folder.

A packet appears whole under ``<key>.pdf``. Whoever has taken it on leaves ``<key>.receipt`` with
its own reference in the first line (a fax confirmation, a tracking number, an upload id).
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from groupclaim.delivery.port import NotDelivered, Receipt

_LONGEST_REFERENCE = 120


class PickUpFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, key: str, content: bytes) -> Receipt | None:
        try:
            await asyncio.to_thread(self._place, key, content)
        except OSError as error:
            raise NotDelivered(f"the folder does not take it: {type(error).__name__}") from None
        return await self.receipt(key)

    async def receipt(self, key: str) -> Receipt | None:
        return await asyncio.to_thread(self._receipt, key)

    def _place(self, key: str, content: bytes) -> None:
        """Put the packet there unless it is, or has been taken on already."""
        place = self._folder / f"{key}.pdf"
        if self._receipt(key) is not None or place.exists():
            return
        draft = self._folder / f"{key}.part"
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(place)

    def _receipt(self, key: str) -> Receipt | None:
        try:
            text = (self._folder / f"{key}.receipt").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        reference = text.strip().splitlines()[0].strip() if text.strip() else ""
        return Receipt(reference[:_LONGEST_REFERENCE]) if reference else None
