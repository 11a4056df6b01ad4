"""People who work the list of a played practice: each item by what it suggests, through the same
commands as anyone, on a day and in a way that the seed chooses."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import select
from temporalio.client import Client, WorkflowUpdateFailedError

from activities import steps
from activities.cash_desk import CashDesk
from activities.front_desk import FrontDesk, Refused, WorkAct
from groupclaim.lifecycle.state import ClaimState, Stage
from groupclaim.model.base import parse
from groupclaim.model.intake import PracticeFile
from groupclaim.model.money import Cents
from groupclaim.model.patient import Authorization
from groupclaim.store import claims, ledger, work
from groupclaim.store.database import Database
from groupclaim.store.ledger import Account
from groupclaim.store.schema import claim
from tests.simulation.made_year import MadeYear
from workflows import denial

PEOPLE = ("R. Lee", "S. Kim")
"""Two supervisors, who may decide together whatever may be decided."""

_ONE, _OTHER = PEOPLE
_WAIVED_FOR = timedelta(days=400)
_LATEST_DAYS = 9
"""Nobody leaves an item longer than that."""

_OF_UTILIZATION = {"AUTH_REQUIRED", "AUTH_REFUSED", "AUTH_EXHAUSTED", "AUTH_MISMATCH"}

_RATHER = {
    "write_off": 1, "send_again": 4, "approve": 8, "draft_anyway": 3, "redraft": 1, "done": 4,
    "record_receipt": 8, "upheld": 4, "overturned": 2, "bill_patient": 8,
}  # fmt: skip
"""How gladly each choice about a denial is taken."""


class People:
    """``did`` is what they did that a judge must know: in the form of ``outside.json``."""

    def __init__(
        self,
        seed: int,
        made: MadeYear,
        database: Database,
        desk: FrontDesk,
        cash: CashDesk,
        client: Client,
        whose: dict[str, tuple[str, str]],
    ) -> None:
        """``whose``: by claim number, the practice's own ids of session and patient."""
        self._seed = seed
        self._made = made
        self._database = database
        self._desk = desk
        self._cash = cash
        self._client = client
        self._whose = whose
        self.did: list[dict[str, Any]] = []
        self.acts: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self._not_before: dict[str, datetime] = {}

    async def work(self, now: datetime) -> None:
        """One sitting: all that is on the list and that somebody gets to today."""
        async with self._database.reading() as reading:
            found = await work.items(reading, work.Wanted(), now, limit=1000)
            owing = [
                row.claim_number
                for row in await reading.rows(
                    select(claim.c.claim_number).where(
                        claim.c.stage == Stage.PATIENT_BALANCE.value, claim.c.hold_code.is_(None)
                    )
                )
            ]
        today = [item for item in found if self._gets_to(item.id, now, _LATEST_DAYS)]
        await asyncio.gather(*(self._act(item, now) for item in today))
        paying = [number for number in owing if self._gets_to(f"owes {number}", now, 40)]
        await asyncio.gather(*(self._pays(number, now) for number in paying))

    def _gets_to(self, what: str, now: datetime, within_days: int) -> bool:
        """Whether the day has come; first it is chosen."""
        if what not in self._not_before:
            self._not_before[what] = now + timedelta(
                days=self._draw(what, now).randint(0, within_days)
            )
        if self._not_before[what] > now:
            return False
        del self._not_before[what]
        return True

    def _draw(self, what: str, now: datetime) -> Random:
        """What is drawn depends on what it is about and on the day, never on who was first."""
        return Random(f"{self._seed} {what} {now.isoformat()}")

    async def _act(self, item: work.WorkItem, now: datetime) -> None:
        how: dict[str, Callable[[work.WorkItem, datetime], Awaitable[None]]] = {
            "hold": self._hold,
            "denial": self._denial,
            "dispute": self._dispute,
            "money": self._money,
        }
        self.acts[item.kind] += 1
        try:
            await how.get(item.kind, self._done)(item, now)
        except (Refused, work.ChangedMeanwhile, WorkflowUpdateFailedError) as refused:
            # Somebody or something was first, or it cannot be: it is looked at another day.
            self.refusals[f"{item.kind} {item.code}: {refused.__cause__ or refused}"] += 1

    async def _done(self, item: work.WorkItem, now: datetime) -> None:
        await self._desk.act_on(item.id, WorkAct(kind="resolve", text="looked at"), by=_ONE)

    # --- claims that are held

    async def _hold(self, item: work.WorkItem, now: datetime) -> None:
        number = item.subject
        async with self._database.reading() as reading:
            state = await claims.load_state(reading, number)
        if state.hold is None:
            return
        session, patient = self._whose[number]
        if state.hold.code == "REFUND_DUE":
            await self._refund(number, now)
        elif state.hold.code in _OF_UTILIZATION and patient in self._made.authorizations:
            given = self._made.authorizations.pop(patient)
            self._note(now, "authorization_recorded", authorization=given)
            await self._desk.record_authorization(
                parse(Authorization, given, "authorization"), by=_ONE
            )
        elif state.hold.releasable:
            if state.hold.code == "NO_RATE" and self._made.contracts:
                await self._renew_contracts()
            await self._release(state, now)
            self._note(now, "hold_released", session=session, patient=patient)

    async def _renew_contracts(self) -> None:
        file = json.loads((self._made.folder / "practice.json").read_text())
        file["contracts"] += self._made.contracts
        self._made.contracts.clear()
        await self._desk.load(parse(PracticeFile, file, "practice"), by=_ONE)

    async def _release(self, state: ClaimState, now: datetime) -> None:
        hold = state.hold
        assert hold is not None
        waiver: dict[str, Any] = (
            {"second": _OTHER, "until": now + _WAIVED_FOR} if hold.two_people else {}
        )
        await self._desk.release_hold(
            state.claim_number, code=hold.code, by=_ONE, reason="looked into", **waiver
        )

    async def _refund(self, number: str, now: datetime) -> None:
        async with self._database.reading() as reading:
            credit = -(await ledger.balance(reading, number)).patient_open
        if credit > 0:
            receipt = f"refund {number} {now.isoformat()}"
            self._paid(number, now, -credit)
            await self._desk.patient_refund(number, Cents(credit), receipt, by=_ONE, second=_OTHER)

    async def _pays(self, number: str, now: datetime) -> None:
        """The patient pays all, or a part and later the rest."""
        async with self._database.reading() as reading:
            owed = (await ledger.balance(reading, number)).patient_open
        if owed <= 0:
            return
        draw = self._draw(number, now)
        cents = owed if draw.random() < 0.8 else draw.randint(1, owed)
        receipt = f"{number} {now.isoformat()}"
        self._paid(number, now, cents)
        await self._desk.patient_payment(number, Cents(cents), receipt, by=_ONE)

    def _paid(self, number: str, now: datetime, cents: int) -> None:
        session, patient = self._whose[number]
        self._note(now, "patient_payment", session=session, patient=patient, cents=cents)

    # --- denials, disputes, money

    async def _denial(self, item: work.WorkItem, now: datetime) -> None:
        number, _, place = item.subject.partition("/")
        handle = self._client.get_workflow_handle(denial.workflow_id(number, int(place)))
        plan: steps.DenialPlan = await handle.query("plan", result_type=steps.DenialPlan)
        if not plan.choices:
            return
        weights = [_RATHER.get(choice, 1) for choice in plan.choices]
        draw = self._draw(item.subject, now)
        (choice,) = draw.choices(plan.choices, weights)
        await self._desk.decide_denial(
            number,
            int(place),
            choice,
            by=_ONE,
            reason="as the playbook says",
            second=_OTHER,
            reference=f"R{draw.randint(1, 10**6)}",
        )

    async def _dispute(self, item: work.WorkItem, now: datetime) -> None:
        number = int(item.subject)
        if item.code == "DISPUTE_TO_APPROVE" and self._draw(item.id, now).random() < 0.7:
            await self._desk.approve_dispute(
                number, by=_ONE, reason="the contract says so", second=_OTHER
            )
            return
        handle = self._client.get_workflow_handle(f"dispute/{number}")
        standing = await handle.query("progress", result_type=steps.DisputeStanding)
        outcome = "kept" if standing.kind == "overpayment" else "given_up"
        await self._desk.close_dispute(
            number, outcome=outcome, by=_ONE, reason="no answer", second=_OTHER
        )

    async def _money(self, item: work.WorkItem, now: datetime) -> None:
        kind, _, what = item.subject.partition("/")
        if kind == "suspended":
            await self._cash.return_suspended(int(what), by=_ONE, reason="it does not come out")
        elif "/plb/" in what:
            await self._cash.settle(
                what, Account.WRITE_OFF, by=_ONE, second=_OTHER, reason="nobody knows of it"
            )
        else:
            await self._cash.return_unapplied(what, by=_ONE, reason="no claim of ours")

    def _note(self, now: datetime, kind: str, **what: Any) -> None:
        self.did.append({"at": now.isoformat(), "kind": kind, **what})
