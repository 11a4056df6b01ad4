"""Payments of payers: registered once, posted whole or not at all.

A payment is named for ever by payer and trace. Delivered again it is a duplicate; the same name
with another amount, date or content is suspended. But a copy of a suspended payment with the same
amount and date, which is whole and balances, takes its place.

Posting writes what the 835 says and the ledger's transfers in one transaction: if any sum of the
835 does not come out, only what it says is written, nothing is transferred, and the payment stands
in suspense until a whole copy comes. So does a payment whose payee is another practice.

CLP02 19, 20 and 21 are the decisions of a first, second and third payer like 1, 2 and 3: they are
posted in their turn. That they were forwarded says only that the next payer comes by itself.

A payer after the first decides on what the payers before it left. Its money waits as unapplied cash
until one of them has decided (a crossover may come first), and waits again when that is reversed:
what it took over was never the patient's to get back. When a payer before it decides anew, its
own decision is booked anew on top of that.

Denials write nothing off: what a payer refuses stays receivable until someone decides.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Column, Row, String, bindparam, delete, func, or_, select, update

from groupclaim.model import claim as model
from groupclaim.model.money import Cents
from groupclaim.rules.coordination import MOST_PAYERS, rank
from groupclaim.rules.payment_audit import AFTER_PRICING, INTEREST, SEQUESTRATION
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.ledger import (
    Account,
    Booking,
    apply_prepaid,
    book_all,
    book_charges,
    lock_claims,
    patient_share,
)
from groupclaim.store.ledger import balance as ledger_balance
from groupclaim.store.matching import (
    ClaimMatchedBy,
    Match,
    Matched,
    match_by_hand,
    match_payment,
    payee_of_another,
)
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.provider_adjustments import account_of
from groupclaim.store.schema import (
    provider_adjustment,
    remittance,
    remittance_adjustment,
    remittance_claim,
    remittance_line,
    transfer,
)
from groupclaim.x12.parts import Adjustment
from groupclaim.x12.remittance import ClaimPayment, Difference, LinePayment, Payment, balance

Posting = Literal["applied", "denied", "reversal", "unapplied", "information", "suspended"]

_NOT_DECISIONS = frozenset({"23", "25"})
"""CLP02: not theirs and forwarded, predetermination. Neither decides anything about money."""

_CONTRACTUAL = frozenset({"45", "131", "P24"})
"""CARCs by which a contract lowers the charge: they are written off under group CO."""

_PRIOR_PAYER = "23"
_NOT_COLLECTIBLE = frozenset({"N781", "N782", "N783"})
"""RARCs: a qualified Medicare beneficiary, from whom deductible, coinsurance and copay may not be
collected (42 U.S.C. 1396a(n)(3)). The amount stays open, for the next payer."""


class PaymentChanged(Exception):
    """The payment handed in for posting is not the one that was registered."""


@dataclass(frozen=True, slots=True)
class Registered:
    """``new`` are those of the file to be posted or looked at; ``repeated`` were known before."""

    new: tuple[int, ...]
    repeated: int


@dataclass(frozen=True, slots=True)
class PostedClaim:
    """What became of one claim of a payment. ``posting``: ``applied``; ``denied`` (nothing paid or
    left to the patient, nothing written off); ``reversal``; ``unapplied`` money, with ``reason``;
    ``information`` only; ``suspended`` with its payment."""

    position: int
    control_number: str
    claim_number: str | None
    version: int | None
    posting: Posting
    paid: Cents
    reason: str
    matched_by: ClaimMatchedBy | None
    remittance_id: int


@dataclass(frozen=True, slots=True)
class Posted:
    """``difference_cents`` is what a suspended payment states beyond what its parts add up to.

    ``cleared`` are claims of earlier payments whose money stood in unapplied cash until this one.
    """

    remittance_id: int
    state: Literal["posted", "suspended", "duplicate"]
    difference_cents: int
    reason: str
    claims: tuple[PostedClaim, ...]
    cleared: tuple[PostedClaim, ...] = ()


# --- registering


async def register(
    tx: Transaction, file_digest: str, payments: Sequence[Payment], at: datetime
) -> Registered:
    """Note the payments of a file, in its order. Repeating it gives the same answer."""
    rows = [
        await _register(tx, file_digest, position, payment, at)
        for position, payment in enumerate(payments)
    ]
    new = tuple(row.id for row in rows if row.state != "duplicate")
    return Registered(new, len(rows) - len(new))


async def _register(
    tx: Transaction, file_digest: str, position: int, payment: Payment, at: datetime
) -> Row[Any]:
    here = select(remittance).filter_by(file_digest=file_digest, file_position=position)
    values = {
        "payer_id": _fitting(remittance.c.payer_id, payment.payer_identifier),
        "trace": _fitting(remittance.c.trace, payment.trace_number),
        "payment_date": _paid_on(payment),
        "paid_cents": _paid(payment),
        "method": _fitting(remittance.c.method, payment.method),
        "content_digest": _content_digest(payment),
        "file_digest": file_digest,
        "file_position": position,
        "registered_at": at,
        "difference_cents": 0,
        "reason": "",
    }
    identity = _identity(payment)
    if await tx.first(here) is None and not await tx.insert_new(
        remittance, {**values, "state": "registered", "identity": identity}
    ):
        # Someone registers this file at the same time, or the payment was here before.
        known = await tx.first(select(remittance).where(remittance.c.identity == identity))
        if known is not None and (known.file_digest, known.file_position) != (
            file_digest,
            position,
        ):
            if accepted := await _accepted(tx, values):
                values |= {"state": "duplicate", "duplicate_of": accepted}
                await tx.insert_new(remittance, values)
            elif await _is_mended(tx, known, values, payment):
                await _replace(tx, known, {**values, "state": "registered", "identity": identity})
            else:
                await tx.insert_new(remittance, {**values, **_compared(known, values)})
    row = await tx.first(here)
    if row is None:
        raise UnknownRecord(f"payment {position} of file {file_digest}")
    return row


def _identity(payment: Payment) -> str:
    name = [payment.payer_identifier, payment.trace_number]
    return sha256(json.dumps(name).encode()).hexdigest()


async def _accepted(tx: Transaction, values: dict[str, Any]) -> int | None:
    """The posted payment that this is a copy of, though another bears the name."""
    same = ("payer_id", "trace", "payment_date", "paid_cents", "content_digest")
    found: int | None = await tx.scalar(
        select(remittance.c.id)
        .filter_by(state="posted", **{name: values[name] for name in same})
        .limit(1)
    )
    return found


def _compared(known: Row[Any], values: dict[str, Any]) -> dict[str, Any]:
    """What a payment is that carries the trace of one ``known``: its duplicate, or suspect."""
    names = {
        "paid_cents": "amount",
        "payment_date": "payment date",
        "content_digest": "content",
    }
    other = [text for name, text in names.items() if getattr(known, name) != values[name]]
    if not other:
        return {"state": "duplicate", "duplicate_of": known.id}
    return {
        "state": "suspended",
        "difference_cents": values["paid_cents"] - known.paid_cents,
        "reason": f"same payer and trace as remittance {known.id}, other {', '.join(other)}",
    }


async def _is_mended(
    reading: Reading, known: Row[Any], values: dict[str, Any], payment: Payment
) -> bool:
    """Whether ``payment`` is what ``known``, of which nothing was posted, should have been."""
    same = (known.paid_cents, known.payment_date) == (values["paid_cents"], values["payment_date"])
    if not same or known.state != "suspended" or _suspicion(payment)[1]:
        return False
    return not await payee_of_another(reading, payment)


async def _replace(tx: Transaction, known: Row[Any], values: dict[str, Any]) -> None:
    """Register the whole copy under the name of the suspended payment, which is its duplicate from
    now on. Of several copies at once the first is taken."""
    old = update(remittance).where(remittance.c.id == known.id)
    released = await tx.scalar(
        old.where(remittance.c.identity == known.identity)
        .values(identity=None)
        .returning(remittance.c.id)
    )
    if released is None:
        now_known = await tx.first(
            select(remittance).where(remittance.c.identity == values["identity"])
        )
        compared = _compared(now_known, values) if now_known is not None else {}
        await tx.insert_new(remittance, {**values, "identity": None, **compared})
        return
    await tx.insert_new(remittance, values)
    taken = await tx.scalar(
        select(remittance.c.id).where(remittance.c.identity == values["identity"])
    )
    await tx.execute(
        old.values(
            state="duplicate",
            duplicate_of=taken,
            reason=f"{known.reason}; replaced by remittance {taken}",
        )
    )


def _fitting(column: Column[Any], text: str) -> str:
    """``text`` as the column can keep it, the same on every database: an element that is longer
    than X12 allows is cut, and PostgreSQL keeps no NUL."""
    longest = column.type.length if isinstance(column.type, String) else None
    return text.replace("\0", " ")[:longest]


def _paid(payment: Payment) -> int:
    return -payment.paid_cents if payment.is_debit else payment.paid_cents


def _paid_on(payment: Payment) -> date | None:
    """BPR16; without it the day of which the payment speaks (DTM*405)."""
    return payment.payment_date or payment.production_date


def _content_digest(payment: Payment) -> str:
    """Of what the payment decides, whatever file it came in."""
    content = [
        [
            claim.control_number,
            claim.status,
            claim.charge_cents,
            claim.paid_cents,
            claim.patient_responsibility_cents,
            claim.payer_claim_number,
            [[item.group_code, item.reason_code, item.cents] for item in claim.adjustments],
            [
                [
                    line.code,
                    line.modifiers,
                    line.charge_cents,
                    line.paid_cents,
                    line.allowed_cents,
                    line.line_control_number,
                    [[item.group_code, item.reason_code, item.cents] for item in line.adjustments],
                ]
                for line in claim.lines
            ],
        ]
        for claim in payment.claims
    ]
    withheld = [[a.reason_code, a.reference, a.cents] for a in payment.provider_adjustments]
    return sha256(json.dumps([content, withheld]).encode()).hexdigest()


async def file_of(reading: Reading, remittance_id: int) -> tuple[str, int]:
    """The digest of the file a payment came in, and its place there, from 0."""
    row = await reading.first(
        select(remittance.c.file_digest, remittance.c.file_position).where(
            remittance.c.id == remittance_id
        )
    )
    if row is None:
        raise UnknownRecord(f"remittance {remittance_id}")
    return row.file_digest, row.file_position


# --- posting


@dataclass(frozen=True, slots=True)
class Prepared:
    """What can be worked out of a payment before anything is locked: whether it may be posted at
    all, which claims of ours it means, and the rows of what it says, without the payment's id."""

    digest: str
    difference: int
    reason: str
    matched: Matched
    claims: list[dict[str, Any]]
    lines: list[dict[str, Any]]
    adjustments: list[dict[str, Any]]


