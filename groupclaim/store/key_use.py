"""Which keys something is written under, and which of them a process does not hold."""

from __future__ import annotations

from sqlalchemy import select

from groupclaim.store.database import Reading
from groupclaim.store.schema import audit_entry, audit_seal, practice


async def keys_in_use(reading: Reading) -> frozenset[str]:
    """The ids of all keys that the practice, its audit log or its seals were written under.

    Whatever is written is noted in the audit log, by the same process and so under the same key.
    """
    used: set[str] = set()
    for table in (audit_entry, audit_seal):
        used.update(row.key_id for row in await reading.rows(select(table.c.key_id).distinct()))
    for row in await reading.rows(select(practice.c.document)):
        used.add(reading.keyring.fields.key_id(row.document))
    return frozenset(used)


async def missing_keys(reading: Reading) -> tuple[str, ...]:
    """The ids of those that the keyring of ``reading`` does not hold, in order."""
    return tuple(sorted(await keys_in_use(reading) - set(reading.keyring.key_ids)))
