"""Engines: what differs between the databases when a store is opened and closed."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from imsd.store import schema, sqlite
from imsd.store.readers import Connection as ReadConnection
from imsd.store.sql import SQLITE
from imsd.store.writer import Deliver, Writer


class Engine(Protocol):
    """A prepared database: connections for the door."""

    dialect: int

    def inline_reader(self) -> ReadConnection | None: ...
    def readers(self, count: int) -> list[ReadConnection]: ...
    def writers(self, deliver: Deliver) -> list[Writer]: ...
    def close(self) -> None: ...


class SqliteEngine:
    """The embedded database: HOME/data/imsd.db."""

    dialect = SQLITE

    def __init__(self, home: Path) -> None:
        self.path = home / "data" / "imsd.db"
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite.connect(self.path)
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            connection.execute("BEGIN")
            for statement in schema.statements(SQLITE):
                connection.execute(statement)
            connection.execute("COMMIT")
        connection.close()

    def inline_reader(self) -> ReadConnection:
        return sqlite.ReadConnection(self.path)

    def readers(self, count: int) -> list[ReadConnection]:
        return [sqlite.ReadConnection(self.path) for _ in range(count)]

    def writers(self, deliver: Deliver) -> list[Writer]:
        return [Writer(sqlite.WriteConnection(self.path), deliver)]

    def close(self) -> None:
        """Nothing is held beyond the connections."""


def prepare(url: str, home: Path) -> Engine:
    """Open, create or migrate the database that the url names."""
    if url == "sqlite":
        return SqliteEngine(home)
    raise ValueError(f"Unknown database URL: {url}")
