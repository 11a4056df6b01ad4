"""What is left open after payment, with the payer and with the patient."""

from __future__ import annotations

from activities import steps
from activities.on_file import OnFile, on_file
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import BalanceSettled
from groupclaim.store import ledger
from groupclaim.store.database import Transaction

_REVIEWS = ("UNDERPAYMENT_REVIEW", "OVERPAYMENT_REVIEW")


class BalanceDesk:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.SETTLE_BALANCE)
    async def settle_balance(self, step: steps.ClaimStep) -> BalanceSettled:
        """What the ledger leaves open, after what a person has decided to give up or to keep."""
        async with self._outside.database.transaction() as tx:
            found = await on_file(self._outside, tx, step.claim_number)
            await ledger.lock_claim(tx, step.claim_number)
            for review in _REVIEWS:
                await _carry_out(tx, step, review, found)
            left = await ledger.balance(tx, step.claim_number)
        due_at = found.look_again()
        if left.payer_open == 0 and left.patient_open > 0 and found.billed is not None:
            due_at = found.billed.deadlines.statement(found.now).at
        settled = left.payer_open == 0 and left.patient_open == 0
        return BalanceSettled(
            at=found.now,
            due_at=None if settled else due_at,
            payer_open=left.payer_open,
            patient_open=left.patient_open,
        )


async def _carry_out(tx: Transaction, step: steps.ClaimStep, review: str, found: OnFile) -> None:
    """Write off what the payer still owes, or keep what it paid too much, once for each release.

    A release covers what stood open then: a later difference is reviewed anew.
    """
    releases = step.waivers.count(review)
    open_now = (await ledger.balance(tx, step.claim_number)).payer_open
    owed = open_now > 0
    if not releases or open_now == 0 or owed != (review == "UNDERPAYMENT_REVIEW"):
        return
    try:
        await ledger.write_off(tx, step.claim_number, open_now, f"{review}|{releases}", found.now)
    except ledger.KeyReused:
        return