async def prepare(reading: Reading, payment: Payment) -> Prepared:
    """Do the long part of posting; reads only, so that nobody has to wait for it."""
    difference, reason = _suspicion(payment)
    reason = reason or await payee_of_another(reading, payment)
    matched = await match_payment(reading, payment)
    claims, lines, adjustments = [], [], []
    for position, paid in enumerate(payment.claims, 1):
        match = matched.claims.get(position)
        claims.append(_claim_row(position, paid, match))
        lines += _line_rows(position, paid, match)
        adjustments += _adjustment_rows(position, paid)
    return Prepared(
        _content_digest(payment), difference, reason, matched, claims, lines, adjustments
    )


def _claim_row(position: int, paid: ClaimPayment, match: Match | None) -> dict[str, Any]:
    return {
        "position": position,
        "control_number": _fitting(remittance_claim.c.control_number, paid.control_number),
        "claim_number": match.claim_number if match else None,
        "version": match.version if match else None,
        "payer_sequence": match.payer_sequence if match else rank(paid.status, 1),
        "matched_by": match.by if match else None,
        "status": _fitting(remittance_claim.c.status, paid.status),
        "charge_cents": paid.charge_cents,
        "paid_cents": paid.paid_cents,
        "patient_cents": paid.patient_responsibility_cents,
        "allowed_cents": _allowed(paid),
        "interest_cents": _interest(paid),
        "payer_claim_number": _payer_claim_number(paid),
        "remarks": _kept_remarks(paid),
    }


def _line_rows(
    claim_position: int, paid: ClaimPayment, match: Match | None
) -> list[dict[str, Any]]:
    matches = match.lines if match else (None,) * len(paid.lines)
    column = remittance_line.c
    return [
        {
            "claim_position": claim_position,
            "line_position": position,
            "code": _fitting(column.code, line.code),
            "modifiers": _fitting(column.modifiers, ":".join(line.modifiers)),
            "charge_cents": line.charge_cents,
            "paid_cents": line.paid_cents,
            "allowed_cents": line.allowed_cents,
            "line_control_number": _fitting(column.line_control_number, line.line_control_number),
            "service_date": line.service_date,
            "units": _fitting(column.units, str(line.units)),
            "submitted_code": _fitting(column.submitted_code, line.submitted_code) or None,
            "submitted_modifiers": _fitting(
                column.submitted_modifiers, ":".join(line.submitted_modifiers)
            )
            or None,
            "our_line": ours.our_line if ours else None,
            "matched_by": ours.by if ours else None,
        }
        for position, (line, ours) in enumerate(zip(paid.lines, matches, strict=True), 1)
    ]


def _adjustment_rows(claim_position: int, paid: ClaimPayment) -> list[dict[str, Any]]:
    groups = [paid.adjustments, *(line.adjustments for line in paid.lines)]
    return [
        {
            "claim_position": claim_position,
            "line_position": line_position,
            "position": position,
            "group_code": _fitting(remittance_adjustment.c.group_code, item.group_code),
            "reason_code": _fitting(remittance_adjustment.c.reason_code, item.reason_code),
            "cents": item.cents,
        }
        for line_position, group in enumerate(groups)
        for position, item in enumerate(group, 1)
    ]


