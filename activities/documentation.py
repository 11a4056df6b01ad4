"""Does the note support the claim? Read where it is kept, judged, never copied."""

from __future__ import annotations

from dataclasses import replace

from activities import steps
from activities.claims_told import known_claims
from activities.messages import Messages
from activities.on_file import OnFile, on_file
from activities.outside import Outside, performs
from activities.reading import (
    audit_reading,
    audited_note,
    changed_since_signature,
    company_of,
    digest,
    signed_at,
)
from groupclaim.lifecycle.events import DocumentationChecked, FactLearned
from groupclaim.lifecycle.state import Fact
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding
from groupclaim.model.session import ProgressNote
from groupclaim.rules.documentation import (
    ALONE,
    Company,
    check_documentation,
    copied_claims,
)
from groupclaim.rules.holding import held
from groupclaim.store import claims, practice


class Documentation:
    def __init__(self, outside: Outside, messages: Messages) -> None:
        self._outside = outside
        self._messages = messages

    @performs(steps.CHECK_DOCUMENTATION)
    async def check_documentation(self, step: steps.ClaimStep) -> DocumentationChecked:
        """Judge note and treatment plan as they are now, beside the notes of the room signed so far
        and the patient's own of earlier weeks; of a signed note its digest is kept."""
        outside = self._outside
        async with outside.database.transaction() as tx:
            found = await on_file(outside, tx, step.claim_number)
            if found.billed is not None:
                await audit_reading(tx, found.facts, "documentation check", found.now)
        facts, billed = found.facts, found.billed
        if billed is None:
            return await self._held(step, found, found.lacks)
        note = await audited_note(outside, facts, found.now)
        company = ALONE
        # Process notes are refused by their type: nothing of them is kept or compared.
        if note is not None and note.kind == "progress":
            changed = await self._record_signature(facts, note)
            company = await company_of(outside, facts, found.now)
            company = replace(company, changed_since_signature=changed)
        findings = check_documentation(facts, note, billed.policy, company)
        async with outside.database.transaction() as tx:
            await claims.replace_findings(
                tx, step.claim_number, steps.CHECK_DOCUMENTATION.name, findings, found.now
            )
        hold = held(findings, step.waivers)
        if note is not None:
            await self._tell_copied(found, note, company, findings)
        if hold is None:
            return DocumentationChecked(at=found.now)
        note_due = billed.deadlines.note(facts.session.ends_at).at
        due_at = note_due if note_due > found.now else found.look_again()
        return DocumentationChecked(at=found.now, held=hold, due_at=due_at)

    async def _held(
        self, step: steps.ClaimStep, found: OnFile, findings: tuple[Finding, ...]
    ) -> DocumentationChecked:
        async with self._outside.database.transaction() as tx:
            await claims.replace_findings(
                tx, step.claim_number, steps.CHECK_DOCUMENTATION.name, findings, found.now
            )
        return DocumentationChecked(at=found.now, held=held(findings), due_at=found.look_again())

    async def _tell_copied(
        self, found: OnFile, note: ProgressNote, company: Company, findings: tuple[Finding, ...]
    ) -> None:
        """A copied note puts those it repeats in doubt too: each claim of the room whose note was
        looked at before is told, once for each text."""
        room = {item.claim_number for item in company.notes if not item.same_patient}
        numbers = [number for number in copied_claims(findings) if number in room]
        if not numbers:
            return
        async with self._outside.database.reading() as reading:
            known = await known_claims(reading, numbers)
        for number in numbers:
            claim = known[number]
            await self._messages.tell_claim(
                claim.payer_key,
                number,
                "fact",
                FactLearned(
                    at=found.now,
                    key=f"copied:{found.facts.claim_number}:{digest(note)[:16]}",
                    due_at=found.look_again(),
                    fact=Fact.NOTE_COPIED,
                ),
            )

    async def _record_signature(self, facts: ClaimFacts, note: ProgressNote) -> bool:
        """Keep when and with which digest the note was signed, before others' notes are asked for.

        True when its text has changed under the signature that is known: the digest kept is then
        the signed one, until the note is signed again.
        """
        at = signed_at(note, facts)
        if at is None:
            return False
        async with self._outside.database.transaction() as tx:
            if await changed_since_signature(tx, facts, note):
                return True
            await practice.record_note_signed(
                tx, facts.session_id, facts.patient_id, at, digest(note)
            )
        return False
