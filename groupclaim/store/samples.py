"""Audit samples: drawn from the billed claims, looked at by people, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, exists, select, text, update
from sqlalchemy.types import Date

from groupclaim.model.base import InputRefused
from groupclaim.model.practice import AuditSampling, Location
from groupclaim.rules.sampling import (
    Candidate,
    ErrorRate,
    draw,
    error_rate,
    period_to_draw,
)
from groupclaim.store import audit, work
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import audit_sample, audit_sample_claim, group_session, location

Found = Literal["ok", "error"]
_REVIEWED_WITHIN = timedelta(days=30)
"""groupclaim's own choice."""

_PATTERN = 3
"""So many claims that one payer denied one clinician for one cause are a pattern: groupclaim's own
choice."""

# What points to an error, claim by claim: what the rules warned of before it was billed or a person
# waived, a payer's denial by its category, a payer that keeps denying a clinician's claims for one
# cause, a shortfall in what was allowed, and two claims of a patient for one day.
_RISKS = """
SELECT claim_number, CASE step WHEN 'check_documentation' THEN 'weak_documentation'
    WHEN 'check_authorization' THEN 'missing_authorization' ELSE 'code_misuse' END AS risk
  FROM finding WHERE step IN ('check_documentation', 'check_authorization', 'check_coding')
    AND severity <> 'info'
UNION SELECT d.claim_number, CASE k.category WHEN 'authorization' THEN 'missing_authorization'
    WHEN 'coding' THEN 'code_misuse' WHEN 'duplicate' THEN 'duplicate'
    WHEN 'records' THEN 'weak_documentation' WHEN 'necessity' THEN 'weak_documentation'
    ELSE 'denied' END
  FROM denial d JOIN denial_case k ON k.id = d.case_id
UNION SELECT c.claim_number, 'denial_pattern'
  FROM claim c JOIN group_session g ON g.id = c.session_id
  JOIN (SELECT k.payer_key, s.clinician_id
      FROM denial d JOIN denial_case k ON k.id = d.case_id
      JOIN claim o ON o.claim_number = d.claim_number
      JOIN group_session s ON s.id = o.session_id
      GROUP BY k.payer_key, s.clinician_id, d.cause
      HAVING COUNT(DISTINCT d.claim_number) >= :pattern
    ) p ON p.payer_key = c.payer_key AND p.clinician_id = g.clinician_id
UNION SELECT claim_number, 'underpaid' FROM audited_line WHERE shortfall_cents > 0
UNION SELECT one.claim_number, 'duplicate' FROM participant one
  JOIN group_session s ON s.id = one.session_id
  JOIN participant other ON other.patient_id = one.patient_id
    AND other.claim_number <> one.claim_number
  JOIN group_session t ON t.id = other.session_id AND t.service_date = s.service_date
"""


@dataclass(frozen=True, slots=True)
class SampledClaim:
    claim_number: str
    stratum: str
    part: str
    risks: tuple[str, ...]
    found: Found | None
    reviewed_by: str | None


@dataclass(frozen=True, slots=True)
class DrawnSample:
    """``rate`` is of the representative part, as far as it has been reviewed."""

    sample_id: str
    seed: str
    frame_digest: str
    frame: int
    first: date
    last: date
    drawn_at: datetime
    claims: tuple[SampledClaim, ...]
    rate: ErrorRate


async def draw_sample(
    tx: Transaction, seed: str, size: int, first: date, last: date, by: str, at: datetime
) -> str:
    """Draw from the claims billed for services from ``first`` to ``last`` and put each on the work
    list; its id. Drawn again with the same seed, size and days it is the one drawn before.

    Raises :class:`InputRefused`.
    """
    sample_id = _id(tx, seed, size, first, last)
    if await _is_drawn(tx, sample_id):
        return sample_id
    await _draw(tx, await _frame(tx, first, last), seed, size, first, last, by, at)
    return sample_id


def _id(reading: Reading, seed: str, size: int, first: date, last: date) -> str:
    return reading.keyring.opaque("sample", f"{seed}|{size}|{first}|{last}")


async def _is_drawn(reading: Reading, sample_id: str) -> bool:
    row = await reading.first(select(audit_sample.c.id).where(audit_sample.c.id == sample_id))
    return row is not None


async def _draw(
    tx: Transaction,
    frame: Sequence[Candidate],
    seed: str,
    size: int,
    first: date,
    last: date,
    by: str,
    at: datetime,
) -> None:
    sample = draw(frame, seed, size)
    sample_id = _id(tx, seed, size, first, last)
    new = await tx.insert_new(
        audit_sample,
        {
            "id": sample_id,
            "seed": seed,
            "size": size,
            "first_day": first,
            "last_day": last,
            "frame_digest": sample.frame_digest,
            "frame": sample.frame,
            "drawn_at": at,
        },
    )
    if not new:
        return
    await tx.insert_all(
        audit_sample_claim,
        [
            {
                "sample_id": sample_id,
                "claim_number": one.claim_number,
                "stratum": one.stratum,
                "part": one.part,
                "risks": list(one.risks),
            }
            for one in sample.chosen
        ],
    )
    for one in sample.chosen:
        task = work.Task(
            kind="review",
            subject=f"sample {sample_id} {one.claim_number}",
            key=sample_id,
            code="AUDIT_REVIEW",
            queue="reviewer",
            due_at=at + _REVIEWED_WITHIN,
            claim_number=one.claim_number,
        )
        await work.open_item(tx, task, at)
    await audit.record(
        tx, at, by, "sample_drawn", sample_id,
        {"seed": seed, "frame": sample.frame, "frame_digest": sample.frame_digest,
         "claims": len(sample.chosen)},
    )  # fmt: skip


