"""A denial as it is worked: the playbook's next rung, letters, people's decisions, reminders."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from activities import steps
from activities.authorization import request_content
from activities.authorization_exchange import AuthorizationExchange
from activities.claims_told import known_claims
from activities.coordination import owes_nothing
from activities.denial import ASK_AUTHORIZATION, Look, look_at, recoded
from activities.messages import Messages
from activities.on_file import LOOK_AGAIN, OnFile, invalid
from activities.outside import Outside, performs
from activities.reading import company_of, digest, read_note
from activities.work_items import standings
from groupclaim.delivery.port import NotDelivered
from groupclaim.documents.appeal import packet, text_of
from groupclaim.lifecycle.events import DenialAdvanced, Held
from groupclaim.lifecycle.state import Stage, Step
from groupclaim.model.approval import Decision
from groupclaim.model.authorization_request import OPEN_REQUESTS
from groupclaim.model.money import Cents
from groupclaim.policy.playbook import Playbook
from groupclaim.rules.appeals import Case, compose_letter
from groupclaim.rules.authorization_request import series_after_denial
from groupclaim.rules.coordination import for_the_next_payer_alone
from groupclaim.rules.deadlines import Deadline
from groupclaim.rules.denials import DenialDecision, decide_denial, is_new
from groupclaim.rules.redaction import OtherMemberNamed, redact, refuse_other_members
from groupclaim.store import approvals, audit, batches, claims, coordination, denials, ledger, work
from groupclaim.store import authorization_requests as requests
from groupclaim.store.clock import practice_now, sleep_until, timer_seconds
from groupclaim.store.database import Transaction
from groupclaim.store.schema import claim
from workflows import denial as workflow

_SHORT = timedelta(days=1)
"""When somebody looks again whether a packet was received."""

_ANYWAY = "draft_anyway"
_WITH_NOTE = frozenset({"necessity", "records"})
"""Where the payer asks for the record itself: then the note's text goes along, redacted."""

_CLOSED_BY_MONEY = frozenset(
    {
        Stage.PAYMENT_AUDIT, Stage.UNDERPAYMENT_REVIEW, Stage.CROSSOVER, Stage.PATIENT_BALANCE,
        Stage.CLOSED,
    }
)  # fmt: skip


