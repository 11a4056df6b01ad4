"""Reading a progress note: first into the audit log, then out of the record system."""

from __future__ import annotations

from datetime import datetime

from activities.outside import Outside
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.session import ProgressNote
from groupclaim.store import audit


async def read_note(
    outside: Outside, facts: ClaimFacts, purpose: str, now: datetime
) -> ProgressNote | None:
    """One patient's note of one session as it stands, or None; ``purpose`` says what for."""
    async with outside.database.transaction() as tx:
        await audit.record(
            tx, now, "groupclaim", "read_note", facts.claim_number, {"purpose": purpose}
        )
    return await outside.notes.read(facts.session.ref, facts.patient.ref, now)
