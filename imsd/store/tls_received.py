"""Reports of other domains on the TLS of ours (RFC 8460), and how far the mailbox that gets them was read.

One report is one row, however often it comes: its key is a hash of who made it and its id.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Table, bindparam, delete, select

from imsd.errors import NoSuchEntry
from imsd.store.sql import among, insert, sql
from imsd.store.tables import Bytes, Number, String, clean, metadata
from imsd.store.transaction import Transaction, Unit
from protocols.values import value

BATCH: Final = 100

tls_received = Table(
    "tls_received",
    metadata,
    Column("key", Bytes, primary_key=True),
    *(
        Column(name, String, nullable=False)
        for name in ("organization", "contact", "report_id", "submitter", "domains")
    ),
    *(Column(name, Number, nullable=False) for name in ("begins", "ends", "came", "successes", "failures")),
    # JSON, as it was understood.
    Column("content", String, nullable=False),
    Index("ix_tls_received_came", "came"),
    sqlite_with_rowid=False,
)

tls_inbox = Table(
    "tls_inbox",
    metadata,
    Column("account", Number, nullable=False),
    Column("mailbox", Number, nullable=False),
    # The last UID that was looked at.
    Column("uid", Number, nullable=False),
    PrimaryKeyConstraint("account", "mailbox"),
    sqlite_with_rowid=False,
)


@value(frozen=True, slots=True)
class Received:
    """A report that came. domains: of the policies, joined with blanks. Times are microseconds."""

    organization: str
    contact: str
    report_id: str
    submitter: str
    domains: str
    begins: int
    ends: int
    came: int
    successes: int
    failures: int
    content: str = ""

    @property
    def key(self) -> bytes:
        text = f"{self.organization}\0{self.report_id}\0{self.begins}"
        return hashlib.sha256(text.encode("utf-8", "replace")).digest()

    @property
    def name(self) -> str:
        """What it is called where an administrator asks for it."""
        return self.key.hex()[:12]


_NAMES = Received.__slots__
_r, _i = tls_received.c, tls_inbox.c
_PUT = sql(
    insert(tls_received)
    .values({name: bindparam(name) for name in ("key", *_NAMES)})
    .on_conflict_do_nothing(index_elements=["key"])
)
_LISTED = sql(
    select(*(_r[name] for name in _NAMES if name != "content"))
    .where(_r.came < bindparam("before"))
    .order_by(_r.came.desc())
    .limit(bindparam("limit"))
)
_FROM = sql(
    select(*(_r[name] for name in _NAMES))
    .where(_r.key >= bindparam("low"), _r.key < bindparam("high"))
    .order_by(_r.key)
    .limit(2)
)
_OLD = sql(select(_r.key).where(_r.came < bindparam("before")).order_by(_r.came).limit(BATCH))
_EXPIRE = sql(delete(tls_received).where(among(_r.key, "keys")))
_READ = sql(select(_i.uid).where(_i.account == bindparam("account"), _i.mailbox == bindparam("mailbox")))
_put = insert(tls_inbox)
_MARK = sql(
    _put.values({name: bindparam(name) for name in ("account", "mailbox", "uid")}).on_conflict_do_update(
        index_elements=["account", "mailbox"], set_={"uid": _put.excluded.uid}
    )
)


def read_to(tx: Transaction, account: int, mailbox: int) -> int | None:
    """The last UID that was looked at; None: nobody looked yet."""
    found: int | None = tx.value(_READ, account=account, mailbox=mailbox)
    return found


def mark(unit: Unit, account: int, mailbox: int, uid: int, *found: Received) -> int:
    """Everything up to a UID was looked at, and these were found; how many of them are new."""
    unit.run(_MARK, account=account, mailbox=mailbox, uid=uid)
    return sum(unit.run(_PUT, key=each.key, **_row(each)) for each in found)


def _row(each: Received) -> dict[str, Any]:
    values = {name: getattr(each, name) for name in _NAMES}
    return {name: clean(text) if isinstance(text, str) else text for name, text in values.items()}


def listed(tx: Transaction, before: int = 2**62, limit: int = 100) -> list[Received]:
    """The latest first, without their content."""
    return [Received(*row) for row in tx.all(_LISTED, before=before, limit=limit)]


def shown(tx: Transaction, name: str) -> Received:
    """The one of a name, or of its beginning. Raises NoSuchEntry."""
    try:
        low = bytes.fromhex(name + "0" * (len(name) % 2))
        high = (int(name, 16) + 1) << (4 * (64 - len(name)))
    except ValueError:
        raise NoSuchEntry(f"There is no report {name}") from None
    if not 4 <= len(name) <= 64 or high >= 1 << 256:
        raise NoSuchEntry(f"There is no report {name}")
    rows = tx.all(_FROM, low=low, high=high.to_bytes(32))
    if len(rows) != 1:
        raise NoSuchEntry(f"There is no report {name}" if not rows else f"Several reports begin with {name}")
    return Received(*rows[0])


def expire(unit: Unit, before: int) -> int:
    """Forget some that came before; how many."""
    keys = [bytes(row[0]) for row in unit.all(_OLD, before=before)]
    if keys:
        unit.run(_EXPIRE, keys=keys)
    return len(keys)
