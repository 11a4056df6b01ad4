"""`groupclaim check`, `replay`, `authorization forecast`, as one would use them; no Temporal."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from groupclaim.model.intake import PracticeFile
from groupclaim.store import practice
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from tests.activities.test_deciding import samples
from worker.cli import application

runner = CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUPCLAIM_STATE", str(tmp_path / "state"))
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = runner.invoke(application, arguments)
    return result.exit_code, result.output


def written(folder: Path, content: Any, name: str = "check.json") -> str:
    path = folder / name
    path.write_text(json.dumps(content))
    return str(path)


def books(folder: Path) -> Database:
    state = folder / "state"
    state.mkdir(exist_ok=True)
    keyring = Keyring.load_or_generate(state / "keys.json")
    url = f"sqlite:///{state}/groupclaim.db"
    migrate(url)
    return Database.connect(url, keyring)


def test_a_file_with_its_practice_needs_nothing_else(folder: Path) -> None:
    code, out = run("check", written(folder, samples("S1")), "--json")
    answer = json.loads(out)
    assert code == 0
    assert answer["totals"] == {
        "bill": 7, "hold": 0, "not_billable": 1,
        "billed_cents": 42000, "expected_allowed_cents": 3085 * 3 + 2520 + 2815 * 2 + 4250,
    }  # fmt: skip
    first = answer["sessions"][0]["participants"][0]
    assert first["lines"] == [
        {"code": "90853", "modifiers": [], "units": 1, "pos": "11", "charge_cents": 6000,
         "expected_allowed_cents": 3085}
    ]  # fmt: skip
    assert not (folder / "state").exists()


def test_a_held_claim_answers_with_one(folder: Path) -> None:
    code, out = run("check", written(folder, samples("S3")))
    assert (code, "AUTH_REQUIRED" in out) == (1, True)


def test_what_is_on_file_is_used_and_only_audited(folder: Path) -> None:
    file = samples("S1")
    practice_file = PracticeFile.model_validate_json(json.dumps(file.pop("practice")))

    async def load() -> None:
        database = books(folder)
        async with database.transaction() as tx:
            await practice.load_practice(tx, practice_file)
        await database.close()

    async def kept() -> tuple[int, list[str]]:
        database = books(folder)
        async with database.reading() as reading:
            sessions = await reading.scalar(text("SELECT COUNT(*) FROM group_session"))
            rows = await reading.rows(text("SELECT action FROM audit_entry"))
        await database.close()
        return sessions, [row.action for row in rows]

    asyncio.run(load())
    code, out = run("check", written(folder, file), "--json")
    assert (code, json.loads(out)["totals"]["bill"]) == (0, 7)
    assert asyncio.run(kept()) == (0, ["check_sessions"])


def test_nothing_on_file_is_said_so(folder: Path) -> None:
    file = samples("S1")
    del file["practice"]
    code, out = run("check", written(folder, file))
    assert (code, "nothing is kept yet" in out) == (3, True)


@pytest.mark.parametrize("name", ["missing.edi", "../outside.edi"])
def test_a_271_that_is_not_beside_the_file_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "outside.edi").write_bytes(b"")
    file = samples("S3", coverage={"P22": {"x12_271": name}})
    code, out = run("check", written(folder, file))
    assert (code, "no 271 file" in out) == (2, True)


@pytest.mark.parametrize("content", ["", "[]", '{"sessions": 1}'])
def test_a_file_of_another_kind_is_refused(folder: Path, content: str) -> None:
    path = folder / "check.json"
    path.write_text(content)
    assert run("check", str(path))[0] == 2


def test_a_replay_of_nothing_changes_nothing_and_says_what_it_kept(folder: Path) -> None:
    asyncio.run(books(folder).close())
    own = folder / "own"
    own.mkdir()
    arguments = ("--from", "2026-02-01", "--to", "2026-02-28", "--policies", str(own))
    code, out = run("replay", *arguments, "--json")
    answer = json.loads(out)
    assert (code, answer["claims"], answer["changed"]) == (0, 0, [])
    assert "notes are not read again" in answer["kept_as_stored"]
    backwards = ("--from", "2026-02-02", "--to", "2026-02-01", "--policies", str(own))
    assert run("replay", *backwards)[0] == 2


def test_a_forecast_names_the_day(folder: Path) -> None:
    file = samples("S3")
    file["practice"]["authorizations"][0]["to"] = "2099-12-31"
    practice_file = PracticeFile.model_validate_json(json.dumps(file["practice"]))

    async def load() -> None:
        database = books(folder)
        async with database.transaction() as tx:
            await practice.load_practice(tx, practice_file)
        await database.close()

    asyncio.run(load())
    code, out = run("authorization", "forecast", "--json")
    (row,) = json.loads(out)
    assert (code, row["left"], row["because"]) == (0, 10, "units")
    assert row["last_covered"] < row["runs_out_on"]
    assert "SMUAUTH0022" not in out
    assert json.loads(run("authorization", "forecast", "--within", "7", "--json")[1]) == []
