"""``groupclaim claim why``: any claim, wherever it stands, answers all five questions."""

from __future__ import annotations

import json

from sqlalchemy import update
from typer.testing import CliRunner

from groupclaim.lifecycle.holds import HOLDS
from groupclaim.lifecycle.state import ClaimState, Hold, Stage
from groupclaim.store.database import Database
from groupclaim.store.schema import claim
from tests.store.world import NOW, paid, payment, post
from tests.worker.kept import sent, within
from worker import summary
from worker.cli import application
from worker.settings import Settings

QUESTIONS = ("waiting_for", "since", "next_step", "next_at", "released_by", "otherwise")


async def stands(database: Database, state: ClaimState) -> None:
    """The claim is kept as ``state`` says."""
    async with database.transaction() as tx:
        await tx.execute(
            update(claim)
            .where(claim.c.claim_number == state.claim_number)
            .values(
                state=state.model_dump_json(),
                stage=state.stage.value,
                hold_code=state.hold.code if state.hold else None,
            )
        )


def test_every_stage_and_every_hold_answers_all_five_questions(settings: Settings) -> None:
    async def walked(database: Database) -> list[tuple[str, dict[str, object]]]:
        number = (await sent(database)).claims[0]
        base = ClaimState(claim_number=number, since=NOW, due_at=NOW, version=1)
        states = [base.model_copy(update={"stage": stage}) for stage in Stage] + [
            base.model_copy(
                update={
                    "stage": Stage.CODING,
                    "hold": Hold(code=code, redo=kind.redo, since=NOW, releasable=True),
                }
            )
            for code, kind in HOLDS.items()
        ]
        told = []
        for state in states:
            await stands(database, state)
            name = state.hold.code if state.hold else state.stage.value
            told.append((name, await summary.why_claim(database, number)))
        return told

    told = within(settings, walked)
    assert len(told) == len(Stage) + len(HOLDS)
    for name, answers in told:
        assert set(QUESTIONS) <= set(answers), name
        assert all(answers[key] for key in QUESTIONS if key != "next_at"), name
        works = str(answers["waiting_for"]).startswith("groupclaim: ")
        ended = name in ("closed", "not_billable")
        # A step that is being worked on has no date, nor has what has ended.
        assert (answers["next_at"] is not None) != (works or ended), name


def test_a_payment_in_suspense_is_named(settings: Settings) -> None:
    """65.00 charged, 27.00 paid and 15.00 taken off: it is 23.00 out of balance and suspended."""

    async def suspended(database: Database) -> str:
        world = await sent(database)
        number = world.claims[0]
        state = ClaimState(
            claim_number=number, stage=Stage.ACCEPTED, since=NOW, due_at=NOW, version=1,
            hold=Hold(code="PAYER_SILENT", redo=HOLDS["PAYER_SILENT"].redo, since=NOW,
                      releasable=True),
        )  # fmt: skip
        await stands(database, state)
        posted = await post(world, payment(paid(number, 2700, ("CO", "45", 1500)), trace="LATE1"))
        assert posted.state == "suspended"
        return number

    number = within(settings, suspended)
    result = CliRunner().invoke(application, ["claim", "why", number, "--json"])
    assert result.exit_code == 0, result.output
    answers = json.loads(result.output)
    assert "stands in suspense: 27.00 under trace LATE1" in answers["waiting_for"]
    assert "groupclaim suspense show" in answers["released_by"]
    unknown = CliRunner().invoke(application, ["claim", "why", "GC0000000000X"])
    assert unknown.exit_code == 2
