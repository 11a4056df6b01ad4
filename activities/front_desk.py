"""What people do to claims, from the command line as from anywhere else.

What concerns one claim or session goes to its workflow: as an update when a person decides, as a
signal when something has been put on file. What is put on file is written first, so that an action
cut short is completed by doing it again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities import steps, work_items
from activities.claims_told import known_claims
from activities.messages import Messages
from activities.schedules import schedule_mailboxes
from activities.steps import TASK_QUEUE
from groupclaim.lifecycle.events import FactLearned, PatientPaid
from groupclaim.lifecycle.state import Fact, Stage
from groupclaim.model.approval import Decision
from groupclaim.model.base import InputRefused
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.model.patient import Authorization, Coverage, CoverageCall
from groupclaim.model.session import AttendanceList, GroupSession
from groupclaim.rules.patient_account import card_refusal
from groupclaim.store import (
    approvals,
    audit,
    card_notices,
    cards,
    claims,
    ledger,
    practice,
    voids,
    work,
    work_undo,
)
from groupclaim.store.clock import PracticeClock, practice_now
from groupclaim.store.database import Database, Reading, Transaction
from workflows import acting, claim, denial, dispute, session


class Refused(Exception):
    """What was asked for cannot be done; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class WorkAct:
    """What somebody does with a work item. ``revision``: what they saw of it; None: as it is."""

    kind: Literal["assign", "pend", "reopen", "resolve", "comment"]
    to: str | None = None
    until: datetime | None = None
    text: str = ""
    revision: int | None = None


PAYER_REFUND = "payer_refund"
"""How the fact is named that money went back to a payer, before its cents and receipt."""

_OTHER_AMOUNT = "receipt: recorded before with another amount"

_LONGEST_RECEIPT = 80

_LATE_COVERAGE = timedelta(days=366)
"""No payer on file takes a claim longer after its day of service."""


async def _check_receipt(tx: Reading, number: str, cents: Cents, receipt: str) -> None:
    """Raises InputRefused, and UnknownRecord for a claim that is not ours."""
    problems = []
    if cents <= 0:
        problems.append("cents: above zero")
    if not 0 < len(receipt.strip()) <= _LONGEST_RECEIPT:
        problems.append(f"receipt: 1 to {_LONGEST_RECEIPT} characters")
    if problems:
        raise InputRefused("payment", problems)
    await claims.load_state(tx, number)


async def require_approval(
    opened: Callable[[], AbstractAsyncContextManager[Transaction]],
    decision: Decision,
    cents: int,
    subject: str,
    now: datetime,
    *,
    by: str,
    second: str | None,
) -> None:
    """Raise :class:`Refused` where these people may not decide this; the refusal stays in the audit
    log, so it has a transaction of its own."""
    async with opened() as tx:
        why = await approvals.refusal(tx, decision, cents, subject, now, by=by, second=second)
    if why is not None:
        raise Refused(why)


def _carried_again(session_id: str) -> WithStartWorkflowOperation[Any, Any]:
    """The session, carried again if it has ended: a correction may come after that."""
    return WithStartWorkflowOperation(
        session.NAME,
        session.SessionStart(session_id=session_id),
        id=session.workflow_id(session_id),
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )


