"""What the URLs of a mailbox's messages are signed with."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("url_key"):
        return  # For a while stores were made with it and marked with the number before.
    op.create_table(
        "url_key",
        sa.Column("account", sa.BigInteger(), nullable=False),
        sa.Column("mailbox", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account", "mailbox", name=op.f("pk_url_key")),
        sqlite_with_rowid=False,
    )
