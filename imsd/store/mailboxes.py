"""Accounts and their trees of mailboxes.

An account owns a flat list of names with "/" between levels; every name but the INBOX
may come and go. What has children and is deleted stays as a name that cannot be selected
(RFC 9051 6.3.5). A deleted mailbox leaves the list at once; its messages are removed in
small units by `imsd.store.jobs` (design rule 11).

Everything here raises refusals of `imsd.errors` and reports what it changed to the unit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, case, delete, func, select, update

from imsd.errors import LimitReached, MailboxExists, MailboxHasChildren, NoSuchMailbox, NotPermitted
from imsd.store import acl, counters, mailbox_annotations, names, quotas, url_keys
from imsd.store import mailbox_tables as t
from imsd.store.changes import (
    AccountScope,
    MailboxCreated,
    MailboxDeleted,
    MailboxRenamed,
    SubscriptionChanged,
)
from imsd.store.ids import INBOX, PUBLIC, AccountId, MailboxId, ModSeq, Uid, UidValidity
from imsd.store.quotas import NOTHING as NOTHING
from imsd.store.sql import insert_row, sql
from imsd.store.transaction import Transaction, Unit

MAX_MAILBOXES = 10_000
MAX_SUBSCRIPTIONS = 10_000
MANY = 300
"""Mailboxes that take more than a millisecond or two to read."""

#: What a new account gets besides its INBOX (RFC 6154).
FURNITURE = (
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Junk", "\\Junk"),
    ("Trash", "\\Trash"),
    ("Archive", "\\Archive"),
)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One row of the tree. bytes and the counts are of the messages in it now."""

    account: AccountId
    id: MailboxId
    name: str
    uidvalidity: UidValidity
    uidnext: Uid
    highestmodseq: ModSeq
    special: str
    selectable: bool
    messages: int
    unseen: int
    deleted: int
    bytes: int
    recent_uid: Uid
    created: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account holds, and may hold (0: no limit)."""

    bytes: int
    messages: int
    quota_bytes: int
    quota_messages: int


_m = t.mailbox.c
_columns = [
    _m.account, _m.mailbox, _m.name, _m.uidvalidity, _m.uidnext, _m.highestmodseq, _m.special,
    _m.selectable, _m.messages, _m.unseen, _m.deleted, _m.bytes, _m.recent_uid, _m.created,
]  # fmt: skip
_here = (_m.account == bindparam("a"), _m.mailbox == bindparam("m"))

_LIST = sql(select(*_columns).where(_m.account == bindparam("a")))
_NAMES = sql(select(_m.mailbox, _m.name, _m.special, _m.selectable).where(_m.account == bindparam("a")))
_BELOW = sql(
    select(_m.mailbox)
    .where(_m.account == bindparam("a"), _m.name > bindparam("low"), _m.name < bindparam("high"))
    .limit(1)
)
_SOME = sql(select(_m.mailbox).where(_m.account == bindparam("a")).limit(bindparam("most")))
_BY_NAME = sql(select(*_columns).where(_m.account == bindparam("a"), _m.name == bindparam("name")))
_BY_ID = sql(select(*_columns).where(*_here))
_DIGEST = sql(select(func.count(), func.sum(_m.highestmodseq)).where(_m.account == bindparam("a")))
_COUNT = sql(select(func.count()).select_from(t.mailbox).where(_m.account == bindparam("a")))
_INSERT = insert_row(t.mailbox)
_REVIVE = sql(
    update(t.mailbox)
    .where(*_here)
    .values(
        selectable=1, uidvalidity=bindparam("v"), uidnext=1, recent_uid=0, special="",
        highestmodseq=_m.highestmodseq + 1, created=bindparam("now"),
    )
)  # fmt: skip
_DELETE = sql(delete(t.mailbox).where(*_here))
_RENAME = sql(update(t.mailbox).where(*_here).values(name=bindparam("new")))
_DOOM = insert_row(t.doomed)
_FORGET_KEYWORDS = sql(
    delete(t.keyword).where(t.keyword.c.account == bindparam("a"), t.keyword.c.mailbox == bindparam("m"))
)
_SET_SPECIAL = sql(update(t.mailbox).where(*_here).values(special=bindparam("special_use")))

_acc = t.account.c
_ACCOUNT = sql(select(_acc.account).where(_acc.account == bindparam("a")))
_NEW_ACCOUNT = insert_row(t.account)
_NEW_NUMBERS = sql(
    update(t.account)
    .where(_acc.account == bindparam("a"))
    .values(
        next_mailbox=_acc.next_mailbox + 1,
        last_uidvalidity=case(
            (_acc.last_uidvalidity >= bindparam("seconds"), _acc.last_uidvalidity + 1),
            else_=bindparam("seconds"),
        ),
    )
    .returning(_acc.next_mailbox - 1, _acc.last_uidvalidity)
)
_USAGE = sql(
    select(_acc.used_bytes, _acc.used_messages, _acc.quota_bytes, _acc.quota_messages).where(
        _acc.account == bindparam("a")
    )
)
_FREE = sql(
    update(t.account)
    .where(_acc.account == bindparam("a"))
    .values(
        used_bytes=_acc.used_bytes - bindparam("size"),
        used_messages=_acc.used_messages - bindparam("count"),
    )
)

_s = t.subscription.c
_SUBSCRIPTIONS = sql(select(_s.name).where(_s.account == bindparam("a")).order_by(_s.name))
_SUBSCRIBED = sql(select(_s.name).where(_s.account == bindparam("a"), _s.name == bindparam("name")))
_SUBSCRIBE = insert_row(t.subscription)
_UNSUBSCRIBE = sql(delete(t.subscription).where(_s.account == bindparam("a"), _s.name == bindparam("name")))
_COUNT_SUBSCRIPTIONS = sql(
    select(func.count()).select_from(t.subscription).where(_s.account == bindparam("a"))
)
_FORGET_ACCOUNT = [
    sql(delete(table).where(table.c.account == bindparam("a")))
    for table in (t.mailbox, t.keyword, t.subscription, quotas.quota, t.account)
]


def _mailbox(row: tuple) -> Mailbox:  # type: ignore[type-arg]
    account, mailbox, name, validity, uidnext, modseq, special, selectable, *rest = row
    return Mailbox(account, mailbox, name, validity, uidnext, modseq, special, bool(selectable), *rest)


# Accounts ------------------------------------------------------------------------------


def create_account_mailboxes(
    unit: Unit, account: AccountId, now: int, furniture: Sequence[tuple[str, str]] = FURNITURE
) -> None:
    """Give a new account its INBOX and folders (name, special use); nothing when it has them."""
    if unit.one(_ACCOUNT, a=account):
        return
    fresh = () if account == PUBLIC else ((names.INBOX, ""), *furniture)
    first = now // 1_000_000
    unit.run(
        _NEW_ACCOUNT, account=account, next_mailbox=1 + len(fresh),
        last_uidvalidity=first + len(fresh) - 1 if fresh else 0, next_email=1,
        used_bytes=0, used_messages=0, quota_bytes=0, quota_messages=0,
    )  # fmt: skip
    if not fresh:
        return
    made = [
        (MailboxId(number), names.canonical(name), special)
        for number, (name, special) in enumerate(fresh, start=INBOX)
    ]
    unit.many(
        _INSERT,
        [
            _row(account, at, name, special, UidValidity(first + n), now)
            for n, (at, name, special) in enumerate(made)
        ],
    )
    unit.many(_SUBSCRIBE, [{"account": account, "name": name} for _at, name, _special in made])
    scope = AccountScope(account)
    steps = counters.advance_account(unit, scope, 2 * len(made))
    for at, name, _special in made:
        unit.changed(MailboxCreated(scope, *next(steps), at, name))
        unit.changed(SubscriptionChanged(scope, *next(steps), name, True))


def account_exists(tx: Transaction, account: AccountId) -> bool:
    return tx.one(_ACCOUNT, a=account) is not None


def usage(tx: Transaction, account: AccountId) -> Usage:
    row = tx.one(_USAGE, a=account)
    if row is None:
        raise NoSuchMailbox
    return Usage(*row)


def held(tx: Transaction, account: AccountId) -> tuple[Usage, int]:
    """What an account holds and may hold, and how many names its tree has."""
    row = tx.one(_USAGE, a=account)
    found = Usage(0, 0, 0, 0) if row is None else Usage(*row)
    return found, tx.value(_COUNT, a=account)


def set_quota(unit: Unit, account: AccountId, most_bytes: int, most_messages: int) -> None:
    """Limits of its own for an account that has no entry to say so, such as the public folders.

    0 is no limit, NOTHING lets nothing in. Held content may exceed a lowered quota; nothing is removed.
    """
    if not quotas.limit(unit, account, quotas.Bounds(most=most_bytes, messages=most_messages), own=True):
        raise NoSuchMailbox


def delete_account_mailboxes(unit: Unit, account: AccountId, now: int) -> None:
    """Take an account's mailboxes away with all they hold; `imsd.store.jobs.purge` goes on."""
    for mailbox in list_mailboxes(unit, account):
        unit.run(_DOOM, account=account, mailbox=mailbox.id, time=now)
        _announce(unit, MailboxDeleted, account, mailbox.id, mailbox.name)
    for statement in _FORGET_ACCOUNT:
        unit.run(statement, a=account)
    mailbox_annotations.forget_account(unit, account)
    url_keys.forget_account(unit, account)


