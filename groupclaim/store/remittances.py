"""Payments of payers: registered once, posted whole or not at all.

A payment is named for ever by payer and trace. Delivered again it is a duplicate; the same name
with another amount, date or content is suspended. But a copy of a suspended payment with the same
amount and date, which is whole and balances, takes its place.

Posting writes what the 835 says and the ledger's transfers in one transaction: if any sum of the
835 does not come out, only what it says is written, nothing is transferred, and the payment stands
in suspense until a whole copy comes.

Denials write nothing off: what a payer refuses stays receivable until someone decides.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Column, Row, String, bindparam, case, select, update

from groupclaim.model import claim as model
from groupclaim.model.identity import split_control_number
from groupclaim.model.money import Cents
from groupclaim.rules.payment_audit import AFTER_PRICING, SEQUESTRATION
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.ledger import (
    Account,
    Booking,
    apply_prepaid,
    book_all,
    book_charges,
    lock_claims,
)
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import (
    acknowledgment,
    claim_version,
    provider_adjustment,
    remittance,
    remittance_adjustment,
    remittance_claim,
    remittance_line,
    transfer,
)
from groupclaim.x12.remittance import ClaimPayment, Difference, Payment, balance

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


@dataclass(frozen=True, slots=True)
class Posted:
    """``difference_cents`` is what a suspended payment states beyond what its parts add up to."""

    remittance_id: int
    state: Literal["posted", "suspended", "duplicate"]
    difference_cents: int
    reason: str
    claims: tuple[PostedClaim, ...]


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
        "payment_date": payment.payment_date,
        "paid_cents": _paid(payment),
        "method": _fitting(remittance.c.method, payment.method),
        "content_digest": _content_digest(payment),
        "file_digest": file_digest,
        "file_position": position,
        "registered_at": at,
        "difference_cents": 0,
        "reason": "",
    }
    identity = sha256(
        json.dumps([payment.payer_identifier, payment.trace_number]).encode()
    ).hexdigest()
    if await tx.first(here) is None and not await tx.insert_new(
        remittance, {**values, "state": "registered", "identity": identity}
    ):
        # Someone registers this file at the same time, or the payment was here before.
        known = await tx.first(select(remittance).where(remittance.c.identity == identity))
        if known is not None and (known.file_digest, known.file_position) != (
            file_digest,
            position,
        ):
            if _is_mended(known, values, payment):
                await _replace(tx, known, {**values, "state": "registered", "identity": identity})
            else:
                await tx.insert_new(remittance, {**values, **_compared(known, values)})
    row = await tx.first(here)
    if row is None:
        raise UnknownRecord(f"payment {position} of file {file_digest}")
    return row


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


def _is_mended(known: Row[Any], values: dict[str, Any], payment: Payment) -> bool:
    """Whether ``payment`` is what ``known``, of which nothing was posted, should have been."""
    same = (known.paid_cents, known.payment_date) == (values["paid_cents"], values["payment_date"])
    return same and known.state == "suspended" and not _suspicion(payment)[1]


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


async def post(tx: Transaction, remittance_id: int, payment: Payment, at: datetime) -> Posted:
    """Post a registered payment, whole, or leave it whole in suspense.

    Posting again gives the stored result. Raises :class:`PaymentChanged` when ``payment`` is not
    the one registered.
    """
    row = await tx.first(
        select(remittance).where(remittance.c.id == remittance_id).with_for_update(key_share=True)
    )
    if row is None:
        raise UnknownRecord(f"remittance {remittance_id}")
    if (row.content_digest, row.paid_cents) != (_content_digest(payment), _paid(payment)):
        raise PaymentChanged(f"remittance {remittance_id} was registered with other content")
    if row.posted_at is None and row.state != "duplicate":
        await _post(tx, row, payment, at)
    return await posted(tx, remittance_id)


async def _post(tx: Transaction, row: Row[Any], payment: Payment, at: datetime) -> None:
    difference, reason = row.difference_cents, row.reason
    if row.state == "registered":
        difference, reason = _suspicion(payment)
    poster = _Poster(tx, row.id, at)
    await poster.write(payment, suspended=bool(reason))
    if not reason:
        await poster.transfer(payment)
    await tx.execute(
        update(remittance)
        .where(remittance.c.id == row.id)
        .values(
            state="suspended" if reason else "posted",
            difference_cents=difference,
            reason=_fitting(remittance.c.reason, reason),
            posted_at=at,
        )
    )


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
            f"{item.place}: {item.rule} differs by {item.cents} cents" for item in found[:20]
        )
    if places := _overlong_codes(payment):
        return 0, f"codes longer than X12 allows: {', '.join(places[:20])}"
    if not payment.complete:
        return 0, "the transaction has no end: part of it may be missing"
    if payment.payment_date is None or not payment.trace_number:
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
class _Match:
    claim_number: str
    version: int


class _Poster:
    """Writes one payment: first what it says, then what it moves, gathered and written together."""

    def __init__(self, tx: Transaction, remittance_id: int, at: datetime) -> None:
        self._tx = tx
        self._id = remittance_id
        self._at = at
        self._matches: dict[int, _Match] = {}
        self._paid: set[str] = set()
        self._charges: list[tuple[str, int]] = []
        self._bookings: list[Booking] = []
        self._decisions: list[dict[str, object]] = []

    async def write(self, payment: Payment, *, suspended: bool) -> None:
        """What the 835 says, with the claim of ours that each of its claims means."""
        claims, lines, adjustments = [], [], []
        charges = await self._charges_of(payment)
        for position, paid in enumerate(payment.claims, 1):
            match = await self._match(paid, charges)
            if match is not None:
                self._matches[position] = match
            claims.append(
                {
                    "remittance_id": self._id,
                    "position": position,
                    "control_number": _fitting(
                        remittance_claim.c.control_number, paid.control_number
                    ),
                    "claim_number": match.claim_number if match else None,
                    "version": match.version if match else None,
                    "status": _fitting(remittance_claim.c.status, paid.status),
                    "charge_cents": paid.charge_cents,
                    "paid_cents": paid.paid_cents,
                    "patient_cents": paid.patient_responsibility_cents,
                    "allowed_cents": _allowed(paid),
                    "payer_claim_number": _payer_claim_number(paid),
                    "remarks": _kept_remarks(paid),
                    "posting": "suspended" if suspended else "information",
                    "reason": "",
                }
            )
            lines += self._line_rows(position, paid)
            adjustments += self._adjustment_rows(position, paid)
        await self._tx.insert_all(remittance_claim, claims)
        await self._tx.insert_all(remittance_line, lines)
        await self._tx.insert_all(remittance_adjustment, adjustments)
        await self._tx.insert_all(
            provider_adjustment,
            [
                {
                    "remittance_id": self._id,
                    "position": position,
                    "reason_code": _fitting(provider_adjustment.c.reason_code, item.reason_code),
                    "reference": _fitting(provider_adjustment.c.reference, item.reference),
                    "cents": item.cents,
                }
                for position, item in enumerate(payment.provider_adjustments, 1)
            ],
        )

    def _line_rows(self, claim_position: int, paid: ClaimPayment) -> list[dict[str, Any]]:
        return [
            {
                "remittance_id": self._id,
                "claim_position": claim_position,
                "line_position": position,
                "code": _fitting(remittance_line.c.code, line.code),
                "modifiers": _fitting(remittance_line.c.modifiers, ":".join(line.modifiers)),
                "charge_cents": line.charge_cents,
                "paid_cents": line.paid_cents,
                "allowed_cents": line.allowed_cents,
                "line_control_number": _fitting(
                    remittance_line.c.line_control_number, line.line_control_number
                ),
            }
            for position, line in enumerate(paid.lines, 1)
        ]

    def _adjustment_rows(self, claim_position: int, paid: ClaimPayment) -> list[dict[str, Any]]:
        groups = [paid.adjustments, *(line.adjustments for line in paid.lines)]
        return [
            {
                "remittance_id": self._id,
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

    async def _charges_of(self, payment: Payment) -> dict[_Match, int]:
        """The charge of every version of the claims that the payment names."""
        named = [split_control_number(paid.control_number) for paid in payment.claims]
        rows = await self._tx.rows(
            select(
                claim_version.c.claim_number,
                claim_version.c.version,
                claim_version.c.charge_cents,
            ).where(claim_version.c.claim_number.in_({ours[0] for ours in named if ours}))
        )
        return {_Match(row.claim_number, row.version): row.charge_cents for row in rows}

    async def _match(self, paid: ClaimPayment, charges: dict[_Match, int]) -> _Match | None:
        """Our claim version, by CLM01 or else by the payer's number and the same charge."""
        ours = split_control_number(paid.control_number)
        if ours is not None and _Match(*ours) in charges:
            return _Match(*ours)
        number = _payer_claim_number(paid)
        if number != paid.payer_claim_number:
            return None  # none, or one that no acknowledgment can have given
        known = await self._tx.first(
            select(acknowledgment.c.claim_number, acknowledgment.c.version)
            .join(
                claim_version,
                (claim_version.c.claim_number == acknowledgment.c.claim_number)
                & (claim_version.c.version == acknowledgment.c.version),
            )
            .where(
                acknowledgment.c.payer_claim_number == number,
                claim_version.c.charge_cents == abs(paid.charge_cents),
            )
            .order_by(acknowledgment.c.id.desc())
            .limit(1)
        )
        return _Match(known.claim_number, known.version) if known is not None else None

    # --- the ledger

    async def transfer(self, payment: Payment) -> None:
        """Deposit the payment, apply each claim, and hold what belongs to no claim."""
        numbers = {match.claim_number for match in self._matches.values()}
        await lock_claims(self._tx, numbers)
        self._paid = await self._paid_before(numbers)
        self._book("deposit", "deposit", Account.DEPOSITS, Account.CLEARING, _paid(payment))
        claims = list(enumerate(payment.claims, 1))
        # A correction may stand before the reversal that makes room for it, in the same file.
        waiting = []
        for position, paid in claims:
            if paid.is_reversal and not await self._reverse(position, paid):
                waiting.append((position, paid))
        for position, paid in claims:
            if not paid.is_reversal:
                self._apply(position, paid)
        await self._write_gathered()
        for position, paid in waiting:
            if not await self._reverse(position, paid):
                self._hold_money(position, paid, "a reversal of nothing posted before")
        for position, item in enumerate(payment.provider_adjustments, 1):
            self._book(
                f"plb|{position}",
                f"provider_adjustment {item.reason_code}",
                Account.UNAPPLIED,
                Account.CLEARING,
                item.cents,
            )
        await self._write_gathered()
        await apply_prepaid(self._tx, numbers, str(self._id), self._at)

    async def _paid_before(self, claim_numbers: set[str]) -> set[str]:
        """Those claims with a payment in force."""
        rows = await self._tx.rows(
            select(remittance_claim.c.claim_number).where(
                remittance_claim.c.claim_number.in_(claim_numbers),
                remittance_claim.c.posting == "applied",
                remittance_claim.c.reversed_by.is_(None),
            )
        )
        return {row.claim_number for row in rows}

    async def _write_gathered(self) -> None:
        await book_charges(self._tx, self._charges, self._at)
        await book_all(self._tx, self._bookings, self._at)
        if self._decisions:
            await self._tx.execute(_DECIDE, self._decisions)
        self._charges, self._bookings, self._decisions = [], [], []

    def _book(
        self,
        key: str,
        kind: str,
        debit: Account,
        credit: Account,
        cents: int,
        claim_number: str | None = None,
        position: int | None = None,
    ) -> None:
        key = f"remittance|{self._id}|{key}"
        self._bookings.append(
            Booking(key, kind, debit, credit, cents, claim_number, self._id, position)
        )

    def _decide(self, position: int, posting: Posting, reason: str = "") -> None:
        self._decisions.append(
            {"id": self._id, "place": position, "decided": posting, "because": reason}
        )

    def _hold_money(self, position: int, paid: ClaimPayment, reason: str) -> None:
        self._decide(position, "unapplied", reason)
        self._book(
            f"{position}|unapplied", "unapplied", Account.CLEARING, Account.UNAPPLIED,
            paid.paid_cents, None, position,
        )  # fmt: skip

    def _apply(self, position: int, paid: ClaimPayment) -> None:
        match = self._matches.get(position)
        if match is None:
            self._hold_money(position, paid, "no claim of ours")
        elif paid.status in _NOT_DECISIONS:
            if paid.paid_cents:
                self._hold_money(position, paid, f"money under claim status {paid.status}")
        elif _is_denial(paid):
            self._charges.append((match.claim_number, match.version))
            self._decide(position, "denied")
        elif match.claim_number in self._paid:
            reason = "the claim is paid already and that payment was not reversed"
            self._hold_money(position, paid, reason)
        else:
            # A payer who pays has the claim, whether or not an acknowledgment came first.
            self._charges.append((match.claim_number, match.version))
            self._paid.add(match.claim_number)
            self._decide(position, "applied")
            self._apply_amounts(position, paid, match.claim_number)

    def _apply_amounts(self, position: int, paid: ClaimPayment, number: str) -> None:
        self._book(
            f"{position}|payment", "payment", Account.CLEARING, Account.PAYER_RECEIVABLE,
            paid.paid_cents, number, position,
        )  # fmt: skip
        for account, cents in _reductions(paid).items():
            self._book(
                f"{position}|{account}", account, account, Account.PAYER_RECEIVABLE,
                cents, number, position,
            )  # fmt: skip

    async def _reverse(self, position: int, paid: ClaimPayment) -> bool:
        """Take back what was booked for the payment that this one mirrors; False without one."""
        match = self._matches.get(position)
        if match is None:
            return False
        before = await self._mirrored(match, paid)
        if before is None:
            return False
        key = {"remittance_id": before.remittance_id}
        booked = await self._tx.rows(
            select(transfer)
            .filter_by(**key, remittance_position=before.position)
            .order_by(transfer.c.id)
        )
        for number, item in enumerate(booked, 1):
            self._book(
                f"{position}|reversal|{number}",
                f"reversal of {item.kind}",
                Account(item.credit),
                Account(item.debit),
                item.cents,
                item.claim_number,
                position,
            )
        await self._tx.execute(
            update(remittance_claim)
            .filter_by(**key, position=before.position)
            .values(reversed_by=f"{self._id}|{position}")
        )
        if before.posting == "applied":
            self._paid.discard(match.claim_number)
        self._decide(position, "reversal")
        return True

    async def _mirrored(self, match: _Match, paid: ClaimPayment) -> Row[Any] | None:
        return await self._tx.first(
            select(remittance_claim)
            .where(
                remittance_claim.c.claim_number == match.claim_number,
                remittance_claim.c.posting.in_(("applied", "denied", "unapplied")),
                remittance_claim.c.reversed_by.is_(None),
                remittance_claim.c.status != "22",
                remittance_claim.c.charge_cents == -paid.charge_cents,
                remittance_claim.c.paid_cents == -paid.paid_cents,
            )
            .order_by(
                case((remittance_claim.c.posting == "applied", 0), else_=1),
                remittance_claim.c.remittance_id.desc(),
                remittance_claim.c.position.desc(),
            )
            .limit(1)
        )


