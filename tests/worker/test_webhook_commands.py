"""``groupclaim webhook``: the secret is told once; a system is told until it is removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from groupclaim.store.database import migrate
from groupclaim.store.keys import Keyring
from worker.cli import application
from worker.settings import Settings

URL = "https://ehr.example/claims"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUPCLAIM_STATE", str(tmp_path / "state"))
    settings = Settings()
    Keyring.load_or_generate(settings.keys_file)
    migrate(settings.database_url)


def call(*given: str) -> Result:
    return CliRunner().invoke(application, ["webhook", *given])


def test_a_system_is_told_until_it_is_removed() -> None:
    made = json.loads(call("add", URL, "--event", "payment.posted", "--json").stdout)
    listed = call("list", "--json").stdout
    assert json.loads(listed) == [
        {"webhook": made["webhook"], "url": URL, "events": "payment.posted"}
    ]
    assert made["secret"] not in listed
    assert call("remove", made["webhook"]).exit_code == 0
    assert json.loads(call("list", "--json").stdout) == []
    assert call("remove", made["webhook"]).exit_code == 2


def test_an_address_in_the_clear_and_an_unknown_event_are_refused() -> None:
    refused = call("add", "http://ehr.example/", "--event", "payment.posted")
    assert (refused.exit_code, "https" in refused.output) == (2, True)
    assert call("add", URL, "--event", "everything").exit_code == 2
