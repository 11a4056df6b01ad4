"""A database with an invented practice in it: on SQLite, and on PostgreSQL where there is one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import psycopg
import pytest

from groupclaim.store.database import Database, migrate
from groupclaim.store.keys import Keyring
from tests.faults.catalogue import PROOFS
from tests.faults.invariants import broken
from tests.postgres import NoPostgres, postgres_server
from tests.store.world import NOW, World, load_world

_names = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server's maintenance database."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(postgres_server(in_memory=True))
        except NoPostgres as missing:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"PostgreSQL tests skipped: {missing}")
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> str:
    """The name of a migrated database to be copied, which is faster than migrating anew."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE DATABASE migrated")
    migrate(postgres.rsplit("/", 1)[0] + "/migrated")
    return "migrated"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database with all tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/store.db"
        migrate(url)
        yield url
        return
    server: str = request.getfixturevalue("postgres")
    template: str = request.getfixturevalue("postgres_template")
    name = f"test_{next(_names)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.generate()


@pytest.fixture
async def database(database_url: str, keyring: Keyring) -> AsyncIterator[Database]:
    database = Database.connect(database_url, keyring)
    yield database
    await database.close()


@pytest.fixture
async def world(
    database: Database, database_url: str, keyring: Keyring, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    """The practice with one session of six, attendance not yet recorded. What the proof of a fault
    leaves behind is looked over whole."""
    yield await load_world(database)
    if request.node.nodeid.partition("[")[0] in PROOFS:
        assert await broken(database_url, keyring, moving=False) == []


@pytest.fixture
def now() -> datetime:
    assert NOW.tzinfo is UTC
    return NOW
