"""Second factors of logins."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    for name in ("totp", "recovery"):
        op.add_column("credential", sa.Column(name, text, server_default="", nullable=False))
    op.add_column("credential", sa.Column("totp_step", sa.BigInteger(), server_default="0", nullable=False))
