"""Disputes with payers: looked at, decided by people, and what follows from that for claims."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from activities import steps
from activities.messages import Messages
from activities.outside import Outside, performs
from activities.work_items import standings
from groupclaim.model.approval import Decision
from groupclaim.policy.payer import PayerPolicy
from groupclaim.rules.deadlines import DISPUTE_ALERTS
from groupclaim.store import approvals, audit, claims, disputes, ledger, practice, work
from groupclaim.store.clock import practice_now, sleep_until, timer_seconds
from groupclaim.store.database import Reading, Transaction
from groupclaim.store.disputes import Case, CaseLine
from workflows import dispute

_BEFORE_LIMIT = tuple(timedelta(days=days) for days in DISPUTE_ALERTS)
_HOLDS = {"underpayment": "UNDERPAYMENT_REVIEW", "overpayment": "OVERPAYMENT_REVIEW"}


class DisputeDesk:
    def __init__(self, outside: Outside, messages: Messages) -> None:
        self._outside = outside
        self._messages = messages

    @performs(steps.LOOK_AT_DISPUTE)
    async def look_at_dispute(self, look: steps.DisputeLook) -> steps.DisputeStanding:
        """Where a case stands: ended when the payer has mended all of it or nothing of it is left,
        for a person when it is worth a letter. A look for want of an answer is an alert."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            case = await disputes.lock_case(tx, look.case_id)
            if case.state != "closed":
                if case.lines == 0:
                    await disputes.close(tx, case.id, "withdrawn", now)
                elif case.outstanding == 0:
                    await disputes.close(tx, case.id, disputes.MENDED[case.kind], now)
                elif await self._is_worth_a_letter(tx, case, now):
                    await disputes.worth_a_letter(tx, case.id)
            if look.follow_ups > case.follow_ups and case.state != "closed":
                detail = {"state": case.state, "level": look.follow_ups}
                await audit.record(
                    tx, now, "groupclaim", "dispute_alert", f"dispute/{case.id}", detail
                )
            return await self._standing(tx, case.id, look.follow_ups, now)

    @performs(steps.DECIDE_DISPUTE)
    async def decide_dispute(self, decision: steps.DisputeDecision) -> steps.DisputeStanding:
        """Carry out what a person decided, once, with who and why in the audit log."""
        async with self._outside.database.transaction() as tx:
            now = await practice_now(tx)
            case = await disputes.lock_case(tx, decision.case_id)
            outcome = next(
                (item for item in disputes.OUTCOMES[case.kind] if item == decision.outcome), None
            )
            approving = decision.action == "approve" and case.state == "to_approve"
            closing = decision.action == "close" and outcome and case.state != "closed"
            if approving or closing:
                refused = await approvals.refusal(
                    tx,
                    _takes(decision),
                    int(case.outstanding),
                    f"dispute/{case.id}",
                    now,
                    by=decision.by,
                    second=decision.second,
                    request=decision.request,
                )
                if refused is not None:
                    standing = await self._standing(tx, case.id, case.follow_ups, now)
                    return standing.model_copy(update={"refused": refused})
            if approving:
                await disputes.told(tx, case.id, now)
            elif closing and outcome:
                if outcome == "refunded":
                    await _book_refunds(tx, case, now)
                await disputes.close(tx, case.id, outcome, now)
            if approving or closing:
                await audit.record(
                    tx,
                    now,
                    decision.by,
                    f"dispute_{decision.action}",
                    f"dispute/{case.id}",
                    {
                        "outcome": decision.outcome,
                        "reason": decision.reason,
                        "request": decision.request,
                        "second": decision.second,
                        "outstanding_cents": int(case.outstanding),
                    },
                )
            return await self._standing(tx, case.id, 0, now)

    @performs(steps.RELEASE_DISPUTED)
    async def release_disputed(self, ref: steps.DisputeRef) -> steps.ClaimsReleased:
        """Release each claim of a closed case that is still held for its sake."""
        async with self._outside.database.reading() as reading:
            case = await disputes.read_case(reading, ref.case_id)
            numbers = sorted(
                {line.claim_number for line in await disputes.case_lines(reading, case.id)}
            )
            held = [
                number
                for number in numbers
                if (state := await claims.load_state(reading, number)).hold is not None
                and state.hold.code == _HOLDS[case.kind]
            ]
        released = 0
        for number in held:
            released += await self._messages.release_claim(
                number,
                _HOLDS[case.kind],
                f"dispute {case.id}",
                f"dispute {case.id} ended: {(case.outcome or '').replace('_', ' ')}",
                disputes.release_request(case.id),
            )
        return steps.ClaimsReleased(claims=released)

    async def _is_worth_a_letter(self, tx: Reading, case: Case, now: datetime) -> bool:
        """An overpayment always is: the law knows no floor. What it is too late for counts for
        nothing."""
        if case.state != "gathering":
            return False
        if case.kind == "overpayment":
            return True
        policy = await policy_of(self._outside, tx, case, now)
        in_time = [line for line, last in await _asked_for(tx, case) if last >= now]
        outstanding = sum(line.difference - line.recovered for line in in_time)
        return outstanding >= policy.recovery.floor_cents

    async def _standing(
        self, tx: Transaction, case_id: int, follow_ups: int, now: datetime
    ) -> steps.DisputeStanding:
        case = await disputes.read_case(tx, case_id)
        lasts = {last for _, last in await _asked_for(tx, case)}
        due_at = None
        if case.state != "closed":
            due_at = await self._next_look(tx, case, lasts, now)
            await disputes.look_again(tx, case.id, due_at, follow_ups)
        await sleep_until(tx, dispute.workflow_id(case.id), due_at)
        items = await _follow_work(tx, case, lasts, follow_ups, now)
        return steps.DisputeStanding(
            state=case.state,
            kind=case.kind,
            outcome=case.outcome,
            claims=case.claims,
            identified=case.identified,
            recovered=case.recovered,
            due_at=due_at,
            timer_seconds=await timer_seconds(tx, due_at) if due_at else None,
            items=items,
        )

    async def _next_look(
        self, tx: Reading, case: Case, lasts: Collection[datetime], now: datetime
    ) -> datetime:
        """In time before the last day of each line, and once the payer has been told every so many
        days."""
        policy = await policy_of(self._outside, tx, case, now)
        every = timedelta(days=policy.recovery.follow_up_days)
        alerts = []
        if not _is_asked(case):
            alerts = [last - before for last in lasts for before in _BEFORE_LIMIT]
        if case.told_at is not None:
            passed = (now - case.told_at) // every
            alerts.append(case.told_at + every * (passed + 1))
        return min((alert for alert in alerts if alert > now), default=now + every)


