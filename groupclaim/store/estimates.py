"""Good-faith estimates as they were given: kept whole and encrypted, so that a bill can be held
against the one that the patient has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from groupclaim.documents.patient import Estimate
from groupclaim.model.money import Cents
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import good_faith_estimate


@dataclass(frozen=True, slots=True)
class KeptEstimate:
    """What is known of an estimate without opening it. ``work_item_id``: what it has ended."""

    id: int
    patient_id: str
    cents: Cents
    sessions: int
    first: date
    last: date
    due_by: date | None
    issued_at: datetime
    issued_by: str
    work_item_id: str | None


async def keep(
    tx: Transaction,
    patient_id: str,
    estimate: Estimate,
    *,
    due_by: date | None,
    work_item_id: str | None,
    by: str,
    at: datetime,
) -> int:
    """Keep an estimate as it is given; its number."""
    kept: int = await tx.scalar(
        good_faith_estimate.insert()
        .values(
            patient_id=patient_id,
            cents=int(estimate.total),
            sessions=estimate.sessions,
            first_day=estimate.first,
            last_day=estimate.last,
            due_by=due_by,
            issued_at=at,
            issued_by=by[:80],
            work_item_id=work_item_id,
            document=tx.seal(good_faith_estimate, estimate),
        )
        .returning(good_faith_estimate.c.id)
    )
    return kept


async def given(reading: Reading, patient_id: str | None = None) -> tuple[KeptEstimate, ...]:
    """Every estimate, or those of one patient, the first first."""
    wanted = select(good_faith_estimate).order_by(good_faith_estimate.c.id)
    if patient_id is not None:
        wanted = wanted.where(good_faith_estimate.c.patient_id == patient_id)
    return tuple(
        KeptEstimate(
            row.id,
            row.patient_id,
            Cents(row.cents),
            row.sessions,
            row.first_day,
            row.last_day,
            row.due_by,
            row.issued_at,
            row.issued_by,
            row.work_item_id,
        )
        for row in await reading.rows(wanted)
    )


async def read(reading: Reading, number: int) -> tuple[Estimate, datetime]:
    """An estimate as it was given, and when. Raises :class:`UnknownRecord`."""
    row = await reading.first(select(good_faith_estimate).where(good_faith_estimate.c.id == number))
    if row is None:
        raise UnknownRecord(f"estimate {number}")
    return reading.unseal(good_faith_estimate, row.document, Estimate), row.issued_at
