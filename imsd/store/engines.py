"""Engines: what differs between the databases when a store is opened and closed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from imsd.errors import StoreUnavailable
from imsd.store import sqlite
from imsd.store.changes import Scope
from imsd.store.migrations import SCHEMA
from imsd.store.readers import Connection as ReadConnection
from imsd.store.sql import POSTGRESQL, SQLITE
from imsd.store.turns import TurnWriter
from imsd.store.writer import Deliver, Writer


class Engine(Protocol):
    """A prepared database: connections for the door."""

    dialect: int
    node: int
    """Which of the nodes that share the database this home is; 0 where there is one."""

    def inline_reader(self) -> ReadConnection | None: ...
    def readers(self, count: int) -> list[ReadConnection]: ...
    def writers(self, reactor: Any, deliver: Deliver, told: Deliver) -> list[Writer] | list[TurnWriter]:
        """Writers that call `deliver` on the reactor, or `told` in their thread."""

    def connect_nodes(self, heard: Callable[[list[Scope] | None], None]) -> bool:
        """Begin to hear of other nodes' changes; False where there can be none."""

    def tell_nodes(self, scopes: set[Scope]) -> None:
        """Other nodes may want to know; called in writer threads, after COMMIT."""

    def close(self) -> None: ...


class SqliteEngine:
    """The embedded database: HOME/data/imsd.db."""

    dialect = SQLITE
    node = 0

    def __init__(self, home: Path) -> None:
        self.path = home / "data" / "imsd.db"
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            _bring_up_to_date(lambda: sqlite.connect(self.path), "sqlite")
        except sqlite.Error as error:
            raise StoreUnavailable(f"{self.path} cannot be used: {error}") from error

    def inline_reader(self) -> ReadConnection:
        return sqlite.ReadConnection(self.path)

    def readers(self, count: int) -> list[ReadConnection]:
        return [sqlite.ReadConnection(self.path) for _ in range(count)]

    def writers(self, reactor: Any, deliver: Deliver, told: Deliver) -> list[TurnWriter]:
        connection = sqlite.WriteConnection(self.path)
        return [TurnWriter(connection, deliver, reactor, connection.arrivals)]

    def connect_nodes(self, heard: Callable[[list[Scope] | None], None]) -> bool:
        return False

    def tell_nodes(self, scopes: set[Scope]) -> None:
        """There are none."""

    def close(self) -> None:
        """Nothing is held beyond the connections."""


class PostgresqlEngine:
    """A server that several nodes may share."""

    dialect = POSTGRESQL
    WRITERS = 4

    def __init__(self, url: str, home: Path) -> None:
        # Imported here: the driver is an extra, and an embedded store does without it.
        try:
            from imsd.store import postgresql
        except ImportError as error:
            raise StoreUnavailable("PostgreSQL needs the extra imsd[postgres]") from error

        self._driver = postgresql
        self._url = url
        self.node = _node_of(home)
        self._hints: postgresql.Hints | None = None
        try:
            first = postgresql.connect_plainly(url)
        except StoreUnavailable as error:
            # To who starts it this is the whole story; peers never see it.
            cause = " ".join(str(error.__cause__ or error).split())
            raise StoreUnavailable(f"The database cannot be reached: {cause}") from error
        with first as connection:
            first.autocommit = True
            # Nodes that start together create once.
            connection.execute("SELECT pg_advisory_lock(1229804356)")
            _bring_up_to_date(lambda: postgresql.connect_plainly(url), "postgresql")

    def inline_reader(self) -> None:
        return None

    def readers(self, count: int) -> list[ReadConnection]:
        return [self._driver.ReadConnection(self._url) for _ in range(count)]

    def writers(self, reactor: Any, deliver: Deliver, told: Deliver) -> list[Writer]:
        return [
            Writer(self._driver.WriteConnection(self._url), told, units=64, seconds=0.01)
            for _ in range(self.WRITERS)
        ]

    def connect_nodes(self, heard: Callable[[list[Scope] | None], None]) -> bool:
        self._hints = self._driver.Hints(self._url, heard)
        return True

    def tell_nodes(self, scopes: set[Scope]) -> None:
        if self._hints is not None:
            self._hints.tell(scopes)

    def close(self) -> None:
        if self._hints is not None:
            self._hints.stop()


def _node_of(home: Path) -> int:
    """The number of a home among those that share a database: drawn once, kept in it."""
    path = home / "data" / "node"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        path.write_text(f"{secrets.randbelow(2**40) + 1}\n")
    return int(path.read_text())


def _bring_up_to_date(connect: Callable[[], Any], name: str) -> None:
    """Migrate, unless a look at the schema's number says that nothing is to be done."""
    connection = connect()
    try:
        rows = connection.execute("SELECT value FROM store WHERE name = 'schema'").fetchall()
    except Exception:
        rows = []  # An empty database, or one that migrating will complain of.
    finally:
        connection.close()
    if rows != [(str(SCHEMA),)]:
        # Imported here: Alembic takes longer to import than an up-to-date store to open.
        from imsd.store import migrate

        migrate.migrate(connect, name)


def prepare(url: str, home: Path) -> Engine:
    """Open, create or migrate the database that the url names."""
    if url == "sqlite":
        return SqliteEngine(home)
    if url.startswith(("postgresql://", "postgres://")):
        return PostgresqlEngine(url, home)
    raise ValueError(f"Not a database URL: {url.partition(':')[0]}")
