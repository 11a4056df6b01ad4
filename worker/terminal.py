"""What every command does alike: open the books, print for people or machines, fail honestly.

Exit codes: 1 the answer is no; 2 wrong usage or input; 3 a server, database or key is missing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from activities.cash_desk import CashDesk
from activities.front_desk import FrontDesk, Refused
from activities.second_look import SecondLook
from groupclaim.model.base import InputRefused, describe, parse
from groupclaim.policy.payer import PolicyBook
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring, KeyringRefused, Undecipherable
from groupclaim.store.practice import UnknownRecord
from groupclaim.store.work import ChangedMeanwhile
from worker.embedded import StartFailed
from worker.process import SettingsRefused, connect, open_books
from worker.settings import Settings
from worker.tables import Terminal

Result = TypeVar("Result")

_MOST_BYTES = 50 * 1024 * 1024
"""A practice with a hundred thousand patients is below it."""

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON object, for machines")]
By = Annotated[str, typer.Option("--by", help="who does this, for the audit log")]


@asynccontextmanager
async def books() -> AsyncIterator[Database]:
    """The database of the settings, brought to this release's schema."""
    settings = Settings()
    if not settings.keys_file.exists():
        raise SettingsRefused(
            f"{settings.keys_file}: no keys there, so nothing is kept yet. `groupclaim up` or "
            "`groupclaim load` begin it; GROUPCLAIM_STATE names another folder"
        )
    migrate(settings.database_url)
    database = Database.connect(settings.database_url, Keyring.load(settings.keys_file))
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def desk() -> AsyncIterator[FrontDesk]:
    """The front desk on the books of the settings, begun if need be, with a Temporal client."""
    settings = Settings()
    database = await open_books(settings)
    try:
        client = await connect(settings, database.keyring)
        yield FrontDesk(database, PracticeClock(database), client)
    finally:
        await database.close()


@asynccontextmanager
async def cash_desk() -> AsyncIterator[CashDesk]:
    """The desk for payers' money, with a client of the Temporal server."""
    settings = Settings()
    async with books() as database:
        client = await connect(settings, database.keyring)
        yield CashDesk(database, PracticeClock(database), client)


@asynccontextmanager
async def second_look() -> AsyncIterator[SecondLook]:
    """Who looks at claims again, under the policies of the settings."""
    settings = Settings()
    policies = PolicyBook.load(settings.policies)
    async with books() as database:
        client = await connect(settings, database.keyring)
        yield SecondLook(database, PracticeClock(database), client, policies)


def fail(code: int, text: str) -> NoReturn:
    """Say why on standard error and leave with ``code``."""
    Console(stderr=True).print(text, style="red", markup=False, highlight=False)
    raise typer.Exit(code)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``; every expected failure as one clear text and its exit code."""
    try:
        return asyncio.run(work)
    except InputRefused as error:
        fail(2, str(error))
    except UnknownRecord as error:
        fail(2, f"not known: {error}")
    except (Refused, ChangedMeanwhile) as error:
        fail(1, str(error))
    except WorkflowUpdateFailedError as error:
        fail(1, f"refused: {getattr(error.cause, 'message', error.cause)}")
    except ValidationError as error:
        fail(2, "settings:\n" + "\n".join(f"  {line}" for line in describe(error)))
    except (SettingsRefused, KeyringRefused, Undecipherable, StartFailed) as error:
        fail(3, str(error))
    except SQLAlchemyError as error:
        fail(3, f"the database does not answer: {type(error).__name__}")
    except (RPCError, ConnectionError) as error:
        fail(3, f"Temporal does not answer: {type(error).__name__}")
    except RuntimeError as error:
        if "connect" not in str(error).lower():
            raise
        fail(3, "no Temporal server there: start one with `groupclaim up`, or see --help")


def show(as_json: bool, value: Any, told: Callable[[Console], None]) -> None:
    """``value`` as one JSON object, or ``told`` on a console."""
    if as_json:
        typer.echo(json.dumps(value, default=str, indent=2))
    else:
        terminal = Terminal()
        told(terminal if terminal.is_terminal else Terminal(width=140))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that names patients: a new one can be read by its owner alone."""
    path.touch(mode=0o600)
    path.write_bytes(content)


def read(path: Path, record: type[Any]) -> Any:
    """A JSON file as a ``record``. Raises :class:`InputRefused`."""
    if path.stat().st_size > _MOST_BYTES:
        raise InputRefused(path.name, [f"file: larger than {_MOST_BYTES // 1024**2} MB"])
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise InputRefused(path.name, [f"not JSON ({error})"]) from None
    except RecursionError:
        raise InputRefused(path.name, ["not JSON that is taken (nested too deep)"]) from None
    return parse(record, content, path.name)
