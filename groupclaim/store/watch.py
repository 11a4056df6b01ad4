"""What operations watch, read from the database: figures that are true after any restart.

Each figure is a Prometheus family. Labels hold payer keys, stages, codes and ranges only: no claim,
patient or clinician, so their number stays bounded and nothing personal leaves. Ages and days left
count on the practice clock. What is zero where nothing is wrong (suspense, emergency access) is
told as zero; a count by labels has no row where there is nothing to count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Select, Subquery, and_, case, func, or_, select

from groupclaim.lifecycle.state import ENDED, Stage
from groupclaim.store import (
    audit,
    authorizations,
    connection_down,
    ledger,
    people,
    samples,
)
from groupclaim.store.database import Reading
from groupclaim.store.key_use import missing_keys
from groupclaim.store.schema import (
    acknowledgment,
    audit_entry,
    audited_line,
    batch,
    batch_claim,
    claim,
    claim_version,
    denial,
    denial_case,
    dispute_case,
    group_session,
    payer,
    ready_claim,
    remittance,
    remittance_claim,
    transfer,
    work_item,
    x12_file,
)

Samples = Mapping[tuple[str, ...], float]
"""Values by the labels' values, in the order in which the family declares them."""


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"


PAYERS = Family(
    "groupclaim_payer_info",
    "Payers on file: always 1; joins a payer's key with the id it has on the wire.",
    ("payer", "payer_id"),
)
SESSIONS = Family("groupclaim_sessions", "Group sessions, open or closed.", ("stage",))
CLAIMS = Family(
    "groupclaim_claims",
    "Claims by payer, stage and hold code; an empty hold code is no hold.",
    ("payer", "stage", "hold_code"),
)
AGES = Family(
    "groupclaim_open_claims",
    "Claims that have not ended, by payer and days since the service.",
    ("payer", "age_days"),
)
RECEIVABLE = Family(
    "groupclaim_receivable_dollars",
    "What payers still owe of billed claims, by days since the service.",
    ("payer", "age_days"),
)
AT_RISK = Family(
    "groupclaim_money_at_risk_dollars",
    "Held claims: what the payer still owes; while nothing is billed the newest version's charge, "
    "or what its work item says it would charge.",
    ("payer", "hold_code"),
)
DEADLINES = Family(
    "groupclaim_deadlines",
    "Open claims by days left until their next date.",
    ("payer", "days_left"),
)
WORK_ITEMS = Family(
    "groupclaim_work_items",
    "Work items that are not resolved, by who must act and what they are about.",
    ("queue", "kind", "state"),
)
AWAITING = Family(
    "groupclaim_awaiting_answer_claims",
    "Sent claims without a decision, by days in their stage.",
    ("payer", "age_days"),
)
READY = Family("groupclaim_ready_claims", "Claims that wait for a batch.")
READY_AGE = Family(
    "groupclaim_ready_oldest_age_seconds", "How long the oldest of them waits; 0 when none does."
)
BATCHES = Family("groupclaim_batches", "Batches by state.", ("state",))
UNACKNOWLEDGED = Family(
    "groupclaim_unacknowledged_batches", "Batches that were taken and have no TA1 or 999 yet."
)
ACKNOWLEDGMENT_OVERDUE = Family(
    "groupclaim_acknowledgment_overdue_seconds",
    "How long the longest missing acknowledgment is overdue; 0 when none is.",
)
FILE_PROBLEMS = Family(
    "groupclaim_inbound_file_problems", "Files that could not be dealt with and are not cleared."
)
DECISIONS = Family(
    "groupclaim_payer_decisions_total",
    "Decisions of payers that are posted: applied or denied.",
    ("payer", "decision"),
    "counter",
)
CLAIM_DOLLARS = Family(
    "groupclaim_claim_dollars",
    "What became of what was charged: charge = paid + contractual + patient + written_off + other "
    "+ open.",
    ("payer", "part"),
)
SUSPENDED = Family("groupclaim_suspended_payments", "Payments of which nothing is posted.")
SUSPENDED_DOLLARS = Family("groupclaim_suspended_dollars", "What they amount to.")
SUSPENSE_AGE = Family(
    "groupclaim_suspense_oldest_age_seconds",
    "How long the oldest of them has been in suspense; 0 when none is.",
)
UNAPPLIED = Family("groupclaim_unapplied_items", "Payers' money without a claim, by entries.")
UNAPPLIED_DOLLARS = Family("groupclaim_unapplied_dollars", "What it amounts to.")
UNDERPAID_LINES = Family(
    "groupclaim_underpaid_lines",
    "Service lines paid short whose dispute is not closed, by known pattern.",
    ("payer", "pattern"),
)
UNDERPAID_DOLLARS = Family(
    "groupclaim_underpaid_dollars", "What is still short on them.", ("payer", "pattern")
)
DISPUTES = Family("groupclaim_disputes", "Disputes with payers.", ("payer", "kind", "state"))
DENIALS = Family(
    "groupclaim_denials",
    "Denials by category and by what became of them: open, corrected, paid, patient, written_off "
    "or superseded.",
    ("payer", "category", "outcome"),
)
DENIALS_BY_CAUSE = Family(
    "groupclaim_denials_by_cause", "Denials by group and reason code.", ("cause",)
)
DENIED_DOLLARS = Family(
    "groupclaim_denied_dollars", "What was denied, by category.", ("payer", "category")
)
DENIALS_OVERTURNED = Family(
    "groupclaim_denials_overturned",
    "Denials that have ended and on whose claims the payer has paid since.",
    ("payer", "category"),
)
DENIAL_RECOVERED = Family(
    "groupclaim_denial_recovered_dollars",
    "What payers have paid on denied claims as things stand, counted with a claim's last denial.",
    ("payer", "category"),
)
CONNECTIONS_DOWN = Family(
    "groupclaim_connections_down",
    "Ways to the payers that do not answer: inquiries or files; no row while a way answers.",
    ("way",),
)
EMERGENCIES = Family("groupclaim_emergency_accesses", "Emergency accesses at the console open now.")
UNSEALED_AGE = Family(
    "groupclaim_audit_oldest_unsealed_age_seconds",
    "Age of the oldest audit entry that no seal covers; 0 when all are sealed.",
)
AUTHORIZATIONS = Family(
    "groupclaim_authorizations",
    "Authorizations in force by units left; the last range has no limit.",
    ("payer", "units_left"),
)
KEYS_MISSING = Family(
    "groupclaim_encryption_keys_missing",
    "Keys under which something is written and that the key file lacks.",
)
SAMPLED = Family(
    "groupclaim_audit_sample_claims",
    "Claims of the audit sample drawn last, by part (representative or aimed) and what was found: "
    "ok, error, or open while nobody has looked.",
    ("part", "found"),
)
SAMPLE_ERRORS = Family(
    "groupclaim_audit_sample_error_ratio",
    "Errors among billed claims by the newest sample of which a representative claim is reviewed: "
    "found, and low and high of the exact 95 % interval; no row before the first review.",
    ("bound",),
)
AUDIT_INTACT = Family(
    "groupclaim_audit_chain_intact",
    "1 while the audit log is as it was written, 0 once a row is not; none while keys are missing.",
)

