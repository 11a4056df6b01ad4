"""Business days: Monday to Friday without the holidays of the United States and of a state."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import holidays
from pydantic import Field, model_validator

from groupclaim.model.base import Record
from groupclaim.policy.tables import read_table


class _StateHoliday(Record):
    """A day on which a state's offices are ``closed`` beside the federal holidays, or ``open`` on
    one of them. It has a day of the month, or it is ``days_after`` the ``nth`` ``weekday`` (Monday
    is 0). ``not_moved``: the state does not keep a federal holiday that was moved off a weekend."""

    state: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    holiday: str
    kind: Literal["closed", "open", "not_moved"]
    month: Annotated[int, Field(ge=1, le=12)] | None = None
    day: Annotated[int, Field(ge=1, le=31)] | None = None
    weekday: Annotated[int, Field(ge=0, le=6)] | None = None
    nth: Annotated[int, Field(ge=1, le=4)] | None = None
    days_after: int = 0

    @model_validator(mode="after")
    def _dated(self) -> _StateHoliday:
        fixed = (self.month, self.day)
        floating = (self.month, self.weekday, self.nth)
        if self.kind != "not_moved" and (None in fixed) == (None in floating):
            raise ValueError("needs either month and day, or month, weekday and nth")
        return self

    def on(self, year: int) -> date | None:
        if self.month is None:
            return None
        if self.day is not None:
            return date(year, self.month, self.day)
        first = date(year, self.month, 1)
        to_weekday = ((self.weekday or 0) - first.weekday()) % 7
        weeks = 7 * ((self.nth or 1) - 1)
        return first + timedelta(days=to_weekday + weeks + self.days_after)


@cache
def _state_holidays(state: str) -> tuple[_StateHoliday, ...]:
    rows = read_table("state_holidays", _StateHoliday)
    return tuple(row for row in rows if row.state == state)


class BusinessCalendar:
    """Counts business days. Times are passed in; it reads no clock.

    The Monday after Friday the 13th of February 2026 is Washington's Birthday:

    >>> BusinessCalendar().add_business_days(date(2026, 2, 13), 1)
    datetime.date(2026, 2, 17)
    """

    def __init__(self, state: str | None = None) -> None:
        self._moved = holidays.country_holidays("US", observed=True)
        self._fixed = holidays.country_holidays("US", observed=False)
        self._state = _state_holidays(state) if state else ()
        self._not_moved = any(row.kind == "not_moved" for row in self._state)
        self._own: dict[int, dict[date, str]] = {}
        self.name = f"federal holidays and those of {state}" if state else "federal holidays"

    def of_state(self, state: str | None) -> BusinessCalendar:
        """The calendar of a payer in ``state``; this one where the payer names none."""
        return _of_state(state) if state else self

    def is_business_day(self, day: date) -> bool:
        if day.weekday() >= 5:
            return False
        if day.year not in self._own:
            self._own[day.year] = {
                found: row.kind for row in self._state if (found := row.on(day.year)) is not None
            }
        own = self._own[day.year].get(day)
        if own is not None:
            return own == "open"
        return day not in (self._fixed if self._not_moved else self._moved)

    def next_business_day(self, day: date) -> date:
        """``day`` itself, or the first business day after it."""
        while not self.is_business_day(day):
            day += timedelta(days=1)
        return day

    def business_day_by(self, day: date) -> date:
        """``day`` itself, or the last business day before it."""
        while not self.is_business_day(day):
            day -= timedelta(days=1)
        return day

    def add_business_days(self, day: date, count: int) -> date:
        """The ``count``-th business day after ``day``; ``count`` is at least 1."""
        if count < 1:
            raise ValueError("count: needs at least one business day")
        for _ in range(count):
            day = self.next_business_day(day + timedelta(days=1))
        return day

    def business_days_until(self, day: date, end: date) -> int:
        """Business days after ``day`` up to and with ``end``; below zero when ``end`` is past."""
        if end < day:
            return -self.business_days_until(end, day)
        span = (end - day).days
        return sum(self.is_business_day(day + timedelta(days=n)) for n in range(1, span + 1))

    def next_cutoff(self, now: datetime, cutoff_local: time, time_zone: str) -> datetime:
        """The first cutoff strictly after ``now``: at ``cutoff_local`` on a business day there."""
        zone = ZoneInfo(time_zone)
        day = self.next_business_day(now.astimezone(zone).date())
        cutoff = datetime.combine(day, cutoff_local, zone)
        if cutoff <= now:
            cutoff = datetime.combine(self.add_business_days(day, 1), cutoff_local, zone)
        return cutoff


@cache
def _of_state(state: str) -> BusinessCalendar:
    return BusinessCalendar(state)
