"""The clearinghouse's state: what it accepted, what lies in the mailbox and what will come next.

Everything is derived from the accepted interchanges, the payers' file and the clock, so a restarted
simulator rebuilds it by replaying its raw log. Names, numbers and payments come from the content of
claims and the seed: the order of arrival leaves no trace in them.
"""

import hashlib
import json
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import count

from groupclaim.simulator.adjudicator import (
    WRONG_PAYER,
    ClaimDecision,
    History,
    Refusal,
    adjudicate,
    admit,
)
from groupclaim.simulator.clock import DrivenClock, WallClock
from groupclaim.simulator.raw_log import Channel, Direction, Entry, Outcome, RawLog
from groupclaim.simulator.transactions import (
    AcceptedClaim,
    Batch,
    ClaimStatus,
    Correspondent,
    Payee,
    SubmittedClaim,
    UnreadableInterchange,
    acknowledge_claims,
    acknowledge_interchange,
    acknowledge_transactions,
    answer_inquiry,
    claim_to_adjudicate,
    read_batch,
    read_inquiry,
    remit,
)
from groupclaim.simulator.world import Payer, World

__all__ = [
    "Clearinghouse",
    "DuplicateInterchange",
    "MailboxFile",
    "ReceivedInterchange",
    "UnknownFile",
    "UnreadableInterchange",
]

_ACKNOWLEDGED_AFTER = timedelta(minutes=15)  # TA1 and 999
_REMITTANCE_HOUR = time(6, tzinfo=UTC)


class DuplicateInterchange(ValueError):
    """An interchange of that sender with that control number was accepted before."""


class UnknownFile(LookupError):
    """The mailbox holds no such file now."""


@dataclass(frozen=True, slots=True)
class ReceivedInterchange:
    """An accepted interchange, as the listing shows it."""

    control_number: str
    sender_id: str
    name: str
    sha256: str
    received_at: datetime
    receipt: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MailboxFile:
    """A file for the practice, there from `created_at` until it is acknowledged."""

    id: str
    name: str
    content: bytes
    created_at: datetime
    rank: int

    @property
    def sha256(self) -> str:
        """Digest of the exact bytes."""
        return hashlib.sha256(self.content).hexdigest()

    def delivery_order(self) -> tuple[datetime, int, str]:
        """Sort key: by time, then TA1, 999, 277CA, 835, then name."""
        return self.created_at, self.rank, self.name.removesuffix(".edi")