FAMILIES = (
    PAYERS, SESSIONS, CLAIMS, AGES, RECEIVABLE, AT_RISK, DEADLINES, WORK_ITEMS, AWAITING, READY,
    READY_AGE, BATCHES, UNACKNOWLEDGED, ACKNOWLEDGMENT_OVERDUE, FILE_PROBLEMS, DECISIONS,
    CLAIM_DOLLARS, SUSPENDED, SUSPENDED_DOLLARS, SUSPENSE_AGE, UNAPPLIED, UNAPPLIED_DOLLARS,
    UNDERPAID_LINES, UNDERPAID_DOLLARS, DISPUTES, DENIALS, DENIALS_BY_CAUSE, DENIED_DOLLARS,
    DENIALS_OVERTURNED, DENIAL_RECOVERED, CONNECTIONS_DOWN, EMERGENCIES, UNSEALED_AGE,
    AUTHORIZATIONS, KEYS_MISSING, AUDIT_INTACT, SAMPLED, SAMPLE_ERRORS,
)  # fmt: skip

_SENT = (Stage.SUBMITTED, Stage.ACKNOWLEDGED, Stage.ACCEPTED)
_OPEN = claim.c.stage.not_in(tuple(ENDED)) | claim.c.hold_code.is_not(None)
_AGES = ((30, "0-30"), (60, "31-60"), (90, "61-90"), (120, "91-120"))
_WAITS = ((14, "0-14"), (30, "15-30"), (45, "31-45"))
_LEFT = ((3, "0-2"), (8, "3-7"), (31, "8-30"))
_PARTS = {
    "charges": "charge",
    "clearing": "paid",
    "payer_refund": "paid",
    "takeback": "paid",
    "contractual": "contractual",
    "sequestration": "contractual",
    "patient_receivable": "patient",
    "write_off": "written_off",
}


