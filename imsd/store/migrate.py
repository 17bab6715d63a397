"""Bring a database to the schema of this program, or say why that cannot be.

An empty database gets all tables at once; an older one the steps it lacks, in one transaction; a
newer one is used as it is where its oldest-compatible number allows that, else refused.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.pool import StaticPool

from imsd.errors import StoreUnavailable
from imsd.store import schema, sqlite
from imsd.store.migrations import OLDEST, SCHEMA, revision
from imsd.store.tables import store

_URLS = {"sqlite": "sqlite://", "postgresql": "postgresql+psycopg://"}


class SchemaTooNew(StoreUnavailable):
    """A newer program has changed the store so that this one must not use it."""


def migrate(connect: Callable[[], Any], name: str) -> bool:
    """Migrate the database that `connect` opens; name is "sqlite" or "postgresql".

    True when something was done. Raises SchemaTooNew, StoreUnavailable. Blocks.
    """
    try:
        return _migrate(connect, name)
    except sqlalchemy.exc.DBAPIError as error:
        raise StoreUnavailable(f"The store cannot be migrated: {error.orig}") from error


def _migrate(connect: Callable[[], Any], name: str) -> bool:
    with sqlalchemy_connection(connect, name) as connection, connection.begin():
        if not sqlalchemy.inspect(connection).has_table(store.name):
            create(connection)
            mark(connection)
            return True
        facts = {row.name: row.value for row in connection.execute(store.select())}
        number, oldest = int(facts.get("schema", 0)), int(facts.get("oldest", 0))
        if oldest > SCHEMA:
            raise SchemaTooNew(f"The store has schema {number}; this program knows {SCHEMA}")
        if number >= SCHEMA:
            return False
        command.upgrade(alembic_config(connection), revision())
        mark(connection)
        return True


def rehearse(database: Path) -> bool:
    """Migrate a copy of an SQLite database in use, beside it; True when there was something to do.

    Raises what the migration would raise. The copy is removed. Blocks.
    """
    with tempfile.TemporaryDirectory(dir=database.parent, prefix="rehearsal-") as folder:
        copy = Path(folder) / database.name
        source, target = sqlite.connect(database), sqlite3.connect(copy)
        source.backup(target, pages=-1)
        source.close()
        target.close()
        return migrate(lambda: sqlite.connect(copy), "sqlite")


def create(connection: Connection) -> None:
    """Make every table in an empty database."""
    for statement in schema.statements(0 if connection.dialect.name == "sqlite" else 1):
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
        "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{revision()}')")


def mark(connection: Connection) -> None:
    """Write the schema's numbers where the next opener looks."""
    connection.execute(store.delete().where(store.c.name.in_(["schema", "oldest"])))
    connection.execute(
        store.insert(),
        [{"name": "schema", "value": str(SCHEMA)}, {"name": "oldest", "value": str(OLDEST)}],
    )


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def sqlalchemy_connection(connect: Callable[[], Any], name: str) -> Iterator[Connection]:
    """An SQLAlchemy connection over one of our own."""
    engine = sqlalchemy.create_engine(_URLS[name], creator=connect, poolclass=StaticPool)
    if name == "sqlite":
        # Our connections begin nothing by themselves; schema changes are one transaction, too.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()