async def post(
    tx: Transaction,
    remittance_id: int,
    payment: Payment,
    at: datetime,
    prepared: Prepared | None = None,
) -> Posted:
    """Post a registered payment, whole, or leave it whole in suspense.

    ``prepared`` is what :func:`prepare` made of this payment, and is used up; without it that is
    done here.
    Posting again gives the stored result. Raises :class:`PaymentChanged` when ``payment`` is not
    the one registered.
    """
    if prepared is None:
        prepared = await prepare(tx, payment)
    row = await _locked(tx, remittance_id)
    if (row.content_digest, row.paid_cents) != (prepared.digest, _paid(payment)):
        raise PaymentChanged(f"remittance {remittance_id} was registered with other content")
    if row.posted_at is None and row.state != "duplicate":
        difference, reason = row.difference_cents, row.reason
        if row.state == "registered":
            difference, reason = prepared.difference, prepared.reason
        poster = _Poster(tx, row.id, at)
        if reason:
            await poster.keep(payment, prepared)
        else:
            await poster.post(payment, prepared)
        await _conclude(tx, row.id, at, difference, reason)
    return await posted(tx, remittance_id)


async def _locked(tx: Transaction, remittance_id: int) -> Row[Any]:
    row = await tx.first(
        select(remittance).where(remittance.c.id == remittance_id).with_for_update(key_share=True)
    )
    if row is None:
        raise UnknownRecord(f"remittance {remittance_id}")
    return row


async def _conclude(
    tx: Transaction, remittance_id: int, at: datetime, difference: int, reason: str
) -> None:
    await tx.execute(
        update(remittance)
        .where(remittance.c.id == remittance_id)
        .values(
            state="suspended" if reason else "posted",
            difference_cents=difference,
            reason=_fitting(remittance.c.reason, reason),
            posted_at=at,
        )
    )


class CannotAccept(Exception):
    """A suspended payment may not be posted, whoever says so; the text says why."""


async def accept(
    tx: Transaction, remittance_id: int, payment: Payment, *, two_people: bool
) -> bool:
    """Let a payment be posted that was suspended only because another has its name, as people
    decided; :func:`post` does it then. False when it was accepted before.

    It takes the place of one of which nothing is posted. Beside one that is posted it is a second
    payment, which ``two_people`` have to say. Raises :class:`CannotAccept`, above all for one that
    does not come out by itself, however small the difference: what is missing is not invented; and
    for one of another practice, whose money is not ours to post.
    """
    row = await _locked(tx, remittance_id)
    if row.content_digest != _content_digest(payment):
        raise PaymentChanged(f"remittance {remittance_id} was registered with other content")
    if row.state in ("registered", "posted"):
        return False
    if row.state != "suspended" or row.returned_at is not None:
        raise CannotAccept("it does not stand in suspense")
    _, reason = _suspicion(payment)
    reason = reason or await payee_of_another(tx, payment)
    if reason:
        raise CannotAccept(f"{reason}. Ask the payer for a whole copy, or return the money")
    identity = _identity(payment)
    holder = await tx.first(
        select(remittance).where(
            remittance.c.identity == identity, remittance.c.id != remittance_id
        )
    )
    replaces = holder is not None and holder.state == "suspended"
    if holder is not None and not replaces and not two_people:
        raise CannotAccept(
            f"remittance {holder.id} of the same payer and trace is posted: that this is another "
            "payment, a second person has to confirm"
        )
    if holder is not None and replaces:
        await tx.execute(
            update(remittance)
            .where(remittance.c.id == holder.id)
            .values(
                identity=None,
                state="duplicate",
                duplicate_of=row.id,
                reason=f"{holder.reason}; replaced by remittance {row.id}",
            )
        )
    # What it says was written as suspended; it is written anew with what becomes of it.
    for table in (remittance_adjustment, remittance_line, remittance_claim, provider_adjustment):
        await tx.execute(delete(table).where(table.c.remittance_id == row.id))
    await tx.execute(
        update(remittance)
        .where(remittance.c.id == row.id)
        .values(
            state="registered",
            posted_at=None,
            difference_cents=0,
            reason="",
            identity=identity if holder is None or replaces else None,
        )
    )
    return True


async def return_suspended(tx: Transaction, remittance_id: int, reason: str, at: datetime) -> bool:
    """Note that the money of a suspended payment went back to the payer; nothing of it was ever in
    the ledger. False when that was noted before. Raises :class:`CannotAccept`."""
    row = await _locked(tx, remittance_id)
    if row.state != "suspended":
        raise CannotAccept("it does not stand in suspense")
    if row.returned_at is not None:
        return False
    await tx.execute(
        update(remittance)
        .where(remittance.c.id == row.id)
        .values(returned_at=at, reason=f"{row.reason}; returned to the payer: {reason}")
    )
    return True


def _suspicion(payment: Payment) -> tuple[int, str]:
    """Why a payment may not be posted, with the difference in cents; an empty reason if it may."""
    found: Sequence[Difference] = balance(payment)
    if payment.doubts:
        # An amount that cannot be read stands as 0, so even sums that come out say nothing.
        places = [f"{item.segment or 'file'} ({item.code})" for item in payment.doubts[:20]]
        return found[-1].cents if found else 0, f"not read whole: {', '.join(places)}"
    if found:
        worst = next((item for item in found if item.level == "payment"), found[0])
        return worst.cents, "; ".join(
            f"{item.place}: {item.rule} differs by {Cents(item.cents)}" for item in found[:20]
        )
    if places := _overlong_codes(payment):
        return 0, f"codes longer than X12 allows: {', '.join(places[:20])}"
    if not payment.complete:
        return 0, "the transaction has no end: part of it may be missing"
    if _paid_on(payment) is None or not payment.trace_number:
        return 0, "the payment has no date or no trace number"
    return 0, ""


def _overlong_codes(payment: Payment) -> list[str]:
    """Where a code stands that has to be cut to be kept: it would then be read as another."""
    status = remittance_claim.c.status
    group, reason = remittance_adjustment.c.group_code, remittance_adjustment.c.reason_code
    places = []
    for position, paid in enumerate(payment.claims, 1):
        if _fitting(status, paid.status) != paid.status:
            places.append(f"CLP02 of claim {position}")
        if any(
            _fitting(group, item.group_code) != item.group_code
            or _fitting(reason, item.reason_code) != item.reason_code
            for item in _adjustments(paid)
        ):
            places.append(f"CAS of claim {position}")
    withheld = provider_adjustment.c.reason_code
    places += [
        f"PLB {position}"
        for position, item in enumerate(payment.provider_adjustments, 1)
        if _fitting(withheld, item.reason_code) != item.reason_code
    ]
    return places


@dataclass(frozen=True, slots=True)
class _Entry:
    """One claim of a payment. ``held``: its money already stands in unapplied cash. ``booked`` is
    how many transfers there are of it, which tells the keys of new ones from theirs."""

    remittance_id: int
    position: int
    paid: ClaimPayment
    match: Match | None
    held: bool = False
    booked: int = 0

    @property
    def rank(self) -> int:
        """1 for the first payer, 2 and 3 for those after it."""
        return self.match.payer_sequence if self.match else 1


_WRITTEN_AT_ONCE = 1_000

_NO_CLAIM = "no claim of ours"
_PAID_ALREADY = "the claim is paid already and that payment was not reversed"
_NOTHING_TO_REVERSE = "a reversal of nothing posted before"
_NOT_ITS_TURN = "a payer before this one has not decided yet"


