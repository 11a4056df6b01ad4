"""``groupclaim user``: letting people in and out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from groupclaim.store import audit, people
from groupclaim.store.people import Role
from tests.store.world import NOW, World
from tests.worker.test_books_commands import run, within
from worker.cli import application
from worker.settings import Settings

pytestmark = pytest.mark.usefixtures("settings")


def told(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(application, ["user", *arguments])
    return result.exit_code, result.output


def listed(name: str) -> dict[str, Any]:
    (row,) = [row for row in run("user", "list") if row["user"] == name]
    return row


def test_somebody_let_in_signs_in_with_the_password_that_is_printed(settings: Settings) -> None:
    made = run("user", "add", "Ruth", "--role", "biller", "--location", "L1", "--by", "owner")
    assert made["role"] == "biller"

    async def comes(world: World) -> None:
        async with world.database.transaction() as tx:
            user = await people.check_password(tx, "ruth", made["password"], NOW)
            noted = await audit.entries(tx, "Ruth")
        assert isinstance(user, people.User)
        assert user.must_change
        assert (user.role, user.account.locations) == (Role.BILLER, ("L1",))
        assert [(entry.actor, entry.action) for entry in noted] == [("owner", "add_user")]

    within(settings, comes)
    row = listed("Ruth")
    assert (row["user"], row["by"], row["practices"], row["locations"]) == (
        "Ruth",
        "password",
        "all",
        "L1",
    )


def test_who_has_emergency_access_is_listed_and_the_reason_is_in_the_audit_log(
    settings: Settings,
) -> None:
    run("user", "add", "Ruth", "--role", "viewer")
    run("user", "add", "Sam", "--role", "viewer")
    ruth, reason = listed("Ruth")["id"], "A patient asks, and nobody else is here."

    async def widened(world: World, at: datetime, ended: bool) -> datetime:
        async with world.database.transaction() as tx:
            until = await people.begin_emergency(tx, ruth, reason, at)
            await audit.record(tx, at, "Ruth", "emergency_access", ruth, {"reason": reason})
            if ended:
                await people.end_emergency(tx, ruth, at)
        return until

    now = datetime.now(UTC)
    within(settings, lambda world: widened(world, now - timedelta(hours=5), False))
    within(settings, lambda world: widened(world, now, True))
    assert listed("Ruth")["emergency_until"] is None
    until = within(settings, lambda world: widened(world, now, False))
    assert until == now + timedelta(hours=4)
    assert datetime.fromisoformat(listed("Ruth")["emergency_until"]) == until
    assert listed("Sam")["emergency_until"] is None
    entries = run("audit", "show", ruth)
    assert {(item["action"], item["detail"]) for item in entries} == {
        ("emergency_access", f"reason: {reason}")
    }


def test_one_whom_the_identity_provider_signs_in_has_no_password() -> None:
    assert run("user", "add", "Sam", "--role", "viewer", "--subject", "s-1")["password"] is None
    assert listed("Sam")["by"] == "identity provider"
    code, said = told("reset", "Sam")
    assert (code, "identity provider" in said) == (2, True)


def test_a_name_is_taken_once_and_a_role_is_one_of_the_roles() -> None:
    run("user", "add", "Ruth", "--role", "biller")
    code, said = told("add", "ruth", "--role", "viewer")
    assert (code, "is there already" in said) == (2, True)
    assert told("add", "Ann", "--role", "owner")[0] == 2


def test_who_is_disabled_comes_in_no_more_and_a_reset_gives_another_password(
    settings: Settings,
) -> None:
    first = run("user", "add", "Ruth", "--role", "biller")["password"]
    code, said = told("reset", "Ruth")
    second = said.strip().rsplit(" ", 1)[1]
    assert (code, second == first) == (0, False)

    async def tries(world: World) -> list[bool]:
        async with world.database.transaction() as tx:
            return [
                isinstance(await people.check_password(tx, "Ruth", password, NOW), people.User)
                for password in (first, second)
            ]

    assert within(settings, tries) == [False, True]
    assert told("disable", "Ruth")[0] == 0
    assert within(settings, tries) == [False, False]
    assert listed("Ruth")["disabled"] is True
    code, said = told("disable", "nobody")
    assert (code, "not known" in said) == (2, True)