# Reading -------------------------------------------------------------------------------


def list_mailboxes(tx: Transaction, account: AccountId) -> list[Mailbox]:
    """All of an account, in the order of their names' code points."""
    return sorted((_mailbox(row) for row in tx.all(_LIST, a=account)), key=lambda mailbox: mailbox.name)


def names_of(tx: Transaction, account: AccountId) -> list[tuple[MailboxId, str, str, int]]:
    """(id, name, special use, selectable) of all, in no order: what LIST needs of ten thousand."""
    return tx.all(_NAMES, a=account)


def known(
    tx: Transaction, account: AccountId, some: Sequence[str]
) -> list[tuple[Mailbox | None, bool, bool]]:
    """Of each name: the mailbox, whether there are others below it, whether it is subscribed to."""
    found: list[tuple[Mailbox | None, bool, bool]] = []
    for name in some:
        row = tx.one(_BY_NAME, a=account, name=name)
        # "0" is the character after "/".
        below = tx.one(_BELOW, a=account, low=name + "/", high=name + "0") is not None
        subscribed = tx.one(_SUBSCRIBED, a=account, name=name) is not None
        found.append((None if row is None else _mailbox(row), below, subscribed))
    return found


def are_many(tx: Transaction, account: AccountId, public: bool) -> bool:
    """Whether the account, or with `public` the public tree, has more mailboxes than are read quickly."""
    owners = (account, PUBLIC) if public else (account,)
    return any(len(tx.all(_SOME, a=owner, most=MANY)) == MANY for owner in owners)


