"""A rejection or denial: mend it and send again, or say what a person must do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import select

from activities import steps
from activities.on_file import Billed, OnFile, on_file
from activities.outside import Outside, performs
from activities.reading import read_note
from groupclaim.lifecycle.events import DenialDecided
from groupclaim.model.authorization_request import RequestState
from groupclaim.model.claim import ClaimPayment, ClaimVersion
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.money import Cents
from groupclaim.policy.playbook import Evidence, Playbook
from groupclaim.rules.coding import code_claim
from groupclaim.rules.denials import DenialDecision, Denied, decide_denial, is_denial
from groupclaim.rules.holding import held
from groupclaim.store import authorization_requests as requests
from groupclaim.store import claims, denials, practice, remittances
from groupclaim.store.authorization_requests import AuthorizationRequest
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import authorization_use, claim, group_session

ASK_AUTHORIZATION = "ask_authorization"
INITIAL = "I"
"""UM02 of a request that extends no earlier one."""

_CODING = ("correct_modifier", "correct_place_of_service", "correct_codes")


@dataclass(frozen=True, slots=True)
class Look:
    """All that bears on one denial; ``billed`` is None where the payer's rules are not on file."""

    found: OnFile
    billed: Billed | None
    denied: Denied
    payment: ClaimPayment | None
    letters: tuple[denials.Letter, ...]
    request: AuthorizationRequest | None = None
    """The request for an authorization that the service is in, if one was made."""


class Denial:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.DECIDE_DENIAL)
    async def decide_denial(self, step: steps.ClaimStep) -> DenialDecided:
        """What the playbook makes of the cause, given what is on file by now. A payer's denial is
        kept under a number, with the case that it belongs to."""
        outside = self._outside
        async with outside.database.reading() as reading:
            look = await look_at(
                outside, reading, step.claim_number, step.version, step.cause, step.corrections
            )
        if look.billed is None:
            return await self._held(step, look.found)
        denied = await recoded(outside, look)
        decision = decide_denial(denied, look.found.facts, look.billed.policy, outside.playbook)
        number = 0
        async with outside.database.transaction() as tx:
            await claims.replace_findings(
                tx, step.claim_number, steps.DECIDE_DENIAL.name, decision.findings, look.found.now
            )
            if is_denial(step.cause) and look.found.facts.decided_on is not None and step.version:
                number = await _register(tx, step, look, decision, look.found.facts.decided_on)
        # A release asks for another decision, it never waives the denial itself.
        hold = held(decision.findings)
        return DenialDecided(
            at=look.found.now,
            held=hold,
            due_at=look.found.look_again() if hold else None,
            denial=number if hold else 0,
            correction=decision.correction,
            restart=decision.restart if decision.correction else None,
            frequency=decision.frequency,
        )

    async def _held(self, step: steps.ClaimStep, found: OnFile) -> DenialDecided:
        """Nothing is decided without the payer's rules: a person is told what is missing."""
        findings = tuple(
            item.model_copy(update={"hold": "DENIED", "releasable": True}) for item in found.lacks
        )
        async with self._outside.database.transaction() as tx:
            await claims.replace_findings(
                tx, step.claim_number, steps.DECIDE_DENIAL.name, findings, found.now
            )
        return DenialDecided(at=found.now, held=held(findings), due_at=found.look_again())


async def _register(
    tx: Transaction, step: steps.ClaimStep, look: Look, decision: DenialDecision, decided_on: date
) -> int:
    """The number of the denial; one that the file mends is ended at once. Done again, the same."""
    now, cents = look.found.now, int(look.denied.cents)
    known = await denials.find_open(tx, step.claim_number)
    fresh = await claims.append_event(
        tx,
        step.claim_number,
        f"denied|{step.claim_number}|{step.sequence}",
        now,
        "denied",
        "groupclaim",
        {"cause": step.cause, "rule": decision.rule, "playbook": decision.playbook},
        sequence=step.sequence,
    )
    if not fresh:
        return known.number if known else 0
    number = await denials.open_denial(
        tx,
        step.claim_number,
        step.version,
        await _cause(tx, step, decision),
        cents,
        decided_on,
        {
            "rule": decision.rule,
            "playbook": decision.playbook,
            "action": decision.action,
            "who": decision.who,
        },
        now,
    )
    if decision.correction is not None:
        await denials.conclude(
            tx, step.claim_number, number, "corrected", now, correction=decision.correction
        )
    return number


async def _cause(
    reading: Reading, step: steps.ClaimStep, decision: DenialDecision
) -> denials.Cause:
    """The case that a denial belongs to: those of one session, clinician or authorization with the
    same cause are repaired once. Without an authorization it is the patient's missing one."""
    row = await reading.first(
        select(
            claim.c.session_id, claim.c.patient_id, claim.c.payer_key, group_session.c.clinician_id
        )
        .join(group_session, group_session.c.id == claim.c.session_id)
        .where(claim.c.claim_number == step.claim_number)
    )
    used = await reading.scalar(
        select(authorization_use.c.authorization_id)
        .where(authorization_use.c.claim_number == step.claim_number)
        .order_by(authorization_use.c.reserved_at.desc())
    )
    scope_id = {
        "claim": step.claim_number,
        "session": row.session_id if row else step.claim_number,
        "clinician": row.clinician_id if row else step.claim_number,
        "authorization": used or (row.patient_id if row else step.claim_number),
    }[decision.scope]
    return denials.Cause(
        scope=decision.scope,
        scope_id=scope_id,
        payer_key=row.payer_key if row else "none",
        cause=step.cause or "",
        category=decision.category or "unknown",
        prevented_by=decision.prevented_by,
    )