async def _frame(reading: Reading, first: date, last: date) -> list[Candidate]:
    """The claims billed for services of these days, each with its group (clinician, place, and
    weekday and hour there) and what points to an error."""
    days = {"first": first, "last": last}
    typed = [bindparam(name, type_=Date()) for name in days]
    query = text(
        "SELECT f.claim_number, f.payer_key, f.clinician_id, f.location_id, s.starts_at"
        " FROM claim_figures f JOIN claim c ON c.claim_number = f.claim_number"
        " JOIN group_session s ON s.id = c.session_id"
        " WHERE f.service_date BETWEEN :first AND :last"
    ).bindparams(*typed, **days)
    billed = await reading.rows(query.columns(starts_at=group_session.c.starts_at.type))
    zones = {
        row.id: ZoneInfo(reading.unseal(location, row.document, Location).time_zone)
        for row in await reading.rows(select(location.c.id, location.c.document))
    }
    risks: dict[str, set[str]] = {}
    for row in await reading.rows(text(_RISKS).bindparams(pattern=_PATTERN)):
        risks.setdefault(row.claim_number, set()).add(row.risk)
    return [
        Candidate(
            claim_number=row.claim_number,
            payer=row.payer_key,
            clinician=row.clinician_id,
            group=f"{row.location_id} {row.starts_at.astimezone(zones[row.location_id]):%a %H:%M}",
            risks=tuple(sorted(risks.get(row.claim_number, ()))),
        )
        for row in billed
    ]


async def draw_due(
    tx: Transaction, setting: AuditSampling, today: date, by: str, at: datetime
) -> str | None:
    """Draw the sample that the practice's setting wants by ``today``, once; its id, or None while
    nothing is billed of those days. The seed follows from the practice's keys and the days: nobody
    can choose it, and anybody who reads it from the sample can draw again."""
    first, last = period_to_draw(setting, today)
    seed = tx.keyring.opaque("sample_seed", f"{first}|{last}")
    sample_id = _id(tx, seed, setting.size, first, last)
    if await _is_drawn(tx, sample_id):
        return sample_id
    frame = await _frame(tx, first, last)
    if not frame:
        return None
    await _draw(tx, frame, seed, setting.size, first, last, by, at)
    return sample_id


async def review(
    tx: Transaction, sample_id: str, claim_number: str, found: Found, by: str, at: datetime
) -> None:
    """Write down what a person found, once. Raises :class:`UnknownRecord` for a claim that is not
    in the sample, and :class:`InputRefused` for one reviewed before with another result."""
    where = (
        audit_sample_claim.c.sample_id == sample_id,
        audit_sample_claim.c.claim_number == claim_number,
    )
    row = await tx.first(select(audit_sample_claim).where(*where).with_for_update())
    if row is None:
        raise UnknownRecord(f"claim {claim_number} in sample {sample_id}")
    if row.found == found:
        return
    if row.found is not None:
        raise InputRefused("review", [f"claim: reviewed before by {row.reviewed_by}: {row.found}"])
    await tx.execute(
        update(audit_sample_claim).where(*where).values(found=found, reviewed_by=by, reviewed_at=at)
    )
    await work.close_items(tx, "review", f"sample {sample_id} {claim_number}", at)
    await audit.record(tx, at, by, "sample_reviewed", claim_number, {"found": found})


async def read_sample(reading: Reading, sample_id: str) -> DrawnSample:
    """A sample and how far its review is. Raises :class:`UnknownRecord`."""
    row = await reading.first(select(audit_sample).where(audit_sample.c.id == sample_id))
    if row is None:
        raise UnknownRecord(f"sample {sample_id}")
    rows = await reading.rows(
        select(audit_sample_claim)
        .where(audit_sample_claim.c.sample_id == sample_id)
        .order_by(audit_sample_claim.c.part.desc(), audit_sample_claim.c.claim_number)
    )
    reviewed = [one.found for one in rows if one.part == "representative" and one.found]
    return DrawnSample(
        sample_id=row.id,
        seed=row.seed,
        frame_digest=row.frame_digest,
        frame=row.frame,
        first=row.first_day,
        last=row.last_day,
        drawn_at=row.drawn_at,
        claims=tuple(
            SampledClaim(
                one.claim_number, one.stratum, one.part, tuple(one.risks), one.found,
                one.reviewed_by,
            )
            for one in rows
        ),
        rate=error_rate(reviewed.count("error"), len(reviewed)),
    )  # fmt: skip


async def sample_ids(reading: Reading) -> tuple[str, ...]:
    """All samples, the last drawn first."""
    rows = await reading.rows(
        select(audit_sample.c.id).order_by(audit_sample.c.drawn_at.desc(), audit_sample.c.id)
    )
    return tuple(row.id for row in rows)


async def newest_rate(reading: Reading) -> ErrorRate | None:
    """The error rate by the last drawn sample of whose representative part something has been
    reviewed; None while there is none."""
    reviewed: str | None = await reading.scalar(
        select(audit_sample.c.id)
        .where(
            exists().where(
                audit_sample_claim.c.sample_id == audit_sample.c.id,
                audit_sample_claim.c.part == "representative",
                audit_sample_claim.c.found.is_not(None),
            )
        )
        .order_by(audit_sample.c.drawn_at.desc(), audit_sample.c.id)
        .limit(1)
    )
    return None if reviewed is None else (await read_sample(reading, reviewed)).rate
