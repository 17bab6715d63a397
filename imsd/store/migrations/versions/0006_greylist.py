"""Who came, and whether he came again."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "greylist",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("began", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("passed", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_greylist")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_greylist_expires", "greylist", ["expires"], unique=False)
