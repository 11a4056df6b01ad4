"""Audit samples that the practice's own setting has drawn, month by month."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from activities import steps
from activities.outside import Outside, performs
from groupclaim.store import samples
from groupclaim.store.clock import practice_now
from groupclaim.store.practice import UnknownRecord, read_practice


class Sampling:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.DRAW_SAMPLE)
    async def draw_sample(self, look: steps.SampleRound) -> steps.SampleDrawn:
        """Draw the sample that is due. It is known by its seed, size and days: done again, nothing
        more is drawn."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            try:
                practice = await read_practice(tx)
            except UnknownRecord:
                return steps.SampleDrawn(sample_id=None)
            setting = practice.audit_sampling
            if setting is None:
                return steps.SampleDrawn(sample_id=None)
            today = now.astimezone(ZoneInfo(practice.time_zone)).date()
            drawn = await samples.draw_due(tx, setting, today, "groupclaim", now)
        return steps.SampleDrawn(sample_id=drawn)
