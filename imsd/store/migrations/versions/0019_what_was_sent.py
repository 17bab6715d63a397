"""How much mailboxes and domains have sent elsewhere, for limits that a restart does not clear."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.create_table(
        "sent",
        sa.Column("who", text, nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("recipients", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("who", "slot", name=op.f("pk_sent")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sent_slot", "sent", ["slot"], unique=False)
