"""The protection that was wanted and reached, of what is tracked."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    for table in ("tracking", "tracking_history"):
        for name in ("tls_wanted", "tls_reached", "tls_cipher", "tls_verified", "tls_name"):
            op.add_column(table, sa.Column(name, text, server_default="", nullable=False))
