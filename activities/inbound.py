"""Files from the mailbox: taken once, read, and each acknowledgment told to whom it concerns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func, select
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities import steps
from activities.claims_told import DeadlinesOf, Told, claims_told
from activities.messages import Messages
from activities.on_file import invalid, later
from activities.outside import Outside, performs
from groupclaim import x12
from groupclaim.clearinghouse.port import MailboxFile, Unreachable
from groupclaim.lifecycle.events import Acknowledged
from groupclaim.rules.deadlines import told_before
from groupclaim.store import audit, authorizations, batches, files
from groupclaim.store.batches import Batch
from groupclaim.store.clock import practice_now, sleep_until
from groupclaim.store.database import Transaction
from groupclaim.store.files import StoredFile
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.schema import connection
from workflows import inbound, submission

_ACKNOWLEDGMENTS = ("999", "997", "277CA")
_PAYMENT = "835"
_SEGMENTS_OF_PAYMENTS = (b"BPR", b"CLP")

_TRY_AGAIN = timedelta(hours=1)
"""How long a file that could not be dealt with is left alone before it is tried again."""


_PROBLEMS = "file_problems"


class Inbound:
    def __init__(self, outside: Outside, messages: Messages) -> None:
        self._outside = outside
        self._messages = messages

    # --- the mailbox

    @performs(steps.POLL_MAILBOX)
    async def poll_mailbox(self, connection: steps.ConnectionRef) -> steps.Polled:
        """Fetch and keep what is new, and start the work on each file that is still listed.

        A file that cannot be fetched does not keep the others waiting.
        """
        connection_id = connection.connection_id
        await self._refuse_a_shared_mailbox()
        try:
            listed = await self._outside.clearinghouse.list_mailbox()
        except Unreachable as error:
            raise later(error, "mailbox") from None
        async with self._outside.database.reading() as reading:
            known = await files.fetched(reading, connection_id, {file.id for file in listed})
        taken = 0
        failure: Unreachable | None = None
        for file in listed:
            try:
                digest = known.get(file.id) or await self._fetch(connection_id, file)
                if digest is not None:
                    await self._start(connection_id, file.id, digest)
                    taken += file.id not in known
            except Unreachable as error:
                failure = error
        if failure is not None:
            raise later(failure, "a file of the mailbox")
        return steps.Polled(files=taken)

    async def _refuse_a_shared_mailbox(self) -> None:
        """A worker has one clearinghouse: under two connections each file would be taken as of
        whichever came first, and its acknowledgments would be looked up there."""
        async with self._outside.database.reading() as reading:
            connections = await reading.scalar(select(func.count()).select_from(connection))
        if connections > 1:
            raise invalid(
                f"{connections} connections are on file and one mailbox is: one is needed"
            )

    async def _fetch(self, connection_id: str, file: MailboxFile) -> str | None:
        """Keep the bytes of a file; None when somebody else has taken it meanwhile."""
        content = await self._outside.clearinghouse.download(file)
        if content is None:
            return None
        kind = await asyncio.to_thread(_kind, content)
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            digest = await files.keep_file(
                tx, connection_id, "inbound", kind, file.name, content, now
            )
            await files.record_fetched(tx, connection_id, file.id, file.name, digest, now)
        return digest

    async def _start(self, connection_id: str, mailbox_id: str, digest: str) -> None:
        """Begin with a file. One whose workflow has failed is begun again, now and then."""
        async with self._outside.database.reading() as reading:
            now = await practice_now(reading)
            problem = await files.file_problem(reading, digest)
            cleared = await files.is_cleared(reading, digest)
        if cleared:
            await self._acknowledge(connection_id, mailbox_id)
            return
        if problem is not None and now < problem.at + _TRY_AGAIN:
            return
        ref = steps.FileRef(digest=digest, connection_id=connection_id)
        try:
            await self._outside.client.start_workflow(
                inbound.NAME,
                ref,
                id=inbound.workflow_id(digest),
                task_queue=self._outside.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                static_summary="file from the mailbox",
            )
        except WorkflowAlreadyStartedError:
            async with self._outside.database.reading() as reading:
                done = await files.is_acknowledged(reading, connection_id, digest)
            # The same bytes once more, or our acknowledgment was lost: they are dealt with.
            if done:
                await self._acknowledge(connection_id, mailbox_id)

    @performs(steps.ACKNOWLEDGE_FILE)
    async def acknowledge_file(self, file: steps.FileRef) -> steps.Recorded:
        """Everything in the file is dealt with: the mailbox need not keep it."""
        async with self._outside.database.reading() as reading:
            waiting = await files.unacknowledged(reading, file.connection_id, file.digest)
        try:
            for mailbox_id in waiting:
                await self._acknowledge(file.connection_id, mailbox_id)
        except Unreachable as error:
            raise later(error, "acknowledgment to the mailbox") from None
        return steps.Recorded()

    async def _acknowledge(self, connection_id: str, mailbox_id: str) -> None:
        await self._outside.clearinghouse.acknowledge(mailbox_id)
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            await files.record_acknowledged(tx, connection_id, mailbox_id, now)

    # --- what is in a file

    @performs(steps.READ_FILE)
    async def read_file(self, ref: steps.FileRef) -> steps.FileContents:
        """Count what a file holds. Its envelope faults go into the audit log, by their codes.

        A file without anything that can be read stays in the mailbox as a problem, and so does one
        whose envelope is damaged where payments may be hidden: who acknowledged it would lose them.
        """
        async with self._outside.database.reading() as reading:
            file = await files.read_file(reading, ref.digest)
        interchanges, problems = await asyncio.to_thread(x12.kinds, file.content)
        names = [one.name for interchange in interchanges for one in interchange.transactions]
        unexpected = [name for name in names if name not in (*_ACKNOWLEDGMENTS, _PAYMENT)]
        interchange_acknowledgments = sum(one.interchange_acknowledgments for one in interchanges)
        unreadable = not names and not interchange_acknowledgments
        stays = unreadable or (bool(problems) and _may_hold_payments(file.content, names))
        codes = sorted({problem.code for problem in problems} | set(unexpected))
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            if (problems or unexpected) and not await _is_noted(tx, ref.digest):
                await audit.record(
                    tx, now, "groupclaim", _PROBLEMS, ref.digest, {"codes": codes[:50]}
                )
            if stays:
                what = "unreadable" if unreadable else "payments_may_be_hidden"
                await self._stands_as_problem(tx, ref.digest, f"{what}: {', '.join(codes)}", now)
        return steps.FileContents(
            acknowledgments=sum(name in _ACKNOWLEDGMENTS for name in names)
            + interchange_acknowledgments,
            payments=names.count(_PAYMENT),
            problems=len(problems) + len(unexpected),
            stays=stays,
        )

    @performs(steps.REPORT_FILE)
    async def report_file(self, report: steps.FileProblem) -> steps.Recorded:
        """Part of a file could not be dealt with: it stands as a problem, and is tried again."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            await self._stands_as_problem(tx, report.digest, report.problem, now)
        return steps.Recorded()

    async def _stands_as_problem(
        self, tx: Transaction, digest: str, problem: str, now: datetime
    ) -> None:
        if await files.record_problem(tx, digest, problem, now):
            await audit.record(tx, now, "groupclaim", "alert", digest, {"problem": problem[:200]})

    # --- acknowledgments

    @performs(steps.ROUTE_ACKNOWLEDGMENTS)
    async def route_acknowledgments(self, ref: steps.FileRef) -> steps.Routed:
        """Keep every TA1, 999 and 277CA and tell batches and claims; what fits none is kept too."""
        database = self._outside.database
        async with database.reading() as reading:
            file = await files.read_file(reading, ref.digest)
        answers = await asyncio.to_thread(_answers, file.content)
        async with database.transaction() as tx:
            route = _Route(self._outside, tx, file, await practice_now(tx))
            for place, ta1 in enumerate(answers.interchanges, 1):
                await route.interchange(place, ta1)
            for place, group in enumerate(answers.groups, 1):
                await route.group(place, group)
            for report in answers.reports:
                await route.report(report)
        for batch_id, by, accepted in route.batches:
            await self._messages.tell_submission(batch_id, by, accepted=accepted)
        for told, event in route.news:
            signal = "ack_999" if event.by == "999" else "ack_277ca"
            await self._messages.tell_claim(told.claim.payer_key, told.claim_number, signal, event)
        return steps.Routed(
            claims=len(route.news), batches=len(route.batches), unmatched=route.unmatched
        )


