"""Entries that were deleted and may come back, and the names that they had."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    number, octets = sa.BigInteger(), sa.LargeBinary()
    columns: dict[str, Any] = {
        "id": number, "parent": number, "rdn_attribute": text, "rdn_value": text, "rdn_normal": text,
        "kind": sa.SmallInteger(), "created": number, "creator": number, "uuid": octets,
        "attributes": octets, "indexed": octets, "references": octets, "referrers": octets,
        "deleted": number, "actor": number, "until": number,
    }  # fmt: skip
    op.create_table(
        "deleted_entry",
        *(sa.Column(name, kind, nullable=False, autoincrement=False) for name, kind in columns.items()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_entry")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_deleted_entry_until", "deleted_entry", ["until", "id"], unique=False)
    op.create_table(
        "deleted_name",
        sa.Column("entry", number, nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "name", name=op.f("pk_deleted_name")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_deleted_name_name", "deleted_name", ["name"], unique=False)
