"""Results of TLS sessions, reports of them, and those of other domains (RFC 8460)."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text(collation="C").with_variant(sa.Text(), "sqlite")

    def texts(*names: str) -> list[sa.Column[Any]]:
        return [sa.Column(name, text, nullable=False) for name in names]

    def numbers(*names: str) -> list[sa.Column[Any]]:
        return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]

    op.create_table(
        "tls_result",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        *numbers("day"),
        *texts("domain", "policy_domain", "policy_type", "policy", "result", "sending_ip", "mx", "helo"),
        *texts("receiving_ip", "reason"),
        *numbers("sessions"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_tls_result")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tls_result_day", "tls_result", ["day", "domain"], unique=False)
    op.create_table(
        "tls_report",
        *numbers("day"),
        *texts("domain", "rua", "state"),
        *numbers("due", "attempts"),
        *texts("note"),
        sa.PrimaryKeyConstraint("day", "domain", "rua", name=op.f("pk_tls_report")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tls_report_due", "tls_report", ["state", "due"], unique=False)
    op.create_table(
        "tls_received",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        *texts("organization", "contact", "report_id", "submitter", "domains"),
        *numbers("begins", "ends", "came", "successes", "failures"),
        *texts("content"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_tls_received")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tls_received_came", "tls_received", ["came"], unique=False)
    op.create_table(
        "tls_inbox",
        *numbers("account", "mailbox", "uid"),
        sa.PrimaryKeyConstraint("account", "mailbox", name=op.f("pk_tls_inbox")),
        sqlite_with_rowid=False,
    )
