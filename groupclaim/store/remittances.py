"""Payments of payers: registered once, posted whole or not at all.

A payment is named for ever by payer and trace. Delivered again it is a duplicate; the same name
with another amount, date or content is suspended. But a copy of a suspended payment with the same
amount and date, which is whole and balances, takes its place.

Posting writes what the 835 says and the ledger's transfers in one transaction: if any sum of the
835 does not come out, only what it says is written, nothing is transferred, and the payment stands
in suspense until a whole copy comes. So does a payment whose payee is another practice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Row, bindparam, delete, or_, select, update

from groupclaim.model import claim as model
from groupclaim.model.money import Cents
from groupclaim.rules.coordination import rank
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.matching import ClaimMatchedBy, Match, match_payment, payee_of_another
from groupclaim.store.posting import (
    Poster,
    Posting,
    Prepared,
    adjustments_of,
    amount_of,
    fitting,
    lock_remittance,
    remarks_of,
)
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import (
    provider_adjustment,
    remittance,
    remittance_adjustment,
    remittance_claim,
    remittance_line,
)
from groupclaim.x12.remittance import ClaimPayment, Difference, Payment, balance


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
        "payer_id": fitting(remittance.c.payer_id, payment.payer_identifier),
        "trace": fitting(remittance.c.trace, payment.trace_number),
        "payment_date": _paid_on(payment),
        "paid_cents": amount_of(payment),
        "method": fitting(remittance.c.method, payment.method),
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
        "control_number": fitting(remittance_claim.c.control_number, paid.control_number),
        "claim_number": match.claim_number if match else None,
        "version": match.version if match else None,
        "payer_sequence": match.payer_sequence if match else rank(paid.status, 1),
        "matched_by": match.by if match else None,
        "status": fitting(remittance_claim.c.status, paid.status),
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
            "code": fitting(column.code, line.code),
            "modifiers": fitting(column.modifiers, ":".join(line.modifiers)),
            "charge_cents": line.charge_cents,
            "paid_cents": line.paid_cents,
            "allowed_cents": line.allowed_cents,
            "line_control_number": fitting(column.line_control_number, line.line_control_number),
            "service_date": line.service_date,
            "units": fitting(column.units, str(line.units)),
            "submitted_code": fitting(column.submitted_code, line.submitted_code) or None,
            "submitted_modifiers": fitting(
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
            "group_code": fitting(remittance_adjustment.c.group_code, item.group_code),
            "reason_code": fitting(remittance_adjustment.c.reason_code, item.reason_code),
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
    row = await lock_remittance(tx, remittance_id)
    if (row.content_digest, row.paid_cents) != (prepared.digest, amount_of(payment)):
        raise PaymentChanged(f"remittance {remittance_id} was registered with other content")
    if row.posted_at is None and row.state != "duplicate":
        difference, reason = row.difference_cents, row.reason
        if row.state == "registered":
            difference, reason = prepared.difference, prepared.reason
        poster = Poster(tx, row.id, at)
        if reason:
            await poster.keep(payment, prepared)
        else:
            await poster.post(payment, prepared)
        await _conclude(tx, row.id, at, difference, reason)
    return await posted(tx, remittance_id)


async def _conclude(
    tx: Transaction, remittance_id: int, at: datetime, difference: int, reason: str
) -> None:
    await tx.execute(
        update(remittance)
        .where(remittance.c.id == remittance_id)
        .values(
            state="suspended" if reason else "posted",
            difference_cents=difference,
            reason=fitting(remittance.c.reason, reason),
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
    row = await lock_remittance(tx, remittance_id)
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
    row = await lock_remittance(tx, remittance_id)
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
        if fitting(status, paid.status) != paid.status:
            places.append(f"CLP02 of claim {position}")
        if any(
            fitting(group, item.group_code) != item.group_code
            or fitting(reason, item.reason_code) != item.reason_code
            for item in adjustments_of(paid)
        ):
            places.append(f"CAS of claim {position}")
    withheld = provider_adjustment.c.reason_code
    places += [
        f"PLB {position}"
        for position, item in enumerate(payment.provider_adjustments, 1)
        if fitting(withheld, item.reason_code) != item.reason_code
    ]
    return places


def _payer_claim_number(paid: ClaimPayment) -> str | None:
    return fitting(remittance_claim.c.payer_claim_number, paid.payer_claim_number) or None


def _kept_remarks(paid: ClaimPayment) -> str:
    """The remark codes with blanks between them: as many as can be kept, none of them cut."""
    kept = ""
    for code in sorted(remarks_of(paid)):
        longer = f"{kept} {code}".lstrip()
        if fitting(remittance_claim.c.remarks, longer) == longer:
            kept = longer
    return kept


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
    rows = (await reading.execute(_DECISIONS, {"number": claim_number})).all()
    return tuple([await _claim_payment(reading, row) for row in rows])


_DECISIONS = (
    select(remittance_claim)
    .join(remittance, remittance.c.id == remittance_claim.c.remittance_id)
    .where(
        remittance_claim.c.claim_number == bindparam("number"),
        remittance_claim.c.posting.in_(("applied", "denied")),
        remittance_claim.c.reversed_by.is_(None),
    )
    .order_by(
        remittance.c.payment_date, remittance_claim.c.remittance_id, remittance_claim.c.position
    )
)
_ADJUSTMENTS = (
    select(remittance_adjustment)
    .where(
        remittance_adjustment.c.remittance_id == bindparam("of"),
        remittance_adjustment.c.claim_position == bindparam("place"),
    )
    .order_by(remittance_adjustment.c.line_position, remittance_adjustment.c.position)
)
_LINES = (
    select(remittance_line)
    .where(
        remittance_line.c.remittance_id == bindparam("of"),
        remittance_line.c.claim_position == bindparam("place"),
    )
    .order_by(remittance_line.c.line_position)
)


async def _claim_payment(reading: Reading, row: Row[Any]) -> model.ClaimPayment:
    here = {"of": row.remittance_id, "place": row.position}
    rows = (await reading.execute(_ADJUSTMENTS, here)).all()
    adjustments = [
        (
            item.line_position,
            model.Adjustment(
                group=item.group_code, reason=item.reason_code, cents=Cents(item.cents)
            ),
        )
        for item in rows
    ]
    lines = (await reading.execute(_LINES, here)).all()
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