@dataclass(frozen=True, slots=True)
class _Answers:
    interchanges: tuple[x12.InterchangeAcknowledgment, ...]
    groups: tuple[x12.GroupAcknowledgment, ...]
    reports: tuple[x12.ClaimAcknowledgmentReport, ...]


def _answers(content: bytes) -> _Answers:
    return _Answers(x12.read_ta1(content)[0], x12.read_999(content)[0], x12.read_277ca(content)[0])


async def _is_noted(tx: Transaction, digest: str) -> bool:
    """Whether an earlier reading of the same bytes has noted what is wrong with them."""
    return any(entry.action == _PROBLEMS for entry in await audit.entries(tx, digest))


def _may_hold_payments(content: bytes, names: Iterable[str]) -> bool:
    """Whether a damaged file is, or may have been, an 835: one is seen, or a payment's segments."""
    return _PAYMENT in names or any(name in content for name in _SEGMENTS_OF_PAYMENTS)


def _kind(content: bytes) -> str:
    """What a file is called in lists: its first transaction, ``TA1``, or ``unknown``."""
    interchanges, _ = x12.kinds(content)
    for interchange in interchanges:
        if interchange.transactions:
            return interchange.transactions[0].name[:10]
        if interchange.interchange_acknowledgments:
            return "TA1"
    return "unknown"


