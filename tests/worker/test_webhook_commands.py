"""``groupclaim webhook``: the secret is told once; a system is told until it is removed."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from worker.cli import application

URL = "https://ehr.example/claims"

pytestmark = pytest.mark.usefixtures("settings")


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