class _Poster:
    """Writes one payment: first what it says, then what it moves, gathered and written together.

    What cannot be applied is held as unapplied cash, and tried again whenever something is posted
    for the same claim: a reversal makes room for a correction that came before it, the first
    payer's decision for the second's.
    """

    def __init__(self, tx: Transaction, remittance_id: int, at: datetime) -> None:
        self._tx = tx
        self._id = remittance_id
        self._at = at
        # How many decisions are in force, by claim and the payer's place; of them those that pay.
        self._paid: Counter[tuple[str, int]] = Counter()
        self._decided: Counter[tuple[str, int]] = Counter()
        self._set_aside = False
        self._taken_back: set[tuple[int, int]] = set()
        self._charges: list[tuple[str, int]] = []
        self._bookings: list[Booking] = []
        self._decisions: dict[tuple[int, int], tuple[Posting, str]] = {}

    # --- what the 835 says

    async def keep(self, payment: Payment, prepared: Prepared) -> None:
        """Write what the payment says, and move nothing."""
        await self._write(payment, prepared, ("suspended", ""))

    def _entries(self, payment: Payment, matched: Matched) -> list[_Entry]:
        return [
            _Entry(self._id, position, paid, matched.claims.get(position))
            for position, paid in enumerate(payment.claims, 1)
        ]

    async def _write(
        self, payment: Payment, prepared: Prepared, undecided: tuple[Posting, str]
    ) -> None:
        """``undecided`` is what becomes of a claim that nothing was decided of yet."""
        of_this = {"remittance_id": self._id}
        for row in prepared.claims:
            decided = self._decisions.pop((self._id, row["position"]), undecided)
            row.update(of_this, posting=decided[0], reason=decided[1])
        for row in (*prepared.lines, *prepared.adjustments):
            row.update(of_this)
        for table, rows in (
            (remittance_claim, prepared.claims),
            (remittance_line, prepared.lines),
            (remittance_adjustment, prepared.adjustments),
        ):
            # In parts: what goes to the database takes as much memory again.
            while rows:
                await self._tx.insert_all(table, rows[:_WRITTEN_AT_ONCE])
                del rows[:_WRITTEN_AT_ONCE]
        await self._tx.insert_all(
            provider_adjustment,
            [
                {
                    "remittance_id": self._id,
                    "position": position,
                    "reason_code": _fitting(provider_adjustment.c.reason_code, item.reason_code),
                    "reference": _fitting(provider_adjustment.c.reference, item.reference),
                    "cents": item.cents,
                    "account": account_of(item.reason_code).value,
                    "claim_number": prepared.matched.withheld.get(position),
                }
                for position, item in enumerate(payment.provider_adjustments, 1)
            ],
        )

    # --- the ledger

    async def post(self, payment: Payment, prepared: Prepared) -> None:
        """Write and deposit the payment, apply each claim, hold what belongs to no claim."""
        entries = self._entries(payment, prepared.matched)
        numbers = {entry.match.claim_number for entry in entries if entry.match}
        await self._begin(numbers)
        self._book(self._id, "deposit", "deposit", Account.DEPOSITS, Account.CLEARING,
                   _paid(payment))  # fmt: skip
        waiting = []
        # A correction may stand before the reversal that makes room for it, in the same file.
        for entry in entries:
            if entry.paid.is_reversal and not await self._reverse(entry):
                waiting.append(entry)
        for entry in entries:
            if not entry.paid.is_reversal and not await self._apply(entry):
                waiting.append(entry)
        for position, item in enumerate(payment.provider_adjustments, 1):
            account = account_of(item.reason_code)
            self._book(self._id, f"plb|{position}", f"provider_adjustment {item.reason_code}",
                       account, Account.CLEARING, item.cents)  # fmt: skip
        await self._write(payment, prepared, ("information", ""))
        await self._flush()
        await self._settle(waiting, numbers, str(self._id))

    async def apply_by_hand(self, entry: _Entry) -> bool:
        """Apply held money as a person has decided; False for a reversal of nothing on the claim,
        and where a payer before this one has not decided."""
        if entry.match is None:
            raise ValueError("a person names the claim")
        number = entry.match.claim_number
        await self._begin({number})
        done = await self._try(entry, forced=True)
        if done:
            await self._flush()
            cause = f"{self._id}|{entry.position}|{entry.booked}"
            await self._settle([], {number}, cause)
        return done

    async def _begin(self, numbers: set[str]) -> None:
        await lock_claims(self._tx, numbers)
        rows = await self._tx.rows(
            select(
                remittance_claim.c.claim_number,
                remittance_claim.c.payer_sequence,
                remittance_claim.c.posting,
            ).where(
                remittance_claim.c.claim_number.in_(numbers),
                remittance_claim.c.posting.in_(("applied", "denied")),
                remittance_claim.c.reversed_by.is_(None),
            )
        )
        for row in rows:
            key = (row.claim_number, row.payer_sequence)
            self._decided[key] += 1
            self._paid[key] += row.posting == "applied"

    async def _settle(self, waiting: list[_Entry], numbers: set[str], cause: str) -> None:
        """Try what waits, of earlier payments and of this one, until nothing more finds its place;
        hold the rest of this one. ``cause`` names what has happened."""
        left = await self._try_all([*await self._held(numbers), *waiting])
        if new := [entry for entry in left if not entry.held]:
            for entry in new:
                self._hold(entry, self._why_held(entry))
            await self._flush()
            # What is held now may be what an earlier reversal takes back.
            await self._try_all(await self._held(numbers))
        await apply_prepaid(self._tx, numbers, cause, self._at)

    async def _try_all(self, waiting: Sequence[_Entry]) -> list[_Entry]:
        """Apply what finds its place, of each claim the oldest first, again after each that does;
        what is left."""
        by_claim: dict[str | None, list[_Entry]] = {}
        for entry in waiting:
            number = entry.match.claim_number if entry.match else None
            by_claim.setdefault(number, []).append(entry)
        left: list[_Entry] = []
        for number, entries in by_claim.items():
            self._set_aside = False
            while (done := await self._try_first(entries)) is not None:
                entries.remove(done)
                await self._flush()
                if self._set_aside and number is not None:
                    new = [entry for entry in entries if not entry.held]
                    entries, self._set_aside = [*await self._held({number}), *new], False
            left += entries
        return left

    async def _try_first(self, entries: Sequence[_Entry]) -> _Entry | None:
        for entry in entries:
            if await self._try(entry):
                return entry
        return None

    async def _held(self, numbers: set[str]) -> list[_Entry]:
        """What stands in unapplied cash for these claims, the oldest first."""
        rows = await self._tx.rows(
            select(remittance_claim)
            .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
            .where(
                remittance_claim.c.claim_number.in_(numbers),
                remittance_claim.c.posting == "unapplied",
                remittance_claim.c.reversed_by.is_(None),
                remittance_claim.c.returned_at.is_(None),
                or_(remittance.c.state == "posted", remittance.c.id == self._id),
            )
            .order_by(
                remittance.c.payment_date,
                remittance_claim.c.remittance_id,
                remittance_claim.c.position,
            )
        )
        return [await _entry(self._tx, row) for row in rows]

    def _why_held(self, entry: _Entry) -> str:
        if entry.match is None:
            return _NO_CLAIM
        if entry.paid.is_reversal:
            return _NOTHING_TO_REVERSE
        paid = self._paid[entry.match.claim_number, entry.rank]
        return _PAID_ALREADY if paid else _NOT_ITS_TURN

    async def _flush(self) -> None:
        await book_charges(self._tx, self._charges, self._at)
        await book_all(self._tx, self._bookings, self._at)
        if self._decisions:
            await self._tx.execute(
                _DECIDE,
                [
                    {
                        "id": remittance_id,
                        "place": position,
                        "decided": posting,
                        "because": reason,
                        "clearing": None if remittance_id == self._id else self._id,
                    }
                    for (remittance_id, position), (posting, reason) in self._decisions.items()
                ],
            )
        self._charges, self._bookings, self._decisions = [], [], {}

    def _book(
        self,
        remittance_id: int,
        key: str,
        kind: str,
        debit: Account,
        credit: Account,
        cents: int,
        claim_number: str | None = None,
        position: int | None = None,
    ) -> None:
        key = f"remittance|{remittance_id}|{key}"
        self._bookings.append(
            Booking(key, kind, debit, credit, cents, claim_number, remittance_id, position)
        )

    def _book_of(
        self,
        entry: _Entry,
        what: str,
        kind: str,
        debit: Account,
        credit: Account,
        cents: int,
        claim_number: str | None = None,
    ) -> None:
        again = f"|{entry.booked}" if entry.booked else ""
        self._book(entry.remittance_id, f"{entry.position}|{what}{again}", kind, debit, credit,
                   cents, claim_number, entry.position)  # fmt: skip

    def _decide(self, entry: _Entry, posting: Posting, reason: str = "") -> None:
        self._decisions[entry.remittance_id, entry.position] = (posting, reason)

    def _hold(self, entry: _Entry, reason: str) -> None:
        self._decide(entry, "unapplied", reason)
        self._book_of(entry, "unapplied", "unapplied",
                      Account.CLEARING, Account.UNAPPLIED, entry.paid.paid_cents)  # fmt: skip

    def _unhold(self, entry: _Entry) -> None:
        if entry.held:
            self._book_of(entry, "found", "unapplied cash found its claim",
                          Account.UNAPPLIED, Account.CLEARING, entry.paid.paid_cents)  # fmt: skip

    async def _apply(self, entry: _Entry) -> bool:
        """Decide at once what does not depend on anything else; False for what has to wait."""
        match, paid = entry.match, entry.paid
        if match is None:
            self._hold(entry, _NO_CLAIM)
        elif paid.status in _NOT_DECISIONS:
            if paid.paid_cents:
                self._hold(entry, f"money under claim status {paid.status}")
        elif match.is_void:
            # What a payer says of a claim that takes another back decides nothing about that one.
            if paid.paid_cents:
                self._hold(entry, "money for a claim that takes another back")
        elif entry.rank > 1:
            return False
        elif _is_denial(paid):
            self._charges.append((match.claim_number, match.version))
            self._decided[match.claim_number, 1] += 1
            self._decide(entry, "denied")
        elif self._paid[match.claim_number, 1]:
            return False
        else:
            await self._pay(entry, match)
        return True

    async def _try(self, entry: _Entry, *, forced: bool = False) -> bool:
        """Apply what waits, if its turn has come. ``forced``: though the claim is paid already."""
        if entry.match is None or (entry.remittance_id, entry.position) in self._taken_back:
            return False
        if entry.paid.is_reversal:
            return await self._reverse(entry)
        number, place = entry.match.claim_number, entry.rank
        if self._paid[number, place] and not forced:
            return False
        if place == 1:
            if entry.paid.status in _NOT_DECISIONS and not forced:
                return False
            self._unhold(entry)
            await self._pay(entry, entry.match)
            return True
        if not any(self._decided[number, before] for before in range(1, place)):
            return False
        self._unhold(entry)
        await self._pay_next(entry, entry.match)
        return True

    async def _pay(self, entry: _Entry, match: Match) -> None:
        """Book what a first payer decided."""
        await self._set_later_aside(match.claim_number, entry.rank)
        # A payer who pays has the claim, whether or not an acknowledgment came first.
        self._charges.append((match.claim_number, match.version))
        self._take(entry, match, _reductions(entry.paid))

    async def _pay_next(self, entry: _Entry, match: Match) -> None:
        """Book what a payer after the first decided: the patient's share was its to pay, and what
        it takes off beside what was taken off before is contractual."""
        number = match.claim_number
        if _refuses(entry.paid):
            self._decided[number, entry.rank] += 1
            self._decide(entry, "denied")
            return
        await self._set_later_aside(number, entry.rank)
        share = await patient_share(self._tx, number)
        now = await ledger_balance(self._tx, number)
        sums = _reductions(entry.paid)
        kept: dict[Account, int] = {
            account: sums[account]
            for account in (Account.PATIENT_RECEIVABLE, Account.INTEREST)
            if account in sums
        }
        named = sum(cents for account, cents in sums.items() if account not in kept)
        before = now.charge - now.payer_open - share
        contractual = sums.get(Account.CONTRACTUAL, 0)
        kept[Account.CONTRACTUAL] = max(0, min(named - before, contractual))
        self._book_of(entry, "next_payer", "next payer",
                      Account.PAYER_RECEIVABLE, Account.PATIENT_RECEIVABLE, share,
                      number)  # fmt: skip
        self._take(entry, match, kept)

    def _take(self, entry: _Entry, match: Match, reductions: dict[Account, int]) -> None:
        number = match.claim_number
        self._paid[number, entry.rank] += 1
        self._decided[number, entry.rank] += 1
        self._decide(entry, "applied")
        self._book_of(entry, "payment", "payment",
                      Account.CLEARING, Account.PAYER_RECEIVABLE, entry.paid.paid_cents,
                      number)  # fmt: skip
        for account, cents in reductions.items():
            self._book_of(entry, account, account, account, Account.PAYER_RECEIVABLE, cents,
                          number)  # fmt: skip

    async def _set_later_aside(self, number: str, place: int) -> None:
        """Let payments of payers after ``place`` wait as unapplied cash: what they rest on changes.
        What they had taken over is the patient's again. They are tried again at the end."""
        later = [after for after in range(place + 1, MOST_PAYERS + 1) if self._paid[number, after]]
        if not later:
            return
        rows = await self._tx.rows(
            select(remittance_claim).where(
                remittance_claim.c.claim_number == number,
                remittance_claim.c.payer_sequence.in_(later),
                remittance_claim.c.posting == "applied",
                remittance_claim.c.reversed_by.is_(None),
            )
        )
        for row in rows:
            await self._let_wait(row)
            self._paid[number, row.payer_sequence] -= 1
            self._decided[number, row.payer_sequence] -= 1

    async def _let_wait(self, row: Row[Any]) -> None:
        here = {"remittance_id": row.remittance_id, "remittance_position": row.position}
        booked = await self._tx.rows(select(transfer).filter_by(**here).order_by(transfer.c.id))
        net: Counter[tuple[str, str, str | None]] = Counter()
        for item in booked:
            back = (item.credit, item.debit, item.claim_number)
            if item.debit < item.credit:
                net[back] += item.cents
            else:
                net[item.debit, item.credit, item.claim_number] -= item.cents
        moved = [
            Booking(
                f"remittance|{row.remittance_id}|{row.position}|aside|{len(booked)}|{number}",
                "set aside",
                Account(debit),
                Account(credit),
                cents,
                claim_number,
                row.remittance_id,
                row.position,
            )
            for number, ((debit, credit, claim_number), cents) in enumerate(net.items(), 1)
        ]
        held = Booking(
            f"remittance|{row.remittance_id}|{row.position}|unapplied|{len(booked)}",
            "unapplied", Account.CLEARING, Account.UNAPPLIED, row.paid_cents, None,
            row.remittance_id, row.position,
        )  # fmt: skip
        await book_all(self._tx, [*moved, held], self._at)
        await self._tx.execute(
            update(remittance_claim)
            .filter_by(remittance_id=row.remittance_id, position=row.position)
            .values(posting="unapplied", reason=_NOT_ITS_TURN, cleared_in=None)
        )
        self._set_aside = True

    async def _reverse(self, entry: _Entry) -> bool:
        """Take back what was booked for the payment that this one mirrors; False without one."""
        match = entry.match
        if match is None:
            return False
        before = await self._mirrored(entry, match)
        if before is None:
            return False
        self._unhold(entry)
        key = {"remittance_id": before.remittance_id}
        booked = await self._tx.rows(
            select(transfer)
            .filter_by(**key, remittance_position=before.position)
            .order_by(transfer.c.id)
        )
        for number, item in enumerate(booked, 1):
            self._book(
                entry.remittance_id,
                f"{entry.position}|reversal|{number}",
                f"reversal of {item.kind}"[:40],
                Account(item.credit),
                Account(item.debit),
                item.cents,
                item.claim_number,
                entry.position,
            )
        await self._tx.execute(
            update(remittance_claim)
            .filter_by(**key, position=before.position)
            .values(reversed_by=f"{entry.remittance_id}|{entry.position}")
        )
        self._taken_back.add((before.remittance_id, before.position))
        if before.posting in ("applied", "denied"):
            taken_back = (match.claim_number, before.payer_sequence)
            self._paid[taken_back] -= before.posting == "applied"
            self._decided[taken_back] -= 1
            await self._set_later_aside(*taken_back)
        self._decide(entry, "reversal")
        return True

    async def _mirrored(self, entry: _Entry, match: Match) -> Row[Any] | None:
        """The decision that a reversal takes back: of the charge and payment that it mirrors. Of
        several the one under the payer's number that it names; then of the same adjustments; then
        one that is applied; then of the version and the payer that reverses, because two payers may
        have paid the same. Where nothing was paid, number or adjustments have to say so."""
        paid = entry.paid
        rows = await self._tx.rows(
            select(remittance_claim, remittance.c.payer_id)
            .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
            .where(
                remittance_claim.c.claim_number == match.claim_number,
                remittance_claim.c.posting.in_(("applied", "denied", "unapplied")),
                remittance_claim.c.reversed_by.is_(None),
                remittance_claim.c.returned_at.is_(None),
                remittance_claim.c.status != "22",
                remittance_claim.c.charge_cents == -paid.charge_cents,
                remittance_claim.c.paid_cents == -paid.paid_cents,
            )
            .order_by(remittance_claim.c.remittance_id.desc(), remittance_claim.c.position.desc())
        )
        if len(rows) == 1 and paid.paid_cents:
            return rows[0]
        numbers = {paid.payer_claim_number}
        numbers |= {item.value for item in paid.references if item.qualifier == "F8"}
        payer_id = await self._tx.scalar(
            select(remittance.c.payer_id).where(remittance.c.id == entry.remittance_id)
        )
        ranked = []
        for row in rows:
            named = row.payer_claim_number is not None and row.payer_claim_number in numbers
            mirrored = _sums(await _read_back(self._tx, row)) == _sums(paid, sign=-1)
            if paid.paid_cents or named or mirrored:
                applied, version = row.posting == "applied", row.version == match.version
                ranked.append(((named, mirrored, applied, version, row.payer_id == payer_id), row))
        return max(ranked, key=lambda item: item[0])[1] if ranked else None


