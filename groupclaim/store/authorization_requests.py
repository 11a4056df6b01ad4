"""Requests for authorization: written down under their trace before anything leaves.

One series of one patient with one payer is asked for once. A request whose answer is not known
stays ``asking`` until an inquiry has told, however often a step is repeated or a worker dies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Row, select, update

from groupclaim.model.authorization_request import (
    OPEN_REQUESTS,
    AuthorizationDecision,
    RequestedAuthorization,
    RequestState,
)
from groupclaim.model.base import Record
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import authorization_request, patient


class _Document(Record):
    asked: RequestedAuthorization
    decision: AuthorizationDecision | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request as on file.

    ``trace`` names it to the payer and to us; ``content`` is a digest of what it says.
    ``asked_at`` is when it first left; ``absent_from``, when an answer that the payer does not have
    it proves that it never arrived. ``next_at``: not to be asked after before.
    """

    trace: str
    patient_id: str
    payer_key: str
    claim_number: str
    content: str
    asked: RequestedAuthorization
    state: RequestState
    decision: AuthorizationDecision | None
    file_digest: str | None
    asked_at: datetime | None
    absent_from: datetime | None
    decide_by: datetime | None
    next_at: datetime | None
    inquiries: int
    alerts: int


async def open_request(
    tx: Transaction,
    claim_number: str,
    patient_id: str,
    payer_key: str,
    asked: RequestedAuthorization,
    content: str,
    day: date,
    at: datetime,
) -> AuthorizationRequest:
    """The request that stands for the series that ``day`` is in: the one on file, else ``asked``,
    written down.

    One that the payer could not work on makes place for one with other ``content``; whatever else
    was answered stays the answer.
    """
    # Two claims of one patient that ask at once find each other's request.
    await tx.execute(select(patient.c.id).where(patient.c.id == patient_id).with_for_update())
    found = await covering(tx, patient_id, payer_key, asked.certification, day)
    if found is not None and (found.state is not RequestState.UNUSABLE or found.content == content):
        return found
    trace = tx.keyring.opaque(
        "authorization_request",
        f"{patient_id}|{payer_key}|{asked.certification}|{asked.first_day}|{content}",
    ).upper()
    await tx.insert_new(
        authorization_request,
        {
            "trace": trace,
            "patient_id": patient_id,
            "payer_key": payer_key,
            "claim_number": claim_number,
            "certification": asked.certification,
            "first_day": asked.first_day,
            "last_day": asked.last_day,
            "content": content,
            "state": RequestState.NEW.value,
            "inquiries": 0,
            "alerts": 0,
            "created_at": at,
            "document": tx.seal(authorization_request, _Document(asked=asked)),
        },
    )
    return await read(tx, trace)


async def covering(
    reading: Reading, patient_id: str, payer_key: str, certification: str, day: date
) -> AuthorizationRequest | None:
    """The last request of that kind whose series ``day`` is in."""
    row = await reading.first(
        select(authorization_request)
        .where(
            authorization_request.c.patient_id == patient_id,
            authorization_request.c.payer_key == payer_key,
            authorization_request.c.certification == certification,
            authorization_request.c.first_day <= day,
            authorization_request.c.last_day >= day,
        )
        .order_by(authorization_request.c.created_at.desc(), authorization_request.c.trace)
        .limit(1)
    )
    return None if row is None else _request(reading, row)


async def read(reading: Reading, trace: str) -> AuthorizationRequest:
    row = await reading.first(
        select(authorization_request).where(authorization_request.c.trace == trace)
    )
    if row is None:
        raise LookupError(f"authorization request {trace}")
    return _request(reading, row)


async def begin(
    tx: Transaction, trace: str, digest: str, at: datetime, decide_by: datetime, grace: timedelta
) -> bool:
    """Note that the request leaves now, as the bytes of ``digest``; False when somebody else has
    sent it, or it must not be sent (again)."""
    row = await _locked(tx, trace)
    if row.state != RequestState.NEW or (row.next_at is not None and row.next_at > at):
        return False
    await _set(
        tx,
        trace,
        state=RequestState.ASKING.value,
        file_digest=row.file_digest or digest,
        asked_at=row.asked_at or at,
        absent_from=at + grace,
        decide_by=row.decide_by or decide_by,
        next_at=None,
    )
    return True


async def not_taken(tx: Transaction, trace: str, next_at: datetime | None) -> None:
    """It never arrived: it may leave again, the same bytes, from ``next_at``."""
    row = await _locked(tx, trace)
    if row.state in (RequestState.NEW, RequestState.ASKING):
        inquiries = row.inquiries + 1
        await _set(tx, trace, state=RequestState.NEW.value, next_at=next_at, inquiries=inquiries)


async def look_again(tx: Transaction, trace: str, next_at: datetime) -> None:
    """Nothing is known yet: ask after it again at ``next_at``."""
    row = await _locked(tx, trace)
    await _set(tx, trace, inquiries=row.inquiries + 1, next_at=next_at)


async def decided(
    tx: Transaction,
    trace: str,
    state: RequestState,
    decision: AuthorizationDecision,
    next_at: datetime | None = None,
) -> bool:
    """Keep the payer's answer. False when another answer was kept meanwhile that is final."""
    row = await _locked(tx, trace)
    if RequestState(row.state) not in OPEN_REQUESTS:
        return False
    kept = tx.unseal(authorization_request, row.document, _Document)
    await _set(
        tx,
        trace,
        state=state.value,
        next_at=next_at,
        inquiries=row.inquiries + 1,
        document=tx.seal(authorization_request, kept.model_copy(update={"decision": decision})),
    )
    return True


async def alerted(tx: Transaction, trace: str, level: int) -> bool:
    """Note that people are told for the ``level``-th time; False when they were before."""
    if (await _locked(tx, trace)).alerts >= level:
        return False
    await _set(tx, trace, alerts=level)
    return True


async def _locked(tx: Transaction, trace: str) -> Row[tuple[object, ...]]:
    row = await tx.first(
        select(authorization_request)
        .where(authorization_request.c.trace == trace)
        .with_for_update()
    )
    if row is None:
        raise LookupError(f"authorization request {trace}")
    return row


async def _set(tx: Transaction, trace: str, **values: object) -> None:
    await tx.execute(
        update(authorization_request).where(authorization_request.c.trace == trace).values(**values)
    )


def _request(reading: Reading, row: Row[tuple[object, ...]]) -> AuthorizationRequest:
    kept = reading.unseal(authorization_request, row.document, _Document)
    return AuthorizationRequest(
        trace=row.trace,
        patient_id=row.patient_id,
        payer_key=row.payer_key,
        claim_number=row.claim_number,
        content=row.content,
        asked=kept.asked,
        state=RequestState(row.state),
        decision=kept.decision,
        file_digest=row.file_digest,
        asked_at=row.asked_at,
        absent_from=row.absent_from,
        decide_by=row.decide_by,
        next_at=row.next_at,
        inquiries=row.inquiries,
        alerts=row.alerts,
    )
