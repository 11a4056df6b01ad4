"""`groupclaim x12`: its exit codes, its JSON, its masks, and the note in the audit log."""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring
from groupclaim.store.schema import audit_entry
from tests.x12.examples import FULL_CLAIM, claim_file
from worker.settings import Settings
from worker.x12_commands import commands

FILES = Path(__file__).parents[1] / "x12" / "files"
GOOD, BAD = FILES / "837P_90853.edi", FILES / "others" / "without_isa.835"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GROUPCLAIM_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(commands, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("looks", [(), ("--reveal", "--by", "R. Lee")])
def test_nothing_in_a_file_is_obeyed_by_the_terminal(tmp_path: Path, looks: tuple[str]) -> None:
    hostile = tmp_path / "hostile.835"
    payer = (
        (FILES / "835_90853.edi").read_bytes().replace(b"N1*PR*", b"N1*PR*\x1b]0;t\x07\x1b[2J", 1)
    )
    hostile.write_bytes(payer)
    code, shown = run("show", hostile, *looks)
    assert (code, "\x1b" in shown, "\ufffd]0;t\ufffd\ufffd[2J" in shown) == (0, False, True)


def test_exit_codes_of_check(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense"
    nonsense.write_bytes(b"no interchange here")
    assert run("check", GOOD)[0] == 0
    assert run("check", GOOD, BAD)[0] == 1
    assert run("check", GOOD, nonsense, BAD)[0] == 2
    assert run("check", tmp_path / "absent")[0] == 2


def test_check_as_json() -> None:
    code, output = run("check", "--json", GOOD, BAD)
    found = json.loads(output)
    assert code == 1
    assert found[str(GOOD)]["transactions"][0]["sum_clm02"] == "65.00"
    assert found[str(GOOD)]["problems"] == []
    assert found[str(BAD)]["problems"][0]["code"] == "isa_missing"


def test_check_for_a_person() -> None:
    _, output = run("check", BAD)
    assert "problems found" in output
    assert "envelope: SE01 count (1)" in output
    assert "835 1234: 32 segments, 1 claims, paid 1922.86" in output


def test_show_masks_people_and_not_those_who_treat_them(tmp_path: Path) -> None:
    path = tmp_path / "claims"
    path.write_bytes(claim_file(FULL_CLAIM))
    code, output = run("show", path)
    assert code == 0
    people = [line for line in output.splitlines() if "NM1 IL" in line or "NM1 QC" in line]
    assert len(people) == 3
    for word in ("PARENT", "CHILD", "MBR0000002", "MBR0000009", "20120103", "CORRECTED MODIFIER"):
        assert word not in output
    assert "PLACEHOLDER SAM" in output
    assert "125.50" in output


def test_reveal_needs_a_name_and_is_noted_first(tmp_path: Path, state: Path) -> None:
    path = tmp_path / "claims"
    path.write_bytes(claim_file(FULL_CLAIM))
    code, output = run("show", "--reveal", path)
    assert (code, "MBR0000002" in output) == (2, False)
    code, output = run("show", "--reveal", "--by", "R. Lee", path)
    assert (code, "MBR0000002" in output) == (0, True)
    assert "nothing is noted" in output
    state.mkdir()
    Keyring.load_or_generate(Settings().keys_file)
    assert run("show", "--reveal", "--by", "R. Lee", path)[0] == 0
    assert _entries() == [("R. Lee", "x12_file_revealed")]


def _entries() -> list[tuple[str, str]]:
    async def read() -> list[tuple[str, str]]:
        settings = Settings()
        database = Database.connect(settings.database_url, Keyring.load(settings.keys_file))
        try:
            async with database.reading() as reading:
                rows = await reading.rows(select(audit_entry.c.actor, audit_entry.c.action))
                return [tuple(row) for row in rows]
        finally:
            await database.close()

    return asyncio.run(read())


def test_an_absent_file_is_not_shown(tmp_path: Path) -> None:
    assert run("show", tmp_path / "absent")[0] == 2
