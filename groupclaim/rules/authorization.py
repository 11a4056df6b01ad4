"""Prior authorization: whether the payer asks for one, whether one fits, how long it lasts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

from groupclaim.model.base import Record
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity, Source
from groupclaim.model.patient import Authorization
from groupclaim.policy.payer import PayerPolicy

_MISFITS = {
    "payer": "it was given by another payer",
    "code": "it is for other codes",
    "clinician": "it is for another clinician",
    "dates": "the day of service is outside of its dates",
}


class AuthorizationCheck(Record):
    """``authorization`` is the one to name on the claim (REF*G1), if any fits."""

    authorization: Authorization | None
    findings: tuple[Finding, ...]


def fitting_authorization(facts: ClaimFacts, code: str) -> Authorization | None:
    """The authorization whose payer, code, clinician, dates and units left all fit the service.

    ``used`` counts units reserved, committed or consumed by *other* claims. Of several, the one
    that ends first is used up first. One without a clinician was given to the group practice.
    """
    fitting = [item for item in _matching(facts, code) if item.used < item.units]
    return min(fitting, key=lambda item: (item.effective_to, item.number), default=None)


def exhausted_authorization(facts: ClaimFacts, code: str) -> Authorization | None:
    """Of the authorizations that fit in all but units left, the one that ends last."""
    return max(
        _matching(facts, code), key=lambda item: (item.effective_to, item.number), default=None
    )


def check_authorization(facts: ClaimFacts, policy: PayerPolicy, code: str) -> AuthorizationCheck:
    """Holds a claim whose payer asks for an authorization when none on file fits.

    The payer's answer decides; where it leaves that open, the number of visits after which its
    policy asks for one, and then what the policy says of the unknown. When none is asked for, one
    that fits is named on the claim all the same: it can only help.
    """
    fitting = fitting_authorization(facts, code)
    if fitting is not None:
        left = fitting.units - fitting.used - 1
        return AuthorizationCheck(
            authorization=fitting,
            findings=(_running_out(facts, left),) if left in _LAST_UNITS else (),
        )
    asked = _asked_for(facts, policy)
    if asked is None:
        return AuthorizationCheck(authorization=None, findings=(_not_asked_for(facts, policy),))
    return AuthorizationCheck(authorization=None, findings=(_missing(facts, code, asked),))


_LAST_UNITS = range(2)
"""Units left after this session at which an extension is due: a request takes a week or two."""


class _Asked(Record):
    """Why an authorization is needed; ``source`` is given where it is the policy's own word."""

    sentence: str
    source: Source | None = None


def _asked_for(facts: ClaimFacts, policy: PayerPolicy) -> _Asked | None:
    required = _required(facts)
    if required == "Y":
        return _Asked(sentence="The payer asks for a prior authorization")
    visits = policy.visits
    if required != "N" and visits is not None:
        before = sum(day < facts.service_date for day in facts.other_session_days)
        if before >= visits.before_authorization:
            return _Asked(
                sentence=f"The payer asks for an authorization after "
                f"{visits.before_authorization} visits in a calendar year; "
                f"{before} are on file here",
                source=policy.source(visits),
            )
    if required == "U" and policy.authorization.when_unknown == "hold":
        return _Asked(
            sentence="The payer does not say whether it asks for a prior authorization",
            source=policy.source(policy.authorization),
        )
    return None


def _required(facts: ClaimFacts) -> Literal["Y", "N", "U"]:
    return facts.eligibility.authorization_required if facts.eligibility else "U"


def _missing(facts: ClaimFacts, code: str, asked: _Asked) -> Finding:
    """What an authorization on file lacks, when one is needed."""
    misfit = _nearest_misfit(facts, code)
    if _matching(facts, code):
        rule, hold = "authorization_exhausted", "AUTH_EXHAUSTED"
        lacks = "every unit of the one on file is used or reserved"
        fix = "Request more units and record the extended authorization."
    elif misfit is not None:
        rule, hold = "authorization_mismatch", "AUTH_MISMATCH"
        lacks = f"the one on file does not fit: {_MISFITS[misfit]}"
        fix = "Compare it with the payer's letter; correct it or ask for a revision."
    else:
        rule, hold = "authorization_required", "AUTH_REQUIRED"
        lacks = "none is on file"
        fix = "Request an authorization for the day of service and record it."
    return Finding(
        rule=rule,
        severity=Severity.BLOCK,
        sentence=f"{asked.sentence}; {lacks}.",
        fix=fix,
        evidence=_evidence(facts),
        hold=hold,
        # What the payer itself answered is a fact; only the policy's own word may be unverified.
        releasable=asked.source is not None and not asked.source.verified,
        source=asked.source,
    )


