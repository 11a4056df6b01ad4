"""No process works on with keys that cannot read what is written, and none makes new ones."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from groupclaim.store import audit
from groupclaim.store.database import Database
from groupclaim.store.keys import Keyring
from tests.store.conftest import database_url, postgres, postgres_template
from tests.store.world import NOW, load_world
from tests.temporal import PATIENCE_SECONDS
from worker.console import serve_console
from worker.process import KeyLost, check_keys, open_books, run_worker
from worker.settings import Settings

__all__ = ["database_url", "postgres", "postgres_template"]


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    (tmp_path / "token").write_text("a-token")
    (tmp_path / "notes.json").write_text("{}")
    return Settings(
        state=tmp_path,
        database=database_url,
        notes=tmp_path / "notes.json",
        clearinghouse="http://127.0.0.1:1",
        clearinghouse_token=tmp_path / "token",
        temporal="127.0.0.1:1",
    )


async def written(settings: Settings) -> Keyring:
    """The keys of a database that holds a practice."""
    database = await open_books(settings)
    await load_world(database)
    await database.close()
    return Keyring.load(settings.keys_file)


async def test_an_empty_database_gets_keys_and_keeps_them(settings: Settings) -> None:
    keys = await written(settings)
    again = await open_books(settings)
    await again.close()
    assert again.keyring.key_ids == keys.key_ids


async def test_without_the_key_file_nothing_starts_and_no_key_is_made(settings: Settings) -> None:
    keys = await written(settings)
    kept = settings.keys_file.read_bytes()
    settings.keys_file.unlink()
    for start in (
        open_books(settings),
        run_worker(settings),
        serve_console(settings, lambda line: None),
    ):
        with pytest.raises(KeyLost, match=f"written under {keys.current}, which is not there"):
            await start
        assert not settings.keys_file.exists()
    settings.keys_file.write_bytes(kept)
    settings.keys_file.chmod(0o600)
    await (await open_books(settings)).close()


async def test_a_file_from_before_a_rotation_is_refused_by_the_missing_keys_id(
    settings: Settings,
) -> None:
    keys = await written(settings)
    rotated = keys.rotated()
    database = Database.connect(settings.database_url, rotated)
    async with database.transaction() as tx:
        await audit.record(tx, NOW, "administrator", "rotate_keys", rotated.current)
    await database.close()
    with pytest.raises(KeyLost, match=rotated.current):
        await open_books(settings)
    rotated.save(settings.keys_file)
    await (await open_books(settings)).close()


async def test_keys_whose_file_is_gone_stop_who_uses_them(settings: Settings) -> None:
    await written(settings)
    database = await open_books(settings)
    await check_keys(database, settings.keys_file)
    settings.keys_file.rename(settings.keys_file.with_name("elsewhere"))
    with pytest.raises(KeyLost, match="is gone while its keys are in use"):
        await check_keys(database, settings.keys_file)
    await database.close()


async def test_the_text_holds_no_key(settings: Settings) -> None:
    await written(settings)
    material = set(json.loads(settings.keys_file.read_text())["keys"].values())
    settings.keys_file.unlink()
    with pytest.raises(KeyLost) as refused:
        await asyncio.wait_for(open_books(settings), PATIENCE_SECONDS)
    assert not any(key in str(refused.value) for key in material)
