"""The host that a queued message came from (ims_spec 3.2)."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.add_column("queue_message", sa.Column("peer", text, server_default="", nullable=False))
