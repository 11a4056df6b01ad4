"""Deadlines: by when something must have happened, and why then.

Every moment is worked out from one that is passed in, the payer's policy and the calendar, in the
practice's time zone.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from groupclaim.model.base import Instant, Record
from groupclaim.model.finding import Source
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.payer import Cited, PayerPolicy

_END_OF_DAY = time(23, 59, 59)
_START_OF_WORK = time(8)
_ATTENDANCE_EXPECTED_AFTER = timedelta(hours=24)
"""groupclaim's own choice: by then the front desk has recorded who came."""


class Deadline(Record):
    """The moment, the arithmetic in words, and the policy it rests on, if one does."""

    at: Instant
    working: str
    source: Source | None = None


def attendance_deadline(session_ends_at: datetime) -> Deadline:
    """By when a session's attendance should be recorded, whoever pays for its participants."""
    return Deadline(
        at=session_ends_at.astimezone(UTC) + _ATTENDANCE_EXPECTED_AFTER,
        working="24 hours after the session's end",
    )


class Deadlines:
    """The deadlines of claims under one payer's policy."""

    def __init__(self, policy: PayerPolicy, calendar: BusinessCalendar, time_zone: str) -> None:
        self._policy = policy
        self._clocks = policy.clocks
        self._calendar = calendar
        self._zone = ZoneInfo(time_zone)

    def note(self, session_ends_at: datetime) -> Deadline:
        """By when the clinician should have signed the note."""
        return self._days_after(session_ends_at, self._clocks.days_to_note, "the session")

    def acknowledgment_999(self, sent_at: datetime) -> Deadline:
        # Hours are added in UTC: in a zone's own time a day of changing clocks would have 24 too.
        hours = self._clocks.hours_to_999
        at = sent_at.astimezone(UTC) + timedelta(hours=hours)
        return self._deadline(
            at.astimezone(self._zone), f"{hours} hours after sending", self._clocks
        )

    def acknowledgment_277ca(self, sent_at: datetime) -> Deadline:
        """Business days count from the day of sending; the hour is the hour of sending."""
        days = self._clocks.business_days_to_277ca
        local = sent_at.astimezone(self._zone)
        day = self._calendar.add_business_days(local.date(), days)
        return self._deadline(
            datetime.combine(day, local.time(), self._zone),
            f"{days} business days after sending",
            self._clocks,
        )

    def remittance(self, received_at: datetime) -> Deadline:
        """By when the payer should have decided a claim that it took at ``received_at``."""
        deadline = self._days_after(
            received_at, self._clocks.days_to_remittance, "the payer took the claim"
        )
        floor = self._clocks.payment_floor_days
        if floor is None:
            return deadline
        earliest = received_at.astimezone(self._zone).date() + timedelta(days=floor)
        return deadline.model_copy(
            update={"working": f"{deadline.working}; no payment before {earliest}, day {floor}"}
        )

    def statement(self, balance_at: datetime) -> Deadline:
        """When a patient's open balance is looked at again."""
        return self._days_after(balance_at, self._clocks.days_to_statement, "the balance was left")

    def filing_limit(self, service_date: date) -> Deadline:
        """The last moment at which the payer must have received the claim."""
        limit = self._policy.filing_limit
        if limit.months is not None:
            last = months_after(service_date, limit.months)
            working = f"{limit.months} months after {service_date}"
        else:
            last = service_date + timedelta(days=limit.days or 0)
            working = f"{limit.days} days after {service_date}"
        if limit.to_next_business_day and not self._calendar.is_business_day(last):
            last = self._calendar.next_business_day(last)
            working += ", moved to the next business day"
        return self._deadline(
            datetime.combine(last, _END_OF_DAY, self._zone), f"{working}: {last}", limit
        )

    def filing_warnings(self, service_date: date) -> tuple[Deadline, ...]:
        """When to warn of the filing limit, earliest first."""
        limit = self.filing_limit(service_date)
        last = limit.at.astimezone(self._zone).date()
        return tuple(
            self._deadline(
                datetime.combine(last - timedelta(days=days), _START_OF_WORK, self._zone),
                f"{days} days before the filing limit ({limit.working})",
                self._policy.filing_limit,
            )
            for days in self._policy.filing_limit.warn_days_before
        )

    def next_filing_alert(self, service_date: date, now: datetime) -> Deadline | None:
        """The next warning of the filing limit after ``now``, or the limit itself; None past it."""
        alerts = (*self.filing_warnings(service_date), self.filing_limit(service_date))
        return next((alert for alert in alerts if alert.at > now), None)

    def appeal_limit(self, notice_date: date) -> Deadline:
        """The last moment to appeal a decision that the payer dated ``notice_date``."""
        limit = self._policy.appeal_limit
        last = notice_date + timedelta(days=limit.days)
        return self._deadline(
            datetime.combine(last, _END_OF_DAY, self._zone),
            f"{limit.days} days after the notice of {notice_date}: {last}",
            limit,
        )

    def _days_after(self, start: datetime, days: int, what: str) -> Deadline:
        """The same hour by the practice's clocks, ``days`` later."""
        local = start.astimezone(self._zone)
        day = local.date() + timedelta(days=days)
        return self._deadline(
            datetime.combine(day, local.time(), self._zone),
            f"{days} days after {what}",
            self._clocks,
        )

    def _deadline(self, at: datetime, working: str, group: Cited) -> Deadline:
        return Deadline(at=at, working=working, source=self._policy.source(group))


def months_after(day: date, months: int) -> date:
    """The same day of the month, or the month's last: 29 February falls on the 28th."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
