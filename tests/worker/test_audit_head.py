"""The audit log's head, kept elsewhere: who cuts the log off is found, and it is not forgotten."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from sqlalchemy import text

from groupclaim.store import audit
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring
from tests.store.world import NOW
from worker.audit_head import read_head, seal_and_export
from worker.exporter import Exporter
from worker.settings import Settings


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    opened = Database.connect(settings.database_url, Keyring.load(settings.keys_file))
    yield opened
    await opened.close()


async def note(database: Database, number: int) -> None:
    async with database.transaction() as tx:
        await audit.record(tx, NOW, "biller-1", "claim_viewed", f"GC{number}")


async def cut_off(database: Database) -> None:
    """The last seal and its entries, with the triggers switched off."""
    async with database.transaction() as tx:
        for table in ("audit_entry", "audit_seal"):
            await tx.execute(text(f"DROP TRIGGER {table}_no_delete"))
        await tx.execute(text("DELETE FROM audit_seal WHERE number = 2"))
        await tx.execute(text("DELETE FROM audit_entry WHERE id > 1"))


async def intact(settings: Settings) -> float:
    exporter = Exporter(settings)
    assert await exporter.read(everything=True)
    await exporter.close()
    (line,) = (
        line
        for line in generate_latest(exporter.registry).decode().splitlines()
        if line.startswith("groupclaim_audit_chain_intact ")
    )
    return float(line.split()[1])


async def test_a_head_that_the_log_lacks_is_told_and_never_written_over(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    place = tmp_path / "head.json"
    settings = settings.model_copy(update={"audit_head": place})
    for number in (1, 2):
        await note(database, number)
        await seal_and_export(database, place)
    kept = read_head(place)
    assert kept is not None
    assert kept.number == 2
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".draft")]
    assert await intact(settings) == 1.0

    await cut_off(database)
    await note(database, 3)
    await seal_and_export(database, place)  # a second seal again, but of another entry
    assert read_head(place) == kept
    async with database.reading() as reading:
        assert await audit.verify(reading) is None
        assert await audit.verify(reading, kept) == audit.Tampering("cut_off", "audit_seal 2")
    assert await intact(settings) == 0.0
    # Once it has been put aside, as evidence, the next head is kept.
    place.rename(tmp_path / "evidence.json")
    await note(database, 4)
    await seal_and_export(database, place)
    assert await intact(settings) == 1.0


@pytest.mark.parametrize("trouble", ["no folder", "no head"])
async def test_where_no_head_can_be_kept_the_log_is_sealed_and_work_goes_on(
    settings: Settings, database: Database, tmp_path: Path, trouble: str
) -> None:
    place = tmp_path / ("away/head.json" if trouble == "no folder" else "head.json")
    if trouble == "no head":
        place.write_text("no head")
    await note(database, 1)
    await seal_and_export(database, place)
    async with database.reading() as reading:
        assert await audit.sealed_to(reading) == 1
    assert not place.parent.exists() or place.read_text() == "no head"
    assert await intact(settings.model_copy(update={"audit_head": place})) == 1.0
