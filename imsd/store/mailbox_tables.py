"""The tables of accounts, mailboxes and messages; every key leads with the account.

account         one row per mailbox owner: next numbers, use, quota
mailbox         a node of an account's tree with its counters
doomed          a deleted mailbox whose messages are still being removed
keyword         the names of a mailbox's keyword bits
subscription    names, which need not exist (RFC 9051 6.3.7)
message         one row per message in a mailbox
expunged        what left a mailbox, with its content while a view may need it
seen            who has seen what in a public folder
pack, segment   a cache of the in-memory index (`imsd.store.index`)

Bits of `message.flags`: see `imsd.store.flags`. Keyword bits 0 to 62 are in `keywords`,
the others, little-endian, in `more_keywords`.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    UniqueConstraint,
)

from imsd.store.tables import String, metadata


def number(name: str) -> Column[int]:
    """A whole number that is always there."""
    return Column(name, BigInteger, nullable=False)


account = Table(
    "account",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    number("next_mailbox"),
    number("last_uidvalidity"),
    number("next_email"),
    number("used_bytes"),
    number("used_messages"),
    # 0 is unlimited.
    number("quota_bytes"),
    number("quota_messages"),
)

mailbox = Table(
    "mailbox",
    metadata,
    number("account"),
    number("mailbox"),
    Column("name", String, nullable=False),
    number("uidvalidity"),
    number("uidnext"),
    number("highestmodseq"),
    # RFC 6154 attribute with its backslash, or "".
    Column("special", String, nullable=False),
    Column("selectable", SmallInteger, nullable=False),
    number("messages"),
    number("unseen"),
    number("deleted"),
    number("bytes"),
    # UIDs up to this one are not \Recent to anybody any more.
    number("recent_uid"),
    number("created"),
    PrimaryKeyConstraint("account", "mailbox"),
    UniqueConstraint("account", "name", name="mailbox_name"),
    sqlite_with_rowid=False,
)

doomed = Table(
    "doomed",
    metadata,
    number("account"),
    number("mailbox"),
    number("time"),
    PrimaryKeyConstraint("account", "mailbox"),
    sqlite_with_rowid=False,
)

keyword = Table(
    "keyword",
    metadata,
    number("account"),
    number("mailbox"),
    number("bit"),
    Column("name", String, nullable=False),
    PrimaryKeyConstraint("account", "mailbox", "bit"),
    sqlite_with_rowid=False,
)

subscription = Table(
    "subscription",
    metadata,
    number("account"),
    Column("name", String, nullable=False),
    PrimaryKeyConstraint("account", "name"),
    sqlite_with_rowid=False,
)

message = Table(
    "message",
    metadata,
    number("account"),
    number("mailbox"),
    number("uid"),
    number("modseq"),
    number("blob"),
    number("size"),
    number("date"),
    number("saved"),
    number("email"),
    Column("flags", SmallInteger, nullable=False),
    number("keywords"),
    Column("more_keywords", LargeBinary),
    Column("prefix", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account", "mailbox", "uid"),
    Index("message_modseq", "account", "mailbox", "modseq"),
    sqlite_with_rowid=False,
)

expunged = Table(
    "expunged",
    metadata,
    number("account"),
    number("mailbox"),
    number("uid"),
    number("modseq"),
    # 0 once the content was released.
    number("blob"),
    number("size"),
    number("date"),
    number("email"),
    Column("flags", SmallInteger, nullable=False),
    Column("prefix", LargeBinary, nullable=False),
    number("time"),
    PrimaryKeyConstraint("account", "mailbox", "uid"),
    Index("expunged_modseq", "account", "mailbox", "modseq"),
    Index("expunged_time", "time"),
    sqlite_with_rowid=False,
)

seen = Table(
    "seen",
    metadata,
    number("account"),
    number("mailbox"),
    number("reader"),
    # A UID set in the text form of RFC 9051 ("1:4,7"), ascending.
    Column("uids", String, nullable=False),
    PrimaryKeyConstraint("account", "mailbox", "reader"),
    sqlite_with_rowid=False,
)

pack = Table(
    "pack",
    metadata,
    number("account"),
    number("mailbox"),
    # All segments together hold at least every change up to this one.
    number("modseq"),
    Column("format", SmallInteger, nullable=False),
    PrimaryKeyConstraint("account", "mailbox"),
    sqlite_with_rowid=False,
)

segment = Table(
    "segment",
    metadata,
    number("account"),
    number("mailbox"),
    number("number"),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account", "mailbox", "number"),
)
