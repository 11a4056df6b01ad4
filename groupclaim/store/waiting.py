"""What is still open, what a claim waits for beside its payer, and wake-ups told.

In production Temporal's timers wake workflows. Where the practice clock is a stored instant,
whoever moves it needs to know what is due, and whether anything is still in progress.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from groupclaim.lifecycle.why import Suspended
from groupclaim.model.money import Cents
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import (
    acknowledgment,
    batch,
    claim,
    denial,
    group_session,
    mailbox_item,
    remittance,
    remittance_claim,
    wakeup,
    x12_file,
)


@dataclass(frozen=True, slots=True)
class OpenWork:
    """Ids of what has begun and not ended: open sessions, claims that have been taken up, batches
    without a 999, inbound files (by digest) not yet acknowledged to their mailbox, apart from
    those that stand as a problem; denials that are being worked, as claim number and number."""

    sessions: tuple[str, ...]
    claims: tuple[str, ...]
    batches: tuple[str, ...]
    files: tuple[str, ...]
    denials: tuple[tuple[str, int], ...]


async def clear_wakeup(tx: Transaction, workflow_id: str, due_at: datetime) -> None:
    """The wake-up for ``due_at`` has been told; one set anew meanwhile stays."""
    await tx.execute(
        delete(wakeup).where(wakeup.c.workflow_id == workflow_id, wakeup.c.due_at == due_at)
    )


async def open_work(tx: Reading) -> OpenWork:
    sessions = await tx.rows(select(group_session.c.id).where(group_session.c.stage == "open"))
    claims = await tx.rows(
        select(claim.c.claim_number).where(
            claim.c.sequence > 0,
            claim.c.stage.not_in(("closed", "not_billable")) | claim.c.hold_code.is_not(None),
        )
    )
    acknowledged = select(acknowledgment.c.batch_id).where(
        acknowledgment.c.kind == "999", acknowledgment.c.batch_id.is_not(None)
    )
    batches = await tx.rows(select(batch.c.id).where(batch.c.id.not_in(acknowledged)))
    files = await tx.rows(
        select(mailbox_item.c.digest)
        .join(x12_file, x12_file.c.digest == mailbox_item.c.digest)
        .where(mailbox_item.c.acknowledged_at.is_(None), x12_file.c.problem.is_(None))
        .distinct()
    )
    denials = await tx.rows(
        select(denial.c.claim_number, denial.c.number).where(denial.c.outcome.is_(None))
    )
    return OpenWork(
        sessions=tuple(row.id for row in sessions),
        claims=tuple(row.claim_number for row in claims),
        batches=tuple(row.id for row in batches),
        files=tuple(row.digest for row in files),
        denials=tuple((row.claim_number, row.number) for row in denials),
    )


async def suspended(reading: Reading, claim_number: str) -> tuple[Suspended, ...]:
    """The payments in suspense that name a claim, the oldest first."""
    naming = select(remittance_claim.c.remittance_id).where(
        remittance_claim.c.claim_number == claim_number
    )
    rows = await reading.rows(
        select(remittance.c.id, remittance.c.trace, remittance.c.paid_cents)
        .where(
            remittance.c.state == "suspended",
            remittance.c.returned_at.is_(None),
            remittance.c.id.in_(naming),
        )
        .order_by(remittance.c.id)
    )
    return tuple(
        Suspended(remittance_id=row.id, trace=row.trace, paid=str(Cents(row.paid_cents)))
        for row in rows
    )