async def often(reading: Reading, now: datetime) -> dict[Family, Samples]:
    """What is cheap to read: everything but :func:`seldom`'s."""
    owed = _owed()
    open_money = await ledger.open_items(reading)
    answered = select(acknowledgment.c.batch_id).where(
        acknowledgment.c.kind.in_(("TA1", "999")), acknowledgment.c.batch_id.is_not(None)
    )
    silent = (batch.c.state == "accepted") & batch.c.id.not_in(answered)
    underpaid = (
        select(
            claim.c.payer_key,
            audited_line.c.pattern,
            func.count().label("lines"),
            func.sum(audited_line.c.shortfall_cents - audited_line.c.recovered_cents).label(
                "cents"
            ),
        )
        .join(claim, claim.c.claim_number == audited_line.c.claim_number)
        .join(dispute_case, dispute_case.c.id == audited_line.c.case_id, isouter=True)
        .where(
            audited_line.c.shortfall_cents > audited_line.c.recovered_cents,
            or_(dispute_case.c.id.is_(None), dispute_case.c.state != "closed"),
        )
        .group_by(claim.c.payer_key, audited_line.c.pattern)
    )
    short = await reading.rows(underpaid)
    service_age = _since_day(claim.c.service_date, now.date(), _AGES, "121+").label("range")
    in_stage = _since(claim.c.since, now, _WAITS, "46+").label("range")
    left = case(
        (claim.c.due_at < now, "overdue"),
        *((claim.c.due_at < now + timedelta(days=days), name) for days, name in _LEFT),
        else_="31+",
    ).label("range")
    newest = (claim_version.c.claim_number == claim.c.claim_number) & (
        claim_version.c.version == claim.c.version
    )
    asked = and_(
        work_item.c.kind == "hold",
        work_item.c.subject == claim.c.claim_number,
        work_item.c.code == claim.c.hold_code,
        work_item.c.state != "resolved",
    )
    return {
        PAYERS: {
            (row.id, row.payer_id): 1.0
            for row in await reading.rows(select(payer.c.id, payer.c.payer_id))
        },
        SESSIONS: await _counted(
            reading,
            select(group_session.c.stage, func.count()).group_by(group_session.c.stage),
        ),
        CLAIMS: await _counted(
            reading,
            select(claim.c.payer_key, claim.c.stage, claim.c.hold_code, func.count()).group_by(
                claim.c.payer_key, claim.c.stage, claim.c.hold_code
            ),
        ),
        AGES: await _counted(
            reading,
            select(claim.c.payer_key, service_age, func.count())
            .where(_OPEN)
            .group_by(claim.c.payer_key, "range"),
        ),
        RECEIVABLE: await _dollars(
            reading,
            select(claim.c.payer_key, service_age, func.sum(owed.c.cents))
            .join(owed, owed.c.claim_number == claim.c.claim_number)
            .where(owed.c.cents != 0)
            .group_by(claim.c.payer_key, "range"),
        ),
        AT_RISK: await _dollars(
            reading,
            select(
                claim.c.payer_key,
                claim.c.hold_code,
                func.sum(
                    func.coalesce(owed.c.cents, claim_version.c.charge_cents, work_item.c.cents, 0)
                ),
            )
            .join(owed, owed.c.claim_number == claim.c.claim_number, isouter=True)
            .join(claim_version, newest, isouter=True)
            .join(work_item, asked, isouter=True)
            .where(claim.c.hold_code.is_not(None))
            .group_by(claim.c.payer_key, claim.c.hold_code),
        ),
        DEADLINES: await _counted(
            reading,
            select(claim.c.payer_key, left, func.count())
            .where(_OPEN, claim.c.due_at.is_not(None))
            .group_by(claim.c.payer_key, "range"),
        ),
        WORK_ITEMS: await _counted(
            reading,
            select(work_item.c.queue, work_item.c.kind, work_item.c.state, func.count())
            .where(work_item.c.state != "resolved")
            .group_by(work_item.c.queue, work_item.c.kind, work_item.c.state),
        ),
        AWAITING: await _counted(
            reading,
            select(claim.c.payer_key, in_stage, func.count())
            .where(claim.c.stage.in_(_SENT))
            .group_by(claim.c.payer_key, "range"),
        ),
        **await _queue(reading, now),
        BATCHES: await _counted(
            reading, select(batch.c.state, func.count()).group_by(batch.c.state)
        ),
        UNACKNOWLEDGED: await _count(reading, select(func.count()).where(silent)),
        ACKNOWLEDGMENT_OVERDUE: await _age(
            reading, now, select(func.min(batch.c.next_at)).where(silent)
        ),
        FILE_PROBLEMS: await _count(
            reading,
            select(func.count()).where(
                x12_file.c.problem.is_not(None), x12_file.c.cleared_at.is_(None)
            ),
        ),
        DECISIONS: await _decisions(reading),
        CLAIM_DOLLARS: await _parts(reading),
        SUSPENDED: {(): float(len(open_money.suspended))},
        SUSPENDED_DOLLARS: {(): sum(item.paid for item in open_money.suspended) / 100},
        SUSPENSE_AGE: await _age(
            reading,
            now,
            select(func.min(remittance.c.registered_at)).where(
                remittance.c.state == "suspended", remittance.c.returned_at.is_(None)
            ),
        ),
        UNAPPLIED: {(): float(len(open_money.unapplied))},
        UNAPPLIED_DOLLARS: {(): sum(item.cents for item in open_money.unapplied) / 100},
        UNDERPAID_LINES: {(row.payer_key, row.pattern): float(row.lines) for row in short},
        UNDERPAID_DOLLARS: {(row.payer_key, row.pattern): int(row.cents) / 100 for row in short},
        DISPUTES: await _counted(
            reading,
            select(
                dispute_case.c.payer_key, dispute_case.c.kind, dispute_case.c.state, func.count()
            ).group_by(dispute_case.c.payer_key, dispute_case.c.kind, dispute_case.c.state),
        ),
        **await _denials(reading),
        CONNECTIONS_DOWN: {(way,): 1.0 for way in await connection_down.down(reading)},
        EMERGENCIES: {(): float(await people.emergencies(reading, now))},
        UNSEALED_AGE: await _unsealed(reading, now),
        SAMPLED: await _sampled(reading),
        SAMPLE_ERRORS: await _sample_errors(reading),
    }


