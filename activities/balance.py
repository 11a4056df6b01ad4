"""What is left open after payment, with the payer and with the patient."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

from activities import steps
from activities.cards import charges_card
from activities.coordination import NextPayer, next_payer
from activities.on_file import OnFile, on_file
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import BalanceSettled
from groupclaim.lifecycle.state import Consent
from groupclaim.model.money import Cents
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
        if left.payer_open == 0 and left.patient_open > 0 and found.billed is not None:
            due_at = found.billed.deadlines.statement(found.now).at
        settled = left.payer_open == 0 and left.patient_open == 0
        return BalanceSettled(
            at=found.now,
            due_at=None if settled else due_at,
            payer_open=left.payer_open,
            patient_open=left.patient_open,
            charge_card=charge_card,
        )


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
