"""Deadlines: by when something must have happened, and why then. The one place that computes them.

Every moment is worked out from one that is passed in, the payer's policy and the calendar, in the
practice's time zone. Each says the rule it follows, the day it counts from and by which calendar,
and when people are told before it comes.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from groupclaim.model.base import Instant, Record
from groupclaim.model.finding import Finding, Severity, Source
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.patient_rights import DaysToReturn
from groupclaim.policy.payer import Cited, PayerPolicy

_END_OF_DAY = time(23, 59, 59)
_START_OF_WORK = time(8)
_ATTENDANCE_EXPECTED_AFTER = timedelta(hours=24)
"""groupclaim's own choice: by then the front desk has recorded who came."""


_APPEAL_ALERTS = (30, 14, 3, 0)
_PROMPT_PAY_ALERTS = (3,)
_REFUND_ALERTS = (7, 1, 0)
_ESTIMATE_ALERTS = (1, 0)
DISPUTE_ALERTS = (30, 14, 3, 0)
"""Days before the last one on which people are told of a dispute with a payer."""


class Deadline(Record):
    """The moment, the arithmetic in words, and the policy it rests on, if one does.

    ``rule`` names what it is a deadline of, ``counted_from`` the day or moment that began it,
    ``calendar`` what its days are. ``alerts`` are when people are told, the last one at the latest
    when it passes; empty where whoever waits for it is told by itself.
    """

    at: Instant
    working: str
    source: Source | None = None
    rule: str = ""
    counted_from: str = ""
    calendar: str = "calendar days"
    alerts: tuple[Instant, ...] = ()

    def next_alert(self, now: datetime) -> datetime | None:
        """The first alert after ``now``, or the deadline itself; None once it has passed. One that
        arises with less time left than its first alert asks for is told of at once by the rest."""
        return next((at for at in (*self.alerts, self.at) if at > now), None)

    def days_left(self, today: date) -> int:
        """Whole days from ``today`` to its last day; below zero once it has passed."""
        return (self.at.date() - today).days


def attendance_deadline(session_ends_at: datetime) -> Deadline:
    """By when a session's attendance should be recorded, whoever pays for its participants."""
    return Deadline(
        at=session_ends_at.astimezone(UTC) + _ATTENDANCE_EXPECTED_AFTER,
        working="24 hours after the session's end",
    )


def patient_refund(rule: DaysToReturn, known_on: date, zone: ZoneInfo) -> Deadline:
    """By when what a patient has paid too much, as was known on ``known_on``, must have gone
    back."""
    last = known_on + timedelta(days=rule.days)
    return Deadline(
        at=datetime.combine(last, _END_OF_DAY, zone),
        working=f"{rule.days} days after it was known on {known_on}: {last}",
        source=Source(
            policy="patient_rights",
            version=str(rule.days),
            citation=rule.source,
            verified=rule.verified,
        ),
        rule="patient refund",
        counted_from=f"the day on which it was known, {known_on}",
        alerts=_mornings_before(last, _REFUND_ALERTS, zone),
    )


def estimate_limit(last: date, zone: ZoneInfo) -> Deadline:
    """The end of ``last``, the day by which a good-faith estimate is in the patient's hands:
    :func:`groupclaim.rules.patient_account.estimate_due` says which day that is."""
    return Deadline(
        at=datetime.combine(last, _END_OF_DAY, zone),
        working=f"the day by which the estimate is due: {last}",
        rule="good-faith estimate",
        calendar="business days",
        alerts=_mornings_before(last, _ESTIMATE_ALERTS, zone),
    )


def _mornings_before(last: date, days: tuple[int, ...], zone: ZoneInfo) -> tuple[datetime, ...]:
    return tuple(
        datetime.combine(last - timedelta(days=before), _START_OF_WORK, zone) for before in days
    )


def told_before(since: datetime, due: datetime) -> datetime:
    """When people are told of an answer that is still out: with a quarter of its time left."""
    return due - (due - since) / 4


def check_filing(
    deadlines: Deadlines, claim_number: str, service_date: date, now: datetime
) -> tuple[Finding, ...]:
    """Holds a claim that is to be sent for the first time after the payer's filing limit."""
    limit = deadlines.filing_limit(service_date)
    if now <= limit.at:
        return ()
    return (
        Finding(
            rule="filing_limit_passed",
            severity=Severity.BLOCK,
            sentence=f"The filing limit passed on {limit.at:%Y-%m-%d} ({limit.working}).",
            fix="Find the 999 or 277CA that proves timely filing, or the payer's exception; else "
            "give it up (`groupclaim claim write-off`). The patient owes nothing of it.",
            evidence=(claim_number,),
            hold="TIMELY_FILING",
            releasable=True,
            source=limit.source,
        ),
    )