async def _sampled(reading: Reading) -> Samples:
    counts: Counter[tuple[str, ...]] = Counter()
    for sample_id in (await samples.sample_ids(reading))[:1]:
        for one in (await samples.read_sample(reading, sample_id)).claims:
            counts[one.part, one.found or "open"] += 1
    return {key: float(count) for key, count in counts.items()}


async def _sample_errors(reading: Reading) -> Samples:
    rate = await samples.newest_rate(reading)
    if rate is None:
        return {}
    return {
        ("found",): rate.errors / rate.reviewed, ("low",): rate.low, ("high",): rate.high,
    }  # fmt: skip


async def seldom(
    reading: Reading, now: datetime, kept: audit.Head | None = None
) -> dict[Family, Samples]:
    """What reads every entry of the audit log, against the head kept elsewhere if there is one,
    and every authorization."""
    units: Counter[tuple[str, str]] = Counter()
    missing = await missing_keys(reading)
    found: dict[Family, Samples] = {KEYS_MISSING: {(): float(len(missing))}}
    if missing:
        return found
    found[AUDIT_INTACT] = {(): 0.0 if await audit.verify(reading, kept) else 1.0}
    for standing in await authorizations.standings(reading, now.date()):
        key = reading.keyring.payer_key(standing.permit.payer)
        units[key, _units_left(standing.units.left)] += 1
    found[AUTHORIZATIONS] = {key: float(count) for key, count in units.items()}
    return found


