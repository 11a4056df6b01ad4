"""``groupclaim api-key``: which systems may call the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console

from groupclaim.console.access import Permission
from groupclaim.store import api_keys, audit
from worker.console import wall_time
from worker.tables import table
from worker.terminal import AsJson, By, books, run, show

commands = typer.Typer(no_args_is_help=True, help="Which systems may call the HTTP API.")
Several = Annotated[list[str] | None, typer.Option(help="limit to these; may be repeated")]


@commands.command("add")
def add(
    name: str,
    scope: Annotated[list[Permission], typer.Option(help="what it may do; may be repeated")],
    practice: Several = None,
    location: Several = None,
    days: Annotated[int, typer.Option(min=1, max=730, help="after how many days it ends")] = 365,
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Let a system in: one key for each. Prints the key, this once; it is kept nowhere.

    The API asks for the scopes view, intake, sign, work and release.
    """

    async def work() -> dict[str, Any]:
        now = wall_time()
        ends = now + timedelta(days=days)
        limits = api_keys.Limits(practices=tuple(practice or ()), locations=tuple(location or ()))
        scopes = [item.value for item in scope]
        async with books() as database, database.transaction() as tx:
            token = await api_keys.add_key(tx, name, scopes, limits, now, ends)
            await audit.record(tx, now, by, "add_api_key", name, {"scopes": scopes})
        return {"name": name, "scopes": scopes, "expires": ends.isoformat(), "key": token}

    made = run(work())

    def told(console: Console) -> None:
        console.print(f"{name} may call the API until {made['expires'][:10]}")
        console.print(f"key: {made['key']}", markup=False, highlight=False, soft_wrap=True)

    show(as_json, made, told)


@commands.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """Each key with its scopes, its limits, until when it is good, and when it was last used."""

    async def work() -> list[dict[str, Any]]:
        now = wall_time()
        async with books() as database, database.reading() as reading:
            found = await api_keys.keys(reading)
        return [
            {
                "name": key.name,
                "scopes": ", ".join(key.scopes),
                "practices": ", ".join(key.limits.practices) or "all",
                "locations": ", ".join(key.limits.locations) or "all",
                "state": "revoked"
                if key.revoked_at
                else "expired"
                if key.expires_at <= now
                else "good",
                "expires": f"{key.expires_at:%Y-%m-%d}",
                "last_used": f"{key.used_at:%Y-%m-%d %H:%M} UTC" if key.used_at else "never",
            }
            for key in found
        ]

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


@commands.command("revoke")
def revoke(name: str, by: By = "command line") -> None:
    """End a key, from this moment on."""

    async def work() -> None:
        now = wall_time()
        async with books() as database, database.transaction() as tx:
            await api_keys.revoke(tx, name, now)
            await audit.record(tx, now, by, "revoke_api_key", name)

    run(work())
    typer.echo(f"{name} calls the API no more")
