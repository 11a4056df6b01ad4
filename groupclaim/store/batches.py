"""Ready claims, the batches cut from them, and what came back.

A batch fixes its claims and control numbers when it is cut and its bytes when it is built; after
that only its state changes. ``sending`` is kept before the first byte leaves, so that whoever takes
over after a crash knows that it may have arrived.

    cut -> built -> sending -> accepted | refused | in_doubt
    in_doubt -> accepted | refused | built
    cut -> refused, when none of its claims can be sent
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

from sqlalchemy import Row, Select, and_, bindparam, delete, func, or_, select, update

from groupclaim.model.claim import VOID
from groupclaim.model.identity import control_number
from groupclaim.model.letter import Milestone
from groupclaim.model.session import Attendance
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.ledger import book_charges
from groupclaim.store.practice import REJECTED, UnknownRecord
from groupclaim.store.schema import (
    acknowledgment,
    batch,
    batch_claim,
    claim_version,
    connection,
    participant,
    ready_claim,
)

_LONGEST_PLACE = 100

BatchState = Literal["cut", "built", "sending", "in_doubt", "accepted", "refused"]


class BatchConflict(Exception):
    """A batch cannot go from the state it is in to the one asked for."""


@dataclass(frozen=True, slots=True)
class Batch:
    """``interchange_control`` is ISA13, ``group_control`` GS06, ``transaction_control`` ST02.

    ``grace_until``: from when a listing without our interchange proves that it never arrived.
    """

    batch_id: str
    connection_id: str
    interchange_control: str
    group_control: str
    transaction_control: str
    state: BatchState
    claims: int
    file_digest: str | None
    cut_at: datetime
    send_started_at: datetime | None
    sends: int
    sent_at: datetime | None
    grace_until: datetime | None
    next_at: datetime | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class BatchClaim:
    batch_id: str
    position: int
    claim_number: str
    version: int
    control_number: str


async def queue_claim(
    tx: Transaction, claim_number: str, version: int, connection_id: str, at: datetime
) -> bool:
    """Let a version wait for the next batch, in place of any earlier one still waiting.

    True when it is newly queued; one that was queued before stays as it is.
    """
    await _hold_attendance(tx, [claim_number])
    await withdraw(tx, claim_number, at, before=version)
    return await tx.insert_new(
        ready_claim,
        {
            "claim_number": claim_number,
            "version": version,
            "control_number": control_number(claim_number, version),
            "connection_id": connection_id,
            "queued_at": at,
        },
    )


async def withdraw(
    tx: Transaction, claim_number: str, at: datetime, *, before: int | None = None
) -> None:
    """Take the versions of a claim that still wait out of the queue; only those ``before`` one."""
    values = {"number": claim_number, "at": at}
    if before is None:
        await tx.execute(_WITHDRAW, values)
    else:
        await tx.execute(_WITHDRAW_EARLIER, {**values, "before": before})


_WITHDRAW = (
    update(ready_claim)
    .where(
        ready_claim.c.claim_number == bindparam("number"),
        ready_claim.c.batch_id.is_(None),
        ready_claim.c.withdrawn_at.is_(None),
    )
    .values(withdrawn_at=bindparam("at"))
)
_WITHDRAW_EARLIER = _WITHDRAW.where(ready_claim.c.version < bindparam("before"))


def _waiting(connection_id: str) -> Select[tuple[str, int, str]]:
    return (
        select(ready_claim.c.claim_number, ready_claim.c.version, ready_claim.c.control_number)
        .join(participant, participant.c.claim_number == ready_claim.c.claim_number)
        .join(
            claim_version,
            (claim_version.c.claim_number == ready_claim.c.claim_number)
            & (claim_version.c.version == ready_claim.c.version),
        )
        .where(
            ready_claim.c.connection_id == connection_id,
            ready_claim.c.batch_id.is_(None),
            ready_claim.c.withdrawn_at.is_(None),
            or_(
                claim_version.c.frequency == VOID,
                and_(
                    participant.c.on_roster,
                    participant.c.attendance == Attendance.ATTENDED,
                    participant.c.not_billable.is_(None),
                ),
            ),
        )
    )


async def _hold_attendance(tx: Transaction, claim_numbers: Collection[str]) -> None:
    """Wait for corrections of who came that are under way, and let none begin before the end.

    A correction locks the same rows, in the same order, before it looks for what is queued or has
    left. Without this it could find nothing queued, and a claim queued and cut at that moment would
    go out although its patient was not there.
    """
    await tx.execute(_HOLD_ATTENDANCE, {"numbers": list(claim_numbers)})


_HOLD_ATTENDANCE = (
    select(participant.c.claim_number)
    .where(participant.c.claim_number.in_(bindparam("numbers", expanding=True)))
    .order_by(participant.c.claim_number)
    .with_for_update(read=True)
)


async def cut_batch(
    tx: Transaction, connection_id: str, key: str, at: datetime, most: int
) -> Batch | None:
    """Take up to ``most`` waiting claims, in order of control number, into a new batch.

    ``key`` names this cut: repeated, it gives the batch it gave. None when no claim waits. Claims
    whose participant is no longer attended and billable stay behind, but for those that take an
    earlier one back.
    """
    # Cuts of one connection follow each other, and so do their control numbers.
    known = await tx.first(
        select(connection.c.id)
        .where(connection.c.id == connection_id)
        .with_for_update(key_share=True)
    )
    if known is None:
        raise UnknownRecord(f"connection {connection_id}")
    again = await tx.first(select(batch).where(batch.c.cut_key == key))
    if again is not None:
        return _batch(again)
    wanted = _waiting(connection_id).order_by(ready_claim.c.control_number).limit(most)
    numbers = [row.claim_number for row in await tx.rows(wanted)]
    await _hold_attendance(tx, numbers)
    taken = await tx.rows(
        wanted.where(ready_claim.c.claim_number.in_(numbers)).with_for_update(
            key_share=True, of=ready_claim
        )
    )
    if not taken:
        return None
    number = await tx.next_number(f"interchange|{connection_id}")
    batch_id = tx.keyring.opaque("batch", f"{connection_id}|{number}")
    await tx.execute(
        batch.insert().values(
            id=batch_id,
            connection_id=connection_id,
            cut_key=key,
            interchange_control=f"{number:09d}",
            group_control=str(number),
            transaction_control=f"{number:04d}",
            state="cut",
            claims=len(taken),
            cut_at=at,
            sends=0,
        )
    )
    await tx.insert_all(
        batch_claim,
        [
            {**row._mapping, "batch_id": batch_id, "position": position}
            for position, row in enumerate(taken, 1)
        ],
    )
    await tx.execute(
        update(ready_claim)
        .where(
            ready_claim.c.control_number.in_(
                select(batch_claim.c.control_number).where(batch_claim.c.batch_id == batch_id)
            )
        )
        .values(batch_id=batch_id)
    )
    return await read_batch(tx, batch_id)


def _batch(row: Row[tuple[object, ...]]) -> Batch:
    values = dict(row._mapping)
    del values["cut_key"]
    return Batch(batch_id=values.pop("id"), **values)


async def read_batch(reading: Reading, batch_id: str) -> Batch:
    """One batch. Raises :class:`UnknownRecord`."""
    row = await reading.first(select(batch).where(batch.c.id == batch_id))
    if row is None:
        raise UnknownRecord(f"batch {batch_id}")
    return _batch(row)


async def batch_claims(reading: Reading, batch_id: str) -> tuple[BatchClaim, ...]:
    """The claim versions of a batch, in the order in which the file carries them."""
    rows = await reading.rows(
        select(batch_claim)
        .where(batch_claim.c.batch_id == batch_id)
        .order_by(batch_claim.c.position)
    )
    return tuple(BatchClaim(**row._mapping) for row in rows)


# --- sending


async def record_built(tx: Transaction, batch_id: str, file_digest: str) -> Batch:
    """Fix the bytes of a batch: those first built stay, whatever is built later."""
    await tx.execute(
        update(batch)
        .where(batch.c.id == batch_id, batch.c.state == "cut")
        .values(state="built", file_digest=file_digest)
    )
    return await read_batch(tx, batch_id)


async def record_empty(tx: Transaction, batch_id: str) -> Batch:
    """End a batch whose bytes are not fixed and of which no claim can be sent."""
    await tx.execute(
        update(batch)
        .where(batch.c.id == batch_id, batch.c.state == "cut")
        .values(state="refused", answer="no_claims")
    )
    return await read_batch(tx, batch_id)


async def take_out(
    tx: Transaction, batch_id: str, control_numbers: Collection[str], at: datetime
) -> None:
    """Take versions that cannot be sent out of a batch, and out of the queue, while nothing of the
    batch has left: whoever has just fixed its bytes, or ended it, did so without them."""
    taken = batch_claim.c.control_number.in_(control_numbers)
    await tx.execute(delete(batch_claim).where(batch_claim.c.batch_id == batch_id, taken))
    await tx.execute(
        update(ready_claim)
        .where(
            ready_claim.c.batch_id == batch_id, ready_claim.c.control_number.in_(control_numbers)
        )
        .values(batch_id=None, withdrawn_at=at)
    )
    left = select(func.count()).where(batch_claim.c.batch_id == batch_id).scalar_subquery()
    await tx.execute(update(batch).where(batch.c.id == batch_id).values(claims=left))


async def begin_send(tx: Transaction, batch_id: str, at: datetime, grace_until: datetime) -> bool:
    """Note, in a transaction of its own, that sending begins. True for the one who may send.

    False when a sending had begun before: whether it arrived is not known (or the batch is past
    sending, see its state). Raises :class:`BatchConflict` for a batch that has not been built.
    """
    moved = await tx.execute(
        update(batch)
        .where(batch.c.id == batch_id, batch.c.state == "built")
        .values(
            state="sending", send_started_at=at, grace_until=grace_until, sends=batch.c.sends + 1
        )
    )
    if moved.rowcount == 0 and (await read_batch(tx, batch_id)).state == "cut":
        raise BatchConflict(f"batch {batch_id} is cut but not built")
    return moved.rowcount == 1


async def record_accepted(
    tx: Transaction, batch_id: str, at: datetime, next_at: datetime | None, answer: str = ""
) -> None:
    """The clearinghouse has the file: its claims are charged. ``next_at``: acknowledgment due."""
    await _answer(tx, batch_id, "accepted", at, next_at, answer)
    taken = await batch_claims(tx, batch_id)
    await book_charges(tx, [(item.claim_number, item.version) for item in taken], at)


async def record_refused(tx: Transaction, batch_id: str, at: datetime, answer: str) -> None:
    """The clearinghouse answered and did not take the file. ``answer``: its code, no values."""
    await _answer(tx, batch_id, "refused", at, None, answer)


async def record_in_doubt(
    tx: Transaction, batch_id: str, at: datetime, next_at: datetime | None
) -> None:
    """No answer came. ``next_at``: when a listing may first prove something."""
    await _answer(tx, batch_id, "in_doubt", at, next_at, "")


async def record_absent(tx: Transaction, batch_id: str) -> None:
    """A listing after the grace period proved that the file never arrived: it may be sent again,
    the same bytes under the same control numbers."""
    await _move(tx, batch_id, ("in_doubt",), "built", {"next_at": None})


_ANSWERABLE: dict[str, tuple[BatchState, ...]] = {
    "accepted": ("sending", "in_doubt"),
    "refused": ("sending", "in_doubt"),
    "in_doubt": ("sending",),
}


async def _answer(
    tx: Transaction,
    batch_id: str,
    state: Literal["accepted", "refused", "in_doubt"],
    at: datetime,
    next_at: datetime | None,
    answer: str,
) -> None:
    values: dict[str, object] = {"next_at": next_at, "answer": answer[:80] or None}
    if state == "accepted":
        values["sent_at"] = at
    await _move(tx, batch_id, _ANSWERABLE[state], state, values)


async def _move(
    tx: Transaction,
    batch_id: str,
    before: tuple[BatchState, ...],
    after: BatchState,
    values: dict[str, object],
) -> None:
    moved = await tx.execute(
        update(batch)
        .where(batch.c.id == batch_id, batch.c.state.in_(before))
        .values(state=after, **values)
    )
    if moved.rowcount == 0:
        found = (await read_batch(tx, batch_id)).state
        if found != after:
            raise BatchConflict(f"batch {batch_id} is {found}, so it cannot become {after}")


# --- what came back


async def batch_of_interchange(
    reading: Reading, connection_id: str, interchange_control: str
) -> Batch | None:
    """The batch that a TA1 speaks of, by ISA13; leading zeros do not matter."""
    return await _find(reading, connection_id, "interchange_control", f"{interchange_control:0>9}")


async def batch_of_group(reading: Reading, connection_id: str, group_control: str) -> Batch | None:
    """The batch that a 999 speaks of, by GS06 (AK102)."""
    return await _find(reading, connection_id, "group_control", group_control.lstrip("0"))


async def _find(reading: Reading, connection_id: str, column: str, value: str) -> Batch | None:
    row = await reading.first(
        select(batch).where(batch.c.connection_id == connection_id, batch.c[column] == value)
    )
    return _batch(row) if row is not None else None


async def sent_claim(reading: Reading, control: str) -> BatchClaim | None:
    """The claim version that went out under this CLM01."""
    row = await reading.first(select(batch_claim).where(batch_claim.c.control_number == control))
    return BatchClaim(**row._mapping) if row is not None else None


async def record_acknowledgment(
    tx: Transaction,
    kind: Literal["TA1", "999", "277CA"],
    file_digest: str,
    place: str,
    *,
    accepted: bool,
    codes: str,
    received_at: datetime,
    batch_id: str | None = None,
    claim_number: str | None = None,
    version: int | None = None,
    payer_claim_number: str | None = None,
) -> bool:
    """Keep one answer of a file, once; ``place`` says where in the file it stands. True if new."""
    return await tx.insert_new(
        acknowledgment,
        {
            "key": f"{kind}|{file_digest}|{sha256(place.encode()).hexdigest()}"
            if len(place) > _LONGEST_PLACE
            else f"{kind}|{file_digest}|{place}",
            "kind": kind,
            "accepted": accepted,
            "digest": file_digest,
            "batch_id": batch_id,
            "claim_number": claim_number,
            "version": version,
            # As PostgreSQL can keep them: a file may say more than X12 allows.
            "codes": codes.replace("\0", " ")[:200],
            "payer_claim_number": (payer_claim_number or "").replace("\0", " ")[:50] or None,
            "received_at": received_at,
        },
    )


async def first_unanswered_sending(reading: Reading, claim_number: str) -> datetime | None:
    """When the claim was first sent, of its versions that nobody has refused and that were not
    taken back since."""
    found: datetime | None = (await reading.execute(_FIRST_SENT, {"number": claim_number})).scalar()
    return found


_taken_back = (
    select(func.coalesce(func.max(claim_version.c.version), 0))
    .join(
        ready_claim,
        (ready_claim.c.claim_number == claim_version.c.claim_number)
        & (ready_claim.c.version == claim_version.c.version),
    )
    .where(
        claim_version.c.claim_number == bindparam("number"),
        claim_version.c.frequency == VOID,
        ready_claim.c.batch_id.is_not(None),
    )
    .scalar_subquery()
)
_FIRST_SENT = (
    select(batch.c.sent_at)
    .join(batch_claim, batch_claim.c.batch_id == batch.c.id)
    .where(
        batch_claim.c.claim_number == bindparam("number"),
        batch.c.sent_at.is_not(None),
        batch_claim.c.version > _taken_back,
        ~REJECTED,
    )
    .order_by(batch.c.sent_at)
    .limit(1)
)


async def was_acknowledged(reading: Reading, batch_id: str) -> bool:
    """Whether a TA1 or 999 proves that the clearinghouse has this batch."""
    row = await reading.first(
        select(acknowledgment.c.id).where(
            acknowledgment.c.batch_id == batch_id, acknowledgment.c.kind.in_(("TA1", "999"))
        )
    )
    return row is not None


async def payer_claim_number(
    reading: Reading, claim_number: str, version: int | None = None
) -> str | None:
    """The payer's number of a claim as the last 277CA gave it, of one version or any."""
    query = select(acknowledgment.c.payer_claim_number).where(
        acknowledgment.c.claim_number == claim_number,
        acknowledgment.c.payer_claim_number.is_not(None),
    )
    if version is not None:
        query = query.where(acknowledgment.c.version == version)
    number: str | None = await reading.scalar(
        query.order_by(acknowledgment.c.received_at.desc(), acknowledgment.c.id.desc()).limit(1)
    )
    return number


async def milestones(reading: Reading, claim_number: str) -> tuple[Milestone, ...]:
    """When each version left and what acknowledged it, the first first."""
    sent = await reading.rows(
        select(batch.c.id, batch.c.sent_at, batch.c.interchange_control, batch_claim.c.version)
        .join(batch_claim, batch_claim.c.batch_id == batch.c.id)
        .where(batch_claim.c.claim_number == claim_number, batch.c.sent_at.is_not(None))
    )
    answers = await reading.rows(
        select(acknowledgment).where(
            or_(
                acknowledgment.c.claim_number == claim_number,
                acknowledgment.c.batch_id.in_([row.id for row in sent]),
            )
        )
    )
    found = [
        Milestone(at=row.sent_at, what="837P sent", reference=f"ISA13 {row.interchange_control}")
        for row in sent
    ] + [
        Milestone(
            at=row.received_at,
            what=f"{row.kind} {'accepted' if row.accepted else 'rejected'}",
            reference=" ".join(filter(None, (row.codes, row.payer_claim_number))) or "no codes",
        )
        for row in answers
        if row.claim_number in (None, claim_number)
    ]
    return tuple(sorted(found, key=lambda item: item.at))
