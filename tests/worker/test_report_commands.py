"""Reports as people, machines and spreadsheets get them."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from typer.testing import CliRunner

from groupclaim.model.money import Cents
from groupclaim.store import ledger, reports
from tests.store.world import NOW, World, paid, payment, post, send_all
from tests.worker.test_books_commands import run, within
from worker.cli import application
from worker.settings import Settings


async def _paid(world: World) -> None:
    """One claim of 65.00, of which 42.00 is allowed and paid."""
    number = world.claims[0]
    await send_all(world, [number])
    async with world.database.transaction() as tx:
        await ledger.book_charge(tx, number, 1, NOW)
    await post(world, payment(paid(number, 4200, ("CO", "45", 2300))))


def test_json_has_cents_and_csv_has_dollars(settings: Settings) -> None:
    within(settings, _paid)
    told = run("report", "payer")
    (row,) = told["rows"]
    assert (row["payer"], row["billed_cents"], row["paid_cents"]) == ("First Invented", 6500, 4200)
    assert row["net_collection_rate"] == 10000
    printed = CliRunner().invoke(application, ["report", "payer", "--csv"])
    (line,) = csv.DictReader(io.StringIO(printed.output))
    assert (line["payer"], line["billed"], line["paid"]) == ("First Invented", "65.00", "42.00")
    assert line["net_collection_rate"] == "100.00"
    people = CliRunner().invoke(application, ["report", "payer"])
    assert "100.00 %" in people.output


def test_what_was_given_up_is_told_in_dollars_and_percent(settings: Settings) -> None:
    async def given_up(world: World) -> None:
        number = world.claims[0]
        await send_all(world, [number])
        async with world.database.transaction() as tx:
            await ledger.book_charge(tx, number, 1, NOW)
            await ledger.write_off(tx, number, Cents(6500), "undecided|1", NOW)

    within(settings, given_up)
    (row,) = run("report", "losses")["rows"]
    assert row == {
        "payer": "First Invented", "cause": "UNDECIDED", "claims": 1, "lost_cents": 6500,
        "loss_share_rate": 10000,
    }  # fmt: skip
    people = CliRunner().invoke(application, ["report", "losses"])
    assert "UNDECIDED" in people.output
    assert "65.00" in people.output
    assert "100.00 %" in people.output


def test_a_span_without_services_is_empty(settings: Settings) -> None:
    within(settings, _paid)
    assert run("report", "payer", "--from", "2026-02-04")["rows"] == []
    assert len(run("report", "payer", "--to", "2026-02-03")["rows"]) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("profit",), "KIND: one of payer, provider"),
        (("payer", "--csv", "--json"), "--csv: not together with --json"),
        (("payer", "--from", "2026-02-02", "--to", "2026-02-01"), "--to: before --from"),
    ],
)
def test_what_is_refused(settings: Settings, arguments: tuple[str, ...], told: str) -> None:
    result = CliRunner().invoke(application, ["report", *arguments])
    assert result.exit_code == 2
    assert told in result.output


@pytest.mark.parametrize(
    ("column", "value", "cell"),
    [
        ("payer", "=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("payer", "+1", "'+1"),
        ("payer", "-1", "'-1"),
        ("payer", "@SUM(A1)", "'@SUM(A1)"),
        ("payer", "\tx", "'\tx"),
        ("payer", "\rx", "'\rx"),
        ("payer", "Plain = text", "Plain = text"),
        ("open_cents", -605, "-6.05"),  # a number of ours, not text
        ("open_cents", 7, "0.07"),
        ("denial_rate", 2500, "25.00"),
        ("denial_rate", None, ""),
    ],
)
def test_no_cell_is_taken_for_a_formula(column: str, value: Any, cell: Any) -> None:
    assert reports.cell(column, value) == cell
