"""A rejection or denial: mend it and send again, or say what a person must do."""

from __future__ import annotations

from activities import steps
from activities.on_file import on_file
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import DenialDecided
from groupclaim.rules.denials import decide_denial
from groupclaim.rules.holding import held
from groupclaim.store import claims, remittances


class Denial:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.DECIDE_DENIAL)
    async def decide_denial(self, step: steps.ClaimStep) -> DenialDecided:
        """What the rules make of the cause, given what is on file by now."""
        outside = self._outside
        async with outside.database.reading() as reading:
            found = await on_file(outside, reading, step.claim_number)
            payments = await remittances.claim_payments(reading, step.claim_number)
            version = (
                await claims.read_version(reading, step.claim_number, step.version)
                if step.version
                else None
            )
        decision = decide_denial(
            step.cause,
            found.facts,
            found.to_bill.policy,
            corrections_tried=step.corrections,
            remarks=payments[-1].remarks if payments else (),
            sent_authorization=version.prior_authorization if version else None,
        )
        async with outside.database.transaction() as tx:
            await claims.replace_findings(
                tx, step.claim_number, steps.DECIDE_DENIAL.name, decision.findings, found.now
            )
        # A release asks for another decision, it never waives the denial itself.
        hold = held(decision.findings)
        return DenialDecided(
            at=found.now,
            held=hold,
            due_at=found.look_again() if hold else None,
            correction=decision.correction,
            restart=decision.restart,
            frequency=decision.frequency,
        )
