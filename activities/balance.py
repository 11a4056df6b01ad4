"""What is left open after payment, with the payer and with the patient."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from activities import steps
from activities.card_notices import KIND as CARD_NOTICE
from activities.cards import charges_card
from activities.coordination import NextPayer, next_payer, owes_nothing
from activities.on_file import LOOK_AGAIN, REFUND_DUE, OnFile, on_file, refund_deadline
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import BalanceSettled
from groupclaim.lifecycle.state import ClaimState, Consent
from groupclaim.lifecycle.transition import held_back
from groupclaim.model.approval import Decision
from groupclaim.model.finding import Finding, Severity
from groupclaim.model.money import Cents
from groupclaim.model.session import Attendance
from groupclaim.policy.patient_rights import patient_rights
from groupclaim.rules.attendance import not_billable_reason
from groupclaim.rules.coding import code_claim, main_code
from groupclaim.rules.coordination import Decided, not_collectible
from groupclaim.rules.pricing import fee_in_force
from groupclaim.store import (
    approvals,
    audit,
    authorizations,
    claims,
    coordination,
    ledger,
    practice,
    remittances,
    voids,
    work,
)
from groupclaim.store.database import Reading, Transaction


class BalanceDesk:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.SETTLE_BALANCE)
    async def settle_balance(self, step: steps.ClaimStep) -> BalanceSettled:
        """What the ledger leaves open, after what a person has decided to give up or to keep."""
        async with self._outside.database.transaction() as tx:
            found = await on_file(self._outside, tx, step.claim_number, step.version)
            await ledger.lock_claim(tx, step.claim_number)
            await _charge_alone(tx, step, found)
            payments = await remittances.claim_payments(tx, step.claim_number)
            decided = await coordination.last_of_each(tx, payments)
            await _spare(tx, step, found, decided.get(1))
            if step.consent is not None:
                await _carry_out(tx, step, step.consent, found.now)
            waited_for = not step.given_up or step.given_up in decided
            following = (
                await next_payer(self._outside, tx, step, found, decided) if waited_for else None
            )
            share = not_collectible(payments) if following is None else Cents(0)
            await ledger.give_up_share(tx, step.claim_number, share, found.now)
            left = await ledger.balance(tx, step.claim_number)
            if following is not None and (left.payer_open == 0 or following.open_is_theirs):
                return _of_next(found, left, following)
            charge_card = left.patient_open > 0 and await charges_card(
                self._outside, tx, found, left
            )
            if not charge_card:
                await work.close_items(tx, CARD_NOTICE, step.claim_number, found.now)
        due_at = found.look_again()
        if left.payer_open == 0 and left.patient_open > 0:
            due_at = _statement_due(found)
        if left.patient_open < 0:
            due_at = min(due_at, await self._credit_told(step, found, left))
        settled = left.payer_open == 0 and left.patient_open == 0
        return BalanceSettled(
            at=found.now,
            due_at=None if settled else due_at,
            payer_open=left.payer_open,
            patient_open=left.patient_open,
            charge_card=charge_card,
        )

    @performs(steps.RECORD_WRITE_OFF)
    async def record_write_off(self, decision: steps.ClaimWriteOff) -> steps.DecisionRecorded:
        """Give up, once, what a payer owes that never decided, or a claim that can be sent no more:
        by who may, when its time has passed. It is the practice's loss; nothing of it becomes the
        patient's."""
        number = decision.claim_number
        async with self._outside.database.transaction() as tx:
            found = await on_file(self._outside, tx, number, decision.version)
            key = f"write_off|{number}|{decision.request}"
            await ledger.lock_claim(tx, number)
            state = decision.state or await claims.load_state(tx, number)
            back = held_back(state)
            unsent = back and state.payer == 1 and not await voids.has_left(tx, number)
            if await claims.has_event(tx, key):
                return steps.DecisionRecorded(at=found.now, unsent=unsent)
            left = await self._given_up(tx, state, found)
            refused = (
                await _may_still_be_sent(tx, state, found)
                if back
                else await _still_decides(tx, decision, state, found, left)
            )
            if refused is None:
                refused = await approvals.refusal(
                    tx,
                    Decision.WRITE_OFF,
                    int(left),
                    number,
                    found.now,
                    by=decision.by,
                    second=decision.second,
                    request=decision.request,
                )
            if refused is not None:
                return steps.DecisionRecorded(at=found.now, refused=refused)
            await claims.append_event(
                tx, number, key, found.now, "decision", decision.by, {"written_off": int(left)}
            )
            await audit.record(
                tx, found.now, decision.by, "write_off_claim", number,
                {
                    "cents": int(left), "reason": decision.reason, "request": decision.request,
                    "second": decision.second,
                },
            )  # fmt: skip
            await _book_loss(tx, state, f"undecided|{decision.version}", unsent, found.now)
        return steps.DecisionRecorded(at=found.now, unsent=unsent)

    async def _given_up(self, reading: Reading, state: ClaimState, found: OnFile) -> Cents:
        """What is lost with a claim that is given up: what is open with its payer, or what the
        patient was left with and the next payer was to pay; of one that was never charged, what it
        would charge."""
        number = state.claim_number
        open_now = await ledger.balance(reading, number)
        if state.payer > 1:
            return Cents(open_now.payer_open + await ledger.patient_share(reading, number))
        if open_now.charge or not held_back(state):
            return open_now.payer_open
        usual = await practice.usual_charge(reading, number)
        if found.billed is None:
            return usual
        outside = self._outside
        coded = code_claim(found.facts, found.billed.policy, outside.fees, edits=outside.edits)
        return max(usual, Cents(sum(line.charge for line in coded.lines)))

    async def _credit_told(
        self, step: steps.ClaimStep, found: OnFile, left: ledger.Balance
    ) -> datetime:
        """Say by when what the patient has paid too much goes back; a reminder well before."""
        async with self._outside.database.transaction() as tx:
            hold = (await claims.load_state(tx, step.claim_number)).hold
            since = hold.since if hold is not None and hold.code == REFUND_DUE else found.now
            deadline = refund_deadline(found, since)
            finding = Finding(
                rule="patient_credit",
                severity=Severity.WARN,
                sentence=f"The patient has paid {-left.patient_open} too much: it goes back by "
                f"{deadline.at:%Y-%m-%d} ({deadline.working}).",
                fix="Pay it back and record that.",
                evidence=(step.claim_number,),
                source=deadline.source,
            )
            await claims.replace_findings(
                tx, step.claim_number, steps.SETTLE_BALANCE.name, (finding,), found.now
            )
        return deadline.next_alert(found.now) or found.now + LOOK_AGAIN


