"""Limits of mailboxes, and who was warned. Limits that were set before stay the mailbox's own."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quota",
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("own", sa.SmallInteger(), nullable=False),
        sa.Column("warn_bytes", sa.BigInteger(), nullable=False),
        sa.Column("send_bytes", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("warned", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_quota")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO quota (account, own, warn_bytes, send_bytes, level, warned) "
        "SELECT account, 1, 0, 0, 0, 0 FROM account WHERE quota_bytes <> 0 OR quota_messages <> 0"
    )
