"""Grafana's dashboards: as generated, and every panel's query finds data in what really ran.

A part of the sample practice is played while a real Prometheus scrapes exporter, workers' counts
and the Temporal SDK; panels that only faults fill have theirs planted. SQL panels run on PostgreSQL
over the same rows, under the role that Grafana has.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from prometheus_client import REGISTRY
from sqlalchemy import create_engine, select, text
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Worker

from activities.measures import count_attempt
from deploy.grafana.generate import files
from deploy.grafana.panels import BOARDS, SQL_VARIABLES, Panel
from deploy.prometheus.catalogue import catalogue
from groupclaim.store import samples
from groupclaim.store.clock import practice_now
from groupclaim.store.database import migrate
from groupclaim.store.schema import VIEWS, dashboard_grants, metadata, view_ddl
from tests.activities.house import KEYRING, House
from tests.activities.test_sample_practice import run_to_the_end
from tests.deploy.tools import DEPLOY, PROMETHEUS, program
from tests.postgres import NoPostgres, postgres_server
from tests.temporal import PATIENCE_SECONDS
from worker import exporter, telemetry
from worker.embedded import Process, free_port
from worker.plugin import StepInterceptor
from worker.settings import Settings

PANELS = [item for board in BOARDS for item in board.panels]
RECORDED = {
    rule["record"]
    for rule in yaml.safe_load((PROMETHEUS / "recording.yml").read_text())["groups"][0]["rules"]
}

# --- the files


def test_the_committed_dashboards_are_the_generated_ones() -> None:
    made = files()
    assert set(made) == set((DEPLOY / "grafana" / "dashboards").iterdir())
    for path, content in made.items():
        assert path.read_text() == content, f"{path.name}: make dashboards writes it anew"


def test_every_panel_says_what_it_shows_in_which_unit_and_where_to_act() -> None:
    for content in files().values():
        board = json.loads(content)
        covered: set[tuple[int, int]] = set()
        assert len({item["id"] for item in board["panels"]}) == len(board["panels"])
        for item in board["panels"]:
            assert item["description"].endswith((".", "it.")), item["title"]
            assert item["fieldConfig"]["defaults"]["unit"], item["title"]
            assert item["links"][0]["url"].startswith("${console}/"), item["title"]
            at = item["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & covered, item["title"]
            assert max(x for x, _ in cells) < 24
            covered |= cells


def test_every_metric_that_a_panel_or_a_rule_names_is_made_somewhere() -> None:
    made = {name for metric in catalogue() for name in metric.series} | RECORDED
    queries = [item.query for item in PANELS if not item.is_sql] + [
        rule["expr"]
        for group in ("alerts.yml", "recording.yml")
        for rule in yaml.safe_load((PROMETHEUS / group).read_text())["groups"][0]["rules"]
    ]
    named = {name for query in queries for name in re.findall(r"groupclaim[_:][a-z0-9_:]+", query)}
    assert named - made == set()


def test_grafana_finds_what_is_provisioned() -> None:
    folder = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "groupclaim.yaml").read_text())
    known = {(source["type"], source["uid"]) for source in sources["datasources"]}
    used = {
        (item["datasource"]["type"], item["datasource"]["uid"])
        for content in files().values()
        for item in json.loads(content)["panels"]
    }
    assert used == known
    (provider,) = yaml.safe_load((folder / "dashboards" / "groupclaim.yaml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


# --- a run that is watched


class _Performing(ActivityInboundInterceptor):
    """The end of the chain of interceptors: the activity itself."""

    def __init__(self) -> None:
        pass

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        return await input.fn(*input.args)


def measured(house: House) -> None:
    """Every activity of the house through the interceptor of the workers."""
    outermost = StepInterceptor().intercept_activity(_Performing())
    for name, function in house.activities.items():

        async def attempt(what: Any, function: Any = function) -> Any:
            return await outermost.execute_activity(
                ExecuteActivityInput(fn=function, args=[what], executor=None, headers={})
            )

        house.activities[name] = attempt


@activity.defn
async def nothing() -> None:
    """An activity for the SDK's own metrics."""


@workflow.defn(sandboxed=False)
class OneActivity:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=30))


