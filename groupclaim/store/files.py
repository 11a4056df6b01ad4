"""X12 files as they went out and came in, by the SHA-256 of their bytes, encrypted."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

from sqlalchemy import select, update

from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import mailbox_item, x12_file

_CONTENT = "x12_file.content"

_MOST_ASKED = 500
"""Ids in one query: databases bound how many a statement may hold."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    digest: str
    direction: Literal["inbound", "outbound"]
    kind: str
    connection_id: str
    name: str
    content: bytes
    created_at: datetime


async def keep_file(
    tx: Transaction,
    connection_id: str,
    direction: Literal["inbound", "outbound"],
    kind: str,
    name: str,
    content: bytes,
    at: datetime,
) -> str:
    """Keep a file and return its digest; the same bytes are kept once.

    ``kind`` is the transaction: 837, 999, 277CA, 835, 270, 271 and so on.
    """
    digest = sha256(content).hexdigest()
    await tx.insert_new(
        x12_file,
        {
            "digest": digest,
            "direction": direction,
            "kind": kind,
            "connection_id": connection_id,
            "name": _name(name),
            "size": len(content),
            "content": tx.keyring.fields.seal(_CONTENT, content),
            "created_at": at,
        },
    )
    return digest


def _name(given: str) -> str:
    """A file's name as its sender gives it, of what a database takes as text."""
    return given.replace("\0", " ")[:255]


async def read_file(reading: Reading, digest: str) -> StoredFile:
    """A kept file. Raises :class:`UnknownRecord`; ``Undecipherable`` when it was changed."""
    row = await reading.first(select(x12_file).where(x12_file.c.digest == digest))
    if row is None:
        raise UnknownRecord(f"file {digest}")
    return StoredFile(
        row.digest,
        row.direction,
        row.kind,
        row.connection_id,
        row.name,
        reading.keyring.fields.open(_CONTENT, row.content),
        row.created_at,
    )


# --- inbound files that could not be dealt with


@dataclass(frozen=True, slots=True)
class FileProblem:
    """Why a file still lies in its mailbox, by codes, and when that was last found."""

    text: str
    at: datetime


async def record_problem(tx: Transaction, digest: str, text: str, at: datetime) -> bool:
    """Let a file stand as a problem until somebody has dealt with it. True when it is news."""
    text = text.replace("\0", " ")[:200]
    before = await file_problem(tx, digest)
    await tx.execute(
        update(x12_file).where(x12_file.c.digest == digest).values(problem=text, problem_at=at)
    )
    return before is None or before.text != text


async def file_problem(reading: Reading, digest: str) -> FileProblem | None:
    row = await reading.first(
        select(x12_file.c.problem, x12_file.c.problem_at).where(x12_file.c.digest == digest)
    )
    if row is None or row.problem is None:
        return None
    return FileProblem(row.problem, row.problem_at)


@dataclass(frozen=True, slots=True)
class StandingProblem:
    """A file that waits for a person: ``digest`` names it."""

    digest: str
    kind: str
    name: str
    problem: str
    since: datetime
    size: int


async def standing_problems(reading: Reading) -> tuple[StandingProblem, ...]:
    """Every file that could not be dealt with, the oldest first."""
    rows = await reading.rows(
        select(x12_file)
        .where(x12_file.c.problem.is_not(None))
        .order_by(x12_file.c.created_at, x12_file.c.digest)
    )
    return tuple(
        StandingProblem(row.digest, row.kind, row.name, row.problem, row.created_at, row.size)
        for row in rows
    )


