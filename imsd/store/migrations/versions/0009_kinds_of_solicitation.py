"""Kinds of solicitation that a message says it is (RFC 3865)."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.add_column("queue_message", sa.Column("solicit", text, server_default="", nullable=False))
