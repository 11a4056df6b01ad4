"""What a step looks at before it decides, and the errors it raises when it must come again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.outside import Outside
from activities.steps import INVALID
from groupclaim.clearinghouse.port import NotTaken, Unreachable
from groupclaim.model.claim import ClaimParties
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.practice import Connection, Payer
from groupclaim.policy.patient_rights import patient_rights
from groupclaim.policy.payer import NoPolicy, PayerPolicy
from groupclaim.rules.deadlines import Deadline, Deadlines, patient_refund
from groupclaim.rules.eligibility import coverage_on_file
from groupclaim.store import claims, practice
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Reading

OUTAGE = timedelta(minutes=30)
"""How long something outside may fail to answer before people are told: groupclaim's choice."""

REFUND_DUE = "REFUND_DUE"
"""The hold of a claim whose patient has paid more than they owe."""

LOOK_AGAIN = timedelta(days=7)
"""When something that no policy dates is looked at again."""


@dataclass(frozen=True, slots=True)
class Billed:
    """The payer of a claim with the rules and deadlines in force on the day of service."""

    payer: Payer
    policy: PayerPolicy
    deadlines: Deadlines


@dataclass(frozen=True, slots=True)
class OnFile:
    """One claim as on file at ``now``; ``billed`` is None when ``lacks`` says what is missing: a
    coverage of the day, or a policy of its payer."""

    facts: ClaimFacts
    billed: Billed | None
    lacks: tuple[Finding, ...]
    now: datetime

    def look_again(self) -> datetime:
        """When a claim that waits for a person is looked at next: in time before the filing limit
        and, once the payer has decided, before the limit to appeal."""
        if self.billed is None:
            return self.now + LOOK_AGAIN
        deadlines = self.billed.deadlines
        alerts = []
        filing = deadlines.next_filing_alert(self.facts.service_date, self.now)
        if filing is not None:
            alerts.append(filing.at)
        if self.facts.decided_on is not None:
            appeal = deadlines.appeal_limit(self.facts.decided_on)
            alerts += [*appeal.alerts, appeal.at]
        return min((alert for alert in alerts if alert > self.now), default=self.now + LOOK_AGAIN)


async def on_file(
    outside: Outside,
    reading: Reading,
    claim_number: str,
    version: int = 0,
    parties: ClaimParties | None = None,
) -> OnFile:
    """Everything on file about a claim; payer and coverage are those that ``version`` was made
    with, or ``parties`` where they are given."""
    if parties is None and version:
        parties = (await claims.read_version(reading, claim_number, version)).parties
    facts = await practice.claim_facts(reading, claim_number, parties)
    now = await practice_now(reading)
    if facts.payer is None:
        return OnFile(facts, None, coverage_on_file(facts), now)
    try:
        policy = outside.policies.policy(facts.payer.policy, facts.service_date)
    except NoPolicy as error:
        return OnFile(facts, None, (no_policy(facts, error),), now)
    deadlines = Deadlines(policy, outside.calendar, facts.practice.time_zone)
    return OnFile(facts, Billed(facts.payer, policy, deadlines), (), now)


def refund_deadline(found: OnFile, since: datetime) -> Deadline:
    """By when what the patient has paid too much goes back, where that was known ``since``."""
    zone = ZoneInfo(found.facts.practice.time_zone)
    rule = patient_rights().refund(found.facts.location.address.state)
    return patient_refund(rule, since.astimezone(zone).date(), zone)


def no_policy(facts: ClaimFacts, error: NoPolicy) -> Finding:
    """Holds a claim whose payer's rules for the day of service nobody has written down."""
    return Finding(
        rule="no_policy",
        severity=Severity.BLOCK,
        sentence=f"{error}.",
        fix="Load a policy for the payer and the day.",
        evidence=(facts.claim_number,),
        hold="NO_POLICY",
    )


def today(found: OnFile) -> date:
    """The practice's date."""
    return found.now.astimezone(ZoneInfo(found.facts.practice.time_zone)).date()


async def connection_of(reading: Reading, payer: Payer) -> tuple[str, Connection]:
    """Through whom a payer is reached: the connection's id and record."""
    connection_id = reading.keyring.connection_id(payer.connection)
    return connection_id, await practice.read_connection(reading, connection_id)


def later(error: Unreachable | NotTaken, what: str) -> ApplicationError:
    """The error that makes a step come again, no sooner than it was asked to."""
    throttled = error.retry_after is not None
    return ApplicationError(
        f"{what}: {error.reason}",
        type="Throttled" if throttled else "Transient",
        next_retry_delay=error.retry_after,
        category=ApplicationErrorCategory.BENIGN
        if throttled
        else ApplicationErrorCategory.UNSPECIFIED,
    )


def outage() -> timedelta | None:
    """How long the step under way has been failing, once that is longer than :data:`OUTAGE`: it
    then says so in the claim's record instead of being tried on in silence."""
    info = activity.info()
    failing = info.current_attempt_scheduled_time - info.scheduled_time
    return failing if failing > OUTAGE else None


def invalid(text: str) -> ApplicationError:
    """The error that ends a step: trying again would give the same. ``text``: codes, no values."""
    return ApplicationError(text[:200], type=INVALID, non_retryable=True)