class Deadlines:
    """The deadlines of claims under one payer's policy."""

    def __init__(self, policy: PayerPolicy, calendar: BusinessCalendar, time_zone: str) -> None:
        self._policy = policy
        self._clocks = policy.clocks
        self._calendar = calendar
        self._payers_calendar = calendar.of_state(
            policy.holidays.state if policy.holidays else None
        )
        self._zone = ZoneInfo(time_zone)

    def note(self, session_ends_at: datetime) -> Deadline:
        """By when the clinician should have signed the note."""
        return self._days_after(session_ends_at, self._clocks.days_to_note, "the session")

    def acknowledgment_999(self, sent_at: datetime, hours: int | None = None) -> Deadline:
        """``hours``: what the connection says, else the policy does."""
        return self._hours_after(sent_at, hours or self._clocks.hours_to_999)

    def acknowledgment_277ca(self, sent_at: datetime, hours: int | None = None) -> Deadline:
        """Business days count from the day of sending; the hour is the hour of sending. ``hours``:
        what the connection says instead."""
        if hours is not None:
            return self._hours_after(sent_at, hours)
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

    def status_inquiry(self, waiting_since: datetime) -> Deadline | None:
        """When a payer that has said nothing since is first asked by 276; None where it is not."""
        rule = self._policy.status_inquiries
        if rule is None:
            return None
        working = f"{rule.first_after_days} days without an answer"
        return self._deadline(self._later(waiting_since, rule.first_after_days), working, rule)

    def authorization_decision(self, asked_at: datetime, *, urgent: bool) -> Deadline | None:
        """By when the payer should have decided on an authorization; None where nobody knows."""
        rule, requests = self._policy.authorization, self._policy.authorization_requests
        if urgent and rule.urgent_decision_hours is not None:
            hours = rule.urgent_decision_hours
            at = (asked_at.astimezone(UTC) + timedelta(hours=hours)).astimezone(self._zone)
            return self._deadline(at, f"{hours} hours after the urgent request", rule)
        if rule.decision_days is not None:
            working = f"{rule.decision_days} days after the request"
            return self._deadline(self._later(asked_at, rule.decision_days), working, rule)
        if requests is None:
            return None
        working = f"{requests.expected_days} days after the request"
        return self._deadline(self._later(asked_at, requests.expected_days), working, requests)

    def statement(self, balance_at: datetime) -> Deadline:
        """When a patient's open balance is looked at again."""
        return self._days_after(balance_at, self._clocks.days_to_statement, "the balance was left")

    def filing_limit(self, service_date: date) -> Deadline:
        """The last moment at which the payer must have received the claim."""
        limit = self._policy.filing_limit
        return self._limit(
            "filing",
            limit,
            service_date,
            "the service",
            days=limit.days,
            months=limit.months,
            roll=limit.to_next_business_day,
            alerts=limit.warn_days_before,
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

    def appeal_limit(self, notice_date: date, level: int = 1) -> Deadline:
        """The last moment to take ``level`` of appeal against a decision that the payer dated
        ``notice_date``. Raises IndexError for a level that the payer does not have."""
        limit = self._policy.appeal_limit
        levels = limit.levels
        if not 1 <= level <= len(levels):
            raise IndexError(f"level {level} of {len(levels)}")
        return self._limit(
            "appeal",
            limit,
            notice_date,
            "the notice",
            days=levels[level - 1].days,
            roll=limit.to_next_business_day,
            alerts=_APPEAL_ALERTS,
            what=levels[level - 1].name,
        )

    def correction_limit(self, notice_date: date, service_date: date) -> Deadline:
        """The last moment at which the payer takes a correction of a claim that it has decided;
        where its policy names none, the filing limit."""
        limit = self._policy.corrections
        if limit.days is None and limit.months is None:
            filing = self.filing_limit(service_date)
            return filing.model_copy(
                update={"rule": "correction", "working": f"as the filing limit: {filing.working}"}
            )
        from_notice = limit.counted_from == "notice"
        return self._limit(
            "correction",
            limit,
            notice_date if from_notice else service_date,
            "the notice" if from_notice else "the service",
            days=limit.days,
            months=limit.months,
            roll=limit.to_next_business_day,
            alerts=_APPEAL_ALERTS,
        )

    def prompt_pay(self, received_at: datetime, *, electronic: bool = True) -> Deadline | None:
        """By when the law makes the payer decide a clean claim that it took at ``received_at``;
        None where no law is named."""
        law = self._policy.prompt_pay
        if law is None:
            return None
        days = law.days_electronic if electronic or law.days_paper is None else law.days_paper
        received = received_at.astimezone(self._zone).date()
        return self._limit(
            "prompt pay",
            law,
            received,
            "receipt of the claim",
            days=days,
            alerts=_PROMPT_PAY_ALERTS,
            what=law.law,
        )

    def duplicate_allowed_from(self, first_sent: date) -> date:
        """The first day on which the same claim may be sent again; a corrected one is none."""
        law = self._policy.prompt_pay
        before = law.no_duplicate_before_day if law else None
        return first_sent + timedelta(days=before or 0)

    def may_be_sent_again(self, first_sent_at: datetime) -> Deadline | None:
        """From when the same claim may be sent again; None where no law says so."""
        law = self._policy.prompt_pay
        if law is None or law.no_duplicate_before_day is None:
            return None
        first_sent = first_sent_at.astimezone(self._zone).date()
        day = self.duplicate_allowed_from(first_sent)
        working = f"day {law.no_duplicate_before_day} after {first_sent}: {day}"
        return self._deadline(datetime.combine(day, _START_OF_WORK, self._zone), working, law)

    def _limit(
        self,
        rule: str,
        group: Cited,
        start: date,
        what_began: str,
        *,
        days: int | None = None,
        months: int | None = None,
        roll: bool = False,
        alerts: tuple[int, ...] = (),
        what: str = "",
    ) -> Deadline:
        """The end of the last day, with alerts so many days before it at the start of work."""
        last = months_after(start, months) if months else start + timedelta(days=days or 0)
        span = f"{months} months" if months else f"{days} days"
        working = f"{what}: {span} after " if what else f"{span} after "
        working += str(start) if what_began == "the service" else f"{what_began} of {start}"
        if roll and not self._payers_calendar.is_business_day(last):
            last = self._payers_calendar.next_business_day(last)
            working += ", moved to the next business day"
        calendar = "calendar days"
        if roll:
            calendar += f", ends on a business day ({self._payers_calendar.name})"
        return Deadline(
            at=datetime.combine(last, _END_OF_DAY, self._zone),
            working=f"{working}: {last}",
            source=self._policy.source(group),
            rule=rule,
            counted_from=f"{what_began} of {start}",
            calendar=calendar,
            alerts=_mornings_before(last, alerts, self._zone),
        )

    def dispute_limit(self, paid_on: date) -> Deadline:
        """The end of the last business day to tell the payer that it paid too little on
        ``paid_on``: its appeal limit, or the law's for penalties where that is sooner."""
        limit, law = self._policy.appeal_limit, self._policy.prompt_pay
        days, group = limit.days, f"{limit.days} days to appeal"
        cited: Cited = limit
        if law is not None and law.notice_days is not None and law.notice_days < days:
            days, group, cited = law.notice_days, f"{law.notice_days} days by {law.law}", law
        return self._last_business_day(
            "dispute",
            paid_on + timedelta(days=days),
            f"{group}, after the payment of {paid_on}",
            f"the payment of {paid_on}",
            cited,
        )

    def refund_limit(self, found_on: date) -> Deadline:
        """The end of the last business day to return what was found to be too much."""
        days = self._policy.overpayments.refund_days
        return self._last_business_day(
            "refund",
            found_on + timedelta(days=days),
            f"{days} days after it was found on {found_on}",
            f"the day on which it was found, {found_on}",
            self._policy.overpayments,
        )

    def _last_business_day(
        self, rule: str, last: date, working: str, counted_from: str, group: Cited
    ) -> Deadline:
        day = self._calendar.business_day_by(last)
        if day != last:
            working += f" ({last}), on the business day before"
        return Deadline(
            at=datetime.combine(day, _END_OF_DAY, self._zone),
            working=f"{working}: {day}",
            source=self._policy.source(group),
            rule=rule,
            counted_from=counted_from,
            calendar=f"calendar days, ends on a business day ({self._calendar.name})",
            alerts=_mornings_before(day, DISPUTE_ALERTS, self._zone),
        )

    def _hours_after(self, sent_at: datetime, hours: int) -> Deadline:
        # Hours are added in UTC: in a zone's own time a day of changing clocks would have 24 too.
        at = (sent_at.astimezone(UTC) + timedelta(hours=hours)).astimezone(self._zone)
        return self._deadline(at, f"{hours} hours after sending", self._clocks)

    def _days_after(self, start: datetime, days: int, what: str) -> Deadline:
        return self._deadline(self._later(start, days), f"{days} days after {what}", self._clocks)

    def _later(self, start: datetime, days: int) -> datetime:
        """The same hour by the practice's clocks, ``days`` later."""
        local = start.astimezone(self._zone)
        return datetime.combine(local.date() + timedelta(days=days), local.time(), self._zone)

    def _deadline(self, at: datetime, working: str, group: Cited) -> Deadline:
        return Deadline(at=at, working=working, source=self._policy.source(group))


def months_after(day: date, months: int) -> date:
    """The same day of the month, or the month's last: 29 February falls on the 28th."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
