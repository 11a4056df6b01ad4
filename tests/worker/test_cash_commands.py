"""Commands about payers' money, as one would use them; no Temporal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.exceptions import WorkflowAlreadyStartedError
from typer.testing import CliRunner

from activities import steps
from activities.cash_desk import CashDesk
from activities.remittance import Remittances
from groupclaim.model.base import InputRefused
from groupclaim.store import files, remittances
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.deposits import read_deposits
from tests.activities.test_remittance import x835
from tests.store.world import NOW, World, paid, payment, post, send_all
from tests.worker.test_books_commands import run, within
from worker import cash_commands
from worker.cli import application
from worker.settings import Settings
from worker.terminal import books
from workflows import inbound, remittance


def refused(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(application, arguments)
    return result.exit_code, result.output


def test_a_file_is_tried_out_without_a_server(settings: Settings, tmp_path: Path) -> None:
    async def number(world: World) -> str:
        await send_all(world)
        return world.claims[0]

    claim = paid(within(settings, number), 4200, ("CO", "45", 2300))
    file = tmp_path / "era.835"
    file.write_bytes(x835(claim))
    told = run("era", "post", str(file), "--dry-run")
    assert (told["new"], told["dry_run"]) == (True, True)
    (item,) = told["payments"]
    assert (item["state"], item["claims"][0]["matched_by"]) == ("posted", "claim_number")
    assert run("ledger", "trial-balance")["accounts"]["deposits"] == 0
    file.write_bytes(x835(claim, total=4199))
    code, out = refused("era", "post", str(file), "--dry-run")
    assert (code, "differs by -0.01" in " ".join(out.split())) == (1, True)
    file.write_bytes(b"nothing")
    assert refused("era", "post", str(file), "--dry-run")[0] == 1


class _Worker:
    """Stands for Temporal and a worker: a file's payments are posted, each workflow once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._desk = Remittances(cast(Any, SimpleNamespace(database=database)), cast(Any, None))

    async def start_workflow(self, name: str, arg: Any, **options: Any) -> _Worker:
        if name == inbound.NAME:
            async with self._database.reading() as reading:
                if await remittances.of_file(reading, arg.digest):
                    raise WorkflowAlreadyStartedError(options["id"], name)
            registered = await self._desk.register_remittances(arg)
            for key in registered.new:
                await self._desk.post_remittance(steps.RemittanceRef(remittance_id=key))
        elif name == remittance.NAME:
            await self._desk.post_remittance(arg)
        return self

    async def result(self) -> None:
        return None


