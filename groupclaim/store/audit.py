"""The audit log: who saw or did what, append-only, provable.

Each entry carries a keyed code over what it says. Entries are sealed in batches: a seal lists the
entries it covers and chains their codes to the seal before it. Its head, exported and kept
elsewhere, proves that nothing was cut off the end. Whoever changes the tables without the keys is
found, and so is the first row they touched; what is younger than the last exported head can be cut
off unseen, so seals are made often. Details are encrypted: people give reasons in their own words.
"""

from __future__ import annotations

import hmac
import json
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Row, select, text

from groupclaim.model.base import Record
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.keys import Keyring
from groupclaim.store.schema import audit_entry, audit_seal

_MOST_PER_SEAL = 5_000
_DETAIL = "audit_entry.detail"


class Head(Record):
    """The end of the sealed log. Keep its JSON where those who can write the database cannot."""

    number: int
    digest: str
    head: str


@dataclass(frozen=True, slots=True)
class Tampering:
    """The first row that is not as it was written. ``row``: ``audit_entry 17``, ``audit_seal 3``.

    ``kind``: ``changed``; ``deleted``; ``inserted`` by someone without the keys, or a copy;
    ``cut_off`` when the end is missing.
    """

    kind: Literal["changed", "deleted", "inserted", "cut_off"]
    row: str


