"""``groupclaim x12``: is this file whole, and what is in it?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from groupclaim import x12
from groupclaim.store import audit
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from worker.settings import Settings
from worker.tables import harmless

commands = typer.Typer(no_args_is_help=True, help="X12 files: check them, show them.")

_PROBLEMS, _UNREADABLE = 1, 2
_MOST_LISTED = 50


@commands.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="X12 files of any kind")],
    as_json: Annotated[
        bool, typer.Option("--json", help="print one JSON object, by file name, for machines")
    ] = False,
) -> None:
    """Check files: faults of the envelope, problems of the content, and what it adds up to.

    Prints no personal data but claim numbers. Exit codes: 0 clean; 1 a problem was found; 2 a file
    could not be read.
    """
    found: dict[str, dict[str, Any]] = {}
    code = 0
    for path in files:
        try:
            with path.open("rb") as file:
                figures = x12.file_figures(file)
        except OSError as error:
            figures = _unreadable(error.strerror or type(error).__name__)
        found[str(path)] = figures
        code = max(code, _verdict(figures))
        if not as_json:
            for line in _lines(str(path), figures):
                typer.echo(line)
    if as_json:
        typer.echo(json.dumps(found, indent=1, sort_keys=True))
    raise typer.Exit(code)


@commands.command()
def show(
    file: Annotated[Path, typer.Argument(help="an X12 file of any kind")],
    reveal: Annotated[
        bool, typer.Option("--reveal", help="show personal data too; noted in the audit log")
    ] = False,
    by: Annotated[str, typer.Option("--by", help="who looks, for the audit log")] = "",
) -> None:
    """Show a file loop by loop, its amounts aligned and personal data masked.

    Exit codes: 0 shown; 2 the file could not be read, or --reveal without --by.
    """
    try:
        with file.open("rb") as source:
            if reveal:
                _note(file_digest(source, "sha256").hexdigest(), by)
                source.seek(0)
            for line in x12.show(source, reveal=reveal):
                typer.echo(harmless(line))
    except OSError as error:
        Console(stderr=True).print(f"{file}: {error.strerror}", style="red", markup=False)
        raise typer.Exit(_UNREADABLE) from None


def _note(digest: str, by: str) -> None:
    """Write to the audit log that ``by`` sees what is in the file, before it is shown."""
    if not by.strip():
        Console(stderr=True).print("--reveal needs --by: who looks?", style="red", markup=False)
        raise typer.Exit(_UNREADABLE)
    settings = Settings()
    if not settings.keys_file.exists():
        typer.echo("no books here (GROUPCLAIM_STATE): nothing is noted in an audit log", err=True)
        return

    async def write() -> None:
        migrate(settings.database_url)
        database = Database.connect(settings.database_url, Keyring.load(settings.keys_file))
        try:
            async with database.transaction() as tx:
                await audit.record(tx, await practice_now(tx), by, "x12_file_revealed", digest)
        finally:
            await database.close()

    asyncio.run(write())


def _unreadable(reason: str) -> dict[str, Any]:
    problem = {"code": "file_unreadable", "segment_number": 0, "text": reason}
    return {"interchanges": 0, "transactions": [], "problems": [problem]}


def _verdict(figures: dict[str, Any]) -> int:
    if not figures["interchanges"]:
        return _UNREADABLE
    return _PROBLEMS if figures["problems"] else 0


def _lines(name: str, figures: dict[str, Any]) -> Iterator[str]:
    yield f"{name}: {('clean', 'problems found', 'unreadable')[_verdict(figures)]}"
    faults = figures.get("envelope_errors", {})
    if faults:
        yield "  envelope: " + ", ".join(f"{fault} ({n})" for fault, n in faults.items())
    for note in figures.get("notes", ()):
        yield f"  note: {note}"
    for one in figures["transactions"]:
        yield f"  {one['st']} {one['st02']}: {one['segments']} segments{_figures(one)}"
    problems = figures["problems"]
    for problem in problems[:_MOST_LISTED]:
        yield f"  segment {problem['segment_number']}: {problem['code']}: {problem['text']}"
    if len(problems) > _MOST_LISTED:
        yield f"  and {len(problems) - _MOST_LISTED} more; --json lists them"


def _figures(one: dict[str, Any]) -> str:
    if one["st"] == "835" and "bpr02" in one:
        balanced = "balanced" if one["balanced"] else "NOT BALANCED"
        return (
            f", {one['claims']} claims, paid {one['bpr02']} = {one['sum_clp04_paid']} for claims"
            f" - {one['sum_plb']} of the provider, {one['reversals']} reversals, {balanced}"
        )
    if one["st"] == "837" and "claims" in one:
        return f", {one['claims']} claims, {one['lines']} lines, charged {one['sum_clm02']}"
    return ""