class _Route:
    """One file's acknowledgments: rows written, and who is to be told of them afterwards."""

    def __init__(self, outside: Outside, tx: Transaction, file: StoredFile, now: datetime) -> None:
        self._tx = tx
        self._file = file
        self._now = now
        self._deadlines = DeadlinesOf(outside, tx, file.connection_id)
        self._claims: dict[str, tuple[Told, ...]] = {}
        self.batches: list[tuple[str, str, bool]] = []
        self.news: list[tuple[Told, Acknowledged]] = []
        self.unmatched = 0

    async def interchange(self, place: int, ta1: x12.InterchangeAcknowledgment) -> None:
        batch = await batches.batch_of_interchange(
            self._tx, self._file.connection_id, ta1.interchange_control_number
        )
        accepted = ta1.code != "R"
        await self._keep("TA1", str(place), accepted, f"{ta1.code}:{ta1.note_code}", batch)
        if batch is None:
            return
        self.batches.append((batch.batch_id, "TA1", accepted))
        if not accepted:
            await sleep_until(self._tx, submission.workflow_id(batch.batch_id), None)
            await self._reject(batch, "999", "TA1", str(place), f"TA1:{ta1.note_code}")

    async def group(self, place: int, group: x12.GroupAcknowledgment) -> None:
        batch = None
        if group.functional_code == "HC":
            batch = await batches.batch_of_group(
                self._tx, self._file.connection_id, group.group_control_number
            )
        ours = next(
            (
                item
                for item in group.transactions
                if batch is not None and _same(item.control_number, batch.transaction_control)
            ),
            None,
        )
        status = ours.status if ours else group.status
        accepted = status in ("A", "E")
        await self._keep("999", str(place), accepted, f"{group.status}:{status}", batch)
        if batch is None:
            return
        await sleep_until(self._tx, submission.workflow_id(batch.batch_id), None)
        self.batches.append((batch.batch_id, "999", accepted))
        if not accepted:
            await self._reject(batch, "999", "999", str(place), f"999:{status}")
            return
        for told in await self._of(batch):
            expected = await self._deadlines.acknowledgment_277ca(told, self._now)
            due_at = told_before(self._now, expected)
            self.news.append(
                (
                    told,
                    Acknowledged(
                        at=self._now,
                        key=f"999:{self._file.digest[:16]}:{place}",
                        due_at=due_at,
                        by="999",
                        version=told.version,
                        accepted=True,
                    ),
                )
            )

    async def report(self, report: x12.ClaimAcknowledgmentReport) -> None:
        batch = await self._batch(report.batch_reference)
        place = report.control_number
        whole = (
            report.statuses
            if not report.accepted
            else next(
                (provider.statuses for provider in report.providers if not provider.accepted), None
            )
        )
        if whole is not None:
            cause = _cause(whole)
            await self._keep("277CA", place, False, cause, batch)
            if batch is not None:
                await self._reject(batch, "277CA", "277CA", place, cause)
            return
        for position, answer in enumerate(report.claims, 1):
            await self._claim(f"{place}|{position}", answer)

    async def _claim(self, place: str, answer: x12.ClaimAcknowledgment) -> None:
        told = await self._sent(answer.control_number)
        cause = _cause(answer.statuses)
        new = await batches.record_acknowledgment(
            self._tx,
            "277CA",
            self._file.digest,
            place,
            accepted=answer.accepted,
            codes=cause,
            received_at=self._now,
            claim_number=told.claim_number if told else None,
            version=told.version if told else None,
            payer_claim_number=answer.payer_claim_number or None,
        )
        if told is None:
            self.unmatched += 1
            return
        if answer.accepted and not answer.accepted_for_adjudication:
            return  # received or passed on: the payer's own answer is still to come
        if answer.accepted and new:
            await authorizations.consume(self._tx, told.claim_number, self._now)
        due_at = await self._deadlines.status_inquiry(told, self._now)
        self.news.append(
            (
                told,
                Acknowledged(
                    at=self._now,
                    key=f"277CA:{self._file.digest[:16]}:{place}",
                    due_at=due_at if answer.accepted else None,
                    by="277CA",
                    version=told.version,
                    accepted=answer.accepted,
                    cause=None if answer.accepted else cause,
                ),
            )
        )

    async def _keep(
        self,
        kind: Literal["TA1", "999", "277CA"],
        place: str,
        accepted: bool,
        codes: str,
        batch: Batch | None,
    ) -> None:
        await batches.record_acknowledgment(
            self._tx,
            kind,
            self._file.digest,
            place,
            accepted=accepted,
            codes=codes,
            received_at=self._now,
            batch_id=batch.batch_id if batch else None,
        )
        self.unmatched += batch is None

    async def _reject(
        self,
        batch: Batch,
        by: Literal["999", "277CA"],
        kind: Literal["TA1", "999", "277CA"],
        place: str,
        cause: str,
    ) -> None:
        """Every claim of the batch was refused with it."""
        for told in await self._of(batch):
            await batches.record_acknowledgment(
                self._tx,
                kind,
                self._file.digest,
                f"{place}|{told.control_number}",
                accepted=False,
                codes=cause,
                received_at=self._now,
                batch_id=batch.batch_id,
                claim_number=told.claim_number,
                version=told.version,
            )
            self.news.append(
                (
                    told,
                    Acknowledged(
                        at=self._now,
                        key=f"{kind}:{self._file.digest[:16]}:{place}",
                        by=by,
                        version=told.version,
                        accepted=False,
                        cause=cause,
                    ),
                )
            )

    async def _of(self, batch: Batch) -> tuple[Told, ...]:
        if batch.batch_id not in self._claims:
            self._claims[batch.batch_id] = await claims_told(self._tx, batch.batch_id)
        return self._claims[batch.batch_id]

    async def _batch(self, batch_id: str) -> Batch | None:
        try:
            return await batches.read_batch(self._tx, batch_id)
        except UnknownRecord:
            return None

    async def _sent(self, control_number: str) -> Told | None:
        sent = await batches.sent_claim(self._tx, control_number)
        if sent is None:
            return None
        batch = await batches.read_batch(self._tx, sent.batch_id)
        return next(item for item in await self._of(batch) if item.control_number == control_number)


def _same(number: str, other: str) -> bool:
    return number.lstrip("0") == other.lstrip("0")


def _cause(statuses: Iterable[x12.Status]) -> str:
    """``277CA:<category>:<status>`` of the status that decides: a rejecting one before others."""
    listed = list(statuses)
    decisive = next((item for item in listed if item.category not in _ACCEPTING), None)
    chosen = decisive or (listed[0] if listed else x12.Status("", ""))
    return f"277CA:{chosen.category}:{chosen.code}"


_ACCEPTING = frozenset({"A0", "A1", "A2", "A5"})
