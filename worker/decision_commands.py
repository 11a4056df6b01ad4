"""Commands that decide and send nothing: a session file before it is taken in, past sessions under
other policies, how long authorizations last, and what a payer said by telephone."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.text import Text

from activities import deciding
from activities.front_desk import FrontDesk
from groupclaim.lifecycle.holds import HOLDS
from groupclaim.model.base import InputRefused
from groupclaim.model.money import Cents
from groupclaim.model.patient import Coverage, CoverageCall
from groupclaim.rules.authorization import forecast
from groupclaim.store import audit, authorizations, practice
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from worker.process import connect
from worker.settings import Settings
from worker.tables import table
from worker.terminal import AsJson, By, books, desk, fail, read, run, show

Result = TypeVar("Result")

InputFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
Day = Annotated[datetime, typer.Option(formats=["%Y-%m-%d"])]

_KEPT = (
    "Facts, the payers' answers, waivers, and the findings on eligibility and documentation are as "
    "stored: notes are not read again, and a line that only a note supports (90785) is left out."
)


def add_to(application: typer.Typer, authorization: typer.Typer) -> None:
    """Put the commands where the command line has them."""
    application.command("check")(check)
    application.command("holds")(holds)
    application.command("replay")(replay)
    coverage = typer.Typer(
        no_args_is_help=True,
        help="Patients' coverage: found late, in another order, or told of by telephone.",
    )
    coverage.command("call")(coverage_call)
    coverage.command("record")(coverage_record)
    coverage.command("order")(coverage_order)
    application.add_typer(coverage, name="coverage")
    authorization.command("forecast")(authorization_forecast)


def check(file: InputFile, by: By = "command line", as_json: AsJson = False) -> None:
    """Decide a session file: what would be billed, held or not billed, and why. Sends nothing.

    FILE is one JSON object: "sessions" and "attendance" (lists, as for `session start` and
    `attendance record`), "notes" {session: {patient: note}} as in samples/notes.json, "coverage"
    (the word assume_active, or {patient: {"active", "authorization_required": Y|N|U, "copay_cents",
    "visits_remaining", "referral_required", "qualified_medicare_beneficiary"}} or {patient:
    {"x12_271": NAME of a 271 file beside FILE}}), "practice" (a practice file's content; without
    it, what is on file here is used) and "at" (when it would be sent; default now).

    Nothing is written but an entry in the audit log, where there is one. No Temporal is needed.
    Exit code 1 when a claim would be held.
    """

    async def work() -> dict[str, Any]:
        wanted = read(file, deciding.SessionCheck)
        wanted.check(file.name)
        answers = {name: _beside(file, name) for name in wanted.files}
        async with _books_for(wanted) as (database, kept):
            now = await PracticeClock(kept).now() if kept else datetime.now(UTC)
            decided = await deciding.check_sessions(
                database, deciding.Tables.load(Settings().policies), wanted, answers, now
            )
            if kept is not None:
                await _note(kept, by, "check_sessions", now, {"sessions": len(decided)})
        return _checked(decided)

    answer = run(work())
    show(as_json, answer, lambda console: _show_checked(answer, console))
    if answer["totals"]["hold"]:
        raise typer.Exit(1)


def holds(
    code: Annotated[str, typer.Argument(help="one code; all without it")] = "",
    as_json: AsJson = False,
) -> None:
    """What each hold waits for, how it is repaired, what clears it, and who may release it."""
    wanted = code.upper()
    if wanted and wanted not in HOLDS:
        fail(2, f"no such hold: one of {', '.join(HOLDS)}")
    rows = [
        {
            "code": name,
            "waits_for": kind.waits_for,
            "repair": kind.repair,
            "cleared_by": kind.cleared_by.value if kind.cleared_by else None,
            "released_by": kind.released_by,
            "two_people": kind.two_people,
        }
        for name, kind in HOLDS.items()
        if wanted in ("", name)
    ]

    def told(console: Console) -> None:
        for row in rows:
            console.print(Text(f"{row['code']}", style="bold") + Text(f"  {row['waits_for']}"))
            console.print(f"  {row['repair']}", highlight=False)
            by = f"{row['released_by']}{' (a waiver of two people)' if row['two_people'] else ''}"
            console.print(f"  released by: {by}", highlight=False)

    show(as_json, rows, told)


def replay(
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"])],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"])],
    policies: Annotated[
        Path,
        typer.Option(exists=True, file_okay=False, help="folder with payers/ and tables/"),
    ],
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Decide past sessions again under other policies: which claims and dollars would change.

    Compares, from what is stored, the decision under the policies in use with that under the
    folder's (its payers/ and tables/ stand in for those of the same name). Notes are not read
    again: findings on documentation are kept as stored. Changes nothing.
    """
    if last < first:
        fail(2, "--to: before --from")

    async def work() -> dict[str, Any]:
        ours = deciding.Tables.load(Settings().policies)
        others = deciding.Tables.load(policies)
        async with books() as database:
            async with database.reading() as reading:
                found = await deciding.replay(reading, ours, others, first.date(), last.date())
                payers = await _payer_names(reading, {item.payer_key for item in found})
            now = await PracticeClock(database).now()
            await _note(database, by, "replay", now, {"claims": len(found)})
        return _replayed(found, payers)

    answer = run(work())
    show(as_json, answer, lambda console: _show_replayed(answer, console))


