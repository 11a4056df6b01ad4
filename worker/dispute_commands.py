"""Commands about what payers still owe, or gave too much."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from activities import disputing
from groupclaim.policy.payer import PolicyBook
from groupclaim.store import disputes, practice
from worker.settings import Settings
from worker.tables import table
from worker.terminal import AsJson, By, books, desk, run, show, write_private

commands = typer.Typer(no_args_is_help=True, help="Disputes with payers over what they paid.")

Number = Annotated[int, typer.Argument(help="the case's number, as `dispute list` shows it")]
Reason = Annotated[str, typer.Option("--reason", help="why, for the audit log")]
Second = Annotated[
    str | None, typer.Option("--second", help="who else agrees, where the amount takes two")
]


@commands.command("list")
def list_cases(
    everything: Annotated[bool, typer.Option("--all", help="closed ones too")] = False,
    as_json: AsJson = False,
) -> None:
    """Each case with its payer, code and pattern, what it comes to and by when to act."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            names = await practice.names(reading)
            return [
                {
                    "number": case.id,
                    "kind": case.kind,
                    "payer": names.get(case.payer_key, case.payer_key),
                    "code": case.code,
                    "pattern": case.pattern.value,
                    "state": case.outcome or case.state,
                    "claims": case.claims,
                    "identified_cents": int(case.identified),
                    "recovered_cents": int(case.recovered),
                    "limit_on": case.limit_on,
                    "due_at": case.due_at,
                }
                for case in await disputes.cases(reading, closed=everything)
            ]

    rows = run(work())
    show(as_json, {"disputes": rows}, lambda console: console.print(table(rows)))


@commands.command("show")
def show_case(number: Number, as_json: AsJson = False) -> None:
    """One case: every line with what proves it, and the penalty that the law gives."""

    async def work() -> dict[str, Any]:
        async with books() as database, database.reading() as reading:
            found = await disputing.case_file(reading, PolicyBook.load(Settings().policies), number)
        return {
            **asdict(found.case),
            "payer": found.payer,
            "pay_by": found.pay_by,
            "penalty_cents": int(found.penalty),
            "penalties": [item.working for item in found.penalties],
            "lines": [
                {
                    "claim_number": line.claim_number,
                    "service_date": line.service_date,
                    "charge_cents": int(line.charge),
                    "expected_cents": int(line.expected),
                    "allowed_cents": int(line.allowed),
                    "difference_cents": int(line.difference),
                    "recovered_cents": int(line.recovered),
                    "paid_on": line.paid_on,
                    "trace": line.trace,
                    "working": line.working,
                }
                for line in found.lines
            ],
        }

    told = run(work())

    def print_it(console: Any) -> None:
        about = ("payer", "kind", "code", "pattern", "state", "outcome", "limit_on", "pay_by")
        for name in about:
            console.print(f"{name.replace('_', ' ')}: {told[name]}", highlight=False)
        shown = [{k: v for k, v in line.items() if k != "working"} for line in told["lines"]]
        console.print(table(shown))
        for working in (*dict.fromkeys(line["working"] for line in told["lines"]),):
            console.print(working, highlight=False, markup=False)
        for working in told["penalties"]:
            console.print(working, highlight=False, markup=False)

    show(as_json, told, print_it)


@commands.command()
def letter(
    number: Number,
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="the PDF to write")],
    by: By = "command line",
) -> None:
    """Write a case's letter as PDF: a draft until it is approved, then the one approved."""

    async def work() -> None:
        async with books() as database:
            policies = PolicyBook.load(Settings().policies)
            write_private(out, await disputing.write_letter(database, policies, number, by))

    run(work())
    typer.echo(str(out))


@commands.command()
def approve(
    number: Number, by: By, reason: Reason, second: Second = None, as_json: AsJson = False
) -> None:
    """Have a case's letter go out: from now on its lines are fixed and the payer is followed up.

    By who may approve letters: `groupclaim user limits`.
    """

    async def work() -> dict[str, Any]:
        async with desk() as front:
            return await front.approve_dispute(number, by=by, reason=reason, second=second)

    told = run(work())
    show(as_json, told, lambda console: console.print(told["state"], highlight=False))


@commands.command()
def close(
    number: Number,
    outcome: Annotated[
        str,
        typer.Option(
            "--outcome",
            help="underpayment: recovered, partly_recovered, given_up, withdrawn; overpayment: "
            "taken_back, refunded, kept, withdrawn",
        ),
    ],
    by: By,
    reason: Reason,
    second: Second = None,
    as_json: AsJson = False,
) -> None:
    """End a case. given_up, refunded and kept also release the claims that wait for it.

    By who may give so much up, or pay it back: `groupclaim user limits`.
    """

    async def work() -> dict[str, Any]:
        async with desk() as front:
            return await front.close_dispute(
                number, outcome=outcome, by=by, reason=reason, second=second
            )

    told = run(work())
    show(as_json, told, lambda console: console.print(told["outcome"], highlight=False))
