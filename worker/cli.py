"""The command ``groupclaim``: each command explains itself, has JSON for machines, fails honestly.

Exit codes: 0 done; 1 the answer is no (a check failed, a request was refused); 2 wrong usage or
input; 3 something needed is not there (server, database, key).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
from rich.console import Console

from groupclaim.model.base import InputRefused
from groupclaim.model.fhir import practice_of_bundle
from groupclaim.model.intake import PracticeFile, SessionFile
from groupclaim.model.money import Cents
from groupclaim.model.patient import Authorization
from groupclaim.model.roster_file import MOST_BYTES
from groupclaim.model.session import AttendanceList
from groupclaim.store import audit, ledger
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring
from groupclaim.store.practice import load_practice
from worker import (
    cash_commands,
    decision_commands,
    dispute_commands,
    embedded,
    live,
    overpayment_commands,
    report_commands,
    roster_commands,
    summary,
    telemetry,
    terminal,
)
from worker import demo as demonstration
from worker.api_commands import commands as api_keys
from worker.binder_command import binder
from worker.console import serve_codec, serve_console
from worker.denial_commands import commands as denials
from worker.exporter import run_exporter
from worker.patient_commands import commands as patient_papers
from worker.policy_commands import policy
from worker.process import SettingsRefused, run_worker
from worker.recovery_commands import reconcile
from worker.sample_commands import commands as sample
from worker.settings import Settings
from worker.tables import table
from worker.terminal import AsJson, By, books, desk, fail, read, run, second_look, show
from worker.user_commands import commands as users
from worker.webhook_commands import commands as webhook_commands
from worker.work_commands import commands as work_items
from worker.x12_commands import commands as x12_files

Result = TypeVar("Result")

application = typer.Typer(
    name="groupclaim",
    help="Carries group-psychotherapy sessions (CPT 90853) from eligibility to audited payment.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
session = typer.Typer(no_args_is_help=True, help="Sessions: start them, see where they are.")
claim = typer.Typer(no_args_is_help=True, help="Claims: list, show, why they wait, release holds.")
note = typer.Typer(no_args_is_help=True, help="Progress notes.")
attendance = typer.Typer(no_args_is_help=True, help="Who came.")
authorization = typer.Typer(no_args_is_help=True, help="Prior authorizations.")
payment = typer.Typer(no_args_is_help=True, help="What patients pay, and get back.")
money = typer.Typer(no_args_is_help=True, help="The books.")
auditing = typer.Typer(no_args_is_help=True, help="Who saw or did what.")
encryption = typer.Typer(no_args_is_help=True, help="The keys of everything kept.")
for name, group in (
    ("session", session), ("claim", claim), ("note", note), ("attendance", attendance),
    ("authorization", authorization), ("payment", payment), ("ledger", money), ("audit", auditing),
    ("keys", encryption), ("x12", x12_files),
):  # fmt: skip
    application.add_typer(group, name=name)
application.add_typer(policy, name="policy")
application.add_typer(users, name="user")
application.add_typer(api_keys, name="api-key")
application.add_typer(webhook_commands, name="webhook")
application.add_typer(work_items, name="work")
application.add_typer(sample, name="sample")
application.add_typer(denials, name="denial")
application.add_typer(patient_papers, name="patient")
decision_commands.add_to(application, authorization)
cash_commands.add_to(application, money)
roster_commands.add_to(session)
application.command("report")(report_commands.report)
application.command("binder")(binder)
application.command("reconcile")(reconcile)
application.add_typer(dispute_commands.commands, name="dispute")
application.add_typer(overpayment_commands.commands, name="overpayment")

_SAMPLES = {"whole": Path("samples"), "small": Path("samples/small")}

InputFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


def main() -> None:
    """Run the command line. Leaves by ``os._exit``: the engine's threads may not outlive Python."""
    code = 0
    try:
        application(standalone_mode=True)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


# --- running it


