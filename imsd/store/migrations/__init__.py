"""Schema versions: Alembic steps, from an empty database to the tables of `imsd.store.schema`.

    python -m imsd.store.migrations.draft "why"     writes the next step from what differs

A step only adds: a store that a newer imsd has opened can still be opened by every version from
its oldest-compatible number on (`OLDEST`). A new store is made from the tables at once and marked
with the newest number; a test proves that both ways end in the same schema.
"""

SCHEMA = 22
"""The number of the newest step; steps are named 0001, 0002, ..."""
OLDEST = 1
"""The oldest schema number whose program can use a store of this one."""


def revision(number: int = SCHEMA) -> str:
    """Alembic's name of a step."""
    return f"{number:04d}"