async def _book_loss(
    tx: Transaction, state: ClaimState, key: str, unsent: bool, at: datetime
) -> None:
    """The ledger of a claim that is given up. What no payer has is charged no longer, so that
    nothing of it is owed; of what one has, all that is open is written off."""
    number = state.claim_number
    if unsent:
        await voids.close_account(tx, number, at)
        await authorizations.release(tx, number, at)
        return
    if state.payer > 1:
        # What the payers before left to the patient was this one's to pay.
        await ledger.take_from_patient(tx, number, key, at)
    left = (await ledger.balance(tx, number)).payer_open
    await ledger.write_off(tx, number, Cents(max(0, left)), key, at)


async def _may_still_be_sent(reading: Reading, state: ClaimState, found: OnFile) -> str | None:
    """Why a held claim is not to be given up yet; None once no first claim may come any more. A
    later payer's claim has no limit that is counted from the session: people decide when."""
    if state.payer > 1:
        return None
    if await remittances.claim_payments(reading, state.claim_number):
        return "its payer has decided: it is given up with its denial"
    if found.billed is None:
        return "whose filing limit counts is not known: no coverage, or no policy of its payer"
    limit = found.billed.deadlines.filing_limit(found.facts.service_date)
    if found.now <= limit.at:
        return f"it may still be sent until {limit.at:%Y-%m-%d} ({limit.working})"
    return None


async def _still_decides(
    reading: Reading,
    decision: steps.ClaimWriteOff,
    state: ClaimState,
    found: OnFile,
    left: Cents,
) -> str | None:
    """Why what is open is not to be given up yet; None once the payer's own time has passed. What
    it said of an earlier version is no decision on this one."""
    if left <= 0:
        return "nothing is open with its payer"
    decided = await remittances.claim_payments(reading, decision.claim_number)
    if any(payment.version in (None, decision.version) for payment in decided):
        return "its payer has decided meanwhile"
    if found.billed is None or state.since is None:
        return None
    expected = found.billed.deadlines.remittance(state.since)
    if found.now < expected.at:
        return f"its payer may still decide until {expected.at:%Y-%m-%d} ({expected.working})"
    return None


async def _charge_alone(tx: Transaction, step: steps.ClaimStep, found: OnFile) -> None:
    """A patient who alone pays owes the fee of a session they attended, and nothing else."""
    facts = found.facts
    fee = fee_in_force(facts, main_code(facts))
    billable = facts.attendance is Attendance.ATTENDED and (
        not_billable_reason(facts.attendance, facts.group_size or 0) is None
    )
    due = fee.cents if step.payer == 0 and billable and fee is not None else Cents(0)
    await ledger.book_self_pay(tx, step.claim_number, due, found.now)


async def _spare(
    tx: Transaction, step: steps.ClaimStep, found: OnFile, first: Decided | None
) -> None:
    """A qualified Medicare beneficiary owes nothing of what Medicare left to them."""
    if first is None:
        return
    payment = first.payment
    version = await coordination.paid_version(tx, step.claim_number, payment)
    if version is not None and owes_nothing(version.parties):
        await ledger.book_not_collectible(
            tx, step.claim_number, payment.remittance_id, payment.position, found.now
        )


def _statement_due(found: OnFile) -> datetime:
    """When a patient's balance is looked at again: as the payer's rules say, or our own."""
    if found.billed is not None:
        return found.billed.deadlines.statement(found.now).at
    return found.now + timedelta(days=patient_rights().statement.days_to_pay)


def _of_next(found: OnFile, left: ledger.Balance, following: NextPayer) -> BalanceSettled:
    """Another payer comes before the patient; a crossover is awaited to the end of its last day."""
    turn = following.turn
    due_at = found.look_again()
    if turn.until is not None:
        zone = ZoneInfo(found.facts.practice.time_zone)
        due_at = datetime.combine(turn.until, time(), zone)
    return BalanceSettled(
        at=found.now,
        due_at=due_at,
        payer_open=left.payer_open,
        patient_open=left.patient_open,
        next_payer=turn.what,
        payer=turn.payer,
        frequency=following.frequency,
    )


async def _carry_out(
    tx: Transaction, step: steps.ClaimStep, consent: Consent, at: datetime
) -> None:
    """Write off what the payer still owes, or keep what it paid too much: as much as a person was
    shown, once. When less than that is still open, they are asked about the rest anew."""
    open_now, shown = (await ledger.balance(tx, step.claim_number)).payer_open, consent.payer_open
    if open_now * shown > 0 and abs(open_now) >= abs(shown):
        key = f"review|{consent.key}"
        await ledger.write_off(tx, step.claim_number, Cents(shown), key, at)