class Clearinghouse:
    """One clearinghouse with the payers behind it. All methods may be called from any thread."""

    def __init__(
        self,
        world: World,
        log: RawLog,
        clock: DrivenClock | WallClock,
        *,
        accept_everything: bool = False,
    ) -> None:
        """Rebuild the state from the log; a driven clock is moved up to its last entry."""
        self._world = world
        self._log = log
        self._clock = clock
        self.accept_everything = accept_everything
        self._lock = threading.Lock()
        self._received: list[ReceivedInterchange] = []
        self._copies: Counter[tuple[str, str]] = Counter()
        self._claim_copies: Counter[str] = Counter()
        self._files: dict[str, MailboxFile] = {}
        self._acknowledged: set[str] = set()
        self._awaiting: dict[str, dict[date, list[AcceptedClaim]]] = {
            payer.payer_id: defaultdict(list) for payer in world.payers
        }
        self._histories: dict[str, History] = {payer.payer_id: History() for payer in world.payers}
        for entry in log.entries():
            self._replay(entry)
            if isinstance(clock, DrivenClock) and entry.at > clock.now():
                clock.advance(entry.at)

    # --- from the practice --------------------------------------------------------------------

    def receive(
        self, name: str, content: bytes, *, answer_lost: bool = False
    ) -> ReceivedInterchange:
        """Accept one 837P interchange; `answer_lost` only changes what the log says.

        Raises UnreadableInterchange or DuplicateInterchange; both refusals are logged.
        """
        with self._lock:
            now = self._clock.now()
            try:
                batch = read_batch(content)
                key = (batch.correspondent.practice_id, batch.control_number)
                if self._copies[key] and not self.accept_everything:
                    raise DuplicateInterchange
            except (UnreadableInterchange, DuplicateInterchange):
                self._write(now, "received", "batch", name, "refused", content)
                raise
            outcome: Outcome = "accepted_answer_lost" if answer_lost else "accepted"
            self._write(now, "received", "batch", name, outcome, content)
            return self._accept(name, content, batch, now)

    def inquire(self, content: bytes, *, answer_lost: bool = False) -> bytes:
        """Answer one 270 interchange. Raises UnreadableInterchange; everything is logged."""
        with self._lock:
            now = self._clock.now()
            digest = hashlib.sha256(content).hexdigest()
            number = self._number("271", digest, now.isoformat())
            try:
                inquiry = read_inquiry(content)
                answer = answer_inquiry(inquiry, self._world, now, number)
            except UnreadableInterchange:
                self._write(now, "received", "eligibility", "270.edi", "refused", content)
                raise
            name = f"270-{inquiry.control_number}.edi"
            outcome: Outcome = "accepted_answer_lost" if answer_lost else "accepted"
            self._write(now, "received", "eligibility", name, outcome, content)
            if not answer_lost:
                name = f"271-{inquiry.control_number}.edi"
                self._write(now, "sent", "eligibility", name, "answered", answer)
            return answer

    def interchanges(self) -> tuple[datetime, tuple[ReceivedInterchange, ...]]:
        """Every accepted interchange, and the instant of this listing."""
        with self._lock:
            return self._clock.now(), tuple(self._received)

    def mailbox(self) -> tuple[MailboxFile, ...]:
        """The files that are there and not acknowledged, in the order of delivery."""
        with self._lock:
            return self._present(self._clock.now())

    def download(self, file_id: str) -> bytes:
        """The bytes of a file; logged as delivered. Raises UnknownFile."""
        with self._lock:
            now = self._clock.now()
            for file in self._present(now):
                if file.id == file_id:
                    self._write(now, "sent", "mailbox", file.name, "delivered", file.content)
                    return file.content
            raise UnknownFile

    def acknowledge(self, file_id: str) -> None:
        """Remove a file for good; a second time changes nothing. Raises UnknownFile."""
        with self._lock:
            if file_id in self._acknowledged:
                return
            now = self._clock.now()
            for file in self._present(now):
                if file.id == file_id:
                    self._write(now, "received", "mailbox", file.name, "accepted", b"")
                    self._forget(file.name)
                    return
            raise UnknownFile

    # --- from whoever drives the simulation ---------------------------------------------------

    def next_delivery_at(self) -> datetime | None:
        """The next instant at which something new appears in the mailbox."""
        with self._lock:
            now = self._clock.now()
            self._settle(now)
            instants = [file.created_at for file in self._files.values() if file.created_at > now]
            instants += [_remitted_at(day) for days in self._awaiting.values() for day in days]
            return min(instants, default=None)

    def repeat_newest_file(self) -> tuple[MailboxFile, ...]:
        """Deliver the mailbox's newest file once more, as another file; the mailbox with it."""
        with self._lock:
            now = self._clock.now()
            newest = self._present(now)[-1:]
            for file in newest:
                self._add(self._unused(file.name), file.content, now, file.rank)
            return self._present(now)

    def add_garbage_file(self) -> tuple[MailboxFile, ...]:
        """Deliver a file that begins like X12 and is none; the mailbox with it."""
        with self._lock:
            now = self._clock.now()
            name = self._unused("garbage.edi")
            noise = hashlib.shake_256(self._digest("garbage", name).encode()).digest(300)
            self._add(name, b"ISA*00*" + noise, now, rank=9)
            return self._present(now)

    # --- the state ----------------------------------------------------------------------------

    def _replay(self, entry: Entry) -> None:
        if entry.direction != "received" or entry.outcome == "refused":
            return
        if entry.channel == "batch":
            self._accept(entry.name, entry.body, read_batch(entry.body), entry.at)
        elif entry.channel == "mailbox":
            self._forget(entry.name)

    def _accept(
        self, name: str, content: bytes, batch: Batch, now: datetime
    ) -> ReceivedInterchange:
        """Take an interchange in and plan everything that follows from it."""
        key = (batch.correspondent.practice_id, batch.control_number)
        self._copies[key] += 1
        receipt = self._digest("receipt", *key, str(self._copies[key]))[:16]
        received = ReceivedInterchange(
            control_number=batch.control_number,
            sender_id=batch.correspondent.practice_id,
            name=name,
            sha256=hashlib.sha256(content).hexdigest(),
            received_at=now,
            receipt=receipt,
            content=content,
        )
        self._received.append(received)
        soon = now + _ACKNOWLEDGED_AFTER
        stem = f"{batch.control_number}-{receipt[:8]}.edi"
        ta1, x999 = f"TA1-{stem}", f"999-{stem}"
        self._add(ta1, acknowledge_interchange(batch, soon, self._number(ta1)), soon, rank=0)
        if batch.transactions:
            content = acknowledge_transactions(batch, soon, self._number(x999))
            self._add(x999, content, soon, rank=1)
        self._submit(batch, now, stem)
        return received

    def _submit(self, batch: Batch, now: datetime, stem: str) -> None:
        """Hand the claims to their payers: queue what will be paid, plan the 277CA files."""
        for position, transaction in enumerate(batch.transactions, start=1):
            if transaction.record is None:
                continue
            by_payer: dict[str, list[ClaimStatus]] = defaultdict(list)
            for submitted in transaction.claims:
                payer = self._world.payer(submitted.source.payer.payer_id)
                by_payer["" if payer is None else payer.payer_id].append(
                    self._admit(payer, submitted, batch.correspondent, now.date())
                )
            for payer_id, statuses in sorted(by_payer.items()):
                payer = self._world.payer(payer_id)
                delay = (
                    _ACKNOWLEDGED_AFTER
                    if payer is None
                    else timedelta(hours=payer.acknowledges_after_hours)
                )
                at = now + delay
                name = f"277CA-{payer_id or 'UNROUTED'}-{position}-{stem}"
                content = acknowledge_claims(
                    batch.correspondent,
                    transaction.record,
                    payer,
                    statuses,
                    now.date(),
                    at,
                    self._number(name),
                )
                self._add(name, content, at, rank=2)

    def _admit(
        self,
        payer: Payer | None,
        submitted: SubmittedClaim,
        correspondent: Correspondent,
        received_on: date,
    ) -> ClaimStatus:
        """One claim at its payer's front door; what is admitted waits for its payment date."""
        if payer is None:
            return ClaimStatus(submitted, "", WRONG_PAYER)
        claim = submitted.source
        admitted = admit(payer, claim.subscriber.member_id, claim.frequency, received_on)
        if isinstance(admitted, Refusal):
            return ClaimStatus(submitted, "", admitted)
        number = self._claim_number(payer, submitted)
        payee = Payee(correspondent, submitted.billing_provider.npi)
        self._awaiting[payer.payer_id][received_on + timedelta(days=payer.pays_after_days)].append(
            AcceptedClaim(
                claim_to_adjudicate(submitted, admitted, number), submitted, payee, received_on
            )
        )
        return ClaimStatus(submitted, number, None)

    def _claim_number(self, payer: Payer, submitted: SubmittedClaim) -> str:
        """The payer's own number: from the claim's content, and its turn among identical copies."""
        content = self._digest("claim", payer.payer_id, *submitted.content())
        self._claim_copies[content] += 1
        return "P" + self._digest(content, str(self._claim_copies[content]))[:14].upper()

    def _settle(self, now: datetime) -> None:
        """Pay what is due. Nothing can be received any more for a payment date that has begun."""
        for payer in self._world.payers:
            days = self._awaiting[payer.payer_id]
            for day in sorted(day for day in days if _remitted_at(day) <= now):
                accepted = {one.claim.payer_claim_number: one for one in days.pop(day)}
                decisions, history = adjudicate(
                    payer,
                    self._histories[payer.payer_id],
                    [one.claim for one in accepted.values()],
                )
                self._histories[payer.payer_id] = history
                payments: dict[Payee, list[tuple[AcceptedClaim, ClaimDecision]]] = {}
                for decision in decisions:
                    one = accepted[decision.claim.payer_claim_number]
                    payments.setdefault(one.payee, []).append((one, decision))
                for payee, decided in payments.items():
                    self._pay(payer, day, payee, decided)

    def _pay(
        self,
        payer: Payer,
        day: date,
        payee: Payee,
        decided: list[tuple[AcceptedClaim, ClaimDecision]],
    ) -> None:
        """Deliver one payment in as many files as the world asks for."""
        at = _remitted_at(day)
        ends = payee.correspondent
        digest = self._digest(
            "payment",
            payer.payer_id,
            day.isoformat(),
            payee.npi,
            *(ends.practice_qualifier, ends.practice_id),
            *(ends.clearinghouse_qualifier, ends.clearinghouse_id, str(ends.test)),
        )
        trace = f"{day:%Y%m%d}{digest[:8].upper()}"
        for copy in range(1, payer.copies_of(day) + 1):
            name = f"835-{payer.payer_id}-{trace}-{copy}.edi"
            content = remit(payer, payee, day, trace, decided, at, self._number(name))
            self._add(name, content, at, rank=3)

    def _present(self, now: datetime) -> tuple[MailboxFile, ...]:
        self._settle(now)
        there = [file for file in self._files.values() if file.created_at <= now]
        return tuple(sorted(there, key=MailboxFile.delivery_order))

    def _add(self, name: str, content: bytes, created_at: datetime, rank: int) -> None:
        file_id = self._file_id(name)
        if file_id not in self._acknowledged:
            self._files[file_id] = MailboxFile(file_id, name, content, created_at, rank)

    def _forget(self, name: str) -> None:
        file_id = self._file_id(name)
        self._acknowledged.add(file_id)
        self._files.pop(file_id, None)

    def _unused(self, name: str) -> str:
        """The name with the first number under which no file was ever in the mailbox."""
        stem, _, ending = name.rpartition(".")
        candidates = (f"{stem}-again{number}.{ending}" for number in count(2))
        used = {*self._files, *self._acknowledged}
        return next(name for name in candidates if self._file_id(name) not in used)

    def _file_id(self, name: str) -> str:
        return self._digest("file", name)[:20]

    def _number(self, *content: str) -> int:
        """A control number of up to nine digits that belongs to that content."""
        return int(self._digest("number", *content)[:12], 16) % 999_999_999 + 1

    def _digest(self, *content: str) -> str:
        """Hexadecimal digest of the seed and that content."""
        parts = json.dumps([self._world.seed, *content])
        return hashlib.sha256(parts.encode()).hexdigest()

    def _write(
        self,
        at: datetime,
        direction: Direction,
        channel: Channel,
        name: str,
        outcome: Outcome,
        body: bytes,
    ) -> None:
        self._log.append(Entry(at, direction, channel, name, outcome, body))


def _remitted_at(day: date) -> datetime:
    return datetime.combine(day, _REMITTANCE_HOUR)