_DECIDE = (
    update(remittance_claim)
    .where(
        remittance_claim.c.remittance_id == bindparam("id"),
        remittance_claim.c.position == bindparam("place"),
    )
    .values(
        posting=bindparam("decided"), reason=bindparam("because"), cleared_in=bindparam("clearing")
    )
)


# --- unapplied cash


class CannotClear(Exception):
    """Unapplied cash cannot be cleared like this; the text says why."""


async def assign(
    tx: Transaction,
    remittance_id: int,
    position: int,
    claim_number: str,
    at: datetime,
    place: int | None = None,
) -> bool:
    """Apply held money to the claim that a person has named; False when it was done before.

    ``place`` is that of its payer in the order of billing. Without it: as CLP02 and the version
    say; but where only another payer has decided at that place, that of this payer's earlier
    decision, or else the next free one: a payer that got the claim by crossover may call itself
    the first. A payment beyond what is open makes the claim overpaid; that is looked at there.
    Raises :class:`UnknownRecord` and :class:`CannotClear`.
    """
    row = await _unapplied_row(tx, remittance_id, position)
    if row.posting != "unapplied" and row.claim_number == claim_number:
        return False
    _check_open(row)
    paid = await _read_back(tx, row)
    match = await match_by_hand(tx, claim_number, paid, place)
    if match is None:
        raise CannotClear(f"claim {claim_number} was never sent")
    if place is None:
        place = await _place_by_hand(tx, remittance_id, match)
        match = await match_by_hand(tx, claim_number, paid, place) or match
    await tx.execute(
        update(remittance_claim)
        .filter_by(remittance_id=remittance_id, position=position)
        .values(
            claim_number=claim_number,
            version=match.version,
            payer_sequence=match.payer_sequence,
            matched_by="person",
        )
    )
    row = await _unapplied_row(tx, remittance_id, position)
    entry = replace(await _entry(tx, row), match=match)
    if not await _Poster(tx, remittance_id, at).apply_by_hand(entry):
        raise CannotClear(
            "nothing that it takes back is posted on that claim"
            if paid.is_reversal
            else "a payer before this one has not decided on that claim"
        )
    return True


