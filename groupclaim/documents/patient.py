"""What a patient is given about money: statement, superbill, estimate, each of one person.

None of them knows the group: no other participant, no topic or title of it. Services are named in
plain words of our own. Amounts are whole cents.
"""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict

from groupclaim.documents.typeset import typeset
from groupclaim.model.money import Cents

SERVICE_IN_WORDS = "Group therapy"


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Letterhead(_Facts):
    """The practice as it signs; ``phone`` as a person reads it."""

    name: str
    address: tuple[str, ...]
    phone: str
    npi: str
    tax_id: str


class Addressee(_Facts):
    """The one patient whom the document is of."""

    name: str
    address: tuple[str, ...]
    birth_date: date


class StatementLine(_Facts):
    """One session whose payers have all decided: charge = insurance + adjustments + share."""

    service_date: date
    service: str
    charge: Cents
    insurance_paid: Cents
    adjustments: Cents
    share: Cents
    patient_paid: Cents
    balance: Cents


class Statement(_Facts):
    """What a patient owes. ``pending``: sessions that a payer has not decided yet.

    ``self_pay`` adds how a bill above its good-faith estimate is disputed.
    """

    practice: Letterhead
    patient: Addressee
    account: str
    issued_on: date
    due_on: date
    lines: tuple[StatementLine, ...]
    pending: int
    self_pay: bool = False
    dispute_cents: Cents
    dispute_days: int

    @property
    def balance(self) -> Cents:
        """The sum of the lines; below zero the practice owes the patient."""
        return Cents(sum(line.balance for line in self.lines))


class SuperbillLine(_Facts):
    service_date: date
    code: str
    modifiers: tuple[str, ...]
    place_of_service: str
    diagnoses: tuple[str, ...]
    units: int
    fee: Cents


class Rendering(_Facts):
    """Who gave the services, with the licence valid on their day."""

    name: str
    credential: str
    licence: str
    npi: str


class Superbill(_Facts):
    """What a patient sends to their own insurer: services of one clinician, and what was paid."""

    practice: Letterhead
    patient: Addressee
    member_id: str
    payer: str
    provider: Rendering
    issued_on: date
    lines: tuple[SuperbillLine, ...]
    paid: Cents


class Estimate(_Facts):
    """A good-faith estimate: ``sessions`` at ``fee`` each, from ``first`` to ``last``."""

    practice: Letterhead
    patient: Addressee
    provider: Rendering
    place: tuple[str, ...]
    code: str
    diagnoses: tuple[str, ...]
    fee: Cents
    sessions: int
    first: date
    last: date
    issued_on: date
    dispute_cents: Cents
    dispute_days: int
    dispute_fee: Cents

    @property
    def total(self) -> Cents:
        return Cents(self.fee * self.sessions)


class CardNotice(_Facts):
    """That a card on file is charged: how much, on which day, for which session. ``self_pay``: no
    insurance is asked."""

    practice: Letterhead
    patient: Addressee
    account: str
    issued_on: date
    service_date: date
    service: str
    amount: Cents
    charge_on: date
    self_pay: bool = False


def card_notice_pdf(notice: CardNotice, at: datetime) -> bytes:
    """The notice as a tagged PDF."""
    return typeset("card_notice", notice, at)


def statement_pdf(statement: Statement, at: datetime) -> bytes:
    """The statement as a tagged PDF."""
    return typeset("statement", statement, at)


def superbill_pdf(superbill: Superbill, at: datetime) -> bytes:
    """The superbill as a tagged PDF."""
    return typeset("superbill", superbill, at)


def estimate_pdf(estimate: Estimate, at: datetime) -> bytes:
    """The good-faith estimate as a tagged PDF."""
    return typeset("estimate", estimate, at)