def digest(tx: Transaction, account: AccountId) -> tuple[int, int, int]:
    """Another whenever anything in the account's mailboxes, names or subscriptions is."""
    row = tx.one(_DIGEST, a=account)
    assert row is not None
    return tx.counter(AccountScope(account)), int(row[0]), int(row[1] or 0)


def get(tx: Transaction, account: AccountId, name: str) -> Mailbox:
    row = tx.one(_BY_NAME, a=account, name=names.canonical(name))
    if row is None:
        raise NoSuchMailbox
    return _mailbox(row)


def get_many(tx: Transaction, keys: Iterable[tuple[AccountId, MailboxId]]) -> list[Mailbox]:
    """Those that exist."""
    rows = (tx.one(_BY_ID, a=account, m=mailbox) for account, mailbox in keys)
    return [_mailbox(row) for row in rows if row is not None]


def nearest(tx: Transaction, account: AccountId, name: str) -> Mailbox | None:
    """The nearest existing superior of a name, None where there is none."""
    for parent in reversed(names.parents(names.canonical(name))):
        row = tx.one(_BY_NAME, a=account, name=parent)
        if row is not None:
            return _mailbox(row)
    return None


def set_special(unit: Unit, account: AccountId, mailbox: MailboxId, use: str) -> None:
    """use: an attribute of RFC 6154 2 with its backslash, "" for none."""
    unit.run(_SET_SPECIAL, a=account, m=mailbox, special_use=use)
    scope = AccountScope(account)
    unit.changed(MailboxRenamed(scope, *unit.advance(scope), mailbox))


