"""Connections and transactions, the same on SQLite and PostgreSQL.

SQLite: write-ahead log, ``BEGIN IMMEDIATE`` for whatever may write (two writers then queue instead
of failing half-way), foreign keys on. PostgreSQL: read committed with row locks for writing,
one snapshot for reading. Several processes use one database at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import BaseModel
from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Engine,
    Executable,
    Row,
    Table,
    create_engine,
    event,
    literal_column,
    make_url,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from groupclaim.store.keys import Keyring
from groupclaim.store.schema import VIEWS, counter, view_ddl
from groupclaim.store.sqlite import hasty

BUSY_SECONDS: float = 60
"""How long SQLite waits for another writer; above the longest posting."""

CONNECTIONS = 24
"""Of one process."""

_ATTEMPTS = 3
_AGAIN_SECONDS = 0.02
_MIGRATION_LOCK = 90853

_KEPT_OPEN = 1_024
"""Documents that stay opened: what all claims share, and those of the claims worked on just now."""

Model = TypeVar("Model", bound=BaseModel)


class _Documents:
    """Encrypted documents, opened. The same bytes are the same record, which never changes, so one
    that was opened a short while ago is neither decrypted nor validated again."""

    def __init__(self, keyring: Keyring) -> None:
        self.keyring = keyring
        self._record = lru_cache(_KEPT_OPEN)(self._opened)

    def open(self, column: str, document: bytes, record: type[Model]) -> Model:
        opened = self._record(column, document, record)
        assert isinstance(opened, record)
        return opened

    def _opened(self, column: str, document: bytes, record: type[BaseModel]) -> BaseModel:
        return record.model_validate_json(self.keyring.fields.open(column, document))


class Reading:
    """An open transaction that only reads: one consistent view of everything."""

    def __init__(self, connection: AsyncConnection, documents: _Documents) -> None:
        self.connection = connection
        self.keyring = documents.keyring
        self._documents = documents
        self.read: dict[object, Any] = {}
        """What does not change while this is open and was read once."""

    async def execute(
        self, statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] = ()
    ) -> CursorResult[Any]:
        return await self.connection.execute(statement, values or None)

    async def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        return (await self.connection.execute(statement)).all()

    async def first(self, statement: Executable) -> Row[Any] | None:
        return (await self.connection.execute(statement)).first()

    async def scalar(self, statement: Executable) -> Any:
        return (await self.connection.execute(statement)).scalar()

    async def read_once(self, statement: Executable, values: Mapping[str, Any]) -> Any:
        """The first value that a statement gives, of which nothing changes while this is open.

        ``statement`` is written once, so that it is known again; what is not there is asked again.
        """
        key = (statement, *values.values())
        if self.read.get(key) is None:
            self.read[key] = (await self.connection.execute(statement, values)).scalar()
        return self.read[key]

    def unseal(self, table: Table, document: bytes, record: type[Model]) -> Model:
        """The record kept in an encrypted ``document`` of ``table``."""
        return self._documents.open(f"{table.name}.document", document, record)


@cache
def _inserting(table: Table) -> Executable:
    return table.insert()


@cache
def _inserting_new(dialect: str, table: Table) -> Executable:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing().returning(literal_column("1"))


@cache
def _putting(dialect: str, table: Table) -> Executable:
    statement: Any = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)
    keys = list(table.primary_key.columns)
    given = {column.name: statement.excluded[column.name] for column in table.columns}
    changed = {name: value for name, value in given.items() if name not in {k.name for k in keys}}
    done: Executable = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    return done


class Transaction(Reading):
    """An open transaction that may write; it is kept whole or not at all."""

    def seal(self, table: Table, record: BaseModel) -> bytes:
        """``record`` as an encrypted document of ``table``."""
        return self.keyring.fields.seal(
            f"{table.name}.document", record.model_dump_json(by_alias=True).encode()
        )

    async def insert_new(self, table: Table, values: Mapping[str, Any]) -> bool:
        """Insert unless a row with the same primary key or unique value is there; True if new."""
        statement = _inserting_new(self.connection.dialect.name, table)
        return (await self.connection.execute(statement, dict(values))).first() is not None

    async def put(self, table: Table, values: Mapping[str, Any]) -> None:
        """Insert a row, or give the row with the same primary key these values."""
        statement = _putting(self.connection.dialect.name, table)
        await self.connection.execute(statement, dict(values))

    async def insert_all(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that must all be new, in one go."""
        if rows:
            await self.connection.execute(_inserting(table), rows if len(rows) > 1 else rows[0])

    async def next_number(self, name: str) -> int:
        """The next of a series, from 1, without gaps: a rolled back number is given again."""
        await self.insert_new(counter, {"name": name, "value": 0})
        value: int = await self.scalar(
            update(counter)
            .where(counter.c.name == name)
            .values(value=counter.c.value + 1)
            .returning(counter.c.value)
        )
        return value


