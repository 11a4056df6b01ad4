"""What a key may see: the sessions of its practices and locations, and what belongs to them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from groupclaim.console.api.door import Caller
from groupclaim.store.database import Reading
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import claim, group_session


def sessions_seen(caller: Caller) -> Any:
    """The ids of the sessions that ``caller`` may see, as a subquery."""
    return select(group_session.c.id).where(caller.rows)


async def check_session(reading: Reading, caller: Caller, session_id: str) -> None:
    """Raises :class:`UnknownRecord` for a session that is not there, or not for ``caller``."""
    seen = select(group_session.c.id).where(group_session.c.id == session_id, caller.rows)
    if await reading.scalar(seen) is None:
        raise UnknownRecord("session")


async def check_claim(reading: Reading, caller: Caller, number: str) -> None:
    """Raises :class:`UnknownRecord` for a claim that is not there, or not for ``caller``."""
    known = await reading.scalar(
        select(claim.c.claim_number).where(
            claim.c.claim_number == number, claim.c.session_id.in_(sessions_seen(caller))
        )
    )
    if known is None:
        raise UnknownRecord("claim")
