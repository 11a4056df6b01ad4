"""Business days: Monday to Friday without the federal holidays of the United States."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays


class BusinessCalendar:
    """Counts business days. Times are passed in; it reads no clock.

    The Monday after Friday the 13th of February 2026 is Washington's Birthday:

    >>> BusinessCalendar().add_business_days(date(2026, 2, 13), 1)
    datetime.date(2026, 2, 17)
    """

    def __init__(self) -> None:
        self._holidays = holidays.country_holidays("US", observed=True)

    def is_business_day(self, day: date) -> bool:
        return day.weekday() < 5 and day not in self._holidays

    def next_business_day(self, day: date) -> date:
        """``day`` itself, or the first business day after it."""
        while not self.is_business_day(day):
            day += timedelta(days=1)
        return day

    def add_business_days(self, day: date, count: int) -> date:
        """The ``count``-th business day after ``day``; ``count`` is at least 1."""
        if count < 1:
            raise ValueError("count: needs at least one business day")
        for _ in range(count):
            day = self.next_business_day(day + timedelta(days=1))
        return day

    def next_cutoff(self, now: datetime, cutoff_local: time, time_zone: str) -> datetime:
        """The first cutoff strictly after ``now``: at ``cutoff_local`` on a business day there."""
        zone = ZoneInfo(time_zone)
        day = self.next_business_day(now.astimezone(zone).date())
        cutoff = datetime.combine(day, cutoff_local, zone)
        if cutoff <= now:
            cutoff = datetime.combine(self.add_business_days(day, 1), cutoff_local, zone)
        return cutoff
