"""A remittance of 10,000 claims posted in one transaction, beside its rows inserted bare.

`python -m tests.bench.posting STEP URL FOLDER`, each step in a process of its own: `prepare` fills
an empty database with the claims, `post` reads the 835 and posts it, `bare` inserts the very rows
that `post` wrote into a copy of the database. Prints seconds by the clock and of processor time
(this process's and, where the database is a server, that of the server's process that works for
it), and peak memory in MB.
"""

import asyncio
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from groupclaim.model.identity import claim_number, control_number
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring

NOW = datetime(2026, 2, 18, 18, tzinfo=UTC)
KEYRING = Keyring({"k1": bytes(range(32))}, "k1", "k1")
CLAIMS = 10_000
ROUNDS = 3
CHARGE, PAID, SHARE = 6500, 2419, 617
"""Of 65.00: 24.19 paid, 34.15 contractual, 6.17 of the patient, 0.49 sequestration."""

TABLES = ("remittance_claim", "remittance_line", "remittance_adjustment", "provider_adjustment",
          "transfer")  # fmt: skip


def numbers() -> list[str]:
    return [claim_number(bytes(32), "practice", "session", str(n)) for n in range(CLAIMS)]


async def prepare(database: Database, folder: Path) -> dict[str, float]:
    from groupclaim.lifecycle.state import ClaimState
    from groupclaim.store import claims, files, ledger
    from groupclaim.store.schema import claim, claim_version
    from groupclaim.x12 import build_835
    from groupclaim.x12.parts import Adjustment
    from groupclaim.x12.remittance import LinePayment
    from tests.store.world import load_world, paid, payment, version_of
    from tests.x12.examples import envelope

    world = await load_world(database)
    made = numbers()
    async with database.transaction() as tx:
        first = (await tx.rows(claim.select().limit(1)))[0]._asdict()
        await tx.insert_all(
            claim,
            [
                {**first, "claim_number": n, "state": ClaimState(claim_number=n).model_dump_json()}
                for n in made
            ],
        )
        await claims.make_version(tx, version_of(made[0]), NOW)
        (one,) = await tx.rows(claim_version.select())
        await tx.insert_all(
            claim_version,
            [
                {
                    **one._asdict(),
                    "claim_number": n,
                    "control_number": control_number(n, 1),
                    "document": tx.seal(claim_version, version_of(n)),
                }
                for n in made[1:]
            ],
        )
        await ledger.book_charges(tx, [(n, 1) for n in made], NOW)
        cuts = (
            Adjustment("CO", "45", CHARGE - PAID - SHARE - 49),
            Adjustment("PR", "2", SHARE),
            Adjustment("CO", "253", 49),
        )
        line = LinePayment("90853", CHARGE, PAID, adjustments=cuts, allowed_cents=3085)
        payments = [
            replace(
                paid(n, PAID),
                patient_responsibility_cents=SHARE,
                lines=(replace(line, line_control_number=f"{control_number(n, 1)}1"),),
            )
            for n in made
        ]
        content = build_835(envelope(), [payment(*payments)], 1)
        (folder / "bench.835").write_bytes(content)
        await files.keep_file(tx, world.connection_id, "inbound", "835", "bench", content, NOW)
    return {}


async def post(database: Database, folder: Path) -> dict[str, float]:
    """Read before anything is locked; then one transaction."""
    from sqlalchemy import text

    from groupclaim import x12
    from groupclaim.store import remittances

    content = (folder / "bench.835").read_bytes()
    started = perf_counter()
    (payment,), _ = x12.read_835(content)
    assert payment.trustworthy
    async with database.reading() as reading:
        digest = await reading.scalar(text("SELECT digest FROM x12_file"))
        prepared = await remittances.prepare(reading, payment)
    async with database.transaction() as tx:
        (key,) = (await remittances.register(tx, digest, (payment,), NOW)).new
    before = perf_counter() - started
    async with _timed(database) as spent, database.transaction() as tx:
        posted = await remittances.post(tx, key, payment, NOW, prepared)
    assert (posted.state, len(posted.claims)) == ("posted", CLAIMS)
    assert all(item.posting == "applied" for item in posted.claims)
    peak = _peak()
    if not (folder / "rows.pickle").exists():
        rows = {}
        async with database.reading() as reading:
            for name in TABLES:
                found = await reading.rows(text(f"SELECT * FROM {name}"))
                rows[name] = [
                    row._asdict() for row in found if row._asdict()["remittance_id"] is not None
                ]
        (folder / "rows.pickle").write_bytes(pickle.dumps(rows))
    return {**spent, "before": before, "peak_mb": peak}


