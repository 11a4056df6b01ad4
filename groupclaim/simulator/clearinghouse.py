"""The clearinghouse's state: what it accepted, what lies in the mailbox and what will come next.

Everything is derived from the accepted interchanges, the payers' file and the clock, so a restarted
simulator rebuilds it by replaying its raw log. Names, numbers and payments come from the content of
claims and the seed: the order of arrival leaves no trace in them.
"""

import hashlib
import json
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count

from groupclaim.simulator.adjudicator import (
    VOID,
    WRONG_PAYER,
    ClaimDecision,
    History,
    Refusal,
    adjudicate,
    admit,
    take_back,
    void,
)
from groupclaim.simulator.clock import DrivenClock, WallClock
from groupclaim.simulator.inquiries import (
    ClaimOnRecord,
    Inquiry,
    Reviewed,
    answer_eligibility,
    answer_review,
    answer_status,
    find_member,
    read_eligibility,
    read_review,
    read_status,
    refuse_review,
)
from groupclaim.simulator.raw_log import Channel, Direction, Entry, Outcome, RawLog
from groupclaim.simulator.transactions import (
    AcceptedClaim,
    Batch,
    ClaimStatus,
    Correspondent,
    Payee,
    SubmittedClaim,
    UnreadableInterchange,
    Withheld,
    acknowledge_claims,
    acknowledge_interchange,
    acknowledge_transactions,
    claim_to_adjudicate,
    read_batch,
    remit,
)
from groupclaim.simulator.world import Member, Payer, Reversal, World
from groupclaim.x12 import AuthorizationRequest, Status, StatusInformation

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

# Claim status category and code of a 277 (domain reference section 7).
_RECEIVED, _ACCEPTED, _IN_PROCESS = Status("A1", "19", "PR"), Status("A2", "20"), Status("P1", "45")
_PAID, _DENIED, _REVISED = Status("F1", "65"), Status("F2", "585"), Status("F3", "65")
_NOTHING_TO_PAY = Status("F4", "65")


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


@dataclass(frozen=True, slots=True)
class _Record:
    """A claim that reached its payer, admitted or not."""

    payer_id: str
    received_at: datetime
    status: ClaimStatus

    @property
    def submitted(self) -> SubmittedClaim:
        return self.status.submitted


