"""``groupclaim session import``: rosters from a spreadsheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from activities.front_desk import FrontDesk
from activities.rosters import RosterPlan, plan_roster
from groupclaim.model.base import InputRefused
from groupclaim.model.roster_file import COLUMNS, MOST_BYTES, MOST_ROWS
from groupclaim.store.clock import PracticeClock
from worker.process import connect
from worker.settings import Settings
from worker.tables import table
from worker.terminal import AsJson, By, books, run, show

_HELP = f"""Take in sessions with their rosters from a spreadsheet and start carrying them.

FILE is CSV (UTF-8; commas, semicolons or tabs) or Excel (.xlsx, its first sheet), at most
{MOST_BYTES // 1024**2} MB and {MOST_ROWS} rows: one row for each participant of a session, under a
row of column names in any order. What concerns the session may stand in one of its rows only.

{{columns}}

A FHIR R4 Bundle (.json) is taken too: Appointments with their patients, practitioner and location,
and Encounters that name their appointment; it needs the extra groupclaim[fhir].

All problems are told at once, by row and column, and nothing is taken unless every row is right;
or with --only-valid the sessions of which every row is. A session on file is left as it is, so the
same file twice starts nothing twice. Exit code 1 when a dry run or --only-valid refuses a row.
"""


def add_to(session: typer.Typer) -> None:
    """Put the command where the command line has the others about sessions."""
    columns = "\n\n".join(f"{name}: {told}" for name, told in COLUMNS.items())
    session.command("import", help=_HELP.format(columns=columns))(session_import)


def session_import(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print row by row what would happen; take nothing")
    ] = False,
    only_valid: Annotated[
        bool, typer.Option("--only-valid", help="take the sessions without a wrong row")
    ] = False,
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    async def work() -> RosterPlan:
        if file.stat().st_size > MOST_BYTES:
            raise InputRefused(file.name, [f"file: larger than {MOST_BYTES // 1024**2} MB"])
        content = file.read_bytes()
        async with books() as database:
            async with database.reading() as reading:
                plan = await plan_roster(reading, content, file.name)
            if dry_run:
                return plan
            if plan.problems and not only_valid:
                raise InputRefused(file.name, list(plan.problems))
            client = await connect(Settings(), database.keyring)
            desk = FrontDesk(database, PracticeClock(database), client)
            await desk.start_sessions(await desk.add_sessions(plan.sessions, by=by))
            return plan

    plan = run(work())
    show(as_json, _told(plan, dry_run), lambda console: _show(plan, dry_run, console))
    if plan.problems:
        raise typer.Exit(1)


def _told(plan: RosterPlan, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "rows": [item.model_dump(mode="json") for item in plan.rows],
        "totals": {
            "sessions": len(plan.sessions),
            "start": plan.count("start"),
            "known": plan.count("known"),
            "refused": plan.count("refused"),
            "held_back": plan.count("held_back"),
        },
    }


_WORDS = {
    "start": "starts a claim",
    "known": "known already",
    "refused": "refused",
    "held_back": "waits for its session's other rows",
}


def _show(plan: RosterPlan, dry_run: bool, console: Console) -> None:
    rows = [
        {
            "row": item.row,
            "session_id": item.session_id,
            "claim_number": item.claim_number,
            "outcome": _WORDS[item.outcome],
            "why": "; ".join(item.problems),
        }
        for item in plan.rows
        if dry_run or item.outcome in ("refused", "held_back")
    ]
    if rows:
        console.print(table(rows))
    would = "would start" if dry_run else "started"
    console.print(
        f"{plan.count('start')} claims {would}, {plan.count('known')} rows known already, "
        f"{plan.count('refused')} refused, {plan.count('held_back')} wait for their session."
        + (" Nothing was taken." if dry_run else "")
    )
