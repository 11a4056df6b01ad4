"""People at the console: the application over a small practice, without a browser or an engine."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx2
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import BaseModel
from temporalio.client import Client, WorkflowUpdateFailedError

from activities import steps
from activities.cash_desk import CashDesk
from activities.front_desk import FrontDesk
from activities.second_look import SecondLook
from groupclaim.console.app import create_app
from groupclaim.console.console import Console
from groupclaim.lifecycle.events import HoldReleased, LookAgainAsked, OutsideEvent, WrittenOff
from groupclaim.store import people
from tests.activities.house import SMALL, House
from tests.activities.test_sample_practice import run_to_the_end
from workflows import acting, claim, dispute, session
from workflows.perform import not_approved

people._hasher = cache(lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
"""Hashing is meant to be slow; these tests make hundreds."""

ORIGIN = "http://127.0.0.1:8300"
PASSWORD = "a long enough password"


class WallClock:
    """Time outside, moved by the test."""

    def __init__(self) -> None:
        self.now = datetime(2026, 2, 10, 15, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, span: timedelta) -> None:
        self.now += span


class Browser:
    """What one person's browser does: keeps cookies, sends forms with the page's token."""

    def __init__(self, app: FastAPI) -> None:
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, raise_app_exceptions=False), base_url=ORIGIN
        )
        self.page = ""

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        answer = await self.http.get(path, **options)
        if answer.headers.get("content-type", "").startswith("text/html"):
            self.page = answer.text
        return answer

    async def post(self, path: str, **fields: str) -> httpx2.Response:
        found = re.search(r'name="csrf" value="([^"]+)"', self.page)
        token = {"csrf": found[1]} if found else {}
        return await self.http.post(
            path,
            data={**token, **fields},
            headers={"origin": ORIGIN, "sec-fetch-site": "same-origin"},
        )

    async def sign_in(self, name: str, password: str = PASSWORD) -> httpx2.Response:
        answer = await self.post("/sign-in", name=name, password=password)
        await self.get("/")
        return answer


class AtOnce:
    """Stands for Temporal's client: what people decide at the console is carried out at once."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def start_workflow(self, name: str, arg: BaseModel, **options: Any) -> _Done:
        if isinstance(arg, steps.FileRef):
            await self.house.take_in(arg)
        elif isinstance(arg, steps.RemittanceRef):
            posted = await self.house.perform(steps.POST_REMITTANCE, arg)
            if posted.state == "posted":
                await self.house.perform(steps.ANNOUNCE_REMITTANCE, arg)
        else:
            await self.house.switchboard.start_workflow(name, arg, **options)
        await self.house.settle()
        return _Done()

    async def execute_update_with_start_workflow(
        self, name: str, what: steps.AmendRoster, **options: Any
    ) -> session.SessionStanding:
        assert name == "amend_roster"
        roster = await self.house.perform(steps.AMEND_ROSTER, what)
        for entry in roster.entries:
            await self.house.happens(entry.claim_number)
        return session.SessionStanding(
            roster=len(roster.entries), attendance_recorded=False, ended=0, open_claims=()
        )

    def get_workflow_handle(self, workflow_id: str) -> _AtOnce:
        return _AtOnce(self.house, workflow_id)


class _Done:
    async def result(self) -> None:
        return None


