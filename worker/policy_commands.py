"""``groupclaim policy``: what the payers ask for, where each value comes from, and what changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from groupclaim.model.base import InputRefused
from groupclaim.policy.edits import CodeEdits
from groupclaim.policy.fee_schedule import FeeSchedule
from groupclaim.policy.payer import NoPolicy, PayerPolicy, PolicyBook
from groupclaim.policy.playbook import Playbook
from groupclaim.policy.public_files import IMPORTERS

policy = typer.Typer(no_args_is_help=True, help="Payer policies and fee schedules: look, compare.")

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object, for machines")]
OwnFolder = Annotated[
    Path | None,
    typer.Option(
        "--policies",
        envvar="GROUPCLAIM_POLICIES",
        exists=True,
        file_okay=False,
        help="folder whose payers/ and tables/ stand in for what comes with groupclaim",
    ),
]
Day = Annotated[
    datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="the edition of that day")
]


def _fail(code: int, text: str) -> NoReturn:
    Console(stderr=True).print(text, style="red", markup=False, highlight=False)
    raise typer.Exit(code)


def _book(folder: Path | None) -> PolicyBook:
    try:
        return PolicyBook.load(folder)
    except InputRefused as error:
        _fail(2, str(error))


def _editions(book: PolicyBook, name: str, day: date | None) -> tuple[PayerPolicy, ...]:
    try:
        return (book.policy(name, day),) if day else book.editions(name)
    except NoPolicy as error:
        _fail(2, str(error))


@policy.command("lint")
def lint(
    folder: Annotated[
        Path | None, typer.Argument(exists=True, file_okay=False, metavar="[DIR]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check every policy, table and the denial playbook: keys, types, dates, gaps, unknown codes,
    a denial code without an action.

    DIR holds payers/, tables/ and playbook.toml of your own; without it, what comes with
    groupclaim is checked. Exit code 1 when anything is wrong.
    """
    problems: list[str] = []
    policies = 0
    try:
        policies = len(PolicyBook.load(folder).names)
    except InputRefused as error:
        problems += error.problems
    for table in (FeeSchedule, CodeEdits, Playbook):
        try:
            table.load(folder)
        except InputRefused as error:
            problems += error.problems
    if as_json:
        typer.echo(json.dumps({"policies": policies, "problems": problems}, indent=2))
    else:
        for problem in problems:
            typer.echo(problem)
        if not problems:
            typer.echo(f"{policies} policies and their tables are in order")
    if problems:
        raise typer.Exit(1)


@policy.command("show")
def show(payer: str, on: Day = None, policies: OwnFolder = None, as_json: AsJson = False) -> None:
    """Every value of a payer's policy with its source, whether it is verified, and its dates.

    PAYER: the name of a policy, as in the practice file. Without --on, every edition.
    """
    editions = _editions(_book(policies), payer, on.date() if on else None)
    if as_json:
        typer.echo(json.dumps([item.model_dump(mode="json") for item in editions], indent=2))
        return
    console = _console()
    for edition in editions:
        console.print(
            f"{edition.name}  {_span(edition)}  version {edition.version}",
            style="bold",
            highlight=False,
        )
        table = _table("value", "", "verified", "source")
        for name, group in edition.groups():
            for key, value in group.stated():
                table.add_row(
                    f"{name}.{key}",
                    value,
                    "yes" if group.verified else "no",
                    group.source,
                )
        console.print(table)


@policy.command("diff")
def diff(a: str, b: str, policies: OwnFolder = None, as_json: AsJson = False) -> None:
    """What differs between two policies, two editions of one, or two folders of policies.

    A and B: a policy's name, NAME@YYYY-MM-DD for its edition of a day, or a folder. Exit code 1
    when anything differs.
    """
    if Path(a).is_dir() and Path(b).is_dir():
        changes = list(_folder_changes(_book(Path(a)), _book(Path(b))))
    else:
        book = _book(policies)
        one, other = _edition(book, a), _edition(book, b)
        changes = list(_changes(one, other, ""))
    if as_json:
        typer.echo(json.dumps(changes, indent=2))
    elif changes:
        table = _table("value", a, b)
        for change in changes:
            table.add_row(change["value"], change["a"], change["b"])
        _console().print(table)
    else:
        typer.echo("no difference")
    if changes:
        raise typer.Exit(1)


