"""Unapplied cash: money of a payer without a claim of ours, and what people decide about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update

from groupclaim.rules.coordination import MOST_PAYERS
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.ledger import Account, Booking, book_all
from groupclaim.store.matching import Match, match_by_hand
from groupclaim.store.posting import Poster, entry_of, lock_remittance, read_back
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import provider_adjustment, remittance, remittance_claim


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
    paid = await read_back(tx, row)
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
    entry = replace(await entry_of(tx, row), match=match)
    if not await Poster(tx, remittance_id, at).apply_by_hand(entry):
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


async def settle_provider_adjustment(
    tx: Transaction, remittance_id: int, position: int, account: Account, at: datetime
) -> bool:
    """Book a provider adjustment whose reason did not say what it is as what a person found it to
    be; False when that was done before. Raises :class:`UnknownRecord`, :class:`CannotClear`."""
    await lock_remittance(tx, remittance_id)
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
    state = (await lock_remittance(tx, remittance_id)).state
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
