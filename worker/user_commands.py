"""``groupclaim user``: who may come in at the console."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from groupclaim.model.money import Cents
from groupclaim.store import approvals, audit, people
from groupclaim.store.clock import PracticeClock
from groupclaim.store.practice import UnknownRecord
from worker.console import wall_time
from worker.tables import table
from worker.terminal import AsJson, By, books, run, show

commands = typer.Typer(no_args_is_help=True, help="Who may come in at the console.")
Several = Annotated[list[str] | None, typer.Option(help="limit to these; may be repeated")]


@commands.command("add")
def add(
    name: str,
    role: Annotated[people.Role, typer.Option(help="what they may do")],
    by: By = "command line",
    subject: Annotated[
        str, typer.Option(help="who they are at the identity provider, which then signs them in")
    ] = "",
    practice: Several = None,
    location: Several = None,
    clinician: Annotated[str, typer.Option(help="the practice's id of this clinician")] = "",
    as_json: AsJson = False,
) -> None:
    """Let somebody in. Prints the password of their first sign-in, to be changed there."""

    async def work() -> dict[str, Any]:
        account = people.Account(
            name=name,
            subject=subject,
            practices=tuple(practice or ()),
            locations=tuple(location or ()),
            clinician=clinician,
        )
        now = wall_time()
        async with books() as database, database.transaction() as tx:
            password = await people.add_user(tx, account, role, now)
            await audit.record(tx, now, by, "add_user", name, {"role": role.value})
            return {"user": name, "role": role.value, "password": password}

    made = run(work())

    def told(console: Console) -> None:
        console.print(f"{name} may come in as {role.value}")
        if made["password"]:
            console.print(f"password for the first sign-in: {made['password']}", markup=False)

    show(as_json, made, told)


@commands.command("list")
def list_users(as_json: AsJson = False) -> None:
    """Who may come in, and as what, and until when under emergency access.

    `audit show ID` tells what was noted of one of them, the reason of an emergency access too.
    """

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            widened = await people.in_emergency(reading, wall_time())
            return [
                {
                    "user": user.account.name,
                    "role": user.role.value,
                    "by": "password" if user.local else "identity provider",
                    "practices": ", ".join(user.account.practices) or "all",
                    "locations": ", ".join(user.account.locations) or "all",
                    "disabled": user.disabled,
                    "emergency_until": widened.get(user.id),
                    "id": user.id,
                }
                for user in await people.users(reading)
            ]

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


@commands.command("limits")
def limits(as_json: AsJson = False) -> None:
    """Who may decide about money today, up to which amount, and above which two must agree."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database:
            now = await PracticeClock(database).now()
            async with database.reading() as reading:
                found = await approvals.in_force(reading, now)
        return [
            {
                "decision": limit.decision.value,
                **{
                    role.value: limit.roles.get(role)
                    for role in people.Role
                    if any(role in item.roles for item in found)
                },
                "second_above": limit.second_above,
            }
            for limit in found
        ]

    rows = run(work())
    told = [
        {key: str(Cents(value)) if isinstance(value, int) else value for key, value in row.items()}
        for row in rows
    ]
    show(as_json, rows, lambda console: console.print(table(told)))


@commands.command("disable")
def disable(name: str, by: By = "command line") -> None:
    """Let somebody in no more, from this moment on."""

    async def work() -> None:
        now = wall_time()
        async with books() as database, database.transaction() as tx:
            user = await _known(tx, name)
            await people.disable(tx, user.id, now)
            await audit.record(tx, now, by, "disable_user", name)

    run(work())
    typer.echo(f"{name} comes in no more")


@commands.command("reset")
def reset(name: str, by: By = "command line") -> None:
    """Give somebody a new password for their next sign-in, and end their sessions."""

    async def work() -> str:
        now = wall_time()
        async with books() as database, database.transaction() as tx:
            user = await _known(tx, name)
            if not user.local:
                raise UnknownRecord(f"a password of {name}: the identity provider signs them in")
            password = await people.reset_password(tx, user.id)
            await audit.record(tx, now, by, "reset_password", name)
            return password

    typer.echo(f"password for the next sign-in: {run(work())}")


async def _known(tx: Any, name: str) -> people.User:
    user = await people.find(tx, name)
    if user is None:
        raise UnknownRecord(f"user {name}")
    return user
