"""When a payer got a claim: from then on prompt-pay law counts its days."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

from sqlalchemy import select

from groupclaim.model.claim import ClaimVersion
from groupclaim.store.database import Reading
from groupclaim.store.schema import acknowledgment, batch, batch_claim


async def received_on(reading: Reading, version: ClaimVersion, zone: ZoneInfo) -> date | None:
    """The day the payer took the version: of its 277CA, or else of the batch being taken. None when
    neither is known."""
    named = {"claim_number": version.claim_number, "version": version.version}
    taken = await reading.first(
        select(acknowledgment.c.received_at.label("at"))
        .filter_by(**named, kind="277CA", accepted=True)
        .order_by(acknowledgment.c.received_at)
        .limit(1)
    ) or await reading.first(
        select(batch.c.sent_at.label("at"))
        .join(batch_claim, batch_claim.c.batch_id == batch.c.id)
        .where(
            batch_claim.c.claim_number == version.claim_number,
            batch_claim.c.version == version.version,
            batch.c.sent_at.is_not(None),
        )
    )
    return taken.at.astimezone(zone).date() if taken is not None else None
