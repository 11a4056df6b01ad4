"""A batch on its way out: bytes fixed once, sent once, and sent again only when proven absent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from activities import composing, steps
from activities.claims_told import DeadlinesOf, claims_told, known_claims
from activities.disclosure import record_disclosure
from activities.messages import Messages
from activities.on_file import later, outage
from activities.outside import Outside, performs
from activities.reading import changed_since_made
from groupclaim import x12
from groupclaim.clearinghouse.port import (
    DUPLICATE,
    Listing,
    NoAnswer,
    NotTaken,
    ReceivedInterchange,
    Unreachable,
)
from groupclaim.lifecycle.events import Acknowledged, FactLearned, OutsideEvent, Submitted
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import Fact
from groupclaim.model.claim import VOID, ClaimVersion
from groupclaim.model.facts import ClaimFacts
from groupclaim.model.finding import Finding, Severity
from groupclaim.rules.deadlines import told_before
from groupclaim.rules.denials import CLAIM_REFUSED
from groupclaim.rules.part2 import NOTICE, check_consent, notice_for
from groupclaim.store import batches, claims, files, practice, voids
from groupclaim.store.batches import Batch, BatchClaim
from groupclaim.store.clock import practice_now, sleep_until, timer_seconds
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.schema import claim_event
from workflows import submission

GRACE = timedelta(minutes=30)
"""How long after sending began a listing may still lack an interchange that was received."""

_LONGEST_REMINDER = timedelta(days=7)
_LOOKS_BEFORE = 3
"""How many looks come by when the 999 is late: for the TA1, shortly before, and then."""

_MOST_PROBLEMS = 20
_MEND = "Correct the named field."


class Submission:
    def __init__(self, outside: Outside, messages: Messages) -> None:
        self._outside = outside
        self._messages = messages

    @performs(steps.BUILD_BATCH)
    async def build_batch(self, ref: steps.BatchRef) -> steps.BuiltBatch:
        """Fix the bytes: those first built are the batch's for good.

        A claim that cannot be composed, or would not pass the outbound check, leaves the batch
        before that and is held; the others go. A batch of which none is left ends here.
        """
        database = self._outside.database
        async with database.reading() as reading:
            batch = await batches.read_batch(reading, ref.batch_id)
        if batch.state == "cut":
            composed = await self._compose(batch)
            async with database.transaction() as tx:
                batch = await self._fix(tx, batch, composed)
        await self._tell_taken_out(batch.batch_id)
        if batch.file_digest is None:
            return steps.BuiltBatch(digest="", claims=0, size=0)
        async with database.reading() as reading:
            file = await files.read_file(reading, batch.file_digest)
        return steps.BuiltBatch(digest=file.digest, claims=batch.claims, size=len(file.content))

    async def _compose(self, batch: Batch) -> _Composed:
        """The bytes with every claim that can be sent, and why the others cannot."""
        found: dict[str, x12.ProfessionalClaim] = {}
        refused: dict[str, tuple[Finding, ...]] = {}
        lapsed: dict[str, tuple[Finding, ...]] = {}
        async with self._outside.database.reading() as reading:
            connection = await practice.read_connection(reading, batch.connection_id)
            billing = await practice.read_practice(reading)
            now = await practice_now(reading)
            items = await batches.batch_claims(reading, batch.batch_id)
            rest_on_notes = []
            for item in items:
                version = await claims.read_version(reading, item.claim_number, item.version)
                facts = await practice.claim_facts(reading, item.claim_number)
                gone = await _no_longer_stands(reading, version, facts, now)
                if gone:
                    lapsed[item.control_number] = gone
                    continue
                found[item.control_number] = composing.professional_claim(version, billing)
                # What a later payer gets follows from what the first decided, not from the note.
                if version.frequency != VOID and version.payer_sequence == 1:
                    rest_on_notes.append((facts, version))
        changed = await changed_since_made(self._outside, rest_on_notes, now)
        for item in items:
            if item.control_number in found and item.claim_number in changed:
                del found[item.control_number]
                lapsed[item.control_number] = (_note_changed(item.claim_number),)
        numbers = {item.control_number: item.claim_number for item in items}

        def written(some: Sequence[str]) -> bytes:
            return composing.batch_bytes(
                composing.envelope(
                    connection,
                    billing,
                    int(batch.interchange_control),
                    int(batch.group_control),
                    batch.cut_at,
                    test=not self._outside.production,
                ),
                billing,
                [found[control_number] for control_number in some],
                int(batch.transaction_control),
                batch.batch_id,
            )

        faults = await asyncio.to_thread(_faults, written, tuple(found))
        for control_number, problems in faults.items():
            number = numbers[control_number]
            refused[control_number] = tuple(_refusal(number, *why) for why in problems)
        left = tuple(control_number for control_number in found if control_number not in faults)
        return _Composed(written(left) if left else None, refused, lapsed)

    async def _fix(self, tx: Transaction, batch: Batch, composed: _Composed) -> Batch:
        """Fix the bytes and take out what is not in them, unless somebody else has been first."""
        digest = None
        if composed.content is None:
            fixed = await batches.record_empty(tx, batch.batch_id)
        else:
            digest = await files.keep_file(
                tx,
                batch.connection_id,
                "outbound",
                "837",
                _file_name(batch),
                composed.content,
                batch.cut_at,
            )
            fixed = await batches.record_built(tx, batch.batch_id, digest)
        if fixed.file_digest != digest:
            return fixed
        now = await practice_now(tx)
        items = await batches.batch_claims(tx, batch.batch_id)
        for item in items:
            if item.control_number in composed.left_out:
                await self._take_out(tx, item, composed, now)
            else:
                version = await claims.read_version(tx, item.claim_number, item.version)
                if version.parties.note == NOTICE.text:
                    what = f"837 {batch.batch_id}"
                    await record_disclosure(tx, item.claim_number, version.parties.payer, what, now)
        await batches.take_out(tx, batch.batch_id, composed.left_out, now)
        return await batches.read_batch(tx, batch.batch_id)

    async def _take_out(
        self, tx: Transaction, item: BatchClaim, composed: _Composed, now: datetime
    ) -> None:
        """Say in the claim's own record what stands against it: making it anew replaces that."""
        findings = composed.left_out[item.control_number]
        lapsed = item.control_number in composed.lapsed
        await claims.replace_findings(tx, item.claim_number, steps.BUILD_CLAIM.name, findings, now)
        await claims.append_event(
            tx,
            item.claim_number,
            f"{_taken_out(item.batch_id)}{item.claim_number}",
            now,
            "taken_out",
            "groupclaim",
            {"batch": item.batch_id, "version": item.version, "lapsed": lapsed},
        )

    async def _tell_taken_out(self, batch_id: str) -> None:
        """Tell each claim that left the batch, also those that a dead attempt has not told."""
        async with self._outside.database.reading() as reading:
            rows = await reading.rows(
                select(claim_event.c.claim_number, claim_event.c.at, claim_event.c.detail)
                .where(claim_event.c.key.startswith(_taken_out(batch_id), autoescape=True))
                .order_by(claim_event.c.id)
            )
            known = await known_claims(reading, [row.claim_number for row in rows])
        for row in rows:
            told = known[row.claim_number]
            if row.detail["lapsed"]:
                fact = FactLearned(at=row.at, key=f"left_behind:{batch_id}", fact=Fact.LEFT_BEHIND)
                await self._messages.tell_claim(
                    told.payer_key, told.state.claim_number, "fact", fact
                )
                continue
            event = Acknowledged(
                at=row.at,
                key=f"taken_out:{batch_id}",
                by="999",
                version=row.detail["version"],
                accepted=False,
                cause=CLAIM_REFUSED,
            )
            await self._messages.tell_claim(
                told.payer_key, told.state.claim_number, "ack_999", event
            )

    @performs(steps.SEND_BATCH)
    async def send_batch(self, ref: steps.BatchRef) -> steps.Sent:
        """Send once. Where an earlier sending has begun and its outcome is not known, send nothing.

        That sending begins stands in the store before the first byte leaves.
        """
        database = self._outside.database
        async with database.transaction() as tx:
            now = await practice_now(tx)
            may_send = await batches.begin_send(tx, ref.batch_id, now, now + GRACE)
            batch = await batches.read_batch(tx, ref.batch_id)
            if not may_send:
                return await self._outcome_so_far(tx, batch, now)
            file = await files.read_file(tx, batch.file_digest or "")
        try:
            answer = await self._outside.clearinghouse.send_batch(file.name, file.content)
        except NotTaken as error:
            return await self._not_taken(batch, error)
        except NoAnswer:
            async with database.transaction() as tx:
                return await self._outcome_so_far(
                    tx, await batches.read_batch(tx, ref.batch_id), await practice_now(tx)
                )
        async with database.transaction() as tx:
            return await self._accepted(tx, batch, answer.receipt)

    async def _not_taken(self, batch: Batch, error: NotTaken) -> steps.Sent:
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            current = await batches.read_batch(tx, batch.batch_id)
            if error.reason == DUPLICATE or current.sends != batch.sends:
                # It has an interchange with our number: a listing says whether it is this one.
                return await self._outcome_so_far(tx, current, now)
            if error.final:
                await batches.record_refused(tx, batch.batch_id, now, error.reason)
                await sleep_until(tx, submission.workflow_id(batch.batch_id), None)
                return steps.Sent(outcome="refused", next_at=now, timer_seconds=None)
            if current.state == "sending":
                await batches.record_in_doubt(tx, batch.batch_id, now, None)
            await batches.record_absent(tx, batch.batch_id)
        await self._tell_outage(batch, "its clearinghouse takes it")
        raise later(error, "the batch was not taken")

    async def _tell_outage(self, batch: Batch, missing: str) -> None:
        """Where the clearinghouse has not been reached for long, each claim of the batch says so:
        once at first and once each day."""
        failing = outage()
        if failing is None:
            return
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            for item in await batches.batch_claims(tx, batch.batch_id):
                await claims.append_event(
                    tx,
                    item.claim_number,
                    f"outage|{batch.batch_id}|{failing.days}|{item.claim_number}",
                    now,
                    "alert",
                    "groupclaim",
                    {"missing": missing, "batch": batch.batch_id, "level": failing.days + 1},
                )

    async def _outcome_so_far(self, tx: Transaction, batch: Batch, now: datetime) -> steps.Sent:
        """What is known of a batch whose sending has begun before."""
        if batch.state == "refused":
            return steps.Sent(outcome="refused", next_at=now, timer_seconds=None)
        if batch.state == "accepted":
            next_at = batch.next_at or now
            outcome = "accepted"
        else:
            next_at = max(batch.grace_until or now, now)
            outcome = "in_doubt"
            if batch.state == "sending":
                await batches.record_in_doubt(tx, batch.batch_id, now, next_at)
        return steps.Sent.model_validate(
            {
                "outcome": outcome,
                "next_at": next_at,
                "timer_seconds": await self._sleep(tx, batch, next_at),
            }
        )

    async def _accepted(self, tx: Transaction, batch: Batch, answer: str) -> steps.Sent:
        """The clearinghouse has it: the claims are charged, TA1 and 999 are expected."""
        now = await practice_now(tx)
        next_at = (await self._acknowledgments_due(tx, batch, now)).first
        await batches.record_accepted(tx, batch.batch_id, now, next_at, answer)
        return steps.Sent(
            outcome="accepted",
            next_at=next_at,
            timer_seconds=await self._sleep(tx, batch, next_at),
        )

    async def _sleep(self, tx: Transaction, batch: Batch, until: datetime) -> float | None:
        await sleep_until(tx, submission.workflow_id(batch.batch_id), until)
        return await timer_seconds(tx, until)

    async def _acknowledgments_due(
        self, reading: Reading, batch: Batch, sent_at: datetime
    ) -> _Expected:
        """By when TA1 and 999 should be there: the 999 when any claim of the batch should have
        its own."""
        told = await claims_told(reading, batch.batch_id)
        deadlines = DeadlinesOf(self._outside, reading, batch.connection_id)
        by_999 = min([await deadlines.acknowledgment_999(item, sent_at) for item in told])
        return _Expected(
            ta1=min(await deadlines.acknowledgment_ta1(sent_at), by_999),
            alert=told_before(sent_at, by_999),
            by_999=by_999,
        )

    @performs(steps.RECONCILE_BATCH)
    async def reconcile_batch(self, ref: steps.BatchRef) -> steps.Reconciled:
        """Was the batch received? Absence needs a listing taken after the grace period, and that no
        TA1 or 999 has been seen; then the same bytes may go again."""
        database = self._outside.database
        async with database.transaction() as tx:
            now = await practice_now(tx)
            batch = await batches.read_batch(tx, ref.batch_id)
            known = await self._known(tx, batch, now)
            if known is not None:
                return known
            file_digest = batch.file_digest
            sender_id = (await practice.read_connection(tx, batch.connection_id)).sender_id
        try:
            listing = await self._outside.clearinghouse.list_batches()
        except Unreachable as error:
            await self._tell_outage(batch, "a listing says whether it arrived")
            raise later(error, "listing") from None
        listed = _listed(listing, sender_id, batch)
        if listed is not None and listed.sha256 != file_digest:
            raise ApplicationError(
                "the clearinghouse holds other bytes under our control number",
                type="ControlNumberConflict",
                next_retry_delay=GRACE,
            )
        async with database.transaction() as tx:
            now = await practice_now(tx)
            batch = await batches.read_batch(tx, ref.batch_id)
            known = await self._known(tx, batch, now)
            if known is not None:
                return known
            if listed is not None:
                sent = await self._accepted(tx, batch, "listed")
                return _reconciled("received", sent)
            grace_until = batch.grace_until or now
            if listing.taken_at < grace_until:
                next_at = now + (grace_until - listing.taken_at)
                return steps.Reconciled(
                    outcome="unknown",
                    next_at=next_at,
                    timer_seconds=await self._sleep(tx, batch, next_at),
                )
            await batches.record_absent(tx, batch.batch_id)
            await sleep_until(tx, submission.workflow_id(batch.batch_id), None)
            return steps.Reconciled(outcome="absent", next_at=now, timer_seconds=None)

    async def _known(self, tx: Transaction, batch: Batch, now: datetime) -> steps.Reconciled | None:
        """The answer where no listing is needed."""
        if batch.state == "accepted":
            return _reconciled("received", await self._outcome_so_far(tx, batch, now))
        if batch.state == "built":
            return steps.Reconciled(outcome="absent", next_at=now, timer_seconds=None)
        if await batches.was_acknowledged(tx, batch.batch_id):
            return _reconciled("received", await self._accepted(tx, batch, "acknowledged"))
        if now < (batch.grace_until or now):
            sent = await self._outcome_so_far(tx, batch, now)
            return _reconciled("unknown", sent)
        return None

    @performs(steps.ANNOUNCE_BATCH)
    async def announce_batch(self, announce: steps.Announce) -> steps.Announced:
        """Tell each claim of the batch that it was taken, or that it was refused with the whole."""
        async with self._outside.database.reading() as reading:
            now = await practice_now(reading)
            told = await claims_told(reading, announce.batch_id)
            batch = await batches.read_batch(reading, announce.batch_id)
            deadlines = DeadlinesOf(self._outside, reading, batch.connection_id)
            due = [await deadlines.acknowledgment_999(item, now) for item in told]
        for item, due_at in zip(told, due, strict=True):
            event: OutsideEvent
            if announce.accepted:
                signal, event = (
                    "submitted",
                    Submitted(
                        at=now,
                        key=f"submitted:{announce.batch_id}",
                        due_at=due_at,
                        version=item.version,
                    ),
                )
            else:
                signal, event = (
                    "ack_999",
                    Acknowledged(
                        at=now,
                        key=f"refused:{announce.batch_id}",
                        by="999",
                        version=item.version,
                        accepted=False,
                        cause="refused",
                    ),
                )
            await self._messages.tell_claim(item.claim.payer_key, item.claim_number, signal, event)
        return steps.Announced(claims=len(told))

    @performs(steps.FOLLOW_UP_BATCH)
    async def follow_up_batch(self, alert: steps.BatchAlert) -> steps.NextLook:
        """TA1 or 999 is not there: every claim of the batch says so, first while it is only
        expected and then that it is late; it is looked at again later."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            batch = await batches.read_batch(tx, alert.batch_id)
            expected = await self._acknowledgments_due(tx, batch, batch.sent_at or now)
            late = now >= expected.by_999
            detail: dict[str, str | int] | None = {"missing": "999", "level": alert.follow_ups}
            if not late:
                detail = {"expected": "999", "by": expected.by_999.isoformat(), "level": 0}
                if now < expected.alert:
                    taken = await batches.was_acknowledged(tx, alert.batch_id)
                    detail = None if taken else {**detail, "missing": "TA1"}
            if detail is not None:
                for item in await batches.batch_claims(tx, alert.batch_id):
                    await claims.append_event(
                        tx,
                        item.claim_number,
                        f"alert|{alert.batch_id}|{alert.follow_ups}|{item.claim_number}",
                        now,
                        "alert",
                        "groupclaim",
                        {"batch": alert.batch_id, **detail},
                    )
            days = timedelta(days=2 ** min(max(alert.follow_ups - _LOOKS_BEFORE, 0), 3))
            due_at = now + min(days, _LONGEST_REMINDER) if late else expected.after(now)
            return steps.NextLook(due_at=due_at, timer_seconds=await self._sleep(tx, batch, due_at))


@dataclass(frozen=True, slots=True)
class _Expected:
    """When TA1 and 999 of a batch should be there, and when people are told of the 999 before."""

    ta1: datetime
    alert: datetime
    by_999: datetime

    @property
    def first(self) -> datetime:
        return min(self.ta1, self.alert)

    def after(self, now: datetime) -> datetime:
        """The next of them; the last is still to come."""
        return min(at for at in (self.ta1, self.alert, self.by_999) if at > now)


@dataclass(frozen=True, slots=True)
class _Composed:
    """``content`` is None when no claim of the batch can be sent. By CLM01, why others are left
    out: ``refused`` cannot be sent as they are, ``lapsed`` must be checked anew."""

    content: bytes | None
    refused: dict[str, tuple[Finding, ...]]
    lapsed: dict[str, tuple[Finding, ...]]

    @property
    def left_out(self) -> dict[str, tuple[Finding, ...]]:
        return {**self.refused, **self.lapsed}


async def _no_longer_stands(
    reading: Reading, version: ClaimVersion, facts: ClaimFacts, now: datetime
) -> tuple[Finding, ...]:
    """What has changed since the claim was made, so that it may not leave like this: consent under
    42 CFR Part 2 withdrawn or ended, a waiver that has ended, a review opened beside it, somebody
    who was not there after all. One that takes an earlier claim back tells the payer nothing new:
    it stands."""
    if version.frequency == VOID:
        return ()
    number = version.claim_number
    facts = facts.model_copy(update={"payer": version.parties.payer})
    zone = ZoneInfo(facts.practice.time_zone)
    found = [*check_consent(facts, now.astimezone(zone).date())]
    if notice_for(facts) is not None and version.parties.note != NOTICE.text:
        found.append(
            Finding(
                rule="part2_notice_missing",
                severity=Severity.BLOCK,
                sentence="The records have become substance-use records since the claim was made: "
                "it lacks the notice that goes with them.",
                fix="The claim is made anew.",
                evidence=(number,),
                hold="PART2_CONSENT",
            )
        )
    reason = await voids.unbillable_reason(reading, number)
    if reason is not None:
        found.append(
            Finding(
                rule="no_longer_billable",
                severity=Severity.BLOCK,
                sentence=f"Nothing can be billed any more: {reason}.",
                fix="Nothing: the claim has not been sent.",
                evidence=(number,),
            )
        )
    state = await claims.load_state(reading, number)
    found += [
        Finding(
            rule="waiver_ended",
            severity=Severity.BLOCK,
            sentence=f"The waiver of {code} ended before the batch was made.",
            fix="The claim is checked anew; waive again with a later end if that is right.",
            evidence=(number,),
            hold=code,
            releasable=True,
        )
        for code, until in state.waived_until.items()
        if until <= now
    ]
    if state.hold is not None and HOLDS[state.hold.code].redo is None:
        found.append(
            Finding(
                rule="held_while_ready",
                severity=Severity.BLOCK,
                sentence=f"The claim was held ({state.hold.code}) while it waited for the batch.",
                fix=HOLDS[state.hold.code].repair,
                evidence=(number,),
                hold=state.hold.code,
                releasable=True,
            )
        )
    return tuple(found)


def _note_changed(claim_number: str) -> Finding:
    return Finding(
        rule="note_changed_since_made",
        severity=Severity.BLOCK,
        sentence="The note is not the text that was checked and that the claim was made with.",
        fix="The note is checked anew; a text changed under its signature is signed again.",
        evidence=(claim_number,),
        hold="NOTE_UNSIGNED",
    )


_Why = tuple[str, str, str]
"""The rule, what is wrong and how it is mended."""


def _faults(
    written: Callable[[Sequence[str]], bytes], some: tuple[str, ...]
) -> dict[str, tuple[_Why, ...]]:
    """What stands against those of ``some`` that cannot be sent with the others, by CLM01.

    The whole is looked at first: as a rule that is all. Claims that each pass alone and do not
    together are all refused, so that no batch waits for an engineer.
    """
    problems = _problems(written, some) if some else ()
    if not problems:
        return {}
    if len(some) == 1:
        return {some[0]: problems}
    half = len(some) // 2
    faults = {**_faults(written, some[:half]), **_faults(written, some[half:])}
    rest = tuple(item for item in some if item not in faults)
    if rest and (problems := _problems(written, rest)):
        faults |= dict.fromkeys(rest, problems)
    return faults


def _problems(written: Callable[[Sequence[str]], bytes], some: Sequence[str]) -> tuple[_Why, ...]:
    try:
        found = x12.check_outbound(written(some))
    except x12.X12WriteError as error:
        return tuple(("unwritable", problem, _MEND) for problem in error.problems[:_MOST_PROBLEMS])
    return tuple(
        (
            problem.code,
            f"{problem.loop} {problem.element or problem.segment}: {problem.text}.".lstrip(),
            problem.repair or _MEND,
        )
        for problem in found[:_MOST_PROBLEMS]
    )


def _refusal(claim_number: str, rule: str, sentence: str, fix: str) -> Finding:
    return Finding(
        rule=f"outbound:{rule}",
        severity=Severity.BLOCK,
        sentence=sentence,
        fix=fix,
        evidence=(claim_number,),
        hold=CLAIM_REFUSED,
    )


def _taken_out(batch_id: str) -> str:
    """How the keys of the timeline's entries begin that say who left a batch."""
    return f"taken_out|{batch_id}|"


def _file_name(batch: Batch) -> str:
    return f"837P-{batch.interchange_control}.edi"


def _listed(listing: Listing, sender_id: str, batch: Batch) -> ReceivedInterchange | None:
    number = int(batch.interchange_control)
    return next(
        (
            item
            for item in listing.interchanges
            if item.sender_id == sender_id
            and item.control_number.isdecimal()
            and int(item.control_number) == number
        ),
        None,
    )


def _reconciled(outcome: str, sent: steps.Sent) -> steps.Reconciled:
    return steps.Reconciled.model_validate(
        {"outcome": outcome, "next_at": sent.next_at, "timer_seconds": sent.timer_seconds}
    )
