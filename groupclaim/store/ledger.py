"""The money ledger: each row one transfer from a credit to a debit account, never changed.

    charge accepted by the clearinghouse   payer_receivable   <- charges
    payment in the bank                    deposits           <- clearing
    payment applied to a claim             clearing           <- payer_receivable
    contract and sequestration reductions  contractual | sequestration <- payer_receivable
    the patient's share                    patient_receivable <- payer_receivable
    the patient pays what is open          patient_cash       <- patient_receivable
    the patient pays before that           patient_cash       <- unapplied
    ... and it becomes due                 unapplied          <- patient_receivable
    the patient pays for the session alone patient_receivable <- charges
    a reduction beyond the contract        payer_receivable   <- contractual
    a shortfall given up, with a reason    write_off          <- payer_receivable
    an overpayment goes back to the payer  payer_receivable   <- payer_refund
                                           contractual        <- payer_receivable
    a claim is taken back: what was paid   payer_receivable   <- payer_refund | takeback
    ... what was charged                   charges            <- payer_receivable
    ... what the patient had paid of it    patient_receivable <- unapplied
    money without a claim of ours          clearing           <- unapplied
    ... and its claim is found             unapplied          <- clearing, then as above
    ... and it goes back to the payer      unapplied          <- payer_refunds
    an overpayment taken back              takeback           <- clearing
    interest of a payer that paid late     clearing           <- interest
    kept back for a tax authority, a levy  withheld           <- clearing

What takes something back runs the other way: amounts are always above zero. Every booking has a
key; the same happening booked again changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, bindparam, case, func, literal, select

from groupclaim.model.money import Cents
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import (
    claim,
    claim_version,
    provider_adjustment,
    remittance,
    remittance_adjustment,
    remittance_claim,
    transfer,
)


class Account(StrEnum):
    PAYER_RECEIVABLE = "payer_receivable"
    PATIENT_RECEIVABLE = "patient_receivable"
    CHARGES = "charges"
    CONTRACTUAL = "contractual"
    SEQUESTRATION = "sequestration"
    OTHER_ADJUSTMENT = "other_adjustment"
    CLEARING = "clearing"
    DEPOSITS = "deposits"
    PATIENT_CASH = "patient_cash"
    PAYER_REFUND = "payer_refund"
    WRITE_OFF = "write_off"
    UNAPPLIED = "unapplied"
    INTEREST = "interest"
    TAKEBACK = "takeback"
    WITHHELD = "withheld"
    PAYER_REFUNDS = "payer_refunds"


_BOOKED_AT_ONCE = 2_000
"""Transfers written together: their rows take many times the memory of the bookings."""


class KeyReused(Exception):
    """A booking's key was used before for something else."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What is open on a claim: ``charge`` = ``applied`` + ``payer_open`` + ``patient_receivable``.

    ``prepaid`` is what the patient has paid beyond what is due so far.
    """

    charge: Cents
    payer_open: Cents
    patient_receivable: Cents
    prepaid: Cents

    @property
    def applied(self) -> Cents:
        return self.charge - self.payer_open - self.patient_receivable

    @property
    def patient_open(self) -> Cents:
        """What the patient still owes; below zero when they have paid too much."""
        return self.patient_receivable - self.prepaid


@dataclass(frozen=True, slots=True)
class Booking:
    """Move ``cents`` from ``credit`` to ``debit``; a negative amount moves back, zero is nothing.

    ``key`` names the happening, so that it is booked once.
    """

    key: str
    kind: str
    debit: Account
    credit: Account
    cents: int
    claim_number: str | None = None
    remittance_id: int | None = None
    remittance_position: int | None = None

    @property
    def row(self) -> dict[str, object]:
        debit, credit = self.debit, self.credit
        if self.cents < 0:
            debit, credit = credit, debit
        return {
            "key": self.key,
            "kind": self.kind,
            "debit": debit.value,
            "credit": credit.value,
            "cents": abs(int(self.cents)),
            "claim_number": self.claim_number,
            "remittance_id": self.remittance_id,
            "remittance_position": self.remittance_position,
        }


async def book(tx: Transaction, booking: Booking, at: datetime) -> bool:
    """True when this call booked it, False when it was booked before or there is nothing to book.

    Raises :class:`KeyReused` when its key stands for other accounts, another amount or claim.
    """
    if booking.cents == 0:
        return False
    row = booking.row
    if await tx.insert_new(transfer, {**row, "posted_at": at}):
        return True
    stored = await tx.first(select(transfer).where(transfer.c.key == booking.key))
    if stored is None or any(getattr(stored, name) != value for name, value in row.items()):
        raise KeyReused(f"transfer {booking.key} stands for something else")
    return False


async def book_all(tx: Transaction, bookings: Iterable[Booking], at: datetime) -> int:
    """Book what the caller knows to be new, in one go; how many transfers that were."""
    wanted = [booking for booking in bookings if booking.cents]
    for start in range(0, len(wanted), _BOOKED_AT_ONCE):
        part = wanted[start : start + _BOOKED_AT_ONCE]
        await tx.insert_all(transfer, [{**booking.row, "posted_at": at} for booking in part])
    return len(wanted)


async def lock_claim(tx: Transaction, claim_number: str) -> None:
    """Whoever books by difference holds the claim until its transaction ends."""
    await lock_claims(tx, [claim_number])


async def lock_claims(tx: Transaction, claim_numbers: Collection[str]) -> None:
    """Hold several claims, always in the same order, so that two who do so never block each
    other."""
    held: set[str] = tx.read.setdefault(_HELD, set())
    if held.issuperset(claim_numbers):
        return
    await tx.execute(_HOLD, {"numbers": list(claim_numbers)})
    held.update(claim_numbers)


_HELD = "claims held"
_HOLD = (
    select(claim.c.claim_number)
    .where(claim.c.claim_number.in_(bindparam("numbers", expanding=True)))
    .order_by(claim.c.claim_number)
    .with_for_update(key_share=True)
)


async def book_charge(tx: Transaction, claim_number: str, version: int, at: datetime) -> bool:
    """The clearinghouse took this version: what it charges is receivable from the payer.

    A claim is charged once. A later version with another charge books the difference; an earlier
    one that is told of late books nothing. True when something was booked.
    """
    return await book_charges(tx, [(claim_number, version)], at) == 1


async def book_charges(tx: Transaction, versions: Sequence[tuple[str, int]], at: datetime) -> int:
    """As :func:`book_charge`, for one version each of many claims; how many were booked."""
    wanted: dict[str, int] = {}
    for claim_number, version in versions:
        wanted[claim_number] = max(version, wanted.get(claim_number, 0))
    await lock_claims(tx, wanted)
    charges = {
        (row.claim_number, row.version): row.charge_cents
        for row in await tx.rows(
            select(claim_version).where(claim_version.c.claim_number.in_(wanted))
        )
    }
    booked: dict[str, tuple[int, int]] = {}
    for row in await tx.rows(
        select(transfer).where(transfer.c.claim_number.in_(wanted), transfer.c.kind == "charge")
    ):
        newest, cents = booked.get(row.claim_number, (0, 0))
        cents += row.cents if row.debit == Account.PAYER_RECEIVABLE else -row.cents
        booked[row.claim_number] = max(newest, int(row.key.rsplit("|", 1)[1])), cents
    bookings = []
    for claim_number, version in sorted(wanted.items()):
        newest, cents = booked.get(claim_number, (0, 0))
        if version > newest:
            bookings.append(
                Booking(
                    f"charge|{claim_number}|{version}",
                    "charge",
                    Account.PAYER_RECEIVABLE,
                    Account.CHARGES,
                    charges[claim_number, version] - cents,
                    claim_number,
                )
            )
    return await book_all(tx, bookings, at)


async def take_charge_back(tx: Transaction, claim_number: str, at: datetime) -> bool:
    """What was charged to payers for a claim is charged no longer: it was taken back from all of
    them. A later version is charged anew. True when something was booked."""
    await lock_claim(tx, claim_number)
    rows = await tx.rows(
        select(transfer.c.key, transfer.c.debit, transfer.c.cents).where(
            transfer.c.claim_number == claim_number, transfer.c.kind == "charge"
        )
    )
    charged = sum(
        row.cents if row.debit == Account.PAYER_RECEIVABLE else -row.cents for row in rows
    )
    newest = max((int(row.key.rsplit("|", 1)[1]) for row in rows), default=0)
    booking = Booking(
        f"charge|{claim_number}|back{len(rows)}|{newest}",
        "charge",
        Account.CHARGES,
        Account.PAYER_RECEIVABLE,
        charged,
        claim_number,
    )
    return await book(tx, booking, at)


async def book_self_pay(tx: Transaction, claim_number: str, due: Cents, at: datetime) -> bool:
    """``due`` is what the patient owes in all for a session that no payer is billed for; a
    correction books the rest. True when something was booked."""
    await lock_claim(tx, claim_number)
    rows = await tx.rows(
        select(transfer.c.debit, transfer.c.cents).where(
            transfer.c.claim_number == claim_number, transfer.c.kind == _SELF_PAY
        )
    )
    booked = sum(
        row.cents if row.debit == Account.PATIENT_RECEIVABLE else -row.cents for row in rows
    )
    booking = Booking(
        f"{_SELF_PAY}|{claim_number}|{len(rows) + 1}",
        _SELF_PAY,
        Account.PATIENT_RECEIVABLE,
        Account.CHARGES,
        due - booked,
        claim_number,
    )
    if not await book(tx, booking, at):
        return False
    await apply_prepaid(tx, [claim_number], booking.key, at)
    return True


_SELF_PAY = "self_pay"


async def give_up_share(tx: Transaction, claim_number: str, share: Cents, at: datetime) -> bool:
    """``share`` is what in all no payer and no patient may be asked for, at most what the payer
    still owes; a correction books the rest, or books it back. True when something was booked."""
    await lock_claim(tx, claim_number)
    rows = await tx.rows(
        select(transfer.c.debit, transfer.c.cents).where(
            transfer.c.claim_number == claim_number, transfer.c.kind == _SHARE_GIVEN_UP
        )
    )
    booked = sum(row.cents if row.debit == Account.OTHER_ADJUSTMENT else -row.cents for row in rows)
    still_open = (await balance(tx, claim_number)).payer_open + booked
    booking = Booking(
        f"{_SHARE_GIVEN_UP}|{claim_number}|{len(rows) + 1}",
        _SHARE_GIVEN_UP,
        Account.OTHER_ADJUSTMENT,
        Account.PAYER_RECEIVABLE,
        max(0, min(share, still_open)) - booked,
        claim_number,
    )
    return await book(tx, booking, at)


_SHARE_GIVEN_UP = "share_given_up"


async def book_copay(tx: Transaction, claim_number: str, paid: Cents, at: datetime) -> bool:
    """``paid`` is what the patient has paid at the session in all; a correction books the rest."""
    await lock_claim(tx, claim_number)
    rows = await tx.rows(
        select(transfer.c.key, transfer.c.debit, transfer.c.cents).where(
            transfer.c.claim_number == claim_number, transfer.c.kind == "copay"
        )
    )
    booked = sum(row.cents if row.debit == Account.PATIENT_CASH else -row.cents for row in rows)
    if booked == paid:
        return False
    corrections = len({row.key.split("|")[2] for row in rows})
    return await _patient_money(
        tx, claim_number, f"copay|{claim_number}|{corrections + 1}", "copay", paid - booked, at
    )


async def book_patient_payment(
    tx: Transaction, claim_number: str, cents: Cents, key: str, at: datetime
) -> bool:
    """The patient paid ``cents``; ``key`` names the payment, so that one is booked once."""
    return await _once(tx, claim_number, "patient_payment", key, cents, 1, at)


async def book_patient_refund(
    tx: Transaction, claim_number: str, cents: Cents, key: str, at: datetime
) -> bool:
    """``cents`` went back to the patient; ``key`` names the refund, so that one is booked once."""
    return await _once(tx, claim_number, "patient_refund", key, cents, -1, at)


async def _once(
    tx: Transaction,
    claim_number: str,
    kind: str,
    key: str,
    cents: Cents,
    sign: Literal[1, -1],
    at: datetime,
) -> bool:
    if cents <= 0:
        raise ValueError("an amount of money paid is above zero")
    await lock_claim(tx, claim_number)
    booking = f"{kind}|{claim_number}|{key}"
    rows = await tx.rows(
        select(transfer.c.cents).where(transfer.c.key.in_((booking, f"{booking}|prepaid")))
    )
    if rows:
        if sum(row.cents for row in rows) != cents:
            raise KeyReused(f"{booking} was of another amount")
        return False
    return await _patient_money(tx, claim_number, booking, kind, Cents(cents * sign), at)


async def _patient_money(
    tx: Transaction, claim_number: str, key: str, kind: str, cents: Cents, at: datetime
) -> bool:
    """Money from the patient, or back to them: what is open is settled first, the rest is held for
    them as unapplied, because nobody can owe less than nothing."""
    now = await balance(tx, claim_number)
    if cents >= 0:
        settled = max(0, min(cents, now.patient_receivable))
    else:
        settled = min(0, cents + now.prepaid)
    parts = (
        (Account.PATIENT_RECEIVABLE, "", settled),
        (Account.UNAPPLIED, "|prepaid", cents - settled),
    )
    await book_all(
        tx,
        [
            Booking(key + suffix, kind, Account.PATIENT_CASH, account, part, claim_number)
            for account, suffix, part in parts
        ],
        at,
    )
    return cents != 0


async def apply_prepaid(
    tx: Transaction, claim_numbers: Collection[str], key: str, at: datetime
) -> None:
    """Set what patients paid in advance against what has become due, and hold for them again what
    they paid for what is due no more; ``key`` names the cause."""
    await book_all(
        tx,
        [
            Booking(
                f"prepaid|{claim_number}|{key}",
                "prepaid",
                Account.UNAPPLIED,
                Account.PATIENT_RECEIVABLE,
                Cents(min(max(now.prepaid, 0), now.patient_receivable)),
                claim_number,
            )
            for claim_number, now in (await balances(tx, claim_numbers)).items()
        ],
        at,
    )


async def book_underpayment(
    tx: Transaction,
    claim_number: str,
    remittance_id: int,
    remittance_position: int,
    owed: Cents,
    at: datetime,
) -> bool:
    """By the contract the payer still owes ``owed`` in all: what the remittance took off as
    contractual beyond that is receivable again.

    Booked once for a remittance, and not at all when it was reversed; a reversal later takes this
    back too. True when something was booked.
    """
    await lock_claim(tx, claim_number)
    key = f"underpayment|{claim_number}|{remittance_id}|{remittance_position}"
    mine = (
        transfer.c.claim_number == claim_number,
        transfer.c.remittance_id == remittance_id,
        transfer.c.remittance_position == remittance_position,
    )
    posted = await tx.first(
        select(
            func.coalesce(func.max(case((transfer.c.key == key, 1), else_=0)), 0).label("done"),
            _SIGNED[Account.CONTRACTUAL].label("contractual"),
        ).where(*mine)
    )
    reversed_by = await tx.scalar(
        select(remittance_claim.c.reversed_by).filter_by(
            remittance_id=remittance_id, position=remittance_position
        )
    )
    if posted is None or posted.done or reversed_by is not None:
        return False
    open_now = (await balance(tx, claim_number)).payer_open
    booking = Booking(
        key,
        "underpayment",
        Account.PAYER_RECEIVABLE,
        Account.CONTRACTUAL,
        max(0, min(owed - open_now, int(posted.contractual))),
        claim_number,
        remittance_id,
        remittance_position,
    )
    return await book(tx, booking, at)


async def book_not_collectible(
    tx: Transaction, claim_number: str, remittance_id: int, remittance_position: int, at: datetime
) -> bool:
    """What a remittance left to a patient from whom it may not be collected is open with payers
    again. Booked once for a remittance; a reversal later takes this back too."""
    await lock_claim(tx, claim_number)
    to_patient = await tx.scalar(
        select(_SIGNED[Account.PATIENT_RECEIVABLE]).where(
            transfer.c.claim_number == claim_number,
            transfer.c.remittance_id == remittance_id,
            transfer.c.remittance_position == remittance_position,
            transfer.c.kind != _NOT_COLLECTIBLE,
        )
    )
    booking = Booking(
        f"{_NOT_COLLECTIBLE}|{claim_number}|{remittance_id}|{remittance_position}",
        _NOT_COLLECTIBLE,
        Account.PAYER_RECEIVABLE,
        Account.PATIENT_RECEIVABLE,
        max(0, int(to_patient or 0)),
        claim_number,
        remittance_id,
        remittance_position,
    )
    if not await book(tx, booking, at):
        return False
    await apply_prepaid(tx, [claim_number], booking.key, at)
    return True


_NOT_COLLECTIBLE = "not_collectible"


async def write_off(
    tx: Transaction, claim_number: str, cents: Cents, key: str, at: datetime
) -> bool:
    """Give up ``cents`` that the payer owes; who decided so and why stands in the audit log."""
    booking = Booking(
        f"write_off|{claim_number}|{key}",
        "write_off",
        Account.WRITE_OFF,
        Account.PAYER_RECEIVABLE,
        cents,
        claim_number,
    )
    return await book(tx, booking, at)


async def take_from_patient(tx: Transaction, claim_number: str, key: str, at: datetime) -> bool:
    """What payers have left to the patient is open with a payer again, whether or not the patient
    has paid it: a later payer denied it and nobody asks the patient for it."""
    booking = Booking(
        f"next_payer|{claim_number}|{key}",
        "next payer",
        Account.PAYER_RECEIVABLE,
        Account.PATIENT_RECEIVABLE,
        await patient_share(tx, claim_number),
        claim_number,
    )
    if booking.cents <= 0 or not await book(tx, booking, at):
        return False
    await apply_prepaid(tx, [claim_number], booking.key, at)
    return True


async def book_payer_refund(
    tx: Transaction, claim_number: str, cents: Cents, key: str, at: datetime
) -> int:
    """``cents`` that a payer gave beyond its contract went back to it: the contract takes off so
    much more. ``key`` names the refund, so that one is booked once; how many transfers that was."""
    await lock_claim(tx, claim_number)
    name = f"payer_refund|{claim_number}|{key}"
    refund, receivable = Account.PAYER_REFUND, Account.PAYER_RECEIVABLE
    parts = (
        Booking(name, "payer_refund", receivable, refund, cents, claim_number),
        Booking(
            f"{name}|contractual",
            "payer_refund",
            Account.CONTRACTUAL,
            receivable,
            cents,
            claim_number,
        ),
    )
    return sum([await book(tx, part, at) for part in parts])


# --- reading

_SIGNED: dict[Account, ColumnElement[int]] = {
    account: func.coalesce(
        func.sum(
            case(
                (transfer.c.debit == account.value, transfer.c.cents),
                (transfer.c.credit == account.value, -transfer.c.cents),
                else_=0,
            )
        ),
        0,
    )
    for account in Account
}


_PREPAID = func.coalesce(
    func.sum(
        case(
            (transfer.c.remittance_id.is_not(None), 0),
            (transfer.c.credit == Account.UNAPPLIED.value, transfer.c.cents),
            (transfer.c.debit == Account.UNAPPLIED.value, -transfer.c.cents),
            else_=0,
        )
    ),
    0,
)
"""Unapplied money of patients belongs to no remittance; that of payers does."""


_OF_PATIENTS_ALONE = func.coalesce(
    func.sum(
        case(
            (transfer.c.kind != _SELF_PAY, 0),
            (transfer.c.credit == Account.CHARGES.value, transfer.c.cents),
            else_=-transfer.c.cents,
        )
    ),
    0,
)
"""What is charged for sessions that no payer is billed for."""


_BALANCES = (
    select(
        transfer.c.claim_number,
        _SIGNED[Account.CHARGES].label("charges"),
        _SIGNED[Account.PAYER_RECEIVABLE].label("payer"),
        _SIGNED[Account.PATIENT_RECEIVABLE].label("patient"),
        _PREPAID.label("prepaid"),
    )
    .where(transfer.c.claim_number.in_(bindparam("numbers", expanding=True)))
    .group_by(transfer.c.claim_number)
)


async def balance(reading: Reading, claim_number: str) -> Balance:
    """What is open on one claim."""
    return (await balances(reading, [claim_number]))[claim_number]


async def patient_share(reading: Reading, claim_number: str) -> Cents:
    """What payers have left to the patient so far, whether or not the patient has paid it."""
    between = {Account.PAYER_RECEIVABLE.value, Account.PATIENT_RECEIVABLE.value}
    rows = await reading.rows(
        select(transfer.c.debit, transfer.c.cents).where(
            transfer.c.claim_number == claim_number,
            transfer.c.debit.in_(between),
            transfer.c.credit.in_(between),
        )
    )
    return Cents(
        sum(row.cents if row.debit == Account.PATIENT_RECEIVABLE else -row.cents for row in rows)
    )


async def balances(reading: Reading, claim_numbers: Collection[str]) -> dict[str, Balance]:
    """What is open on each of these claims."""
    rows = (await reading.execute(_BALANCES, {"numbers": list(claim_numbers)})).all()
    nothing = Balance(Cents(0), Cents(0), Cents(0), Cents(0))
    found = dict.fromkeys(claim_numbers, nothing)
    for row in rows:
        found[row.claim_number] = Balance(
            charge=Cents(-int(row.charges)),
            payer_open=Cents(int(row.payer)),
            patient_receivable=Cents(int(row.patient)),
            prepaid=Cents(int(row.prepaid)),
        )
    return found


async def trial_balance(reading: Reading, before: datetime) -> dict[Account, Cents]:
    """Debits less credits of every account by what was booked before a moment; they sum to zero."""
    row = await reading.first(
        select(*(_SIGNED[account].label(account.value) for account in Account)).where(
            transfer.c.posted_at < before
        )
    )
    if row is None:
        raise AssertionError("a sum has a row")
    return {account: Cents(int(getattr(row, account.value))) for account in Account}


# --- what waits for a person


@dataclass(frozen=True, slots=True)
class SuspendedPayment:
    """A payment of which nothing is posted, and by how many cents it does not come out."""

    remittance_id: int
    payer_id: str
    trace: str
    payment_date: date | None
    paid: Cents
    difference: Cents
    reason: str


@dataclass(frozen=True, slots=True)
class UnappliedCash:
    """Money of a payer that belongs to no open claim; below zero what it withheld or took back.

    ``claim`` is the claim it was paid for, by our number or else as the payer wrote it; None for a
    provider adjustment. ``reasons`` says why it was not applied.
    """

    payer_id: str
    claim: str | None
    cents: Cents
    remittances: tuple[int, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnappliedItem:
    """One entry of unapplied cash. ``item`` names it: ``7/3`` is the third claim of remittance 7,
    ``7/plb/1`` its first provider adjustment. ``claim`` as in :class:`UnappliedCash`."""

    item: str
    payer_id: str
    trace: str
    payment_date: date | None
    claim: str | None
    cents: Cents
    reason: str


@dataclass(frozen=True, slots=True)
class PatientCredit:
    """What a patient has paid beyond what is due on a claim so far."""

    claim_number: str
    stage: str
    hold: str | None
    cents: Cents


@dataclass(frozen=True, slots=True)
class OpenItems:
    """All money that has come and has not found its place."""

    suspended: tuple[SuspendedPayment, ...]
    unapplied: tuple[UnappliedCash, ...]
    patient_credits: tuple[PatientCredit, ...]


async def open_items(reading: Reading) -> OpenItems:
    """What a person has to clear: payments in suspense, unapplied cash, credits of patients."""
    return OpenItems(
        await _suspended(reading), await _unapplied(reading), await _patient_credits(reading)
    )


async def _suspended(reading: Reading) -> tuple[SuspendedPayment, ...]:
    rows = await reading.rows(
        select(remittance)
        .where(remittance.c.state == "suspended", remittance.c.returned_at.is_(None))
        .order_by(remittance.c.id)
    )
    return tuple(
        SuspendedPayment(
            row.id,
            row.payer_id,
            row.trace,
            row.payment_date,
            Cents(row.paid_cents),
            Cents(row.difference_cents),
            row.reason,
        )
        for row in rows
    )


async def _unapplied(reading: Reading) -> tuple[UnappliedCash, ...]:
    held = case(
        (transfer.c.credit == Account.UNAPPLIED.value, transfer.c.cents), else_=-transfer.c.cents
    )
    rows = await reading.rows(
        select(
            transfer.c.remittance_id,
            transfer.c.kind,
            held.label("cents"),
            remittance.c.payer_id,
            remittance_claim.c.claim_number,
            remittance_claim.c.control_number,
            remittance_claim.c.reason,
        )
        .join(remittance, remittance.c.id == transfer.c.remittance_id)
        .join(
            remittance_claim,
            (remittance_claim.c.remittance_id == transfer.c.remittance_id)
            & (remittance_claim.c.position == transfer.c.remittance_position),
            isouter=True,
        )
        .where(
            (transfer.c.debit == Account.UNAPPLIED.value)
            | (transfer.c.credit == Account.UNAPPLIED.value)
        )
        .order_by(
            transfer.c.remittance_id,
            case((transfer.c.remittance_position.is_(None), 1), else_=0),
            transfer.c.remittance_position,
            transfer.c.id,
        )
    )
    groups: dict[tuple[str, str | None], list[Row[Any]]] = {}
    for row in rows:
        groups.setdefault((row.payer_id, row.claim_number or row.control_number), []).append(row)
    return tuple(
        UnappliedCash(
            payer_id,
            named,
            Cents(total),
            tuple(dict.fromkeys(row.remittance_id for row in parts)),
            tuple(dict.fromkeys(row.reason or row.kind.replace("_", " ") for row in parts)),
        )
        for (payer_id, named), parts in groups.items()
        if (total := sum(row.cents for row in parts))
    )


async def unapplied_items(reading: Reading) -> tuple[UnappliedItem, ...]:
    """Every entry of unapplied cash of payers that is not cleared, the oldest first."""
    out = transfer.c.debit == Account.UNAPPLIED.value
    # What was cleared long ago is not read. What was taken back is: it says whose a taking is.
    standing = (
        select(transfer.c.remittance_id, transfer.c.remittance_position)
        .join(
            remittance_claim,
            (remittance_claim.c.remittance_id == transfer.c.remittance_id)
            & (remittance_claim.c.position == transfer.c.remittance_position),
            isouter=True,
        )
        .where(out | (transfer.c.credit == Account.UNAPPLIED.value))
        .group_by(transfer.c.remittance_id, transfer.c.remittance_position)
        .having(
            (func.sum(case((out, -transfer.c.cents), else_=transfer.c.cents)) != 0)
            | func.max(remittance_claim.c.reversed_by).is_not(None)
            | transfer.c.remittance_position.is_(None)
        )
        .subquery()
    )
    rows = await reading.rows(
        select(
            transfer.c.key,
            transfer.c.debit,
            transfer.c.cents,
            transfer.c.remittance_id,
            transfer.c.remittance_position,
            transfer.c.kind,
            remittance.c.payer_id,
            remittance.c.trace,
            remittance.c.payment_date,
            remittance_claim.c.claim_number,
            remittance_claim.c.control_number,
            remittance_claim.c.reason,
            remittance_claim.c.reversed_by,
        )
        .join(remittance, remittance.c.id == transfer.c.remittance_id)
        .join(
            remittance_claim,
            (remittance_claim.c.remittance_id == transfer.c.remittance_id)
            & (remittance_claim.c.position == transfer.c.remittance_position),
            isouter=True,
        )
        .join(
            standing,
            (standing.c.remittance_id == transfer.c.remittance_id)
            & (
                func.coalesce(standing.c.remittance_position, -1)
                == func.coalesce(transfer.c.remittance_position, -1)
            ),
        )
        .where(out | (transfer.c.credit == Account.UNAPPLIED.value))
        .order_by(transfer.c.id)
    )
    found: dict[str, list[Row[Any]]] = {}
    taken_back: dict[str, str] = {}
    for row in rows:
        if row.remittance_position is None:
            item = f"{row.remittance_id}/plb/{row.key.split('|')[3]}"
        else:
            item = f"{row.remittance_id}/{row.remittance_position}"
            if row.reversed_by:
                taken_back[row.reversed_by.replace("|", "/")] = item
        found.setdefault(item, []).append(row)
    for back, item in taken_back.items():
        # What a later payment took back from unapplied cash is of that entry.
        found[item] += found.pop(back, [])
    items = []
    for item, parts in found.items():
        cents = sum(-row.cents if row.debit == Account.UNAPPLIED else row.cents for row in parts)
        if cents:
            first = parts[0]
            items.append(
                UnappliedItem(
                    item,
                    first.payer_id,
                    first.trace,
                    first.payment_date,
                    first.claim_number or first.control_number,
                    Cents(cents),
                    first.reason or first.kind.replace("_", " "),
                )
            )
    return tuple(items)


async def _patient_credits(reading: Reading) -> tuple[PatientCredit, ...]:
    credit = _PREPAID - _SIGNED[Account.PATIENT_RECEIVABLE]
    rows = await reading.rows(
        select(claim.c.claim_number, claim.c.stage, claim.c.hold_code, credit.label("cents"))
        .join(transfer, transfer.c.claim_number == claim.c.claim_number)
        .group_by(claim.c.claim_number, claim.c.stage, claim.c.hold_code)
        .having(credit > 0)
        .order_by(claim.c.claim_number)
    )
    return tuple(
        PatientCredit(row.claim_number, row.stage, row.hold_code, Cents(int(row.cents)))
        for row in rows
    )


# --- invariant I4, and of I3 and I10 what the tables can show


@dataclass(frozen=True, slots=True)
class Violation:
    """Something the books may never say. ``subject`` names the row: ids only."""

    rule: str
    subject: str
    expected: int
    found: int


async def verify(reading: Reading) -> tuple[Violation, ...]:
    """Compare the ledger with itself and with what the remittances say; empty when all is well."""
    return (
        *await _check_rows(reading),
        *await _check_remittances(reading),
        *await _check_remittance_claims(reading),
        *await _check_claims(reading),
    )


async def _check_rows(reading: Reading) -> list[Violation]:
    accounts = [account.value for account in Account]
    strange = await reading.rows(
        select(transfer.c.id, transfer.c.cents).where(
            (transfer.c.cents <= 0)
            | (transfer.c.debit == transfer.c.credit)
            | transfer.c.debit.not_in(accounts)
            | transfer.c.credit.not_in(accounts)
        )
    )
    return [
        Violation("a transfer moves cents between two accounts", f"transfer {row.id}", 1, row.cents)
        for row in strange
    ]


async def _check_remittances(reading: Reading) -> list[Violation]:
    """What is posted: BPR02 = sum(CLP04) - sum(PLB), deposited once, nothing left in between."""
    paid = (
        select(func.coalesce(func.sum(remittance_claim.c.paid_cents), 0))
        .where(remittance_claim.c.remittance_id == remittance.c.id)
        .scalar_subquery()
    )
    withheld = (
        select(func.coalesce(func.sum(provider_adjustment.c.cents), 0))
        .where(provider_adjustment.c.remittance_id == remittance.c.id)
        .scalar_subquery()
    )
    rows = await reading.rows(
        select(
            remittance.c.id,
            remittance.c.state,
            remittance.c.paid_cents,
            (paid - withheld).label("parts"),
            _SIGNED[Account.DEPOSITS].label("deposited"),
            _SIGNED[Account.CLEARING].label("left"),
            func.count(transfer.c.id).label("transfers"),
        )
        .join(transfer, transfer.c.remittance_id == remittance.c.id, isouter=True)
        .group_by(remittance.c.id, remittance.c.state, remittance.c.paid_cents)
    )
    found = []
    for row in rows:
        subject = f"remittance {row.id}"
        if row.state != "posted":
            checks = [(f"nothing of a {row.state} payment is in the ledger", 0, row.transfers)]
        else:
            checks = [
                ("a payment is its claims less provider adjustments", row.parts, row.paid_cents),
                ("a payment is deposited once", row.paid_cents, row.deposited),
                ("a payment leaves nothing in clearing", 0, row.left),
            ]
        found += [Violation(rule, subject, int(a), int(b)) for rule, a, b in checks if a != b]
    loose = await reading.rows(
        select(transfer.c.id, transfer.c.cents).where(
            transfer.c.remittance_id.is_(None),
            transfer.c.debit.in_(_OF_PAYERS) | transfer.c.credit.in_(_OF_PAYERS),
        )
    )
    return found + [
        Violation("money of a payer belongs to a remittance", f"transfer {row.id}", 0, row.cents)
        for row in loose
    ]


_OF_PAYERS = (Account.CLEARING.value, Account.DEPOSITS.value)


async def _check_remittance_claims(reading: Reading) -> list[Violation]:
    """What was moved for each claim of a payment is what the payment says of it."""
    shares = (
        select(
            remittance_adjustment.c.remittance_id,
            remittance_adjustment.c.claim_position,
            func.sum(
                case(
                    (remittance_adjustment.c.group_code == "PR", remittance_adjustment.c.cents),
                    else_=0,
                )
            ).label("patient"),
        )
        .group_by(remittance_adjustment.c.remittance_id, remittance_adjustment.c.claim_position)
        .subquery()
    )
    rows = await reading.rows(
        select(
            remittance_claim.c.remittance_id,
            remittance_claim.c.position,
            remittance_claim.c.posting,
            remittance_claim.c.reversed_by,
            remittance_claim.c.paid_cents,
            func.coalesce(shares.c.patient, 0).label("patient"),
            _SIGNED[Account.CLEARING].label("moved"),
            _SIGNED[Account.PATIENT_RECEIVABLE].label("to_patient"),
        )
        .join(
            transfer,
            (transfer.c.remittance_id == remittance_claim.c.remittance_id)
            & (transfer.c.remittance_position == remittance_claim.c.position),
            isouter=True,
        )
        .join(
            shares,
            (shares.c.remittance_id == remittance_claim.c.remittance_id)
            & (shares.c.claim_position == remittance_claim.c.position),
            isouter=True,
        )
        .group_by(
            remittance_claim.c.remittance_id,
            remittance_claim.c.position,
            remittance_claim.c.posting,
            remittance_claim.c.reversed_by,
            remittance_claim.c.paid_cents,
            shares.c.patient,
        )
    )
    # What a later payer had taken over from the patient goes back to them with its reversal.
    given_back = {row.reversed_by: -int(row.to_patient) for row in rows if row.reversed_by}
    found = []
    for row in rows:
        subject = f"remittance {row.remittance_id} claim {row.position}"
        moves_money = row.posting in ("applied", "reversal", "unapplied")
        paid = row.paid_cents if moves_money else 0
        if row.moved != paid:
            found.append(Violation("what is paid is moved", subject, paid, int(row.moved)))
        share = row.patient if row.posting == "applied" else 0
        if row.posting == "reversal":
            share = given_back.get(f"{row.remittance_id}|{row.position}", 0)
        if row.to_patient > max(share, 0):
            found.append(
                Violation("only group PR reaches a patient", subject, share, int(row.to_patient))
            )
    return found


async def _check_claims(reading: Reading) -> list[Violation]:
    """Receivables are the charge less what was applied, and nothing is open on a closed claim."""
    rows = await reading.rows(
        select(
            claim.c.claim_number,
            claim.c.stage,
            claim.c.hold_code,
            _SIGNED[Account.CHARGES].label("charges"),
            _OF_PATIENTS_ALONE.label("alone"),
            _SIGNED[Account.PAYER_RECEIVABLE].label("payer"),
            _SIGNED[Account.PATIENT_RECEIVABLE].label("patient"),
            _PREPAID.label("prepaid"),
            sum((_SIGNED[account] for account in _APPLIED), literal(0)).label("applied"),
        )
        .join(transfer, transfer.c.claim_number == claim.c.claim_number)
        .group_by(claim.c.claim_number, claim.c.stage, claim.c.hold_code)
    )
    versions: dict[str, set[int]] = {}
    for row in await reading.rows(
        select(claim_version.c.claim_number, claim_version.c.charge_cents)
    ):
        versions.setdefault(row.claim_number, {0}).add(row.charge_cents)
    found = []
    for row in rows:
        subject = f"claim {row.claim_number}"
        charge = -int(row.charges)
        due = charge - int(row.applied)
        if row.payer + row.patient != due:
            found.append(
                Violation(
                    "receivables are the charge less what is applied",
                    subject,
                    due,
                    int(row.payer + row.patient),
                )
            )
        billed = charge - int(row.alone)
        if billed not in versions.get(row.claim_number, {0}):
            found.append(Violation("the charge is a version's charge", subject, 0, billed))
        if row.patient < 0:
            found.append(Violation("what a patient owes", subject, 0, int(row.patient)))
        if row.prepaid < 0:
            found.append(Violation("what is held for a patient", subject, 0, int(row.prepaid)))
        if row.stage == "closed":
            found += [
                Violation("nothing is open on a closed claim", subject, 0, int(amount))
                for amount in (row.payer, row.patient, row.prepaid)
                if amount
            ]
        if row.stage == "not_billable" and row.hold_code is None and row.prepaid:
            rule = "nothing is kept of a patient who owes nothing"
            found.append(Violation(rule, subject, 0, int(row.prepaid)))
    return found


_APPLIED = tuple(
    account
    for account in Account
    if account not in (Account.PAYER_RECEIVABLE, Account.PATIENT_RECEIVABLE, Account.CHARGES)
)
