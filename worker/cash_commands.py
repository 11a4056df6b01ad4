"""Commands about payers' money: remittances, suspense, unapplied cash, deposits, file problems."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from activities.cash_desk import Brought, CashDesk, PaymentStanding
from activities.front_desk import Refused
from activities.paper_remittance import PaperRemittance, as_835
from groupclaim.model.money import Cents
from groupclaim.store import audit, deposits, files, ledger, practice, remittances
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database
from groupclaim.store.ledger import Account
from groupclaim.store.provider_adjustments import forward_balances
from worker.tables import table
from worker.terminal import AsJson, By, books, cash_desk, fail, read, run, show

InputFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
Who = Annotated[str, typer.Option("--by", help="who decides, for the audit log")]
Reason = Annotated[str, typer.Option("--reason", help="why, for the audit log")]
Second = Annotated[str | None, typer.Option("--second", help="who else agrees")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would happen; keep nothing")]

_MOST_BYTES = 200 * 1024 * 1024


def add_to(application: typer.Typer, money: typer.Typer) -> None:
    """Put the commands where the command line has them."""
    for name, help_text, commands in (
        ("era", "Remittances (835, or on paper): post them.",
         (("post", era_post), ("enter", era_enter), ("show", era_show))),
        ("suspense", "Payments of which nothing is posted: look at them, clear them.",
         (("list", suspense_list), ("show", era_show), ("accept", suspense_accept),
          ("return", suspense_return))),
        ("unapplied", "Money that has no claim yet: list it, find its place.",
         (("list", unapplied_list), ("assign", unapplied_assign), ("settle", unapplied_settle),
          ("return", unapplied_return))),
        ("deposit", "What the bank got, beside what payers paid.",
         (("import", deposit_import), ("list", deposit_list))),
        ("file", "Files that could not be dealt with.",
         (("problems", file_problems), ("clear", file_clear))),
    ):  # fmt: skip
        group = typer.Typer(no_args_is_help=True, help=help_text)
        for command, work in commands:
            group.command(command)(work)
        application.add_typer(group, name=name)
    money.command("trial-balance")(ledger_trial_balance)
    money.command("forward")(ledger_forward)


# --- remittances


def era_post(
    file: InputFile, by: By = "command line", dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Post the payments of an 835 file, each whole or not at all; the same file posts once.

    It goes the way of a file from the mailbox: a worker posts it and tells the claims. --dry-run
    needs no Temporal and keeps nothing. Exit code 1 when a payment stands in suspense.
    """

    async def work() -> Brought:
        if file.stat().st_size > _MOST_BYTES:
            raise Refused(f"{file.name}: larger than {_MOST_BYTES // 1024**2} MB")
        return await _bring(file.read_bytes(), file.name, by, dry_run=dry_run)

    _tell_brought(run(work()), dry_run=dry_run, as_json=as_json)