async def clear_problem(tx: Transaction, digest: str, at: datetime) -> bool:
    """A person has dealt with what a file holds: it is acknowledged to its mailbox at the next
    look into it and no longer stands as a problem. False when it does not stand as one.

    ``digest`` may be its first characters. Raises :class:`UnknownRecord`.
    """
    found = await tx.rows(
        select(x12_file.c.digest, x12_file.c.problem)
        .where(x12_file.c.digest.startswith(digest, autoescape=True))
        .limit(2)
    )
    if len(found) != 1 or len(digest) < 8:
        raise UnknownRecord(f"one file whose digest begins with {digest}, of 8 characters or more")
    if found[0].problem is None:
        return False
    await tx.execute(
        update(x12_file)
        .where(x12_file.c.digest == found[0].digest)
        .values(problem=None, problem_at=None, cleared_at=at)
    )
    return True


async def is_cleared(reading: Reading, digest: str) -> bool:
    """Whether a person has said that a file is dealt with."""
    cleared = select(x12_file.c.cleared_at).where(x12_file.c.digest == digest)
    return await reading.scalar(cleared) is not None


# --- the mailbox: what was fetched, and what we told the clearinghouse that we have


async def record_fetched(
    tx: Transaction, connection_id: str, mailbox_id: str, name: str, digest: str, at: datetime
) -> bool:
    """Note that the file ``mailbox_id`` of a mailbox was fetched and kept. True when it is new."""
    return await tx.insert_new(
        mailbox_item,
        {
            "connection_id": connection_id,
            "mailbox_id": mailbox_id,
            "digest": digest,
            "name": _name(name),
            "fetched_at": at,
        },
    )


async def fetched(
    reading: Reading, connection_id: str, mailbox_ids: Collection[str]
) -> dict[str, str]:
    """Those of these files of a mailbox that were fetched before: id there, and digest."""
    wanted = sorted(mailbox_ids)
    digests: dict[str, str] = {}
    for start in range(0, len(wanted), _MOST_ASKED):
        rows = await reading.rows(
            select(mailbox_item.c.mailbox_id, mailbox_item.c.digest).where(
                mailbox_item.c.connection_id == connection_id,
                mailbox_item.c.mailbox_id.in_(wanted[start : start + _MOST_ASKED]),
            )
        )
        digests |= {row.mailbox_id: row.digest for row in rows}
    return digests


async def is_acknowledged(reading: Reading, connection_id: str, digest: str) -> bool:
    """True when the clearinghouse knows of one copy of this file that we have dealt with it."""
    return (
        await reading.scalar(
            select(mailbox_item.c.mailbox_id)
            .where(
                mailbox_item.c.connection_id == connection_id,
                mailbox_item.c.digest == digest,
                mailbox_item.c.acknowledged_at.is_not(None),
            )
            .limit(1)
        )
        is not None
    )


async def unacknowledged(
    reading: Reading, connection_id: str, digest: str | None = None
) -> tuple[str, ...]:
    """Mailbox ids that we have not yet confirmed to the clearinghouse; of one file, or all."""
    query = select(mailbox_item.c.mailbox_id).where(
        mailbox_item.c.connection_id == connection_id, mailbox_item.c.acknowledged_at.is_(None)
    )
    if digest is not None:
        query = query.where(mailbox_item.c.digest == digest)
    rows = await reading.rows(query.order_by(mailbox_item.c.fetched_at, mailbox_item.c.mailbox_id))
    return tuple(row.mailbox_id for row in rows)


async def record_acknowledged(
    tx: Transaction, connection_id: str, mailbox_id: str, at: datetime
) -> None:
    """The clearinghouse knows that we have the file: it need not offer it again, and what stood in
    its way is settled."""
    mine = select(mailbox_item.c.digest).filter_by(
        connection_id=connection_id, mailbox_id=mailbox_id
    )
    await tx.execute(
        update(x12_file)
        .where(x12_file.c.digest.in_(mine), x12_file.c.problem.is_not(None))
        .values(problem=None, problem_at=None)
    )
    await tx.execute(
        update(mailbox_item)
        .filter_by(connection_id=connection_id, mailbox_id=mailbox_id, acknowledged_at=None)
        .values(acknowledged_at=at)
    )
