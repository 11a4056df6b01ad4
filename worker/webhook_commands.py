"""``groupclaim webhook``: which systems are told of what happens."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from groupclaim.store import audit, webhooks
from groupclaim.store.clock import practice_now
from worker.tables import table
from worker.terminal import AsJson, By, books, run, show

commands = typer.Typer(no_args_is_help=True, help="Which systems are told of what happens.")


@commands.command("add")
def add(
    url: str,
    event: Annotated[list[webhooks.Event], typer.Option(help="of what; may be repeated")],
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Have URL told of events. Prints the secret that signs what is sent, this once.

    https only, http on 127.0.0.1; the README says how the receiver checks the signature.
    """

    async def work() -> dict[str, str]:
        async with books() as database, database.transaction() as tx:
            now = await practice_now(tx)
            key, secret = await webhooks.subscribe(tx, url, event, now)
            detail = {"events": [item.value for item in event]}
            await audit.record(tx, now, by, "add_webhook", f"webhook/{key}", detail)
        return {"webhook": key, "secret": secret}

    made = run(work())

    def told(console: Console) -> None:
        console.print(f"{made['webhook']} is told of {', '.join(event)}")
        console.print(f"secret: {made['secret']}", markup=False, highlight=False, soft_wrap=True)

    show(as_json, made, told)


@commands.command("list")
def list_webhooks(as_json: AsJson = False) -> None:
    """Who is told of what."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            return [
                {"webhook": item.id, "url": item.url, "events": ", ".join(item.events)}
                for item in await webhooks.subscriptions(reading)
            ]

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


@commands.command("resend")
def resend(webhook: str, by: By = "command line") -> None:
    """Tell a system again all that was given up after three days, for three days more."""

    async def work() -> int:
        async with books() as database, database.transaction() as tx:
            now = await practice_now(tx)
            again = await webhooks.resend(tx, webhook, now)
            detail = {"events": again}
            await audit.record(tx, now, by, "resend_webhook", f"webhook/{webhook}", detail)
            return again

    typer.echo(f"{run(work())} events are told to {webhook} again")


@commands.command("remove")
def remove(webhook: str, by: By = "command line") -> None:
    """Tell a system nothing more, also nothing that still waits."""

    async def work() -> None:
        async with books() as database, database.transaction() as tx:
            now = await practice_now(tx)
            await webhooks.unsubscribe(tx, webhook, now)
            await audit.record(tx, now, by, "remove_webhook", f"webhook/{webhook}")

    run(work())
    typer.echo(f"{webhook} is told nothing more")
