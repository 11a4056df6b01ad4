"""Tells other systems what has happened: each event at least once, for three days."""

from __future__ import annotations

import asyncio

from activities import steps
from activities.outside import Outside, performs
from groupclaim.store import webhooks, work
from groupclaim.store.clock import practice_now


class WebhookDesk:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.DELIVER_WEBHOOKS)
    async def deliver_webhooks(self, look: steps.WebhookRound) -> steps.WebhooksDelivered:
        """Send what is due. What was sent and not noted is sent again under the same event id. One
        given up is a work item, until its system takes something again. What was settled long ago
        is deleted."""
        database, sender = self._outside.database, self._outside.webhooks
        async with database.reading() as reading:
            due = await webhooks.due(reading, await practice_now(reading), look.most)
        results = await asyncio.gather(
            *(sender.send(item.url, item.secret, item.event_id, item.body) for item in due)
        )
        taken = 0
        async with database.transaction() as tx:
            now = await practice_now(tx)
            for item, (ok, outcome) in zip(due, results, strict=True):
                subject = f"webhook/{item.subscription_id}"
                if ok:
                    taken += 1
                    await webhooks.sent(tx, item, outcome, now)
                    await work.close_items(tx, "webhook", subject, now)
                elif await webhooks.failed(tx, item, outcome, now):
                    task = work.Task(
                        kind="webhook",
                        subject=subject,
                        key=subject,
                        code="WEBHOOK_UNDELIVERED",
                        queue="engineers",
                    )
                    await work.open_item(tx, task, now)
            await webhooks.forget(tx, now - self._outside.webhooks_kept)
        return steps.WebhooksDelivered(due=len(due), taken=taken)
