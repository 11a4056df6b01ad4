"""``groupclaim api-key``: the token is told once, a key ends, and both are noted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from groupclaim.store import api_keys
from groupclaim.store.database import Database
from groupclaim.store.schema import audit_entry
from tests.worker.kept import within
from worker.cli import application
from worker.console import wall_time
from worker.settings import Settings


def call(*given: str) -> Result:
    return CliRunner().invoke(application, ["api-key", *given])


def test_a_key_is_told_once_limited_and_ended(settings: Settings) -> None:
    made = call("add", "ehr", "--scope", "intake", "--scope", "view", "--practice", "P", "--json")
    token = json.loads(made.stdout)["key"]
    listed = call("list", "--json")
    assert token not in listed.stdout
    (row,) = json.loads(listed.stdout)
    assert (row["scopes"], row["practices"], row["locations"]) == ("intake, view", "P", "all")
    assert (row["state"], row["last_used"]) == ("good", "never")

    async def whose(database: Database) -> Any:
        async with database.reading() as reading:
            rows = await reading.rows(select(audit_entry.c.action).order_by(audit_entry.c.id))
            return await api_keys.of_token(reading, token, wall_time()), [r.action for r in rows]

    key, noted = within(settings, whose)
    assert key.limits.practices == ("P",)
    assert noted == ["add_api_key"]
    assert call("revoke", "ehr").exit_code == 0
    assert json.loads(call("list", "--json").stdout)[0]["state"] == "revoked"
    key, noted = within(settings, whose)
    assert (key, noted) == (None, ["add_api_key", "revoke_api_key"])


@pytest.mark.usefixtures("settings")
def test_what_cannot_be_a_key_is_refused() -> None:
    assert call("add", "ehr", "--scope", "view").exit_code == 0
    twice = call("add", "ehr", "--scope", "view")
    assert (twice.exit_code, "there is a key of that name" in twice.output) == (2, True)
    assert call("add", "other", "--scope", "everything").exit_code == 2
    assert call("add", "other").exit_code == 2
    assert call("revoke", "nobody").exit_code == 2
