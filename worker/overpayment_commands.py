"""Commands about money of payers that is not due: claims that were sent and are not true."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from groupclaim.model.money import Cents
from groupclaim.store import practice, voids
from worker.tables import table
from worker.terminal import AsJson, By, books, desk, run, show

commands = typer.Typer(
    no_args_is_help=True, help="Payers' money of claims that were not true: until when it is back."
)


@commands.command("list")
def overpayment_list(
    closed: Annotated[bool, typer.Option("--closed", help="those that are back instead")] = False,
    as_json: AsJson = False,
) -> None:
    """What has to go back to payers, by its day, and how each claim is taken back."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            names = await practice.names(reading)
            return [
                {
                    "claim_number": one.claim_number,
                    "payer": names.get(one.payer_key, one.payer_key),
                    "reason": one.reason,
                    "cents": int(one.cents),
                    "known_on": one.identified_on,
                    "back_by": one.refund_by,
                    "route": one.route,
                    "outcome": one.outcome,
                    "receipt": one.receipt,
                    "working": one.working,
                }
                for one in await voids.overpayments(reading, closed=closed)
            ]

    rows = run(work())
    short = [{name: value for name, value in row.items() if name != "working"} for row in rows]
    show(as_json, {"overpayments": rows}, lambda console: console.print(table(short)))


@commands.command("refund")
def overpayment_refund(
    claim_number: str,
    cents: int,
    receipt: Annotated[str, typer.Option("--receipt", help="number of the cheque or form")],
    by: By,
    second: Annotated[
        str | None, typer.Option("--second", help="who else agrees, where the amount takes two")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record that a payer's money for a claim went back to it, whole; a receipt counts once.

    By who may pay so much back: `groupclaim user limits`.
    """

    async def work() -> bool:
        async with desk() as front:
            return await front.refund_payer(
                claim_number, Cents(cents), receipt, by=by, second=second
            )

    new = run(work())
    said = "recorded" if new else "recorded before"
    show(as_json, {"new": new}, lambda console: console.print(said))
