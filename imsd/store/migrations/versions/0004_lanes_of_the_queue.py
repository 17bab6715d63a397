"""The queue is worked off by lanes; priorities, deadlines and release times are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")
    op.create_table(
        "queue_lane",
        sa.Column("domain", text, nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_queue_lane")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_queue_lane_turn", "queue_lane", ["turn", "domain"], unique=False)
    op.add_column("queue_message", sa.Column("mt_priority", sa.SmallInteger(), nullable=True))
    op.add_column(
        "queue_message", sa.Column("deliver_by", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column("queue_message", sa.Column("by_mode", text, server_default="", nullable=False))
    op.add_column("queue_message", sa.Column("future", text, server_default="", nullable=False))
    for name, kind in (("ready", sa.SmallInteger()), ("turn", sa.BigInteger())):
        op.add_column("queue_recipient", sa.Column(name, kind, server_default="0", nullable=False))
    op.drop_index("ix_queue_recipient_due", table_name="queue_recipient")
    for name, where, columns in (
        ("ix_queue_recipient_timer", "state = 0 AND ready = 0", ["due"]),
        ("ix_queue_recipient_lane", "state = 0 AND ready = 1", ["domain", "turn", "id"]),
        ("ix_queue_recipient_leased", "lease > 0", ["node"]),
        ("ix_queue_recipient_still", "state = -1 OR state = 1", ["id"]),
        ("ix_queue_recipient_here", "state = 2 OR state = 4", ["message"]),
    ):
        op.create_index(
            name,
            "queue_recipient",
            columns,
            unique=False,
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
