"""Does the note support the claim? Read where it is kept, judged, never copied."""

from __future__ import annotations

from hashlib import sha256
from zoneinfo import ZoneInfo

from activities import steps
from activities.on_file import on_file
from activities.outside import Outside, performs
from activities.reading import read_note
from groupclaim.lifecycle.events import DocumentationChecked
from groupclaim.model.session import ProgressNote
from groupclaim.rules.documentation import check_documentation
from groupclaim.rules.holding import held
from groupclaim.store import claims, practice


class Documentation:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.CHECK_DOCUMENTATION)
    async def check_documentation(self, step: steps.ClaimStep) -> DocumentationChecked:
        """Judge note and treatment plan as they are now; of a signed note its digest is kept."""
        outside = self._outside
        async with outside.database.reading() as reading:
            found = await on_file(outside, reading, step.claim_number)
        facts, billed = found.facts, found.to_bill
        note = await read_note(outside, facts, "documentation check", found.now)
        findings = check_documentation(facts, note, billed.policy)
        async with outside.database.transaction() as tx:
            await claims.replace_findings(
                tx, step.claim_number, steps.CHECK_DOCUMENTATION.name, findings, found.now
            )
            if note is not None and note.signed_at is not None:
                signed_at = note.signed_at
                if signed_at.tzinfo is None:
                    signed_at = signed_at.replace(tzinfo=ZoneInfo(facts.location.time_zone))
                await practice.record_note_signed(
                    tx, facts.session_id, facts.patient_id, signed_at, _digest(note)
                )
        hold = held(findings, step.waivers)
        if hold is None:
            return DocumentationChecked(at=found.now)
        note_due = billed.deadlines.note(facts.session.ends_at).at
        due_at = note_due if note_due > found.now else found.look_again()
        return DocumentationChecked(at=found.now, held=hold, due_at=due_at)


def _digest(note: ProgressNote) -> str:
    """Tells a changed note from an unchanged one without keeping a word of it."""
    return sha256(note.model_dump_json().encode()).hexdigest()