async def record(
    tx: Transaction,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note that ``actor`` did ``action`` to ``subject``, an opaque id. No names of patients in any
    of them; in ``detail``, which is encrypted, a reason may hold one."""
    await record_all(tx, at, actor, action, [(subject, detail or {})])


async def record_all(
    tx: Transaction,
    at: datetime,
    actor: str,
    action: str,
    done_to: Sequence[tuple[str, Mapping[str, Any]]],
) -> None:
    """As :func:`record`, of several subjects, each with its detail."""
    rows = [_entry(tx.keyring, at, actor, action, *one) for one in done_to]
    await tx.insert_all(audit_entry, rows)


def _entry(
    keyring: Keyring,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
) -> dict[str, Any]:
    said = json.dumps(detail, sort_keys=True, separators=(",", ":"))
    values = {
        "at": at,
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": b64encode(keyring.fields.seal(_DETAIL, said.encode())).decode(),
        "nonce": secrets.token_hex(16),
        "key_id": keyring.current,
    }
    return {**values, "code": _code(keyring, values)}


@dataclass(frozen=True, slots=True)
class Entry:
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]


async def entries(reading: Reading, subject: str) -> tuple[Entry, ...]:
    """What was done to one subject, the first first."""
    rows = await reading.rows(
        select(audit_entry).where(audit_entry.c.subject == subject).order_by(audit_entry.c.id)
    )
    opened = reading.keyring.fields.open
    return tuple(
        Entry(
            row.at,
            row.actor,
            row.action,
            row.subject,
            json.loads(opened(_DETAIL, b64decode(row.detail))),
        )
        for row in rows
    )


def _code(keyring: Keyring, entry: Mapping[str, Any]) -> str:
    said = [
        entry["at"].astimezone(UTC).isoformat(timespec="microseconds"),
        *(entry[name] for name in ("actor", "action", "subject", "detail", "nonce")),
    ]
    return _keyed(keyring, entry["key_id"], json.dumps(said))


def _keyed(keyring: Keyring, key_id: str, message: str) -> str:
    return hmac.new(keyring.derived("audit", key_id), message.encode(), sha256).hexdigest()


async def seal(tx: Transaction, at: datetime) -> Head | None:
    """Seal the entries not yet sealed, up to a few thousand; None when there are none."""
    if tx.connection.dialect.name == "postgresql":
        # Waits for every entry being written: a lower number must not appear behind the seal.
        await tx.execute(text("LOCK TABLE audit_entry IN SHARE ROW EXCLUSIVE MODE"))
    last = await tx.first(select(audit_seal).order_by(audit_seal.c.number.desc()).limit(1))
    after = json.loads(last.entries)[-1] if last else 0
    entries = await tx.rows(
        select(audit_entry.c.id, audit_entry.c.code)
        .where(audit_entry.c.id > after)
        .order_by(audit_entry.c.id)
        .limit(_MOST_PER_SEAL)
    )
    if not entries:
        return None
    number = last.number + 1 if last else 1
    digest = _digest(last.digest if last else "", [(row.id, row.code) for row in entries])
    head = _head(tx.keyring, tx.keyring.current, number, digest)
    await tx.execute(
        audit_seal.insert().values(
            number=number,
            entries=json.dumps([row.id for row in entries]),
            digest=digest,
            key_id=tx.keyring.current,
            head=head,
            sealed_at=at,
        )
    )
    return Head(number=number, digest=digest, head=head)


def _digest(before: str, entries: list[tuple[int, str]]) -> str:
    return sha256(json.dumps([before, entries]).encode()).hexdigest()


def _head(keyring: Keyring, key_id: str, number: int, digest: str) -> str:
    return _keyed(keyring, key_id, f"{number}|{digest}")


async def sealed_to(reading: Reading) -> int:
    """The last entry that a seal covers; 0 while none does."""
    entries: str | None = await reading.scalar(
        select(audit_seal.c.entries).order_by(audit_seal.c.number.desc()).limit(1)
    )
    return int(json.loads(entries)[-1]) if entries else 0


async def holds(reading: Reading, head: Head) -> bool:
    """Whether the log still has the seal that ``head`` is of, as it was then."""
    digest: str | None = await reading.scalar(
        select(audit_seal.c.digest).where(audit_seal.c.number == head.number)
    )
    return digest == head.digest


async def verify(reading: Reading, kept: Head | None = None) -> Tampering | None:
    """The first row that is not as written, or None. ``kept``: the newest head kept elsewhere.

    Reads every entry, one seal's at a time."""
    codes: set[bytes] = set()
    before, last = "", 0
    expected = 1
    held = kept is None
    for row in await reading.rows(select(audit_seal).order_by(audit_seal.c.number)):
        if row.number != expected:
            return Tampering("deleted", f"audit_seal {expected}")
        ids = _ids(row)
        if ids is None or ids[0] <= last:
            return Tampering("changed", f"audit_seal {row.number}")
        entries = await _between(reading, last, ids[-1])
        if not _is_sealed(reading.keyring, row, before, entries):
            return _first_wrong(reading.keyring, row, ids, entries)
        codes.update(bytes.fromhex(entry.code) for entry in entries)
        before, last, expected = row.digest, ids[-1], expected + 1
        held |= kept is not None and (row.number, row.digest) == (kept.number, kept.digest)
    if kept is not None and not held:
        return Tampering("cut_off", f"audit_seal {kept.number}")
    while entries := await _between(reading, last):
        for entry in entries:
            # A copy of a sealed entry has a code of ours: it counts once.
            if not _is_ours(reading.keyring, entry) or bytes.fromhex(entry.code) in codes:
                return Tampering("inserted", f"audit_entry {entry.id}")
            codes.add(bytes.fromhex(entry.code))
        last = entries[-1].id
    return None


async def _between(reading: Reading, after: int, to: int | None = None) -> Sequence[Row[Any]]:
    """The entries of a seal, those put between it and the one before too; without ``to`` the next
    few thousand that no seal covers."""
    query = select(audit_entry).where(audit_entry.c.id > after).order_by(audit_entry.c.id)
    return await reading.rows(
        query.limit(_MOST_PER_SEAL) if to is None else query.where(audit_entry.c.id <= to)
    )


def _ids(row: Row[Any]) -> list[int] | None:
    try:
        ids = json.loads(row.entries)
    except ValueError:
        return None
    whole = isinstance(ids, list) and bool(ids) and all(isinstance(item, int) for item in ids)
    return ids if whole and ids == sorted(set(ids)) else None


def _is_sealed(keyring: Keyring, row: Row[Any], before: str, entries: Any) -> bool:
    digest = _digest(before, [(entry.id, entry.code) for entry in entries])
    return (
        digest == row.digest
        and row.key_id in keyring.key_ids
        and hmac.compare_digest(row.head, _head(keyring, row.key_id, row.number, digest))
        and json.loads(row.entries) == [entry.id for entry in entries]
        and all(_is_ours(keyring, entry) for entry in entries)
    )


def _is_ours(keyring: Keyring, entry: Row[Any]) -> bool:
    return entry.key_id in keyring.key_ids and hmac.compare_digest(
        entry.code, _code(keyring, entry._asdict())
    )


def _first_wrong(keyring: Keyring, row: Row[Any], ids: list[int], entries: Any) -> Tampering:
    """Which row of a seal that does not hold is the culprit: an entry if one shows it, else the
    seal itself."""
    there = {entry.id: entry for entry in entries}
    for key in sorted({*ids, *there}):
        name = f"audit_entry {key}"
        if key not in there:
            return Tampering("deleted", name)
        if key not in ids:
            return Tampering("inserted", name)
        if not _is_ours(keyring, there[key]):
            return Tampering("changed", name)
    return Tampering("changed", f"audit_seal {row.number}")
