"""What one node at a time does."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.create_table(
        "duty",
        sa.Column("name", text, nullable=False),
        sa.Column("node", sa.BigInteger(), nullable=False),
        sa.Column("holder", text, nullable=False),
        sa.Column("lease", sa.BigInteger(), nullable=False),
        sa.Column("state", text, nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duty")),
        sqlite_with_rowid=False,
    )
