"""``groupclaim binder``: what is on record of a claim or a session, for whoever audits it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from activities.binders import Binders
from groupclaim.store.practice import UnknownRecord
from worker.terminal import AsJson, By, books, fail, run, show, write_private


def binder(
    target: Annotated[str, typer.Argument(metavar="SESSION|CLAIM")],
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="the PDF to write")],
    by: By,
    as_json: AsJson = False,
) -> None:
    """Write the audit-defence binder of a claim, or of every claim of a session, as PDF.

    Of a claim: session, attendance, digest and signature of the note, plan, authorization, consent,
    rules with what they looked at, the way of the 837, remittance, denials, and changes from the
    audit log; nobody else of the group is named. Of a session: the same of everyone who was on its
    roster, for the practice itself. SESSION: the practice's id, or ours. Noted in the audit log
    before it is written.
    """
    if out.exists():
        fail(2, f"--out {out}: there is a file already")

    async def work() -> dict[str, Any]:
        async with books() as database:
            binders = Binders(database)
            try:
                made = await binders.of_claim(target, by)
            except UnknownRecord:
                made = await binders.of_session(target, by)
            write_private(out, made.pdf)
            return {"file": str(out), "claims": made.claims, "bytes": len(made.pdf)}

    told = run(work())
    show(
        as_json,
        told,
        lambda console: console.print(f"{out}: {told['claims']} claims", highlight=False),
    )
