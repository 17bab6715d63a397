"""The tables of the directory: organisation tables, small, on every shard (rule 10).

entry            one row per entry; `attributes` as `entry_codec` packs them
entry_value      normalised values of indexed attributes: equality, presence, initial substring
entry_reference  values that are names of entries, by id: renames keep them (rule 14)
entry_name       what finds exactly one entry in the whole organisation: its proxy addresses
                 and login names; the primary key is what keeps them unique

The root of the tree has parent 0, which is no entry. Ids are never given twice: an account
id is an entry id.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, UniqueConstraint

from imsd.store.tables import Bytes, Id, Number, Small, String, metadata

entry = Table(
    "entry",
    metadata,
    Column("id", Id, primary_key=True),
    Column("parent", Number, nullable=False),
    # The distinguished attribute and value as written, and `RDN.normal`.
    Column("rdn_attribute", String, nullable=False),
    Column("rdn_value", String, nullable=False),
    Column("rdn_normal", String, nullable=False),
    Column("kind", Small, nullable=False),
    # The directory's counter when the row was last written.
    Column("version", Number, nullable=False),
    Column("created", Number, nullable=False),
    Column("modified", Number, nullable=False),
    # Entry ids; 0 is the server itself.
    Column("creator", Number, nullable=False),
    Column("modifier", Number, nullable=False),
    Column("uuid", Bytes, nullable=False),
    Column("attributes", Bytes, nullable=False),
    UniqueConstraint("parent", "rdn_normal"),
    # A page of what is below an entry: without it each page sorts all of that.
    Index("ix_entry_parent", "parent", "id"),
    sqlite_autoincrement=True,
)

entry_value = Table(
    "entry_value",
    metadata,
    Column("attribute", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("entry", Number, primary_key=True, autoincrement=False),
    Index("ix_entry_value_entry", "entry"),
    sqlite_with_rowid=False,
)

entry_reference = Table(
    "entry_reference",
    metadata,
    Column("entry", Number, primary_key=True, autoincrement=False),
    Column("attribute", String, primary_key=True),
    Column("target", Number, primary_key=True, autoincrement=False),
    # The order in which values were given.
    Column("position", Number, nullable=False),
    Index("ix_entry_reference_target", "target", "attribute", "entry"),
    sqlite_with_rowid=False,
)

entry_name = Table(
    "entry_name",
    metadata,
    Column("name", String, primary_key=True),
    Column("entry", Number, nullable=False),
    # `entries.NameKind`.
    Column("kind", Small, nullable=False),
    Index("ix_entry_name_entry", "entry"),
    sqlite_with_rowid=False,
)
