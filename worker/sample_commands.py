"""``groupclaim sample``: draw billed claims to be looked at again, and count the errors found."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from groupclaim.store import samples
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from worker.tables import table
from worker.terminal import AsJson, By, books, run, show

commands = typer.Typer(
    no_args_is_help=True, help="Audit samples of billed claims: draw, review, error rate."
)


@commands.command("draw")
def draw_sample(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"])],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"])],
    seed: Annotated[str, typer.Option(help="any text; the same one draws the same sample")],
    by: By,
    size: Annotated[int, typer.Option(min=2, max=500)] = 30,
    as_json: AsJson = False,
) -> None:
    """Draw claims by day of service: half for an error rate, half aimed at what looks risky."""

    async def work() -> dict[str, Any]:
        async with books() as database:
            now = await PracticeClock(database).now()
            async with database.transaction() as tx:
                drawn = await samples.draw_sample(
                    tx, seed, size, first.date(), last.date(), by, now
                )
            return await _page(database, drawn)

    _tell(run(work()), as_json=as_json)


@commands.command("show")
def show_sample(
    sample: Annotated[str | None, typer.Argument(help="its id; none: the last drawn")] = None,
    as_json: AsJson = False,
) -> None:
    """A sample, what was found so far, and the exact 95 % interval of the error rate."""

    async def work() -> dict[str, Any]:
        async with books() as database:
            async with database.reading() as reading:
                known = await samples.sample_ids(reading)
            return await _page(database, sample or next(iter(known), "none"))

    _tell(run(work()), as_json=as_json)


@commands.command("review")
def review_claim(
    sample: str,
    claim: str,
    error: Annotated[bool, typer.Option("--error/--ok", help="what looking at it showed")],
    by: By,
    as_json: AsJson = False,
) -> None:
    """Say what was found of one claim of a sample; it leaves the work list."""

    async def work() -> dict[str, Any]:
        async with books() as database:
            now = await PracticeClock(database).now()
            async with database.transaction() as tx:
                found: samples.Found = "error" if error else "ok"
                await samples.review(tx, sample, claim, found, by, now)
            return await _page(database, sample)

    _tell(run(work()), as_json=as_json)


async def _page(database: Database, sample: str) -> dict[str, Any]:
    async with database.reading() as reading:
        found = await samples.read_sample(reading, sample)
    rate = found.rate
    return {
        "sample": found.sample_id,
        "seed": found.seed,
        "services": f"{found.first} to {found.last}",
        "frame": found.frame,
        "frame_digest": found.frame_digest,
        "drawn_at": found.drawn_at,
        "reviewed": rate.reviewed,
        "errors": rate.errors,
        "error_rate_from": round(rate.low, 4),
        "error_rate_to": round(rate.high, 4),
        "claims": [{**asdict(one), "risks": ", ".join(one.risks)} for one in found.claims],
    }


def _tell(page: dict[str, Any], *, as_json: bool) -> None:
    def told(console: Console) -> None:
        for name, value in page.items():
            if name != "claims":
                console.print(f"{name.replace('_', ' '):>16}  {value}", highlight=False)
        console.print(table(page["claims"]))

    show(as_json, page, told)
