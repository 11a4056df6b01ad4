"""A patient's side of the money: by when an estimate is due, a credit returned.

Days are passed in; nothing here reads a clock.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

from groupclaim.model.base import Record
from groupclaim.model.money import Cents
from groupclaim.model.patient import CardConsent
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.patient_rights import PatientRights


class EstimateDue(Record):
    """By when a good-faith estimate must be in the patient's hands, and the rule's arithmetic."""

    by: date
    working: str
    source: str


def estimate_due(
    rights: PatientRights,
    calendar: BusinessCalendar,
    *,
    asked_on: date,
    first_session: date,
    reason: Literal["scheduled", "requested"],
) -> EstimateDue | None:
    """By when the estimate is due; None when a session is scheduled too shortly before it.

    ``asked_on`` is the day on which the session was scheduled, or the estimate asked for.
    """
    if reason == "requested":
        rule = rights.estimate_on_request
        by = calendar.add_business_days(asked_on, rule.business_days_to_give)
        working = f"{rule.business_days_to_give} business days after it was asked for"
        return EstimateDue(by=by, working=working, source=rule.source)
    for ahead in rights.estimate:
        earliest = calendar.add_business_days(asked_on, ahead.scheduled_business_days_ahead)
        if first_session >= earliest:
            days = ahead.business_days_to_give
            return EstimateDue(
                by=calendar.add_business_days(asked_on, days),
                working=f"{days} business day{'s' if days > 1 else ''} after it was scheduled, at "
                f"least {ahead.scheduled_business_days_ahead} ahead",
                source=ahead.source,
            )
    return None


def card_refusal(consent: CardConsent | None, owed: Cents, today: date) -> str | None:
    """Why the patient's card may not be charged with what they owe; None when it may."""
    if consent is None:
        return "no consent to charge a card is on file"
    if not consent.in_force(today):
        return "the consent to charge the card is not in force"
    if owed > consent.most_cents:
        return f"more than the {consent.most_cents} that one charge may be"
    return None if owed > 0 else "nothing is owed"


def told_in_time(told_on: date | None, charge_on: date, days: int) -> bool:
    """Whether who was told on ``told_on`` of a charge on ``charge_on`` had so many days."""
    return told_on is not None and charge_on - told_on >= timedelta(days=days)
