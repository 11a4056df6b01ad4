"""From ready to batched: the queue, the next cut-off, the cut."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import activity

from activities import steps
from activities.messages import Messages
from activities.on_file import connection_of
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import ClaimQueued
from groupclaim.model.claim import VOID, ClaimVersion
from groupclaim.model.practice import Connection
from groupclaim.rules.authorization import fitting_authorization
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY
from groupclaim.store import batches, claims, practice
from groupclaim.store.clock import practice_now, sleep_until, timer_seconds
from groupclaim.store.database import Reading
from workflows import batch

MOST_CLAIMS_IN_A_BATCH = 1_000
"""The guide recommends at most 5,000 in one transaction set; smaller files are mended sooner."""

_TAKEN_AFTER_CUTOFF = timedelta(hours=4)
"""By then a batch cut at the cut-off has been taken, even if its first sending got no answer."""


async def _stale(reading: Reading, version: ClaimVersion) -> bool:
    """Whether payer, member or patient on file are others than the version names, or it names no
    authorization and one that fits is on file by now."""
    facts, parties = await practice.claim_facts(reading, version.claim_number), version.parties
    if facts.payer is None or facts.coverage is None or facts.payer.ref != parties.payer.ref:
        return True
    if version.prior_authorization is None and fitting_authorization(facts, GROUP_PSYCHOTHERAPY):
        return True
    days = {"effective_from", "effective_to", "priority"}
    person = {"last_name", "first_name", "birth_date", "sex", "address"}
    return facts.coverage.model_dump(exclude=days) != parties.coverage.model_dump(
        exclude=days
    ) or facts.patient.model_dump(include=person) != parties.subscriber.model_dump(include=person)


class Queue:
    def __init__(self, outside: Outside, messages: Messages) -> None:
        self._outside = outside
        self._messages = messages

    @performs(steps.QUEUE_CLAIM)
    async def queue_claim(self, step: steps.ClaimStep) -> ClaimQueued:
        """Let the version wait for the next batch, and see to it that there is one. One that does
        not say what is on file by now is withdrawn, unless its batch has been cut."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            version = await claims.read_version(tx, step.claim_number, step.version)
            # A later payer's version follows from what the first decided, not from a 271; one that
            # takes another back says what that one said.
            to_first = step.payer == 1 and version.frequency != VOID
            if to_first and await _stale(tx, version):
                await batches.withdraw(tx, step.claim_number, now)
                if await batches.sent_claim(tx, version.control_number) is None:
                    return ClaimQueued(at=now, stale=True)
            connection_id, connection = await connection_of(tx, version.parties.payer)
            await batches.queue_claim(tx, step.claim_number, step.version, connection_id, now)
            cutoff = self._cutoff(connection, now)
        await self._messages.tell_ready(connection_id)
        return ClaimQueued(at=now, due_at=cutoff + _TAKEN_AFTER_CUTOFF)

    @performs(steps.NEXT_CUTOFF)
    async def next_cutoff(self, connection: steps.ConnectionRef) -> steps.NextLook:
        """When ready claims are next cut into a batch."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            through = await practice.read_connection(tx, connection.connection_id)
            due_at = self._cutoff(through, now)
            await sleep_until(tx, batch.workflow_id(connection.connection_id), due_at)
            return steps.NextLook(due_at=due_at, timer_seconds=await timer_seconds(tx, due_at))

    @performs(steps.CUT_BATCH)
    async def cut_batch(self, connection: steps.ConnectionRef) -> steps.CutBatch:
        """Cut what is ready. Tried again, the same cut gives the same batch."""
        connection_id = connection.connection_id
        info = activity.info()
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            await sleep_until(tx, batch.workflow_id(connection_id), None)
            cut = await batches.cut_batch(
                tx,
                connection_id,
                f"{info.workflow_run_id}|{info.activity_id}",
                now,
                MOST_CLAIMS_IN_A_BATCH,
            )
        if cut is None:
            return steps.CutBatch(batch_id=None, claims=0)
        return steps.CutBatch(batch_id=cut.batch_id, claims=cut.claims)

    def _cutoff(self, connection: Connection, now: datetime) -> datetime:
        return self._outside.calendar.next_cutoff(
            now, connection.cutoff_local, connection.time_zone
        )
