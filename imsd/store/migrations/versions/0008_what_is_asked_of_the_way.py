"""What a sender asks of the way of his message (RFC 8689)."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.add_column("queue_message", sa.Column("tls", text, server_default="", nullable=False))
