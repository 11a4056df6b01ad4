"""Temporal keeps a closed workflow's history for so long; what the console shows stays."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.cash_desk import CashDesk
from activities.second_look import SecondLook
from groupclaim.console.app import create_app
from groupclaim.console.console import Console
from groupclaim.policy.payer import PolicyBook
from groupclaim.policy.playbook import Playbook
from groupclaim.store import people
from tests.console.visitor import ORIGIN, PASSWORD, Browser, WallClock
from tests.faults.burst import Playing, Watch, playing
from tests.faults.test_restored import play_on, stages
from tests.temporal import PATIENCE_SECONDS
from worker.summary import claim_page
from workflows import claim

CLAIMS = 3
_RESTS = ("ready", "submitted", "closed")
_ENDED = "ExecutionStatus = 'Completed'"


async def forget_all_that_has_ended(client: Client, among_them: set[str]) -> int:
    """As the server does when retention has passed; how many workflows are gone. The server lists
    late what has ended: so it is asked until it has listed, and forgotten, ``among_them`` too."""
    gone: dict[str, str] = {}
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            ended = [execution async for execution in client.list_workflows(_ENDED)]
            for one in ended:
                if one.run_id not in gone:
                    await client.workflow_service.delete_workflow_execution(
                        DeleteWorkflowExecutionRequest(
                            namespace=client.namespace,
                            workflow_execution=WorkflowExecution(
                                workflow_id=one.id, run_id=one.run_id
                            ),
                        )
                    )
                    gone[one.run_id] = one.id
            if not ended and among_them <= set(gone.values()):
                return len(gone)
            await asyncio.sleep(0.1)


async def a_biller(practice: Playing) -> Browser:
    policies, wall = PolicyBook.load(), WallClock()
    console = Console(
        database=practice.database,
        desk=practice.desk,
        cash=CashDesk(practice.database, practice.clock, practice.client),
        second_look=SecondLook(practice.database, practice.clock, practice.client, policies),
        clock=practice.clock,
        policies=policies,
        playbook=Playbook.load(),
        origin=ORIGIN,
        wall=wall,
    )
    async with practice.database.transaction() as tx:
        await people.add_user(tx, people.Account(name="biller"), people.Role.BILLER, wall())
        user = await people.find(tx, "biller")
        assert user is not None
        await people.change_password(tx, user.id, PASSWORD)
    browser = Browser(create_app(console))
    assert (await browser.sign_in("biller")).status_code == 303
    return browser


def shown(page: str) -> str:
    """A page but for what is another on each visit."""
    return re.sub(r'name="(csrf|request)" value="[^"]*"', "", page)


async def test_the_console_shows_all_of_claims_whose_histories_are_gone(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    async with playing(CLAIMS, tmp_path) as practice:
        watch = Watch(practice)
        await practice.start_sessions()
        await practice.hand_in()
        await watch.until("ready", CLAIMS)
        await practice.cut_off()
        await watch.until("submitted", CLAIMS)
        await play_on(practice)
        assert await stages(practice) == {"closed": CLAIMS}
        async with practice.database.reading() as reading:
            numbers = [
                row.claim_number
                for row in await reading.rows(text("SELECT claim_number FROM claim"))
            ]
            counted = {
                row.claim_number: row.n
                for row in await reading.rows(
                    text("SELECT claim_number, COUNT(*) AS n FROM claim_event GROUP BY 1")
                )
            }
        biller = await a_biller(practice)
        before = {number: shown((await biller.get(f"/claims/{number}")).text) for number in numbers}
        told = {number: await claim_page(practice.database, number) for number in numbers}

        workflows = {claim.workflow_id(number) for number in numbers}
        assert await forget_all_that_has_ended(practice.client, workflows) > CLAIMS
        for number in numbers:
            with pytest.raises(RPCError) as gone:
                await practice.client.get_workflow_handle(claim.workflow_id(number)).describe()
            assert gone.value.status is RPCStatusCode.NOT_FOUND
        after = {number: shown((await biller.get(f"/claims/{number}")).text) for number in numbers}
        record_property("tries", CLAIMS)
        record_property("lost", sum(after[number] != before[number] for number in numbers))
        assert after == before
        assert {number: await claim_page(practice.database, number) for number in numbers} == told
        for number in numbers:
            timeline = after[number].split('<ol class="timeline"')[1].split("</ol>")[0]
            assert timeline.count("<li>") == counted[number] >= len(_RESTS)
            for stage in _RESTS:
                assert f"stage: {stage}" in timeline
            for evidence in ("277CA", "/remittances/"):
                assert evidence in after[number]