def _units_left(left: int) -> str:
    if left <= 2:
        return str(max(left, 0))
    return "3-5" if left <= 5 else "6+"


def _owed() -> Subquery:
    """By claim, the balance of what its payer owes."""
    signed = case(
        (transfer.c.debit == "payer_receivable", transfer.c.cents), else_=-transfer.c.cents
    )
    return (
        select(transfer.c.claim_number, func.sum(signed).label("cents"))
        .where(
            transfer.c.claim_number.is_not(None),
            or_(
                transfer.c.debit == "payer_receivable",
                transfer.c.credit == "payer_receivable",
            ),
        )
        .group_by(transfer.c.claim_number)
        .subquery()
    )


async def _decisions(reading: Reading) -> Samples:
    """Both counts of every payer with a claim: an increase needs to have been seen at nought."""
    payers = await reading.rows(select(claim.c.payer_key).distinct())
    found = await _counted(
        reading,
        select(claim.c.payer_key, remittance_claim.c.posting, func.count())
        .join(claim, claim.c.claim_number == remittance_claim.c.claim_number)
        .where(remittance_claim.c.posting.in_(("applied", "denied")))
        .group_by(claim.c.payer_key, remittance_claim.c.posting),
    )
    return {
        (key, decision): found.get((key, decision), 0.0)
        for key in {row.payer_key for row in payers}
        for decision in ("applied", "denied")
    }


async def _parts(reading: Reading) -> Samples:
    """Where a payer's receivable came from and went to, and what is left of it."""
    cents: Counter[tuple[str, str]] = Counter()
    for own, other, sign in (("credit", "debit", 1), ("debit", "credit", -1)):
        counter = transfer.c[other]
        for row in await reading.rows(
            select(
                claim.c.payer_key,
                counter.label("account"),
                func.sum(transfer.c.cents).label("cents"),
            )
            .join(claim, claim.c.claim_number == transfer.c.claim_number)
            .where(transfer.c[own] == "payer_receivable")
            .group_by(claim.c.payer_key, counter)
        ):
            part = _PARTS.get(row.account, "other")
            amount = sign * int(row.cents)
            cents[row.payer_key, part] += -amount if part == "charge" else amount
            cents[row.payer_key, "open"] -= amount
    return {key: amount / 100 for key, amount in cents.items()}


