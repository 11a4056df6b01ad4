"""The good-faith estimate that a patient who pays alone is owed: work, told of before its day."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from sqlalchemy import select

from activities.on_file import OnFile, today
from groupclaim.policy.calendar import BusinessCalendar
from groupclaim.policy.patient_rights import patient_rights
from groupclaim.rules.deadlines import Deadline, estimate_limit
from groupclaim.rules.patient_account import estimate_due
from groupclaim.store import work
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import claim


async def open_estimate(tx: Transaction, found: OnFile) -> None:
    """Put the estimate of what a year's sessions cost on the work list, where it is owed: in good
    time once the first of them is scheduled. It stays there until it is written."""
    facts = found.facts
    due = estimate_due(
        patient_rights(),
        BusinessCalendar(),
        asked_on=today(found),
        first_session=facts.service_date,
        reason="scheduled",
    )
    if due is None:
        return
    task = work.estimate_task(facts.patient_id, facts.service_date.year)
    session_id = await tx.scalar(
        select(claim.c.session_id).filter_by(claim_number=facts.claim_number)
    )
    known = replace(
        task,
        due_at=estimate_limit(due.by, _zone(found)).at,
        claim_number=facts.claim_number,
        session_id=session_id,
    )
    await work.open_once(tx, known, found.now)


async def estimate_owed(reading: Reading, found: OnFile) -> Deadline | None:
    """By when the estimate must be given whose work began with this claim; None where none is owed,
    or it is written."""
    facts = found.facts
    if not facts.patient.self_pay:
        return None
    for item in await work.newest(reading, "estimate", facts.patient_id):
        waits = item.state is not work.WorkState.RESOLVED
        if waits and item.claim_number == facts.claim_number and item.due_at is not None:
            zone = _zone(found)
            return estimate_limit(item.due_at.astimezone(zone).date(), zone)
    return None


def _zone(found: OnFile) -> ZoneInfo:
    return ZoneInfo(found.facts.practice.time_zone)
