"""Write the next schema step from what differs between the steps so far and the tables.

    python -m imsd.store.migrations.draft "what is new"

Read what it wrote: Alembic sees tables, columns and indexes, not meaning. Then set SCHEMA, and
OLDEST where an older program could not use the store any more.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

from imsd.store import migrate, sqlite
from imsd.store.migrations import revision


def draft(message: str) -> None:
    """Write versions/NNNN_message.py."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "draft.db"
        with migrate.sqlalchemy_connection(lambda: sqlite.connect(path), "sqlite") as connection:
            config = migrate.alembic_config(connection)
            steps = sorted((Path(__file__).parent / "versions").glob("[0-9]*.py"))
            if steps:
                command.upgrade(config, "head")
            command.revision(config, message, autogenerate=True, rev_id=revision(len(steps) + 1), head="head")


if __name__ == "__main__":
    draft(sys.argv[1])