@dataclass
class Watched:
    prometheus: str
    database: Path

    def ask(self, path: str, **parameters: str) -> Any:
        address = f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=PATIENCE_SECONDS) as answer:
            return json.loads(answer.read())["data"]["result"]


def as_asked(item: Panel) -> str:
    """A panel's PromQL with everything chosen, over intervals that a short run has."""
    return (
        item.query.replace("$practice", ".*")
        .replace("$payer", ".*")
        .replace("$__rate_interval", "20s")
    )


@pytest.fixture(scope="module")
async def watched(
    environment: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Watched]:
    binary, folder = program("prometheus"), tmp_path_factory.mktemp("watched")
    ports = {name: free_port() for name in ("server", "exporter", "worker", "sdk")}
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / name) for name in config["rule_files"]]
    del config["alerting"]
    for job in config["scrape_configs"]:
        name = job["job_name"].removeprefix("groupclaim-")
        job.pop("dns_sd_configs", None)  # no names here: the rest of the job is as deployed
        labels = {"practice": "main"}
        job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[name]}"], "labels": labels}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    server = Process(
        "prometheus",
        [
            binary,
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{ports['server']}",
            "--log.level=error",
        ],
        folder / "prometheus.log",
    )
    KEYRING.save(folder / "keys.json")
    telemetry.serve_metrics("127.0.0.1", ports["worker"], REGISTRY)
    client = await Client.connect(
        environment.client.service_client.config.target_host,
        runtime=telemetry.temporal_runtime(f"127.0.0.1:{ports['sdk']}"),
    )
    settings = Settings(
        database=f"sqlite:///{folder}/groupclaim.db",
        keys=folder / "keys.json",
        exporter_port=ports["exporter"],
        exporter_seconds=0.3,
    )
    watched = Watched(f"http://127.0.0.1:{ports['server']}", folder / "groupclaim.db")
    stop = asyncio.Event()
    usual, exporter.AUDIT_SECONDS = exporter.AUDIT_SECONDS, 0.3
    try:
        async with House(folder) as house:
            running = asyncio.create_task(exporter.run_exporter(settings, stop))
            server.start()
            await _has_asked(watched, len(config["scrape_configs"]))
            measured(house)
            async with Worker(
                client, task_queue="watched", workflows=[OneActivity], activities=[nothing]
            ):
                for number in range(3):
                    await _one(client, f"watched-{number}")
                await run_to_the_end(house)
                await _plant(house)
                for number in range(3, 8):
                    await _one(client, f"watched-{number}")
                    await asyncio.sleep(1)
                assert not running.done()
                yield watched
            stop.set()
            await running
    finally:
        exporter.AUDIT_SECONDS = usual
        server.stop()


async def _has_asked(watched: Watched, jobs: int) -> None:
    """Return once Prometheus has been answered by each of them: what they count from now on is seen
    to grow."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(OSError):
                if len(await asyncio.to_thread(watched.ask, "query", query="up == 1")) == jobs:
                    return
            await asyncio.sleep(0.2)


async def _one(client: Client, name: str) -> None:
    await client.execute_workflow(OneActivity.run, id=name, task_queue="watched")


PLANTED = {
    "Retries", "Share of attempts that failed", "Silent more than 45 days", "Cannot be reached",
    "Errors among billed claims",
}  # fmt: skip
"""What a calm run does not have; the other faults' figures are zero then, and told."""


async def _plant(house: House) -> None:
    for attempt in (2, 3):
        count_attempt("send_batch", attempt, "failed", 0.1)
        await asyncio.sleep(1)
    async with house.database.transaction() as tx:
        numbers = await tx.rows(text("SELECT claim_number FROM claim ORDER BY 1"))
        await tx.execute(
            text("UPDATE claim SET hold_code = 'PAYER_UNREACHABLE' WHERE claim_number = :number"),
            {"number": numbers[0].claim_number},
        )
        await tx.execute(
            text(
                "UPDATE claim SET stage = 'accepted', since = '2025-11-01T00:00:00.000000+00:00' "
                "WHERE claim_number = :number"
            ),
            {"number": numbers[1].claim_number},
        )
        now, february = await practice_now(tx), (date(2026, 2, 1), date(2026, 2, 28))
        sample = await samples.draw_sample(tx, "planted", 4, *february, "R. Lee", now)
        drawn = (await samples.read_sample(tx, sample)).claims
        looked_at = next(one.claim_number for one in drawn if one.part == "representative")
        await samples.review(tx, sample, looked_at, "ok", "S. Park", now)


