"""The exporter as a process would run it: figures from the store, also when that cannot be read."""

from __future__ import annotations

import asyncio
import contextlib
import urllib.request
from collections import namedtuple
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from activities import measures, steps
from groupclaim.store import audit, watch
from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from tests.store.world import NOW, load_world, paid, payment, post, send_all
from tests.temporal import PATIENCE_SECONDS
from worker.embedded import free_port
from worker.exporter import Exporter, run_exporter
from worker.settings import Settings


async def small_practice(folder: Path) -> Settings:
    settings = Settings(state=folder, exporter_port=free_port(), exporter_seconds=0.05)
    migrate(settings.database_url)
    database = Database.connect(settings.database_url, Keyring.load_or_generate(settings.keys_file))
    world = await load_world(database)
    await send_all(world, world.claims[:2])
    await post(world, payment(paid(world.claims[0], 4000, ("CO", "45", 2500))))
    await database.close()
    return settings


def lines(exporter: Exporter, beginning: str) -> list[str]:
    text = generate_latest(exporter.registry).decode()
    return [line for line in text.splitlines() if line.startswith(beginning)]


async def test_prometheus_gets_what_stands_in_the_store(tmp_path: Path) -> None:
    settings = await small_practice(tmp_path)
    stop = asyncio.Event()
    running = asyncio.create_task(run_exporter(settings, stop))
    text = ""

    def scraped() -> str:
        address = f"http://127.0.0.1:{settings.exporter_port}/metrics"
        answer: bytes = urllib.request.urlopen(address).read()
        return answer.decode()

    async with asyncio.timeout(PATIENCE_SECONDS):
        while "groupclaim_claims{" not in text or "sent_to_cash_seconds_count" not in text:
            await asyncio.sleep(0.05)
            assert not running.done()
            with contextlib.suppress(OSError):
                text = await asyncio.to_thread(scraped)
    stop.set()
    await running
    assert "# TYPE groupclaim_payer_decisions_total counter" in text
    assert "# HELP groupclaim_ready_claims Claims that wait for a batch." in text
    # Two claims of 65.00, one of them paid 40.00 and written down by 25.00.
    payer = next(iter(lines_of(text, "groupclaim_claim_dollars{"))).split('payer="')[1][:17]
    assert f'groupclaim_claim_dollars{{part="open",payer="{payer}"}} 65.0' in text


def lines_of(text: str, beginning: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(beginning)]


async def test_a_claim_is_timed_once_however_often_the_store_is_read(tmp_path: Path) -> None:
    exporter = Exporter(await small_practice(tmp_path))
    for _ in range(3):
        assert await exporter.read(everything=True)
    await exporter.close()
    (sent,) = lines(exporter, "groupclaim_claim_session_to_sent_seconds_count")
    (cash,) = lines(exporter, "groupclaim_claim_sent_to_cash_seconds_count")
    assert sent.endswith(" 2.0")
    assert cash.endswith(" 1.0")


async def test_figures_stay_and_grow_old_while_the_database_cannot_be_read(tmp_path: Path) -> None:
    settings = await small_practice(tmp_path)
    exporter = Exporter(settings)
    assert await exporter.read(everything=True)
    before = lines(exporter, "groupclaim_claims{")
    await exporter.close()
    (tmp_path / "groupclaim.db").rename(tmp_path / "gone.db")
    assert not await exporter.read(everything=False)
    await asyncio.sleep(0.1)
    assert lines(exporter, "groupclaim_claims{") == before != []
    assert lines(exporter, "groupclaim_exporter_failures_total") == [
        "groupclaim_exporter_failures_total 1.0"
    ]
    (age,) = lines(exporter, "groupclaim_exporter_age_seconds")
    assert float(age.split()[1]) >= 0.1
    await exporter.close()


