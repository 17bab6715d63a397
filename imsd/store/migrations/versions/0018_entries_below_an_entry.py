"""What is below an entry is found by pages."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_entry_parent", "entry", ["parent", "id"], unique=False)
