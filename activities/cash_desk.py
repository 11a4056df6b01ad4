"""What people do with payers' money: bring remittances, clear what stands in suspense or unapplied.

A file brought by hand goes the way of one from the mailbox: it is kept, and a workflow posts each
payment once and tells the claims. A decision is written first and told afterwards, so that one cut
short is completed by taking it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities import steps
from activities.claims_told import known_claims
from activities.front_desk import Refused, require_approval
from activities.messages import Messages
from activities.remittance import decision_event, move_units
from groupclaim import x12
from groupclaim.model.approval import Decision
from groupclaim.store import audit, files, ledger, practice, remittances, unapplied, work
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database, Reading, Transaction
from groupclaim.store.ledger import Account
from groupclaim.store.remittances import Posted
from workflows import inbound, remittance

_PATIENCE = timedelta(minutes=2)
"""How long a person waits for a worker to post; it goes on without them."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a file: each payment as it stands. ``new`` is False when every payment of it
    was known before; ``pending`` when no worker has posted it yet."""

    digest: str
    new: bool
    pending: bool
    payments: tuple[PaymentStanding, ...]


@dataclass(frozen=True, slots=True)
class PaymentStanding:
    """One payment of a file. ``posted`` is None before it has been dealt with."""

    remittance_id: int
    payer_id: str
    trace: str
    cents: int
    state: str
    reason: str
    difference_cents: int
    duplicate_of: int | None
    posted: Posted | None


class CashDesk:
    """Without a ``client`` only what tells nobody: trying a file out."""

    def __init__(self, database: Database, clock: PracticeClock, client: Client | None) -> None:
        self._database = database
        self._clock = clock
        self._given = client

    @property
    def _client(self) -> Client:
        if self._given is None:
            raise Refused("a Temporal server is needed: the claims have to be told")
        return self._given

    # --- a file of payments

    async def bring(self, content: bytes, name: str, by: str) -> Brought:
        """Post the payments of an 835 as if the mailbox had brought it; once, however often.

        Raises Refused for a file in which there is no payment.
        """
        await asyncio.to_thread(_payments, content)
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            connection_id = await _connection(tx)
            digest = await files.keep_file(tx, connection_id, "inbound", "835", name, content, now)
            before = await remittances.of_file(tx, digest)
            if not before:
                await audit.record(tx, now, by, "remittance_brought", digest)
        ref = steps.FileRef(digest=digest, connection_id=connection_id)
        pending = not await self._finished(
            inbound.NAME,
            ref,
            inbound.workflow_id(digest),
            WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
        )
        async with self._database.reading() as reading:
            payments = await _standings(reading, digest)
        return Brought(digest, not before, pending, payments)

    async def try_out(self, content: bytes) -> Brought:
        """What :meth:`bring` would do; nothing of it is kept and nobody is told."""
        payments = await asyncio.to_thread(_payments, content)
        now = await self._clock.now()
        async with self._database.rehearsal() as tx:
            connection_id = await _connection(tx)
            digest = await files.keep_file(
                tx, connection_id, "inbound", "835", "rehearsal", content, now
            )
            before = await remittances.of_file(tx, digest)
            registered = await remittances.register(tx, digest, payments, now)
            for row in await remittances.of_file(tx, digest):
                if row.id in registered.new:
                    await remittances.post(tx, row.id, payments[row.file_position], now)
            return Brought(digest, not before, False, await _standings(tx, digest))

    async def _finished(
        self, name: str, given: Any, workflow_id: str, reuse: WorkflowIDReusePolicy
    ) -> bool:
        """Have a workflow do it; False when nobody has done it within our patience.

        Raises Refused when it failed: it stands as a file problem then.
        """
        try:
            handle = await self._client.start_workflow(
                name,
                given,
                id=workflow_id,
                task_queue=steps.TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=reuse,
            )
        except WorkflowAlreadyStartedError:
            return True
        try:
            await asyncio.wait_for(handle.result(), _PATIENCE.total_seconds())
        except TimeoutError:
            return False
        except WorkflowFailureError as failed:
            raise Refused(
                f"not all of it could be posted: {failed.cause}. It is tried again when the file "
                "is brought again; see `groupclaim file problems`"
            ) from None
        return True

    # --- payment suspense

    async def accept(
        self, remittance_id: int, *, by: str, second: str | None, reason: str
    ) -> PaymentStanding:
        """Post a payment that was suspended because another has its name.

        Raises UnknownRecord, and Refused for one that does not come out, whoever says so.
        """
        now = await self._clock.now()
        async with self._database.reading() as reading:
            payment = await self._payment(reading, remittance_id)
        async with self._database.transaction() as tx:
            try:
                news = await remittances.accept(
                    tx, remittance_id, payment, two_people=_two(by, second)
                )
            except remittances.CannotAccept as error:
                raise Refused(f"remittance {remittance_id}: {error}") from None
            if news:
                said = {"reason": reason, "second": second}
                await audit.record(
                    tx, now, by, "suspense_accepted", f"remittance {remittance_id}", said
                )
                await work.follow_money(tx, now)
        await self._finished(
            remittance.NAME,
            steps.RemittanceRef(remittance_id=remittance_id),
            remittance.workflow_id(remittance_id),
            WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        )
        async with self._database.reading() as reading:
            return await _standing_of(reading, remittance_id)

    async def return_suspended(
        self, remittance_id: int, *, by: str, reason: str, second: str | None = None
    ) -> bool:
        """Note that the money of a suspended payment went back. False when noted before."""
        now = await self._clock.now()
        async with self._database.reading() as reading:
            standing = await _standing_of(reading, remittance_id)
        if standing.state == "suspended":
            await require_approval(
                self._database.transaction,
                Decision.REFUND,
                abs(standing.cents),
                f"remittance {remittance_id}",
                now,
                by=by,
                second=second,
            )
        async with self._database.transaction() as tx:
            try:
                news = await remittances.return_suspended(tx, remittance_id, reason, now)
            except remittances.CannotAccept as error:
                raise Refused(f"remittance {remittance_id}: {error}") from None
            if news:
                subject = f"remittance {remittance_id}"
                said = {"reason": reason, "second": second}
                await audit.record(tx, now, by, "suspense_returned", subject, said)
                await work.follow_money(tx, now)
        return news

    async def differences(self, remittance_id: int) -> tuple[x12.Difference, ...]:
        """Every sum of a payment that does not come out, by the file it came in; none where the
        file can no longer be read."""
        async with self._database.reading() as reading:
            try:
                return x12.balance(await self._payment(reading, remittance_id))
            except Refused:
                return ()

    async def _payment(self, reading: Reading, remittance_id: int) -> x12.Payment:
        digest, position = await remittances.file_of(reading, remittance_id)
        content = (await files.read_file(reading, digest)).content
        payments, _ = await asyncio.to_thread(x12.read_835, content)
        if position >= len(payments):
            raise Refused(f"remittance {remittance_id} is not in its file")
        return payments[position]

    # --- unapplied cash

    async def assign(
        self,
        item: str,
        claim_number: str,
        *,
        by: str,
        reason: str,
        payer: int | None = None,
        dry_run: bool = False,
    ) -> bool:
        """Apply unapplied cash to the claim that a person names, and tell the claim. ``payer`` is
        the place of who paid it, where the payment does not say. False when that was done before.
        Raises UnknownRecord and Refused."""
        remittance_id, position, withheld = _named(item)
        if withheld:
            raise Refused(f"{item} is a provider adjustment: settle it with --account")
        now = await self._clock.now()
        opened = self._database.rehearsal if dry_run else self._database.transaction
        async with opened() as tx:
            try:
                news = await unapplied.assign(tx, remittance_id, position, claim_number, now, payer)
            except unapplied.CannotClear as error:
                raise Refused(f"{item}: {error}") from None
            posted = await remittances.posted(tx, remittance_id)
            mine = [one for one in posted.claims if one.position == position]
            if news:
                await move_units(tx, mine, now)
                said = {"item": item, "reason": reason} | ({"payer": payer} if payer else {})
                await audit.record(tx, now, by, "unapplied_assigned", claim_number, said)
                await work.follow_money(tx, now)
            events = [(claim_number, await decision_event(tx, one, now)) for one in mine]
            known = await known_claims(tx, [claim_number])
        if not dry_run:
            messages = Messages(self._client, steps.TASK_QUEUE)
            for number, event in events:
                told = known[number]
                await messages.tell_claim(told.payer_key, number, "remit_835", event)
        return news

    async def settle(
        self,
        item: str,
        account: Account,
        *,
        by: str,
        second: str | None,
        reason: str,
        dry_run: bool = False,
    ) -> bool:
        """Book a provider adjustment as what a person found it to be; giving money up takes who
        may. False when that was done before. Raises UnknownRecord and Refused."""
        remittance_id, position, withheld = _named(item)
        if not withheld:
            raise Refused(f"{item} is a claim's money: assign it to a claim, or return it")
        now = await self._clock.now()
        opened = self._database.rehearsal if dry_run else self._database.transaction
        if account is Account.WRITE_OFF:
            await self._require(opened, Decision.WRITE_OFF, item, now, by=by, second=second)
        async with opened() as tx:
            try:
                news = await unapplied.settle_provider_adjustment(
                    tx, remittance_id, position, account, now
                )
            except unapplied.CannotClear as error:
                raise Refused(f"{item}: {error}") from None
            if news:
                said = {"item": item, "account": account, "reason": reason, "second": second}
                subject = f"remittance {remittance_id}"
                await audit.record(tx, now, by, "unapplied_settled", subject, said)
                await work.follow_money(tx, now)
        return news

    async def return_unapplied(
        self, item: str, *, by: str, reason: str, second: str | None = None, dry_run: bool = False
    ) -> bool:
        """Note that unapplied cash went back to the payer. False when that was noted before.
        Raises UnknownRecord and Refused."""
        remittance_id, position, withheld = _named(item)
        if withheld:
            raise Refused(f"{item} is a provider adjustment: settle it with --account")
        now = await self._clock.now()
        opened = self._database.rehearsal if dry_run else self._database.transaction
        await self._require(opened, Decision.REFUND, item, now, by=by, second=second)
        async with opened() as tx:
            try:
                news = await unapplied.return_unapplied(tx, remittance_id, position, reason, now)
            except unapplied.CannotClear as error:
                raise Refused(f"{item}: {error}") from None
            if news:
                said = {"item": item, "reason": reason, "second": second}
                subject = f"remittance {remittance_id}"
                await audit.record(tx, now, by, "unapplied_returned", subject, said)
                await work.follow_money(tx, now)
        return news

    async def _require(
        self,
        opened: Callable[[], AbstractAsyncContextManager[Transaction]],
        decision: Decision,
        item: str,
        now: datetime,
        *,
        by: str,
        second: str | None,
    ) -> None:
        """Raise Refused where these people may not decide about the money of ``item``; one that is
        not open is for whoever clears it to refuse."""
        async with self._database.reading() as reading:
            found = [one for one in await ledger.unapplied_items(reading) if one.item == item]
        for one in found:
            await require_approval(
                opened, decision, abs(int(one.cents)), item, now, by=by, second=second
            )

    # --- files that stand as problems

    async def clear_file(self, digest: str, *, by: str, reason: str) -> bool:
        """Note that a person has dealt with a file that could not be. False when it stands as no
        problem. Raises UnknownRecord."""
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            news = await files.clear_problem(tx, digest, now)
            if news:
                await audit.record(
                    tx, now, by, "file_cleared", f"file {digest[:16]}", {"reason": reason}
                )
        return news


def _two(by: str, second: str | None) -> bool:
    return second is not None and second.strip().casefold() not in ("", by.strip().casefold())


def _named(item: str) -> tuple[int, int, bool]:
    """``7/3`` or ``7/plb/1``: remittance, place in it, and whether it is a provider adjustment."""
    parts = item.split("/")
    withheld = len(parts) == 3 and parts[1] == "plb"
    numbers = [parts[0], parts[-1]]
    if len(parts) != 2 + withheld or not all(
        part.isascii() and part.isdigit() and len(part) < 18 for part in numbers
    ):
        raise Refused(f"{item}: an item is named as `groupclaim unapplied list` shows it")
    return int(numbers[0]), int(numbers[1]), withheld


def _payments(content: bytes) -> tuple[x12.Payment, ...]:
    payments, problems = x12.read_835(content)
    if not payments:
        codes = sorted({problem.code for problem in problems})
        raise Refused(f"no payment (835) in it{': ' if codes else ''}{', '.join(codes[:10])}")
    return payments


async def _connection(tx: Transaction) -> str:
    known = await practice.connection_ids(tx)
    if len(known) != 1:
        raise Refused(f"{len(known)} connections are on file and one is needed")
    return known[0]


async def _standings(reading: Reading, digest: str) -> tuple[PaymentStanding, ...]:
    return tuple(
        [await _standing(reading, row) for row in await remittances.of_file(reading, digest)]
    )


async def _standing_of(reading: Reading, remittance_id: int) -> PaymentStanding:
    digest, _ = await remittances.file_of(reading, remittance_id)
    rows: Iterable[Row[Any]] = await remittances.of_file(reading, digest)
    return await _standing(reading, next(row for row in rows if row.id == remittance_id))


async def _standing(reading: Reading, row: Row[Any]) -> PaymentStanding:
    done: datetime | None = row.posted_at
    return PaymentStanding(
        row.id,
        row.payer_id,
        row.trace,
        row.paid_cents,
        row.state,
        row.reason,
        row.difference_cents,
        row.duplicate_of,
        await remittances.posted(reading, row.id) if done is not None else None,
    )