@dataclass(frozen=True, slots=True)
class _Answered:
    """The payer's last word on a claim it admitted, and the payment that carried it."""

    accepted: AcceptedClaim
    decision: ClaimDecision
    paid_on: date
    trace: str

    @property
    def payer_claim_number(self) -> str:
        """The payer's number for this answer: a correction has one of its own."""
        return self.decision.claim.payer_claim_number

    def status(self) -> StatusInformation:
        """Category and figures (domain reference section 7); one that is reversed and not
        corrected waits for its new decision."""
        decision = self.decision
        if decision.is_reversal:
            return StatusInformation((_IN_PROCESS,), self.paid_on)
        if decision.denied:
            said = _DENIED
        elif decision.supersedes:
            said = _REVISED
        else:
            said = _PAID if decision.paid_cents else _NOTHING_TO_PAY
        return StatusInformation(
            (said,),
            self.paid_on,
            paid_cents=decision.paid_cents,
            adjudicated_on=self.paid_on,
            paid_on=self.paid_on,
            payment_trace=self.trace,
        )


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
        self._records: list[_Record] = []
        self._answers: dict[str, _Answered] = {}
        self._reversals_due: dict[str, list[Reversal]] = {
            payer.payer_id: list(payer.reversals) for payer in world.payers
        }
        self._announced: set[tuple[str, int]] = set()
        self._owed: dict[tuple[str, Payee], list[Withheld]] = defaultdict(list)
        self._requests: set[tuple[str, str]] = set()
        self._reviews: dict[tuple[str, str], datetime] = {}
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

        def answered(now: datetime, number: int) -> tuple[str, bytes]:
            inquiry = read_eligibility(content)
            answer = answer_eligibility(inquiry, self._world, now, number)
            return inquiry.control_number, answer

        return self._exchange("eligibility", ("270", "271"), content, answered, answer_lost)

    def review(self, content: bytes, *, answer_lost: bool = False) -> bytes:
        """Answer one 278 interchange, a request or an inquiry after one, with what is decided by
        now. Raises UnreadableInterchange; everything is logged."""

        def answered(now: datetime, number: int) -> tuple[str, bytes]:
            inquiry = read_review(content)
            payer, member = self._asked_about(inquiry)
            if payer is None or member is None:
                return inquiry.control_number, refuse_review(inquiry, payer, now, number)
            asked_at = self._review_asked_at(inquiry, payer, member, now)
            said = None if asked_at is None else _said(member, asked_at, now)
            return inquiry.control_number, answer_review(inquiry, member, said, now, number)

        names = ("278", "278-answer")
        return self._exchange(
            "authorization", names, content, answered, answer_lost, taken=self._take_request
        )

    def tell_status(self, content: bytes, *, answer_lost: bool = False) -> bytes:
        """Answer one 276 interchange. Raises UnreadableInterchange; everything is logged."""

        def answered(now: datetime, number: int) -> tuple[str, bytes]:
            inquiry = read_status(content)
            question = inquiry.question
            self._settle(now)
            payer = self._world.payer(question.payer.identifier)
            member = None if payer is None else find_member(payer, question.subscriber)
            found = [
                claim
                for record in self._records
                if payer is not None
                and member is not None
                and record.payer_id == payer.payer_id
                and member.holds(record.submitted.source.subscriber.member_id)
                and (claim := self._on_record(record, payer, now)).is_asked_about(question)
            ]
            # A later version of a claim stands for it; of copies, the one that was not refused.
            newest = max(
                found,
                key=lambda one: (
                    one.control_number,
                    one.information.paid_cents or 0,
                    one.payer_claim_number,
                ),
                default=None,
            )
            return inquiry.control_number, answer_status(inquiry, newest, now, number)

        return self._exchange("status", ("276", "277"), content, answered, answer_lost)

    def _exchange(
        self,
        channel: Channel,
        names: tuple[str, str],
        content: bytes,
        answered: Callable[[datetime, int], tuple[str, bytes]],
        answer_lost: bool,
        taken: Callable[[bytes, datetime], None] | None = None,
    ) -> bytes:
        """One question and its answer, both in the log; `taken` notes what the question changes.

        Raises UnreadableInterchange.
        """
        with self._lock:
            now = self._clock.now()
            asked, told = names
            digest = hashlib.sha256(content).hexdigest()
            number = self._number(told, digest, now.isoformat())
            try:
                control_number, answer = answered(now, number)
            except UnreadableInterchange:
                self._write(now, "received", channel, f"{asked}.edi", "refused", content)
                raise
            outcome: Outcome = "accepted_answer_lost" if answer_lost else "accepted"
            self._write(now, "received", channel, f"{asked}-{control_number}.edi", outcome, content)
            if taken is not None:
                taken(content, now)
            if not answer_lost:
                self._write(
                    now, "sent", channel, f"{told}-{control_number}.edi", "answered", answer
                )
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
            instants += [
                _remitted_at(day) for payer in self._world.payers for day in self._days_due(payer)
            ]
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
        elif entry.channel == "authorization":
            self._take_request(entry.body, entry.at)
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
                status = self._admit(payer, submitted, batch.correspondent, now.date())
                by_payer["" if payer is None else payer.payer_id].append(status)
                if payer is not None:
                    self._records.append(_Record(payer.payer_id, now, status))
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
        adjudicated = claim_to_adjudicate(submitted, admitted, number)
        served = (line.service_date for line in adjudicated.lines)
        paid_on = received_on + timedelta(days=payer.days_to_pay(admitted, served))
        self._awaiting[payer.payer_id][paid_on].append(
            AcceptedClaim(adjudicated, submitted, payee, received_on)
        )
        return ClaimStatus(submitted, number, None)

    def _claim_number(self, payer: Payer, submitted: SubmittedClaim) -> str:
        """The payer's own number: from the claim's content, and its turn among identical copies."""
        content = self._digest("claim", payer.payer_id, *submitted.content())
        self._claim_copies[content] += 1
        return "P" + self._digest(content, str(self._claim_copies[content]))[:14].upper()

    def _settle(self, now: datetime) -> None:
        """Pay what is due, in the order of days: what crosses over is due on a later one. Nothing
        can be received any more for a payment date that has begun."""
        while True:
            due = [
                (day, place)
                for place, payer in enumerate(self._world.payers)
                for day in self._days_due(payer)
                if _remitted_at(day) <= now
            ]
            if not due:
                return
            day, place = min(due)
            self._settle_day(self._world.payers[place], day)

    def _days_due(self, payer: Payer) -> set[date]:
        """The days on which the payer pays, or takes back what it has paid on an earlier day."""
        reversals = {
            reversal.on
            for reversal in self._reversals_due[payer.payer_id]
            if self._answer_to(payer, reversal) is not None
        }
        return {*self._awaiting[payer.payer_id], *reversals}

    def _settle_day(self, payer: Payer, day: date) -> None:
        accepted = {
            one.claim.payer_claim_number: one for one in self._awaiting[payer.payer_id].pop(day, ())
        }
        voids = [one for one in accepted.values() if one.claim.frequency == VOID]
        decisions, history = adjudicate(
            payer,
            self._histories[payer.payer_id],
            [one.claim for one in accepted.values() if one.claim.frequency != VOID],
        )
        payments: dict[Payee, list[tuple[AcceptedClaim, ClaimDecision]]] = {}
        for decision in decisions:
            one = accepted[decision.claim.payer_claim_number]
            payments.setdefault(one.payee, []).append((one, decision))
        for reversal in [one for one in self._reversals_due[payer.payer_id] if one.on == day]:
            earlier = self._answer_to(payer, reversal)
            if earlier is None:
                continue
            self._reversals_due[payer.payer_id].remove(reversal)
            number = "P" + self._digest("correction", earlier.payer_claim_number)[:14].upper()
            taken, history = take_back(
                payer, history, earlier.decision, reversal.corrected_allowed_cents, number
            )
            payee = earlier.accepted.payee
            payments.setdefault(payee, []).extend((earlier.accepted, one) for one in taken)
        for one in sorted(voids, key=lambda one: one.claim.control_number):
            answered, history = self._void(payer, history, one, payments, day)
            payments.setdefault(one.payee, []).extend(answered)
        self._histories[payer.payer_id] = history
        for payee, decided in payments.items():
            if not decided:
                continue
            trace = self._pay(payer, day, payee, decided)
            for one, decision in decided:
                self._answers[one.claim.payer_claim_number] = _Answered(one, decision, day, trace)
                if decision.is_forwarded and not decision.supersedes:
                    self._cross_over(one, decision, day)

    def _void(
        self,
        payer: Payer,
        history: History,
        one: AcceptedClaim,
        payments: dict[Payee, list[tuple[AcceptedClaim, ClaimDecision]]],
        day: date,
    ) -> tuple[list[tuple[AcceptedClaim, ClaimDecision]], History]:
        """What the remittance says about a claim that takes an earlier one back, and the payer's
        history then: the reversal, or nothing where it is only kept from the next payment."""
        before = [
            *((answer.accepted, answer.decision) for answer in self._answers.values()),
            *(item for decided in payments.values() for item in decided),
        ]
        number = one.claim.replaces
        # The last word on it: an answer may have been reversed or corrected since.
        found = next(
            (
                (accepted, decision)
                for accepted, decision in reversed(before)
                if accepted.submitted.source.payer.payer_id == payer.payer_id
                and number in (accepted.claim.payer_claim_number, _number_of(decision))
            ),
            None,
        )
        earlier = found[1] if found is not None and _number_of(found[1]) == number else None
        decision, history = void(payer, history, one.claim, earlier)
        if found is None or not decision.is_reversal:
            return [(one, decision)], history
        accepted = found[0]
        if payer.voids == "takeback" and -decision.paid_cents > 0:
            owed = Withheld("WO", -decision.paid_cents, number)
            self._owed[payer.payer_id, accepted.payee].append(owed)
            self._answers[accepted.claim.payer_claim_number] = _Answered(
                accepted, decision, day, ""
            )
            return [], history
        return [(accepted, decision)], history

    def _cross_over(self, accepted: AcceptedClaim, decision: ClaimDecision, day: date) -> None:
        """The next payer gets the claim as it was sent to the first, with what that one decided."""
        crossover = decision.claim.member.crossover
        payer = self._world.payer(crossover.payer) if crossover is not None else None
        member = payer.member_with(crossover.member_id) if payer and crossover else None
        if payer is None or crossover is None or member is None:
            return
        source = accepted.submitted.source
        submitted = replace(
            accepted.submitted,
            source=replace(
                source,
                frequency="1",
                original_reference="",
                responsibility="S",
                payer=replace(source.payer, name=payer.name, payer_id=payer.payer_id),
                subscriber=replace(source.subscriber, member_id=crossover.member_id),
            ),
        )
        number = self._claim_number(payer, submitted)
        claim = replace(
            claim_to_adjudicate(submitted, member, number),
            lines=tuple(
                replace(
                    decided.line,
                    left_cents=decided.left_cents,
                    paid_before_cents=decided.paid_cents,
                )
                for decided in decision.lines
            ),
        )
        self._awaiting[payer.payer_id][day + timedelta(days=payer.pays_after_days)].append(
            AcceptedClaim(claim, submitted, accepted.payee, day)
        )
        status = ClaimStatus(submitted, number, None)
        self._records.append(_Record(payer.payer_id, _remitted_at(day), status))

    def _answer_to(self, payer: Payer, reversal: Reversal) -> _Answered | None:
        """What the payer paid for that member's service before the day of the reversal."""
        return self._paid_before(payer, reversal.member_id, reversal.service_date, reversal.on)

    def _paid_before(
        self, payer: Payer, member_id: str, service_date: date, day: date
    ) -> _Answered | None:
        found = (
            answer
            for answer in self._answers.values()
            if answer.accepted.submitted.source.payer.payer_id == payer.payer_id
            and answer.paid_on < day
            and not answer.decision.denied
            and not answer.decision.is_reversal
            and answer.decision.claim.member.holds(member_id)
            and any(one.line.service_date == service_date for one in answer.decision.lines)
        )
        return min(found, key=lambda answer: answer.payer_claim_number, default=None)

    def _withheld(self, payer: Payer, day: date, payee: Payee) -> list[Withheld]:
        """What the payer says it wants back, or keeps, with the payment of that day (8.4)."""
        found = self._owed.pop((payer.payer_id, payee), [])
        for position, takeback in enumerate(payer.takebacks):
            member_id, service_date = takeback.reference_member_id, takeback.service_date
            answer = self._paid_before(payer, member_id, service_date, day)
            if answer is None or answer.accepted.payee != payee:
                continue
            if takeback.announced_on == day:
                self._announced.add((payer.payer_id, position))
                claim = answer.payer_claim_number
                found += [
                    Withheld("WO", takeback.cents, claim),
                    Withheld("FB", -takeback.cents, claim),
                ]
            elif (payer.payer_id, position) in self._announced:
                found += [
                    Withheld("FB", one.cents, answer.payer_claim_number)
                    for one in takeback.taken
                    if one.payment_date == day
                ]
        return found

    def _pay(
        self,
        payer: Payer,
        day: date,
        payee: Payee,
        decided: list[tuple[AcceptedClaim, ClaimDecision]],
    ) -> str:
        """Deliver one payment in as many files as the world asks for; returns its trace number."""
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
        withheld = self._withheld(payer, day, payee)
        kept = sum(one.cents for one in withheld)
        if (left := sum(decision.paid_cents for _, decision in decided) - kept) < 0:
            # What this payment carries forward, the next one is less.
            self._owed[payer.payer_id, payee].append(Withheld("FB", -left, trace))
        for copy in range(1, payer.copies_of(day) + 1):
            name = f"835-{payer.payer_id}-{trace}-{copy}.edi"
            number = self._number(name)
            content = remit(payer, payee, day, trace, decided, withheld, at, number)
            self._add(name, content, at, rank=3)
        return trace

    # --- authorizations and the status of claims ---

    def _asked_about(
        self, inquiry: Inquiry[AuthorizationRequest]
    ) -> tuple[Payer | None, Member | None]:
        payer = self._world.payer(inquiry.question.reviewer.identifier)
        found = None if payer is None else find_member(payer, inquiry.question.subscriber)
        return payer, found

    def _review_asked_at(
        self, inquiry: Inquiry[AuthorizationRequest], payer: Payer, member: Member, now: datetime
    ) -> datetime | None:
        """When a review of the member was first asked for, whoever asks again; None for an inquiry
        after a request that never came."""
        request = inquiry.question
        if request.is_inquiry and (payer.payer_id, request.trace_number) not in self._requests:
            return None
        return self._reviews.get((payer.payer_id, member.key), now)

    def _take_request(self, content: bytes, now: datetime) -> None:
        inquiry = read_review(content)
        payer, member = self._asked_about(inquiry)
        if payer is not None and member is not None and not inquiry.question.is_inquiry:
            self._requests.add((payer.payer_id, inquiry.question.trace_number))
            self._reviews.setdefault((payer.payer_id, member.key), now)

    def _on_record(self, record: _Record, payer: Payer, now: datetime) -> ClaimOnRecord:
        """What the payer says of a claim that it has received (domain reference section 7)."""
        claim = record.submitted.source
        acknowledged_at = record.received_at + timedelta(hours=payer.acknowledges_after_hours)
        answer = self._answers.get(record.status.payer_claim_number)
        in_process_at = record.received_at + timedelta(days=payer.pays_after_days) / 2
        refusal = record.status.refusal
        if now < acknowledged_at:
            information = StatusInformation((_RECEIVED,), record.received_at.date())
        elif refusal is not None:
            said = Status(refusal.category, refusal.status, refusal.entity)
            information = StatusInformation((said,), acknowledged_at.date())
        elif answer is not None:
            information = answer.status()
        else:
            said = _IN_PROCESS if now >= in_process_at else _ACCEPTED
            information = StatusInformation((said,), acknowledged_at.date())
        number = record.status.payer_claim_number if now >= acknowledged_at else ""
        if answer is not None:
            number = answer.payer_claim_number
        return ClaimOnRecord(
            control_number=claim.control_number,
            payer_claim_number=number,
            charge_cents=claim.charge_cents,
            service_dates=frozenset(
                line.service_date for line in claim.lines if line.service_date is not None
            ),
            information=replace(information, charge_cents=claim.charge_cents),
        )

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


def _said(member: Member, asked_at: datetime, at: datetime) -> Reviewed:
    """What a payer has decided by then on a request for authorization that came at `asked_at`."""
    reviews = member.authorization.on_request
    if not reviews:
        return Reviewed(call=True)
    decided = [one for one in reviews if asked_at + timedelta(hours=one.after_hours) <= at]
    return Reviewed(decided[-1] if decided else None, is_final=len(decided) == len(reviews))


def _number_of(decision: ClaimDecision) -> str:
    """The payer's number for an answer: a correction has one of its own."""
    return decision.claim.payer_claim_number


def _remitted_at(day: date) -> datetime:
    return datetime.combine(day, _REMITTANCE_HOUR)
