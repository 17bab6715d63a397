"""Rights denied to somebody, and annotations of mailboxes and of the server."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "annotation",
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("mailbox", sa.BigInteger(), nullable=False),
        sa.Column("reader", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(collation="C").with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account", "mailbox", "reader", "name", name=op.f("pk_annotation")),
        sqlite_with_rowid=False,
    )
    op.create_index("annotation_reader", "annotation", ["reader"], unique=False)
    op.create_table(
        "mailbox_denial",
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("mailbox", sa.BigInteger(), nullable=False),
        sa.Column("grantee", sa.BigInteger(), nullable=False),
        sa.Column("rights", sa.Text(collation="C").with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("account", "mailbox", "grantee", name=op.f("pk_mailbox_denial")),
        sqlite_with_rowid=False,
    )
    op.create_index("mailbox_denial_grantee", "mailbox_denial", ["grantee"], unique=False)
