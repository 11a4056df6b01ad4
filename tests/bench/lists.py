"""The console's lists over 100,000 claims in PostgreSQL: how long each takes to answer.

`python -m tests.bench.lists` fills a throw-away server by copying the rows of a small practice,
signs a biller in, and asks each list thirty times in one process, page and filters as people use
them. Prints the median and the 95th percentile in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from time import perf_counter
from typing import cast

import httpx2
import psycopg
from psycopg import sql
from temporalio.client import Client

from activities.cash_desk import CashDesk
from activities.front_desk import FrontDesk
from activities.second_look import SecondLook
from groupclaim.console.app import create_app
from groupclaim.console.console import Console
from groupclaim.lifecycle.state import ClaimState, Hold, Stage, Step
from groupclaim.model.money import Cents
from groupclaim.policy.payer import PolicyBook
from groupclaim.policy.playbook import Playbook
from groupclaim.store import claims, ledger, people, work
from groupclaim.store.clock import PracticeClock
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from tests.postgres import postgres_server
from tests.store.world import NOW, World, attended, load_world, send_all

CLAIMS = 100_000
A_ROOM = 10
TARGET_MS = 300
ASKED = 30
ORIGIN = "http://127.0.0.1:8300"
LISTS = (
    "/",
    "/?code=COVERAGE_INACTIVE&sort=amount",
    "/?view=overdue&number=20",
    "/sessions",
    "/sessions?sort=oldest&number=100",
    "/remittances",
    "/denials",
    "/denials?view=calendar",
    "/claims/GC0000000006",
    "/sessions/room7",
)
REPORTS = ("/reports?kind=payer", "/reports?kind=ageing")
"""They add up every claim there is: timed beside the lists, without a target."""


class Nobody:
    """No engine: lists are only read."""


async def seed(database: Database) -> World:
    """One session whose claims have been sent, one of them held, to be copied."""
    world = await load_world(database)
    async with database.transaction() as tx:
        await claims.record_attendance(tx, world.session_id, attended(world), NOW)
    await send_all(world)
    number = world.claims[0]
    hold = Hold(code="COVERAGE_INACTIVE", redo=Step.CHECK_ELIGIBILITY, since=NOW, releasable=False)
    state = ClaimState(
        claim_number=number,
        stage=Stage.ELIGIBILITY,
        hold=hold,
        sequence=9,
        since=NOW,
        due_at=NOW + timedelta(days=3),
    )
    async with database.transaction() as tx:
        await claims.record_progress(tx, state, NOW)
        await work.follow_hold(tx, state, 6500, NOW)
        await ledger.book_patient_payment(tx, world.claims[1], Cents(100), "r1", NOW)
        account = people.Account(name="biller")
        password = await people.add_user(tx, account, people.Role.BILLER, NOW)
        user = await people.find(tx, "biller")
        assert user is not None
        assert password is not None
        await people.change_password(tx, user.id, "a long enough password")
    return world


def multiply(url: str, world: World) -> dict[str, int]:
    """Copy the seed's rows, with numbers of their own, until there are enough."""
    rooms = CLAIMS // A_ROOM
    session = sql.Literal(world.session_id)
    with psycopg.connect(url, autocommit=True) as raw:
        columns: dict[str, Sequence[str]] = {}
        for table in ("group_session", "participant", "claim", "claim_version", "work_item",
                      "transfer", "claim_event", "batch_claim", "ready_claim"):  # fmt: skip
            columns[table] = [
                row[0]
                for row in raw.execute(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = %s",
                    (table,),
                )
            ]

        def copy(table: str, series: int, where: sql.Composable, **changed: str) -> None:
            kept = [name for name in columns[table] if changed.get(name, "") != "default"]
            values = [
                sql.SQL(changed[name]) if name in changed else sql.Identifier("t", name)
                for name in kept
            ]
            raw.execute(
                sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} t, generate_series(1, {}) n"
                        " WHERE {}").format(
                    sql.Identifier(table),
                    sql.SQL(", ").join(map(sql.Identifier, kept)),
                    sql.SQL(", ").join(values),
                    sql.Identifier(table),
                    sql.Literal(series),
                    where,
                )
            )  # fmt: skip

        room = f"'room' || ((n - 1) / {A_ROOM})"
        number = "'GC' || lpad(n::text, 10, '0')"
        copy(
            "group_session", rooms, sql.SQL("t.id = {}").format(session),
            id="'room' || (n - 1)", service_date="t.service_date + (n % 300)",
            starts_at="t.starts_at + (n % 300) * interval '1 day'",
        )  # fmt: skip
        one = sql.SQL("t.claim_number = {}").format(sql.Literal(world.claims[0]))
        raw.execute("ALTER TABLE participant DROP CONSTRAINT fk_participant_patient_id")
        copy(
            "claim", CLAIMS, one, claim_number=number, session_id=room,
            service_date="t.service_date + (n % 300)",
            hold_code="CASE WHEN n % 5 = 0 THEN t.hold_code END",
            stage="CASE WHEN n % 5 = 0 THEN t.stage WHEN n % 3 = 0 THEN 'closed'"
            " ELSE 'accepted' END",
            due_at="CASE WHEN n % 3 <> 0 THEN t.due_at + (n % 60) * interval '1 day' END",
        )  # fmt: skip
        copy(
            "participant", CLAIMS, one, session_id=room, patient_id="'patient' || n",
            claim_number=number,
        )  # fmt: skip
        copy("claim_version", CLAIMS, one, claim_number=number, control_number=number + " || 'A'")
        copy(
            "work_item", CLAIMS // 5, one, id="'item' || n", subject="'GC' || lpad((n * 5)::text,"
            " 10, '0')", claim_number="'GC' || lpad((n * 5)::text, 10, '0')",
            session_id=f"'room' || ((n * 5 - 1) / {A_ROOM})",
            due_at="t.due_at + (n % 60) * interval '1 day'", cents="t.cents + n % 1000",
        )  # fmt: skip
        copy(
            "transfer", CLAIMS, one, id="default", key="'k' || n || t.id", claim_number=number
        )  # fmt: skip
        raw.execute("ANALYZE")
        return {
            table: raw.execute(
                sql.SQL("SELECT COUNT(*) FROM {}").format(sql.Identifier(table))
            ).fetchone()[0]  # type: ignore[index]
            for table in ("claim", "group_session", "work_item", "transfer")
        }