def era_enter(
    file: InputFile, by: By = "command line", dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Post a remittance that came on paper, typed into a JSON file, under the same sums.

    {"payer_name", "payer_id", "trace" (check number), "payment_date", "paid_cents", "method"
    (CHK), "claims": [{"claim", "status", "payer_claim_number", "member_id", "lines": [{"code",
    "modifiers", "service_date", "units", "charge_cents", "paid_cents", "allowed_cents",
    "adjustments": [{"group", "reason", "cents"}], "remarks"}]}], "provider_adjustments":
    [{"reason", "reference", "cents"}]}. What does not come out is refused, each sum by name.
    """

    async def work() -> Brought:
        paper: PaperRemittance = read(file, PaperRemittance)
        async with books() as database, database.reading() as reading:
            ours = await practice.read_practice(reading)
        return await _bring(as_835(paper, ours.npi, ours.name), "paper", by, dry_run=dry_run)

    _tell_brought(run(work()), dry_run=dry_run, as_json=as_json)


async def _bring(content: bytes, name: str, by: str, *, dry_run: bool) -> Brought:
    if dry_run:
        async with books() as database:
            return await CashDesk(database, PracticeClock(database), None).try_out(content)
    async with cash_desk() as desk:
        return await desk.bring(content, name, by)


def _tell_brought(brought: Brought, *, dry_run: bool, as_json: bool) -> None:
    told = {
        "file": brought.digest,
        "new": brought.new,
        "pending": brought.pending,
        "dry_run": dry_run,
        "payments": [_payment(item) for item in brought.payments],
    }

    def show_it(console: Console) -> None:
        if not brought.new:
            console.print("This file was posted before: nothing is posted twice.")
        known = sum(item.state == "duplicate" for item in brought.payments)
        if brought.new and known:
            console.print(f"Posted before from another file, and not again: {known}.")
        if brought.pending:
            console.print("It is kept; no worker has posted all of it yet.")
        _show_payments(told["payments"], console)
        if dry_run:
            console.print("Nothing was kept.")

    show(as_json, told, show_it)
    if any(item.state == "suspended" for item in brought.payments):
        raise typer.Exit(1)


def _payment(item: PaymentStanding) -> dict[str, Any]:
    claims = item.posted.claims if item.posted else ()
    return {
        "remittance_id": item.remittance_id,
        "payer_id": item.payer_id,
        "trace": item.trace,
        "paid_cents": item.cents,
        "state": item.state,
        "difference_cents": item.difference_cents,
        "reason": item.reason
        or (f"duplicate of remittance {item.duplicate_of}" if item.duplicate_of else ""),
        "claims": [
            {
                "item": f"{claim.remittance_id}/{claim.position}",
                "claim_number": claim.claim_number,
                "named": claim.control_number,
                "matched_by": claim.matched_by,
                "posting": claim.posting,
                "paid_cents": int(claim.paid),
                "reason": claim.reason,
            }
            for claim in (*claims, *(item.posted.cleared if item.posted else ()))
        ],
    }


def _show_payments(payments: Any, console: Console) -> None:
    for item in payments:
        heads = {key: value for key, value in item.items() if key != "claims"}
        console.print(table([heads]))
        if item["claims"]:
            console.print(table(item["claims"]))


def era_show(remittance: int, as_json: AsJson = False) -> None:
    """Show a payment: each claim and line of it, what it matched and how, every sum that is off."""

    async def work() -> dict[str, Any]:
        async with books() as database:
            return await _payment_page(database, remittance)

    page = run(work())

    def show_it(console: Console) -> None:
        console.print(table([page["payment"]], f"remittance {remittance}"))
        for part in ("differences", "claims", "lines", "provider_adjustments"):
            if page[part]:
                console.print(table(page[part], part))

    show(as_json, page, show_it)


async def _payment_page(database: Database, remittance_id: int) -> dict[str, Any]:
    desk = CashDesk(database, PracticeClock(database), None)
    found = await desk.differences(remittance_id)
    async with database.reading() as reading:
        return {
            **await remittances.page(reading, remittance_id),
            "differences": [
                {
                    "place": item.place,
                    "rule": item.rule,
                    "stated_cents": item.stated_cents,
                    "expected_cents": item.expected_cents,
                    "difference_cents": item.cents,
                }
                for item in found
            ],
        }


# --- suspense


def suspense_list(as_json: AsJson = False) -> None:
    """List the payments of which nothing is posted, each with what it is off by."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            return [
                {
                    "remittance_id": item.remittance_id,
                    "payer_id": item.payer_id,
                    "trace": item.trace,
                    "payment_date": item.payment_date,
                    "paid_cents": int(item.paid),
                    "difference_cents": int(item.difference),
                    "reason": item.reason,
                }
                for item in (await ledger.open_items(reading)).suspended
            ]

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


def suspense_accept(
    remittance: int, by: Who, reason: Reason, second: Second = None, as_json: AsJson = False
) -> None:
    """Post a payment suspended only because another of the same payer and trace is known.

    It replaces one of which nothing is posted, for example of a wrong amount that the payer has
    corrected. Beside a posted one it counts as a second payment: that takes two people (--second).
    A payment that does not come out is never accepted; it is posted when a whole copy comes.
    """

    async def work() -> PaymentStanding:
        async with cash_desk() as desk:
            return await desk.accept(remittance, by=by, second=second, reason=reason)

    told = _payment(run(work()))
    show(as_json, told, lambda console: _show_payments([told], console))