class DenialWork:
    def __init__(self, outside: Outside, messages: Messages) -> None:
        self._outside = outside
        self._messages = messages

    # --- what is next

    @performs(steps.PLAN_DENIAL)
    async def plan_denial(self, ref: steps.DenialRef) -> steps.DenialPlan:
        """The next rung, with who takes it by when; it is kept with the denial."""
        async with self._outside.database.reading() as reading:
            row = await denials.read_denial(reading, ref.claim_number, ref.denial)
            state = await claims.load_state(reading, ref.claim_number)
            look = await look_at(self._outside, reading, row.claim_number, row.version, row.cause)
        letters, denied = look.letters, await recoded(self._outside, look)
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            row = await denials.lock_denial(tx, ref.claim_number, ref.denial)
            if row.outcome is None and state.stage in _CLOSED_BY_MONEY:
                await denials.conclude(tx, row.claim_number, row.number, "paid", now)
            elif row.outcome is None and state.version != row.version:
                await denials.conclude(tx, row.claim_number, row.number, "superseded", now)
            row = await denials.read_denial(tx, ref.claim_number, ref.denial)
            workflow_id = workflow.workflow_id(row.claim_number, row.number)
            if row.outcome is not None or look.billed is None:
                items = await _follow_work(tx, row, None, now)
                await sleep_until(tx, workflow_id, None)
                return steps.DenialPlan(at=now, next="conclude", items=items)
            decision = decide_denial(
                denied, look.found.facts, look.billed.policy, self._outside.playbook
            )
            if decision.correction is not None and not letters:
                # What is on file can mend it by now: the claim is sent again.
                await denials.conclude(
                    tx, row.claim_number, row.number, "corrected", now,
                    correction=decision.correction, restart=decision.restart,
                    frequency=decision.frequency,
                )  # fmt: skip
                items = await _follow_work(tx, row, None, now)
                await sleep_until(tx, workflow_id, None)
                return steps.DenialPlan(at=now, next="conclude", items=items)
            people = await approvals.people_needed(tx, Decision.WRITE_OFF, row.cents, now)
            plan = self._planned(row, decision, letters[-1] if letters else None, look, now, people)
            limit = _limit(look, decision)
            if plan.next in ("person", "wait"):
                plan = plan.model_copy(
                    update={"timer_seconds": await timer_seconds(tx, plan.due_at)}
                    if plan.due_at
                    else {}
                )
                await sleep_until(tx, workflow_id, plan.due_at)
            items = await _follow_work(tx, row, plan, now)
            await denials.record_plan(
                tx,
                row,
                rule=decision.rule,
                playbook=decision.playbook,
                action=plan.action,
                who=plan.who,
                due_at=plan.due_at,
                limit_at=limit.at if limit else None,
                limit_working=limit.working if limit else "",
            )
            await claims.replace_findings(
                tx, row.claim_number, steps.DECIDE_DENIAL.name, decision.findings, now
            )
        return plan.model_copy(update={"items": items})

    def _planned(
        self,
        row: denials.Denial,
        decision: DenialDecision,
        letter: denials.Letter | None,
        look: Look,
        now: datetime,
        people_to_write_off: int,
    ) -> steps.DenialPlan:
        playbook = self._outside.playbook
        name = decision.action or "write_off"
        action = playbook.action(name)
        days = timedelta(days=action.days or 7)
        same = row.action == name and row.due_at is not None and row.due_at > now
        due_at = row.due_at if same and row.due_at else now + days
        limit = _limit(look, decision)
        alert = limit.next_alert(now) if limit else None
        base: dict[str, Any] = {
            "at": now,
            "action": name,
            "who": decision.who,
            "what": action.what,
            "people": decision.people,
            "people_to_write_off": people_to_write_off,
            "due_at": min(due_at, alert) if alert else due_at,
            "otherwise": f"the limit passes: {limit.working}" if limit else "it stays open",
        }
        if letter is not None and letter.state == "drafted":
            return _plan(base, "person", ("approve", "redraft", "write_off"), action=letter.kind,
                         people=playbook.action(letter.kind).people or 1)  # fmt: skip
        if letter is not None and letter.state == "approved":
            return _plan(base, "send", action=letter.kind)
        if letter is not None and letter.state == "in_doubt":
            again = ("send_again",) if _may_announce(look, letter, playbook) else ()
            return _plan(base, "wait", ("record_receipt", *again), action=letter.kind, who="biller",
                         what="Record the receipt of whoever has taken the packet.",
                         due_at=now + _SHORT)  # fmt: skip
        if letter is not None and letter.state in ("received", "overturned"):
            answer = timedelta(days=playbook.action("wait").days or 30)
            since = letter.received_at or now
            look_again = since + answer
            answers = ("upheld", "overturned") if letter.state == "received" else ("upheld",)
            again = ("send_again",) if _may_announce(look, letter, playbook) else ()
            choices = (*answers, *again, "write_off")
            if look_again > now:
                return _plan(base, "wait", choices, action=letter.kind, who="payer",
                             what="Wait for the payer's answer.", due_at=look_again,
                             otherwise="it is asked for again")  # fmt: skip
            return _plan(base, "wait", choices, action=letter.kind, who="biller",
                         what="The payer's answer is overdue: ask for it and record what it says.",
                         due_at=now + timedelta(days=7), otherwise="it stays overdue")  # fmt: skip
        if decision.correction is not None:
            return _plan(base, "person", ("send_again", "write_off"), who="biller")
        if action.kind == "letter":
            refused = f"refused:{name}:{decision.level or 0}" in row.done
            anyway = f"{_ANYWAY}:{name}:{decision.level or 0}" in row.done
            if refused:
                what = "The letter would name another member: correct the note."
                return _plan(base, "person", ("redraft", "write_off"), what=what)
            if anyway or not decision.missing:
                return _plan(base, "draft")
            passed = ("done",) if name != "appeal" else ()
            return _plan(base, "person", (_ANYWAY, *passed, "write_off"))
        if action.kind == "wait":
            return _plan(base, "wait", ("done", "write_off"))
        if name == ASK_AUTHORIZATION and _takes_request(look):
            request = look.request
            waits = request is not None and request.next_at is not None and request.next_at > now
            if request is None or not waits:
                return _plan(base, "ask")
            next_at = min((at for at in (request.next_at, alert) if at), default=None)
            return _plan(base, "wait", ("done", "write_off"), who="payer", due_at=next_at,
                         what="The payer was asked for an authorization after the service.",
                         otherwise="it is asked after again")  # fmt: skip
        choices = {
            "work": ("done", *(("send_again",) if decision.restart else ())),
            "patient": ("bill_patient", "done"),
            "end": ("done",),
        }.get(action.kind, ())
        return _plan(base, "person", (*choices, "write_off"))

    # --- an authorization after the service

    @performs(steps.ASK_AFTERWARDS)
    async def ask_afterwards(self, ref: steps.DenialRef) -> steps.Told:
        """Ask the payer for the authorization that the claim was denied for, once, under a trace
        that is written down first; or ask after a request that is pended or in doubt."""
        async with self._outside.database.transaction() as tx:
            row = await denials.lock_denial(tx, ref.claim_number, ref.denial)
            look = await look_at(self._outside, tx, row.claim_number, row.version, row.cause)
            found, billed, request = look.found, look.billed, look.request
            if billed is None or row.outcome is not None or not _takes_request(look):
                return steps.Told()
            asked = series_after_denial(found.facts, billed.policy, _today(found))
            if request is None and asked is not None:
                request = await requests.open_request(
                    tx,
                    row.claim_number,
                    found.facts.patient_id,
                    tx.keyring.payer_key(billed.payer.ref),
                    asked,
                    request_content(self._outside, found, billed, asked),
                    found.facts.service_date,
                    found.now,
                )
        if request is not None:
            await AuthorizationExchange(self._outside, found, billed).advance(request)
        return steps.Told()

    # --- letters

    @performs(steps.DRAFT_LETTER)
    async def draft_letter(self, ref: steps.DenialRef) -> steps.Told:
        """Compose and typeset the packet for the next letter, and keep it for approval. One that
        would name another member of the group is not kept: a person writes it."""
        outside = self._outside
        async with outside.database.reading() as reading:
            row = await denials.read_denial(reading, ref.claim_number, ref.denial)
            look = await look_at(outside, reading, row.claim_number, row.version, row.cause)
            if look.billed is None or look.denied.sent is None:
                return steps.Told()
            milestones = await batches.milestones(reading, row.claim_number)
        denied = await recoded(outside, look)
        decision = decide_denial(denied, look.found.facts, look.billed.policy, outside.playbook)
        name, level = decision.action or "", decision.level or 0
        if outside.playbook.action(name).kind != "letter":
            return steps.Told()
        found, facts, billed = look.found, look.found.facts, look.billed
        note = await read_note(outside, facts, f"letter about denial {row.number}", found.now)
        members = (await company_of(outside, facts, found.now)).members
        staff = (facts.clinician,)
        levels = billed.policy.appeal_limit.levels
        case = Case(
            facts=facts,
            cause=row.cause,
            category=decision.category,
            level_name=levels[level - 1].name if level else "review of records",
            evidence=decision.evidence,
            sent=look.denied.sent,
            cents=Cents(row.cents),
            payer_claim_number=look.payment.payer_claim_number if look.payment else None,
            decided_on=row.decided_on,
            filing_working=billed.deadlines.filing_limit(facts.service_date).working,
            milestones=milestones,
            note_digest=digest(note) if note is not None else None,
            attachment_number=denials.next_key(row, look.letters)
            if _kind(name) == "send_documents"
            else None,
        )
        if note is not None and note.kind == "progress" and decision.category in _WITH_NOTE:
            texts = {field: getattr(note, field) for field in _TEXTS}
            clean = redact(texts, facts.patient, members, staff).texts
            case = case.model_copy(update={"note": note.model_copy(update=clean)})
        letter = compose_letter(case, billed.policy, facts.practice.contact.name, _today(found))
        content = await asyncio.to_thread(packet, letter, found.now)
        ways = billed.policy.letters
        async with outside.database.transaction() as tx:
            now = await practice_now(tx)
            row = await denials.lock_denial(tx, ref.claim_number, ref.denial)
            try:
                ours = (*letter.sender, *letter.addressee)
                refuse_other_members(text_of(content), facts.patient, members, staff, ours)
            except OtherMemberNamed:
                await denials.take(tx, row, f"refused:{name}:{level}")
                return steps.Told()
            if row.outcome is None:
                await denials.keep_letter(
                    tx, row.claim_number, row.number, _kind(name), level,
                    ways.channel if ways else "hand", content, now,
                )  # fmt: skip
        return steps.Told()

    @performs(steps.SEND_LETTER)
    async def send_letter(self, ref: steps.DenialRef) -> steps.Told:
        """Hand over the approved packet. That this begins stands in the store first; without a
        receipt it is in doubt, and the same packet under the same key may be handed over again."""
        outside = self._outside
        async with outside.database.transaction() as tx:
            now = await practice_now(tx)
            row = await denials.lock_denial(tx, ref.claim_number, ref.denial)
            letters = await denials.letters_of(tx, ref.claim_number, ref.denial)
            letter = letters[-1] if letters else None
            if letter is None or letter.state not in ("approved", "in_doubt"):
                return steps.Told()
            if row.outcome is not None:
                return steps.Told()  # the claim was taken back since the letter was approved
            content = await denials.read_packet(tx, ref.claim_number, ref.denial, letter.position)
            if letter.state == "approved":
                await denials.change_letter(
                    tx, ref.claim_number, ref.denial, letter.position,
                    state="in_doubt", send_started_at=now,
                )  # fmt: skip
                await audit.record(
                    tx, now, "groupclaim", "send_letter", ref.claim_number,
                    {"denial": ref.denial, "digest": letter.digest, "channel": letter.channel},
                )  # fmt: skip
        if letter.channel == "hand":
            return steps.Told()
        try:
            receipt = await outside.letters.deliver(letter.delivery_key, content)
        except NotDelivered as error:
            raise ApplicationError(str(error), type="Transient") from None
        if receipt is not None:
            await self._received(ref, letter.position, receipt.reference)
        return steps.Told()

    async def _received(
        self, ref: steps.DenialRef | steps.DenialAlert, position: int, reference: str
    ) -> None:
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            letters = await denials.letters_of(tx, ref.claim_number, ref.denial)
            if letters[position - 1].state == "in_doubt":
                await denials.change_letter(
                    tx, ref.claim_number, ref.denial, position,
                    state="received", receipt=reference, received_at=now,
                )  # fmt: skip

    # --- people

    @performs(steps.RECORD_DENIAL_CHOICE)
    async def record_denial_choice(self, choice: steps.DenialChoice) -> steps.DecisionRecorded:
        """Who decided what and why: in the audit log with all that follows from it, once."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            row = await denials.lock_denial(tx, choice.claim_number, choice.denial)
            key = f"denial|{row.claim_number}|{row.number}|{choice.request}"
            if not await claims.has_event(tx, key) and row.outcome is None:
                refused = await _refusal(tx, row, choice, now)
                if refused is not None:
                    return steps.DecisionRecorded(at=now, refused=refused)
            new = await claims.append_event(
                tx,
                row.claim_number,
                key,
                now,
                "denial_decision",
                choice.by,
                {"denial": row.number, "choice": choice.choice},
            )
            if new and row.outcome is None:
                await audit.record(
                    tx, now, choice.by, "decide_denial", row.claim_number,
                    choice.model_dump(exclude={"claim_number", "by", "item"}),
                )  # fmt: skip
                await self._carry_out(tx, row, choice, now)
        return steps.DecisionRecorded(at=now)

    async def _carry_out(
        self, tx: Transaction, row: denials.Denial, choice: steps.DenialChoice, now: datetime
    ) -> None:
        number, denial = row.claim_number, row.number
        letters = await denials.letters_of(tx, number, denial)
        last = letters[-1] if letters else None
        playbook = self._outside.playbook
        if choice.choice in _LETTER_CHOICES:
            if last is None or last.state not in _LETTER_CHOICES[choice.choice]:
                return
            at = {
                "approve": {"approved_by": choice.by, "approved_at": now, "state": "approved"},
                "record_receipt": {
                    "receipt": (choice.reference or "")[:120], "received_at": now,
                    "state": "received",
                },
                "upheld": {"state": "upheld", "answered_at": now},
                "overturned": {"state": "overturned", "answered_at": now},
            }[choice.choice]  # fmt: skip
            await denials.change_letter(tx, number, denial, last.position, **at)
        elif choice.choice == "redraft":
            await denials.drop_draft(tx, number, denial)
            await denials.forget(tx, row, "refused:")
        elif choice.choice == _ANYWAY:
            level = sum(item.state == "upheld" for item in letters if item.kind == "appeal") + 1
            level = level if row.action == "appeal" else 0
            await denials.take(tx, row, f"{_ANYWAY}:{row.action}:{level}")
        elif choice.choice == "done":
            await denials.take(tx, row, row.action or "")
        elif choice.choice == "send_again" and row.action is not None:
            look = await look_at(self._outside, tx, number, row.version, row.cause)
            policy = look.billed.policy if look.billed else None
            replaced = policy is not None and policy.corrections.finalized == "replacement"
            await denials.conclude(
                tx, number, denial, "corrected", now,
                correction=row.action,
                restart=playbook.action(row.action).restart,
                frequency="7" if replaced else "1",
            )  # fmt: skip
        elif choice.choice == "bill_patient":
            if not row.cause.startswith("PR-"):
                raise invalid("only what carries group code PR is asked of the patient")
            open_now = (await ledger.balance(tx, number)).payer_open
            await ledger.lock_claim(tx, number)
            if open_now > 0:
                await ledger.book(
                    tx,
                    ledger.Booking(
                        f"patient_share|{number}|denial|{denial}", "patient_share",
                        ledger.Account.PATIENT_RECEIVABLE, ledger.Account.PAYER_RECEIVABLE,
                        Cents(open_now), number,
                    ),
                    now,
                )  # fmt: skip
            await denials.conclude(tx, number, denial, "patient", now)
        elif choice.choice == "write_off":
            await ledger.lock_claim(tx, number)
            version = await claims.read_version(tx, number, row.version)
            if version.payer_sequence > 1:
                # What the payers before left to the patient was this one's to pay.
                await ledger.take_from_patient(tx, number, f"denial|{denial}", now)
            open_now = (await ledger.balance(tx, number)).payer_open
            if open_now > 0:
                await ledger.write_off(tx, number, Cents(open_now), f"denial|{denial}", now)
            await denials.conclude(tx, number, denial, "written_off", now)

    # --- the clock, and the claim

    @performs(steps.FOLLOW_UP_DENIAL)
    async def follow_up_denial(self, alert: steps.DenialAlert) -> steps.Told:
        """Somebody is told, once for each time; a packet in doubt is asked for its receipt."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            row = await denials.read_denial(tx, alert.claim_number, alert.denial)
            letters = await denials.letters_of(tx, alert.claim_number, alert.denial)
            expired = row.limit_at is not None and row.limit_at <= now
            await claims.append_event(
                tx,
                row.claim_number,
                f"alert|{row.claim_number}|denial|{row.number}|{alert.follow_ups}",
                now,
                "alert",
                "groupclaim",
                {
                    "denial": row.number,
                    "action": row.action,
                    "who": row.who,
                    "limit_at": row.limit_at.isoformat() if row.limit_at else None,
                    "expired": expired,
                    "level": alert.follow_ups,
                },
            )
        last = letters[-1] if letters else None
        if last is not None and last.state == "in_doubt" and last.channel != "hand":
            receipt = await self._outside.letters.receipt(last.delivery_key)
            if receipt is not None:
                await self._received(alert, last.position, receipt.reference)
        return steps.Told()

    @performs(steps.ANNOUNCE_DENIAL)
    async def announce_denial(self, ref: steps.DenialRef) -> steps.Told:
        """Tell the claim where its denial stands, if that is news to it."""
        async with self._outside.database.reading() as reading:
            now = await practice_now(reading)
            row = await denials.read_denial(reading, ref.claim_number, ref.denial)
            letters = await denials.letters_of(reading, ref.claim_number, ref.denial)
            known = (await known_claims(reading, [ref.claim_number]))[ref.claim_number]
        state = known.state
        waiting = bool(letters) and letters[-1].state in ("in_doubt", "received", "overturned")
        code = "APPEALED" if waiting else "DENIED"
        if state.denial != ref.denial or (
            row.outcome is None and state.hold is not None and state.hold.code == code
        ):
            return steps.Told()
        event = DenialAdvanced.model_validate(
            {
                "at": now,
                "key": f"denial:{ref.denial}:{row.outcome or code}:{ref.news}",
                # Where the claim refuses what was decided, somebody looks at it again.
                "due_at": row.due_at or now + LOOK_AGAIN,
                "denial": ref.denial,
                "held": Held(code=code, releasable=True) if row.outcome is None else None,
                "correction": row.correction,
                "restart": Step(row.restart) if row.restart else None,
                "frequency": row.frequency or "1",
                "settled": row.outcome in ("written_off", "patient"),
            }
        )
        await self._messages.tell_claim(known.payer_key, ref.claim_number, "denial", event)
        return steps.Told()


