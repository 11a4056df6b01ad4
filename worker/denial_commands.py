"""``groupclaim denial``: denials as they are worked, their cases, and what people decide."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from temporalio.client import WorkflowUpdateFailedError

from activities.front_desk import Refused
from groupclaim.store import audit, claims, denials
from groupclaim.store.clock import PracticeClock
from worker.tables import table
from worker.terminal import AsJson, By, books, desk, fail, run, show, write_private

commands = typer.Typer(
    no_args_is_help=True, help="Denials: what is next, by when; decide, repair a case, see letters."
)

Reason = Annotated[str, typer.Option("--reason", help="why, for the audit log")]
Second = Annotated[
    str | None, typer.Option("--second", help="who else agrees, where two people are asked for")
]


@commands.command("list")
def list_denials(
    every: Annotated[bool, typer.Option("--all", help="also those that have ended")] = False,
    as_json: AsJson = False,
) -> None:
    """Denials that are being worked, the one with the next reminder first."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            return [_row(item) for item in await denials.list_denials(reading, open_only=not every)]

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


@commands.command("cases")
def list_cases(as_json: AsJson = False) -> None:
    """Denials with one cause, as one case: dollars at stake, and the hold that would have stopped
    them. The one with the most at stake comes first."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            return [asdict(item) for item in await denials.list_cases(reading)]

    rows = run(work())
    shown = [
        {key: row[key] for key in ("case_id", "scope", "cause", "category", "open", "open_cents",
                                   "next_limit", "prevented_by")}
        for row in rows
    ]  # fmt: skip
    show(as_json, rows, lambda console: console.print(table(shown)))


@commands.command("show")
def show_denial(
    claim_number: str,
    number: Annotated[int | None, typer.Argument(help="which denial; none: the last")] = None,
    as_json: AsJson = False,
) -> None:
    """One denial: the rule and playbook that decided, the deadline with its working, letters."""

    async def work() -> dict[str, Any]:
        async with books() as database, database.reading() as reading:
            wanted = number or await denials.last_number(reading, claim_number)
            row = await denials.read_denial(reading, claim_number, wanted)
            found = await claims.read_findings(reading, claim_number, "decide_denial")
            return {
                **asdict(row),
                "findings": [item.model_dump(mode="json") for item in found],
                "letters": [
                    asdict(item) for item in await denials.letters_of(reading, claim_number, wanted)
                ],
            }

    told = run(work())

    def on(console: Console) -> None:
        rows = [
            {"what": key.replace("_", " "), "": value}
            for key, value in told.items()
            if key not in ("findings", "letters") and value not in (None, "", ())
        ]
        console.print(table(rows, f"{claim_number}/{told['number']}"))
        for item in told["findings"]:
            console.print(f"{item['sentence']} {item['fix']}", highlight=False)
        if told["letters"]:
            keys = ("position", "kind", "level", "state", "channel", "approved_by", "receipt")
            console.print(
                table([{key: item[key] for key in keys} for item in told["letters"]], "Letters")
            )

    show(as_json, told, on)


@commands.command("decide")
def decide(
    claim_number: str,
    number: int,
    choice: Annotated[str, typer.Argument(help="one of the choices that it offers")],
    by: By,
    reason: Reason,
    second: Second = None,
    reference: Annotated[
        str | None, typer.Option(help="of the receipt, or of the payer's answer")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Decide what is next: approve a letter, record a receipt or an answer, have the claim sent
    again, write off, or say that a step is done. A choice that is not offered is refused, with
    those that are."""

    async def work() -> dict[str, Any]:
        async with desk() as front_desk:
            return await front_desk.decide_denial(
                claim_number, number, choice, by=by, reason=reason, second=second,
                reference=reference,
            )  # fmt: skip

    plan = run(work())
    show(as_json, plan, lambda console: console.print(_next(plan)))


@commands.command("repair")
def repair(
    case_id: str,
    choice: Annotated[str, typer.Argument(help="what is decided for each, as send_again")],
    by: By,
    reason: Reason,
    second: Second = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what it would be, do nothing")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The same decision for every open denial of a case: one repair, each claim sent again.

    One that does not offer the choice at the moment is told and left as it is; exit code 1 then.
    """

    async def members() -> tuple[denials.Denial, ...]:
        async with books() as database, database.reading() as reading:
            return await denials.denials_of_case(reading, case_id)

    async def work() -> list[dict[str, Any]]:
        done = []
        found = await members()
        if dry_run:
            return [{**_row(item), "outcome": "would be asked"} for item in found]
        async with desk() as front_desk:
            for item in found:
                try:
                    plan = await front_desk.decide_denial(
                        item.claim_number, item.number, choice, by=by, reason=reason, second=second
                    )
                    told = f"done; next: {plan['next']}"
                except (WorkflowUpdateFailedError, Refused) as error:
                    cause = getattr(error, "cause", None) or error
                    told = f"refused: {getattr(cause, 'message', cause)}"
                done.append({**_row(item), "outcome": told})
        return done

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))
    if any(row["outcome"].startswith("refused") for row in rows):
        raise typer.Exit(1)


@commands.command("letter")
def letter(
    claim_number: str,
    number: int,
    position: int,
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="where the PDF is written")],
    by: By,
) -> None:
    """Write one packet as PDF, to read it before it is approved, or to take it by hand. Noted in
    the audit log first."""
    if out.exists():
        fail(2, f"--out {out}: there is a file already")

    async def work() -> bytes:
        async with books() as database:
            now = await PracticeClock(database).now()
            async with database.transaction() as tx:
                content = await denials.read_packet(tx, claim_number, number, position)
                detail = {"denial": number, "position": position}
                await audit.record(tx, now, by, "read_letter", claim_number, detail)
            return content

    content = run(work())
    write_private(out, content)
    typer.echo(f"{out}: {len(content)} bytes")


def _row(item: denials.Denial) -> dict[str, Any]:
    return {
        "claim_number": item.claim_number,
        "denial": item.number,
        "cause": item.cause,
        "action": item.action,
        "who": item.who,
        "amount_cents": item.cents,
        "due_at": item.due_at,
        "limit_at": item.limit_at,
        "case_id": item.case_id,
        "outcome": item.outcome,
    }


def _next(plan: dict[str, Any]) -> str:
    choices = ", ".join(plan["choices"]) or "nothing"
    return f"next: {plan['action'] or plan['next']} ({plan['who']}); may be chosen: {choices}"
