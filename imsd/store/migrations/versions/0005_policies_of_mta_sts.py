"""MTA-STS policies of other domains, kept while they last."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.create_table(
        "sts_policy",
        sa.Column("domain", text, nullable=False),
        sa.Column("record", text, nullable=False),
        sa.Column("mode", text, nullable=False),
        sa.Column("mx", text, nullable=False),
        sa.Column("fetched", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_sts_policy")),
        sqlite_with_rowid=False,
    )
