"""Commands about denials: what they print, and what they refuse."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from groupclaim.store import denials
from tests.store.world import NOW, World
from tests.worker.test_books_commands import run, within
from worker.cli import application
from worker.settings import Settings

PLAN = {"rule": "denial:50:appeal", "playbook": "abc", "action": "appeal", "who": "biller"}


@pytest.fixture
def number(settings: Settings) -> str:
    async def opened(world: World) -> str:
        claim = world.claims[0]
        cause = denials.Cause("claim", claim, "payer1", "CO-50", "necessity", "PLAN_INVALID")
        async with world.database.transaction() as tx:
            await denials.open_denial(tx, claim, 1, cause, 6000, date(2026, 3, 2), PLAN, NOW)
            await denials.keep_letter(tx, claim, 1, "appeal", 1, "mail", b"%PDF made", NOW)
        return claim

    return within(settings, opened)


def refused(*arguments: str) -> Any:
    return CliRunner().invoke(application, [*arguments])


def test_denials_and_cases_are_listed(number: str) -> None:
    (row,) = run("denial", "list")
    assert (row["claim_number"], row["denial"], row["action"]) == (number, 1, "appeal")
    (case,) = run("denial", "cases")
    assert (case["open_cents"], case["prevented_by"]) == (6000, "PLAN_INVALID")
    assert case["case_id"] == row["case_id"]
    assert "60.00" in refused("denial", "cases").output


def test_one_denial_is_shown_with_rule_playbook_and_letters(number: str) -> None:
    told = run("denial", "show", number)
    assert (told["rule"], told["playbook"]) == ("denial:50:appeal", "abc")
    assert [item["state"] for item in told["letters"]] == ["drafted"]
    assert "denial:50:appeal" in refused("denial", "show", number).output
    assert refused("denial", "show", number, "9").exit_code == 2


def test_a_packet_is_written_out_once_and_that_is_noted(number: str, tmp_path: Path) -> None:
    out = tmp_path / "packet.pdf"
    command = ("denial", "letter", number, "1", "1", "--out", str(out), "--by", "R. Lee")
    assert refused(*command).exit_code == 0
    assert out.read_bytes() == b"%PDF made"
    assert out.stat().st_mode & 0o777 == 0o600
    assert refused(*command).exit_code == 2  # nothing is written over
    assert "read_letter" in json.dumps(run("audit", "show", number))


def test_a_repair_says_first_what_it_would_touch(number: str) -> None:
    (case,) = run("denial", "cases")
    by = ("--by", "R. Lee", "--reason", "mended", "--dry-run")
    (row,) = run("denial", "repair", case["case_id"], "send_again", *by)
    assert (row["claim_number"], row["outcome"]) == (number, "would be asked")
    assert refused("denial", "repair", "dc0", "send_again", *by).exit_code == 2