@application.command()
def worker(
    temporal: Annotated[str, typer.Option(help="HOST:PORT of the Temporal server")] = "",
    database: Annotated[str, typer.Option(help="sqlite:///PATH or postgresql://...")] = "",
) -> None:
    """Work on claims until Ctrl-C: the process that carries out every step.

    Needs a Temporal server, a database, a clearinghouse and the progress notes; see the README's
    table of settings (environment GROUPCLAIM_* or groupclaim.toml).
    """

    async def work() -> None:
        given = {"temporal": temporal, "database": database}
        settings = Settings(**{key: value for key, value in given.items() if value})  # type: ignore[arg-type]
        telemetry.configure_logging(settings.log_level)
        await run_worker(settings)

    run(work())


@application.command("console")
def console_command() -> None:
    """Serve the console to browsers until Ctrl-C; the first start prints a sign-in.

    Reads the database, acts through Temporal. See the settings `console*` and `identity_*`.
    """

    async def work() -> None:
        settings = Settings()
        telemetry.configure_logging(settings.log_level)
        await serve_console(settings, typer.echo)

    run(work())


@application.command("exporter")
def exporter_command(
    port: Annotated[int, typer.Option(help="port to serve at; 0: the setting exporter_port")] = 0,
) -> None:
    """Tell Prometheus what stands in the database, until Ctrl-C: one process for each database.

    Only reads. See the settings `exporter_*` and `metrics_host`, and deploy/prometheus.
    """

    async def work() -> None:
        settings = Settings(**({"exporter_port": port} if port else {}))  # type: ignore[arg-type]
        if not settings.exporter_port:
            raise SettingsRefused("exporter_port: the port that Prometheus scrapes")
        telemetry.configure_logging(settings.log_level)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run_exporter(settings, stop)

    run(work())


@application.command("codec-server")
def codec_server() -> None:
    """Decrypt payloads for Temporal's own web UI, until Ctrl-C.

    Only for people who are signed in at the console and may see personal data of the whole
    practice; each look is in the audit log. It listens at the console's host on `codec_port` (8301)
    and answers only pages of `temporal_ui` (http://127.0.0.1:8233), which must be on the same site
    as the console.

    Point the UI at it: under the glasses symbol set http://127.0.0.1:8301 as the codec server's
    endpoint and switch on "Include cross-origin credentials"; or for everyone, start it with
    TEMPORAL_CODEC_ENDPOINT=http://127.0.0.1:8301 and TEMPORAL_CODEC_INCLUDE_CREDENTIALS=true.
    """

    async def work() -> None:
        settings = Settings()
        telemetry.configure_logging(settings.log_level)
        await serve_codec(settings, typer.echo)

    run(work())


@application.command()
def up(
    payers: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="the simulated payers")
    ] = Path("samples/payers.json"),
    notes: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="the progress notes")
    ] = Path("samples/notes.json"),
    play: Annotated[
        Literal["whole", "small"] | None,
        typer.Option(help="play this sample practice by a clock of its own while you look on"),
    ] = None,
    pace: Annotated[
        float, typer.Option(min=0, help="seconds for which that clock rests at each moment")
    ] = 1.0,
) -> None:
    """Start Temporal, the simulated clearinghouse, a worker, the console and the exporter on this
    machine, until Ctrl-C.

    Everything kept lies in the folder of GROUPCLAIM_STATE (default: ./state). The other commands
    of this folder then find it. With --play the payers and notes are those of the practice, and the
    folder stays a played one: started again with --play it goes on where it stood.
    """

    async def work() -> None:
        settings = Settings()
        settings = settings.model_copy(update={"state": settings.state.resolve()})
        if play is None:
            await embedded.run_everything(settings, payers.resolve(), notes.resolve(), typer.echo)
            return
        scenario = demonstration.Scenario.load(_SAMPLES[play])
        starts_at = scenario.outside.starts_at
        await embedded.run_everything(
            settings,
            scenario.folder / "payers.json",
            scenario.folder / "notes.json",
            typer.echo,
            embedded.Play(
                starts_at=starts_at,
                begin=lambda database: live.set_clock(database, starts_at),
                carry=lambda house: live.play(scenario, house, pace_seconds=pace, tell=typer.echo),
            ),
        )

    run(work())