async def _denials(reading: Reading) -> dict[Family, Samples]:
    """As the view ``denial_figures`` counts, of denied claims alone; whoever has had a denial is
    told with what was overturned, also when that is nothing."""
    last = (
        select(denial.c.claim_number, func.max(denial.c.number).label("number"))
        .group_by(denial.c.claim_number)
        .subquery()
    )
    cash = ("clearing", "payer_refund")
    flows = case(
        (transfer.c.credit == "payer_receivable", transfer.c.cents), else_=-transfer.c.cents
    )
    paid = (
        select(transfer.c.claim_number, func.sum(flows).label("cents"))
        .where(
            transfer.c.claim_number.in_(select(denial.c.claim_number)),
            or_(
                and_(transfer.c.debit.in_(cash), transfer.c.credit == "payer_receivable"),
                and_(transfer.c.credit.in_(cash), transfer.c.debit == "payer_receivable"),
            ),
        )
        .group_by(transfer.c.claim_number)
        .subquery()
    )
    counted: Counter[tuple[str, str, str]] = Counter()
    causes: Counter[tuple[str]] = Counter()
    cents: Counter[tuple[str, str]] = Counter()
    won: Counter[tuple[str, str]] = Counter()
    back: Counter[tuple[str, str]] = Counter()
    for row in await reading.rows(
        select(
            denial_case.c.payer_key,
            denial_case.c.category,
            denial.c.cause,
            denial.c.outcome,
            func.count().label("denials"),
            func.sum(denial.c.cents).label("cents"),
            func.sum(case((paid.c.cents > 0, 1), else_=0)).label("paid"),
            func.sum(func.coalesce(paid.c.cents, 0)).label("recovered"),
        )
        .join(denial_case, denial_case.c.id == denial.c.case_id)
        .join(
            last,
            (last.c.claim_number == denial.c.claim_number) & (last.c.number == denial.c.number),
            isouter=True,
        )
        .join(paid, paid.c.claim_number == last.c.claim_number, isouter=True)
        .group_by(denial_case.c.payer_key, denial_case.c.category, denial.c.cause, denial.c.outcome)
    ):
        by = (row.payer_key, row.category)
        counted[*by, row.outcome or "open"] += row.denials
        causes[(row.cause,)] += row.denials
        cents[by] += int(row.cents)
        won[by] += int(row.paid) if row.outcome else 0
        back[by] += int(row.recovered)
    return {
        DENIALS: {key: float(number) for key, number in counted.items()},
        DENIALS_BY_CAUSE: {key: float(number) for key, number in causes.items()},
        DENIED_DOLLARS: {key: amount / 100 for key, amount in cents.items()},
        DENIALS_OVERTURNED: {key: float(number) for key, number in won.items()},
        DENIAL_RECOVERED: {key: amount / 100 for key, amount in back.items()},
    }


async def _queue(reading: Reading, now: datetime) -> dict[Family, Samples]:
    waiting = and_(ready_claim.c.withdrawn_at.is_(None), ready_claim.c.batch_id.is_(None))
    return {
        READY: await _count(reading, select(func.count()).where(waiting)),
        READY_AGE: await _age(
            reading, now, select(func.min(ready_claim.c.queued_at)).where(waiting)
        ),
    }


async def _unsealed(reading: Reading, now: datetime) -> Samples:
    """Entries are sealed in the order of their ids, so the newest seal tells where they end."""
    sealed_to = await audit.sealed_to(reading)
    return await _age(
        reading, now, select(func.min(audit_entry.c.at)).where(audit_entry.c.id > sealed_to)
    )


async def _counted(reading: Reading, query: Select[Any]) -> Samples:
    """Rows of labels, then a number; a missing label is an empty one."""
    found: dict[tuple[str, ...], float] = {}
    for row in await reading.rows(query):
        *labels, number = tuple(row)
        found[tuple("" if label is None else str(label) for label in labels)] = float(number)
    return found


async def _dollars(reading: Reading, query: Select[Any]) -> Samples:
    return {labels: cents / 100 for labels, cents in (await _counted(reading, query)).items()}


async def _count(reading: Reading, query: Select[Any]) -> Samples:
    return {(): float(await reading.scalar(query))}


async def _age(reading: Reading, now: datetime, oldest: Select[Any]) -> Samples:
    at: datetime | None = await reading.scalar(oldest)
    return {(): max((now - at).total_seconds(), 0.0) if at else 0.0}


def _since(
    moment: ColumnElement[Any], now: datetime, ranges: tuple[tuple[int, str], ...], beyond: str
) -> ColumnElement[str]:
    return case(
        *((moment > now - timedelta(days=days + 1), name) for days, name in ranges), else_=beyond
    )


def _since_day(
    day: ColumnElement[Any], today: date, ranges: tuple[tuple[int, str], ...], beyond: str
) -> ColumnElement[str]:
    return case(
        *((day >= today - timedelta(days=days), name) for days, name in ranges), else_=beyond
    )


# --- how long claims take


