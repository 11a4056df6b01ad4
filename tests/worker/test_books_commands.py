"""Commands about the books, the audit log and the keys: what they print and keep."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from typer.testing import CliRunner

from groupclaim.model.money import Cents
from groupclaim.store import audit, ledger
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring
from tests.store.world import (
    NOW,
    PLANTED,
    World,
    load_world,
    make_ready,
    paid,
    payment,
    post,
    send_all,
)
from worker.cli import application
from worker.settings import Settings

Result = TypeVar("Result")


def within(settings: Settings, work: Callable[[World], Awaitable[Result]]) -> Result:
    async def opened() -> Result:
        database = Database.connect(settings.database_url, Keyring.load(settings.keys_file))
        try:
            return await work(await load_world(database))
        finally:
            await database.close()

    return asyncio.run(opened())


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(application, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_money_that_has_not_found_its_place_is_listed(settings: Settings) -> None:
    assert run("ledger", "open") == {
        "suspended_payments": [],
        "unapplied_cash": [],
        "patient_credits": [],
    }

    async def happen(world: World) -> str:
        number = world.claims[0]
        stranger = paid(number, 4200, ("CO", "45", 2300), control_number="SOMEONE-1")
        await post(world, payment(stranger), "stranger")
        await post(world, payment(stranger, trace="T2", amount=4000), "short")
        async with world.database.transaction() as tx:
            await ledger.book_copay(tx, number, Cents(1500), NOW)
        return number

    number = within(settings, happen)
    found = run("ledger", "open")
    (suspended,) = found["suspended_payments"]
    assert (suspended["trace"], suspended["difference_cents"]) == ("T2", -200)
    (unapplied,) = found["unapplied_cash"]
    assert (unapplied["claim"], unapplied["unapplied_cents"]) == ("SOMEONE-1", 4200)
    (credit,) = found["patient_credits"]
    assert (credit["claim_number"], credit["credit_cents"]) == (number, 1500)
    shown = CliRunner().invoke(application, ["ledger", "open"])
    assert shown.exit_code == 0
    assert "15.00" in shown.output


def test_a_claim_tells_the_interchange_that_each_version_left_in(settings: Settings) -> None:
    async def happen(world: World) -> tuple[str, str]:
        sent, ready = world.claims[:2]
        await send_all(world, [sent])
        async with world.database.transaction() as tx:
            await make_ready(tx, world, ready)
        return sent, ready

    sent, ready = within(settings, happen)
    (version,) = run("claim", "show", sent)["versions"]
    assert (version["version"], version["interchange_control"]) == (1, "000000001")
    (version,) = run("claim", "show", ready)["versions"]
    assert (version["version"], version["interchange_control"]) == (1, None)


def test_who_did_what_to_a_claim_is_shown_with_the_reason(settings: Settings) -> None:
    async def happen(world: World) -> None:
        async with world.database.transaction() as tx:
            await audit.record(tx, NOW, "R. Lee", "release_hold", "GC1", {"reason": PLANTED[0]})

    within(settings, happen)
    (entry,) = run("audit", "show", "GC1")
    assert (entry["actor"], entry["action"]) == ("R. Lee", "release_hold")
    assert PLANTED[0] in entry["detail"]
    assert run("audit", "show", "GC2") == []


def test_who_changed_or_cut_off_the_log_is_found_against_the_head_kept_elsewhere(
    settings: Settings, tmp_path: Path
) -> None:
    """Whoever did it had the database and could switch its triggers off, but had no keys."""

    async def noted(world: World) -> None:
        async with world.database.transaction() as tx:
            for number in ("GC1", "GC2"):
                await audit.record(tx, NOW, "R. Lee", "release_hold", number)

    def verify(*against: str) -> tuple[int, list[str]]:
        result = CliRunner().invoke(application, ["audit", "verify", "--json", *against])
        return result.exit_code, json.loads(result.output)["faults"]

    def vandal(*statements: str) -> None:
        with closing(sqlite3.connect(settings.state / "groupclaim.db")) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    heads = []
    for place in ("first", "last"):
        within(settings, noted)
        sealed = CliRunner().invoke(application, ["audit", "seal"])
        assert sealed.exit_code == 0
        heads.append(tmp_path / f"{place}.json")
        heads[-1].write_text(sealed.output)
    first, last = map(str, heads)
    assert verify("--head", first) == verify("--head", last) == verify() == (0, [])
    with closing(sqlite3.connect(settings.state / "groupclaim.db")) as connection:
        (newest,) = connection.execute("SELECT MAX(id) FROM audit_entry").fetchone()
    before = newest - 2
    vandal(*(f"DROP TRIGGER {table}_no_{change}" for table in ("audit_entry", "audit_seal")
             for change in ("update", "delete")))  # fmt: skip
    vandal(
        "DELETE FROM audit_seal WHERE number = 2", f"DELETE FROM audit_entry WHERE id > {before}"
    )
    assert verify("--head", first) == verify() == (0, [])
    assert verify("--head", last) == (1, ["audit_seal 2: cut off"])
    vandal(f"UPDATE audit_entry SET actor = 'nobody' WHERE id = {before}")
    assert verify("--head", first) == verify() == (1, [f"audit_entry {before}: changed"])
    heads[0].write_text('{"number": 1}')
    refused = CliRunner().invoke(application, ["audit", "verify", "--head", first])
    assert refused.exit_code == 2
    assert "digest: Field required" in refused.output


def test_keys_are_rotated_and_everything_stays_readable(settings: Settings) -> None:
    before = Keyring.load(settings.keys_file)

    async def sealed(world: World) -> audit.Head:
        async with world.database.transaction() as tx:
            await audit.record(tx, NOW, "R. Lee", "release_hold", "GC1", {"reason": "a reason"})
            head = await audit.seal(tx, NOW)
        assert head is not None
        return head

    within(settings, sealed)
    current = run("keys", "rotate", "--by", "R. Lee")["current"]
    after = Keyring.load(settings.keys_file)
    assert after.current == current != before.current
    assert set(after.key_ids) == {*before.key_ids, current}
    assert after.identity_key == before.identity_key
    assert settings.keys_file.stat().st_mode & 0o777 == 0o600
    assert run("audit", "verify")["holds"]
    assert run("audit", "show", "GC1")[0]["detail"] == "reason: a reason"
    (entry,) = run("audit", "show", current)
    assert (entry["actor"], entry["action"]) == ("R. Lee", "rotate_keys")
