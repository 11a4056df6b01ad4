"""Audit samples: drawn from the billed claims, looked at by people, counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.types import Date

from groupclaim.model.base import InputRefused
from groupclaim.rules.sampling import Candidate, ErrorRate, draw, error_rate
from groupclaim.store import audit, work
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import audit_sample, audit_sample_claim

Found = Literal["ok", "error"]
_REVIEWED_WITHIN = timedelta(days=30)
"""groupclaim's own choice."""

# What points to an error, claim by claim: what the rules warned of before it was billed, a payer's
# denial, a shortfall in what was allowed, and two claims of a patient for one day.
_RISKS = """
SELECT claim_number, CASE step WHEN 'check_documentation' THEN 'weak_documentation'
    WHEN 'check_authorization' THEN 'missing_authorization' ELSE 'code_misuse' END AS risk
  FROM finding WHERE step IN ('check_documentation', 'check_authorization', 'check_coding')
UNION SELECT claim_number, 'denied' FROM denial
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
    days = {"first": first, "last": last}
    typed = [bindparam(name, type_=Date()) for name in days]
    query = text(
        "SELECT claim_number, payer_key, clinician_id FROM claim_figures"
        " WHERE service_date BETWEEN :first AND :last"
    ).bindparams(*typed)
    billed = (await tx.execute(query, days)).mappings().all()
    risks: dict[str, set[str]] = {}
    for row in (await tx.execute(text(_RISKS))).mappings():
        risks.setdefault(row["claim_number"], set()).add(row["risk"])
    frame = [
        Candidate(
            claim_number=row["claim_number"],
            payer=row["payer_key"],
            clinician=row["clinician_id"],
            risks=tuple(sorted(risks.get(row["claim_number"], ()))),
        )
        for row in billed
    ]
    sample = draw(frame, seed, size)
    sample_id = tx.keyring.opaque("sample", f"{seed}|{size}|{first}|{last}")
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
        return sample_id
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
