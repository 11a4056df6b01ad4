"""The one place that lets a decision about money through: by the role of who is known to be in.

Whoever carries such a decision out asks here first, in the transaction that carries it out, so that
the command line, the console and what workflows are told obey alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from groupclaim.model.approval import ApprovalLimit, Decision
from groupclaim.policy.approvals import limit_for
from groupclaim.rules import approval
from groupclaim.rules.approval import Deciding
from groupclaim.store import audit, people, practice
from groupclaim.store.database import Reading, Transaction

_REFUSED = "approval_refused"


async def refusal(
    tx: Transaction,
    decision: Decision,
    cents: int,
    subject: str,
    at: datetime,
    *,
    by: str,
    second: str | None,
    request: str | None = None,
) -> str | None:
    """Why these people may not decide this about ``cents`` now, and who may; None when they may.

    A refusal is in the audit log, under who asked for it; with a ``request``, the same when the
    same click comes twice, it stands there once.
    """
    other = await _deciding(tx, second) if second and second.strip() else None
    why = approval.refusal(
        decision, await _limit(tx, decision, at), cents, await _deciding(tx, by), other
    )
    if why is not None:
        detail: dict[str, str | int | None] = {
            "decision": decision.value,
            "cents": cents,
            "second": second,
        }
        if request is not None:
            detail["request"] = request
        if request is None or not await _is_noted(tx, by, subject, detail):
            await audit.record(tx, at, by, _REFUSED, subject, detail)
    return why


async def _is_noted(
    reading: Reading, by: str, subject: str, detail: Mapping[str, str | int | None]
) -> bool:
    return any(
        (entry.action, entry.actor, entry.detail) == (_REFUSED, by, detail)
        for entry in await audit.entries(reading, subject)
    )


async def people_needed(reading: Reading, decision: Decision, cents: int, at: datetime) -> int:
    """How many must agree to ``decision`` about ``cents``."""
    return approval.people_needed(await _limit(reading, decision, at), cents)


async def in_force(reading: Reading, at: datetime) -> tuple[ApprovalLimit, ...]:
    """The limit of each decision at that moment."""
    found = [await _limit(reading, decision, at) for decision in Decision]
    return tuple(limit for limit in found if limit is not None)


async def _limit(reading: Reading, decision: Decision, at: datetime) -> ApprovalLimit | None:
    own = await practice.read_practice(reading)
    day: date = at.astimezone(ZoneInfo(own.time_zone)).date()
    return limit_for(decision, own.approvals, day)


async def _deciding(reading: Reading, name: str) -> Deciding:
    user = await people.find(reading, name.strip())
    role = user.role if user is not None and not user.disabled else None
    return Deciding(name.strip(), role)
