"""What was done and whether it may be billed so: code, modifiers, place, room, licence."""

from __future__ import annotations

from activities import steps
from activities.on_file import on_file
from activities.outside import Outside, performs
from activities.reading import audit_reading, audited_note, sessions_of_the_day
from groupclaim.lifecycle.events import CodingChecked
from groupclaim.rules.coding import code_claim
from groupclaim.rules.holding import held
from groupclaim.store import claims


class Coding:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.CHECK_CODING)
    async def check_coding(self, step: steps.ClaimStep) -> CodingChecked:
        """Code the service as the note and the treatment plan support it."""
        outside = self._outside
        async with outside.database.transaction() as tx:
            found = await on_file(outside, tx, step.claim_number)
            elsewhere = await sessions_of_the_day(tx, found.facts)
            if found.billed is not None:
                await audit_reading(tx, found.facts, "coding", found.now)
        findings = found.lacks
        if found.billed is not None:
            note = await audited_note(outside, found.facts, found.now)
            coded = code_claim(
                found.facts,
                found.billed.policy,
                outside.fees,
                note=note,
                edits=outside.edits,
                elsewhere=elsewhere,
            )
            findings = coded.findings
        async with outside.database.transaction() as tx:
            await claims.replace_findings(
                tx, step.claim_number, steps.CHECK_CODING.name, findings, found.now
            )
        hold = held(findings, step.waivers)
        return CodingChecked(at=found.now, held=hold, due_at=found.look_again() if hold else None)