@application.command()
def demo(
    chaos: Annotated[bool, typer.Option("--chaos", help="kill the worker on the way")] = False,
    files: Annotated[
        Literal["http", "sftp"], typer.Option(help="how batches and mailbox files travel")
    ] = "http",
    as_json: AsJson = False,
    practice: Annotated[
        Literal["whole", "small"], typer.Option(help="which of the two sample practices")
    ] = "whole",
    keep: Annotated[
        Path | None, typer.Option(help="keep everything in this new folder, to look at it")
    ] = None,
) -> None:
    """Play a sample practice from session files to audited payments, and let the judge decide.

    Starts a Temporal server, a clearinghouse with its payers and a worker, moves the practice
    clock through about three months, and prints what was billed, paid, adjusted, owed and held.
    Exit code 0 only if the judge agrees with everything.
    """
    if keep is not None and keep.exists() and any(keep.iterdir()):
        fail(2, f"--keep {keep}: not empty")
    folder = keep or Path(tempfile.mkdtemp(prefix="groupclaim-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _live() as tell:
            result = run(
                demonstration.run_demo(
                    _SAMPLES[practice], folder.resolve(), chaos=chaos, tell=tell, files=files
                )
            )
    except demonstration.DemoFailed as error:
        fail(1, str(error))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    terminal.show(as_json, result, lambda console: summary.show(result, console))
    if not all(result["invariants"].values()):
        raise typer.Exit(1)


@contextmanager
def _live() -> Iterator[Callable[[str], None]]:
    """Progress on standard error: one line that changes on a terminal, else a line each time."""
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 140)
    if not console.is_terminal:
        yield lambda line: console.print(line, highlight=False)
        return
    with console.status("starting Temporal, the clearinghouse and the worker") as status:
        yield status.update


# --- intake


@application.command()
def load(
    practice: InputFile,
    fhir: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="a FHIR R4 Bundle to take over beside it"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="count what would change; take nothing")
    ] = False,
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Load a practice: locations, clinicians, payers, contracts, patients, coverage, plans.

    Loading the same file again changes nothing; a changed record is corrected. --fhir adds the
    Patient, Coverage and Practitioner resources of a Bundle, over those of the same id; it needs
    the extra groupclaim[fhir].
    """

    async def work() -> dict[str, int]:
        file: PracticeFile = read(practice, PracticeFile)
        if fhir is not None:
            if fhir.stat().st_size > MOST_BYTES:
                raise InputRefused(fhir.name, [f"file: larger than {MOST_BYTES // 1024**2} MB"])
            file = practice_of_bundle(fhir.read_bytes(), file, fhir.name)
        if dry_run:
            async with books() as database, database.rehearsal() as tx:
                loaded = await load_practice(tx, file)
            counts = {"added": loaded.added, "changed": loaded.changed}
            return {**counts, "unchanged": loaded.unchanged}
        async with desk() as front:
            return await front.load(file, by=by)

    counts = run(work())
    terminal.show(as_json, counts, lambda console: console.print(_line(counts)))


@session.command("start")
def session_start(sessions: InputFile, by: By = "command line", as_json: AsJson = False) -> None:
    """Take in sessions with their rosters and start carrying them; nothing starts twice."""

    async def work() -> list[dict[str, Any]]:
        async with desk() as front:
            added = await front.add_sessions(read(sessions, SessionFile).root, by=by)
            await front.start_sessions(added)
            return [
                {"session": item.session_id, "claims": list(item.claims), "new": item.new}
                for item in added
            ]

    started = run(work())

    def show(console: Console) -> None:
        for item in started:
            state = "started" if item["new"] else "known already, nothing changed"
            console.print(f"{item['session']}: {len(item['claims'])} claims, {state}")

    terminal.show(as_json, started, show)


@session.command("show")
def session_show(session: str, as_json: AsJson = False) -> None:
    """Where each participant of a session stands. SESSION: the practice's id, or ours."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database:
            return await summary.participants(database, session)

    rows = run(work())
    terminal.show(as_json, rows, lambda console: console.print(table(rows)))


