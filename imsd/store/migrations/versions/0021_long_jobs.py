"""What administrators have set going, and how far it is."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.create_table(
        "long_job",
        sa.Column("name", text, nullable=False),
        sa.Column("state", text, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_long_job")),
        sqlite_with_rowid=False,
    )
