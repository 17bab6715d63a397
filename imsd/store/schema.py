"""Every table: importing this module defines them all on `metadata`."""

from __future__ import annotations

from sqlalchemy.schema import CreateIndex, CreateTable

from imsd.store import (
    acl,
    blob_rows,
    credentials,
    deleted_entries,
    duties,
    entry_tables,
    fanout,
    greylist,
    long_jobs,
    mailbox_annotations,
    mailbox_tables,
    maildrops,
    quotas,
    sent,
    settings,
    spool,
    sts_policies,
    tables,
    tls_received,
    tls_results,
    tracking,
    url_keys,
)
from imsd.store.sql import DIALECTS
from imsd.store.tables import metadata as metadata

WHERE = (
    tables,
    blob_rows,
    mailbox_tables,
    maildrops,
    duties,
    long_jobs,
    quotas,
    acl,
    mailbox_annotations,
    entry_tables,
    deleted_entries,
    credentials,
    spool,
    fanout,
    tracking,
    settings,
    sts_policies,
    greylist,
    sent,
    url_keys,
    tls_results,
    tls_received,
)
"""The modules that define tables."""


def statements(dialect: int) -> list[str]:
    """The statements that create everything in an empty database."""
    made: list[str] = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=DIALECTS[dialect])))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            made.append(str(CreateIndex(index).compile(dialect=DIALECTS[dialect])))
    return made