_DECIDE = (
    update(remittance_claim)
    .where(
        remittance_claim.c.remittance_id == bindparam("id"),
        remittance_claim.c.position == bindparam("place"),
    )
    .values(posting=bindparam("decided"), reason=bindparam("because"))
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


def _is_denial(paid: ClaimPayment) -> bool:
    """Nothing paid, and nothing left to the patient or the payer's own status says denied.

    Judged by the amounts first, because some payers deny under status 1.
    """
    share = sum(item.cents for item in _adjustments(paid) if item.group_code == "PR")
    return paid.paid_cents == 0 and (paid.status == "4" or share == 0)


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


# --- reading


async def posted(reading: Reading, remittance_id: int) -> Posted:
    """The stored result of posting. Raises :class:`UnknownRecord` before it was posted."""
    row = await reading.first(select(remittance).where(remittance.c.id == remittance_id))
    if row is None or row.state == "registered":
        raise UnknownRecord(f"posted remittance {remittance_id}")
    claims = await reading.rows(
        select(remittance_claim)
        .where(remittance_claim.c.remittance_id == remittance_id)
        .order_by(remittance_claim.c.position)
    )
    return Posted(
        remittance_id,
        row.state,
        row.difference_cents,
        row.reason,
        tuple(
            PostedClaim(
                item.position,
                item.control_number,
                item.claim_number,
                item.version,
                item.posting,
                Cents(item.paid_cents),
                item.reason,
            )
            for item in claims
        ),
    )


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
    adjustments = await reading.rows(
        select(remittance_adjustment)
        .filter_by(remittance_id=row.remittance_id, claim_position=row.position)
        .order_by(remittance_adjustment.c.line_position, remittance_adjustment.c.position)
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
        adjustments=tuple(
            model.Adjustment(
                group=item.group_code, reason=item.reason_code, cents=Cents(item.cents)
            )
            for item in adjustments
        ),
        remarks=tuple(row.remarks.split()),
    )