async def test_every_panel_finds_data_where_something_ran(watched: Watched) -> None:
    """At some time of it: a quantile of nothing new is no number, and a slow machine asks late.
    What was planted last is asked for until the rules have come to it."""
    empty = [item for board in BOARDS for item in board.panels if not item.is_sql]
    late = time.monotonic() + PATIENCE_SECONDS
    while empty:
        empty = [item for item in empty if not await _has_data(watched, item)]
        if time.monotonic() > late:
            break
        await asyncio.sleep(0.2)
    assert [f"{item.title}: {item.query}" for item in empty] == []
    assert {item.title for item in PANELS} >= PLANTED


async def _has_data(watched: Watched, item: Panel) -> bool:
    query = f"max_over_time(({as_asked(item)})[5m:1s])"
    found = await asyncio.to_thread(watched.ask, "query", query=query)
    return any(math.isfinite(float(series["value"][1])) for series in found)


EQUAL = {
    "Open claims": "SELECT COUNT(*) FROM claim WHERE stage NOT IN ('closed', 'not_billable') "
    "OR hold_code IS NOT NULL",
    "Held claims": "SELECT COUNT(*) FROM claim WHERE hold_code IS NOT NULL",
    "Open sessions": "SELECT COUNT(*) FROM group_session WHERE stage = 'open'",
    "Claims by stage": "SELECT stage, COUNT(*) FROM claim GROUP BY 1",
    "Holds by code": "SELECT hold_code, COUNT(*) FROM claim WHERE hold_code IS NOT NULL GROUP BY 1",
    "Batches": "SELECT state, COUNT(*) FROM batch GROUP BY 1",
    "Disputes": "SELECT kind, state, COUNT(*) FROM dispute_case GROUP BY 1, 2",
    "Paid short": "SELECT pattern, SUM(underpaid_cents - recovered_cents) / 100.0 "
    "FROM underpayments WHERE state <> 'closed' GROUP BY 1",
    "What became of the charges": "SELECT 'charge', SUM(charge_cents) / 100.0 FROM claim_money "
    "UNION SELECT 'paid', SUM(paid_cents) / 100.0 FROM claim_money "
    "UNION SELECT 'contractual', SUM(contractual_cents) / 100.0 FROM claim_money "
    "UNION SELECT 'patient', SUM(patient_cents) / 100.0 FROM claim_money "
    "UNION SELECT 'open', SUM(payer_open_cents) / 100.0 FROM claim_money",
    "Owed by payer": "SELECT c.payer_key, SUM(m.payer_open_cents) / 100.0 FROM claim_money m "
    "JOIN claim c ON c.claim_number = m.claim_number WHERE m.payer_open_cents <> 0 GROUP BY 1",
    "Work by who must act": "SELECT queue, COUNT(*) FROM work_item WHERE state <> 'resolved' "
    "GROUP BY 1",
    "Denials by category": "SELECT category, COALESCE(outcome, 'open'), COUNT(*) "
    "FROM denial_figures GROUP BY 1, 2",
    "Denials by cause": "SELECT cause, COUNT(*) FROM denial_figures GROUP BY 1",
    "Recovered from denials": "SELECT category, SUM(recovered_cents) / 100.0 FROM denial_figures "
    "GROUP BY 1",
    "Overturned": "SELECT payer_key, 1.0 * SUM(recovered_cents > 0) / COUNT(*) "
    "FROM denial_figures WHERE outcome IS NOT NULL GROUP BY 1",
    "Payers on file": "SELECT id, payer_id, 1 FROM payer",
}


