"""What is left open after payment, with the payer and with the patient."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from activities import steps
from activities.cards import charges_card
from activities.coordination import NextPayer, next_payer
from activities.on_file import OnFile, on_file
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import BalanceSettled
from groupclaim.lifecycle.state import Consent
from groupclaim.model.money import Cents
from groupclaim.model.session import Attendance
from groupclaim.policy.patient_rights import patient_rights
from groupclaim.rules.attendance import not_billable_reason
from groupclaim.rules.coding import main_code
from groupclaim.rules.pricing import fee_in_force
from groupclaim.store import ledger
from groupclaim.store.database import Transaction


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
            if step.consent is not None:
                await _carry_out(tx, step, step.consent, found.now)
            left = await ledger.balance(tx, step.claim_number)
            following = await next_payer(self._outside, tx, step, found)
            if following is not None and (left.payer_open == 0 or following.open_is_theirs):
                return _of_next(found, left, following)
            charge_card = left.patient_open > 0 and await charges_card(
                self._outside, tx, found, left
            )
        due_at = found.look_again()
        if left.payer_open == 0 and left.patient_open > 0:
            due_at = _statement_due(found)
        settled = left.payer_open == 0 and left.patient_open == 0
        return BalanceSettled(
            at=found.now,
            due_at=None if settled else due_at,
            payer_open=left.payer_open,
            patient_open=left.patient_open,
            charge_card=charge_card,
        )


async def _charge_alone(tx: Transaction, step: steps.ClaimStep, found: OnFile) -> None:
    """A patient who alone pays owes the fee of a session they attended, and nothing else."""
    facts = found.facts
    fee = fee_in_force(facts, main_code(facts))
    billable = facts.attendance is Attendance.ATTENDED and (
        not_billable_reason(facts.attendance, facts.group_size or 0) is None
    )
    due = fee.cents if step.payer == 0 and billable and fee is not None else Cents(0)
    await ledger.book_self_pay(tx, step.claim_number, due, found.now)


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