@policy.command("import")
def import_file(
    kind: Annotated[str, typer.Argument(help=" | ".join(IMPORTERS))],
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, readable=True)],
    into: Annotated[Path, typer.Option("--into", file_okay=False, help="folder of your own")],
    effective: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="from when; default: as the file says"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load a quarter's edition of a public CMS file, as it was downloaded and unpacked.

    pprrvu: relative values (CSV); gpci: geographic indices (CSV); ptp: pairs, all four text files
    at once; mue: unit limits (CSV); aoc: add-on codes (text). Only psychotherapy codes and what
    stands beside them are kept, and no descriptors. GROUPCLAIM_POLICIES names the folder to the
    other commands and to the worker.
    """
    importer = IMPORTERS.get(kind)
    if importer is None:
        _fail(2, f"{kind}: one of {', '.join(IMPORTERS)}")
    done = []
    for file in files:
        try:
            imported = importer(file, into, effective.date() if effective else None)
        except InputRefused as error:
            _fail(2, str(error))
        done.append(
            {"file": file.name, "from": imported.effective_from.isoformat(), **imported.rows}
        )
    if as_json:
        typer.echo(json.dumps(done, indent=2))
        return
    for item in done:
        rows = ", ".join(
            f"{count} rows of {name}"
            for name, count in item.items()
            if name not in ("file", "from")
        )
        typer.echo(f"{item['file']}: {rows}, from {item['from']}")


def _edition(book: PolicyBook, spec: str) -> PayerPolicy:
    name, _, day = spec.partition("@")
    try:
        on = date.fromisoformat(day) if day else None
    except ValueError:
        _fail(2, f"{spec}: the day is written YYYY-MM-DD")
    return _editions(book, name, on)[-1]


def _folder_changes(one: PolicyBook, other: PolicyBook) -> Iterator[dict[str, str]]:
    for name in sorted({*one.names, *other.names}):
        if name not in one.names or name not in other.names:
            yield {
                "value": name,
                "a": "yes" if name in one.names else "no such policy",
                "b": "yes" if name in other.names else "no such policy",
            }
            continue
        days = {item.effective_from for book in (one, other) for item in book.editions(name)}
        for day in sorted(days):
            yield from _changes(_on(one, name, day), _on(other, name, day), f"{name}@{day} ")


def _on(book: PolicyBook, name: str, day: date) -> PayerPolicy | None:
    try:
        return book.policy(name, day)
    except NoPolicy:
        return None


def _changes(
    one: PayerPolicy | None, other: PayerPolicy | None, place: str
) -> Iterator[dict[str, str]]:
    before, after = _flat(one), _flat(other)
    for key in dict.fromkeys((*before, *after)):
        if before.get(key) != after.get(key):
            yield {
                "value": f"{place}{key}",
                "a": before.get(key, "not given"),
                "b": after.get(key, "not given"),
            }


def _flat(edition: PayerPolicy | None) -> dict[str, str]:
    if edition is None:
        return {}
    flat = {"in force": _span(edition)}
    for name, group in edition.groups():
        flat |= {f"{name}.{key}": value for key, value in group.stated()}
        flat |= {f"{name}.verified": str(group.verified).lower(), f"{name}.source": group.source}
    return flat


def _span(edition: PayerPolicy) -> str:
    return f"{edition.effective_from} to {edition.effective_to or 'further notice'}"


def _console() -> Console:
    terminal = Console()
    return terminal if terminal.is_terminal else Console(width=160)


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
