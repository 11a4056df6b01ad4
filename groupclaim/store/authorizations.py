"""Units of prior authorizations: reserved, committed, consumed, released.

A claim reserves a unit when its authorization is checked, commits it when the patient attended,
consumes it when the payer has taken the claim, and gives it back when nothing will be billed. What
claims hold together with what the payer had counted before never exceeds what was granted: whoever
takes a unit first locks the authorization, on both databases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import bindparam, func, select, update

from groupclaim.model.patient import Authorization
from groupclaim.model.session import Attendance
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import (
    authorization,
    authorization_use,
    group_session,
    participant,
)

_HELD = ("reserved", "committed", "consumed")


@dataclass(frozen=True, slots=True)
class Units:
    """What has become of an authorization's units. ``before``: used as the payer counted them when
    the authorization was recorded, apart from our claims."""

    granted: int
    before: int
    reserved: int
    committed: int
    consumed: int

    @property
    def left(self) -> int:
        """Units that nobody holds. Below zero when the payer has taken back granted units."""
        return self.granted - self.before - self.reserved - self.committed - self.consumed


@dataclass(frozen=True, slots=True)
class Standing:
    """An authorization on file, its units, and the days of sessions still to be reserved for."""

    authorization_id: str
    patient_id: str
    permit: Authorization
    units: Units
    last_day: date | None
    scheduled: tuple[date, ...]


def authorization_id(reading: Reading, given: Authorization) -> str:
    return reading.keyring.opaque("authorization", f"{given.patient}|{given.payer}|{given.number}")


async def reserve(
    tx: Transaction, claim_number: str, given: Authorization, at: datetime, units: int = 1
) -> bool:
    """Hold ``units`` for a claim; False when so many are not left. Units that the claim held of
    another authorization are given back. Asked again, it holds what it holds.

    A claim whose patient has attended commits them at once.
    """
    key = authorization_id(tx, given)
    await tx.execute(
        update(authorization_use)
        .where(
            authorization_use.c.claim_number == claim_number,
            authorization_use.c.authorization_id != key,
            authorization_use.c.state != "released",
        )
        .values(state="released", moved_at=at)
    )
    if not await _take(tx, key, claim_number, units, "reserved", at):
        return False
    attended = await tx.scalar(
        select(participant.c.attendance).where(
            participant.c.claim_number == claim_number,
            participant.c.on_roster,
            participant.c.not_billable.is_(None),
        )
    )
    if attended == Attendance.ATTENDED:
        await commit(tx, claim_number, at)
    return True


async def _take(
    tx: Transaction, key: str, claim_number: str, units: int, state: str, at: datetime
) -> bool:
    # Nobody else counts or takes units of this authorization until our transaction ends.
    row = await tx.first(
        select(authorization.c.document).where(authorization.c.id == key).with_for_update()
    )
    if row is None:
        return False
    granted = tx.unseal(authorization, row.document, Authorization)
    own = await tx.first(
        select(authorization_use.c.state).filter_by(authorization_id=key, claim_number=claim_number)
    )
    if own is not None and own.state != "released":
        return True
    if granted.used + await _held(tx, key) + units > granted.units:
        return False
    values = {"units": units, "state": state, "moved_at": at}
    if own is None:
        await tx.execute(
            authorization_use.insert().values(
                authorization_id=key, claim_number=claim_number, reserved_at=at, **values
            )
        )
    else:
        await tx.execute(
            update(authorization_use)
            .filter_by(authorization_id=key, claim_number=claim_number)
            .values(values)
        )
    return True


async def _held(reading: Reading, key: str, *, except_for: str = "") -> int:
    held: int = await reading.scalar(
        select(func.coalesce(func.sum(authorization_use.c.units), 0)).where(
            authorization_use.c.authorization_id == key,
            authorization_use.c.state.in_(_HELD),
            authorization_use.c.claim_number != except_for,
        )
    )
    return int(held)


async def commit(tx: Transaction, claim_number: str, at: datetime) -> bool:
    """The patient attended: what was reserved for the claim will be used. True when it is news."""
    return await _move(tx, claim_number, ("reserved",), "committed", at)


async def consume(tx: Transaction, claim_number: str, at: datetime) -> bool:
    """The payer has taken the claim. True when that is news.

    Units that had been given back, by a denial that the payer then took back, are taken again if
    any are left; False when none are.
    """
    if await _move(tx, claim_number, ("reserved", "committed"), "consumed", at):
        return True
    rows = (await tx.execute(_USES, {"number": claim_number})).all()
    if not rows or any(row.state == "consumed" for row in rows):
        return False
    last = rows[0]
    return await _take(tx, last.authorization_id, claim_number, last.units, "consumed", at)


_USES = (
    select(authorization_use)
    .where(authorization_use.c.claim_number == bindparam("number"))
    .order_by(authorization_use.c.moved_at.desc(), authorization_use.c.authorization_id)
)


async def release(
    tx: Transaction, claim_number: str, at: datetime, *, consumed: bool = False
) -> bool:
    """Nothing will be billed: the units are free again. True when that is news.

    What the payer has consumed is only given back when it took the claim back itself (a denial, a
    reversal, a void): ``consumed``.
    """
    before = _HELD if consumed else ("reserved", "committed")
    return await _move(tx, claim_number, before, "released", at)


async def _move(
    tx: Transaction, claim_number: str, before: tuple[str, ...], after: str, at: datetime
) -> bool:
    moved = await tx.execute(
        _MOVE, {"number": claim_number, "before": before, "after": after, "at": at}
    )
    return moved.rowcount > 0


_MOVE = (
    update(authorization_use)
    .where(
        authorization_use.c.claim_number == bindparam("number"),
        authorization_use.c.state.in_(bindparam("before", expanding=True)),
    )
    .values(state=bindparam("after"), moved_at=bindparam("at"))
)


# --- reading


async def of_patient(
    reading: Reading, patient_id: str, claim_number: str
) -> tuple[Authorization, ...]:
    """A patient's authorizations as one claim sees them: ``used`` counts what others hold."""
    rows = await reading.rows(
        select(authorization.c.id, authorization.c.document)
        .where(authorization.c.patient_id == patient_id)
        .order_by(authorization.c.id)
    )
    seen = []
    for row in rows:
        permit = reading.unseal(authorization, row.document, Authorization)
        held = await _held(reading, row.id, except_for=claim_number)
        seen.append(permit.model_copy(update={"used": min(permit.used + held, permit.units)}))
    return tuple(seen)