async def _follow_work(
    tx: Transaction, row: denials.Denial, plan: steps.DenialPlan | None, now: datetime
) -> tuple[steps.ItemStanding, ...]:
    """What a person has to do next about a denial is on the work list for as long as it is next;
    what the payer has to do is not. What its items are then comes back."""
    subject = f"{row.claim_number}/{row.number}"
    kept = None
    if plan is not None and plan.next in ("person", "wait") and plan.who != "payer":
        of = await tx.first(
            select(claim.c.session_id, claim.c.payer_key).filter_by(claim_number=row.claim_number)
        )
        task = work.Task(
            kind="denial",
            subject=subject,
            key="|".join((plan.action or "", *plan.choices)),
            code=(plan.action or "denied").upper(),
            queue=plan.who,
            cents=row.cents,
            due_at=plan.due_at,
            claim_number=row.claim_number,
            session_id=of.session_id if of else None,
            payer_key=of.payer_key if of else None,
        )
        kept = await work.open_item(tx, task, now)
    await work.close_items(tx, "denial", subject, now, keeping=kept)
    return await standings(tx, "denial", subject)


_APPROVED = {"approve": Decision.LETTER, "write_off": Decision.WRITE_OFF}


async def _refusal(
    tx: Transaction, row: denials.Denial, choice: steps.DenialChoice, now: datetime
) -> str | None:
    """Why it is not theirs to send this letter, to give this much up, or to ask it of the
    patient."""
    if choice.choice == "bill_patient" and await _is_spared(tx, row):
        return (
            "what is left is the share of a qualified Medicare beneficiary: it may not be "
            "collected from the patient"
        )
    decision = _APPROVED.get(choice.choice)
    if decision is None:
        return None
    cents = row.cents
    if decision is Decision.WRITE_OFF:
        cents = max(cents, int((await ledger.balance(tx, row.claim_number)).payer_open))
    return await approvals.refusal(
        tx,
        decision,
        cents,
        row.claim_number,
        now,
        by=choice.by,
        second=choice.second,
        request=choice.request,
    )


