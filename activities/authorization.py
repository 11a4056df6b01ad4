"""Does the payer ask for a prior authorization, does one on file fit, and if not: 278."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from activities import composing, steps
from activities.authorization_exchange import FIRST_LOOK, AuthorizationExchange
from activities.on_file import Billed, OnFile, on_file, today
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import AuthorizationChecked
from groupclaim.model.authorization_request import OPEN_REQUESTS, RequestedAuthorization
from groupclaim.model.finding import Finding, blocking
from groupclaim.rules.authorization import AuthorizationCheck, check_authorization
from groupclaim.rules.authorization_request import modified, series_to_request, with_request
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY
from groupclaim.rules.deadlines import attendance_deadline
from groupclaim.rules.holding import held
from groupclaim.rules.licences import rendering_clinician
from groupclaim.store import authorization_requests as requests
from groupclaim.store import authorizations, claims
from groupclaim.store.authorization_requests import AuthorizationRequest
from groupclaim.store.database import Transaction

_ALERT_BEFORE = timedelta(hours=24)
"""groupclaim's own choice: so long before the payer's time to decide ends, people are told."""


@dataclass(frozen=True, slots=True)
class _Asking:
    """A request on file to a payer, and the finding that it would clear."""

    request: AuthorizationRequest
    missing: Finding
    billed: Billed


class Authorization:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.CHECK_AUTHORIZATION)
    async def check_authorization(self, step: steps.ClaimStep) -> AuthorizationChecked:
        """Look at the authorizations on file and reserve a unit of the one that fits; before
        attendance, the claim then waits for it.

        Where one is missing and the payer takes requests, it is asked for once, under a trace that
        is written down first. What the payer says, or that it says nothing, is the step's result.
        """
        async with self._outside.database.transaction() as tx:
            found, check = await self._reserve(tx, step)
            asking = await self._asking(tx, step, found, check)
            if asking is None:
                return await _conclude(tx, step, found, check.findings)
        await AuthorizationExchange(self._outside, found, asking.billed).advance(asking.request)
        async with self._outside.database.transaction() as tx:
            found, check = await self._reserve(tx, step)
            request = await requests.read(tx, asking.request.trace)
            if asking.missing in check.findings:
                return await _conclude_asking(tx, step, found, check, request, asking.missing)
            told = modified(request.asked, request.decision) if request.decision else None
            findings = check.findings if told is None else (*check.findings, told)
            return await _conclude(tx, step, found, findings)

    async def _reserve(
        self, tx: Transaction, step: steps.ClaimStep
    ) -> tuple[OnFile, AuthorizationCheck]:
        found = await on_file(self._outside, tx, step.claim_number)
        check = _checked(found)
        while check.authorization is not None and not await authorizations.reserve(
            tx, step.claim_number, check.authorization, found.now
        ):
            # Somebody else has taken the last unit since we looked: look again, it is locked.
            found = await on_file(self._outside, tx, step.claim_number)
            check = _checked(found)
        if check.authorization is None:
            await authorizations.release(tx, step.claim_number, found.now)
        return found, check

    async def _asking(
        self, tx: Transaction, step: steps.ClaimStep, found: OnFile, check: AuthorizationCheck
    ) -> _Asking | None:
        """The request for what is missing, on file or written down now; None when there is nothing
        to ask for, or nobody to ask."""
        missing, billed, facts = blocking(check.findings, step.waivers), found.billed, found.facts
        if missing is None or billed is None:
            return None
        payer_key = tx.keyring.payer_key(billed.payer.ref)
        asked = series_to_request(facts, billed.policy, missing, GROUP_PSYCHOTHERAPY, today(found))
        if asked is None:
            # Too late for a new request; one that was made in time still counts.
            certification = "4" if missing.hold == "AUTH_EXHAUSTED" else "I"
            known = await requests.covering(
                tx, facts.patient_id, payer_key, certification, facts.service_date
            )
            return None if known is None else _Asking(known, missing, billed)
        request = await requests.open_request(
            tx,
            step.claim_number,
            facts.patient_id,
            payer_key,
            asked,
            request_content(self._outside, found, billed, asked),
            facts.service_date,
            found.now,
        )
        return _Asking(request, missing, billed)


def request_content(
    outside: Outside, found: OnFile, billed: Billed, asked: RequestedAuthorization
) -> str:
    """A digest of all that a request says of patient, clinician and series."""
    facts = found.facts
    said = (
        asked.model_dump_json(),
        composing.known_member_id(facts),
        facts.patient.model_dump_json(exclude={"part2_consents"}),
        rendering_clinician(facts, billed.policy).npi,
        billed.payer.payer_id,
        ",".join(facts.plan.diagnoses if facts.plan else ()),
    )
    keys = outside.database.keyring
    return keys.blind_index("authorization_request.content", "|".join(said))


def _checked(found: OnFile) -> AuthorizationCheck:
    if found.billed is None:
        return AuthorizationCheck(authorization=None, findings=found.lacks)
    return check_authorization(found.facts, found.billed.policy, GROUP_PSYCHOTHERAPY)


async def _conclude_asking(
    tx: Transaction,
    step: steps.ClaimStep,
    found: OnFile,
    check: AuthorizationCheck,
    request: AuthorizationRequest,
    missing: Finding,
) -> AuthorizationChecked:
    zone = ZoneInfo(found.facts.practice.time_zone)
    findings = with_request(
        check.findings,
        missing,
        request.asked,
        request.state,
        request.decision,
        request.decide_by.astimezone(zone) if request.decide_by else None,
    )
    due_at = None
    if request.state in OPEN_REQUESTS:
        due_at = await _watch(tx, step, found.now, request)
    return await _conclude(tx, step, found, findings, due_at)


async def _watch(
    tx: Transaction, step: steps.ClaimStep, now: datetime, request: AuthorizationRequest
) -> datetime:
    """When to look again; people are told before the payer's time to decide ends, and then."""
    by = request.decide_by
    next_at = max(request.next_at or now + FIRST_LOOK, now + timedelta(minutes=1))
    if by is None:
        return next_at
    moments = (by - _ALERT_BEFORE, by)
    level = sum(moment <= now for moment in moments)
    if level and await requests.alerted(tx, request.trace, level):
        await claims.append_event(
            tx,
            step.claim_number,
            f"alert|{step.claim_number}|{request.trace}|{level}",
            now,
            "alert",
            "groupclaim",
            {"stage": "authorization", "hold": "AUTH_PENDED", "level": level},
            sequence=step.sequence,
        )
    return min((next_at, *(moment for moment in moments if moment > now)))


async def _conclude(
    tx: Transaction,
    step: steps.ClaimStep,
    found: OnFile,
    findings: tuple[Finding, ...],
    due_at: datetime | None = None,
) -> AuthorizationChecked:
    await claims.replace_findings(
        tx, step.claim_number, steps.CHECK_AUTHORIZATION.name, findings, found.now
    )
    hold = held(findings, step.waivers)
    if hold is not None:
        due_at = due_at or found.look_again()
        return AuthorizationChecked(at=found.now, held=hold, due_at=due_at)
    attendance_due = attendance_deadline(found.facts.session.ends_at).at
    return AuthorizationChecked(at=found.now, due_at=attendance_due)