async def _place_by_hand(reading: Reading, remittance_id: int, match: Match) -> int:
    payer_id = select(remittance.c.payer_id).where(remittance.c.id == remittance_id)
    rows = await reading.rows(
        select(
            remittance_claim.c.payer_sequence,
            (remittance.c.payer_id == payer_id.scalar_subquery()).label("its_own"),
        )
        .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
        .where(
            remittance_claim.c.claim_number == match.claim_number,
            remittance_claim.c.posting.in_(("applied", "denied")),
            remittance_claim.c.reversed_by.is_(None),
        )
    )
    its_own = {row.payer_sequence for row in rows if row.its_own}
    of_others = {row.payer_sequence for row in rows} - its_own
    place = match.payer_sequence
    if place not in of_others:
        return place
    free = (after for after in range(place + 1, MOST_PAYERS + 1) if after not in of_others)
    return min(its_own, default=next(free, place))


async def return_unapplied(
    tx: Transaction, remittance_id: int, position: int, reason: str, at: datetime
) -> bool:
    """Note that held money went back to the payer; False when that was noted before.

    Raises :class:`UnknownRecord` and :class:`CannotClear`.
    """
    row = await _unapplied_row(tx, remittance_id, position)
    if row.returned_at is not None:
        return False
    _check_open(row)
    if row.paid_cents <= 0:
        raise CannotClear("the payer took this money: there is nothing to return")
    await book_all(
        tx,
        [
            Booking(
                f"remittance|{remittance_id}|{position}|returned",
                "returned to the payer",
                Account.UNAPPLIED,
                Account.PAYER_REFUNDS,
                row.paid_cents,
                None,
                remittance_id,
                position,
            )
        ],
        at,
    )
    await tx.execute(
        update(remittance_claim)
        .filter_by(remittance_id=remittance_id, position=position)
        .values(returned_at=at, reason=f"{row.reason}; returned to the payer: {reason}")
    )
    return True


