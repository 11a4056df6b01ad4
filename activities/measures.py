"""What a worker process counts while it works; the exporter's figures are `store.watch`'s.

These live in the process's memory and start at zero with it, and a step done twice counts twice:
rates are read from them, never sums. No label holds an id, so their number stays bounded.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import Counter, Histogram

from activities import steps
from groupclaim.store.refusals import Refusal, refusal_of

STEPS = Counter(
    "groupclaim_steps_total",
    "Attempts at steps, by step and outcome (done or failed).",
    ["step", "outcome"],
)
STEP_RETRIES = Counter(
    "groupclaim_step_retries_total", "Attempts at steps after the first, by step.", ["step"]
)
STEP_SECONDS = Histogram(
    "groupclaim_step_duration_seconds",
    "How long one attempt at a step took.",
    ["step"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
CLAIM_HOLDS = Counter(
    "groupclaim_claim_holds_total", "Times a claim was put on hold, by hold code.", ["hold_code"]
)
BATCH_CLAIMS = Histogram(
    "groupclaim_batch_claims",
    "Claims in a batch as it was cut.",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000),
)
SENDINGS = Counter(
    "groupclaim_batch_sendings_total",
    "Attempts to send a batch that ended with an outcome: accepted, refused or in_doubt.",
    ["outcome"],
)
X12_FILES = Counter(
    "groupclaim_x12_files_total",
    "X12 files: built (outbound), read, faulty (read, with faults in it) or refused (inbound).",
    ["direction", "outcome"],
)
REMITTANCES = Counter(
    "groupclaim_remittances_total", "Payments posted or suspended, by state.", ["state"]
)

DATABASE_REFUSALS = Counter(
    "groupclaim_database_refusals_total",
    "Times the database did not do what it was asked, by why: disk_full, read_only, disk_error, "
    "damaged or unreachable.",
    ["cause"],
)
for _cause in Refusal:  # known from the start: rates see the first one too
    DATABASE_REFUSALS.labels(_cause.value)

MEASURES = (
    STEPS, STEP_RETRIES, STEP_SECONDS, CLAIM_HOLDS, BATCH_CLAIMS, SENDINGS, X12_FILES, REMITTANCES,
    DATABASE_REFUSALS,
)  # fmt: skip


def count_attempt(step: str, attempt: int, outcome: str, seconds: float) -> None:
    """One attempt at a step has ended; ``attempt`` counts from 1."""
    STEPS.labels(step, outcome).inc()
    if attempt > 1:
        STEP_RETRIES.labels(step).inc()
    STEP_SECONDS.labels(step).observe(seconds)


def count_refusal(error: BaseException) -> Refusal | None:
    """Counts an error whose cause is the database or its disk, and says which it is."""
    cause = refusal_of(error)
    if cause is not None:
        DATABASE_REFUSALS.labels(cause.value).inc()
    return cause


def count_result(result: Any) -> None:
    """What a step's result says of the business."""
    match result:
        case steps.Sent():
            SENDINGS.labels(result.outcome).inc()
        case steps.Posted():
            REMITTANCES.labels(result.state).inc()
        case steps.CutBatch() if result.batch_id is not None:
            BATCH_CLAIMS.observe(result.claims)
        case steps.BuiltBatch():
            X12_FILES.labels("outbound", "built").inc()
        case steps.FileContents():
            faulty = "faulty" if result.problems else "read"
            X12_FILES.labels("inbound", "refused" if result.stays else faulty).inc()
        case _ if getattr(result, "held", None) is not None:
            CLAIM_HOLDS.labels(result.held.code).inc()