async def test_a_lost_key_is_told_and_the_other_figures_go_on(tmp_path: Path) -> None:
    """The audit log cannot be judged without its key, so nothing is said of it."""
    settings = await small_practice(tmp_path)
    keyring = Keyring.load(settings.keys_file)
    database = Database.connect(settings.database_url, keyring)
    async with database.transaction() as tx:
        await audit.record(tx, NOW, "someone", "look", "claim")
    await database.close()
    settings.keys_file.rename(tmp_path / "kept_elsewhere.json")
    exporter = Exporter(settings)
    assert await exporter.read(everything=True)
    assert lines(exporter, "groupclaim_encryption_keys_missing") == [
        "groupclaim_encryption_keys_missing 1.0"
    ]
    assert lines(exporter, "groupclaim_audit_chain_intact") == []
    assert not settings.keys_file.exists()
    assert lines(exporter, "groupclaim_claims{") != []
    (tmp_path / "kept_elsewhere.json").rename(settings.keys_file)
    assert await exporter.read(everything=True)
    assert lines(exporter, "groupclaim_encryption_keys_missing") == [
        "groupclaim_encryption_keys_missing 0.0"
    ]
    assert lines(exporter, "groupclaim_audit_chain_intact") == ["groupclaim_audit_chain_intact 1.0"]
    await exporter.close()


def test_what_a_step_says_is_counted_by_its_kind() -> None:
    def value(metric: object, **labels: str) -> float:
        return metric.labels(**labels)._value.get()  # type: ignore[attr-defined,no-any-return]

    before = {
        "retries": value(measures.STEP_RETRIES, step="read_file"),
        "refused": value(measures.X12_FILES, direction="inbound", outcome="refused"),
        "faulty": value(measures.X12_FILES, direction="inbound", outcome="faulty"),
        "read": value(measures.X12_FILES, direction="inbound", outcome="read"),
        "cut": measures.BATCH_CLAIMS._sum.get(),
    }
    measures.count_attempt("read_file", 1, "done", 0.1)
    measures.count_attempt("read_file", 2, "failed", 0.1)
    for problems, stays in ((0, False), (2, False), (2, True)):
        measures.count_result(
            steps.FileContents(acknowledgments=0, payments=0, problems=problems, stays=stays)
        )
    measures.count_result(steps.CutBatch(batch_id=None, claims=0))
    measures.count_result(steps.CutBatch(batch_id="b", claims=8))
    after = {
        "retries": value(measures.STEP_RETRIES, step="read_file"),
        "refused": value(measures.X12_FILES, direction="inbound", outcome="refused"),
        "faulty": value(measures.X12_FILES, direction="inbound", outcome="faulty"),
        "read": value(measures.X12_FILES, direction="inbound", outcome="read"),
        "cut": measures.BATCH_CLAIMS._sum.get(),
    }
    assert {name: after[name] - before[name] for name in after} == {
        "retries": 1, "refused": 1, "faulty": 1, "read": 1, "cut": 8,
    }  # fmt: skip


def test_no_two_families_share_a_name_and_counters_say_so() -> None:
    names = [family.name for family in watch.FAMILIES]
    assert len(names) == len(set(names))
    for family in watch.FAMILIES:
        assert (family.kind == "counter") == family.name.endswith("_total"), family.name


async def test_the_free_share_of_each_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while the database itself cannot be read: its disk may be why."""
    told = namedtuple("told", "total used free")
    disks = {tmp_path / "state": told(1000, 400, 600), tmp_path / "books": told(1000, 990, 10)}
    monkeypatch.setattr("shutil.disk_usage", disks.__getitem__)
    settings = Settings(
        state=tmp_path / "state", database=f"sqlite:///{tmp_path / 'books' / 'groupclaim.db'}"
    )
    exporter = Exporter(settings)
    assert not await exporter.read(everything=False)
    assert sorted(lines(exporter, "groupclaim_exporter_disk_free_ratio{")) == [
        'groupclaim_exporter_disk_free_ratio{holds="database"} 0.01',
        'groupclaim_exporter_disk_free_ratio{holds="state"} 0.6',
    ]
    await exporter.close()
