"""``groupclaim binder``: a file for the auditor, a line in the audit log, and no silent failure."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from groupclaim.documents.appeal import text_of
from groupclaim.store import audit
from groupclaim.store.database import Database
from tests.store.world import PLANTED
from tests.worker.kept import sent, within
from worker.cli import application
from worker.settings import Settings


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(application, ["binder", *arguments])
    return result.exit_code, result.output + (result.stderr or "")


def test_a_claim_and_its_session_are_printed_once_each(settings: Settings, tmp_path: Path) -> None:
    world = within(settings, sent)
    number = world.claims[0]
    file = tmp_path / "claim.pdf"
    code, out = run(number, "--out", str(file), "--by", "R. Lee", "--json")
    assert (code, json.loads(out)["claims"]) == (0, 1)
    assert file.stat().st_mode & 0o777 == 0o600
    text = " ".join(text_of(file.read_bytes()).split())
    assert f"Audit binder of claim {number}" in text
    # All six have one last name and a first name apart: P01 alone is named.
    assert f"{PLANTED[1]} P01" in text
    assert all(f"{PLANTED[1]} P{n:02d}" not in text for n in range(2, 7))

    code, out = run(number, "--out", str(file), "--by", "R. Lee")
    assert (code, "there is a file already" in out) == (2, True)

    whole = tmp_path / "session.pdf"
    code, out = run(world.session_id, "--out", str(whole), "--by", "R. Lee")
    assert (code, "6 claims" in out) == (0, True)

    async def noted(database: Database) -> list[str]:
        async with database.reading() as reading:
            return [item.actor for item in await audit.entries(reading, number)
                    if item.action == "binder_printed"]  # fmt: skip

    assert within(settings, noted) == ["R. Lee"] * 2


def test_what_is_not_known_gives_no_file(settings: Settings, tmp_path: Path) -> None:
    within(settings, sent)
    file = tmp_path / "none.pdf"
    code, out = run("GC0000000000X", "--out", str(file), "--by", "R. Lee")
    assert (code, "not known" in out, file.exists()) == (2, True, False)
    assert run("GC0000000000X", "--out", str(file))[0] == 2  # who prints it must be said
