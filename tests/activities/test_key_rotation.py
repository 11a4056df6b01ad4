"""Keys rotate while claims are on their way, and a worker without the new key does no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from activities import steps
from groupclaim.store import ledger
from groupclaim.store.keys import Keyring, Undecipherable
from tests.activities.house import KEYRING, House
from tests.activities.test_sample_practice import differences, run_to_the_end

LAST_WITH_THE_FIRST_KEY = 40
"""So many steps are done before the keys rotate, with every claim on its way."""


class Rotating:
    """Rotates the keys after some steps. From then on every second step is first tried by a worker
    that has only the key from before, as one that was not started again."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._carry_out = house.perform
        self._done = 0
        self.rotated: Keyring | None = None
        self.stopped: list[str] = []
        house.perform = self.perform  # type: ignore[method-assign]

    async def perform(self, step: steps.Step[Any, Any], *what: Any, **options: Any) -> Any:
        self._done += 1
        if self._done == LAST_WITH_THE_FIRST_KEY:
            self.rotated = KEYRING.rotated()
        if self.rotated is not None and self._done % 2:
            self._house.database.keyring = KEYRING
            try:
                return await self._carry_out(step, *what, **options)
            except Undecipherable as stopped:
                self.stopped.append(str(stopped))
            finally:
                self._house.database.keyring = self.rotated
        elif self.rotated is not None:
            self._house.database.keyring = self.rotated
        return await self._carry_out(step, *what, **options)


async def test_keys_rotate_under_a_run_and_an_old_worker_stops_cleanly(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with House(tmp_path) as house:
        rotating = Rotating(house)
        await run_to_the_end(house)
        assert rotating.rotated is not None
        new = rotating.rotated.current
        record_property("tries", len(rotating.stopped))
        assert len(rotating.stopped) > 10
        # It names the key that is missing, and nothing of what it protects.
        assert set(rotating.stopped) == {f"key {new} is not in the keyring"}
        assert await differences(house) == []
        house.database.keyring = rotating.rotated
        async with house.database.reading() as reading:
            assert await ledger.verify(reading) == ()
            under = {
                row.key_id for row in await reading.rows(text("SELECT key_id FROM audit_entry"))
            }
    assert under == {KEYRING.current, new}
