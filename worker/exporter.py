"""The exporter: the one process that tells Prometheus what stands in the database.

It reads at its own pace and answers scrapes from what it has read, so no scrape costs the database
anything, and two Prometheus servers see the same. Where a reading fails, the last figures stay and
their age grows: an alert is on that. Only one may run for each database, else sums double.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from groupclaim.store import watch
from groupclaim.store.audit import Head
from groupclaim.store.clock import practice_now
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring, KeyringRefused, Undecipherable
from worker import telemetry
from worker.audit_head import read_head
from worker.settings import Settings

AUDIT_SECONDS: float = 600
"""How often the whole audit log is verified, and authorizations and claims' times are read."""

_HOUR = 3600.0
_DAY = 24 * _HOUR
_BUCKETS = (
    _HOUR, 6 * _HOUR, _DAY, 2 * _DAY, 3 * _DAY, 5 * _DAY, 7 * _DAY, 10 * _DAY, 14 * _DAY,
    21 * _DAY, 30 * _DAY, 45 * _DAY, 60 * _DAY, 90 * _DAY, 180 * _DAY,
)  # fmt: skip
_OVERLAP = timedelta(days=1)
"""Rows may become visible later than their time says; what was counted is known by its row."""

TIMES = {
    "groupclaim_claim_session_to_sent_seconds": (
        "From the session's beginning to the batch that first took its claim.",
        watch.taken_to_send,
    ),
    "groupclaim_claim_sent_to_answer_seconds": (
        "From sending a claim version to the first 277CA about it.",
        watch.taken_to_answer,
    ),
    "groupclaim_claim_sent_to_cash_seconds": (
        "From first sending a claim to the first payer's money posted for it.",
        watch.taken_to_cash,
    ),
    "groupclaim_denial_open_seconds": (
        "From a denial's arrival to its end, of those that have ended.",
        watch.taken_to_conclude,
    ),
}


class Figures(Collector):
    """The last figures read, as Prometheus families."""

    def __init__(self) -> None:
        self.read: dict[watch.Family, watch.Samples] = {}

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        for family in watch.FAMILIES:
            if family not in self.read:
                continue
            made = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            shown = made(family.name, family.help, labels=family.labels)
            for labels, value in self.read[family].items():
                shown.add_metric(labels, value)
            yield shown


class Exporter:
    """Figures, histograms and what is to be known of the exporter itself, in one registry."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None
        self._log = structlog.get_logger("groupclaim.exporter")
        self.registry = CollectorRegistry()
        self.figures = Figures()
        self.registry.register(self.figures)
        self._began = time.time()
        self._last = self._began
        age = Gauge(
            "groupclaim_exporter_age_seconds",
            "How old the exporter's figures are.",
            registry=self.registry,
        )
        age.set_function(lambda: time.time() - self._last)
        self._took = Gauge(
            "groupclaim_exporter_reading_seconds",
            "How long the last reading of the database took.",
            registry=self.registry,
        )
        self._free = Gauge(
            "groupclaim_exporter_disk_free_ratio",
            "Free share of the disk that holds the folder of state or the SQLite database.",
            ["holds"],
            registry=self.registry,
        )
        self._failures = Counter(
            "groupclaim_exporter_failures_total",
            "Readings of the database that failed.",
            registry=self.registry,
        )
        self._times = {
            name: Histogram(name, text, ["payer"], buckets=_BUCKETS, registry=self.registry)
            for name, (text, _) in TIMES.items()
        }
        self._seen: dict[str, dict[str, datetime]] = {name: {} for name in TIMES}

    async def read(self, *, everything: bool) -> bool:
        """Read anew, with ``everything`` also what takes long; False where that failed."""
        began = time.perf_counter()
        self._look_at_disks()
        try:
            database = self._database
            if database is None or everything:
                database = await self._open()
            async with database.reading() as reading:
                now = await practice_now(reading)
                self.figures.read.update(await watch.often(reading, now))
            if everything:
                await self._read_everything(database, now)
        except (SQLAlchemyError, OSError, ValueError, Undecipherable) as error:
            self._failures.inc()
            self._log.error("the database was not read", exception_type=type(error).__name__)
            return False
        self._took.set(time.perf_counter() - began)
        self._last = time.time()
        return True

    def _look_at_disks(self) -> None:
        """Of what lies on this machine; a PostgreSQL server's disk is watched where it is."""
        held = {"state": self._settings.state}
        file = make_url(self._settings.database_url)
        if file.get_backend_name() == "sqlite" and file.database:
            held["database"] = Path(file.database).parent
        for name, folder in held.items():
            with contextlib.suppress(OSError):
                disk = shutil.disk_usage(folder)
                self._free.labels(name).set(disk.free / disk.total if disk.total else 0.0)

    async def _open(self) -> Database:
        """With the keys as they are now: a rotation needs no restart here. Without any the figures
        go on, and say that keys are missing."""
        await self.close()
        try:
            keyring = Keyring.load(self._settings.keys_file)
        except (OSError, KeyringRefused):
            self._log.error("the key file cannot be used", state="missing")
            keyring = Keyring.generate()
        self._database = Database.connect(self._settings.database_url, keyring)
        return self._database

    async def _read_everything(self, database: Database, now: datetime) -> None:
        # Read before the log: what is exported meanwhile is not yet in what is read of the log.
        kept = await asyncio.to_thread(self._kept_head)
        async with database.reading() as reading:
            found = await watch.seldom(reading, now, kept)
            for family in (watch.AUDIT_INTACT, watch.AUTHORIZATIONS):
                self.figures.read.pop(family, None)
            self.figures.read.update(found)
            for name, (_, taken) in TIMES.items():
                seen = self._seen[name]
                newest = max(seen.values(), default=None)
                since = newest - _OVERLAP if newest else datetime.min.replace(tzinfo=UTC)
                for item in await taken(reading, since):
                    if item.row not in seen:
                        self._times[name].labels(item.payer).observe(item.seconds)
                    seen[item.row] = item.at
                self._seen[name] = {row: at for row, at in seen.items() if at >= since}

    def _kept_head(self) -> Head | None:
        place = self._settings.audit_head
        try:
            return read_head(place) if place is not None else None
        except (OSError, ValueError) as error:
            name = type(error).__name__
            self._log.error("the audit log's kept head is not read", exception_type=name)
            return None

    async def close(self) -> None:
        if self._database is not None:
            await self._database.close()
            self._database = None


async def run_exporter(settings: Settings, stop: asyncio.Event) -> None:
    """Serve the figures at ``metrics_host:exporter_port`` until ``stop`` is set."""
    exporter = Exporter(settings)
    telemetry.serve_metrics(settings.metrics_host, settings.exporter_port, exporter.registry)
    audited = -AUDIT_SECONDS
    try:
        while not stop.is_set():
            everything = time.monotonic() - audited >= AUDIT_SECONDS
            if await exporter.read(everything=everything) and everything:
                audited = time.monotonic()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), settings.exporter_seconds)
    finally:
        await exporter.close()
