"""The steps and the tables make the same schema, on both databases; newer stores are refused."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import imsd.store
from imsd.errors import StoreUnavailable
from imsd.store import migrate, schema, sqlite
from imsd.store.database import Database
from imsd.store.migrations import SCHEMA, revision, versions
from tests.support.postgres import bare_database
from tests.support.stores import StoreReactor, open_store, run


def step_by_step(connect: Callable[[], Any], name: str) -> list[Any]:
    """Run every step on an empty database; what still differs from the tables."""
    with migrate.sqlalchemy_connection(connect, name) as connection:
        with connection.begin():
            command.upgrade(migrate.alembic_config(connection), "head")
            migrate.mark(connection)
        return list(compare_metadata(MigrationContext.configure(connection), schema.metadata))


def sqlite_schema(path: Path) -> list[tuple[str, ...]]:
    """Each table's columns and indexes as SQLite sees them."""
    connection = sqlite3.connect(path)
    found: list[tuple[str, ...]] = []
    for name, text in connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    ).fetchall():
        found.append((name, str("AUTOINCREMENT" in text), str("WITHOUT ROWID" in text)))
        for column in connection.execute(f"PRAGMA table_info('{name}')"):
            found.append((name, *map(str, column)))
    for row in connection.execute(
        "SELECT tbl_name, name, replace(coalesce(sql, ''), '\"', '') FROM sqlite_master "
        "WHERE type = 'index' ORDER BY tbl_name, name"
    ):
        found.append(tuple(map(str, row)))
    connection.close()
    return found


def test_steps_and_tables_agree_on_sqlite(tmp_path: Path) -> None:
    stepped, made = tmp_path / "stepped.db", tmp_path / "made.db"
    assert step_by_step(lambda: sqlite.connect(stepped), "sqlite") == []
    migrate.migrate(lambda: sqlite.connect(made), "sqlite")
    assert sqlite_schema(stepped) == sqlite_schema(made)


def postgresql_schema(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable, collation_name, "
            "column_default IS NULL FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        ).fetchall()
        indexes = connection.execute(
            "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
        ).fetchall()
    return columns + indexes


@pytest.mark.postgres
def test_steps_and_tables_agree_on_postgresql() -> None:
    url = bare_database()
    assert step_by_step(lambda: psycopg.connect(url), "postgresql") == []
    stepped = postgresql_schema(url)
    url = bare_database()
    migrate.migrate(lambda: psycopg.connect(url), "postgresql")
    assert stepped == postgresql_schema(url)
    assert any(row[4] == "C" for row in stepped if len(row) > 4)


def test_the_schema_module_knows_every_table() -> None:
    known = set(schema.metadata.tables)
    for module in pkgutil.iter_modules(imsd.store.__path__):
        importlib.import_module(f"imsd.store.{module.name}")
    assert set(schema.metadata.tables) == known


def facts(home: Path, **values: str) -> None:
    connection = sqlite3.connect(home / "data" / "imsd.db")
    for name, value in values.items():
        connection.execute("UPDATE store SET value = ? WHERE name = ?", (value, name))
    connection.commit()
    connection.close()


def test_a_newer_store_opens_where_it_says_so(sqlite_database: Database, store_reactor: StoreReactor) -> None:
    home = sqlite_database.home
    run(sqlite_database.close())
    facts(home, schema=str(SCHEMA + 1))
    run(open_store(home).close())
    facts(home, oldest=str(SCHEMA + 1))
    with pytest.raises(migrate.SchemaTooNew, match=f"this program knows {SCHEMA}"):
        open_store(home)


def test_the_number_is_that_of_the_newest_step() -> None:
    steps = [module.name for module in pkgutil.iter_modules(versions.__path__)]
    assert max(steps).startswith(f"{revision()}_")


@pytest.mark.parametrize("made_with", [6, 8])
def test_a_store_that_was_marked_with_an_older_number_has_every_column(
    tmp_path: Path, made_with: int, store_reactor: StoreReactor
) -> None:
    """Stores were made with steps 7 and 8 and marked 6, and others were really of schema 6."""
    path = tmp_path / "data" / "imsd.db"
    path.parent.mkdir()
    connect = partial(sqlite.connect, path)
    with migrate.sqlalchemy_connection(connect, "sqlite") as connection, connection.begin():
        command.upgrade(migrate.alembic_config(connection), revision(made_with))
        migrate.mark(connection)
    raw = sqlite.connect(path)
    raw.execute("UPDATE alembic_version SET version_num = '0006'")
    raw.execute("UPDATE store SET value = '6' WHERE name = 'schema'")
    raw.close()
    assert migrate.rehearse(path)
    assert migrate.migrate(connect, "sqlite")
    with migrate.sqlalchemy_connection(connect, "sqlite") as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_an_older_store_is_migrated_after_a_rehearsal(tmp_path: Path, store_reactor: StoreReactor) -> None:
    path = tmp_path / "data" / "imsd.db"
    path.parent.mkdir()
    connection = sqlite.connect(path)
    # Schema 0: the table of facts alone.
    connection.execute("CREATE TABLE store (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    connection.execute("CREATE TABLE setting (key TEXT)")
    connection.close()
    with pytest.raises(StoreUnavailable, match="already exists"):
        migrate.rehearse(path)
    with pytest.raises(StoreUnavailable):
        open_store(tmp_path)
    connection = sqlite.connect(path)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert sorted(tables) == [("setting",), ("store",)], "a failed migration leaves nothing behind"
    connection.close()
    assert [each.name for each in path.parent.iterdir() if each.is_dir()] == []


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, store_reactor: StoreReactor) -> None:
    path = tmp_path / "data" / "imsd.db"
    path.parent.mkdir()
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        open_store(tmp_path)


def test_a_store_has_its_marks(sqlite_database: Database) -> None:
    path = sqlite_database.home / "data" / "imsd.db"
    connection = sqlite3.connect(path)
    marks = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_size", "auto_vacuum", "application_id", "journal_mode")
    }
    assert marks == {
        "page_size": sqlite.PAGE_SIZE,
        "auto_vacuum": 2,
        "application_id": sqlite.APPLICATION_ID,
        "journal_mode": "wal",
    }
    assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == (revision(),)
    connection.close()