@session.command("amend")
def session_amend(
    session: str,
    add: Annotated[list[str] | None, typer.Option(help="patient to put on the roster")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="patient to take off it")] = None,
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Change a session's roster. SESSION and patients: the practice's ids; options may repeat."""

    async def work() -> dict[str, int]:
        async with desk() as front:
            return await front.amend_roster(session, add=add or (), remove=remove or (), by=by)

    counts = run(work())
    terminal.show(as_json, counts, lambda console: console.print(_line(counts)))


@attendance.command("record")
def attendance_record(file: InputFile, by: By = "command line", as_json: AsJson = False) -> None:
    """Record a session's final attendance from a JSON file, or correct it.

    {"session": ID, "participants": [{"patient", "status", "minutes", "copay_cents"}]}
    """

    async def work() -> dict[str, int]:
        async with desk() as front:
            return await front.record_attendance(read(file, AttendanceList), by=by)

    counts = run(work())
    terminal.show(as_json, counts, lambda console: console.print(_line(counts)))


@note.command("withdraw")
def note_withdraw(
    session: str,
    patient: str,
    reason: Annotated[str, typer.Option("--reason", help="why the note is not valid")],
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Say that a signed note does not support the claim: what was sent with it is taken back.

    It counts again once it has been signed anew. Ids are the practice's own.
    """

    async def work() -> dict[str, Any]:
        async with desk() as front:
            return {"new": await front.withdraw_note(session, patient, reason, by)}

    answer = run(work())
    said = "withdrawn" if answer["new"] else "withdrawn before"
    show(as_json, answer, lambda console: console.print(said))