@pytest.fixture
def at_work(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As if `groupclaim up` ran."""

    @asynccontextmanager
    async def with_worker() -> AsyncIterator[CashDesk]:
        async with books() as database:
            yield CashDesk(database, PracticeClock(database), cast(Any, _Worker(database)))

    monkeypatch.setattr(cash_commands, "cash_desk", with_worker)
    return settings


def say(*arguments: str, code: int = 0) -> str:
    """What a person reads, on one line."""
    result = CliRunner().invoke(application, arguments)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_a_file_is_posted_once_and_says_so(at_work: Settings, tmp_path: Path) -> None:
    async def number(world: World) -> str:
        await send_all(world)
        return world.claims[0]

    claim = paid(within(at_work, number), 4200, ("CO", "45", 2300))
    file = tmp_path / "era.835"
    file.write_bytes(x835(claim))
    first = run("era", "post", str(file), "--by", "R. Lee")
    assert (first["new"], first["payments"][0]["state"]) == (True, "posted")
    assert first["payments"][0]["claims"][0]["posting"] == "applied"
    again = say("era", "post", str(file))
    assert again.startswith("This file was posted before: nothing is posted twice.")
    # The same payment in another interchange.
    other = tmp_path / "again.835"
    other.write_bytes(x835(claim).replace(b"000000007", b"000000008"))
    assert "Posted before from another file, and not again: 1." in say("era", "post", str(other))
    assert run("ledger", "trial-balance")["accounts"]["deposits"] == 4200
    assert run("ledger", "verify")["holds"]


def test_a_file_off_by_a_cent_posts_nothing_and_names_the_difference(
    at_work: Settings, tmp_path: Path
) -> None:
    async def number(world: World) -> str:
        await send_all(world)
        return world.claims[0]

    claim = paid(within(at_work, number), 4200, ("CO", "45", 2300))
    file = tmp_path / "era.835"
    file.write_bytes(x835(claim, total=4201))
    said = say("era", "post", str(file), code=1)
    assert "suspended" in said
    assert "differs by 0.01" in said
    assert run("ledger", "trial-balance")["accounts"]["deposits"] == 0
    (waiting,) = run("suspense", "list")
    key = str(waiting["remittance_id"])
    (difference,) = run("era", "show", key)["differences"]
    assert (difference["stated_cents"], difference["expected_cents"]) == (4201, 4200)
    why = ("--by", "R. Lee", "--reason", "only a cent")
    assert "whole copy" in say("suspense", "accept", key, *why, "--second", "A. Kim", code=1)
    # The payer corrects the amount; a person sees that it is the same payment.
    file.write_bytes(x835(claim))
    right = CliRunner().invoke(application, ["era", "post", str(file), "--json"])
    (second,) = json.loads(right.output)["payments"]
    assert (right.exit_code, second["state"]) == (1, "suspended")
    done = run("suspense", "accept", str(second["remittance_id"]), *why)
    assert done["state"] == "posted"
    assert run("suspense", "list") == []
    assert run("ledger", "trial-balance")["accounts"]["deposits"] == 4200


def test_unapplied_cash_is_assigned_to_a_claim_that_was_sent(at_work: Settings) -> None:
    async def happen(world: World) -> tuple[int, str]:
        await send_all(world)
        stranger = paid(world.claims[0], 4200, ("CO", "45", 2300), control_number="X-1")
        held = await post(world, payment(replace(stranger, payer_claim_number="")))
        return held.remittance_id, world.claims[0]

    held, number = within(at_work, happen)
    why = ("--by", "R. Lee", "--reason", "letter of the payer")
    item = f"{held}/1"
    refusals = (
        (("GCNOBODY0000A",), 1, "was never sent"),
        ((number, "--payer", "2"), 1, "a payer before this one has not decided"),
        ((number, "--payer", "4"), 2, "--payer"),
    )
    for (claim, *options), code, text in refusals:
        said = say("unapplied", "assign", item, "--claim", claim, *options, *why, code=code)
        assert text in said
    assert "as `groupclaim unapplied list` shows it" in say(
        "unapplied", "assign", "what", "--claim", number, *why, code=1
    )
    assert run("unapplied", "assign", item, "--claim", number, *why, "--dry-run")["new"]
    assert say("unapplied", "assign", item, "--claim", number, *why) == "assigned"
    assert run("unapplied", "list") == []
    assert run("ledger", "verify")["holds"]


def test_a_bank_file_is_refused_by_row(settings: Settings, tmp_path: Path) -> None:
    within(settings, lambda world: send_all(world))
    file = tmp_path / "bank.csv"
    file.write_text("date,amount,reference\n2026-02-19,12.345,x\nnever,1.00,y\n")
    said = say("deposit", "import", str(file), code=2)
    assert "row 2, amount" in said
    assert "row 3, date" in said
    assert run("deposit", "list") == []


def test_suspense_and_unapplied_cash_are_listed_shown_and_cleared(settings: Settings) -> None:
    async def happen(world: World) -> tuple[int, int]:
        await send_all(world)
        stranger = paid(world.claims[0], 4200, ("CO", "45", 2300), control_number="X-1")
        held = await post(world, payment(stranger, withheld=[("CS", 300), ("WO", 200)]))
        off = await post(world, payment(stranger, trace="T2", amount=4000), "short")
        return held.remittance_id, off.remittance_id

    held, off = within(settings, happen)
    (waiting,) = run("suspense", "list")
    assert (waiting["remittance_id"], waiting["difference_cents"]) == (off, -200)
    page = run("suspense", "show", str(off))
    assert (page["payment"]["state"], page["claims"][0]["posting"]) == ("suspended", "suspended")
    listed = run("unapplied", "list")
    assert [(row["item"], row["unapplied_cents"]) for row in listed] == [
        (f"{held}/1", 4200),
        (f"{held}/plb/1", -300),
    ]
    why = ("--by", "R. Lee", "--reason", "letter of the payer")
    assert run("unapplied", "return", f"{held}/1", *why, "--dry-run")["new"]
    assert run("unapplied", "return", f"{held}/1", *why)["new"]
    assert not run("unapplied", "return", f"{held}/1", *why)["new"]
    unknown = ("--by", "T. Poe", "--reason", "gone")
    for refusable in (
        ("unapplied", "settle", f"{held}/plb/1", "--account", "write_off"),
        ("suspense", "return", str(off)),
    ):
        code, out = refused(*refusable, *unknown)
        assert (code, "T. Poe: is nobody who has been let in" in " ".join(out.split())) == (1, True)
    assert run("unapplied", "settle", f"{held}/plb/1", "--account", "takeback", *why)["new"]
    assert run("suspense", "return", str(off), *why)["new"]
    assert run("unapplied", "list") == run("suspense", "list") == []
    (forward,) = run("ledger", "forward")
    assert (forward["taken_cents"], forward["open_cents"]) == (200, -200)
    accounts = run("ledger", "trial-balance")
    assert (accounts["accounts"]["payer_refunds"], accounts["total_cents"]) == (-4200, 0)
    assert run("ledger", "trial-balance", "--on", "2026-02-02")["accounts"]["deposits"] == 0
    assert run("ledger", "verify")["holds"]
    assert refused("suspense", "show", "99")[0] == 2


def test_deposits_meet_their_payments(settings: Settings, tmp_path: Path) -> None:
    async def happen(world: World) -> None:
        await send_all(world)
        for place, trace in enumerate(("EFT0001", "EFT0002", "CHECK77", "LATE9999")):
            item = paid(world.claims[place], 4200 + place, ("CO", "45", 2300 - place))
            await post(world, payment(item, trace=trace), trace)

    within(settings, happen)
    file = tmp_path / "bank.csv"
    file.write_text(
        "Date,Reference,Amount\n"
        "2026-02-19,HCCLAIMPMT TRN*1*EFT0001,$42.00\n"
        "2/19/2026,HCCLAIMPMT TRN*1*EFT0002,41.01\n"
        '2026-02-24,BRANCH DEPOSIT,"42.02"\n'
        "2026-02-24,RENT,950.00\n"
    )
    assert run("deposit", "import", str(file)) == {"new": 4, "known": 0, "matched": 3}
    assert run("deposit", "import", str(file)) == {"new": 0, "known": 4, "matched": 0}
    listed = run("deposit", "list")
    assert [(row["state"], row["trace"], row["difference_cents"]) for row in listed] == [
        ("matched", "EFT0001", 0),
        ("short", "EFT0002", -100),
        ("matched", "CHECK77", 0),
        ("unknown", "", 95000),
        ("undeposited", "LATE9999", -4203),
    ]
    assert [row["matched_by"] for row in listed[:3]] == [
        "trace_and_amount",
        "trace",
        "amount_and_date",
    ]
    assert len(run("deposit", "list", "--open")) == 3


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "column date: missing"),
        (b"date,amount\n", "column reference: missing"),
        (b"date,amount,reference,date\n", "column date: missing, or there twice"),
        (b"date,amount,reference\n", "holds no deposit"),
        (b"date,amount,reference\n2026-13-01,1,x\n", "row 2, date"),
        (b"date,amount,reference\n2026-02-01,-1.00,x\n", "row 2, amount"),
        (b"date,amount,reference\n2026-02-01,1.005,x\n", "row 2, amount"),
        (b"date,amount,reference\n2026-02-01,=1+1,x\n", "row 2, amount"),
        (b"date,amount,reference\n2026-02-01,0,x\n", "row 2, amount"),
        (b"date,amount,reference\n2026-02-01,1e9,x\n", "row 2, amount"),
        (b"date,amount,reference\n2026-02-01,1," + b"x" * 81 + b"\n", "row 2, reference"),
        (b"date,amount,reference\n2026-02-01,1,\x1b[31m\n", "row 2, reference"),
        (b'date,amount,reference\n2026-02-01,1,"x\n', "row 2: a quote"),
        (b"date,amount,reference\n\xff\xfe,1,x\n", "file:"),
        (b"\0" * 10, "zero bytes"),
        (b"x" * (5 * 1024 * 1024 + 1), "larger than"),
    ],
)
def test_a_hostile_bank_file_is_refused_by_row_and_column(content: bytes, problem: str) -> None:
    with pytest.raises(InputRefused) as refusal:
        read_deposits(content, "bank.csv")
    assert problem in str(refusal.value)


def test_standing_files_are_listed_and_cleared(settings: Settings) -> None:
    async def happen(world: World) -> None:
        async with world.database.transaction() as tx:
            digest = await files.keep_file(
                tx, world.connection_id, "inbound", "835", "x", b"damaged", NOW
            )
            await files.record_problem(tx, digest, "unreadable: isa_missing", NOW)

    within(settings, happen)
    (problem,) = run("file", "problems")
    assert problem["problem"] == "unreadable: isa_missing"
    why = ("--by", "R. Lee", "--reason", "payer sent it anew")
    assert run("file", "clear", problem["file"], *why)["new"]
    assert not run("file", "clear", problem["file"], *why)["new"]
    assert run("file", "problems") == []
    assert refused("file", "clear", "0123", *why)[0] == 2


def test_paper_is_tried_out(settings: Settings, tmp_path: Path) -> None:
    async def number(world: World) -> str:
        await send_all(world)
        return world.claims[0]

    line: dict[str, Any] = {
        "code": "90853", "service_date": "2026-02-03", "charge_cents": 6500, "paid_cents": 4200,
        "adjustments": [{"group": "CO", "reason": "45", "cents": 2300}],
    }  # fmt: skip
    claim = {"claim": within(settings, number), "status": "1", "lines": [line]}
    paper = {"payer_name": "PAYER", "payer_id": "FIRST1", "trace": "4711",
             "payment_date": "2026-02-18", "paid_cents": 4200, "claims": [claim]}  # fmt: skip
    file = tmp_path / "paper.json"
    file.write_text(json.dumps(paper))
    (item,) = run("era", "enter", str(file), "--dry-run")["payments"]
    assert (item["state"], item["claims"][0]["posting"]) == ("posted", "applied")
    file.write_text(json.dumps(paper | {"paid_cents": 4201}))
    code, out = refused("era", "enter", str(file), "--dry-run")
    assert (code, "differs by 0.01" in out) == (2, True)
