"""What a key may see: the sessions of its practices and locations, and what belongs to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import HTTPException
from sqlalchemy import not_, select

from groupclaim.console.api.door import Caller
from groupclaim.store.database import Reading
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import claim, group_session

_MOST_ASKED = 500
"""Ids in one query: databases bound how many a statement may hold."""


def sessions_seen(caller: Caller) -> Any:
    """The ids of the sessions that ``caller`` may see, as a subquery."""
    return select(group_session.c.id).where(caller.rows)


async def check_session(reading: Reading, caller: Caller, session_id: str) -> None:
    """Raises :class:`UnknownRecord` for a session that is not there, or not for ``caller``."""
    seen = select(group_session.c.id).where(group_session.c.id == session_id, caller.rows)
    if await reading.scalar(seen) is None:
        raise UnknownRecord("session")


async def check_none_elsewhere(
    reading: Reading, caller: Caller, session_ids: Iterable[str | None]
) -> None:
    """Refuse what names a session on file that is not for ``caller``: the answer would tell who is
    in it. One that is not on file yet is nobody's."""
    if caller.sees_all:
        return
    named = sorted({key for key in session_ids if key is not None})
    for start in range(0, len(named), _MOST_ASKED):
        elsewhere = select(group_session.c.id).where(
            group_session.c.id.in_(named[start : start + _MOST_ASKED]), not_(caller.rows)
        )
        if await reading.first(elsewhere) is not None:
            raise HTTPException(403, "The key is limited to other locations.")


async def check_claim(reading: Reading, caller: Caller, number: str) -> None:
    """Raises :class:`UnknownRecord` for a claim that is not there, or not for ``caller``."""
    known = await reading.scalar(
        select(claim.c.claim_number).where(
            claim.c.claim_number == number, claim.c.session_id.in_(sessions_seen(caller))
        )
    )
    if known is None:
        raise UnknownRecord("claim")
