"""I6: no deadline passes without an alert before it or, where it was due when it arose, soon after.

How long payers let a claim be filed, and the law lets them decide, stands here by hand from the
rule table (domain.md section 9.2); the other deadlines and who was told when are read from the
product's tables. An alert is a reminder on a claim's timeline, a note in the audit log about a
dispute, or an item on the work list that stands open while its deadline comes near: one resolved
long before has told nobody of it.
"""

from __future__ import annotations

from calendar import monthrange
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import NewType
from zoneinfo import ZoneInfo

Moment = NewType("Moment", datetime)
"""An instant, as ISO 8601 text with an offset or in the database's own type."""

Day = NewType("Day", str)
"""A date as YYYY-MM-DD, or the database's own date."""

_ZONE = ZoneInfo("America/Chicago")
_END_OF_DAY = time(23, 59, 59)

_FILED_WITHIN = {
    "SIMMB": (0, 12),
    "SIMTXM": (95, 0),
    "SIMPLC": (90, 0),
    "SIMSMU": (90, 0),
    "SIMVAM": (0, 12),
    "SIMMCO": (95, 0),
    "SIMMAP": (0, 12),
    "SIMFBH": (90, 0),
}
"""By the payer's id on the wire, days or months after the service (domain.md section 9.2)."""

_ENDS_ON_A_WEEKDAY = frozenset({"SIMTXM"})
"""A limit that falls on a weekend ends on the next business day (same place)."""

_DECIDED_WITHIN = {"SIMMB": timedelta(days=30)}
"""Medicare's prompt payment; no other payer of the samples has a law (domain.md section 9.3)."""

_NEAR = timedelta(days=62)
"""Whoever was last told longer before a deadline than this was not told of it."""

_UNDECIDED = ("new", "asking", "pended")
"""States of a request for authorization that no answer has ended."""

_SOON = timedelta(days=1)
"""By when something that was due when it arose is told, and a date that passed is looked at."""


@dataclass(frozen=True, slots=True)
class Reminder:
    claim_number: str
    at: Moment
    kind: str


@dataclass(frozen=True, slots=True)
class Item:
    id: str
    kind: str
    subject: str
    claim_number: str | None
    code: str
    opened_at: Moment
    due_at: Moment | None
    resolved_at: Moment | None


@dataclass(frozen=True, slots=True)
class WorkedDenial:
    claim_number: str
    number: int
    opened_at: Moment
    limit_at: Moment | None
    concluded_at: Moment | None


@dataclass(frozen=True, slots=True)
class ClaimDate:
    claim_number: str
    stage: str
    hold_code: str | None
    due_at: Moment | None


@dataclass(frozen=True, slots=True)
class Dispute:
    id: int
    kind: str
    told_at: Moment | None
    closed_at: Moment | None


@dataclass(frozen=True, slots=True)
class DisputedLine:
    """``limit_on``: the last day to act on what the payer got wrong with it."""

    case_id: int | None
    limit_on: Day
    audited_at: Moment


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the audit log."""

    subject: str
    at: Moment


@dataclass(frozen=True, slots=True)
class Request:
    """A prior authorization that was asked for; ``decide_by``: by when the payer should have
    decided."""

    trace: str
    patient_id: str
    state: str
    asked_at: Moment | None
    decide_by: Moment | None


@dataclass(slots=True)
class Told:
    """The tables about deadlines, and who was told."""

    reminders: list[Reminder] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    denials: list[WorkedDenial] = field(default_factory=list)
    claims: list[ClaimDate] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)
    lines: list[DisputedLine] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def latest(self) -> datetime | None:
        """The last moment that anything here speaks of as past."""
        moments = [
            *(one.at for one in self.reminders),
            *(one.opened_at for one in self.items),
            *(one.resolved_at for one in self.items if one.resolved_at is not None),
            *(one.at for one in self.notes),
        ]
        return max(moments, default=None)


@dataclass(frozen=True, slots=True)
class Filing:
    """One person's claim on its way: whose it is, when it first arrived at the payer, when the
    payer first took one and when it first decided; None for what never happened."""

    name: str
    claim_number: str
    payer_id: str
    service_date: date
    arrived: datetime | None
    taken: datetime | None
    decided: datetime | None


@dataclass(frozen=True, slots=True)
class Patient:
    """One person of the roster: their claims, and when payers decided on what was asked for them
    before the service."""

    claim_numbers: frozenset[str]
    decided: tuple[datetime, ...]


Disagree = Callable[[str, str, object, object], None]
"""Told the row, the column, what was expected and what was found."""


def check_deadlines(
    told: Told,
    filings: list[Filing],
    patients: Mapping[str, Patient],
    last_on_wire: datetime,
    disagree: Disagree,
) -> None:
    """``patients``: by the product's id of each."""
    now = max(last_on_wire, told.latest() or last_on_wire)
    alerts = _Alerts(told)
    for filing in filings:
        limit = _filing_limit(filing)
        if limit is not None and limit < now and (filing.arrived or now) > limit:
            alerts.expect(filing.claim_number, limit, filing.name, "filing limit", disagree)
        within = _DECIDED_WITHIN.get(filing.payer_id)
        if filing.taken is not None and within is not None:
            by = filing.taken + within
            if by < now and (filing.decided or now) > by + _SOON:
                alerts.expect(filing.claim_number, by, filing.name, "prompt payment", disagree)
    for worked in told.denials:
        limit = worked.limit_at
        if limit is None or limit >= now or (worked.concluded_at or now) <= limit:
            continue
        name = f"claim {worked.claim_number} denial {worked.number}"
        # What had passed before it arose is told when it arises.
        by = max(limit, worked.opened_at + _SOON)
        alerts.expect(worked.claim_number, by, name, "limit", disagree)
    _check_disputes(told, now, alerts, disagree)
    for request in told.requests:
        by = request.decide_by
        patient = patients.get(request.patient_id)
        if by is None or by >= now or patient is None:
            continue
        since = request.asked_at or by
        decided = min((at for at in patient.decided if at >= since), default=None)
        # What ended without a decision on the wire, as one that only answers calls, ended in time.
        late = decided is not None and decided > by + _SOON
        if request.state in _UNDECIDED or late:
            row = f"request {request.trace} ({request.state})"
            alerts.expect_any(patient.claim_numbers, by, row, "decide_by", disagree)
    for item in told.items:
        if item.due_at is not None and item.opened_at > item.due_at + _SOON:
            row = f"item {item.kind} {item.code} {item.subject}"
            disagree(row, "opened", f"before {item.due_at}, when it is due", item.opened_at)
    for one in told.claims:
        if one.due_at is not None and one.due_at + _SOON < now and one.stage != "closed":
            row = f"claim {one.claim_number} at {one.stage} ({one.hold_code})"
            disagree(row, "due_at", f"looked at again soon after {one.due_at}", "nothing since")


