"""X12 files as they went out and came in, by the SHA-256 of their bytes, encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Literal

from sqlalchemy import select, update

from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import mailbox_item, x12_file

_CONTENT = "x12_file.content"


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
            "name": name[:255],
            "size": len(content),
            "content": tx.keyring.fields.seal(_CONTENT, content),
            "created_at": at,
        },
    )
    return digest


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
            "name": name[:255],
            "fetched_at": at,
        },
    )


async def fetched(reading: Reading, connection_id: str) -> dict[str, str]:
    """Every file fetched from a mailbox so far: its id there, and its digest."""
    rows = await reading.rows(
        select(mailbox_item.c.mailbox_id, mailbox_item.c.digest).where(
            mailbox_item.c.connection_id == connection_id
        )
    )
    return {row.mailbox_id: row.digest for row in rows}


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
    """The clearinghouse knows that we have the file: it need not offer it again."""
    await tx.execute(
        update(mailbox_item)
        .filter_by(connection_id=connection_id, mailbox_id=mailbox_id, acknowledged_at=None)
        .values(acknowledged_at=at)
    )