def _is_asked(case: Case) -> bool:
    """Whether no last day counts any more: a payer has been told that it paid too little. What it
    paid too much has to be back by its last day, whoever was told."""
    return case.told_at is not None and case.kind == "underpayment"


async def _follow_work(
    tx: Transaction, case: Case, lasts: Collection[datetime], follow_ups: int, now: datetime
) -> tuple[steps.ItemStanding, ...]:
    """A letter that waits for its approval, and a payer that does not answer one, are work of the
    contract owner, until the last day to act on the first line for which it is not too late; where
    it is too late for all, since the last of them. What its items are comes back."""
    code = {"to_approve": "DISPUTE_TO_APPROVE"}.get(case.state)
    if case.state == "told" and follow_ups:
        code = "DISPUTE_UNANSWERED"
    kept = None
    if code is not None:
        late = None if _is_asked(case) else max(lasts, default=None)
        task = work.Task(
            kind="dispute",
            subject=str(case.id),
            key=code,
            code=code,
            queue="contract owner",
            cents=int(case.outstanding),
            due_at=min((last for last in lasts if last >= now), default=late),
            payer_key=case.payer_key,
        )
        kept = await work.open_item(tx, task, now)
    await work.close_items(tx, "dispute", str(case.id), now, keeping=kept)
    return await standings(tx, "dispute", str(case.id))


async def _asked_for(reading: Reading, case: Case) -> list[tuple[CaseLine, datetime]]:
    """The lines of a case that nobody has withdrawn, each with the last moment to act on it."""
    zone = ZoneInfo((await practice.read_practice(reading)).time_zone)
    return [
        (line, datetime.combine(line.limit_on, time(23, 59, 59), zone))
        for line in await disputes.case_lines(reading, case.id)
        if line.withdrawn_at is None
    ]


async def policy_of(outside: Outside, reading: Reading, case: Case, now: datetime) -> PayerPolicy:
    """The rules of the payer of ``case`` as in force now."""
    payer = await practice.read_payer(reading, case.payer_key)
    return outside.policies.policy(payer.policy, now.date())


def _takes(decision: steps.DisputeDecision) -> Decision:
    """Under which limit it stands: a letter goes out, money goes back, or something is given up."""
    if decision.action == "approve":
        return Decision.LETTER
    return Decision.REFUND if decision.outcome == "refunded" else Decision.DISPUTE_END


async def _book_refunds(tx: Transaction, case: Case, at: datetime) -> None:
    """What is still too much of each line went back to the payer."""
    for line in await disputes.case_lines(tx, case.id):
        if line.withdrawn_at is not None:
            continue  # the whole of it goes back, as what the claim was paid
        await ledger.book_payer_refund(
            tx,
            line.claim_number,
            line.difference - line.recovered,
            f"{case.id}|{line.remittance_id}|{line.position}",
            at,
        )
