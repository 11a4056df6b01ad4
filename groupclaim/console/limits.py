"""How often one address may ask: fixed windows in this process's memory."""

from __future__ import annotations

from datetime import datetime, timedelta

_MOST_ADDRESSES = 10_000


class RateLimit:
    """At most ``most`` requests of one address in each ``window``."""

    def __init__(self, most: int, window: timedelta) -> None:
        self._most = most
        self._window = window
        self._began: datetime | None = None
        self._counts: dict[str, int] = {}

    def admits(self, address: str, now: datetime) -> bool:
        if self._began is None or now >= self._began + self._window:
            self._began = now
            self._counts.clear()
        if address not in self._counts and len(self._counts) >= _MOST_ADDRESSES:
            return False
        count = self._counts.get(address, 0) + 1
        self._counts[address] = count
        return count <= self._most
