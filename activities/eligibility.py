"""Does the payer cover this patient on the day of service? 270 out, 271 back, in real time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from activities import composing, steps
from activities.disclosure import record_disclosure
from activities.estimates_owed import estimate_owed, open_estimate
from activities.inquiries import control_number
from activities.on_file import OUTAGE, OnFile, connection_of, later, on_file, outage, today
from activities.outside import Outside, performs
from groupclaim import x12
from groupclaim.clearinghouse.port import NotTaken, Unreachable
from groupclaim.lifecycle.events import EligibilityChecked
from groupclaim.model.facts import ClaimFacts, EligibilityAnswer
from groupclaim.model.finding import Finding, Severity, blocking
from groupclaim.model.practice import Connection, Payer
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY, main_code
from groupclaim.rules.deadlines import attendance_deadline
from groupclaim.rules.eligibility import (
    BenefitReading,
    coverage_limits,
    read_benefits,
    referred_again,
    referred_to,
    with_call,
)
from groupclaim.rules.holding import held
from groupclaim.rules.part2 import check_consent, is_part2
from groupclaim.rules.pricing import fee_in_force
from groupclaim.store import claims, files, practice
from groupclaim.store.database import Reading

ASK_AGAIN = timedelta(hours=2)
"""When a payer that cannot be reached is asked again, and people are told once more."""

_UNREACHABLE = "PAYER_UNREACHABLE"


@dataclass(frozen=True, slots=True)
class _Question:
    """What one payer is asked, and by which way; ``member_id`` need not be that on file."""

    facts: ClaimFacts
    payer: Payer
    way: Connection
    member_id: str
    trace: str


class Eligibility:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.CHECK_ELIGIBILITY)
    async def check_eligibility(self, step: steps.ClaimStep) -> EligibilityChecked:
        """Ask the payer and keep its answer. Asked again, the same question has the same trace.

        Nothing is asked about substance-use records without the patient's consent. Where the payer
        leaves mental health to another one on file, or Medicare its part to a plan, that one is
        asked too and billed.
        """
        async with self._outside.database.reading() as reading:
            found = await on_file(self._outside, reading, step.claim_number)
            asked = await _coverage_payer(reading, found)
            way = (await connection_of(reading, asked))[1] if asked else None
        if found.facts.patient.self_pay:
            return await self._self_pay(step, found)
        findings = found.lacks or check_consent(found.facts, today(found))
        if findings or asked is None or way is None:
            return await self._conclude(step, found, findings, None)
        # The question goes to the payer of the coverage, also when another was billed before.
        facts = found.facts.model_copy(update={"payer": asked})
        trace = f"{step.claim_number}{step.sequence:04d}"
        # With the member id on file: what an earlier answer made of it is not asked about again.
        member_id = facts.coverage.member_id if facts.coverage else ""
        try:
            said = await self._ask(found, _Question(facts, asked, way, member_id, trace))
            if said.answer is not None and said.administrator is not None:
                said = await self._ask_administrator(found, said, trace)
            else:
                said = with_call(said, facts)
            if said.answer is None and blocking(said.findings) is None:
                raise ApplicationError("the payer's system did not answer", type="PayerSilent")
        except ApplicationError:
            if outage() is None:
                raise
            # A call on file stands in for an answer that does not come.
            silent = BenefitReading(answer=None, findings=(_unreachable(found),))
            said = with_call(silent, facts)
        return await self._conclude(step, found, said.findings, said.answer)

    async def _self_pay(self, step: steps.ClaimStep, found: OnFile) -> EligibilityChecked:
        """Nothing is asked of any payer: the patient has asked for that, and pays the fee."""
        facts = found.facts
        findings: tuple[Finding, ...] = ()
        if fee_in_force(facts, main_code(facts)) is None:
            findings = (
                Finding(
                    rule="no_fee",
                    severity=Severity.BLOCK,
                    sentence="The practice has no fee for the code on the day of service.",
                    fix="Load the fee, then release.",
                    evidence=(step.claim_number,),
                    hold="NO_FEE",
                ),
            )
        async with self._outside.database.transaction() as tx:
            await claims.replace_findings(
                tx, step.claim_number, steps.CHECK_ELIGIBILITY.name, findings, found.now
            )
            if step.sequence <= 1:
                await open_estimate(tx, found)
            estimate = await estimate_owed(tx, found)
        hold = held(findings)
        due_at = found.look_again() if hold else attendance_deadline(facts.session.ends_at).at
        alert = estimate.next_alert(found.now) if estimate else None
        return EligibilityChecked(
            at=found.now, held=hold, self_pay=True, due_at=min(due_at, alert or due_at)
        )

    async def _ask_administrator(
        self, found: OnFile, first: BenefitReading, trace: str
    ) -> BenefitReading:
        """The second question, to whom the payer leaves mental health, or to Medicare's plan; the
        first answer as it is when that one is not on file."""
        other = first.administrator
        if other is None or first.answer is None:
            return first
        async with self._outside.database.reading() as reading:
            administrator = await practice.find_payer(reading, other.is_payer)
            if administrator is None:
                return first
            _, way = await connection_of(reading, administrator)
        facts = found.facts.model_copy(update={"payer": administrator})
        member_id = other.member_id or (facts.coverage.member_id if facts.coverage else "")
        asked = _Question(facts, administrator, way, member_id, f"{trace}C")
        second = with_call(await self._ask(found, asked), facts)
        if second.answer is None:
            return second
        if second.administrator is not None:
            return BenefitReading(answer=second.answer, findings=(referred_again(found.facts),))
        return BenefitReading(
            answer=second.answer.model_copy(
                update={
                    "asked": first.answer.asked,
                    "carve_out": administrator.ref,
                    "member_id": second.answer.member_id or member_id,
                }
            ),
            findings=(*referred_to(administrator, first.findings, facts), *second.findings),
        )

    async def _ask(self, found: OnFile, asked: _Question) -> BenefitReading:
        """One 270 to one payer and what its 271 says."""
        question = self._written(found, asked)
        problems = await asyncio.to_thread(x12.check_outbound, question) if question else ()
        if question is None or problems:
            places = ", ".join(sorted({item.element or item.segment for item in problems}))
            return BenefitReading(answer=None, findings=(_unwritable(found, places),))
        try:
            answered = await self._outside.clearinghouse.ask_eligibility(question)
        except Unreachable as error:
            raise later(error, "eligibility") from None
        except NotTaken as error:
            return BenefitReading(answer=None, findings=(_unwritable(found, error.reason),))
        await self._keep(found, asked, question, answered)
        responses, _ = await asyncio.to_thread(x12.read_271, answered)
        response = next(
            (item for item in responses if item.trace_number == asked.trace and item.complete),
            None,
        )
        if response is None:
            raise ApplicationError("the 271 does not answer our 270", type="Unreadable")
        benefits = composing.benefits(response)
        return read_benefits(benefits, asked.facts, GROUP_PSYCHOTHERAPY, found.now)

    def _written(self, found: OnFile, asked: _Question) -> bytes | None:
        """The 270; None when what is on file cannot be written."""
        number = control_number(asked.trace)
        try:
            frame = composing.envelope(
                asked.way,
                asked.facts.practice,
                number,
                number,
                found.now,
                test=not self._outside.production,
            )
            inquiry = composing.inquiry(asked.facts, asked.payer, asked.member_id, asked.trace)
            return x12.build_270(frame, inquiry, 1)
        except x12.X12WriteError:
            return None

    async def _keep(
        self, found: OnFile, asked: _Question, question: bytes, answered: bytes
    ) -> None:
        payer, trace = asked.payer, asked.trace
        async with self._outside.database.transaction() as tx:
            connection_id = tx.keyring.connection_id(payer.connection)
            await files.keep_file(
                tx, connection_id, "outbound", "270", f"270-{trace}.edi", question, found.now
            )
            await files.keep_file(
                tx, connection_id, "inbound", "271", f"271-{trace}.edi", answered, found.now
            )
            if is_part2(found.facts):
                await record_disclosure(tx, found.facts.claim_number, payer, "270", found.now)

    async def _conclude(
        self,
        step: steps.ClaimStep,
        found: OnFile,
        findings: tuple[Finding, ...],
        answer: EligibilityAnswer | None,
    ) -> EligibilityChecked:
        async with self._outside.database.transaction() as tx:
            if answer is not None:
                await practice.record_eligibility(tx, step.claim_number, answer)
                now_on_file = await on_file(self._outside, tx, step.claim_number)
                billed = now_on_file.billed
                findings = (
                    *findings,
                    *now_on_file.lacks,
                    *(coverage_limits(answer, now_on_file.facts, billed.policy) if billed else ()),
                )
            await claims.replace_findings(
                tx, step.claim_number, steps.CHECK_ELIGIBILITY.name, findings, found.now
            )
        hold = held(findings, step.waivers)
        due_at = found.look_again() if hold else None
        if hold is not None and hold.code == _UNREACHABLE:
            due_at = found.now + ASK_AGAIN
        return EligibilityChecked(at=found.now, held=hold, due_at=due_at)


async def _coverage_payer(reading: Reading, found: OnFile) -> Payer | None:
    coverage = found.facts.coverage
    if coverage is None:
        return None
    return await practice.read_payer(reading, reading.keyring.payer_key(coverage.payer))


def _unreachable(found: OnFile) -> Finding:
    return Finding(
        rule="payer_unreachable",
        severity=Severity.BLOCK,
        sentence=f"The payer has not answered for {OUTAGE.seconds // 60} minutes.",
        fix="Nothing to do: it is asked again. Or ask by telephone and record the call.",
        evidence=(found.facts.claim_number,),
        hold=_UNREACHABLE,
    )


def _unwritable(found: OnFile, where: str) -> Finding:
    return Finding(
        rule="inquiry_refused",
        severity=Severity.BLOCK,
        sentence=f"The payer cannot be asked with what is on file ({where or 'the 270'}).",
        fix="Correct the coverage: member id, name and birth date as on the insurance card.",
        evidence=(found.facts.claim_number, found.facts.patient_id),
        hold="COVERAGE_UNKNOWN",
    )
