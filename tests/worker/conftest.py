"""What every test of a command starts from."""

from __future__ import annotations

from pathlib import Path

import pytest

from groupclaim.store.database import migrate
from groupclaim.store.keys import Keyring
from worker.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a state folder with keys and an empty database, which the command finds too."""
    monkeypatch.setenv("GROUPCLAIM_STATE", str(tmp_path / "state"))
    settings = Settings()
    Keyring.load_or_generate(settings.keys_file)
    migrate(settings.database_url)
    return settings