def suspense_return(
    remittance: int, by: Who, reason: Reason, second: Second = None, as_json: AsJson = False
) -> None:
    """Note that the money of a suspended payment went back to the payer: by who may refund it."""

    async def work() -> bool:
        async with books() as database:
            desk = CashDesk(database, PracticeClock(database), None)
            return await desk.return_suspended(remittance, by=by, reason=reason, second=second)

    _done(run(work()), "returned", as_json=as_json)


# --- unapplied cash


def unapplied_list(as_json: AsJson = False) -> None:
    """List money that belongs to no open claim; below zero what a payer kept or took back."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            return [
                {
                    "item": entry.item,
                    "payer_id": entry.payer_id,
                    "trace": entry.trace,
                    "payment_date": entry.payment_date,
                    "claim": entry.claim,
                    "unapplied_cents": int(entry.cents),
                    "reason": entry.reason,
                }
                for entry in await ledger.unapplied_items(reading)
            ]

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


def unapplied_assign(
    item: str,
    claim: Annotated[str, typer.Option("--claim", help="number of the claim it belongs to")],
    by: Who,
    reason: Reason,
    payer: Annotated[
        int | None,
        typer.Option(
            "--payer",
            min=1,
            max=3,
            help="place of who paid it: 1 the first payer, 2 the second; default as CLP02 says, "
            "unless another payer has decided there",
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Apply unapplied cash to a claim, with everything the payer said of it. ITEM: as listed."""

    async def work() -> bool:
        if dry_run:
            async with books() as database:
                desk = CashDesk(database, PracticeClock(database), None)
                return await desk.assign(
                    item, claim, by=by, reason=reason, payer=payer, dry_run=True
                )
        async with cash_desk() as desk:
            return await desk.assign(item, claim, by=by, reason=reason, payer=payer)

    _done(run(work()), "assigned", dry_run=dry_run, as_json=as_json)


