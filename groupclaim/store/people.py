"""Who may come in at the console: users, their sessions, and emergency access.

Sign-in names and the identity provider's subjects are found by blind index; a session is known by
the digest of its token, so the database alone opens no door. Times here are wall time: how long
someone has been away does not depend on the practice clock.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Row, delete, func, or_, select, update

from groupclaim.model.approval import Role as Role
from groupclaim.model.base import InputRefused, Record
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import console_session, console_user, emergency_access

IDLE_LIMIT = timedelta(minutes=15)
"""Automatic logoff (45 CFR 164.312(a)(2)(iii)): a session unused for so long has ended."""

ABSOLUTE_LIMIT = timedelta(hours=12)
"""A session ends then even if it is used."""

EMERGENCY_LIMIT = timedelta(hours=4)
"""Emergency access (45 CFR 164.312(a)(2)(ii)) ends by itself then."""

_FAILURES_BEFORE_LOCK = 5
_LOCK = timedelta(minutes=15)
_SHORTEST_PASSWORD = 12
_NOTED_EVERY = timedelta(seconds=30)


class Account(Record):
    """What is known of a user. Empty ``practices`` or ``locations`` mean all of them; a clinician
    sees only the sessions of ``clinician``, the practice's id of them."""

    name: str
    subject: str = ""
    practices: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    clinician: str = ""


class _Reason(Record):
    reason: str


@dataclass(frozen=True, slots=True)
class User:
    id: str
    role: Role
    account: Account
    must_change: bool
    local: bool
    disabled: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """A user who is signed in. ``emergency_until``: their rights are widened until then."""

    user: User
    csrf: str
    started_at: datetime
    emergency_until: datetime | None


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobody() -> str:
    """A hash to check against when there is no such user, so that both take as long."""
    return _hasher().hash(secrets.token_urlsafe(16))


def _user(reading: Reading, row: Row[tuple[object, ...]]) -> User:
    return User(
        id=row.id,
        role=Role(row.role),
        account=reading.unseal(console_user, row.document, Account),
        must_change=row.must_change,
        local=row.password_hash is not None,
        disabled=row.disabled_at is not None,
    )


async def users(reading: Reading) -> tuple[User, ...]:
    rows = await reading.rows(select(console_user).order_by(console_user.c.created_at))
    return tuple(_user(reading, row) for row in rows)


async def anyone(reading: Reading) -> bool:
    return bool(await reading.scalar(select(func.count()).select_from(console_user)))


async def add_user(tx: Transaction, account: Account, role: Role, at: datetime) -> str | None:
    """Let someone in. Returns the password for their first sign-in, to be changed there; None for
    one whom the identity provider signs in. Raises :class:`InputRefused` for a name in use."""
    password = None if account.subject else secrets.token_urlsafe(12)
    name = account.name.strip()
    if not 0 < len(name) <= 80:
        raise InputRefused("user", ["name: 1 to 80 characters"])
    subject = account.subject
    new = await tx.insert_new(
        console_user,
        {
            "id": secrets.token_hex(16),
            "name_index": _index(tx, "name", name),
            "subject_index": _index(tx, "subject", subject) if subject else None,
            "role": role.value,
            "password_hash": _hasher().hash(password) if password else None,
            "must_change": password is not None,
            "failures": 0,
            "created_at": at,
            "document": tx.seal(console_user, account.model_copy(update={"name": name})),
        },
    )
    if not new:
        raise InputRefused("user", ["name: somebody of that name or subject is there already"])
    return password


def _index(reading: Reading, kind: Literal["name", "subject"], value: str) -> str:
    """A name is found however it is typed; a provider's subjects may differ by case alone (OpenID
    Connect Core 1.0, 2)."""
    said = value.casefold() if kind == "name" else value
    return reading.keyring.blind_index(f"console_user.{kind}", said)


async def find(reading: Reading, name: str) -> User | None:
    row = await reading.first(
        select(console_user).where(console_user.c.name_index == _index(reading, "name", name))
    )
    return _user(reading, row) if row else None


async def of_subject(reading: Reading, subject: str) -> User | None:
    """The user whom the identity provider calls ``subject``; None for one not let in here."""
    index = _index(reading, "subject", subject)
    row = await reading.first(select(console_user).where(console_user.c.subject_index == index))
    user = _user(reading, row) if row else None
    return None if user is None or user.disabled else user


async def check_password(
    tx: Transaction, name: str, password: str, at: datetime
) -> User | datetime | None:
    """The user of a right password; None for a wrong one; the end of the lock while locked.

    Five wrong ones in a row lock the account for a quarter of an hour.
    """
    row = await tx.first(
        select(console_user)
        .where(console_user.c.name_index == _index(tx, "name", name))
        .with_for_update()
    )
    if row is None or row.password_hash is None or row.disabled_at is not None:
        _matches(_nobody(), password)
        return None
    locked: datetime | None = row.locked_until
    if locked is not None and locked > at:
        return locked
    right = _matches(row.password_hash, password)
    failures = 0 if right else row.failures + 1
    full = failures >= _FAILURES_BEFORE_LOCK
    await tx.execute(
        update(console_user)
        .where(console_user.c.id == row.id)
        .values(failures=0 if full else failures, locked_until=at + _LOCK if full else None)
    )
    return _user(tx, row) if right else None


def _matches(stored: str, password: str) -> bool:
    try:
        return _hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