async def look_at(
    outside: Outside,
    reading: Reading,
    claim_number: str,
    version: int,
    cause: str | None,
    tried: tuple[str, ...] | None = None,
) -> Look:
    """Everything on file about a denial of ``version``; coding is not done anew here."""
    found = await on_file(outside, reading, claim_number, version)
    payments = await remittances.claim_payments(reading, claim_number)
    payment = payments[-1] if payments else None
    sent = await claims.read_version(reading, claim_number, version) if version else None
    current = await denials.find_open(reading, claim_number)
    if current is not None and current.version != version:
        current = None
    letters = await denials.letters_of(reading, claim_number, current.number) if current else ()
    if tried is None:
        tried = (await claims.load_state(reading, claim_number)).corrections
    request = await _request(reading, found)
    appeals = sum(item.state == "upheld" for item in letters if item.kind == "appeal")
    now = await practice.claim_facts(reading, claim_number)
    to_correct, to_appeal = _days_left(found, appeals)
    denied = Denied(
        cause=cause,
        remarks=payment.remarks if payment else (),
        cents=sent.charge if sent else Cents(0),
        sent=sent,
        payer_now=now.payer.ref if now.payer else None,
        member_now=member_id(now),
        tried=tried,
        done=(*(current.done if current else ()), *_answered(letters), *_refused(request)),
        appeals=appeals,
        evidence=evidence_on_file(found, sent),
        days_to_correct=to_correct,
        days_to_appeal=to_appeal,
    )
    return Look(found, found.billed, denied, payment, letters, request)


def _answered(letters: tuple[denials.Letter, ...]) -> tuple[str, ...]:
    """Records that were sent and did not help are not sent again."""
    upheld = [item for item in letters if item.kind == "send_documents" and item.state == "upheld"]
    return ("send_documents",) if upheld else ()


async def _request(reading: Reading, found: OnFile) -> AuthorizationRequest | None:
    if found.billed is None:
        return None
    payer_key = reading.keyring.payer_key(found.billed.payer.ref)
    facts = found.facts
    return await requests.covering(
        reading, facts.patient_id, payer_key, INITIAL, facts.service_date
    )


def _refused(request: AuthorizationRequest | None) -> tuple[str, ...]:
    """Nobody asks again for an authorization that the payer has refused: that is appealed."""
    refused = request is not None and request.state is RequestState.REFUSED
    return (ASK_AUTHORIZATION,) if refused else ()


async def recoded(outside: Outside, look: Look) -> Denied:
    """``look.denied`` with what coding makes of the service by now, where a rung asks for that;
    the note is read for it, and that is audited."""
    denied, found, billed = look.denied, look.found, look.billed
    if billed is None or not _asks_for_coding(outside.playbook, denied):
        return denied
    note = await read_note(outside, found.facts, "denial", found.now)
    coded = code_claim(found.facts, billed.policy, outside.fees, note=note, edits=outside.edits)
    return denied.model_copy(update={"recoded": coded})


def _asks_for_coding(playbook: Playbook, denied: Denied) -> bool:
    if not is_denial(denied.cause):
        return False
    reason = playbook.reason((denied.cause or "").partition("-")[2])
    actions = set(reason.actions if reason else ())
    for code in denied.remarks:
        remark = playbook.remark(code)
        actions |= set(remark.actions if remark else ())
    return bool(actions & set(_CODING))


def _days_left(found: OnFile, appeals: int) -> tuple[int | None, int | None]:
    """Days until the limits to correct and to appeal the payer's last decision; None before there
    is one, or where no further level is."""
    if found.facts.decided_on is None or found.billed is None:
        return None, None
    deadlines, day = found.billed.deadlines, found.facts.service_date
    today = found.now.astimezone(ZoneInfo(found.facts.practice.time_zone)).date()
    to_correct = deadlines.correction_limit(found.facts.decided_on, day).days_left(today)
    if appeals >= len(found.billed.policy.appeal_limit.levels):
        return to_correct, None
    return to_correct, deadlines.appeal_limit(found.facts.decided_on, appeals + 1).days_left(today)


def member_id(facts: ClaimFacts) -> str | None:
    """The patient's member id as the payer told it last, else as on file."""
    answer = facts.eligibility
    told = answer.member_id if answer is not None else None
    return told or (facts.coverage.member_id if facts.coverage else None)


def evidence_on_file(found: OnFile, sent: ClaimVersion | None) -> tuple[Evidence, ...]:
    """What a payer could be shown of this claim today."""
    facts = found.facts
    there: dict[Evidence, bool] = {
        "attendance": facts.attendance is not None,
        "note": facts.note_signed_at is not None,
        "plan": facts.plan is not None and facts.plan.valid_on(facts.service_date),
        "authorization": bool(facts.authorizations),
        "coverage": facts.eligibility is not None,
        "acknowledgments": sent is not None,
        "contract": bool(facts.contracts),
        "remittance": found.facts.decided_on is not None,
    }
    return tuple(name for name, is_there in there.items() if is_there)
