"""Which systems may call the API, how far each reaches, and what they were answered.

A key is known by the digest of its token, so the database alone opens no door. Times are wall time:
when a key ends does not depend on the practice clock.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, delete, or_, select, update

from groupclaim.model.base import InputRefused, Record
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import api_answer, api_key

ANSWERS_KEPT = timedelta(days=7)
"""How long a request that comes again is recognised; groupclaim's own choice."""

_PREFIX = "gck_"
"""By it a token is recognised where it does not belong: in a log, in a repository."""

_NOTED_EVERY = timedelta(minutes=1)
_LONGEST_NAME = 60


class Limits(Record):
    """The practice's own ids; none means all."""

    practices: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ApiKey:
    id: str
    name: str
    scopes: tuple[str, ...]
    limits: Limits
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None


class _Body(Record):
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered: the status and the JSON text."""

    status: int
    text: str


class OtherRequest(Exception):
    """The idempotency key has been used for another request."""


async def add_key(
    tx: Transaction,
    name: str,
    scopes: Sequence[str],
    limits: Limits,
    at: datetime,
    expires_at: datetime,
) -> str:
    """Let a system in. Returns its token, which is told once and kept nowhere.

    Raises :class:`InputRefused` for a name in use, also by a key that has ended: what a key did
    stays in the audit log under its name.
    """
    problems = []
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        problems.append(f"name: 1 to {_LONGEST_NAME} printable characters")
    if not scopes:
        problems.append("scope: at least one")
    if expires_at <= at:
        problems.append("expires: lies in the past")
    if problems:
        raise InputRefused("key", problems)
    token = _PREFIX + secrets.token_urlsafe(32)
    new = await tx.insert_new(
        api_key,
        {
            "id": secrets.token_hex(16),
            "token_digest": _digest(token),
            "name": name,
            "scopes": " ".join(sorted(set(scopes))),
            "created_at": at,
            "expires_at": expires_at,
            "document": tx.seal(api_key, limits),
        },
    )
    if not new:
        raise InputRefused("key", ["name: there is a key of that name already"])
    return token


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _key(reading: Reading, row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes.split()),
        limits=reading.unseal(api_key, row.document, Limits),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
    )


async def keys(reading: Reading) -> tuple[ApiKey, ...]:
    rows = await reading.rows(select(api_key).order_by(api_key.c.created_at, api_key.c.name))
    return tuple(_key(reading, row) for row in rows)


async def of_token(reading: Reading, token: str, at: datetime) -> ApiKey | None:
    """Whose ``token`` it is; None when nobody's, revoked or expired."""
    row = await reading.first(select(api_key).where(api_key.c.token_digest == _digest(token)))
    if row is None or row.revoked_at is not None or at >= row.expires_at:
        return None
    return _key(reading, row)


async def revoke(tx: Transaction, name: str, at: datetime) -> None:
    """End a key at once. Raises :class:`UnknownRecord`."""
    if await tx.first(select(api_key.c.id).where(api_key.c.name == name)) is None:
        raise UnknownRecord(f"key {name}")
    await tx.execute(
        update(api_key)
        .where(api_key.c.name == name, api_key.c.revoked_at.is_(None))
        .values(revoked_at=at)
    )


def is_to_note(key: ApiKey, at: datetime) -> bool:
    """Whether it is time to note by :func:`used` that a key is in use."""
    return key.used_at is None or at - key.used_at >= _NOTED_EVERY


async def used(tx: Transaction, key_id: str, at: datetime) -> None:
    await tx.execute(
        update(api_key)
        .where(api_key.c.id == key_id, or_(api_key.c.used_at.is_(None), api_key.c.used_at < at))
        .values(used_at=at)
    )


# --- requests that come again


def request_digest(reading: Reading, request: bytes) -> str:
    """What tells one request from another. Keyed: what was asked cannot be guessed from it."""
    return reading.keyring.blind_index("api_answer.request", sha256(request).hexdigest())


async def kept_answer(
    reading: Reading, key_id: str, idempotency_key: str, digest: str
) -> Answer | None:
    """The first answer to a request that has come before. Raises :class:`OtherRequest`."""
    row = await reading.first(
        select(api_answer).where(
            api_answer.c.key_id == key_id,
            api_answer.c.idempotency_digest == _digest(idempotency_key),
        )
    )
    if row is None:
        return None
    if row.request_digest != digest:
        raise OtherRequest
    return Answer(row.status, reading.unseal(api_answer, row.document, _Body).text)


async def keep_answer(
    tx: Transaction,
    key_id: str,
    idempotency_key: str,
    digest: str,
    answer: Answer,
    at: datetime,
) -> Answer:
    """Keep the answer, and forget those of long ago. Of two requests at once the first counts.

    Raises :class:`OtherRequest`.
    """
    await tx.execute(delete(api_answer).where(api_answer.c.at < at - ANSWERS_KEPT))
    await tx.insert_new(
        api_answer,
        {
            "key_id": key_id,
            "idempotency_digest": _digest(idempotency_key),
            "request_digest": digest,
            "status": answer.status,
            "at": at,
            "document": tx.seal(api_answer, _Body(text=answer.text)),
        },
    )
    return await kept_answer(tx, key_id, idempotency_key, digest) or answer
