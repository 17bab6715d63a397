"""In what form a queued message leaves (Internet-Encoding of its recipients)."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.add_column("queue_message", sa.Column("form", text, server_default="", nullable=False))