class Database:
    """One database and the keys to read it. Made once per process and event loop."""

    def __init__(self, engine: AsyncEngine, keyring: Keyring) -> None:
        self._engine = engine
        self._documents = _Documents(keyring)
        self._sqlite = engine.dialect.name == "sqlite"
        # Writers of one process queue here, in order, instead of polling SQLite's one lock.
        self._writer: AbstractAsyncContextManager[Any] = (
            asyncio.Lock() if self._sqlite else nullcontext()
        )

    @property
    def keyring(self) -> Keyring:
        return self._documents.keyring

    @keyring.setter
    def keyring(self, keyring: Keyring) -> None:
        """From here on other keys; what was opened with those before is forgotten."""
        self._documents = _Documents(keyring)

    @classmethod
    def connect(cls, url: str, keyring: Keyring, *, short: bool = False) -> Database:
        """Use ``sqlite:///path`` or ``postgresql://...``; :func:`migrate` has made the tables.

        ``short``: all that is asked of it takes little time, as a worker's steps do; on SQLite
        statements then run where they are asked for (:mod:`groupclaim.store.sqlite`).
        """
        driver = _driver(url, asynchronous=True)
        hastily = short and driver.get_backend_name() == "sqlite"
        engine = create_async_engine(
            driver,
            # Those once opened stay open, and the one last used is used first.
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_use_lifo=True,
            pool_timeout=BUSY_SECONDS,
            connect_args={"async_creator_fn": hasty} if hastily else {},
            hide_parameters=True,  # else the text of an error holds what was to be written
        )
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine.sync_engine)
        return cls(engine, keyring)

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Write: committed at the end of the block, rolled back when it raises.

        Never open one inside another: on SQLite the inner one would wait for the outer for ever.
        """
        async with self._writer:
            connection = await self._begin_writing()
            try:
                yield Transaction(connection, self._documents)
                await connection.commit()
            finally:
                await connection.close()

    @asynccontextmanager
    async def rehearsal(self) -> AsyncIterator[Transaction]:
        """Write as if it were meant, and take everything back at the end of the block."""
        async with self._writer:
            connection = await self._begin_writing()
            try:
                yield Transaction(connection, self._documents)
            finally:
                await connection.rollback()
                await connection.close()

    async def _begin_writing(self) -> AsyncConnection:
        """A connection in a writing transaction. Only here SQLite can find itself busy: with the
        write lock taken at the beginning, nothing later waits for another writer."""
        for attempt in range(1, _ATTEMPTS + 1):
            connection = await self._engine.connect()
            try:
                await connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
                await connection.begin()
                return connection
            except OperationalError as error:
                await connection.close()
                if attempt == _ATTEMPTS or not _is_busy(error.orig):
                    raise
            except BaseException:
                await connection.close()
                raise
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Reading]:
        """Read: one snapshot, whatever is written meanwhile."""
        async with self._engine.connect() as connection:
            if not self._sqlite:
                await connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            yield Reading(connection, self._documents)


_BEGIN = "groupclaim_begin"


def _prepare_sqlite(engine: Engine) -> None:
    """Transactions begin when we say so, not when the driver guesses."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1000)}")
        _write_ahead(cursor)
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begun(connection: Any) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _write_ahead(cursor: Any) -> None:
    """Who opens a new database while others do is refused here at once, whatever the time-out."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > until:
                raise
            time.sleep(_AGAIN_SECONDS)


def _is_busy(error: BaseException | None) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _driver(url: str, *, asynchronous: bool) -> URL:
    parsed = make_url(url)
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite+aiosqlite" if asynchronous else "sqlite")
    if kind in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ValueError("the database URL begins with sqlite:/// and a path, or postgresql://")


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(files(__package__) / "migrations"))
    config.attributes["connection"] = connection
    wanted = ScriptDirectory.from_config(config).get_current_head()
    if MigrationContext.configure(connection).get_current_revision() == wanted:
        return
    # Views are made anew for the newest tables, so no migration has to carry an old one.
    for view in reversed(VIEWS):
        connection.execute(text(f"DROP VIEW IF EXISTS {view}"))
    command.upgrade(config, "head")
    for statement in view_ddl(connection.dialect.name):
        connection.execute(text(statement))


def migrate(url: str) -> None:
    """Bring the tables up to date. Several processes may call it at once: one does the work."""
    engine = create_engine(_driver(url, asynchronous=False))
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    try:
        options = {_BEGIN: "BEGIN IMMEDIATE"}
        with engine.connect().execution_options(**options) as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            _upgrade(connection)
    finally:
        engine.dispose()
