"""What a sender asks of the way of his message (RFC 8689)."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    columns = sa.inspect(op.get_bind()).get_columns("queue_message")
    if any(column["name"] == "tls" for column in columns):
        return  # For a while stores were made with it and marked with a number before.
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.add_column("queue_message", sa.Column("tls", text, server_default="", nullable=False))