@pytest.mark.parametrize("title", EQUAL)
async def test_a_panel_says_what_sql_says_of_the_store(watched: Watched, title: str) -> None:
    (item,) = (item for item in PANELS if item.title == title)
    engine = create_engine(f"sqlite:///{watched.database}")
    with engine.connect() as connection:
        rows = connection.execute(text(EQUAL[title])).all()
    engine.dispose()
    expected = {frozenset(str(x) for x in row[:-1]): float(row[-1]) for row in rows}
    assert expected != {}
    until = time.monotonic() + PATIENCE_SECONDS
    while True:  # until what was planted last has been read from the store, and scraped
        found = await asyncio.to_thread(watched.ask, "query", query=as_asked(item))
        told = {frozenset(one["metric"].values()): float(one["value"][1]) for one in found}
        if told == expected or time.monotonic() > until:
            break
        await asyncio.sleep(0.5)
    assert told == expected


# --- SQL panels


@pytest.fixture(scope="module")
def books(watched: Watched, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same rows on PostgreSQL, seen by the role of the dashboards."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(postgres_server())
        except NoPostgres as missing:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"PostgreSQL tests skipped: {missing}")
        migrate(url)
        source = create_engine(f"sqlite:///{watched.database}")
        target = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
        with source.connect() as reading, target.begin() as writing:
            for table in metadata.sorted_tables:
                rows = [dict(row._mapping) for row in reading.execute(select(table))]
                if rows:
                    writing.execute(table.insert(), rows)
        source.dispose()
        target.dispose()
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute((DEPLOY / "postgres" / "dashboards.sql").read_text())
        yield url


def test_the_file_gives_the_rights_that_the_store_gives_again() -> None:
    written = " ".join((DEPLOY / "postgres" / "dashboards.sql").read_text().split())
    assert [grant for grant in dashboard_grants() if f"{grant};" not in written] == []


def as_role(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url.replace("test@", "groupclaim_dashboards@"))


def in_words(reading: psycopg.Connection[Any], query: str) -> str:
    """A panel's SQL with everything chosen, as Grafana writes it."""
    chosen = {"payer": "SELECT id FROM payer"} | SQL_VARIABLES
    for name, values in chosen.items():
        if f"${{{name}:sqlstring}}" in query:
            listed = ", ".join(f"'{row[0]}'" for row in reading.execute(values))
            query = query.replace(f"${{{name}:sqlstring}}", listed)
    return re.sub(
        r"\$__timeFilter\((.*?)\)", r"\1 BETWEEN '2026-01-01T00:00:00Z' AND '2026-12-31'", query
    )


def test_sql_panels_run_under_the_role_that_only_reads_sums(books: str) -> None:
    with as_role(books) as reading:
        for item in (item for item in PANELS if item.is_sql):
            assert reading.execute(in_words(reading, item.query)).fetchall(), item.title
        (by_payer,) = (item for item in PANELS if item.title == "By payer")
        told = reading.execute(in_words(reading, by_payer.query)).fetchall()
        charged = sum(row[2] for row in told)
    with psycopg.connect(books) as admin:
        (expected,) = admin.execute(
            "SELECT SUM(cents) / 100.0 FROM transfer WHERE kind = 'charge'"
        ).fetchone() or (None,)
    assert charged == expected


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM transfer",
        "SELECT claim_number FROM claim_figures",
        "SELECT claim_number FROM denial_figures",
        "SELECT document FROM payer",
        "DELETE FROM claim",
        "UPDATE payer SET payer_id = ''",
    ],
)
def test_that_role_sees_and_changes_nothing_else(books: str, query: str) -> None:
    with as_role(books) as reading:
        reading.read_only = False  # a session may undo its default; its rights stay
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reading.execute(query)


def test_that_role_keeps_its_rights_when_a_new_version_makes_the_views_anew(books: str) -> None:
    with psycopg.connect(books, autocommit=True) as admin:
        for view in reversed(VIEWS):
            admin.execute(f"DROP VIEW {view}")
        for statement in view_ddl("postgresql"):
            admin.execute(statement)
    with as_role(books) as reading:
        assert reading.execute("SELECT COUNT(billed_cents) FROM claim_figures").fetchone()


def test_every_query_is_promql_and_every_rule_too(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": as_asked(item)}
        for number, item in enumerate(item for item in PANELS if not item.is_sql)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [program("promtool"), "check", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