def unapplied_settle(
    item: str,
    account: Annotated[
        Literal["takeback", "interest", "withheld", "other_adjustment", "write_off"],
        typer.Option("--account", help="what it turned out to be"),
    ],
    by: Who,
    reason: Reason,
    second: Second = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Book a provider adjustment as what the payer's letter says it is; a write-off takes who may
    give so much up."""

    async def work() -> bool:
        async with books() as database:
            desk = CashDesk(database, PracticeClock(database), None)
            return await desk.settle(
                item, Account(account), by=by, second=second, reason=reason, dry_run=dry_run
            )

    _done(run(work()), "settled", dry_run=dry_run, as_json=as_json)


def unapplied_return(
    item: str,
    by: Who,
    reason: Reason,
    second: Second = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Note that unapplied cash went back to the payer: by who may refund it."""

    async def work() -> bool:
        async with books() as database:
            desk = CashDesk(database, PracticeClock(database), None)
            return await desk.return_unapplied(
                item, by=by, reason=reason, second=second, dry_run=dry_run
            )

    _done(run(work()), "returned", dry_run=dry_run, as_json=as_json)


# --- deposits


def deposit_import(file: InputFile, by: By = "command line", as_json: AsJson = False) -> None:
    """Import a bank's CSV (columns date, amount, reference) and match deposits to payments.

    The same lines again change nothing. Every problem of the file is told at once.
    """

    async def work() -> dict[str, int]:
        listed = deposits.read_deposits(file.read_bytes(), file.name)
        async with books() as database:
            now = await PracticeClock(database).now()
            async with database.transaction() as tx:
                done = await deposits.import_deposits(tx, listed, now)
                counts = {"new": done.new, "known": done.known, "matched": done.matched}
                await audit.record(tx, now, by, "deposits_imported", "deposits", counts)
        return counts

    counts = run(work())
    show(
        as_json,
        counts,
        lambda console: console.print(", ".join(f"{key}: {n}" for key, n in counts.items())),
    )


def deposit_list(
    only_open: Annotated[
        bool, typer.Option("--open", help="only short, over, unknown and undeposited")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List deposits with their payments, and posted payments that were never deposited."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database:
            async with database.transaction() as tx:
                await deposits.match_deposits(tx)
            async with database.reading() as reading:
                return [
                    {
                        "state": item.state,
                        "remittance_id": item.remittance_id,
                        "payer_id": item.payer_id,
                        "trace": item.trace,
                        "paid_on": item.paid_on,
                        "paid_cents": item.paid,
                        "deposited_on": item.deposited_on,
                        "deposited_cents": item.deposited,
                        "difference_cents": int(item.difference),
                        "matched_by": item.matched_by,
                    }
                    for item in await deposits.deposit_standings(reading)
                    if not only_open or item.state != "matched"
                ]

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


# --- file problems


def file_problems(as_json: AsJson = False) -> None:
    """List the files that could not be dealt with and stand until somebody has."""

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            return [
                {
                    "file": item.digest[:16],
                    "kind": item.kind,
                    "bytes": item.size,
                    "since": item.since,
                    "problem": item.problem,
                }
                for item in await files.standing_problems(reading)
            ]

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


def file_clear(file: str, by: Who, reason: Reason, as_json: AsJson = False) -> None:
    """Note that a person has dealt with a file; the mailbox need not keep it. FILE: as listed."""

    async def work() -> bool:
        async with books() as database:
            desk = CashDesk(database, PracticeClock(database), None)
            return await desk.clear_file(file, by=by, reason=reason)

    _done(run(work()), "cleared", as_json=as_json)


# --- the books


def ledger_trial_balance(
    on: Annotated[
        datetime | None,
        typer.Option("--on", formats=["%Y-%m-%d"], help="as of the end of this day; default today"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The balance of every account at the end of a day, by the practice's clock."""

    async def work() -> dict[str, Any]:
        async with books() as database:
            now = await PracticeClock(database).now()
            async with database.reading() as reading:
                zone = ZoneInfo((await practice.read_practice(reading)).time_zone)
                day = on.date() if on else now.astimezone(zone).date()
                after = datetime.combine(day + timedelta(days=1), time(), zone)
                sums = await ledger.trial_balance(reading, after)
        return {
            "on": day.isoformat(),
            "accounts": {account.value: int(cents) for account, cents in sums.items()},
            "total_cents": int(sum(sums.values())),
        }

    told = run(work())
    rows = [
        {
            "account": account,
            "debit_cents": cents if cents > 0 else None,
            "credit_cents": -cents if cents < 0 else None,
        }
        for account, cents in told["accounts"].items()
    ]
    show(as_json, told, lambda console: console.print(table(rows, f"on {told['on']}")))
    if told["total_cents"]:
        fail(1, f"the accounts do not sum to zero: {Cents(told['total_cents'])}")


def ledger_forward(
    every: Annotated[bool, typer.Option("--all", help="also those used up")] = False,
    as_json: AsJson = False,
) -> None:
    """Balances that payers carry forward or have taken (PLB WO, FB, 72), with their claims.

    Open above zero is still to be taken; below zero was taken without having been announced.
    """

    async def work() -> list[dict[str, Any]]:
        async with books() as database, database.reading() as reading:
            return [
                {
                    "payer_id": item.payer_id,
                    "reference": item.reference,
                    "claims": " ".join(item.claims),
                    "announced_cents": int(item.announced),
                    "taken_cents": int(item.taken),
                    "open_cents": int(item.open),
                    "steps": ", ".join(
                        f"{step.reason_code} {step.cents} on {step.payment_date}"
                        for step in item.steps
                    ),
                }
                for item in await forward_balances(reading)
                if every or item.open
            ]

    rows = run(work())
    show(as_json, rows, lambda console: console.print(table(rows)))


def _done(news: bool, what: str, *, as_json: bool, dry_run: bool = False) -> None:
    would = f"would be {what}; nothing was kept" if dry_run else what
    show(
        as_json,
        {"new": news, "dry_run": dry_run},
        lambda console: console.print(would if news else f"{what} before: nothing changed"),
    )