async def change_password(tx: Transaction, user_id: str, new: str) -> None:
    """Keep a user's own new password and end their other sessions. Raises InputRefused."""
    if not _SHORTEST_PASSWORD <= len(new) <= 200:
        raise InputRefused("password", [f"new: {_SHORTEST_PASSWORD} to 200 characters"])
    current = await tx.scalar(
        select(console_user.c.password_hash).where(console_user.c.id == user_id)
    )
    if current is None or _matches(current, new):
        raise InputRefused("password", ["new: another than the one you have"])
    await tx.execute(
        update(console_user)
        .where(console_user.c.id == user_id)
        .values(password_hash=_hasher().hash(new), must_change=False)
    )
    await end_visits(tx, user_id)


async def reset_password(tx: Transaction, user_id: str) -> str:
    """A new password for the next sign-in, to be changed there; every session ends."""
    password = secrets.token_urlsafe(12)
    await tx.execute(
        update(console_user)
        .where(console_user.c.id == user_id)
        .values(
            password_hash=_hasher().hash(password),
            must_change=True,
            failures=0,
            locked_until=None,
        )
    )
    await end_visits(tx, user_id)
    return password


async def disable(tx: Transaction, user_id: str, at: datetime) -> None:
    """Let a user in no more; what they did stays in the audit log under their name."""
    await tx.execute(
        update(console_user).where(console_user.c.id == user_id).values(disabled_at=at)
    )
    await end_visits(tx, user_id)


# --- visits


async def begin_visit(tx: Transaction, user_id: str, at: datetime) -> str:
    """Sign a user in. Returns the token that the browser keeps; only its digest is kept here."""
    token = secrets.token_urlsafe(32)
    await tx.execute(
        delete(console_session).where(
            or_(
                console_session.c.started_at < at - ABSOLUTE_LIMIT,
                console_session.c.seen_at < at - IDLE_LIMIT,
            )
        )
    )
    await tx.execute(
        console_session.insert().values(
            token_digest=_digest(token),
            user_id=user_id,
            csrf=secrets.token_urlsafe(32),
            started_at=at,
            seen_at=at,
        )
    )
    return token


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


async def visit(reading: Reading, token: str, at: datetime) -> tuple[Visit, bool] | None:
    """Who comes with ``token``, unless the session has ended; and whether it is time to note by
    :func:`seen` that it is in use."""
    row = await reading.first(
        select(
            console_user,
            console_session.c.csrf,
            console_session.c.started_at,
            console_session.c.seen_at,
        )
        .join(console_session, console_session.c.user_id == console_user.c.id)
        .where(console_session.c.token_digest == _digest(token))
    )
    if (
        row is None
        or row.disabled_at is not None
        or at >= row.started_at + ABSOLUTE_LIMIT
        or at >= row.seen_at + IDLE_LIMIT
    ):
        return None
    until = await reading.scalar(
        select(func.max(emergency_access.c.until)).where(
            emergency_access.c.user_id == row.id,
            emergency_access.c.ended_at.is_(None),
            emergency_access.c.until > at,
        )
    )
    here = Visit(_user(reading, row), row.csrf, row.started_at, until)
    return here, at - row.seen_at >= _NOTED_EVERY


async def seen(tx: Transaction, token: str, at: datetime) -> None:
    await tx.execute(
        update(console_session)
        .where(console_session.c.token_digest == _digest(token), console_session.c.seen_at < at)
        .values(seen_at=at)
    )


async def end_visit(tx: Transaction, token: str) -> None:
    await tx.execute(
        delete(console_session).where(console_session.c.token_digest == _digest(token))
    )


async def end_visits(tx: Transaction, user_id: str) -> None:
    await tx.execute(delete(console_session).where(console_session.c.user_id == user_id))


# --- emergency access


async def begin_emergency(tx: Transaction, user_id: str, reason: str, at: datetime) -> datetime:
    """Widen a user's rights until the returned end. Raises :class:`InputRefused` without reason."""
    if len(reason.strip()) < 10:
        raise InputRefused("emergency access", ["reason: say in a sentence why it is needed now"])
    until = at + EMERGENCY_LIMIT
    await tx.execute(
        emergency_access.insert().values(
            id=secrets.token_hex(16),
            user_id=user_id,
            since=at,
            until=until,
            document=tx.seal(emergency_access, _Reason(reason=reason.strip())),
        )
    )
    return until


async def end_emergency(tx: Transaction, user_id: str, at: datetime) -> None:
    await tx.execute(
        update(emergency_access)
        .where(
            emergency_access.c.user_id == user_id,
            emergency_access.c.ended_at.is_(None),
            emergency_access.c.until > at,
        )
        .values(ended_at=at)
    )


async def in_emergency(reading: Reading, at: datetime) -> dict[str, datetime]:
    """Until when the rights of whom are widened now, by user id."""
    open_now = (
        select(emergency_access.c.user_id, func.max(emergency_access.c.until).label("until"))
        .where(emergency_access.c.ended_at.is_(None), emergency_access.c.until > at)
        .group_by(emergency_access.c.user_id)
    )
    return {row.user_id: row.until for row in await reading.rows(open_now)}


async def emergencies(reading: Reading, at: datetime) -> int:
    """How many emergency accesses are open now: the alert's figure."""
    count: int = await reading.scalar(
        select(func.count())
        .select_from(emergency_access)
        .where(emergency_access.c.ended_at.is_(None), emergency_access.c.until > at)
    )
    return count
