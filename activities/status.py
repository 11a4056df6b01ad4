"""What became of a claim that the payer is silent about? 276 out, 277 back."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from activities import composing, steps
from activities.inquiries import control_number
from activities.on_file import LOOK_AGAIN, OnFile, connection_of, on_file
from activities.outside import Outside, performs
from groupclaim import x12
from groupclaim.clearinghouse.port import NotTaken, Unreachable
from groupclaim.lifecycle.events import StatusAsked
from groupclaim.lifecycle.state import ClaimState, Stage
from groupclaim.model.finding import Finding
from groupclaim.rules.holding import held
from groupclaim.rules.status import StatusReading, StatusWord, read_status, status_findings
from groupclaim.store import batches, claims, files
from groupclaim.store.database import Transaction

_ASK_AGAIN = timedelta(days=1)
"""How soon after a question without an answer."""


class ClaimStatus:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.ASK_STATUS)
    async def ask_status(self, step: steps.ClaimStep) -> StatusAsked:
        """Ask what became of a claim, once the payer has been silent long enough; before that
        people are told that an acknowledgment is late. Asked again, the question has its trace.

        An inquiry proves nothing early: nobody is asked before the policy's first day.
        """
        async with self._outside.database.reading() as reading:
            found = await on_file(self._outside, reading, step.claim_number, step.version)
            state = await claims.load_state(reading, step.claim_number)
        since = state.since or found.now
        rule = found.billed.policy.status_inquiries if found.billed else None
        first = found.billed.deadlines.status_inquiry(since) if found.billed else None
        if rule is None or first is None or found.now < first.at:
            return await self._only_tell(step, found, state, first.at if first else None)
        read = await self._ask(step, found)
        async with self._outside.database.transaction() as tx:
            taken = state.stage is Stage.ACCEPTED
            asked = await self._note(tx, step, found, read)
            findings = status_findings(
                read, step.claim_number, taken=taken, asked=asked, most=rule.most
            )
            await claims.replace_findings(
                tx, step.claim_number, steps.ASK_STATUS.name, findings, found.now
            )
            late = (
                found.now >= found.billed.deadlines.remittance(since).at if found.billed else True
            )
            if findings or late:
                await _tell(tx, step, found, state, read.action)
            due_at = await self._next(tx, step, found, state, read, findings)
        return StatusAsked(at=found.now, held=held(findings), due_at=due_at)

    async def _only_tell(
        self, step: steps.ClaimStep, found: OnFile, state: ClaimState, first: datetime | None
    ) -> StatusAsked:
        """People are told: of the 277CA while it is only expected, then that it is late, ever more
        rarely, until the payer itself can be asked."""
        apart = min(timedelta(days=2 ** min(max(step.follow_ups - 1, 0), 3)), LOOK_AGAIN)
        due_at = found.now + apart
        if first is not None and first > found.now:
            due_at = min(due_at, first)
        async with self._outside.database.transaction() as tx:
            expected = await self._expected_277ca(tx, found, state)
            early = expected is not None and found.now < expected
            await _tell(tx, step, found, state, "expected" if early else "late")
        if early and expected is not None:
            due_at = expected
        return StatusAsked(at=found.now, due_at=due_at)

    async def _expected_277ca(
        self, tx: Transaction, found: OnFile, state: ClaimState
    ) -> datetime | None:
        """By when the payer's 277CA should come to a claim whose 999 is there."""
        if state.stage is not Stage.ACKNOWLEDGED or found.billed is None or state.since is None:
            return None
        _, connection = await connection_of(tx, found.billed.payer)
        return found.billed.deadlines.acknowledgment_277ca(
            state.since, connection.hours_to_277ca
        ).at

    async def _ask(self, step: steps.ClaimStep, found: OnFile) -> StatusReading:
        """One 276 and what its 277 says; no answer is an answer without a word."""
        trace = f"{step.claim_number}{step.sequence:04d}S"
        written = await self._written(step, found, trace)
        if written is None:
            return StatusReading(action="error")
        try:
            answered = await self._outside.clearinghouse.ask_claim_status(written)
        except (Unreachable, NotTaken):
            return StatusReading(action="error")
        await self._keep(found, trace, written, answered)
        responses, _ = await asyncio.to_thread(x12.read_277, answered)
        response = next(
            (
                item
                for item in responses
                if item.complete and not item.refused_at and item.trace_number == trace
            ),
            None,
        )
        words = response.statuses if response else ()
        return read_status([StatusWord(category=item.category, code=item.code) for item in words])

    async def _written(self, step: steps.ClaimStep, found: OnFile, trace: str) -> bytes | None:
        """The 276; None when it cannot be written."""
        if found.billed is None:
            return None
        async with self._outside.database.reading() as reading:
            version = await claims.read_version(reading, step.claim_number, step.version)
            _, connection = await connection_of(reading, version.parties.payer)
            known = await batches.payer_claim_number(reading, step.claim_number)
        number = control_number(trace)
        practice = found.facts.practice
        try:
            frame = composing.envelope(
                connection, practice, number, number, found.now, test=not self._outside.production
            )
            inquiry = composing.status_inquiry(
                version, practice, connection.sender_id, trace, known or ""
            )
            written = x12.build_276(frame, inquiry, 1)
        except x12.X12WriteError:
            return None
        return None if await asyncio.to_thread(x12.check_outbound, written) else written

    async def _keep(self, found: OnFile, trace: str, written: bytes, answered: bytes) -> None:
        if found.billed is None:
            return
        async with self._outside.database.transaction() as tx:
            connection_id, _ = await connection_of(tx, found.billed.payer)
            await files.keep_file(
                tx, connection_id, "outbound", "276", f"276-{trace}.edi", written, found.now
            )
            await files.keep_file(
                tx, connection_id, "inbound", "277", f"277-{trace}.edi", answered, found.now
            )

    async def _note(
        self, tx: Transaction, step: steps.ClaimStep, found: OnFile, read: StatusReading
    ) -> int:
        """Put the answer on the claim's timeline; how often this version has been asked about
        since it has waited here."""
        word = read.word
        await claims.append_event(
            tx,
            step.claim_number,
            f"status|{step.claim_number}|{step.sequence}",
            found.now,
            "status",
            "groupclaim",
            {
                "version": step.version,
                "action": read.action,
                "category": word.category if word else None,
                "code": word.code if word else None,
            },
            sequence=step.sequence,
        )
        return max(step.follow_ups, 1)

    async def _next(
        self,
        tx: Transaction,
        step: steps.ClaimStep,
        found: OnFile,
        state: ClaimState,
        read: StatusReading,
        findings: tuple[Finding, ...],
    ) -> datetime:
        """When to look again: in the payer's rhythm, at once after a question without an answer,
        and never past an alert of the law's clock."""
        if found.billed is None or held(findings) is not None:
            return found.look_again()
        rule = found.billed.policy.status_inquiries
        days = timedelta(days=rule.every_days) if rule else LOOK_AGAIN
        moments = [found.now + (_ASK_AGAIN if read.action == "error" else days)]
        law = found.billed.deadlines.prompt_pay(state.since or found.now)
        if law is not None and state.stage is Stage.ACCEPTED:
            alerts = (*law.alerts, law.at)
            level = sum(moment <= found.now for moment in alerts)
            if level:
                await claims.append_event(
                    tx,
                    step.claim_number,
                    f"alert|{step.claim_number}|prompt_pay|{step.version}|{level}",
                    found.now,
                    "alert",
                    "groupclaim",
                    {"stage": state.stage.value, "hold": None, "deadline": law.rule,
                     "level": level},
                    sequence=step.sequence,
                )  # fmt: skip
            moments += [moment for moment in alerts if moment > found.now]
        return min(moments)


async def _tell(
    tx: Transaction, step: steps.ClaimStep, found: OnFile, state: ClaimState, status: str
) -> None:
    await claims.append_event(
        tx,
        step.claim_number,
        f"alert|{step.claim_number}|{step.sequence}",
        found.now,
        "alert",
        "groupclaim",
        {"stage": state.stage.value, "hold": None, "level": step.follow_ups, "status": status},
        sequence=step.sequence,
    )
