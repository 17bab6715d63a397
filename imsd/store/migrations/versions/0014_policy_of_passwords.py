"""Former passwords, whether one must be changed, grace logins, failures."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.add_column("credential", sa.Column("former", text, server_default="", nullable=False))
    for name in ("must_change", "grace", "failures", "failed"):
        op.add_column("credential", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
