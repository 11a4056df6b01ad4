"""What a payer owes for being late, by the prompt-pay law that its policy names.

Days are calendar days between dates: those are told apart, amounts are compared to the cent.
"""

from __future__ import annotations

from datetime import date, timedelta

from groupclaim.model.base import Record
from groupclaim.model.finding import Source
from groupclaim.model.money import Cents
from groupclaim.policy.payer import PayerPolicy, PromptPay

_BASIS_POINTS_A_YEAR = 10_000 * 365


class Penalty(Record):
    """What the law gives. ``due_on`` is the last day on which payment was in time; ``working`` the
    arithmetic in words."""

    cents: Cents
    due_on: date
    days_late: int
    working: str
    source: Source


def due_on(policy: PayerPolicy, received_on: date, *, paper: bool = False) -> date | None:
    """The last day to pay a clean claim that the payer received on ``received_on``; None where no
    law says so."""
    law = policy.prompt_pay
    if law is None:
        return None
    days = (law.days_paper if paper else None) or law.days_electronic
    return received_on + timedelta(days=days)


def late_payment_penalty(
    policy: PayerPolicy,
    *,
    billed: Cents,
    contracted: Cents,
    paid: Cents,
    received_on: date,
    paid_on: date,
    paper: bool = False,
) -> Penalty | None:
    """What the payer owes for having paid a whole claim on ``paid_on``.

    None when it was in time, when no law gives anything, and when the law's rate is not loaded.
    Texas counts from billed less contracted (Ins. Code 843.342, 1301.137), interest laws from what
    was ``paid``.
    """
    law, due = policy.prompt_pay, due_on(policy, received_on, paper=paper)
    if law is None or due is None or paid_on <= due:
        return None
    if law.tiers:
        base = max(billed - contracted, Cents(0))
        return _tiered(
            policy, law, base, f"billed {billed} - contracted {contracted} =", due, paid_on
        )
    return _interest(policy, law, paid, received_on, due, paid_on)


def underpayment_penalty(
    policy: PayerPolicy,
    *,
    billed: Cents,
    contracted: Cents,
    underpaid: Cents,
    received_on: date,
    paid_on: date,
    noticed_on: date,
    until: date,
    paper: bool = False,
) -> Penalty | None:
    """What the payer owes on ``underpaid`` cents of ``contracted`` that it left out on ``paid_on``,
    when it has been told on ``noticed_on`` and pays them on ``until``.

    Texas counts from the underpaid part of billed less contracted (1301.137(g)); nothing is owed
    when the notice was too late, or the balance came soon enough after it.
    """
    law, due = policy.prompt_pay, due_on(policy, received_on, paper=paper)
    if law is None or due is None or until <= due or underpaid <= 0 or contracted <= 0:
        return None
    if law.notice_days is not None and noticed_on > paid_on + timedelta(days=law.notice_days):
        return None
    if law.cure_days is not None and noticed_on <= until <= noticed_on + timedelta(
        days=law.cure_days
    ):
        return None
    if law.tiers:
        base = max(billed - contracted, Cents(0)).share(underpaid, contracted)
        counted = f"(billed {billed} - contracted {contracted}) x {underpaid} / {contracted} ="
        return _tiered(policy, law, base, counted, due, until)
    return _interest(policy, law, underpaid, received_on, due, until)


def _tiered(
    policy: PayerPolicy, law: PromptPay, base: Cents, counted: str, due: date, paid_on: date
) -> Penalty | None:
    late = (paid_on - due).days
    tier = next(tier for tier in law.tiers if tier.to_day is None or late <= tier.to_day)
    cents = min(base.share(tier.percent, 100), Cents(tier.most_cents))
    working = f"{late} days late: {tier.percent} % of {counted} {base}: {cents}"
    rate = law.rate_on(paid_on) if tier.with_interest else None
    if rate is not None:
        interest = cents.share(rate.basis_points * late, _BASIS_POINTS_A_YEAR)
        working += (
            f"; interest {rate.basis_points / 100:g} % a year on {cents} for {late} days = "
            f"{interest}"
        )
        cents += interest
    return _penalty(policy, law, cents, due, late, working)


def _interest(
    policy: PayerPolicy, law: PromptPay, cents: Cents, received_on: date, due: date, paid_on: date
) -> Penalty | None:
    rate = law.rate_on(paid_on)
    if rate is None or law.interest_from_day is None:
        return None
    days = (paid_on - received_on).days - law.interest_from_day
    interest = cents.share(rate.basis_points * days, _BASIS_POINTS_A_YEAR)
    working = (
        f"{rate.basis_points / 100:g} % a year on {cents} for {days} days, from day "
        f"{law.interest_from_day} after receipt on {received_on} to {paid_on} = {interest}"
    )
    return _penalty(policy, law, interest, due, (paid_on - due).days, working)


def _penalty(
    policy: PayerPolicy, law: PromptPay, cents: Cents, due: date, late: int, working: str
) -> Penalty | None:
    if cents <= 0:
        return None
    return Penalty(
        cents=cents,
        due_on=due,
        days_late=late,
        working=f"{law.law}: {working}",
        source=policy.source(law),
    )
