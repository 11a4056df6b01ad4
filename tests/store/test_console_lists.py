"""Every list of the console answers on both databases, of a practice whose session is to come."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest
from sqlalchemy import select
from temporalio.client import Client

from activities.cash_desk import CashDesk
from activities.front_desk import FrontDesk
from activities.second_look import SecondLook
from groupclaim.console.app import create_app
from groupclaim.console.console import Console
from groupclaim.console.pages import denials, remittances
from groupclaim.policy.payer import PolicyBook
from groupclaim.policy.playbook import Playbook
from groupclaim.store import people, reports
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.schema import group_session
from tests.console.visitor import ORIGIN, PASSWORD, Browser
from tests.store.world import World

LISTS = (
    "/",
    "/?sort=amount&view=mine",
    "/sessions",
    "/sessions?stage=open&sort=oldest&first=2026-01-01&last=2026-12-31",
    *(f"/remittances?tab={tab}" for tab in remittances.TABS),
    *(f"/denials?view={view}" for view in denials.VIEWS),
    *(f"/reports?kind={kind}" for kind in reports.KINDS),
    "/policies",
)


@pytest.mark.parametrize("role", [people.Role.BILLER, people.Role.CLINICIAN])
async def test_every_list_answers(database: Database, world: World, role: people.Role) -> None:
    """The clinician's is limited to their sessions: another query."""
    now = datetime(2026, 2, 10, 15, tzinfo=UTC)
    clock = PracticeClock(database)
    nobody = cast(Client, None)
    console = Console(
        database=database,
        desk=FrontDesk(database, clock, nobody),
        cash=CashDesk(database, clock, None),
        second_look=cast(SecondLook, None),
        clock=clock,
        policies=PolicyBook.load(),
        playbook=Playbook.load(),
        origin=ORIGIN,
        wall=lambda: now,
    )
    async with database.transaction() as tx:
        await people.add_user(tx, people.Account(name="one", clinician="nobody"), role, now)
        user = await people.find(tx, "one")
        assert user is not None
        await people.change_password(tx, user.id, PASSWORD)
    browser = Browser(create_app(console))
    assert (await browser.sign_in("one")).status_code == 303
    for path in LISTS:
        answer = await browser.get(path)
        assert answer.status_code == 200, (path, answer.text)
        assert "omplete as of" in answer.text or "sees a part of it" in answer.text, path
    async with database.reading() as reading:
        session_id = await reading.scalar(select(group_session.c.id))
    answer = await browser.get(f"/sessions/{session_id}")
    seen = role is people.Role.BILLER
    assert (answer.status_code, "has not been recorded yet" in answer.text) == (
        (200, True) if seen else (404, False)
    )
