"""The holds: what each waits for, which fact clears it, what happens if nothing does."""

from __future__ import annotations

from dataclasses import dataclass

from groupclaim.lifecycle.state import Fact, Step


@dataclass(frozen=True, slots=True)
class HoldKind:
    """``waits_for`` names who must act; ``cleared_by`` is the fact whose arrival tries again."""

    redo: Step | None
    waits_for: str
    released_by: str
    cleared_by: Fact | None = None


HOLDS: dict[str, HoldKind] = {
    "COVERAGE_INACTIVE": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "front desk: other or renewed coverage for the day of service",
        "a corrected coverage",
        Fact.COVERAGE,
    ),
    "COVERAGE_UNKNOWN": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "front desk: the payer does not know the member as we wrote them",
        "a corrected coverage",
        Fact.COVERAGE,
    ),
    "AUTH_REQUIRED": HoldKind(
        Step.CHECK_AUTHORIZATION,
        "utilization review: a prior authorization for the day of service",
        "a recorded authorization",
        Fact.AUTHORIZATION,
    ),
    "AUTH_EXHAUSTED": HoldKind(
        Step.CHECK_AUTHORIZATION,
        "utilization review: more authorized units",
        "an extended authorization",
        Fact.AUTHORIZATION,
    ),
    "NOTE_UNSIGNED": HoldKind(
        Step.CHECK_DOCUMENTATION,
        "clinician: sign the note",
        "the signed note",
        Fact.NOTE,
    ),
    "NOTE_INCOMPLETE": HoldKind(
        Step.CHECK_DOCUMENTATION,
        "clinician: complete the note",
        "the completed and signed note",
        Fact.NOTE,
    ),
    "PLAN_MISSING": HoldKind(
        Step.CHECK_DOCUMENTATION,
        "clinician: a signed treatment plan that names group therapy",
        "the completed and signed note",
        Fact.NOTE,
    ),
    "GROUP_SIZE_REVIEW": HoldKind(
        Step.CHECK_CODING,
        "supervisor: confirm that a room of this size may be billed",
        "release with a reason, or a corrected attendance",
        Fact.ATTENDANCE,
    ),
    "GROUP_SIZE_EXCEEDED": HoldKind(
        Step.CHECK_CODING,
        "supervisor: the room was larger than the payer accepts",
        "a corrected attendance",
        Fact.ATTENDANCE,
    ),
    "LICENCE_NOT_ACCEPTED": HoldKind(
        Step.CHECK_CODING,
        "credentialing: a licence that this payer accepts on the day of service",
        "release with a reason once it is settled",
    ),
    "NO_RATE": HoldKind(
        Step.CHECK_CODING,
        "contract owner: a contract and fee in force on the day of service",
        "release with a reason once it is loaded",
    ),
    "SAME_DAY_SERVICE": HoldKind(
        Step.CHECK_CODING,
        "coder: another psychotherapy service of the same patient that day",
        "release with a reason",
    ),
    "CLAIM_REFUSED": HoldKind(
        Step.BUILD_CLAIM,
        "biller: the claim did not pass the outbound check",
        "release once the named fields are mended",
    ),
    "REJECTED": HoldKind(
        Step.CHECK_ELIGIBILITY,
        "biller: the payer's front end refused the claim and no correction is known",
        "release once it is mended; it is sent as a new claim",
    ),
    "DENIED": HoldKind(
        Step.DECIDE_DENIAL,
        "biller: the payer denied the claim and no correction is known",
        "release to decide again with what is on file by then",
        Fact.AUTHORIZATION,
    ),
    "ATTENDANCE_CHANGED": HoldKind(
        None,
        "biller: attendance was corrected after the claim was sent",
        "release once the payer has been told",
    ),
    "UNDERPAYMENT_REVIEW": HoldKind(
        Step.SETTLE_BALANCE,
        "contract owner: dispute the shortfall or write it off",
        "release writes the shortfall off, with the reason",
    ),
    "PAYMENT_UNPRICED": HoldKind(
        Step.AUDIT_PAYMENT,
        "contract owner: a rate in force on the day of service, to audit the payment against",
        "release once it is loaded; the payment is audited again, or accepted as it is",
    ),
    "OVERPAYMENT_REVIEW": HoldKind(
        Step.SETTLE_BALANCE,
        "contract owner: the payer allowed more than the contract",
        "release keeps the payment, with the reason",
    ),
}