def get_by_id(tx: Transaction, account: AccountId, mailbox: MailboxId) -> Mailbox:
    row = tx.one(_BY_ID, a=account, m=mailbox)
    if row is None:
        raise NoSuchMailbox
    return _mailbox(row)


# Changing the tree ---------------------------------------------------------------------


def create(unit: Unit, account: AccountId, name: str, now: int, special: str = "", hint: str = "") -> Mailbox:
    """Make a mailbox, and the levels above it that are missing (RFC 9051 6.3.4).

    special: its special use. hint: the same, where no other mailbox of the account has it.
    """
    name = names.canonical(name)
    if hint and not special and not any(each.special == hint for each in list_mailboxes(unit, account)):
        special = hint
    if account == PUBLIC:
        create_account_mailboxes(unit, PUBLIC, now)
    elif unit.one(_ACCOUNT, a=account) is None:
        raise NoSuchMailbox
    row = unit.one(_BY_NAME, a=account, name=name)
    if row is not None:
        old = _mailbox(row)
        if old.selectable:
            raise MailboxExists
        _id, validity = _numbers(unit, account, now)
        unit.run(_REVIVE, a=account, m=old.id, v=validity, now=now)
        _announce(unit, MailboxCreated, account, old.id, old.name)
        if special:
            unit.run(_SET_SPECIAL, a=account, m=old.id, special_use=special)
        return get_by_id(unit, account, old.id)
    if unit.value(_COUNT, a=account) >= MAX_MAILBOXES:
        raise LimitReached("Too many mailboxes")
    made = MailboxId(0)
    for level in (*names.parents(name), name):
        above, row = made, unit.one(_BY_NAME, a=account, name=level)
        made = (
            row[1] if row is not None else _add(unit, account, level, special if level == name else "", now)
        )
        if row is None and above:
            acl.inherit(unit, account, above, made)
    return get_by_id(unit, account, made)


def delete_mailbox(unit: Unit, account: AccountId, name: str, now: int) -> Mailbox:
    """Take a mailbox and its messages away; a name with children stays, not selectable.

    Refuses the INBOX, and a name that cannot be selected any more but still has children
    (RFC 9051 6.3.5).
    """
    old = get(unit, account, name)
    if old.id == INBOX and account != PUBLIC:
        raise NotPermitted("INBOX cannot be deleted")
    children = any(names.is_below(other.name, old.name) for other in list_mailboxes(unit, account))
    if children and not old.selectable:
        raise MailboxHasChildren
    unit.run(_DELETE, a=account, m=old.id)
    acl.forget(unit, account, old.id)
    mailbox_annotations.forget(unit, account, old.id)
    url_keys.forget(unit, account, old.id)
    unit.run(_FORGET_KEYWORDS, a=account, m=old.id)
    unit.run(_DOOM, account=account, mailbox=old.id, time=now)
    # What it held is free at once, though the rows go later.
    unit.run(_FREE, a=account, size=old.bytes, count=old.messages)
    _announce(unit, MailboxDeleted, account, old.id, old.name)
    if children:
        _add(unit, account, old.name, "", now, selectable=False)
    return old