SETTLEMENTS = (
    Account.TAKEBACK,
    Account.INTEREST,
    Account.WITHHELD,
    Account.OTHER_ADJUSTMENT,
    Account.WRITE_OFF,
)
"""What a provider adjustment can turn out to be; ``write_off`` gives money up."""


async def settle_provider_adjustment(
    tx: Transaction, remittance_id: int, position: int, account: Account, at: datetime
) -> bool:
    """Book a provider adjustment whose reason did not say what it is as what a person found it to
    be; False when that was done before. Raises :class:`UnknownRecord`, :class:`CannotClear`."""
    await _locked(tx, remittance_id)
    here = {"remittance_id": remittance_id, "position": position}
    row = await tx.first(select(provider_adjustment).filter_by(**here))
    if row is None:
        raise UnknownRecord(f"provider adjustment {position} of remittance {remittance_id}")
    if row.settled_as == account:
        return False
    if row.account != Account.UNAPPLIED or row.settled_as is not None:
        raise CannotClear(f"it is booked as {row.settled_as or row.account}")
    await book_all(
        tx,
        [
            Booking(
                f"remittance|{remittance_id}|plb|{position}|settled",
                f"settled {row.reason_code}",
                account,
                Account.UNAPPLIED,
                row.cents,
                None,
                remittance_id,
            )
        ],
        at,
    )
    await tx.execute(update(provider_adjustment).filter_by(**here).values(settled_as=account.value))
    return True


async def _unapplied_row(tx: Transaction, remittance_id: int, position: int) -> Row[Any]:
    state = (await _locked(tx, remittance_id)).state
    row = await tx.first(
        select(remittance_claim).filter_by(remittance_id=remittance_id, position=position)
    )
    if row is None or state != "posted":
        raise UnknownRecord(f"claim {position} of posted remittance {remittance_id}")
    return row


def _check_open(row: Row[Any]) -> None:
    if row.posting != "unapplied":
        raise CannotClear(f"it does not stand in unapplied cash: {row.posting}")
    if row.returned_at is not None:
        raise CannotClear("it was returned to the payer")
    if row.reversed_by is not None:
        raise CannotClear("the payer has taken it back")


async def _entry(reading: Reading, row: Row[Any]) -> _Entry:
    """A claim of a payment that stands in unapplied cash."""
    here = {"remittance_id": row.remittance_id, "remittance_position": row.position}
    return _Entry(
        row.remittance_id,
        row.position,
        await _read_back(reading, row),
        Match(row.claim_number, row.version, row.payer_sequence, row.matched_by),
        held=True,
        booked=await reading.scalar(select(func.count(transfer.c.id)).filter_by(**here)),
    )


async def _read_back(reading: Reading, row: Row[Any]) -> ClaimPayment:
    """What a payment said of a claim, as far as posting it needs."""
    lines = await reading.rows(
        select(remittance_line)
        .filter_by(remittance_id=row.remittance_id, claim_position=row.position)
        .order_by(remittance_line.c.line_position)
    )
    said = await reading.rows(
        select(remittance_adjustment)
        .filter_by(remittance_id=row.remittance_id, claim_position=row.position)
        .order_by(remittance_adjustment.c.line_position, remittance_adjustment.c.position)
    )
    cuts: dict[int, list[Adjustment]] = {}
    for item in said:
        adjustment = Adjustment(item.group_code, item.reason_code, item.cents)
        cuts.setdefault(item.line_position, []).append(adjustment)
    return ClaimPayment(
        control_number=row.control_number,
        status=row.status,
        charge_cents=row.charge_cents,
        paid_cents=row.paid_cents,
        patient_responsibility_cents=row.patient_cents,
        payer_claim_number=row.payer_claim_number or "",
        adjustments=tuple(cuts.get(0, ())),
        remark_codes=tuple(row.remarks.split()),
        lines=tuple(
            LinePayment(
                code=line.code,
                charge_cents=line.charge_cents,
                paid_cents=line.paid_cents,
                modifiers=tuple(filter(None, line.modifiers.split(":"))),
                service_date=line.service_date,
                adjustments=tuple(cuts.get(line.line_position, ())),
                line_control_number=line.line_control_number,
                allowed_cents=line.allowed_cents,
                submitted_code=line.submitted_code or "",
                submitted_modifiers=tuple(
                    filter(None, (line.submitted_modifiers or "").split(":"))
                ),
            )
            for line in lines
        ),
    )


def _payer_claim_number(paid: ClaimPayment) -> str | None:
    return _fitting(remittance_claim.c.payer_claim_number, paid.payer_claim_number) or None


def _kept_remarks(paid: ClaimPayment) -> str:
    """The remark codes with blanks between them: as many as can be kept, none of them cut."""
    kept = ""
    for code in sorted(_remarks(paid)):
        longer = f"{kept} {code}".lstrip()
        if _fitting(remittance_claim.c.remarks, longer) == longer:
            kept = longer
    return kept


def _remarks(paid: ClaimPayment) -> set[str]:
    return set(paid.remark_codes).union(*(line.remark_codes for line in paid.lines))


def _adjustments(paid: ClaimPayment) -> list[Any]:
    return [*paid.adjustments, *(item for line in paid.lines for item in line.adjustments)]


def _sums(paid: ClaimPayment, sign: int = 1) -> dict[tuple[str, str], int]:
    """What was taken off by group and reason code."""
    sums: Counter[tuple[str, str]] = Counter()
    for item in _adjustments(paid):
        sums[item.group_code, item.reason_code] += sign * item.cents
    return {reason: cents for reason, cents in sums.items() if cents}


def _is_denial(paid: ClaimPayment) -> bool:
    """Nothing paid, and nothing left to the patient or the payer's own status says denied.

    Judged by the amounts first, because some payers deny under status 1.
    """
    share = sum(item.cents for item in _adjustments(paid) if item.group_code == "PR")
    return paid.paid_cents == 0 and (paid.status == "4" or share == 0)


def _refuses(paid: ClaimPayment) -> bool:
    """As :func:`_is_denial`, of a payer after the first: one that owes nothing because the payers
    before it have paid as much as it would allow has not denied anything."""
    unnamed = any(
        _account(item.group_code, item.reason_code) is None and item.cents > 0
        for item in _adjustments(paid)
    )
    return _is_denial(paid) and (paid.status == "4" or unnamed)