async def bare(database: Database, folder: Path) -> dict[str, float]:
    """The same rows, through the same driver, in one transaction; nothing is looked at."""
    from sqlalchemy import text

    from groupclaim import x12
    from groupclaim.store import remittances, schema

    (payment,), _ = x12.read_835((folder / "bench.835").read_bytes())
    rows: dict[str, list[dict[str, Any]]] = pickle.loads((folder / "rows.pickle").read_bytes())
    for row in rows["transfer"]:
        row["posted_at"] = NOW
    for row in rows["remittance_line"]:
        row["service_date"] = None
    async with database.transaction() as tx:
        digest = await tx.scalar(text("SELECT digest FROM x12_file"))
        await remittances.register(tx, digest, (payment,), NOW)
    async with _timed(database) as spent, database.transaction() as tx:
        for name in TABLES:
            await tx.insert_all(schema.metadata.tables[name], rows[name])
    return spent


@asynccontextmanager
async def _timed(database: Database) -> AsyncIterator[dict[str, float]]:
    """Seconds of the block, by the clock and of processors; the database is used by nobody else, so
    that its one open connection is the block's."""
    from sqlalchemy import text

    server = None
    async with database.reading() as reading:
        if reading.connection.dialect.name == "postgresql":
            server = await reading.scalar(text("SELECT pg_backend_pid()"))
    spent: dict[str, float] = {}
    started, before = perf_counter(), process_time() + _of_server(server)
    yield spent
    spent["seconds"] = perf_counter() - started
    spent["processor"] = process_time() + _of_server(server) - before


def _of_server(pid: int | None) -> float:
    """Processor seconds of a process of this machine so far (proc(5): utime, stime)."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak() -> float:
    from tests.bench.cases import _peak as peak

    return peak()


def measure(kind: str, folder: Path) -> dict[str, float]:
    """The best of a few rounds on one kind of database."""
    from groupclaim.store.database import migrate

    best: dict[str, float] = {}
    with _databases(kind, folder) as made:
        first = made(None)
        migrate(first)
        _run("prepare", first, folder)
        for _ in range(ROUNDS):
            for step in ("post", "bare"):
                result = _run(step, made(first), folder)
                for name, value in result.items():
                    key = f"{step}_{name}"
                    choose = max if name == "peak_mb" else min
                    best[key] = choose(value, best.get(key, value))
                print(f"{kind}, {step}: {result['seconds']:.3f} s", file=sys.stderr)
    return best


@contextmanager
def _databases(kind: str, folder: Path) -> Iterator[Any]:
    """A function that makes a database, empty or as a copy of another, and returns its URL."""
    count = 0
    if kind == "sqlite":

        def copy(of: str | None) -> str:
            nonlocal count
            count += 1
            path = folder / f"bench{count}.db"
            if of is not None:
                shutil.copy(of.removeprefix("sqlite:///"), path)
            return f"sqlite:///{path}"

        yield copy
        return
    import psycopg

    from tests.postgres import postgres_server

    with postgres_server() as server:

        def create(of: str | None) -> str:
            nonlocal count
            count += 1
            template = f" TEMPLATE {of.rsplit('/', 1)[1]}" if of is not None else ""
            with psycopg.connect(server, autocommit=True) as admin:
                admin.execute(f"CREATE DATABASE bench{count}{template}")
            return f"{server.rsplit('/', 1)[0]}/bench{count}"

        yield create


def _run(step: str, url: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.posting", step, url, str(folder)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return result


STEPS = {"prepare": prepare, "post": post, "bare": bare}


async def main(step: str, url: str, folder: Path) -> None:
    database = Database.connect(url, KEYRING)
    try:
        print(json.dumps(await STEPS[step](database, folder)))
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