def rename(unit: Unit, account: AccountId, old: str, new: str) -> Mailbox:
    """Rename a mailbox and every name below it (RFC 9051 6.3.6).

    The INBOX is not renamed but emptied into the new name: `imsd.store.jobs.rename`.
    """
    source = get(unit, account, old)
    new = names.canonical(new)
    if source.id == INBOX and account != PUBLIC:
        raise NotPermitted("INBOX is renamed by moving its messages")
    if names.is_below(new, source.name):
        raise NotPermitted("A mailbox cannot be moved below itself")
    tree = list_mailboxes(unit, account)
    taken = {mailbox.name for mailbox in tree}
    if new in taken:
        raise MailboxExists
    moving = [m for m in tree if m.id == source.id or names.is_below(m.name, source.name)]
    above = None
    for parent in names.parents(new):
        if parent not in taken:
            made = _add(unit, account, parent, "", source.created)
            if above is not None:
                acl.inherit(unit, account, above, made)
            above = made
        else:
            above = next(mailbox.id for mailbox in tree if mailbox.name == parent)
    for mailbox in moving:
        name = names.canonical(new + mailbox.name[len(source.name) :])
        if name in taken:
            raise MailboxExists
        unit.run(_RENAME, a=account, m=mailbox.id, new=name)
        scope = AccountScope(account)
        unit.changed(MailboxRenamed(scope, *unit.advance(scope), mailbox.id, mailbox.name, name))
    return get_by_id(unit, account, source.id)


# Subscriptions -------------------------------------------------------------------------


def subscriptions(tx: Transaction, account: AccountId) -> list[str]:
    return sorted(name for (name,) in tx.all(_SUBSCRIPTIONS, a=account))


def subscribe(unit: Unit, account: AccountId, name: str) -> None:
    """Remember a name, which need not exist and may be of another namespace (RFC 9051 6.3.7)."""
    name = names.canonical(name)
    if unit.one(_SUBSCRIBED, a=account, name=name):
        return
    if unit.value(_COUNT_SUBSCRIPTIONS, a=account) >= MAX_SUBSCRIPTIONS:
        raise LimitReached("Too many subscriptions")
    unit.run(_SUBSCRIBE, account=account, name=name)
    _announce_subscription(unit, account, name, True)


def unsubscribe(unit: Unit, account: AccountId, name: str) -> None:
    name = names.canonical(name)
    if unit.run(_UNSUBSCRIBE, a=account, name=name):
        _announce_subscription(unit, account, name, False)


def _announce_subscription(unit: Unit, account: AccountId, name: str, now: bool) -> None:
    scope = AccountScope(account)
    unit.changed(SubscriptionChanged(scope, *unit.advance(scope), name, now))


# Inside --------------------------------------------------------------------------------


def _numbers(unit: Unit, account: AccountId, now: int) -> tuple[MailboxId, UidValidity]:
    """A mailbox id and a UIDVALIDITY that this account has never used.

    UIDVALIDITY grows with the clock so that it is also above what a restored copy of this
    account handed out before (design rule 22).
    """
    row = unit.one(_NEW_NUMBERS, a=account, seconds=now // 1_000_000)
    assert row is not None
    return MailboxId(row[0]), UidValidity(row[1])


def _row(
    account: AccountId,
    mailbox: MailboxId,
    name: str,
    special: str,
    validity: UidValidity,
    now: int,
    selectable: bool = True,
) -> dict[str, object]:
    """An empty mailbox."""
    return {
        "account": account, "mailbox": mailbox, "name": name, "uidvalidity": validity, "uidnext": 1,
        "highestmodseq": 1, "special": special, "selectable": int(selectable), "messages": 0, "unseen": 0,
        "deleted": 0, "bytes": 0, "recent_uid": 0, "created": now,
    }  # fmt: skip


def _add(
    unit: Unit, account: AccountId, name: str, special: str, now: int, *, selectable: bool = True
) -> MailboxId:
    mailbox, validity = _numbers(unit, account, now)
    unit.run(_INSERT, **_row(account, mailbox, name, special, validity, now, selectable))
    _announce(unit, MailboxCreated, account, mailbox, name)
    return mailbox


def _announce(
    unit: Unit,
    kind: type[MailboxCreated] | type[MailboxDeleted],
    account: AccountId,
    mailbox: MailboxId,
    name: str,
) -> None:
    scope = AccountScope(account)
    unit.changed(kind(scope, *unit.advance(scope), mailbox, name))