@note.command("sign")
def note_sign(
    session: str,
    patient: str,
    signed_at: Annotated[
        datetime | None,
        typer.Option("--at", formats=["%Y-%m-%dT%H:%M:%S%z"], help="when; default: now"),
    ] = None,
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Say that a participant's note is signed in the record system. Ids are the practice's own."""

    async def work() -> dict[str, Any]:
        async with desk() as front:
            at = signed_at or await front.now()
            return {"new": await front.sign_note(session, patient, at, by=by)}

    answer = run(work())
    terminal.show(
        as_json,
        answer,
        lambda console: console.print("signed" if answer["new"] else "known already"),
    )


@authorization.command("record")
def authorization_record(file: InputFile, by: By = "command line", as_json: AsJson = False) -> None:
    """Record a prior authorization from a JSON file, as in the practice file."""

    async def work() -> dict[str, int]:
        async with desk() as front:
            return {"claims_told": await front.record_authorization(
                read(file, Authorization), by=by
            )}  # fmt: skip

    counts = run(work())
    terminal.show(as_json, counts, lambda console: console.print(_line(counts)))


@payment.command("record")
def payment_record(
    claim: str,
    cents: int,
    receipt: Annotated[str, typer.Option(help="number of the receipt: the same is taken once")],
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Record what a patient paid for a claim, in cents."""

    async def work() -> dict[str, bool]:
        async with desk() as front:
            return {"new": await front.patient_payment(claim, Cents(cents), receipt, by=by)}

    answer = run(work())
    terminal.show(
        as_json,
        answer,
        lambda console: console.print("recorded" if answer["new"] else "this receipt is known"),
    )


@payment.command("refund")
def payment_refund(
    claim: str,
    cents: int,
    receipt: Annotated[str, typer.Option(help="number of the refund: the same is taken once")],
    by: Annotated[str, typer.Option("--by", help="who pays it back, for the audit log")],
    second: Annotated[
        str | None, typer.Option("--second", help="who else agrees, where the amount takes two")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record that money went back to a patient, in cents: at most what they paid and do not owe."""

    async def work() -> dict[str, bool]:
        async with desk() as front:
            return {
                "new": await front.patient_refund(
                    claim, Cents(cents), receipt, by=by, second=second
                )
            }

    answer = run(work())
    terminal.show(
        as_json,
        answer,
        lambda console: console.print("recorded" if answer["new"] else "this receipt is known"),
    )


# --- claims


@claim.command("list")
def claim_list(
    stage: Annotated[str, typer.Option(help="only this stage")] = "",
    hold: Annotated[str, typer.Option(help="only this hold code")] = "",
    as_json: AsJson = False,
) -> None:
    """The claims with stage, hold, next date and amounts."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database:
            return await summary.claims(database, stage=stage, hold=hold)

    rows = run(work())
    terminal.show(as_json, rows, lambda console: console.print(table(rows)))


@claim.command("show")
def claim_show(claim: str, as_json: AsJson = False) -> None:
    """One claim: its state, versions, events, findings and money."""

    async def work() -> dict[str, Any]:
        async with books() as database:
            return await summary.claim_page(database, claim)

    page = run(work())

    def show(console: Console) -> None:
        console.print(_line(page["claim"]))
        for part in ("versions", "findings", "events", "money"):
            console.print(table(page[part], title=part))

    terminal.show(as_json, page, show)


@claim.command("why")
def claim_why(claim: str, as_json: AsJson = False) -> None:
    """Why a claim is where it is: waiting for whom, since when, what next, what releases it."""

    async def work() -> dict[str, Any]:
        async with books() as database:
            return await summary.why_claim(database, claim)

    reasons = run(work())

    def show(console: Console) -> None:
        for question, answer in reasons.items():
            console.print(f"{question.replace('_', ' '):>12}  {answer}", highlight=False)

    terminal.show(as_json, reasons, show)


@claim.command("look-again")
def claim_look_again(
    claim: str,
    status: Annotated[
        bool, typer.Option("--status", help="ask its payer by 276 instead of running the rules")
    ] = False,
    by: By = "command line",
    as_json: AsJson = False,
) -> None:
    """Run the rules again over a claim that they hold, or ask its payer what has become of it."""

    async def work() -> dict[str, Any]:
        async with second_look() as look:
            what: Literal["rules", "status"] = "status" if status else "rules"
            progress = await look.ask(claim, what, by=by, request=uuid.uuid4().hex)
        return progress.model_dump(mode="json")

    told = run(work())
    terminal.show(as_json, told, lambda console: console.print(_line(told)))


@claim.command("release")
def claim_release(
    claim: str,
    code: Annotated[str, typer.Option(help="the hold code that holds it")],
    reason: Annotated[str, typer.Option(help="why it may go on")],
    by: Annotated[str, typer.Option(help="who decides")],
    second: Annotated[
        str | None, typer.Option(help="who else agrees, for a waiver or a payment")
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M:%S%z"], help="when a waiver ends"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let a held claim go on, taking responsibility for the reason.

    A hold of a compliance rule, or one that rests on an unverified value, is waived by two people
    (--second) and until a day (--until). `groupclaim claim why` says what a hold needs.
    """

    async def work() -> dict[str, Any]:
        async with desk() as front:
            return await front.release_hold(
                claim, code=code, by=by, reason=reason, second=second, until=until
            )

    progress = run(work())
    terminal.show(as_json, progress, lambda console: console.print(_line(progress)))


@claim.command("write-off")
def claim_write_off(
    claim: str,
    reason: Annotated[str, typer.Option(help="why nothing is to be had of the payer")],
    by: Annotated[str, typer.Option(help="who decides")],
    second: Annotated[str | None, typer.Option(help="who else agrees, above the limit")] = None,
    as_json: AsJson = False,
) -> None:
    """Give up what a payer owes that never decided a claim, once its own time has passed.

    Or a claim that is held and was never sent, or refused at the door, once its filing limit has
    passed (it ends not billable, TIMELY_FILING); or what a second payer was to pay, once its time
    has passed or its claim cannot be made.

    By whom the practice's approval limits say. It is a loss of the practice: the patient owes
    nothing of it, and what they have paid goes back. What a payer has denied is given up with
    `groupclaim denial decide`, what it paid too little with `groupclaim claim release`.
    """

    async def work() -> dict[str, Any]:
        async with desk() as front:
            return await front.write_off(claim, by=by, reason=reason, second=second)

    progress = run(work())
    terminal.show(as_json, progress, lambda console: console.print(_line(progress)))


# --- the books


@money.command("verify")
def ledger_verify(as_json: AsJson = False) -> None:
    """Check the ledger: every transfer, every claim's equation, clearing against deposits."""

    async def work() -> list[str]:
        async with books() as database, database.reading() as reading:
            return [str(violation) for violation in await ledger.verify(reading)]

    _verdict(as_json, run(work()), "the ledger balances")


@money.command("open")
def ledger_open(as_json: AsJson = False) -> None:
    """List money that has not found its place: suspended payments, unapplied cash, credits.

    A suspended payment is posted when the payer sends a copy that is whole and balances. What a
    patient has paid too much goes back with `groupclaim payment refund`.
    """

    async def work() -> dict[str, list[dict[str, Any]]]:
        async with books() as database, database.reading() as reading:
            return summary.open_money(await ledger.open_items(reading))

    found = run(work())

    def show(console: Console) -> None:
        for name, rows in found.items():
            console.print(table(rows, name.replace("_", " ")))

    terminal.show(as_json, found, show)


@auditing.command("show")
def audit_show(subject: str, as_json: AsJson = False) -> None:
    """List who did what to one subject. SUBJECT: a claim number or another of our ids."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            return [
                {
                    "at": entry.at,
                    "actor": entry.actor,
                    "action": entry.action,
                    "detail": ", ".join(f"{name}: {said}" for name, said in entry.detail.items()),
                }
                for entry in await audit.entries(reading, subject)
            ]

    rows = run(work())
    terminal.show(as_json, rows, lambda console: console.print(table(rows)))


@encryption.command("new")
def keys_new(
    file: Annotated[Path, typer.Option(help="the key file to make")] = Path("keys.json"),
) -> None:
    """Make a key file with one new key. Keep a copy apart: without it nothing can be read.

    A file that is there already is never touched.
    """
    if file.exists():
        fail(1, f"{file}: is there already")
    file.parent.mkdir(parents=True, exist_ok=True)
    keyring = Keyring.load_or_generate(file)
    typer.echo(f"{file}: one key, {keyring.current}; keep a copy of the file in another place")


@encryption.command("rotate")
def keys_rotate(by: By = "command line", as_json: AsJson = False) -> None:
    """Add a new key to the key file; from now on everything is written under it.

    What was written before stays readable under its own key, so no key is ever taken out. Then
    start every worker and the console again with the new file: a process that knows only the old
    keys cannot read what is new, and a worker stops by itself.
    """

    async def work() -> str:
        async with books() as database:
            settings = Settings()
            rotated = database.keyring.rotated()
            rotated.save(settings.keys_file)
            now = await PracticeClock(database).now()
            renewed = Database.connect(settings.database_url, rotated)
            try:
                async with renewed.transaction() as tx:
                    await audit.record(tx, now, by, "rotate_keys", rotated.current)
            finally:
                await renewed.close()
            return rotated.current

    key_id = run(work())
    terminal.show(
        as_json,
        {"current": key_id},
        lambda console: console.print(f"{key_id} is current; start every worker again with it"),
    )


@auditing.command("verify")
def audit_verify(
    head: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="head of the log as it was kept elsewhere"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the audit log: nothing changed, inserted or cut off since it was sealed."""

    async def work() -> list[str]:
        kept = read(head, audit.Head) if head else None
        async with books() as database, database.reading() as reading:
            found = await audit.verify(reading, kept)
            return [f"{found.row}: {found.kind.replace('_', ' ')}"] if found else []

    _verdict(as_json, run(work()), "the audit log is whole")


@auditing.command("seal")
def audit_seal() -> None:
    """Seal the entries made so far and print the head as JSON, to be kept elsewhere."""

    async def work() -> audit.Head | None:
        async with books() as database:
            now = await PracticeClock(database).now()
            async with database.transaction() as tx:
                return await audit.seal(tx, now)

    sealed = run(work())
    if sealed is None:
        fail(1, "nothing to seal: no entry has been made since the last seal")
    typer.echo(sealed.model_dump_json())


def _verdict(as_json: bool, faults: list[str], good: str) -> None:
    def show(console: Console) -> None:
        for fault in faults:
            console.print(fault, markup=False, highlight=False)
        if not faults:
            console.print(good)

    terminal.show(as_json, {"holds": not faults, "faults": faults}, show)
    if faults:
        raise typer.Exit(1)


def _line(values: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in values.items())
