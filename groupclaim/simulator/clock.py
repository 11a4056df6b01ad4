"""The clock from which the simulator takes every date and time."""

from datetime import UTC, datetime


class ClockError(ValueError):
    """The clock cannot be set to that instant."""


class WallClock:
    """The real time of day; it cannot be set."""

    def now(self) -> datetime:
        """This instant, in UTC."""
        return datetime.now(UTC)


class DrivenClock:
    """A practice clock that stands still until it is moved, and never moves back."""

    def __init__(self, start: datetime) -> None:
        self._now = _instant(start)

    def now(self) -> datetime:
        """The instant it was last moved to, in UTC."""
        return self._now

    def advance(self, to: datetime) -> None:
        """Move to that instant. Raises ClockError when it lies in the past or has no offset."""
        instant = _instant(to)
        if instant < self._now:
            raise ClockError("the clock never moves back")
        self._now = instant


def _instant(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ClockError("an instant needs an offset from UTC")
    return moment.astimezone(UTC)