class FrontDesk:
    """The practice's people at work: each method is one thing that they do."""

    def __init__(self, database: Database, clock: PracticeClock, client: Client) -> None:
        self._database = database
        self._clock = clock
        self._client = client
        self._messages = Messages(client, TASK_QUEUE)

    async def now(self) -> datetime:
        return await self._clock.now()

    async def connections(self) -> tuple[str, ...]:
        async with self._database.reading() as reading:
            return await practice.connection_ids(reading)

    async def claim_number(self, session_ref: str, patient_ref: str) -> str:
        """The claim of the practice's own ids. Raises UnknownRecord."""
        keys = self._database.keyring
        async with self._database.reading() as reading:
            return await claims.claim_of(
                reading, keys.session_id(session_ref), keys.patient_id(patient_ref)
            )

    async def load(self, file: PracticeFile, by: str) -> dict[str, int]:
        """Take over a practice's data; claims of patients whose coverage changed look again."""
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            loaded = await practice.load_practice(tx, file)
            if loaded.added or loaded.changed:
                counts = {"added": loaded.added, "changed": loaded.changed}
                practice_id = self._database.keyring.opaque("practice", file.practice.ref)
                await audit.record(tx, now, by, "load_practice", practice_id, counts)
            for patient_id in loaded.patients:
                await audit.record(tx, now, by, "load_patient", patient_id)
        await schedule_mailboxes(self._client, self._database)
        await self._tell_of_coverage(loaded.patients, now)
        for fact in (Fact.AUTHORIZATION, Fact.NOTE):
            await self._tell_patients(loaded.patients, fact, now)
        async with self._database.reading() as reading:
            waiting = await practice.held_for_payer(reading)
        for number in waiting:
            await self._tell(number, "fact", FactLearned(at=now, fact=Fact.COVERAGE))
        return {
            "added": loaded.added,
            "changed": loaded.changed,
            "unchanged": loaded.unchanged,
        }

    async def add_sessions(
        self, sessions: Sequence[GroupSession], by: str
    ) -> tuple[practice.SessionAdded, ...]:
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            added = await practice.add_sessions(tx, sessions, now)
            for item in added:
                if item.new:
                    claims_made = {"claims": len(item.claims)}
                    await audit.record(tx, now, by, "add_session", item.session_id, claims_made)
        return added

    async def start_sessions(self, added: Iterable[practice.SessionAdded]) -> None:
        """Have each session carried; one that is carried already goes on as it is."""
        for item in added:
            try:
                await self._client.start_workflow(
                    session.NAME,
                    session.SessionStart(session_id=item.session_id),
                    id=session.workflow_id(item.session_id),
                    task_queue=TASK_QUEUE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    static_summary=f"Group session {item.session_id}, {len(item.claims)} invited",
                )
            except WorkflowAlreadyStartedError:
                continue

    async def record_attendance(self, taken: AttendanceList, by: str) -> dict[str, int]:
        """Record the final attendance, or correct it."""
        keys = self._database.keyring
        session_id = keys.session_id(taken.session)
        async with self._database.reading() as reading:
            await practice.session_roster(reading, session_id)
        recorded = await self._client.execute_update_with_start_workflow(
            "record_attendance",
            steps.RecordAttendance(
                session_id=session_id,
                entries=tuple(
                    steps.AttendanceEntry(
                        patient_id=keys.patient_id(item.patient),
                        status=item.status,
                        minutes=item.minutes,
                        copay_cents=item.copay_cents,
                        remote=item.remote,
                    )
                    for item in taken.participants
                ),
                by=by,
            ),
            start_workflow_operation=_carried_again(session_id),
            id=uuid.uuid4().hex,
            result_type=steps.AttendanceRecorded,
        )
        return {"group_size": recorded.group_size, "claims_changed": recorded.changed}

    async def amend_roster(
        self, session_ref: str, *, add: Sequence[str], remove: Sequence[str], by: str
    ) -> dict[str, int]:
        """Put patients on a session's roster or take them off; those added get claims.

        Raises UnknownRecord for a session that is not ours.
        """
        keys = self._database.keyring
        session_id = keys.session_id(session_ref)
        async with self._database.reading() as reading:
            await practice.session_roster(reading, session_id)
        progress = await self._client.execute_update_with_start_workflow(
            "amend_roster",
            steps.AmendRoster(
                session_id=session_id,
                add=tuple(keys.patient_id(ref) for ref in add),
                remove=tuple(keys.patient_id(ref) for ref in remove),
                by=by,
            ),
            start_workflow_operation=_carried_again(session_id),
            id=uuid.uuid4().hex,
            result_type=session.SessionStanding,
        )
        return {"roster": progress.roster, "claims_ended": progress.ended}

    async def sign_note(
        self, session_ref: str, patient_ref: str, signed_at: datetime, by: str
    ) -> bool:
        """Note that a participant's note is signed; its text stays where it is. True when news."""
        keys = self._database.keyring
        session_id, patient_id = keys.session_id(session_ref), keys.patient_id(patient_ref)
        number = await self.claim_number(session_ref, patient_ref)
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            new = await practice.record_note_signed(tx, session_id, patient_id, signed_at, None)
            await audit.record(tx, now, by, "note_signed", number)
        await self._tell(number, "fact", FactLearned(at=now, fact=Fact.NOTE))
        return new

    async def record_authorization(self, given: Authorization, by: str) -> int:
        """Put a prior authorization on file; how many claims were told."""
        now = await self._clock.now()
        patient_id = self._database.keyring.patient_id(given.patient)
        async with self._database.transaction() as tx:
            await practice.record_authorization(tx, given)
            await audit.record(tx, now, by, "authorization_recorded", patient_id)
        return await self._tell_patients((patient_id,), Fact.AUTHORIZATION, now)

    async def record_coverage(self, given: Coverage, by: str, *, insert: bool = False) -> int:
        """Put a patient's coverage on file, or correct it; how many claims were told, closed ones
        among them. ``insert``: those that are billed at its place or later move one down."""
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            loaded = await practice.record_coverage(tx, given, insert=insert)
            for patient_id in loaded.patients:
                await audit.record(tx, now, by, "coverage_recorded", patient_id)
        patient_id = self._database.keyring.patient_id(given.patient)
        return await self._tell_of_coverage((patient_id,), now)

    async def order_coverages(
        self, patient_ref: str, payers: Sequence[str], since: date, *, by: str
    ) -> int:
        """Have a patient's payers billed in another order for days from ``since`` on; how many
        claims were told, closed ones among them. Raises InputRefused."""
        now = await self._clock.now()
        patient_id = self._database.keyring.patient_id(patient_ref)
        async with self._database.transaction() as tx:
            loaded = await practice.order_coverages(tx, patient_ref, payers, since)
            if loaded.patients:
                detail = {"since": since.isoformat(), "payers": len(payers)}
                await audit.record(tx, now, by, "coverages_ordered", patient_id, detail)
        return await self._tell_of_coverage(loaded.patients, now)

    async def record_coverage_call(self, given: CoverageCall, by: str) -> int:
        """Keep what a payer said by telephone, as evidence; how many claims were told."""
        now = await self._clock.now()
        if given.called_at > now:
            raise Refused("called_at: the call would be made in the future")
        patient_id = self._database.keyring.patient_id(given.patient)
        async with self._database.transaction() as tx:
            await practice.record_coverage_call(tx, given)
            await audit.record(
                tx, now, by, "coverage_call", patient_id, {"reference": given.reference}
            )
        return await self._tell_patients((patient_id,), Fact.COVERAGE, now)

    async def _tell_of_coverage(self, patient_ids: Sequence[str], now: datetime) -> int:
        """Claims look again whose coverage may be another; those closed too, as long as a payer may
        still take them: the right one is billed, and who has paid in its place is corrected."""
        told = await self._tell_patients(patient_ids, Fact.COVERAGE, now)
        async with self._database.reading() as reading:
            closed = await claims.closed_claims(reading, patient_ids, now.date() - _LATE_COVERAGE)
        for number in closed:
            await self._tell(number, "fact", FactLearned(at=now, fact=Fact.COVERAGE))
        return told + len(closed)

    async def _tell_patients(self, patient_ids: Iterable[str], fact: Fact, now: datetime) -> int:
        async with self._database.reading() as reading:
            numbers = await claims.open_claims(reading, tuple(patient_ids))
        for number in numbers:
            await self._tell(number, "fact", FactLearned(at=now, fact=fact))
        return len(numbers)

    async def _tell(self, number: str, signal: str, event: FactLearned | PatientPaid) -> None:
        """Signal a claim; one not yet begun will find what is on file when it begins."""
        async with self._database.reading() as reading:
            known = (await known_claims(reading, (number,))).get(number)
        if known is None:
            raise practice.UnknownRecord(f"claim {number}")
        if known.state.sequence > 0:
            await self._messages.tell_claim(
                known.payer_key, known.state.claim_number, signal, event
            )
            return
        try:
            await self._client.get_workflow_handle(claim.workflow_id(number)).signal(signal, event)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def patient_payment(self, number: str, cents: Cents, receipt: str, by: str) -> bool:
        """Book what a patient paid; the same receipt is taken once. True when it is new.

        Raises UnknownRecord for a claim that is not ours, Refused for a receipt of another amount.
        """
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            await _check_receipt(tx, number, cents, receipt)
            try:
                new = await ledger.book_patient_payment(tx, number, cents, receipt, now)
            except ledger.KeyReused:
                raise Refused(_OTHER_AMOUNT) from None
            if new:
                await audit.record(tx, now, by, "patient_payment", number)
        await self._tell(number, "patient_paid", PatientPaid(at=now, key=f"receipt:{receipt}"))
        return new

    async def patient_refund(
        self, number: str, cents: Cents, receipt: str, *, by: str, second: str | None = None
    ) -> bool:
        """Book what went back to a patient; the same receipt is taken once. True when it is new.

        Raises UnknownRecord for a claim that is not ours, Refused for more than the patient has
        paid beyond what they owe, for a receipt of another amount, and for who may not decide it.
        """
        now = await self._clock.now()
        await require_approval(
            self._database.transaction, Decision.REFUND, cents, number, now, by=by, second=second
        )
        async with self._database.transaction() as tx:
            await _check_receipt(tx, number, cents, receipt)
            await ledger.lock_claim(tx, number)
            credit = -(await ledger.balance(tx, number)).patient_open
            try:
                new = await ledger.book_patient_refund(tx, number, cents, receipt, now)
            except ledger.KeyReused:
                raise Refused(_OTHER_AMOUNT) from None
            if new and cents > credit:
                raise Refused(f"only {Cents(max(credit, 0))} of the patient's money is not due")
            if new:
                await audit.record(tx, now, by, "patient_refund", number, {"second": second})
        await self._tell(number, "patient_paid", PatientPaid(at=now, key=f"refund:{receipt}"))
        return new

    async def refund_payer(
        self, number: str, cents: Cents, receipt: str, *, by: str, second: str | None = None
    ) -> bool:
        """Book that a payer's money for a claim that is taken back was returned to it, whole; the
        same receipt is taken once. True when it is new.

        Raises UnknownRecord, InputRefused, and Refused where nothing of a payer is to be returned,
        or another amount, and for who may not decide it.
        """
        now = await self._clock.now()
        async with self._database.reading() as reading:
            await _check_receipt(reading, number, cents, receipt)
        await require_approval(
            self._database.transaction, Decision.REFUND, cents, number, now, by=by, second=second
        )
        async with self._database.transaction() as tx:
            await ledger.lock_claim(tx, number)
            try:
                new = await voids.book_refund(tx, number, cents, receipt, now)
            except voids.RefundRefused as error:
                raise Refused(str(error)) from None
            if new:
                detail = {"receipt": receipt, "second": second}
                await audit.record(tx, now, by, "payer_refund", number, detail)
        key = f"{PAYER_REFUND}:{int(cents)}:{receipt}"
        await self._tell(number, "fact", FactLearned(at=now, key=key, fact=Fact.REFUND))
        return new

    async def withdraw_note(self, session_ref: str, patient_ref: str, reason: str, by: str) -> bool:
        """Note that a participant's note does not support the claim any more: it is as if it had
        never been signed, until it is signed again. True when it is new.

        Raises UnknownRecord, InputRefused, and Refused where no note is signed.
        """
        if not reason.strip():
            raise InputRefused("note", ["reason: say why the note is not valid"])
        keys = self._database.keyring
        session_id, patient_id = keys.session_id(session_ref), keys.patient_id(patient_ref)
        number = await self.claim_number(session_ref, patient_ref)
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            known = await practice.withdraw_note(tx, session_id, patient_id, now)
            if known is None:
                raise Refused("no note of this participant is signed")
            sent = await voids.has_left(tx, number)
            await voids.withdraw_waiting(tx, number, now)
            if known:
                detail = {"reason": reason}
                await audit.record(tx, now, by, "note_withdrawn", number, detail)
        key = f"note_withdrawn:{now.isoformat()}"
        fact = FactLearned(at=now, key=key, fact=Fact.NOTE_WITHDRAWN, sent=sent)
        await self._tell(number, "fact", fact)
        return known

    async def look_at_balance(self, number: str, key: str) -> None:
        """Have a claim look at what its patient owes once more, for the sake of ``key``."""
        now = await self._clock.now()
        await self._tell(number, "patient_paid", PatientPaid(at=now, key=key))

    async def charge_card(self, number: str, by: str, *, told: str | None = None) -> Cents:
        """Have a patient's card charged with what they owe for a claim; how much that is.

        ``told``: how the patient learned of the amount and that it is charged now. The charge is
        written down and the claim makes it. Asked again while it is under way, there is still one.
        Raises UnknownRecord, and Refused where the patient has not agreed to it, or not been told.
        """
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            state = await claims.load_state(tx, number)
            if state.stage is not Stage.PATIENT_BALANCE or state.hold is not None:
                raise Refused("the claim does not wait for the patient")
            await ledger.lock_claim(tx, number)
            owed = (await ledger.balance(tx, number)).patient_open
            facts = await practice.claim_facts(tx, number)
            today = now.astimezone(ZoneInfo(facts.practice.time_zone)).date()
            consent = facts.patient.card
            refused = card_refusal(consent, owed, today)
            if refused is not None or consent is None:
                raise Refused(refused or "no consent")
            order = await cards.under_way(tx, number)
            if order is None:
                notice = await card_notices.covering(tx, number, owed)
                if told and told.strip():
                    notice = await card_notices.make(tx, number, owed, today, now)
                    await card_notices.told(tx, notice, today, by, now)
                elif notice is None or notice.told_at is None or notice.charge_on > today:
                    raise Refused(
                        "the patient has not been told of this charge, or its day has not come: "
                        "`groupclaim patient card-notice`, or say how they were told (--told)"
                    )
                order = await cards.begin(tx, number, owed, consent, notice, now)
                await work.close_items(tx, "card_notice", number, now)
            detail = {"cents": int(order.cents), "told": told}
            await audit.record(tx, now, by, "card_charge_asked", number, detail)
        await self._tell(number, "patient_paid", PatientPaid(at=now, key=order.key))
        return order.cents

    async def release_hold(
        self,
        number: str,
        *,
        code: str,
        by: str,
        reason: str,
        second: str | None = None,
        until: datetime | None = None,
        request: str | None = None,
        item: str | None = None,
    ) -> dict[str, Any]:
        """Let a held claim go on; ``second`` and ``until`` where the hold asks for two people. The
        same ``request``, as those of the other decisions here, decides once; ``item`` is the work
        item that was seen: decided by somebody else since, it is refused."""
        if until is not None and until <= await self._clock.now():
            raise Refused("the waiver would have ended already")
        progress: claim.ClaimStanding = await self._update(
            claim.workflow_id(number),
            "release_hold",
            claim.ReleaseHold(
                code=code,
                by=by,
                reason=reason,
                request=request or uuid.uuid4().hex,
                second=second,
                until=until,
                item=item,
            ),
            claim.ClaimStanding,
        )
        return progress.model_dump(mode="json")

    async def write_off(
        self,
        number: str,
        *,
        by: str,
        reason: str,
        second: str | None = None,
        request: str | None = None,
    ) -> dict[str, Any]:
        """Give up what the payer of a claim owes and never decided, or was never sent in time; the
        patient owes nothing of it."""
        progress: claim.ClaimStanding = await self._update(
            claim.workflow_id(number),
            "write_off",
            claim.WriteOff(
                by=by, reason=reason, request=request or uuid.uuid4().hex, second=second
            ),
            claim.ClaimStanding,
        )
        return progress.model_dump(mode="json")

    async def propose_waiver(
        self, number: str, *, code: str, by: str, reason: str, until: datetime
    ) -> None:
        """Ask a second person to agree that a claim held by ``code`` goes on until then.

        Raises UnknownRecord, Refused when it is no longer held so, and InputRefused.
        """
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            state = await claims.load_state(tx, number)
            if state.hold is None or state.hold.code != code:
                raise Refused(f"the claim is no longer held by {code}")
            await work.propose_waiver(tx, state, by=by, reason=reason, until=until, at=now)
            detail = {"code": code, "until": until.isoformat()}
            await audit.record(tx, now, by, "waiver_proposed", number, detail)

    async def agree_to_waiver(self, number: str, *, by: str) -> dict[str, Any]:
        """Be the second person of the waiver that is proposed; the claim goes on.

        Raises UnknownRecord, and Refused for who proposed it and where none is proposed.
        """
        async with self._database.reading() as reading:
            state = await claims.load_state(reading, number)
            proposed = await work.waiver_proposed(reading, state)
        if proposed is None:
            raise Refused("no waiver is proposed for the hold as it stands")
        if proposed.by.casefold() == by.casefold():
            raise Refused("who proposed a waiver cannot agree to it: a second person must")
        return await self.release_hold(
            number,
            code=proposed.item.code,
            by=proposed.by,
            reason=proposed.reason,
            second=by,
            until=proposed.until,
        )

    async def approve_dispute(
        self,
        number: int,
        *,
        by: str,
        reason: str,
        second: str | None = None,
        request: str | None = None,
    ) -> dict[str, Any]:
        """Have the letter of a dispute go out."""
        given = dispute.Approve(
            by=by, reason=reason, request=request or uuid.uuid4().hex, second=second
        )
        return await self._decide_dispute(number, "approve", given)

    async def close_dispute(
        self,
        number: int,
        *,
        outcome: str,
        by: str,
        reason: str,
        second: str | None = None,
        request: str | None = None,
    ) -> dict[str, Any]:
        """End a dispute, and say how."""
        given = dispute.Close(
            outcome=outcome,
            by=by,
            reason=reason,
            request=request or uuid.uuid4().hex,
            second=second,
        )
        return await self._decide_dispute(number, "close", given)

    async def _decide_dispute(
        self, number: int, name: str, given: dispute.Approve | dispute.Close
    ) -> dict[str, Any]:
        standing: steps.DisputeStanding = await self._update(
            dispute.workflow_id(number), name, given, steps.DisputeStanding
        )
        return standing.model_dump(mode="json")

    async def decide_denial(
        self,
        number: str,
        denial_number: int,
        choice: str,
        *,
        by: str,
        reason: str,
        second: str | None = None,
        reference: str | None = None,
        request: str | None = None,
        item: str | None = None,
    ) -> dict[str, Any]:
        """A person's decision on a denial, and what is next then."""
        plan: steps.DenialPlan = await self._update(
            denial.workflow_id(number, denial_number),
            "decide",
            steps.DenialChoice(
                claim_number=number,
                denial=denial_number,
                choice=choice,
                by=by,
                reason=reason,
                request=request or uuid.uuid4().hex,
                second=second,
                reference=reference,
                item=item,
            ),
            steps.DenialPlan,
        )
        return plan.model_dump(mode="json")

    # --- the work list

    async def act_on(
        self, item_id: str, act: WorkAct, by: str, together: str | None = None
    ) -> work.WorkItem:
        """Take, put off, put back, finish or comment one item. ``together``: names what is done to
        several at once, and undone at once, and is the same when it is asked for again; None: this
        alone.

        It goes through the workflow of what the item is about, as long as that one runs. Raises
        :class:`work.ChangedMeanwhile` when somebody else was first, InputRefused, and
        UnknownRecord.
        """
        if act.kind == "comment":
            return await self._comment(item_id, act.text, by)
        async with self._database.reading() as reading:
            seen = await work.read_item(reading, item_id)
        # A page that was gone back to names another act by the same form: it is another one.
        named = (by, together or uuid.uuid4().hex, act.kind, act.to, act.until, act.text)
        request = self._database.keyring.opaque("work_act", "|".join(map(str, named)))
        given = steps.ItemAct(
            item=item_id,
            workflow_id=work_items.workflow_id(seen),
            kind=act.kind,
            revision=seen.revision if act.revision is None else act.revision,
            by=by,
            request=request,
            to=act.to,
            until=act.until,
            text=act.text,
        )
        if not given.workflow_id or not await self._acted_there(given):
            async with self._database.transaction() as tx:
                await work_items.carry_out(tx, given, await practice_now(tx))
        async with self._database.reading() as reading:
            return await work.read_item(reading, item_id)

    async def _acted_there(self, given: steps.ItemAct) -> bool:
        """Whether the item's workflow runs, and has taken the act. Raises as it refuses."""
        try:
            await self._client.get_workflow_handle(given.workflow_id).execute_update(
                acting.UPDATE,
                given,
                result_type=steps.ItemStanding,
                id=f"{acting.UPDATE}:{given.item}:{given.request}",
            )
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        except WorkflowUpdateFailedError as error:
            refused = error.cause
            if isinstance(refused, ApplicationError):
                if refused.type == acting.CHANGED_MEANWHILE:
                    raise work.ChangedMeanwhile(refused.message) from None
                if refused.type == acting.INPUT_REFUSED:
                    problems = [str(problem) for problem in refused.details]
                    raise InputRefused(given.kind, problems or [refused.message]) from None
            raise
        return True

    async def _comment(self, item_id: str, text: str, by: str) -> work.WorkItem:
        """Words beside an item change nothing of it: any number of people may write some."""
        if not text:
            raise InputRefused("comment", ["text: say why, or what was found"])
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            item = await work.read_item(tx, item_id)
            await work.comment(tx, item_id, text, by, now)
            await audit.record(tx, now, by, "work_comment", item.subject, {})
        return item

    async def undo_last(self, by: str) -> work_undo.Undone:
        """Undo what ``by`` did last with work items. Raises Refused where there is nothing."""
        now = await self._clock.now()
        async with self._database.transaction() as tx:
            last = await work_undo.last_act(tx, by)
            if last is None:
                raise Refused("there is nothing to undo: what was done last cannot be, or has been")
            undone = await work_undo.undo(tx, last.act)
            for subject in undone.items:
                await audit.record(tx, now, by, "work_undone", subject, {"what": last.kind})
        return undone

    async def _update(self, workflow_id: str, name: str, given: Any, result: type[Any]) -> Any:
        try:
            return await self._client.get_workflow_handle(workflow_id).execute_update(
                name, given, result_type=result, id=f"{name}:{given.request}"
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise Refused(f"{workflow_id} is not open: it has ended or not begun") from None
            raise