def _reductions(paid: ClaimPayment) -> dict[Account, int]:
    """What of the charge goes where. A reduction that nothing here names stays receivable from the
    payer: it is a denial of a part, or somebody else's turn."""
    collectible = not _remarks(paid) & _NOT_COLLECTIBLE
    sums: dict[Account, int] = {}
    for item in _adjustments(paid):
        account = _account(item.group_code, item.reason_code)
        if account is not None and (account is not Account.PATIENT_RECEIVABLE or collectible):
            sums[account] = sums.get(account, 0) + item.cents
    return sums


def _account(group: str, reason: str) -> Account | None:
    if group == "PR":
        return Account.PATIENT_RECEIVABLE
    if group in ("CO", "OA", "CR"):
        if reason == INTEREST:
            return Account.INTEREST
        if reason == SEQUESTRATION:
            return Account.SEQUESTRATION
        if reason in AFTER_PRICING or (group, reason) == ("OA", _PRIOR_PAYER):
            return Account.OTHER_ADJUSTMENT
        if group != "OA" and reason in _CONTRACTUAL:
            return Account.CONTRACTUAL
    return None


def _allowed(paid: ClaimPayment) -> int | None:
    """What the payer says it allowed (AMT*B6 of the lines); None when it does not say."""
    said = [line.allowed_cents for line in paid.lines if line.allowed_cents is not None]
    return sum(said) if said else None


def _interest(paid: ClaimPayment) -> int | None:
    """What of the payment's interest is the claim's (AMT*I); None when the payer does not say."""
    amounts = [*paid.amounts, *(item for line in paid.lines for item in line.amounts)]
    said = [item.cents for item in amounts if item.qualifier == "I"]
    return sum(said) if said else None


# --- reading


async def posted(reading: Reading, remittance_id: int) -> Posted:
    """The stored result of posting. Raises :class:`UnknownRecord` before it was posted."""
    row = await reading.first(select(remittance).where(remittance.c.id == remittance_id))
    if row is None or row.state == "registered":
        raise UnknownRecord(f"posted remittance {remittance_id}")
    rows = await reading.rows(
        select(remittance_claim)
        .where(
            or_(
                remittance_claim.c.remittance_id == remittance_id,
                remittance_claim.c.cleared_in == remittance_id,
            )
        )
        .order_by(remittance_claim.c.remittance_id, remittance_claim.c.position)
    )
    claims = [
        PostedClaim(
            item.position,
            item.control_number,
            item.claim_number,
            item.version,
            item.posting,
            Cents(item.paid_cents),
            item.reason,
            item.matched_by,
            item.remittance_id,
        )
        for item in rows
    ]
    return Posted(
        remittance_id,
        row.state,
        row.difference_cents,
        row.reason,
        tuple(item for item in claims if item.remittance_id == remittance_id),
        tuple(item for item in claims if item.remittance_id != remittance_id),
    )


async def of_file(reading: Reading, file_digest: str) -> tuple[Row[Any], ...]:
    """The payments of a file as they stand, in its order."""
    rows = await reading.rows(
        select(remittance)
        .where(remittance.c.file_digest == file_digest)
        .order_by(remittance.c.file_position)
    )
    return tuple(rows)


async def page(reading: Reading, remittance_id: int) -> dict[str, Any]:
    """A payment with its claims and lines as they stand: ids, codes and amounts only.

    Raises :class:`UnknownRecord`."""
    here = {"remittance_id": remittance_id}
    row = await reading.first(select(remittance).where(remittance.c.id == remittance_id))
    if row is None:
        raise UnknownRecord(f"remittance {remittance_id}")
    claims = await reading.rows(
        select(remittance_claim).filter_by(**here).order_by(remittance_claim.c.position)
    )
    lines = await reading.rows(
        select(remittance_line)
        .filter_by(**here)
        .order_by(remittance_line.c.claim_position, remittance_line.c.line_position)
    )
    withheld = await reading.rows(
        select(provider_adjustment).filter_by(**here).order_by(provider_adjustment.c.position)
    )
    return {
        "payment": _chosen(row, "payer_id", "trace", "payment_date", "paid_cents", "method",
                           "state", "difference_cents", "reason"),
        "claims": [
            _chosen(item, "position", "claim_number", "matched_by", "status", "charge_cents",
                    "paid_cents", "patient_cents", "posting", "reason")
            for item in claims
        ],
        "lines": [
            _chosen(item, "claim_position", "line_position", "code", "modifiers", "submitted_code",
                    "charge_cents", "paid_cents", "allowed_cents", "our_line", "matched_by")
            for item in lines
        ],
        "provider_adjustments": [
            _chosen(item, "position", "reason_code", "cents", "account", "claim_number",
                    "settled_as")
            for item in withheld
        ],
    }  # fmt: skip


def _chosen(row: Row[Any], *columns: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in columns}


async def claim_payments(reading: Reading, claim_number: str) -> tuple[model.ClaimPayment, ...]:
    """What payers decided about a claim and has not been reversed, the oldest first."""
    rows = await reading.rows(
        select(remittance_claim)
        .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
        .where(
            remittance_claim.c.claim_number == claim_number,
            remittance_claim.c.posting.in_(("applied", "denied")),
            remittance_claim.c.reversed_by.is_(None),
        )
        .order_by(
            remittance.c.payment_date, remittance_claim.c.remittance_id, remittance_claim.c.position
        )
    )
    return tuple([await _claim_payment(reading, row) for row in rows])


async def _claim_payment(reading: Reading, row: Row[Any]) -> model.ClaimPayment:
    here = {"remittance_id": row.remittance_id, "claim_position": row.position}
    rows = await reading.rows(
        select(remittance_adjustment)
        .filter_by(**here)
        .order_by(remittance_adjustment.c.line_position, remittance_adjustment.c.position)
    )
    adjustments = [
        (
            item.line_position,
            model.Adjustment(
                group=item.group_code, reason=item.reason_code, cents=Cents(item.cents)
            ),
        )
        for item in rows
    ]
    lines = await reading.rows(
        select(remittance_line).filter_by(**here).order_by(remittance_line.c.line_position)
    )
    return model.ClaimPayment(
        remittance_id=row.remittance_id,
        position=row.position,
        control_number=row.control_number,
        status=row.status,
        charge=Cents(row.charge_cents),
        paid=Cents(row.paid_cents),
        patient=Cents(row.patient_cents),
        allowed=Cents(row.allowed_cents) if row.allowed_cents is not None else None,
        payer_claim_number=row.payer_claim_number,
        adjustments=tuple(item for _, item in adjustments),
        remarks=tuple(row.remarks.split()),
        version=row.version,
        payer_sequence=row.payer_sequence,
        lines=tuple(
            model.LinePayment(
                position=line.line_position,
                code=line.code,
                modifiers=tuple(line.modifiers.split(":")) if line.modifiers else (),
                units=int(line.units) if (line.units or "").isdecimal() else None,
                charge=Cents(line.charge_cents),
                paid=Cents(line.paid_cents),
                allowed=Cents(line.allowed_cents) if line.allowed_cents is not None else None,
                line_control_number=line.our_line or line.line_control_number,
                adjustments=tuple(
                    item for position, item in adjustments if position == line.line_position
                ),
            )
            for line in lines
        ),
    )