def authorization_forecast(
    within: Annotated[
        int, typer.Option(min=0, help="only those that run out in so many days; 0: all")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """When each authorization runs out if its patient's sessions go on every week.

    Counts units reserved, committed and consumed, and the sessions already scheduled; then one
    session a week after the last of them.
    """

    async def work() -> list[dict[str, Any]]:
        async with books() as database:
            now = await PracticeClock(database).now()
            async with database.reading() as reading:
                zone = ZoneInfo((await practice.read_practice(reading)).time_zone)
                today = now.astimezone(zone).date()
                standing = await authorizations.standings(reading, today)
        rows = []
        for item in standing:
            ahead = forecast(
                item.permit,
                max(item.units.left, 0),
                item.scheduled,
                # Sessions of today count; without any ahead the series goes on from the last one.
                today - timedelta(days=1) if item.scheduled else max(item.last_day or today, today),
            )
            if within and (ahead.runs_out_on - today).days > within:
                continue
            rows.append(
                {
                    "patient_id": item.patient_id,
                    "authorization_id": item.authorization_id,
                    "granted": item.units.granted,
                    "used_before": item.units.before,
                    "reserved": item.units.reserved,
                    "committed": item.units.committed,
                    "consumed": item.units.consumed,
                    "left": item.units.left,
                    "ends": item.permit.effective_to,
                    "last_covered": ahead.last_covered,
                    "runs_out_on": ahead.runs_out_on,
                    "because": ahead.because,
                }
            )
        return sorted(rows, key=lambda row: (row["runs_out_on"], row["authorization_id"]))

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


def coverage_call(file: InputFile, by: By = "command line", as_json: AsJson = False) -> None:
    """Record what a payer said of a patient's coverage by telephone, as evidence.

    {"patient", "payer", "reference", "person", "called_at", "from", "to", "active",
    "authorization_required": Y|N|U, "copay_cents", "coinsurance_percent", "visits_remaining",
    "referral_required"}; the last five may be left out. It answers what a 271 leaves open for days
    of service from "from" to "to"; the patient's held claims look again.
    """

    async def work() -> dict[str, int]:
        given = read(file, CoverageCall)
        settings = Settings()
        async with books() as database:
            client = await connect(settings, database.keyring)
            desk = FrontDesk(database, PracticeClock(database), client)
            return {"claims_told": await desk.record_coverage_call(given, by=by)}

    counts = run(work())
    show(as_json, counts, lambda console: console.print(f"recorded, {counts['claims_told']} told"))


def coverage_record(
    file: InputFile,
    insert: Annotated[
        bool, typer.Option("--insert", help="who is billed at its place or later moves one down")
    ] = False,
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Put a coverage on file that was found, or correct one, as in a practice file's "coverages".

    Claims that it concerns look again, those closed within the year too: a payer after the first is
    billed what is left; where it should have been the first, a person is asked before it is billed
    and the one that has paid is corrected.
    """

    async def work() -> dict[str, int]:
        given = read(file, Coverage)
        async with desk() as front:
            return {"claims_told": await front.record_coverage(given, by=by, insert=insert)}

    counts = run(work())
    show(as_json, counts, lambda console: console.print(f"recorded, {counts['claims_told']} told"))


def coverage_order(
    patient: Annotated[str, typer.Argument(help="the practice's own id")],
    payers: Annotated[list[str], typer.Argument(help="ids of payers, who is billed first first")],
    since: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="first day of service")
    ],
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Have a patient's payers billed in another order from a day of service on.

    What is on file under the old order ends the day before. Claims look again as for `record`.
    """

    async def work() -> dict[str, int]:
        async with desk() as front:
            told = await front.order_coverages(patient, payers, since.date(), by=by)
            return {"claims_told": told}

    counts = run(work())
    show(as_json, counts, lambda console: console.print(f"ordered, {counts['claims_told']} told"))


# --- what is read and where


def _beside(file: Path, name: str) -> bytes:
    place = file.parent / name
    if Path(name).name != name or not place.is_file():
        raise InputRefused(file.name, [f"coverage: no 271 file {name} beside it"])
    return place.read_bytes()


@asynccontextmanager
async def _books_for(
    wanted: deciding.SessionCheck,
) -> AsyncIterator[tuple[Database, Database | None]]:
    """The database to decide in, and the practice's own where there is one: a file that brings its
    practice is decided in an empty database that is thrown away."""
    if wanted.practice is None:
        async with books() as own:
            yield own, own
        return
    with tempfile.TemporaryDirectory(prefix="groupclaim-check-") as folder:
        url = f"sqlite:///{folder}/check.db"
        migrate(url)
        empty = Database.connect(url, Keyring.generate())
        try:
            if Settings().keys_file.exists():
                async with books() as own:
                    yield empty, own
            else:
                yield empty, None
        finally:
            await empty.close()


async def _note(
    database: Database, by: str, action: str, at: datetime, detail: dict[str, int]
) -> None:
    async with database.transaction() as tx:
        await audit.record(tx, at, by, action, "sessions", detail)


async def _payer_names(reading: Any, keys: set[str]) -> dict[str, str]:
    known = sorted(keys - {practice.NO_PAYER})
    return {key: (await practice.read_payer(reading, key)).name for key in known}


# --- what is told


def _checked(decided: tuple[deciding.CheckedSession, ...]) -> dict[str, Any]:
    everyone = [person.decision for session in decided for person in session.participants]
    decisions = [item.decision for item in everyone]
    return {
        "sessions": [
            {
                "session": session.session,
                "service_date": session.service_date.isoformat(),
                "group_size": session.group_size,
                "participants": [
                    {"patient": person.patient, **person.decision.model_dump(mode="json")}
                    for person in session.participants
                ],
            }
            for session in decided
        ],
        "totals": {
            **{kind: decisions.count(kind) for kind in ("bill", "hold", "not_billable")},
            "billed_cents": sum(item.billed_cents for item in everyone),
            "expected_allowed_cents": sum(item.allowed_cents for item in everyone),
        },
    }


def _show_checked(answer: dict[str, Any], console: Console) -> None:
    for session in answer["sessions"]:
        title = f"{session['session']}  {session['service_date']}  {session['group_size']} treated"
        rows = [
            {
                "patient": person["patient"],
                "decision": person["decision"],
                "reasons": ", ".join(person["reasons"]),
                "lines": "; ".join(_line_text(line) for line in person["lines"]),
                "found": " ".join(
                    item["sentence"]
                    for item in person["findings"]
                    if item["severity"] in ("block", "warn")
                ),
            }
            for person in session["participants"]
        ]
        console.print(table(rows, title))
    totals = answer["totals"]
    console.print(
        f"{totals['bill']} to bill ({Cents(totals['billed_cents'])}, expected "
        f"{Cents(totals['expected_allowed_cents'])}), {totals['hold']} held, "
        f"{totals['not_billable']} not billable. Nothing was sent."
    )


def _line_text(line: dict[str, Any]) -> str:
    code = "-".join((line["code"], *line["modifiers"]))
    allowed = line["expected_allowed_cents"]
    expected = "no rate" if allowed is None else f"expected {Cents(allowed)}"
    return f"{code} x{line['units']} at {line['pos']}: {Cents(line['charge_cents'])}, {expected}"


def _replayed(found: tuple[deciding.Replayed, ...], payers: dict[str, str]) -> dict[str, Any]:
    changed = [item for item in found if item.changed]
    return {
        "claims": len(found),
        "changed": [
            {
                "claim_number": item.claim_number,
                "service_date": item.service_date.isoformat(),
                "payer": payers.get(item.payer_key, "no coverage"),
                "before": _short(item.before),
                "after": _short(item.after),
                "billed_change_cents": item.billed_change_cents,
                "allowed_change_cents": item.allowed_change_cents,
            }
            for item in changed
        ],
        "billed_change_cents": sum(item.billed_change_cents for item in changed),
        "allowed_change_cents": sum(item.allowed_change_cents for item in changed),
        "kept_as_stored": _KEPT,
    }


def _short(decision: deciding.Decision) -> str:
    lines = ", ".join("-".join((line.code, *line.modifiers)) for line in decision.lines)
    reasons = ", ".join(decision.reasons)
    return f"{decision.decision} {reasons or lines}".strip()


def _show_replayed(answer: dict[str, Any], console: Console) -> None:
    console.print(table(answer["changed"], "Claims that would change"))
    console.print(
        f"{len(answer['changed'])} of {answer['claims']} claims would change: billed "
        f"{Cents(answer['billed_change_cents'])}, expected allowed "
        f"{Cents(answer['allowed_change_cents'])}."
    )
    console.print(answer["kept_as_stored"])