async def units(reading: Reading, given: Authorization) -> Units:
    """What has become of the units of an authorization on file."""
    key = authorization_id(reading, given)
    document = await reading.scalar(
        select(authorization.c.document).where(authorization.c.id == key)
    )
    return await _units(reading, key, reading.unseal(authorization, document, Authorization))


async def _units(reading: Reading, key: str, permit: Authorization) -> Units:
    rows = await reading.rows(
        select(authorization_use.c.state, func.sum(authorization_use.c.units).label("units"))
        .where(authorization_use.c.authorization_id == key)
        .group_by(authorization_use.c.state)
    )
    held = {row.state: int(row.units) for row in rows}
    return Units(permit.units, permit.used, *(held.get(state, 0) for state in _HELD))


async def standings(reading: Reading, today: date) -> tuple[Standing, ...]:
    """Every authorization that is not past, with its units and the patient's sessions to come that
    hold none of them yet."""
    rows = await reading.rows(
        select(authorization)
        .where(authorization.c.effective_to >= today)
        .order_by(authorization.c.effective_to, authorization.c.id)
    )
    found = []
    for row in rows:
        permit = reading.unseal(authorization, row.document, Authorization)
        days = await _session_days(reading, row.patient_id, row.id)
        found.append(
            Standing(
                row.id,
                row.patient_id,
                permit,
                await _units(reading, row.id, permit),
                max((day for day, _ in days), default=None),
                tuple(day for day, holds in days if not holds and day >= today),
            )
        )
    return tuple(found)


async def _session_days(reading: Reading, patient_id: str, key: str) -> Sequence[tuple[date, bool]]:
    """The days of a patient's sessions, and whether each holds units of the authorization."""
    rows = await reading.rows(
        select(group_session.c.service_date, authorization_use.c.state)
        .select_from(participant)
        .join(group_session, group_session.c.id == participant.c.session_id)
        .outerjoin(
            authorization_use,
            (authorization_use.c.claim_number == participant.c.claim_number)
            & (authorization_use.c.authorization_id == key),
        )
        .where(
            participant.c.patient_id == patient_id,
            participant.c.on_roster,
            participant.c.not_billable.is_(None),
        )
        .order_by(group_session.c.service_date)
    )
    return [(row.service_date, row.state in _HELD) for row in rows]