async def _is_spared(tx: Transaction, row: denials.Denial) -> bool:
    """Whether what a later payer has denied is what the first may not have left to the patient."""
    version = await claims.read_version(tx, row.claim_number, row.version)
    first = (await coordination.decisions(tx, row.claim_number)).get(1)
    if first is None or version.payer_sequence == 1:
        return False
    paid = await coordination.paid_version(tx, row.claim_number, first.payment)
    return for_the_next_payer_alone(first.payment) or (
        paid is not None and owes_nothing(paid.parties)
    )


_LETTER_CHOICES = {
    "approve": ("drafted",),
    "record_receipt": ("in_doubt",),
    "upheld": ("received", "overturned"),
    "overturned": ("received",),
}
_TEXTS: tuple[str, ...] = (
    "topic", "intervention", "participation", "progress", "goal", "necessity",
)  # fmt: skip


def _plan(
    base: dict[str, Any],
    then: Literal["draft", "send", "ask", "person", "wait", "conclude"],
    choices: tuple[str, ...] = (),
    **changes: Any,
) -> steps.DenialPlan:
    return steps.DenialPlan.model_validate(
        {**base, "next": then, "choices": tuple(dict.fromkeys(choices)), **changes}
    )


def _may_announce(look: Look, letter: denials.Letter, playbook: Playbook) -> bool:
    """Whether documents that have left may be announced by a replacement: the payer takes one, in
    time, none was announced for the same cause before, and it has not yet said anything to them."""
    left = look.denied.days_to_correct
    return (
        letter.kind == "send_documents"
        and is_new(letter.kind, look.denied, playbook)
        and letter.state in ("in_doubt", "received")
        and look.billed is not None
        and look.billed.policy.corrections.finalized == "replacement"
        and (left is None or left >= 0)
    )


def _takes_request(look: Look) -> bool:
    """Whether the payer can be asked by 278, or asked after a request that is not decided. What it
    answered in another way than by yes or no is for a person to follow."""
    if look.billed is None:
        return False
    if look.request is not None:
        return look.request.state in OPEN_REQUESTS
    return series_after_denial(look.found.facts, look.billed.policy, _today(look.found)) is not None


def _kind(action: str) -> Literal["appeal", "send_documents"]:
    return "appeal" if action == "appeal" else "send_documents"


def _today(found: OnFile) -> date:
    return found.now.astimezone(ZoneInfo(found.facts.practice.time_zone)).date()


def _limit(look: Look, decision: DenialDecision) -> Deadline | None:
    """The deadline that the next rung must keep: of the appeal, or of a correction."""
    if look.billed is None or look.found.facts.decided_on is None:
        return None
    deadlines, decided_on = look.billed.deadlines, look.found.facts.decided_on
    levels = len(look.billed.policy.appeal_limit.levels)
    level = decision.level or look.denied.appeals + 1
    if decision.action in ("appeal", "write_off") and level <= levels:
        return deadlines.appeal_limit(decided_on, level)
    return deadlines.correction_limit(decided_on, look.found.facts.service_date)
