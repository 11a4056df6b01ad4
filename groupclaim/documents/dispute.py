"""The letter of a dispute: one payer, one mistake, every line that it touched.

It names no person: claims are found by our number, the payer's, the day and the remittance. Amounts
are whole cents.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from groupclaim.documents.patient import Letterhead
from groupclaim.documents.typeset import typeset
from groupclaim.model.money import Cents


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DisputedLine(_Facts):
    """One line with what proves it; ``working`` is how the expected amount was worked out."""

    claim_number: str
    payer_claim_number: str
    service_date: date
    code: str
    charge: Cents
    expected: Cents
    allowed: Cents
    difference: Cents
    paid_on: date
    trace: str
    working: str


class DisputeLetter(_Facts):
    """``penalty`` is what the law gives on top if the balance is not paid by ``pay_by``, with its
    ``penalty_workings``; 0 where no law does. ``mistake`` is the pattern in words."""

    practice: Letterhead
    payer: str
    case: str
    kind: Literal["underpayment", "overpayment"]
    issued_on: date
    code: str
    mistake: str
    lines: tuple[DisputedLine, ...]
    total: Cents
    penalty: Cents
    penalty_workings: tuple[str, ...]
    pay_by: date


def dispute_letter(letter: DisputeLetter, at: datetime) -> bytes:
    """The letter as a tagged PDF."""
    return typeset("dispute", letter, at)
