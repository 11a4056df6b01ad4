"""Reports for people, machines and spreadsheets."""

from __future__ import annotations

import sys
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from groupclaim.store import practice, reports
from groupclaim.store.clock import practice_now
from worker.tables import table
from worker.terminal import AsJson, books, fail, run, show

_DAY = ["%Y-%m-%d"]


def report(
    kind: Annotated[str, typer.Argument(help=f"one of {', '.join(reports.KINDS)}")],
    first: Annotated[datetime | None, typer.Option("--from", formats=_DAY)] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=_DAY)] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV, for spreadsheets")] = False,
    as_json: AsJson = False,
) -> None:
    """What was billed, allowed, paid, denied, underpaid, recovered and given up, and what is open
    how long.

    --from and --to are days of service. Rates are in percent; days in A/R and ages are as of now.
    `losses`: what people gave up, by payer and cause, and at its usual charge what was never sent
    in time; not what a payer decided after all, or what was taken back since.
    """
    wanted = next((item for item in reports.KINDS if item == kind), None)
    if wanted is None:
        fail(2, f"KIND: one of {', '.join(reports.KINDS)}")
    if as_csv and as_json:
        fail(2, "--csv: not together with --json")
    if first and last and last < first:
        fail(2, "--to: before --from")

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            zone = ZoneInfo((await practice.read_practice(reading)).time_zone)
            today = (await practice_now(reading)).astimezone(zone).date()
            return await reports.report(
                reading,
                wanted,
                today,
                first.date() if first else None,
                last.date() if last else None,
            )

    rows = run(work())
    if as_csv:
        sys.stdout.write(reports.as_csv(rows))
        return
    show(
        as_json,
        {"report": kind, "rows": [{k: _plain(v) for k, v in row.items()} for row in rows]},
        lambda console: console.print(table(_readable(rows))),
    )


_WIDEST = 12
"""A table of more columns is turned round: a column for each group, a line for each figure."""


def _readable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not rows or len(rows[0]) <= _WIDEST:
        return [
            {k: reports.figure(k, v) if k.endswith("_rate") else v for k, v in row.items()}
            for row in rows
        ]
    by, *figures = rows[0]
    return [
        {by: reports.heading(name).replace("_", " ")}
        | {row[by]: reports.figure(name, row[name]) for row in rows}
        for name in figures
    ]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
