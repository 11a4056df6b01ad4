"""``session import`` and ``holds``: what is printed, what is taken, nothing started twice."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from sqlalchemy import func, select
from typer.testing import CliRunner, Result

from groupclaim.lifecycle.holds import HOLDS
from groupclaim.store.database import Database
from groupclaim.store.schema import audit_entry, claim, group_session
from tests.activities.house import Switchboard
from tests.store.world import load_world
from tests.worker.kept import within
from worker import roster_commands
from worker.cli import application
from worker.settings import Settings

HEADER = "session;patient;clinician;location;starts;ends"
GOOD = "N1;P01;C1;austin;2026-02-10 17:00;2026-02-10 18:00\r\nN1;P02;;;;\r\n"
WRONG = "N2;P01;C1;austin;2026-02-11 17:00;2026-02-11 18:00\r\nN2;=CMD|Roe;;;;\r\n"


@pytest.fixture
def switchboard(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Switchboard:
    """A state folder that holds the invented practice, and what stands for Temporal."""
    within(settings, load_world)
    board = Switchboard()

    async def connected(*_: object) -> Switchboard:
        return board

    monkeypatch.setattr(roster_commands, "connect", connected)
    return board


def count(table: Any) -> int:
    async def counted(database: Database) -> int:
        async with database.reading() as reading:
            number: int = await reading.scalar(select(func.count()).select_from(table))
            return number

    return within(Settings(), counted)


def handed_in(tmp_path: Path, *parts: str, arguments: tuple[str, ...] = ()) -> Result:
    path = tmp_path / "roster.csv"
    path.write_bytes(f"{HEADER}\r\n{''.join(parts)}".encode("utf-8-sig"))
    return CliRunner().invoke(application, ["session", "import", str(path), *arguments])


def test_a_dry_run_says_row_by_row_what_would_happen(
    switchboard: Switchboard, tmp_path: Path
) -> None:
    before = (count(group_session), count(claim), count(audit_entry))
    result = handed_in(tmp_path, GOOD, WRONG, arguments=("--dry-run", "--json"))
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert [(row["row"], row["outcome"]) for row in told["rows"]] == [
        (2, "start"), (3, "start"), (4, "held_back"), (5, "refused"),
    ]  # fmt: skip
    assert told["rows"][3]["problems"] == ["patient: no such patient on file"]
    assert told["totals"] == {
        "sessions": 1, "start": 2, "known": 0, "refused": 1, "held_back": 1,
    }  # fmt: skip
    shown = handed_in(tmp_path, GOOD, WRONG, arguments=("--dry-run",))
    assert "Nothing was taken" in shown.output
    assert "Roe" not in result.output + shown.output
    assert (count(group_session), count(claim), count(audit_entry)) == before
    assert switchboard.started == {}
    assert handed_in(tmp_path, GOOD, arguments=("--dry-run",)).exit_code == 0


def test_nothing_is_taken_unless_every_row_is_right(
    switchboard: Switchboard, tmp_path: Path
) -> None:
    before = count(group_session)
    result = handed_in(tmp_path, GOOD, WRONG)
    assert result.exit_code == 2
    assert "row 5, patient: no such patient on file" in result.output
    assert (count(group_session), switchboard.started) == (before, {})


def test_the_right_sessions_are_taken_with_a_list_of_the_refused(
    switchboard: Switchboard, tmp_path: Path
) -> None:
    before = count(claim)
    result = handed_in(tmp_path, GOOD, WRONG, arguments=("--only-valid", "--json"))
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["totals"]["start"], told["totals"]["refused"]) == (2, 1)
    assert count(claim) == before + 2
    assert len(switchboard.started) == 1


def test_the_same_file_twice_starts_nothing_twice(switchboard: Switchboard, tmp_path: Path) -> None:
    assert handed_in(tmp_path, GOOD).exit_code == 0
    kept = (count(group_session), count(claim))
    again = handed_in(tmp_path, GOOD, arguments=("--json",))
    assert again.exit_code == 0
    assert json.loads(again.stdout)["totals"]["known"] == 2
    assert (count(group_session), count(claim)) == kept
    assert len(switchboard.started) == 1


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (GOOD.replace("17:00", "16:30"), "row 2, starts: not as on file"),
        (GOOD.replace("P02", "P03"), "row 3, patient: not on the roster of the session on file"),
    ],
)
def test_a_session_on_file_is_not_changed_by_a_roster(
    switchboard: Switchboard, tmp_path: Path, changed: str, problem: str
) -> None:
    assert handed_in(tmp_path, GOOD).exit_code == 0
    before = count(claim)
    result = handed_in(tmp_path, changed)
    assert result.exit_code == 2
    assert problem in " ".join(result.output.split())
    assert count(claim) == before


def test_an_excel_file_is_taken_as_well(switchboard: Switchboard, tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    for line in (HEADER, *GOOD.splitlines()):
        sheet.append([cell or None for cell in line.split(";")])
    content = io.BytesIO()
    book.save(content)
    path = tmp_path / "roster.xlsx"
    path.write_bytes(content.getvalue())
    result = CliRunner().invoke(application, ["session", "import", str(path), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["totals"]["start"] == 2


def test_every_hold_is_printed_with_its_repair() -> None:
    result = CliRunner().invoke(application, ["holds", "--json"])
    assert [row["code"] for row in json.loads(result.stdout)] == list(HOLDS)
    one = CliRunner().invoke(application, ["holds", "cloned_note"])
    assert one.exit_code == 0
    assert "waiver of two people" in one.output
    assert CliRunner().invoke(application, ["holds", "NO_SUCH"]).exit_code == 2


def test_a_fhir_bundle_is_planned_and_taken_as_a_roster_is(
    switchboard: Switchboard, tmp_path: Path
) -> None:
    actors = ("Practitioner/C1", "Location/austin", "Patient/P01", "Patient/P02")
    appointment = {
        "resourceType": "Appointment",
        "id": "F1",
        "status": "booked",
        "start": "2026-02-10T17:00:00-06:00",
        "end": "2026-02-10T18:00:00-06:00",
        "participant": [{"actor": {"reference": it}, "status": "accepted"} for it in actors],
    }
    path = tmp_path / "bundle.json"
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": appointment}]}
    path.write_text(json.dumps(bundle))
    runner = CliRunner()
    planned = runner.invoke(application, ["session", "import", str(path), "--dry-run", "--json"])
    assert json.loads(planned.stdout)["totals"]["start"] == 2
    assert switchboard.started == {}
    assert runner.invoke(application, ["session", "import", str(path)]).exit_code == 0
    assert len(switchboard.started) == 1
    appointment["end"] = "2026-02-10T18:30:00-06:00"
    path.write_text(json.dumps(bundle))
    changed = runner.invoke(application, ["session", "import", str(path)])
    assert (changed.exit_code, "entry 1, ends: not as on file" in changed.output) == (2, True)
