"""Papers for patients from the command line: one patient, right amounts, nobody else, audited."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pypdf
from sqlalchemy import update
from typer.testing import CliRunner

from groupclaim.model.money import Cents
from groupclaim.store import audit, ledger, practice
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.schema import claim
from tests.store.world import (
    NOW,
    PATIENTS,
    PLANTED,
    World,
    load_world,
    paid,
    payment,
    post,
    send_all,
)
from tests.worker.kept import within
from worker.cli import application
from worker.settings import Settings


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(application, [*arguments, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.output) if code == 0 or result.output.startswith("{") else None


def text(file: Path) -> str:
    pages = pypdf.PdfReader(io.BytesIO(file.read_bytes())).pages
    return " ".join(" ".join(page.extract_text().split()) for page in pages)


async def _settled(database: Database) -> World:
    """P01's payer has paid 27.00 of 65.00 and left 15.00; 23.00 go by contract. P02 waits."""
    await PracticeClock(database).set_stored(NOW)
    world = await load_world(database)
    await send_all(world)
    number = world.claims[0]
    await post(world, payment(paid(number, 2700, ("CO", "45", 2300), ("PR", "3", 1500))))
    async with database.transaction() as tx:
        await ledger.book_patient_payment(tx, number, Cents(1000), "R1", NOW)
        await tx.execute(
            update(claim).where(claim.c.claim_number == number).values(stage="patient_balance")
        )
        for place in (0, 1):
            await practice.record_note_signed(
                tx, world.session_id, world.patients[place], NOW, None
            )
    return world


def nobody_else(said: str, ref: str) -> None:
    for other in PATIENTS:
        assert other == ref or f"{PLANTED[1]} {other}" not in said
    for secret in (PLANTED[4], PLANTED[5]):  # topic of the group, goal of the plan
        assert secret not in said


def test_a_statement_shows_one_patient_what_is_theirs(settings: Settings, tmp_path: Path) -> None:
    world = within(settings, _settled)
    out = tmp_path / "P01.pdf"
    told = run("patient", "statement", "P01", "--out", str(out), "--by", "R. Lee")
    assert told == {"file": str(out), "owed_cents": 500}
    assert out.stat().st_mode & 0o777 == 0o600
    said = text(out)
    assert f"{PLANTED[0]} {PLANTED[1]} P01" in said
    assert "You owe $5.00" in said
    assert "$65.00 $27.00 $23.00 $15.00 $10.00 $5.00" in said
    assert "Please pay by 03/05/2026" in said  # 30 days after the 3rd of February
    nobody_else(said, "P01")

    async def noted(database: Database) -> tuple[audit.Entry, ...]:
        async with database.reading() as reading:
            return tuple(await audit.entries(reading, world.patients[0]))

    (entry,) = [item for item in within(settings, noted) if item.action == "patient_statement"]
    assert (entry.actor, entry.detail) == ("R. Lee", {"sessions": 1, "cents": 500})


def test_what_a_payer_has_not_decided_is_counted_and_not_charged(
    settings: Settings, tmp_path: Path
) -> None:
    within(settings, _settled)
    out = tmp_path / "P02.pdf"
    assert run("patient", "statement", "P02", "--out", str(out))["owed_cents"] == 0
    said = text(out)
    assert "One more session is still with your insurance" in said
    assert "$65.00" not in said
    nobody_else(said, "P02")


def test_a_superbill_lists_what_a_signed_note_supports(settings: Settings, tmp_path: Path) -> None:
    within(settings, _settled)
    out = tmp_path / "bill.pdf"
    period = ("--from", "2026-01-01", "--to", "2026-12-31")
    assert run("patient", "superbill", "P01", *period, "--out", str(out))["paid_cents"] == 1000
    said = text(out)
    for wanted in ("90853", "F33.1", "$65.00", "$10.00", "TX-0", "Thespia Concocted", "01/31/1980"):
        assert wanted in said, wanted
    nobody_else(said, "P01")
    run("patient", "superbill", "P03", *period, "--out", str(out), code=1)  # no signed note
    run("patient", "superbill", "P77", *period, "--out", str(out), code=2)  # nobody


def test_an_estimate_says_by_when_it_is_due_and_refuses_what_is_not_on_file(
    settings: Settings, tmp_path: Path
) -> None:
    within(settings, _settled)
    out = tmp_path / "estimate.pdf"
    wanted = (
        "patient", "estimate", "P99", "--clinician", "C1", "--location", "austin",
        "--from", "2026-03-03", "--sessions", "10", "--out", str(out),
    )  # fmt: skip
    told = run(*wanted, "--asked", "2026-02-03")
    # Scheduled on Tuesday the 3rd, 20 business days ahead: three business days, Friday the 6th.
    assert (told["due_by"], told["expected_cents"], told["late"]) == ("2026-02-06", 65000, False)
    assert "Expected in all: $650.00" in text(out)
    assert "10 sessions from 03/03/2026 to 05/05/2026" in text(out)
    nobody_else(text(out), "P99")
    (kept,) = run("patient", "estimates", "--patient", "P99")
    assert (kept["number"], kept["expected_cents"], kept["due_by"]) == (
        told["number"], 65000, "2026-02-06",
    )  # fmt: skip
    assert kept["work_item"] is not None
    assert run("patient", "estimates", "--patient", "P01") == []
    again = tmp_path / "again.pdf"
    copy = ("patient", "estimate-copy", str(kept["number"]), "--out", str(again))
    assert CliRunner().invoke(application, copy).exit_code == 0
    assert again.read_bytes() == out.read_bytes()  # exactly as it was given
    assert run(*wanted, "--asked", "2026-01-20", code=1)["late"]
    nowhere = ["nowhere" if item == "austin" else "C9" if item == "C1" else item for item in wanted]
    refused = CliRunner().invoke(application, [*nowhere, "--asked", "2026-02-03"])
    assert refused.exit_code == 2
    assert "clinician: no such record" in refused.output
    assert "location: no such record" in refused.output
