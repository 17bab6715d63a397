"""When wrong passwords were given, and when grace logins were used."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    for name in ("failure_times", "grace_times"):
        op.add_column("credential", sa.Column(name, text, server_default="", nullable=False))
