"""Does the payer ask for a prior authorization, and does one on file fit?"""

from __future__ import annotations

from activities import steps
from activities.on_file import OnFile, on_file
from activities.outside import Outside, performs
from groupclaim.lifecycle.events import AuthorizationChecked
from groupclaim.rules.authorization import AuthorizationCheck, check_authorization
from groupclaim.rules.coding import GROUP_PSYCHOTHERAPY
from groupclaim.rules.deadlines import attendance_deadline
from groupclaim.rules.holding import held
from groupclaim.store import authorizations, claims


class Authorization:
    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    @performs(steps.CHECK_AUTHORIZATION)
    async def check_authorization(self, step: steps.ClaimStep) -> AuthorizationChecked:
        """Look at the authorizations on file and reserve a unit of the one that fits; before
        attendance, the claim then waits for it."""
        async with self._outside.database.transaction() as tx:
            found = await on_file(self._outside, tx, step.claim_number)
            check = _checked(found)
            while check.authorization is not None and not await authorizations.reserve(
                tx, step.claim_number, check.authorization, found.now
            ):
                # Somebody else has taken the last unit since we looked: look again, it is locked.
                found = await on_file(self._outside, tx, step.claim_number)
                check = _checked(found)
            if check.authorization is None:
                await authorizations.release(tx, step.claim_number, found.now)
            await claims.replace_findings(
                tx, step.claim_number, steps.CHECK_AUTHORIZATION.name, check.findings, found.now
            )
        hold = held(check.findings, step.waivers)
        if hold is not None:
            return AuthorizationChecked(at=found.now, held=hold, due_at=found.look_again())
        attendance_due = attendance_deadline(found.facts.session.ends_at).at
        return AuthorizationChecked(at=found.now, due_at=attendance_due)


def _checked(found: OnFile) -> AuthorizationCheck:
    if found.billed is None:
        return AuthorizationCheck(authorization=None, findings=found.lacks)
    return check_authorization(found.facts, found.billed.policy, GROUP_PSYCHOTHERAPY)
