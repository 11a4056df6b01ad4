"""Which systems are told of what happens, and what has still to be told them.

An event is written in the transaction of the fact that it tells, once for each subscription that
asks for it: what has happened is told, and nothing else is. Its body holds ids and codes only.
Addresses and secrets are encrypted.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, or_, select, update

from groupclaim.model.base import InputRefused, Record
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import webhook_delivery, webhook_subscription

GIVEN_UP_AFTER = timedelta(days=3)
"""So long a delivery is tried; then a person is told. groupclaim's own choice."""

_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
_LONGEST_URL = 500


class Event(StrEnum):
    """What a system may be told of."""

    CLAIM_STAGE_CHANGED = "claim.stage_changed"
    HOLD_OPENED = "claim.hold_opened"
    WORK_ITEM_OPENED = "work_item.opened"
    PAYMENT_POSTED = "payment.posted"


class _Target(Record):
    url: str
    secret: str


@dataclass(frozen=True, slots=True)
class Subscription:
    id: str
    url: str
    events: tuple[Event, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one subscription. ``event_id`` is the same each time it is sent."""

    id: str
    subscription_id: str
    event_id: str
    body: str
    url: str
    secret: str
    created_at: datetime
    attempts: int


async def subscribe(
    tx: Transaction, url: str, events: Sequence[Event], at: datetime
) -> tuple[str, str]:
    """Have ``url`` told of ``events``. Returns the subscription's id and the secret that signs what
    is sent, which is told once. Raises :class:`InputRefused`."""
    problems = []
    try:
        parts = urlsplit(url)
        named = parts.port != 0 and bool((parts.hostname or "x").encode("idna"))
    except ValueError:
        parts, named = urlsplit(""), False
    here = parts.scheme == "http" and parts.hostname == "127.0.0.1"
    if not 0 < len(url) <= _LONGEST_URL or not url.isprintable() or " " in url:
        problems.append(f"url: 1 to {_LONGEST_URL} characters without spaces")
    if not named or not url.isascii():
        problems.append("url: a host of labels up to 63 characters, a port, and all in ASCII")
    if not (parts.scheme == "https" and parts.hostname) and not here:
        problems.append("url: https; http only on 127.0.0.1")
    if "@" in parts.netloc or parts.fragment:
        problems.append("url: without a name, a password or a fragment")
    if not events:
        problems.append("event: at least one")
    if problems:
        raise InputRefused("webhook", problems)
    key, secret = f"h{secrets.token_hex(8)}", secrets.token_urlsafe(32)
    await tx.execute(
        webhook_subscription.insert().values(
            id=key,
            events=" ".join(sorted(set(events))),
            created_at=at,
            document=tx.seal(webhook_subscription, _Target(url=url, secret=secret)),
        )
    )
    return key, secret


async def subscriptions(reading: Reading) -> tuple[Subscription, ...]:
    """Those that have not been removed."""
    rows = await reading.rows(
        select(webhook_subscription)
        .where(webhook_subscription.c.removed_at.is_(None))
        .order_by(webhook_subscription.c.created_at, webhook_subscription.c.id)
    )
    return tuple(
        Subscription(
            row.id,
            reading.unseal(webhook_subscription, row.document, _Target).url,
            tuple(Event(item) for item in row.events.split()),
            row.created_at,
        )
        for row in rows
    )


async def unsubscribe(tx: Transaction, subscription_id: str, at: datetime) -> None:
    """Tell a system nothing more, also nothing that waits. Raises :class:`UnknownRecord`."""
    ended = await tx.execute(
        update(webhook_subscription)
        .where(
            webhook_subscription.c.id == subscription_id,
            webhook_subscription.c.removed_at.is_(None),
        )
        .values(removed_at=at)
    )
    if ended.rowcount == 0:
        raise UnknownRecord(f"webhook {subscription_id}")


async def resend(tx: Transaction, subscription_id: str, at: datetime) -> int:
    """Tell a system again all that was given up, for as long as if it had happened now; how much
    that is. Raises :class:`UnknownRecord`."""
    known = await tx.first(
        select(webhook_subscription.c.id).where(
            webhook_subscription.c.id == subscription_id,
            webhook_subscription.c.removed_at.is_(None),
        )
    )
    if known is None:
        raise UnknownRecord(f"webhook {subscription_id}")
    again = await tx.execute(
        update(webhook_delivery)
        .where(
            webhook_delivery.c.subscription_id == subscription_id,
            webhook_delivery.c.next_at.is_(None),
            webhook_delivery.c.sent_at.is_(None),
        )
        .values(next_at=at, created_at=at, attempts=0)
    )
    return again.rowcount


async def note(
    tx: Transaction, event: Event, key: str, data: Mapping[str, Any], at: datetime
) -> None:
    """Have those told who ask for ``event``, once for each ``key``. ``data``: ids and codes."""
    if _WHO_LISTENS not in tx.read:
        tx.read[_WHO_LISTENS] = await tx.rows(_SUBSCRIBED)
    event_id = tx.keyring.opaque("event", f"{event}|{key}")
    body = {"id": event_id, "event": event.value, "at": at.isoformat(), "data": dict(data)}
    for row in tx.read[_WHO_LISTENS]:
        if event.value in row.events.split():
            await tx.insert_new(
                webhook_delivery,
                {
                    "id": f"{row.id}/{event_id}",
                    "subscription_id": row.id,
                    "event_id": event_id,
                    "body": json.dumps(body, sort_keys=True),
                    "created_at": at,
                    "next_at": at,
                    "attempts": 0,
                },
            )


_WHO_LISTENS = "who listens"
_SUBSCRIBED = select(webhook_subscription.c.id, webhook_subscription.c.events).where(
    webhook_subscription.c.removed_at.is_(None)
)


async def due(reading: Reading, now: datetime, most: int) -> tuple[Delivery, ...]:
    """What is to be sent now, what has waited longest first."""
    rows = await reading.rows(
        select(webhook_delivery, webhook_subscription.c.document)
        .join(
            webhook_subscription,
            webhook_subscription.c.id == webhook_delivery.c.subscription_id,
        )
        .where(
            webhook_delivery.c.next_at <= now,
            webhook_subscription.c.removed_at.is_(None),
        )
        .order_by(webhook_delivery.c.next_at, webhook_delivery.c.id)
        .limit(most)
    )
    found = []
    for row in rows:
        target = reading.unseal(webhook_subscription, row.document, _Target)
        found.append(
            Delivery(
                row.id,
                row.subscription_id,
                row.event_id,
                row.body,
                target.url,
                target.secret,
                row.created_at,
                row.attempts,
            )
        )
    return tuple(found)


async def sent(tx: Transaction, delivery: Delivery, outcome: str, at: datetime) -> None:
    """The system has taken it."""
    await _settle(tx, delivery, outcome, None, at)


async def failed(tx: Transaction, delivery: Delivery, outcome: str, at: datetime) -> bool:
    """The system has not taken it: it is tried again, later each time, for three days. True when
    it has been given up now."""
    if at >= delivery.created_at + GIVEN_UP_AFTER:
        await _settle(tx, delivery, outcome, None, None)
        return True
    wait = min(_FIRST_WAIT * 2 ** min(delivery.attempts, 10), _LONGEST_WAIT)
    await _settle(tx, delivery, outcome, at + wait, None)
    return False


async def forget(tx: Transaction, before: datetime) -> int:
    """Delete what was written before then and is settled: taken, given up, or of a system that is
    told nothing more. How many."""
    ended = select(webhook_subscription.c.id).where(webhook_subscription.c.removed_at.is_not(None))
    gone = await tx.execute(
        delete(webhook_delivery).where(
            webhook_delivery.c.created_at < before,
            or_(
                webhook_delivery.c.next_at.is_(None),
                webhook_delivery.c.subscription_id.in_(ended),
            ),
        )
    )
    return gone.rowcount


async def _settle(
    tx: Transaction,
    delivery: Delivery,
    outcome: str,
    next_at: datetime | None,
    sent_at: datetime | None,
) -> None:
    await tx.execute(
        update(webhook_delivery)
        .where(webhook_delivery.c.id == delivery.id)
        .values(next_at=next_at, sent_at=sent_at, outcome=outcome, attempts=delivery.attempts + 1)
    )
