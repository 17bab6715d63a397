"""What an app password is for, from where and until when, and when it was used."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    for name in ("protocols", "networks"):
        op.add_column("credential", sa.Column(name, text, server_default="", nullable=False))
    for name in ("expires", "used"):
        op.add_column("credential", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