def _check_disputes(told: Told, now: datetime, alerts: _Alerts, disagree: Disagree) -> None:
    """A payer is told that it paid too little, and what it paid too much goes back, by the limit of
    the first line; else somebody knew that it was coming."""
    lines: dict[int, list[DisputedLine]] = defaultdict(list)
    for line in told.lines:
        if line.case_id is not None:
            lines[line.case_id].append(line)
    for case in told.disputes:
        if case.id not in lines:
            continue
        first = min(lines[case.id], key=lambda line: line.limit_on)
        limit = datetime.combine(date.fromisoformat(first.limit_on), _END_OF_DAY, _ZONE)
        ends = [case.closed_at, case.told_at if case.kind == "underpayment" else None]
        acted = min((end for end in ends if end is not None), default=now)
        if limit < now and acted > limit:
            # What had passed before it was found is told when it is found.
            by = max(limit, first.audited_at + _SOON)
            alerts.expect(f"dispute/{case.id}", by, f"dispute {case.id}", "limit", disagree)


class _Alerts:
    """Who was told, by claim number or ``dispute/`` and the number of the case."""

    def __init__(self, told: Told) -> None:
        self._spans: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
        for one in told.reminders:
            if one.kind == "alert":
                self._spans[one.claim_number].append((one.at, one.at))
        for item in told.items:
            if item.claim_number is not None:
                ends = item.resolved_at or datetime.max.replace(tzinfo=UTC)
                self._spans[item.claim_number].append((item.opened_at, ends))
            elif item.kind == "dispute":
                ends = item.resolved_at or datetime.max.replace(tzinfo=UTC)
                self._spans[f"dispute/{item.subject}"].append((item.opened_at, ends))
        for note in told.notes:
            self._spans[note.subject].append((note.at, note.at))

    def expect(self, subject: str, by: datetime, row: str, column: str, disagree: Disagree) -> None:
        """An alert about ``subject`` before ``by``, and not long before."""
        self.expect_any((subject,), by, row, column, disagree)

    def expect_any(
        self, subjects: Iterable[str], by: datetime, row: str, column: str, disagree: Disagree
    ) -> None:
        """The same about one of them."""
        spans = [span for subject in subjects for span in self._spans.get(subject, ())]
        if not any(begins <= by and ends >= by - _NEAR for begins, ends in spans):
            disagree(row, column, f"an alert before {by}", "none")


def _filing_limit(filing: Filing) -> datetime | None:
    span = _FILED_WITHIN.get(filing.payer_id)
    if span is None:
        return None
    days, months = span
    day = filing.service_date + timedelta(days=days)
    if months:
        years, month = divmod(filing.service_date.month - 1 + months, 12)
        year = filing.service_date.year + years
        last = monthrange(year, month + 1)[1]
        day = date(year, month + 1, min(filing.service_date.day, last))
    while filing.payer_id in _ENDS_ON_A_WEEKDAY and day.weekday() > 4:
        day += timedelta(days=1)
    return datetime.combine(day, _END_OF_DAY, _ZONE)