class _AtOnce:
    def __init__(self, house: House, workflow_id: str) -> None:
        self._house = house
        self._id = workflow_id

    async def signal(self, name: str, what: BaseModel) -> None:
        await self._house.switchboard.signal(self._id, name, what)
        await self._house.settle()

    async def execute_update(self, name: str, what: BaseModel, **options: Any) -> BaseModel:
        if isinstance(what, steps.ItemAct):
            return await acted(self._house, what)
        if isinstance(what, steps.DenialChoice):
            recorded = await self._house.perform(steps.RECORD_DENIAL_CHOICE, what)
            self._check(recorded.refused)
            return steps.DenialPlan(at=recorded.at, next="send")
        if isinstance(what, dispute.Approve | dispute.Close):
            given = what.model_dump(include={"by", "reason", "request", "second"})
            decision = steps.DisputeDecision(
                case_id=int(self._id.removeprefix("dispute/")),
                action="approve" if isinstance(what, dispute.Approve) else "close",
                outcome=what.outcome if isinstance(what, dispute.Close) else None,
                **given,
            )
            standing: BaseModel = await self._house.perform(steps.DECIDE_DISPUTE, decision)
            return standing
        number = self._id.removeprefix("claim/")
        if isinstance(what, claim.LookAgain):
            asked = LookAgainAsked(at=what.at, key=f"look_again:{what.request}", what=what.what)
            return await self._told(number, asked)
        if isinstance(what, claim.WriteOff):
            recorded = await self._house.perform(
                steps.RECORD_WRITE_OFF,
                steps.ClaimWriteOff(
                    claim_number=number,
                    version=self._house.states[number].version,
                    **what.model_dump(),
                ),
            )
            self._check(recorded.refused)
            key = f"write_off:{what.request}"
            written_off = WrittenOff(at=recorded.at, key=key, unsent=recorded.unsent)
            return await self._told(number, written_off)
        assert isinstance(what, claim.ReleaseHold)
        decided = what.model_dump()
        recorded = await self._house.perform(
            steps.RECORD_DECISION, steps.ClaimDecision(claim_number=number, **decided)
        )
        self._check(recorded.refused)
        released = HoldReleased(
            at=recorded.at, key=f"release:{what.request}", code=what.code, until=what.until
        )
        return await self._told(number, released)

    async def _told(self, number: str, event: OutsideEvent) -> claim.ClaimStanding:
        await self._house.happens(number, event)
        await self._house.settle()
        state = self._house.states[number]
        return claim.ClaimStanding(
            stage=state.stage,
            hold_code=state.hold.code if state.hold else None,
            reason=state.reason,
            version=state.version,
            due_at=None,
            step=None,
        )

    @staticmethod
    def _check(refused: str | None) -> None:
        if refused is not None:
            raise WorkflowUpdateFailedError(not_approved(refused))


async def acted(house: House, act: steps.ItemAct) -> steps.ItemStanding:
    """What a workflow answers to an act on one of its items, carried out at once."""
    done: steps.ItemActed = await house.perform(steps.ACT_ON_ITEM, act)
    refused = acting.refusal(done)
    if refused is not None:
        raise WorkflowUpdateFailedError(refused)
    return done.standing


class Practice:
    """A console over a house, with one user for each role; all have :data:`PASSWORD`."""

    def __init__(self, house: House, app: FastAPI, wall: WallClock, origin: str) -> None:
        self.house = house
        self.origin = origin
        self.app = app
        self.wall = wall

    def browser(self) -> Browser:
        return Browser(self.app)

    async def signed_in(self, name: str) -> Browser:
        # People do not all come at the same moment: one address may try 20 times a minute.
        self.wall.pass_(timedelta(seconds=4))
        browser = self.browser()
        answer = await browser.sign_in(name)
        assert answer.status_code == 303, answer.text
        return browser

    async def let_in(self, role: people.Role, **account: Any) -> None:
        async with self.house.database.transaction() as tx:
            known = people.Account(**{"name": role.value, **account})
            await people.add_user(tx, known, role, self.wall())
            user = await people.find(tx, known.name)
            assert user is not None
            await people.change_password(tx, user.id, PASSWORD)


@asynccontextmanager
async def practice_at(
    folder: Path,
    rosters: Mapping[str, tuple[str, ...]] = SMALL,
    *,
    client: Any = AtOnce,
    played: bool = False,
    origin: str = ORIGIN,
    **options: Any,
) -> AsyncIterator[Practice]:
    """A small practice whose sessions are scheduled, with a held claim; ``played``: to the end."""
    async with House(folder, rosters) as house:
        wall = WallClock()
        console = Console(
            database=house.database,
            desk=FrontDesk(house.database, house.clock, cast(Client, client(house))),
            cash=CashDesk(house.database, house.clock, cast(Client, client(house))),
            second_look=SecondLook(
                house.database,
                house.clock,
                cast(Client, client(house)),
                house.outside.policies,
            ),
            clock=house.clock,
            policies=house.outside.policies,
            playbook=house.outside.playbook,
            origin=origin,
            wall=wall,
            **options,
        )
        made = Practice(house, create_app(console), wall, origin)
        for role in people.Role:
            await made.let_in(role, clinician="C1" if role is people.Role.CLINICIAN else "")
        await (run_to_the_end(house) if played else house.open_sessions())
        yield made