def _not_asked_for(facts: ClaimFacts, policy: PayerPolicy) -> Finding:
    if _required(facts) == "U":
        return Finding(
            rule="authorization_unknown",
            severity=Severity.WARN,
            sentence="The payer does not say whether a prior authorization is needed.",
            fix="Ask the payer and record the call (`groupclaim coverage call`); "
            "the claim goes on meanwhile.",
            evidence=_evidence(facts),
            source=policy.source(policy.authorization),
        )
    return Finding(
        rule="authorization_not_required",
        severity=Severity.INFO,
        sentence="The payer says that no prior authorization is needed.",
        evidence=_evidence(facts),
    )


def _running_out(facts: ClaimFacts, left: int) -> Finding:
    return Finding(
        rule="authorization_running_out",
        severity=Severity.INFO,
        sentence=f"After this session {left} units of the authorization are left.",
        fix="Request the extension now.",
        evidence=_evidence(facts),
    )


def _evidence(facts: ClaimFacts) -> tuple[str, ...]:
    return (facts.claim_number, facts.patient_id)


def _of_patient(facts: ClaimFacts) -> list[Authorization]:
    return [item for item in facts.authorizations if item.patient == facts.patient.ref]


def _misfits(item: Authorization, facts: ClaimFacts, code: str) -> list[str]:
    """In what an authorization of the patient does not fit the service, units apart."""
    fits = {
        "payer": facts.payer is not None and item.payer == facts.payer.ref,
        "code": code in item.codes,
        "clinician": item.clinician in (None, facts.clinician.ref),
        "dates": item.in_force(facts.service_date),
    }
    return [name for name, fit in fits.items() if not fit]


def _matching(facts: ClaimFacts, code: str) -> list[Authorization]:
    """Authorizations that fit in everything but perhaps the units left."""
    return [item for item in _of_patient(facts) if not _misfits(item, facts, code)]


def _nearest_misfit(facts: ClaimFacts, code: str) -> str | None:
    """The one thing in which an authorization on file does not fit; None when it is more than one
    thing, for then it is another matter altogether."""
    single = [
        misfits[0]
        for item in _of_patient(facts)
        if len(misfits := _misfits(item, facts, code)) == 1
    ]
    return min(single, key=list(_MISFITS).index, default=None)


# --- how long an authorization lasts


class Forecast(Record):
    """How far the units of an authorization reach in a weekly series.

    ``runs_out_on`` is the first session that it does not cover, because of its ``units`` or of its
    ``dates``; ``last_covered`` the last that it covers, None when it covers none more.
    """

    left: int
    last_covered: date | None
    runs_out_on: date
    because: Literal["units", "dates"]


def forecast(
    permit: Authorization, left: int, scheduled: Sequence[date], after: date, every_days: int = 7
) -> Forecast:
    """When ``permit`` runs out if sessions go on every ``every_days`` days.

    ``left``: units that no claim holds. ``scheduled`` are the days of sessions planned after
    ``after`` that hold no unit yet; the series goes on from the last of them, or from ``after``.
    """
    days = sorted(day for day in scheduled if day > after)
    next_day = (days[-1] if days else after) + timedelta(days=every_days)
    covered = 0
    last: date | None = None
    while True:
        day = days.pop(0) if days else next_day
        if day == next_day:
            next_day += timedelta(days=every_days)
        if not permit.in_force(day) and day > permit.effective_from:
            return Forecast(left=left, last_covered=last, runs_out_on=day, because="dates")
        if covered >= left:
            return Forecast(left=left, last_covered=last, runs_out_on=day, because="units")
        if permit.in_force(day):
            covered, last = covered + 1, day
