"""The head of the audit log in a file that is kept elsewhere: nothing is cut off the log unseen."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import structlog

from groupclaim.store import audit
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Database

_log = structlog.get_logger("groupclaim.audit")


async def seal_and_export(database: Database, place: Path | None) -> None:
    """Seal what was noted since the last seal, and write the head to ``place``.

    A head there that the log does not hold any more is left as it is: it is what proves that the
    log was cut off. Nothing else stops because a head cannot be written.
    """
    async with database.transaction() as tx:
        head = await audit.seal(tx, await practice_now(tx))
    if head is None or place is None:
        return
    try:
        kept = await asyncio.to_thread(read_head, place)
        if kept is not None:
            async with database.reading() as reading:
                if not await audit.holds(reading, kept):
                    _log.error("the audit log lacks the head that is kept elsewhere")
                    return
        await asyncio.to_thread(_write, place, head)
    except (OSError, ValueError) as error:
        _log.error("the audit log's head is not exported", exception_type=type(error).__name__)


def read_head(place: Path) -> audit.Head | None:
    """The head at ``place``; None where there is none. Raises OSError or ValueError."""
    try:
        return audit.Head.model_validate_json(place.read_text())
    except FileNotFoundError:
        return None


def _write(place: Path, head: audit.Head) -> None:
    """Whole or not at all, whoever else writes it at the same time."""
    draft = place.with_name(f"{place.name}.{secrets.token_hex(4)}.draft")
    try:
        draft.write_text(head.model_dump_json())
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
