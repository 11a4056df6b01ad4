"""Generated files of many claims, the same on every run; all people in them are invented."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from groupclaim.x12 import ClaimPayment, ProfessionalClaim, build_835, build_837p
from tests.x12.examples import (
    BILLING,
    CLAIM,
    LINE,
    PAYMENT,
    RECEIVER,
    SUBMITTER,
    envelope,
)

CLAIMS = 10_000


def claims() -> Iterator[ProfessionalClaim]:
    for n in range(CLAIMS):
        number = f"GC{n:07d}A"
        subscriber = replace(CLAIM.subscriber, member_id=f"MBR{n:07d}")
        line = replace(LINE, line_control_number=f"{number}-1")
        yield replace(CLAIM, control_number=number, subscriber=subscriber, lines=(line,))


def payments() -> Iterator[ClaimPayment]:
    (paid,) = PAYMENT.claims
    for n in range(CLAIMS):
        number = f"GC{n:07d}A"
        line = replace(paid.lines[0], line_control_number=f"{number}-1")
        yield replace(paid, control_number=number, payer_claim_number=f"PCN{n:07d}", lines=(line,))


def build_claims() -> bytes:
    return build_837p(envelope(), SUBMITTER, RECEIVER, BILLING, claims(), 1, "BATCH0001")


def write(folder: Path) -> None:
    """`claims.837` and `payment.835`."""
    (folder / "claims.837").write_bytes(build_claims())
    paid = tuple(payments())
    total = sum(claim.paid_cents for claim in paid) - 500
    payment = replace(PAYMENT, claims=paid, paid_cents=total)
    (folder / "payment.835").write_bytes(build_835(envelope(), [payment], 1))


if __name__ == "__main__":
    import sys

    write(Path(sys.argv[1]))