async def measure(database: Database) -> dict[str, list[float]]:
    console = Console(
        database=database,
        desk=FrontDesk(database, PracticeClock(database), cast(Client, Nobody())),
        cash=CashDesk(database, PracticeClock(database), cast(Client, Nobody())),
        second_look=SecondLook(
            database, PracticeClock(database), cast(Client, Nobody()), PolicyBook.load()
        ),
        policies=PolicyBook.load(),
        playbook=Playbook.load(),
        clock=PracticeClock(database),
        origin=ORIGIN,
        wall=lambda: datetime.now(UTC),
        requests_a_minute=100_000,
    )
    found: dict[str, list[float]] = {}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(create_app(console)), base_url=ORIGIN, timeout=120
    ) as browser:
        form = {"name": "biller", "password": "a long enough password"}
        answer = await browser.post("/sign-in", data=form, headers={"origin": ORIGIN})
        assert answer.status_code == 303, answer.text
        for path in (*LISTS, *REPORTS):
            times = []
            for _ in range(ASKED if path in LISTS else 5):
                begun = perf_counter()
                answer = await browser.get(path)
                times.append((perf_counter() - begun) * 1000)
                assert answer.status_code == 200, (path, answer.status_code)
            found[path] = times
            print(f"{path}: {max(times):.0f} ms at most", file=sys.stderr)
    return found


async def run(url: str) -> dict[str, list[float]]:
    migrate(url)
    database = Database.connect(url, Keyring({"k1": bytes(range(32))}, "k1", "k1"))
    try:
        world = await seed(database)
        counts = await asyncio.to_thread(multiply, url, world)
        print(json.dumps(counts), file=sys.stderr)
        return await measure(database)
    finally:
        await database.close()


def main() -> int:
    """Print the table; how many lists miss the target."""
    with postgres_server() as server:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute("CREATE DATABASE lists")
        found = asyncio.run(run(server.rsplit("/", 1)[0] + "/lists"))
    print(f"\n{CLAIMS:,} claims in PostgreSQL, {ASKED} requests each\n")
    print(f"| list | median ms | 95th percentile ms | target {TARGET_MS} ms |")
    print("|---|---|---|---|")
    missed = 0
    for path, times in found.items():
        cuts = quantiles(times, n=100)
        late = cuts[94] > TARGET_MS
        missed += late and path in LISTS
        verdict = "" if path in REPORTS else "missed" if late else "met"
        print(f"| `{path}` | {cuts[49]:.0f} | {cuts[94]:.0f} | {verdict} |")
    return missed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
