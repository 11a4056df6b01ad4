"""A claim that was sent and is not true: taken back from every payer that has it, once each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from activities import steps
from activities.messages import Messages
from activities.on_file import LOOK_AGAIN, OnFile, on_file, today
from activities.outside import Outside, performs
from activities.remittance import denial_cause
from groupclaim.lifecycle.events import VoidPlanned
from groupclaim.lifecycle.state import Stage, Step
from groupclaim.policy.payer import NoPolicy, PayerPolicy
from groupclaim.rules.deadlines import Deadline, Deadlines
from groupclaim.rules.holding import held
from groupclaim.rules.voids import APPROVAL as APPROVALS
from groupclaim.rules.voids import (
    ATTENDANCE_CHANGED,
    AtPayer,
    Plan,
    asked,
    plan_void,
    refund_deadline,
)
from groupclaim.store import (
    authorizations,
    claims,
    denials,
    disputes,
    ledger,
    remittances,
    voids,
    work,
)
from groupclaim.store.database import Transaction
from groupclaim.store.ledger import Account
from groupclaim.store.voids import Held

_BEFORE_LIMIT = tuple(timedelta(days=days) for days in (30, 14, 3, 0))
_START_OF_WORK = time(8)
_SOON = timedelta(days=1)
"""When a version that no payer has confirmed yet is looked at again."""


_WITHDRAWAL = "withdrawal"
"""Kind of work item: a payer has been asked for something of a claim that is not true."""


@dataclass(frozen=True, slots=True)
class _Payer:
    """What one payer has of the claim, with its rules of the day of service."""

    held: Held
    facts: AtPayer
    policy: PayerPolicy
    deadlines: Deadlines
    payer_key: str


class VoidDesk:
    def __init__(self, outside: Outside, messages: Messages) -> None:
        self._outside = outside
        self._messages = messages

    @performs(steps.PLAN_VOID)
    async def plan_void(self, step: steps.ClaimStep) -> VoidPlanned:
        """What comes next of a claim whose attendance or note was corrected after it was sent. Done
        again, it finds what is left to do: nothing of it depends on what came in which order."""
        number = step.claim_number
        async with self._outside.database.transaction() as tx:
            await ledger.lock_claim(tx, number)
            found = await on_file(self._outside, tx, number, step.version)
            reason = await voids.unbillable_reason(tx, number)
            await voids.withdraw_waiting(tx, number, found.now)
            cases: Sequence[int] = ()
            if reason is not None:
                cases = await self._stop(tx, found)
            if found.billed is None:
                planned = await self._lacking(tx, step, found, reason)
            else:
                planned = await self._next(tx, step, found, reason)
            if planned.next == "stands":
                await work.close_items(tx, _WITHDRAWAL, number, found.now)
                cases = await disputes.reinstate(tx, number)
        for case_id in cases:
            await self._messages.tell_dispute(case_id)
        return planned

    async def _stop(self, tx: Transaction, found: OnFile) -> tuple[int, ...]:
        """Nobody appeals, or asks for more money, for a claim that is not true. The cases touched
        come back; what a payer has been asked already, a person withdraws."""
        number, now = found.facts.claim_number, found.now
        denied = await denials.find_open(tx, number)
        if denied is not None:
            await denials.lock_denial(tx, number, denied.number)
            await denials.conclude(tx, number, denied.number, "superseded", now)
        touched = await disputes.withdraw(tx, number, now)
        for of, letter in await denials.overtaken_letters(tx, number):
            said = (
                f"Letter {letter.position} about denial {of.number} is with the payer"
                f"{f', receipt {letter.receipt}' if letter.receipt else ''}, and the claim is not "
                "true: tell the payer that it is withdrawn, then resolve this with what it said."
            )
            key = f"letter|{of.number}|{letter.position}"
            await _to_withdraw(tx, found, key, "APPEAL_WITHDRAWN", of.cents, said)
        for case in await disputes.withdrawn(tx, number):
            said = (
                f"Dispute {case.case_id} has told the payer of this claim, which is not true: tell "
                "the payer that it is withdrawn, then resolve this with what it said."
            )
            key = f"dispute|{case.case_id}"
            await _to_withdraw(tx, found, key, "DISPUTE_WITHDRAWN", case.outstanding, said)
        return touched

    async def _lacking(
        self, tx: Transaction, step: steps.ClaimStep, found: OnFile, reason: str | None
    ) -> VoidPlanned:
        await claims.replace_findings(
            tx, step.claim_number, steps.PLAN_VOID.name, found.lacks, found.now
        )
        due_at = found.now + LOOK_AGAIN
        hold = held(found.lacks)
        return VoidPlanned(at=found.now, due_at=due_at, next="hold", held=hold, reason=reason)

    async def _next(
        self, tx: Transaction, step: steps.ClaimStep, found: OnFile, reason: str | None
    ) -> VoidPlanned:
        number, now = step.claim_number, found.now
        approved = bool({ATTENDANCE_CHANGED, *APPROVALS.values()}.intersection(step.waivers))
        while True:
            payers = await self._payers(tx, step, found)
            known_on = _known_on(step, found)
            limits = await self._clock(tx, number, found, reason, payers, known_on)
            plan = plan_void(
                reason is not None, [one.facts for one in payers], step.waivers, approved
            )
            if plan.what != "settle":
                break
            await self._settle(tx, number, payers, plan, now)
        one = next((item for item in payers if item.facts == plan.payer), None)
        limit = limits.get(one.held.place) if one else None
        findings = asked(plan, number, reason or "", limit, one.policy) if one else ()
        await claims.replace_findings(tx, number, steps.PLAN_VOID.name, findings, now)
        if plan.what == "done":
            await voids.close_account(tx, number, now)
            await authorizations.release(tx, number, now, consumed=True)
            return VoidPlanned(at=now, next="done", reason=reason, rebill=reason is None)
        if plan.what == "stands":
            return await self._stands(tx, step, found, payers)
        if one is None:
            raise AssertionError(f"{plan.what} concerns a payer")
        if plan.what == "send":
            return VoidPlanned(at=now, next="send", reason=reason, payer=one.held.place)
        due_at = _look_at(one, plan, limit, found)
        if step.follow_ups:
            detail = {
                "missing": "the payer's money back" if one.facts.paid else "the payer's answer",
                "by": limit.at.isoformat() if limit else None,
                "level": step.follow_ups,
            }
            key = f"alert|{number}|{step.sequence}"
            await claims.append_event(
                tx, number, key, now, "alert", "groupclaim", detail, sequence=step.sequence
            )
        hold = held(findings)
        following = "hold" if hold else "wait"
        return VoidPlanned.model_validate(
            {"at": now, "due_at": due_at, "next": following, "held": hold, "reason": reason}
        )

    async def _payers(
        self, tx: Transaction, step: steps.ClaimStep, found: OnFile
    ) -> tuple[_Payer, ...]:
        """Every payer that has, or had, something of the claim."""
        listed = []
        for item in await voids.held_by_payers(tx, step.claim_number):
            policy, deadlines = self._rules(item, found)
            decision = item.decision
            told_at = item.told_at or (item.billed_at if item.void is None else None)
            overdue = told_at is not None and deadlines.remittance(told_at).at <= found.now
            refused = item.refused or (item.void is None and step.cause is not None)
            taken = (
                await voids.kept_by_payer(tx, step.claim_number, decision.payer_id)
                if decision is not None
                else 0
            )
            facts = AtPayer.model_validate(
                {
                    "place": item.place,
                    # One that got the claim from another payer has none of ours to name.
                    "route": policy.voids.route if item.version else "refund",
                    "approval": policy.voids.approval,
                    "version": item.version.version if item.version else 0,
                    "number": item.number,
                    "undecided": item.undecided,
                    "decided": decision is not None and not decision.denied,
                    "paid": decision.paid if decision else 0,
                    "share": decision.share if decision else 0,
                    "paid_on": decision.paid_on if decision else None,
                    "taken": taken,
                    "void": "refused" if refused else "sent" if item.void else "none",
                    "answer_due": overdue,
                }
            )
            billed = found.billed
            payer = item.version.parties.payer if item.version else billed.payer if billed else None
            key = tx.keyring.payer_key(payer.ref) if payer else "none"
            listed.append(_Payer(item, facts, policy, deadlines, key))
        return tuple(listed)

    def _rules(self, item: Held, found: OnFile) -> tuple[PayerPolicy, Deadlines]:
        """Of the payer that has it; where they are not on file any more, of the one now billed."""
        if found.billed is None:
            raise AssertionError("looked at with the rules of a payer")
        if item.version is None:
            return found.billed.policy, found.billed.deadlines
        facts = found.facts
        try:
            policy = self._outside.policies.policy(
                item.version.parties.payer.policy, facts.service_date
            )
        except NoPolicy:
            return found.billed.policy, found.billed.deadlines
        return policy, Deadlines(policy, self._outside.calendar, facts.practice.time_zone)

    # --- money that goes back

    async def _clock(
        self,
        tx: Transaction,
        number: str,
        found: OnFile,
        reason: str | None,
        payers: Sequence[_Payer],
        known_on: date,
    ) -> dict[int, Deadline]:
        """By when the money of each payer must be back, by its place. An overpayment is on file
        from the day it is known; one that is back, or was none, is closed."""
        limits: dict[int, Deadline] = {}
        for one in payers:
            place, decision = one.held.place, one.held.decision
            known = await voids.open_overpayment(tx, number, place)
            if decision is None or not one.facts.decided or decision.paid <= 0:
                if known is not None:
                    await voids.close_overpayment(tx, known, "reversed", found.now)
                continue
            if reason is None and known is None:
                continue
            told = one.held.void is not None
            if reason is None and known is not None and not told:
                await voids.close_overpayment(tx, known, "stands", found.now)
                continue
            identified = known.identified_on if known else known_on
            limit = refund_deadline(
                one.policy, one.deadlines, identified, decision.paid_on or identified
            )
            if limit is not None:
                limits[place] = limit
            await voids.note_overpayment(
                tx,
                number,
                place,
                one.payer_key,
                reason=reason or "",
                route=one.facts.route,
                decision=decision,
                identified_on=identified,
                refund_by=limit.at if limit else None,
                working=limit.working if limit else _before_look_back(one.policy, decision.paid_on),
            )
        return limits

    async def _settle(
        self,
        tx: Transaction,
        number: str,
        payers: Sequence[_Payer],
        plan: Plan,
        now: datetime,
    ) -> None:
        """The payer has its money already: it kept it from another payment, or never paid any."""
        one = next(item for item in payers if item.facts == plan.payer)
        if one.held.decision is not None:
            await voids.take_back(tx, number, one.held.decision, Account.TAKEBACK, now)
        known = await voids.open_overpayment(tx, number, one.held.place)
        if known is not None:
            await voids.close_overpayment(tx, known, "kept", now)

    # --- nothing was wrong after all

    async def _stands(
        self,
        tx: Transaction,
        step: steps.ClaimStep,
        found: OnFile,
        payers: Sequence[_Payer],
    ) -> VoidPlanned:
        """Where a claim goes on that was true all the time and of which no payer has been told."""
        now = found.now
        with_version = [one.held for one in payers if one.held.version is not None]
        if not with_version:
            return VoidPlanned(at=now, next="stands", restart=Step.CHECK_ELIGIBILITY)
        newest = max(with_version, key=lambda one: one.version.version if one.version else 0)
        version = newest.version.version if newest.version else 0
        here = {"at": now, "next": "stands", "version": version, "payer": newest.place}
        if newest.undecided:
            due_at = now + (LOOK_AGAIN if newest.stage == "accepted" else _SOON)
            return VoidPlanned.model_validate(
                {**here, "stage": Stage(newest.stage), "due_at": due_at}
            )
        if newest.decision is not None and newest.decision.denied and newest.place == 1:
            payments = await remittances.claim_payments(tx, step.claim_number)
            cause = denial_cause(payments[-1]) if payments else None
            return VoidPlanned.model_validate(
                {**here, "restart": Step.DECIDE_DENIAL, "cause": cause}
            )
        return VoidPlanned.model_validate({**here, "restart": Step.AUDIT_PAYMENT})


async def _to_withdraw(
    tx: Transaction, found: OnFile, key: str, code: str, cents: int, said: str
) -> None:
    """Have a person tell the payer, once, that what it was asked for is withdrawn."""
    facts, billed = found.facts, found.billed
    task = work.Task(
        kind=_WITHDRAWAL,
        subject=facts.claim_number,
        key=key,
        code=code,
        queue="biller",
        cents=cents,
        due_at=found.now + LOOK_AGAIN,
        claim_number=facts.claim_number,
        session_id=facts.session_id,
        payer_key=tx.keyring.payer_key(billed.payer.ref) if billed else None,
    )
    item = await work.open_once(tx, task, found.now)
    if not await work.comments(tx, item):
        await work.comment(tx, item, said, work.BY_ITSELF, found.now)


def _known_on(step: steps.ClaimStep, found: OnFile) -> date:
    """The day on which it became known that the claim is not true, however late this is looked at,
    or looked at once more: the law's sixty days begin with it."""
    if step.since is None:
        return today(found)
    zone = ZoneInfo(found.facts.practice.time_zone)
    return min(step.since.astimezone(zone).date(), today(found))


def _look_at(one: _Payer, plan: Plan, limit: Deadline | None, found: OnFile) -> datetime:
    """When it is looked at next: before the payer's money must be back, and when its answer is due;
    in any case within a week where a person has to act."""
    zone = ZoneInfo(found.facts.practice.time_zone)
    coming = [found.now + LOOK_AGAIN]
    if limit is not None:
        last = limit.at.astimezone(zone).date()
        coming += [
            datetime.combine(last - before, _START_OF_WORK, zone) for before in _BEFORE_LIMIT
        ]
    if plan.what == "wait" and one.held.told_at is not None:
        coming = [*coming[1:], one.deadlines.remittance(one.held.told_at).at]
    return min((at for at in coming if at > found.now), default=found.now + LOOK_AGAIN)


def _before_look_back(policy: PayerPolicy, paid_on: date | None) -> str:
    years = policy.overpayments.lookback_years
    return f"paid on {paid_on}, more than {years} years before it was known"
