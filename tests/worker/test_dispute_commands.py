"""Commands about disputes: what they print, who may decide, and that it is in the audit log.

Two claims of 65.00 with 36.00 allowed where the contract gives 42.00: 6.00 short each. Temporal is
stood in for by something that carries each decision out at once, by the step that does it.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pypdf
import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from typer.testing import CliRunner

from activities import steps
from activities.dispute import DisputeDesk
from activities.front_desk import FrontDesk
from activities.messages import Messages
from activities.outside import Outside
from groupclaim.model.money import Cents
from groupclaim.policy.payer import PolicyBook
from groupclaim.rules.line_audit import LineAudit, Pattern
from groupclaim.store import disputes
from groupclaim.store.clock import PracticeClock
from groupclaim.store.disputes import Settled
from tests.store.world import NOW, PLANTED, World, paid, payment, post, send_all
from tests.worker.test_books_commands import run, within
from worker import dispute_commands
from worker.cli import application
from worker.settings import Settings
from worker.terminal import books
from workflows.perform import not_approved

WHY = ("--reason", "too small to go on")


class AtOnce:
    """A client whose workflows decide in the moment."""

    def __init__(self, desk: DisputeDesk) -> None:
        self._desk = desk

    def get_workflow_handle(self, workflow_id: str) -> AtOnce:
        self._case = int(workflow_id.removeprefix("dispute/"))
        return self

    async def execute_update(self, name: str, given: Any, **options: Any) -> steps.DisputeStanding:
        decision = steps.DisputeDecision.model_validate(
            {"case_id": self._case, "action": name, **given.model_dump()}
        )
        standing = await self._desk.decide_dispute(decision)
        if standing.refused is not None:
            raise WorkflowUpdateFailedError(not_approved(standing.refused))
        return standing


@asynccontextmanager
async def desk_at_once() -> AsyncIterator[FrontDesk]:
    async with books() as database:
        outside = SimpleNamespace(database=database, policies=PolicyBook.load())
        unused = Messages(cast(Client, None), "tests")
        client = AtOnce(DisputeDesk(cast(Outside, outside), unused))
        yield FrontDesk(database, PracticeClock(database), cast(Client, client))


@pytest.fixture
def case(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(dispute_commands, "desk", desk_at_once)

    async def happen(world: World) -> int:
        await send_all(world)
        await PracticeClock(world.database).set_stored(NOW)
        async with world.database.reading() as reading:
            payer_key = world.database.keyring.payer_key("first")
            assert await disputes.cases(reading) == ()
        for number in world.claims[:2]:
            item = paid(number, 3600, ("CO", "45", 2900))
            posted = await post(world, payment(item, trace=number), number)
            audit = LineAudit(
                line=1, code="90853", expected=Cents(4200), allowed=Cents(3600),
                shortfall=Cents(600), pattern=Pattern.LAST_YEARS_SCHEDULE,
                working="42.00 by contract, 36.00 of 2025",
            )  # fmt: skip
            when = Settled(
                posted.remittance_id, 1, Cents(6500), date(2026, 2, 4), date(2026, 2, 18),
                date(2026, 8, 17), date(2026, 4, 17),
            )  # fmt: skip
            async with world.database.transaction() as tx:
                (found,) = await disputes.record_audit(tx, number, payer_key, when, [audit], NOW)
                await disputes.worth_a_letter(tx, found)
        return found

    return within(settings, happen)


def refused(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(application, arguments)
    return result.exit_code, " ".join(result.output.split())


def test_cases_are_listed_and_shown_with_their_evidence(case: int) -> None:
    (row,) = run("dispute", "list")["disputes"]
    assert (row["number"], row["payer"], row["pattern"], row["state"]) == (
        case, "First Invented", "last_years_schedule", "to_approve",
    )  # fmt: skip
    assert (row["identified_cents"], row["recovered_cents"]) == (1200, 0)
    told = run("dispute", "show", str(case))
    assert "42.00 by contract, 36.00 of 2025" in json.dumps(told)
    assert refused("dispute", "show", str(case))[0] == 0
    assert refused("dispute", "show", "99") == (2, "not known: dispute 99")


def test_a_letter_is_a_draft_until_a_supervisor_lets_it_go(case: int, tmp_path: Path) -> None:
    out = tmp_path / "letter.pdf"
    assert refused("dispute", "letter", str(case), "--out", str(out))[0] == 0
    content = " ".join(
        page.extract_text() for page in pypdf.PdfReader(io.BytesIO(out.read_bytes())).pages
    )
    assert "12.00" in content
    assert not any(name in content for name in PLANTED[:3])
    code, told = refused("dispute", "approve", str(case), "--by", "front-desk", *WHY)
    assert code == 1
    assert "a letter to a payer of 12.00: front-desk: a biller may not" in told
    assert "may: a supervisor whatever the amount" in told
    (row,) = run("dispute", "list")["disputes"]
    assert row["state"] == "to_approve"
    assert run("dispute", "approve", str(case), "--by", "R. Lee", *WHY)["state"] == "told"
    entries = run("audit", "show", f"dispute/{case}")
    assert [(entry["actor"], entry["action"]) for entry in entries] == [
        ("command line", "dispute_letter"),
        ("front-desk", "approval_refused"),
        ("R. Lee", "dispute_approve"),
    ]


def test_giving_up_is_for_who_may(case: int) -> None:
    close = ("dispute", "close", str(case), "--outcome", "given_up", *WHY)
    code, told = refused(*close, "--by", "T. Poe")
    assert (code, "T. Poe: is nobody who has been let in" in told) == (1, True)
    # 12.00 is within a biller's 25.00
    assert run(*close, "--by", "front-desk")["outcome"] == "given_up"
    assert run("dispute", "list")["disputes"] == []
    (row,) = run("dispute", "list", "--all")["disputes"]
    assert row["state"] == "given_up"


def test_the_limits_are_printed(settings: Settings) -> None:
    async def nothing(world: World) -> None:
        return None

    within(settings, nothing)
    rows = {row["decision"]: row for row in run("user", "limits")}
    assert rows["write_off"] == {
        "decision": "write_off", "biller": 10_000, "supervisor": "any", "second_above": 10_000,
    }  # fmt: skip
    assert rows["letter"]["biller"] is None
    assert "100.00" in refused("user", "limits")[1]