@dataclass(frozen=True, slots=True)
class Taken:
    """That one claim took ``seconds``, until ``at``. It stands in rows that are written once, so it
    is counted once, however often a step was done. ``row`` tells it from others."""

    row: str
    payer: str
    seconds: float
    at: datetime


async def taken_to_send(reading: Reading, since: datetime) -> list[Taken]:
    """From the session's beginning to the batch that first took its claim."""
    return _taken(
        await reading.rows(
            select(
                batch_claim.c.control_number,
                claim.c.payer_key,
                group_session.c.starts_at,
                batch.c.sent_at,
            )
            .select_from(batch_claim)
            .join(batch, batch.c.id == batch_claim.c.batch_id)
            .join(claim, claim.c.claim_number == batch_claim.c.claim_number)
            .join(group_session, group_session.c.id == claim.c.session_id)
            .where(
                batch.c.state == "accepted", batch_claim.c.version == 1, batch.c.sent_at >= since
            )
        )
    )


async def taken_to_answer(reading: Reading, since: datetime) -> list[Taken]:
    """From sending a version to the first 277CA about it."""
    first = func.min(acknowledgment.c.received_at).label("answered_at")
    answers = (
        select(acknowledgment.c.claim_number, acknowledgment.c.version, first)
        .where(acknowledgment.c.kind == "277CA", acknowledgment.c.claim_number.is_not(None))
        .group_by(acknowledgment.c.claim_number, acknowledgment.c.version)
        .subquery()
    )
    return _taken(
        await reading.rows(
            select(
                batch_claim.c.control_number,
                claim.c.payer_key,
                batch.c.sent_at,
                answers.c.answered_at,
            )
            .select_from(answers)
            .join(
                batch_claim,
                (batch_claim.c.claim_number == answers.c.claim_number)
                & (batch_claim.c.version == answers.c.version),
            )
            .join(batch, batch.c.id == batch_claim.c.batch_id)
            .join(claim, claim.c.claim_number == batch_claim.c.claim_number)
            .where(batch.c.sent_at.is_not(None), answers.c.answered_at >= since)
        )
    )


async def taken_to_cash(reading: Reading, since: datetime) -> list[Taken]:
    """From first sending a claim to the first payer's money posted for it."""
    sent = (
        select(batch_claim.c.claim_number, func.min(batch.c.sent_at).label("sent_at"))
        .join(batch, batch.c.id == batch_claim.c.batch_id)
        .where(batch.c.sent_at.is_not(None))
        .group_by(batch_claim.c.claim_number)
        .subquery()
    )
    paid = (
        select(transfer.c.claim_number, func.min(transfer.c.posted_at).label("paid_at"))
        .where(transfer.c.debit == "clearing", transfer.c.credit == "payer_receivable")
        .group_by(transfer.c.claim_number)
        .subquery()
    )
    return _taken(
        await reading.rows(
            select(paid.c.claim_number, claim.c.payer_key, sent.c.sent_at, paid.c.paid_at)
            .select_from(paid)
            .join(sent, sent.c.claim_number == paid.c.claim_number)
            .join(claim, claim.c.claim_number == paid.c.claim_number)
            .where(paid.c.paid_at >= since)
        )
    )


async def taken_to_conclude(reading: Reading, since: datetime) -> list[Taken]:
    """From a denial's arrival to its end."""
    return [
        Taken(
            f"{row.claim_number}/{row.number}",
            row.payer_key,
            max((row.concluded_at - row.opened_at).total_seconds(), 0.0),
            row.concluded_at,
        )
        for row in await reading.rows(
            select(
                denial.c.claim_number,
                denial.c.number,
                denial_case.c.payer_key,
                denial.c.opened_at,
                denial.c.concluded_at,
            )
            .join(denial_case, denial_case.c.id == denial.c.case_id)
            .where(denial.c.concluded_at >= since)
        )
    ]


def _taken(rows: Sequence[Row[Any]]) -> list[Taken]:
    return [
        Taken(name, payer_key, max((to - begun).total_seconds(), 0.0), to)
        for name, payer_key, begun, to in (tuple(row) for row in rows)
    ]
