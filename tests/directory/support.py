"""A directory with an organisation, for tests."""

from __future__ import annotations

from imsd.directory.directory import Directory
from imsd.settings import PAGES, LiveSettings
from imsd.store import settings as rows
from imsd.store.changes import SETTINGS
from imsd.store.database import Database
from tests.support.stores import run


class PlainPasswords:
    """Makes verifiers that show what they were made of."""

    async def make(self, password: str) -> str:
        return f"plain:{password}"


def open_directory(database: Database) -> Directory:
    """An organisation "Example" with the domain example.test and its administrator."""
    settings = LiveSettings(PAGES)
    database.feed.watch(SETTINGS, lambda _: read_settings(database, settings))
    directory = Directory(database, settings, database.reactor, PlainPasswords())
    run(directory.start())
    run(directory.bootstrap("Example", "Main", "example.test", "secret"))
    read_settings(database, settings)
    return directory


def read_settings(database: Database, settings: LiveSettings) -> None:
    reading = database.read(rows.values)
    reading.addCallback(settings.replace)


def configure(directory: Directory, **values: str) -> None:
    """Set settings: addressing__domains='["b.test"]'."""
    put = {key.replace("__", "."): value for key, value in values.items()}
    run(directory.db.write(rows.change, put))
    directory.settings.replace(run(directory.db.read(rows.values)))
