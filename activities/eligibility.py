"""Does the payer cover this patient on the day of service? 270 out, 271 back, in real time."""

from __future__ import annotations

import asyncio
from hashlib import sha256

from temporalio.exceptions import ApplicationError

from activities import composing, steps
from activities.on_file import OnFile, connection_of, later, on_file
from activities.outside import Outside, performs
from groupclaim import x12
from groupclaim.clearinghouse.port import NotTaken, Unreachable
from groupclaim.lifecycle.events import EligibilityChecked
from groupclaim.model.facts import EligibilityAnswer
from groupclaim.model.finding import Finding, Severity
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY
from groupclaim.rules.eligibility import coverage_on_file, read_benefits
from groupclaim.rules.holding import held
from groupclaim.store import claims, files, practice

_INQUIRY_NUMBERS = range(500_000_000, 1_000_000_000)
"""ISA13 of inquiries: apart from those of batches, which count up from 1."""


class Eligibility:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.CHECK_ELIGIBILITY)
    async def check_eligibility(self, step: steps.ClaimStep) -> EligibilityChecked:
        """Ask the payer and keep its answer. Asked again, the same question has the same trace."""
        async with self._outside.database.reading() as reading:
            found = await on_file(self._outside, reading, step.claim_number)
        findings = coverage_on_file(found.facts)
        if findings:
            return await self._conclude(step, found, findings, None)
        trace = f"{step.claim_number}{step.sequence:04d}"
        question = await self._question(found, trace)
        problems = await asyncio.to_thread(x12.check_outbound, question) if question else ()
        if question is None or problems:
            places = ", ".join(sorted({item.element or item.segment for item in problems}))
            return await self._conclude(step, found, (_unwritable(found, places),), None)
        try:
            answered = await self._outside.clearinghouse.ask_eligibility(question)
        except Unreachable as error:
            raise later(error, "eligibility") from None
        except NotTaken as error:
            return await self._conclude(step, found, (_unwritable(found, error.reason),), None)
        await self._keep(found, trace, question, answered)
        responses, _ = await asyncio.to_thread(x12.read_271, answered)
        response = next(
            (item for item in responses if item.trace_number == trace and item.complete), None
        )
        if response is None:
            raise ApplicationError("the 271 does not answer our 270", type="Unreadable")
        reading_of = read_benefits(
            composing.benefits(response), found.facts, GROUP_PSYCHOTHERAPY, found.now
        )
        if reading_of.answer is None:
            raise ApplicationError("the payer's system did not answer", type="PayerSilent")
        return await self._conclude(step, found, reading_of.findings, reading_of.answer)

    async def _question(self, found: OnFile, trace: str) -> bytes | None:
        """The 270; None when what is on file cannot be written."""
        facts, payer = found.facts, found.to_bill.payer
        member_id = facts.coverage.member_id if facts.coverage else ""
        if facts.eligibility and facts.eligibility.member_id:
            member_id = facts.eligibility.member_id
        async with self._outside.database.reading() as reading:
            _, connection = await connection_of(reading, payer)
        number = _number(trace)
        try:
            frame = composing.envelope(
                connection,
                facts.practice,
                number,
                number,
                found.now,
                test=not self._outside.production,
            )
            return x12.build_270(frame, composing.inquiry(facts, payer, member_id, trace), 1)
        except x12.X12WriteError:
            return None

    async def _keep(self, found: OnFile, trace: str, question: bytes, answered: bytes) -> None:
        async with self._outside.database.transaction() as tx:
            connection_id, _ = await connection_of(tx, found.to_bill.payer)
            await files.keep_file(
                tx, connection_id, "outbound", "270", f"270-{trace}.edi", question, found.now
            )
            await files.keep_file(
                tx, connection_id, "inbound", "271", f"271-{trace}.edi", answered, found.now
            )

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
            await claims.replace_findings(
                tx, step.claim_number, steps.CHECK_ELIGIBILITY.name, findings, found.now
            )
        hold = held(findings, step.waivers)
        return EligibilityChecked(
            at=found.now, held=hold, due_at=found.look_again() if hold else None
        )


def _number(trace: str) -> int:
    """A control number that a repeated question bears again."""
    value = int.from_bytes(sha256(trace.encode()).digest()[:8], "big")
    return _INQUIRY_NUMBERS[value % len(_INQUIRY_NUMBERS)]


def _unwritable(found: OnFile, where: str) -> Finding:
    return Finding(
        rule="inquiry_refused",
        severity=Severity.BLOCK,
        sentence=f"The payer cannot be asked with what is on file ({where or 'the 270'}).",
        fix="Correct the coverage: member id, name and birth date as on the insurance card.",
        evidence=(found.facts.claim_number, found.facts.patient_id),
        hold="COVERAGE_UNKNOWN",
    )
