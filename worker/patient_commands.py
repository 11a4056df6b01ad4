"""Commands about one patient: the papers they are given about money."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from activities import card_notices
from activities.patient_papers import PatientPapers
from groupclaim.model.money import Cents
from groupclaim.store import cards
from worker.tables import table
from worker.terminal import AsJson, By, books, desk, run, show, write_private

commands = typer.Typer(no_args_is_help=True, help="What a patient is given: bills and estimates.")

Out = Annotated[Path, typer.Option("--out", dir_okay=False, help="the PDF to write")]


@commands.command()
def statement(patient: str, out: Out, by: By = "command line", as_json: AsJson = False) -> None:
    """Write a patient's statement of account as PDF. PATIENT: the practice's own id.

    Only sessions that every payer has decided are on it; it names nobody else and no topic.
    """

    async def work() -> dict[str, Any]:
        async with books() as database:
            made = await PatientPapers(database).statement(patient, by)
            write_private(out, made.pdf)
            return {"file": str(out), "owed_cents": int(made.cents)}

    told = run(work())
    show(
        as_json,
        told,
        lambda console: console.print(f"{out}: {Cents(told['owed_cents'])} owed", highlight=False),
    )


@commands.command("card-notice")
def card_notice(claim: str, out: Out, by: By, as_json: AsJson = False) -> None:
    """Write the notice that a patient's card will be charged, given to them today.

    The charge waits until the day on it: the practice's days after today.
    """

    async def work() -> dict[str, Any]:
        async with books() as database, desk() as front:
            made = await card_notices.announce(database, front, claim, by)
            write_private(out, made.pdf)
            return {"file": str(out), "cents": int(made.cents), "charge_on": made.charge_on}

    told = run(work())
    show(
        as_json,
        told,
        lambda console: console.print(
            f"{out}: {Cents(told['cents'])} on {told['charge_on']}", highlight=False
        ),
    )


@commands.command("charge-card")
def charge_card(
    claim: str,
    by: By,
    told_how: Annotated[
        str | None,
        typer.Option("--told", help="how the patient was told of this charge, if not by notice"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Charge the card on file with what the patient owes for a claim, as they have agreed.

    It is done by itself once they have been told and its day has come; this tries again after a
    card was declined, or at once where the patient has been told in another way (--told).
    """

    async def work() -> dict[str, Any]:
        async with desk() as front:
            return {"claim": claim, "cents": int(await front.charge_card(claim, by, told=told_how))}

    told = run(work())
    show(
        as_json,
        told,
        lambda console: console.print(f"{Cents(told['cents'])} asked for", highlight=False),
    )


@commands.command("card-charges")
def card_charges(
    claim: Annotated[str | None, typer.Option(help="only this claim")] = None,
    as_json: AsJson = False,
) -> None:
    """List the charges of patients' cards and what became of each."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            return [
                {
                    "claim_number": item.claim_number,
                    "number": item.number,
                    "charged_cents": int(item.cents),
                    "state": item.state,
                    "begun_at": item.begun_at.isoformat(),
                    "reference": item.reference,
                    "reason": item.reason,
                }
                for item in await cards.charges(reading, claim)
            ]

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


@commands.command()
def superbill(
    patient: str,
    out: Out,
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"])],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"])],
    clinician: Annotated[str | None, typer.Option(help="only this clinician's sessions")] = None,
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Write a superbill as PDF: what the patient sends to their own insurer."""

    async def work() -> dict[str, Any]:
        async with books() as database:
            made = await PatientPapers(database).superbill(
                patient, first.date(), last.date(), by, clinician
            )
            write_private(out, made.pdf)
            return {"file": str(out), "paid_cents": int(made.cents)}

    told = run(work())
    show(
        as_json,
        told,
        lambda console: console.print(f"{out}: {Cents(told['paid_cents'])} paid", highlight=False),
    )


@commands.command()
def estimate(
    patient: str,
    out: Out,
    clinician: Annotated[str, typer.Option(help="who gives it: the practice's own id")],
    location: Annotated[str, typer.Option(help="where: the practice's own id")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="first session")],
    asked: Annotated[
        datetime,
        typer.Option(
            "--asked", formats=["%Y-%m-%d"], help="day it was scheduled, or the estimate asked for"
        ),
    ],
    sessions: Annotated[int, typer.Option(help="how many, one a week")] = 1,
    reason: Annotated[
        Literal["scheduled", "requested"], typer.Option(help="what set the deadline")
    ] = "scheduled",
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Write a good-faith estimate as PDF, and say by when the patient must have it.

    For who pays themselves. Exit code 1 when that day has passed: the estimate is written all the
    same.
    """

    async def work() -> dict[str, Any]:
        async with books() as database:
            made = await PatientPapers(database).estimate(
                patient, clinician, location, first.date(), sessions, asked.date(), reason, by
            )
            write_private(out, made.pdf)
            due: date | None = made.due.by if made.due else None
            return {
                "file": str(out),
                "number": made.number,
                "expected_cents": int(made.cents),
                "due_by": due.isoformat() if due else None,
                "working": made.due.working if made.due else "no rule sets a day",
                "late": made.late,
            }

    told = run(work())
    when = f"due by {told['due_by']}, {told['working']}" if told["due_by"] else told["working"]
    late = "; that day has passed" if told["late"] else ""
    show(
        as_json,
        told,
        lambda console: console.print(
            f"{out}: {Cents(told['expected_cents'])} expected; {when}{late}", highlight=False
        ),
    )
    if told["late"]:
        raise typer.Exit(1)


@commands.command("estimates")
def estimates(
    patient: Annotated[str | None, typer.Option(help="the practice's own id; none: all")] = None,
    as_json: AsJson = False,
) -> None:
    """List the good-faith estimates that were given, with what each came to."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database:
            return [
                {
                    "number": item.id,
                    "patient_id": item.patient_id,
                    "expected_cents": int(item.cents),
                    "sessions": item.sessions,
                    "first_on": item.first,
                    "last_on": item.last,
                    "due_by": item.due_by,
                    "issued_at": item.issued_at,
                    "issued_by": item.issued_by,
                    "work_item": item.work_item_id,
                }
                for item in await PatientPapers(database).given_estimates(patient)
            ]

    rows = run(work())
    shown = [{key: row[key] for key in row if key != "work_item"} for row in rows]
    show(as_json, rows, lambda console: console.print(table(shown)))


@commands.command("estimate-copy")
def estimate_copy(
    number: Annotated[int, typer.Argument(help="as `patient estimates` shows it")],
    out: Out,
    by: By = "command line",
) -> None:
    """Write an estimate once more as PDF, exactly as it was given."""

    async def work() -> None:
        async with books() as database:
            again = await PatientPapers(database).estimate_again(number, by)
            write_private(out, again.pdf)

    run(work())
    typer.echo(str(out))
