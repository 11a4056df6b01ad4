"""A rejection or denial: mend it and send again, or say what a person must do."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from activities import steps
from activities.on_file import Billed, OnFile, on_file
from activities.outside import Outside, performs
from activities.reading import read_note
from groupclaim.lifecycle.events import DenialDecided
from groupclaim.model.claim import ClaimVersion
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.money import Cents
from groupclaim.policy.playbook import Evidence
from groupclaim.rules.coding import Coded, code_claim
from groupclaim.rules.denials import Denied, decide_denial, is_denial
from groupclaim.rules.holding import held
from groupclaim.store import claims, practice, remittances
from groupclaim.store.database import Reading


class Denial:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.DECIDE_DENIAL)
    async def decide_denial(self, step: steps.ClaimStep) -> DenialDecided:
        """What the playbook makes of the cause, given what is on file by now."""
        outside = self._outside
        async with outside.database.reading() as reading:
            found = await on_file(outside, reading, step.claim_number, step.version)
            billed = found.billed
            if billed is not None:
                denied = await self._denied(reading, found, billed, step)
        if billed is None:
            return await self._held(step, found)
        if is_denial(step.cause):
            denied = denied.model_copy(update={"recoded": await self._recoded(found, billed)})
        decision = decide_denial(denied, found.facts, billed.policy, outside.playbook)
        async with outside.database.transaction() as tx:
            await claims.replace_findings(
                tx, step.claim_number, steps.DECIDE_DENIAL.name, decision.findings, found.now
            )
        # A release asks for another decision, it never waives the denial itself.
        hold = held(decision.findings)
        return DenialDecided(
            at=found.now,
            held=hold,
            due_at=found.look_again() if hold else None,
            correction=decision.correction,
            restart=decision.restart,
            frequency=decision.frequency,
        )

    async def _denied(
        self, reading: Reading, found: OnFile, billed: Billed, step: steps.ClaimStep
    ) -> Denied:
        payments = await remittances.claim_payments(reading, step.claim_number)
        sent = (
            await claims.read_version(reading, step.claim_number, step.version)
            if step.version
            else None
        )
        left = _DaysLeft(found, billed)
        now = await practice.claim_facts(reading, step.claim_number)
        return Denied(
            cause=step.cause,
            remarks=payments[-1].remarks if payments else (),
            cents=sent.charge if sent else Cents(0),
            sent=sent,
            payer_now=now.payer.ref if now.payer else None,
            member_now=member_id(now),
            tried=step.corrections,
            evidence=evidence_on_file(found, sent),
            days_to_correct=left.to_correct,
            days_to_appeal=left.to_appeal(1),
        )

    async def _recoded(self, found: OnFile, billed: Billed) -> Coded:
        """What coding makes of the service by now, from the note as it stands."""
        outside = self._outside
        note = await read_note(outside, found.facts, "denial", found.now)
        return code_claim(found.facts, billed.policy, outside.fees, note=note, edits=outside.edits)

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


class _DaysLeft:
    """Until the limits that follow from the payer's last decision; None before there is one."""

    def __init__(self, found: OnFile, billed: Billed) -> None:
        self._found = found
        self._deadlines = billed.deadlines
        self._today: date = found.now.astimezone(ZoneInfo(found.facts.practice.time_zone)).date()

    @property
    def to_correct(self) -> int | None:
        decided_on = self._found.decided_on
        if decided_on is None:
            return None
        limit = self._deadlines.correction_limit(decided_on, self._found.facts.service_date)
        return limit.days_left(self._today)

    def to_appeal(self, level: int) -> int | None:
        decided_on = self._found.decided_on
        if decided_on is None:
            return None
        return self._deadlines.appeal_limit(decided_on, level).days_left(self._today)


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
        "remittance": found.decided_on is not None,
    }
    return tuple(name for name, is_there in there.items() if is_there)
