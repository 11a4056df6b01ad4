"""Asking for an authorization: what for, what the payer's answer means, what is told meanwhile."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from groupclaim.model.authorization_request import (
    AuthorizationDecision,
    RequestedAuthorization,
    RequestState,
)
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.patient import Authorization
from groupclaim.policy.authorization_reasons import authorization_reason
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.authorization import exhausted_authorization

_WEEK = timedelta(days=7)

_AGAIN = frozenset({"P", "R"})
"""AAA04: the payer took nothing, and the same request may come again."""

_STATE_OF_ACTION = {
    "A1": RequestState.CERTIFIED,
    "A2": RequestState.CERTIFIED,
    "A6": RequestState.CERTIFIED,
    "A3": RequestState.REFUSED,
    "C": RequestState.REFUSED,
    "A4": RequestState.PENDED,
    "CT": RequestState.CALL,
    "NA": RequestState.NOT_NEEDED,
}


def series_to_request(
    facts: ClaimFacts, policy: PayerPolicy, missing: Finding, code: str, today: date
) -> RequestedAuthorization | None:
    """What to ask for when ``missing`` holds a claim: a weekly series from the day of service on,
    as long as policy and treatment plan go; an extension where the units on file are used up.

    None when a request clears nothing here, comes too late, or the payer takes none.
    """
    if missing.hold not in ("AUTH_REQUIRED", "AUTH_EXHAUSTED"):
        return None
    used_up = exhausted_authorization(facts, code) if missing.hold == "AUTH_EXHAUSTED" else None
    return _series(facts, policy, today, used_up)


def series_after_denial(
    facts: ClaimFacts, policy: PayerPolicy, today: date
) -> RequestedAuthorization | None:
    """What to ask for when a payer has denied a claim for want of an authorization; None where the
    payer takes no request after the service, or it is too late for one."""
    return _series(facts, policy, today, None)


def _series(
    facts: ClaimFacts, policy: PayerPolicy, today: date, used_up: Authorization | None
) -> RequestedAuthorization | None:
    rule, first = policy.authorization_requests, facts.service_date
    if rule is None or today > first + timedelta(days=rule.days_after_service):
        return None
    last = first + rule.weeks * _WEEK - timedelta(days=1)
    if facts.plan is not None:
        last = max(first, min(last, facts.plan.valid_to))
    return RequestedAuthorization(
        units=(last - first) // _WEEK + 1,
        first_day=first,
        last_day=last,
        urgent=facts.plan is not None and facts.plan.urgent,
        extends=used_up.number if used_up is not None else None,
    )


def state_after(decision: AuthorizationDecision) -> RequestState:
    """Where a request stands after the payer's answer; NEW when the payer took nothing and the same
    request may come again."""
    if not decision.action:
        again = bool(decision.follow_ups) and _AGAIN.issuperset(decision.follow_ups)
        return RequestState.NEW if again else RequestState.UNUSABLE
    state = _STATE_OF_ACTION.get(decision.action, RequestState.CALL)
    # A certification that cannot be named on a claim is for a person to complete.
    if state is RequestState.CERTIFIED and not decision.number:
        return RequestState.CALL
    return state


def certified_authorization(
    facts: ClaimFacts,
    payer_ref: str,
    code: str,
    asked: RequestedAuthorization,
    decision: AuthorizationDecision,
) -> Authorization:
    """The authorization that a certification gives. Units under the number of the one that was used
    up come on top of its own. Raises ValueError when its number is none that a claim can carry."""
    first = decision.first_day or asked.first_day
    last = decision.last_day or asked.last_day
    units = asked.units if decision.units is None else decision.units
    used = 0
    extended = next(
        (
            item
            for item in facts.authorizations
            if item.number == decision.number and item.payer == payer_ref
        ),
        None,
    )
    if extended is not None:
        first, last = min(first, extended.effective_from), max(last, extended.effective_to)
        units, used = units + extended.units, extended.used
    clinicians = (facts.clinician, facts.supervisor)
    alone = next(
        (item.ref for item in clinicians if item and item.npi == decision.clinician_npi), None
    )
    return Authorization.model_validate(
        {
            "patient": facts.patient.ref,
            "payer": payer_ref,
            "number": decision.number,
            "codes": (code,),
            "clinician": alone,
            "units": units,
            "used": used,
            "from": first,
            "to": last,
        }
    )


def with_request(
    findings: tuple[Finding, ...],
    missing: Finding,
    asked: RequestedAuthorization,
    state: RequestState,
    decision: AuthorizationDecision | None,
    decide_by: datetime | None,
) -> tuple[Finding, ...]:
    """``findings`` as they are once the payer has been asked for what is ``missing``."""
    others = tuple(item for item in findings if item != missing)
    evidence = missing.evidence
    if state is RequestState.NOT_NEEDED:
        told = Finding(
            rule="authorization_not_needed",
            severity=Severity.INFO,
            sentence="Asked by 278, the payer says that no authorization is needed.",
            evidence=evidence,
        )
        return (*others, told)
    if state is RequestState.PENDED:
        by = f"; it should decide by {decide_by:%Y-%m-%d %H:%M %Z}" if decide_by else ""
        pended = Finding(
            rule="authorization_pended",
            severity=Severity.BLOCK,
            sentence=f"The payer has the request for {asked.units} sessions and has not "
            f"decided{by}.",
            fix="Nothing: the payer is asked again. A decision by letter or telephone is recorded.",
            evidence=evidence,
            hold="AUTH_PENDED",
        )
        return (*others, pended)
    if state in (RequestState.NEW, RequestState.ASKING):
        in_doubt = Finding(
            rule="authorization_request_in_doubt",
            severity=Severity.BLOCK,
            sentence="An authorization was asked for and no answer is known yet.",
            fix="Nothing: the payer is asked what became of the request; it is not sent twice.",
            evidence=evidence,
            hold="AUTH_PENDED",
        )
        return (*others, in_doubt)
    if state is RequestState.REFUSED:
        return (*others, _refused(decision, evidence))
    if state is RequestState.CERTIFIED:
        said, fix = "The payer's certification does not cover this session.", "Ask for a revision."
    elif state is RequestState.CALL:
        said = "Asked by 278, the payer decides by telephone or portal alone."
        fix = "Call the payer and record the authorization."
    else:
        codes = decision.rejections if decision else ()
        words = sorted({authorization_reason(item).category for item in codes})
        said = f"The payer could not work on the 278 ({', '.join(words) or 'no reason given'})."
        fix = "Correct what it names, in the coverage or the clinician's data; it is asked again."
    return (
        *findings,
        Finding(
            rule=f"authorization_request_{state.value}",
            severity=Severity.WARN,
            sentence=said,
            fix=fix,
            evidence=evidence,
        ),
    )


def modified(asked: RequestedAuthorization, decision: AuthorizationDecision) -> Finding | None:
    """A word to the clinician when less, or another time, was certified than asked for."""
    if decision.action not in ("A2", "A6"):
        return None
    units = asked.units if decision.units is None else decision.units
    return Finding(
        rule="authorization_modified",
        severity=Severity.WARN,
        sentence=f"The payer certified {units} of {asked.units} sessions asked for, "
        f"{decision.first_day or asked.first_day} to {decision.last_day or asked.last_day}.",
        fix="Tell the clinician; ask for a revision if more sessions are planned.",
    )


def _refused(decision: AuthorizationDecision | None, evidence: tuple[str, ...]) -> Finding:
    code = decision.reason if decision else ""
    category = authorization_reason(code).category
    cancelled = decision is not None and decision.action == "C"
    return Finding(
        rule="authorization_cancelled" if cancelled else "authorization_refused",
        severity=Severity.BLOCK,
        sentence=(
            "The payer has cancelled the request for an authorization"
            if cancelled
            else "The payer has refused the authorization"
        )
        + f": {category}{f' (reason {code})' if code else ''}.",
        fix="Talk to the reviewer peer to peer or appeal; tell the patient before the next "
        "session. The payer's own words stand in its answer.",
        evidence=evidence,
        hold="AUTH_REFUSED",
    )
