"""Annotations of mailboxes and of the server (RFC 5464): small named values.

1. A name is an entry of RFC 5464 3.2 without its case: `/shared/comment`, `/private/comment`.
2. What is private belongs to one reader; what is shared is the reader's NOBODY.
3. Annotations of the server stand under mailbox SERVER: shared ones of PUBLIC, private ones of
   their reader. A private one of somebody else's mailbox stands with the mailbox, so that it goes
   with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    Column,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
)

from imsd.errors import TooManyAnnotations
from imsd.store.changes import AccountScope, AnnotationsChanged
from imsd.store.ids import AccountId, MailboxId
from imsd.store.mailbox_tables import number
from imsd.store.sql import among, insert_row, sql
from imsd.store.tables import String, metadata
from imsd.store.transaction import Transaction, Unit

SERVER: Final = MailboxId(0)
NOBODY: Final = AccountId(0)
PRIVATE: Final = "/private/"
SHARED: Final = "/shared/"

annotation = Table(
    "annotation",
    metadata,
    number("account"),
    number("mailbox"),
    number("reader"),
    Column("name", String, nullable=False),
    Column("value", LargeBinary, nullable=False),
    PrimaryKeyConstraint("account", "mailbox", "reader", "name"),
    Index("annotation_reader", "reader"),
    sqlite_with_rowid=False,
)

_a = annotation.c
_here = (_a.account == bindparam("a"), _a.mailbox == bindparam("m"))
_theirs = or_(_a.reader == NOBODY, _a.reader == bindparam("r"))
_SIZES = sql(select(_a.name, func.length(_a.value)).where(*_here, _theirs))
_VALUES = sql(select(_a.name, _a.value).where(*_here, _theirs, among(_a.name, "names")))
_COPY = sql(
    insert(annotation).from_select(
        ["account", "mailbox", "reader", "name", "value"],
        select(_a.account, bindparam("new", type_=_a.mailbox.type), _a.reader, _a.name, _a.value).where(
            *_here
        ),
    )
)
_COUNT = sql(select(func.count()).select_from(annotation).where(*_here, _a.reader == bindparam("r")))
_PUT = insert_row(annotation)
_REMOVE = sql(delete(annotation).where(*_here, _a.reader == bindparam("r"), _a.name == bindparam("name")))
_FORGET = sql(delete(annotation).where(*_here))
_FORGET_ACCOUNT = sql(delete(annotation).where(_a.account == bindparam("a")))
_FORGET_READER = sql(delete(annotation).where(_a.reader == bindparam("r")))


@dataclass(frozen=True, slots=True)
class Target:
    """What is annotated, and by whom. reader: the account whose private annotations are meant."""

    account: AccountId
    mailbox: MailboxId
    reader: AccountId


def sizes(tx: Transaction, target: Target) -> dict[str, int]:
    """What the reader sees, everything shared and his own: octets of each value by name."""
    return dict(tx.all(_SIZES, a=target.account, m=target.mailbox, r=target.reader))


def values(tx: Transaction, target: Target, names: Sequence[str]) -> dict[str, bytes]:
    """Those of the names that the reader sees."""
    found = tx.all(_VALUES, a=target.account, m=target.mailbox, r=target.reader, names=list(names))
    return {name: bytes(value) for name, value in found}


def change(unit: Unit, target: Target, values: Mapping[str, bytes | None], most: int) -> None:
    """Set or (None) remove annotations, all or none.

    most: annotations that one mailbox may have, of everybody and of each reader.
    Raises TooManyAnnotations.
    """
    for name, value in values.items():
        reader = target.reader if name.startswith(PRIVATE) else NOBODY
        key = {"a": target.account, "m": target.mailbox, "r": reader}
        unit.run(_REMOVE, **key, name=name)
        if value is None:
            continue
        if unit.value(_COUNT, **key) >= most:
            raise TooManyAnnotations
        unit.run(_PUT, account=target.account, mailbox=target.mailbox, reader=reader, name=name, value=value)
    announce(unit, target, tuple(values))


def announce(unit: Unit, target: Target, names: Sequence[str]) -> None:
    """These are others now."""
    scope = AccountScope(target.account)
    for reader, prefix in ((NOBODY, SHARED), (target.reader, PRIVATE)):
        named = tuple(name for name in names if name.startswith(prefix))
        if named:
            unit.changed(AnnotationsChanged(scope, *unit.advance(scope), target.mailbox, named, reader))


def copy(unit: Unit, account: AccountId, source: MailboxId, target: MailboxId) -> None:
    """The INBOX was renamed, and keeps its own (RFC 5464 4.1)."""
    unit.run(_COPY, a=account, m=source, new=target)


def names_of(values: Mapping[str, int], wanted: str, depth: float) -> Sequence[str]:
    """Names at `wanted` and as many levels below it (RFC 5464 4.2.2), ordered."""
    below = wanted + "/"
    return [
        name
        for name in sorted(values)
        if name == wanted or (name.startswith(below) and name[len(below) :].count("/") + 1 <= depth)
    ]


def forget(unit: Unit, account: AccountId, mailbox: MailboxId) -> None:
    """The mailbox is gone."""
    unit.run(_FORGET, a=account, m=mailbox)


def forget_account(unit: Unit, account: AccountId) -> None:
    """The account is gone, with what it noted elsewhere."""
    unit.run(_FORGET_ACCOUNT, a=account)
    unit.run(_FORGET_READER, r=account)
