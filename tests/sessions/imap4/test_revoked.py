"""A right that is taken away between a session's look and its write lets nothing through (RFC 4314 4).

The list is changed in the moment in which the session hands its unit to the database: what it read
of the list is old then, whichever command it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from imsd.errors import NotPermitted
from imsd.sessions.imap4 import actions
from imsd.store import acl, jobs, mailbox_annotations, mailboxes, messages, moving
from imsd.store.database import Database
from imsd.store.ids import INBOX, PUBLIC, AccountId, EntryId, MailboxId
from imsd.store.mailbox_annotations import Target
from imsd.store.permits import under
from protocols.imap4.values import FlagChange
from tests.support.imap import EVERY, PLAIN, mailstore, session, uid_set
from tests.support.mail import ALICE, BOB, NOW, make_account, put
from tests.support.stores import run

THEIRS = "Other Users/alice/"
NEWS = "Public Folders/News"
DATA = b"Subject: x\r\n\r\nbody"
DELETED = 8


class Between:
    """A database on which rights of bob are taken away just before the next write is handed over."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._revoke: tuple[AccountId, MailboxId, str] | None = None
        self.skip = 0
        self.handed: list[Callable[..., Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    def revoking(self, account: AccountId, mailbox: MailboxId, rights: str, skip: int = 0) -> None:
        """skip: writes that go before."""
        self._revoke, self.skip = (account, mailbox, rights), skip

    async def write(self, fn: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if self.skip:
            self.skip -= 1
        elif self._revoke is not None:
            (account, mailbox, rights), self._revoke = self._revoke, None
            await self._db.write(acl.change, account, mailbox, EntryId(BOB), rights, "-")
        self.handed.append(fn)
        return await self._db.write(fn, *args, **options)


class Shared:
    """alice's INBOX and Work, and the public folder News, with three messages each, on which bob has
    all rights. One message of each is \\Deleted."""

    def __init__(self, database: Database) -> None:
        self.db = database
        for who in (ALICE, BOB):
            make_account(database, who)
        self.ids = {
            THEIRS + "INBOX": (ALICE, INBOX),
            THEIRS + "Work": (ALICE, run(database.write(mailboxes.create, ALICE, "Work", NOW)).id),
            NEWS: (PUBLIC, run(database.write(mailboxes.create, PUBLIC, "News", NOW)).id),
        }
        for key in self.ids.values():
            put(database, 2, *key)
            put(database, 1, *key, flags=DELETED)
            run(database.write(acl.change, *key, EntryId(BOB), acl.ALL))
            for everybody in (acl.ANYONE, acl.AUTHENTICATED):
                run(database.write(acl.change, *key, everybody, ""))
        put(database, 2, BOB)
        self.between = Between(database)
        held = mailstore(database)
        held.db = self.between  # type: ignore[assignment]
        self.held = held
        self.bob = session(held, BOB)

    def state(self) -> Any:
        """Everything that commands change, but for lists."""
        return run(self.db.read(_state))


def _state(tx: Any) -> Any:
    found = []
    for account in (ALICE, BOB, PUBLIC):
        for row in mailboxes.list_mailboxes(tx, account):
            target = Target(account, row.id, BOB)
            found.append((account, row.name, row.messages, row.uidnext, row.highestmodseq,
                          mailbox_annotations.sizes(tx, target)))  # fmt: skip
    return found


async def selected(one: Shared, name: str) -> Any:
    return await one.bob.select(name, False, PLAIN)


async def append(one: Shared, name: str) -> Any:
    sink = await one.bob.append(name, [b"\\Flagged"], None, len(DATA))
    try:
        sink.write(DATA)
        return await sink.finish()
    except BaseException:
        sink.abandon()
        raise


async def replace(one: Shared, name: str, target: str = "INBOX") -> Any:
    sink = await (await selected(one, name)).replace(uid_set(1), target, [], None, len(DATA))
    try:
        sink.write(DATA)
        return await sink.finish()
    except BaseException:
        sink.abandon()
        raise


async def replace_into(one: Shared, name: str) -> Any:
    await replace(one, "INBOX", name)


async def flagged(one: Shared, name: str) -> Any:
    await (await selected(one, name)).store(uid_set(1), FlagChange.ADD, [b"\\Flagged"], None)


async def keyword(one: Shared, name: str) -> Any:
    await (await selected(one, name)).store(uid_set(1), FlagChange.ADD, [b"Mine"], None)


async def seen(one: Shared, name: str) -> Any:
    await (await selected(one, name)).store(uid_set(1), FlagChange.ADD, [b"\\Seen"], None)


async def deleted(one: Shared, name: str) -> Any:
    await (await selected(one, name)).store(uid_set(1), FlagChange.ADD, [b"\\Deleted"], None)


async def replaced_flags(one: Shared, name: str) -> Any:
    await (await selected(one, name)).store(uid_set(1), FlagChange.REPLACE, [b"\\Flagged"], None)


async def expunge(one: Shared, name: str) -> Any:
    await (await selected(one, name)).expunge(None)


async def copy_out(one: Shared, name: str) -> Any:
    await (await selected(one, name)).copy(uid_set(1, 2), "INBOX")


async def copy_in(one: Shared, name: str) -> Any:
    await (await selected(one, "INBOX")).copy(uid_set(1, 2), name)


async def move_out(one: Shared, name: str) -> Any:
    await (await selected(one, name)).move(uid_set(1, 2), "INBOX")


async def move_in(one: Shared, name: str) -> Any:
    await (await selected(one, "INBOX")).move(uid_set(1, 2), name)


async def create(one: Shared, name: str) -> Any:
    await one.bob.create(name + "/a/b", ())


async def delete(one: Shared, name: str) -> Any:
    await one.bob.delete(name)


async def rename(one: Shared, name: str) -> Any:
    await one.bob.rename(name, name + "2")


async def rename_below(one: Shared, name: str) -> Any:
    await one.bob.rename(THEIRS + "INBOX", name + "/Below")


async def set_acl(one: Shared, name: str) -> Any:
    await one.bob.set_acl(name, "anyone", "lr", "")


async def annotate(one: Shared, name: str) -> Any:
    await one.bob.set_metadata(name, {"/shared/comment": b"x"})


async def annotate_privately(one: Shared, name: str) -> Any:
    await one.bob.set_metadata(name, {"/private/comment": b"x"})


COMMANDS: list[tuple[Callable[[Shared, str], Awaitable[Any]], str]] = [
    (append, "i"), (replace, "t"), (replace, "e"), (replace_into, "i"), (flagged, "w"), (keyword, "w"),
    (seen, "s"), (deleted, "t"), (replaced_flags, "w"), (replaced_flags, "s"), (expunge, "e"),
    (copy_out, "r"), (copy_in, "i"), (move_out, "t"), (move_out, "e"), (move_in, "i"), (create, "k"),
    (set_acl, "a"), (annotate, "w"), (annotate, "l"), (annotate_privately, "l"),
    (annotate_privately, "rswip"),
]  # fmt: skip
TREE: list[tuple[Callable[[Shared, str], Awaitable[Any]], str]] = [(delete, "x"), (rename_below, "k")]
CASES = [(fn, rights, name) for fn, rights in COMMANDS for name in (THEIRS + "Work", NEWS)]
CASES += [(fn, rights, THEIRS + "Work") for fn, rights in TREE] + [(delete, "x", NEWS)]


@pytest.mark.parametrize(
    ("command", "rights", "name"), CASES, ids=lambda value: getattr(value, "__name__", value)
)
def test_what_was_taken_away_is_not_done(
    database: Database, command: Callable[[Shared, str], Awaitable[Any]], rights: str, name: str
) -> None:
    one = Shared(database)
    one.held.directory.named = {}  # type: ignore[attr-defined]
    before = one.state()
    lists = run(database.read(acl.of_mailbox, *one.ids[name]))
    one.between.revoking(*one.ids[name], rights)
    with pytest.raises(NotPermitted):
        run(command(one, name))
    assert one.state() == before
    # Nothing but what was taken away is another in the list.
    after = run(database.read(acl.of_mailbox, *one.ids[name]))
    assert {g for g in lists if g.grantee != BOB} == {g for g in after if g.grantee != BOB}


@pytest.mark.parametrize(
    ("command", "rights", "name"), CASES, ids=lambda value: getattr(value, "__name__", value)
)
def test_what_was_not_taken_away_is_done(
    sqlite_database: Database, command: Callable[[Shared, str], Awaitable[Any]], rights: str, name: str
) -> None:
    one = Shared(sqlite_database)
    if command is rename_below:
        run(sqlite_database.write(acl.change, *one.ids[name], EntryId(BOB), "p", "-"))
    else:
        one.between.revoking(*one.ids[name], "p")
    before = one.state(), run(sqlite_database.read(acl.of_mailbox, *one.ids[name]))
    run(command(one, name))
    assert before != (one.state(), run(sqlite_database.read(acl.of_mailbox, *one.ids[name])))


def test_flags_that_may_not_be_set_any_more_stay_behind_when_a_message_comes(database: Database) -> None:
    one = Shared(database)
    key = one.ids[THEIRS + "Work"]
    one.between.revoking(*key, "w")
    done = run(append(one, THEIRS + "Work"))
    row = run(database.read(_row, key, done.uid))
    assert row.flags == 0


def _row(tx: Any, key: tuple[AccountId, MailboxId], uid: int) -> Any:
    (row,) = messages.rows(tx, *key, [uid])
    return row


def test_what_is_read_without_the_right_to_mark_it_is_read_all_the_same(database: Database) -> None:
    one = Shared(database)
    view = run(selected(one, THEIRS + "Work"))
    before = one.state()
    one.between.revoking(*one.ids[THEIRS + "Work"], "s")
    assert list(run(actions.seen(view, [1]))) == []
    assert one.state() == before


def test_a_delegate_is_held_to_what_is_denied_him_in_between(database: Database) -> None:
    one = Shared(database)
    one.held.directory.named = {ALICE: frozenset({EntryId(BOB)})}  # type: ignore[attr-defined]
    before = one.state()

    async def deny(fn: Callable[..., Any], *args: Any, **options: Any) -> Any:
        await database.write(acl.change, ALICE, INBOX, EntryId(BOB), "i", "+", True)
        return await database.write(fn, *args, **options)

    one.between.write = deny  # type: ignore[method-assign]
    with pytest.raises(NotPermitted):
        run(append(one, THEIRS + "INBOX"))
    assert one.state() == before


def test_ones_own_mailbox_costs_nothing_more(database: Database) -> None:
    one = Shared(database)
    assert under((), moving.copy) is moving.copy
    run(copy_in(one, "Sent"))
    run(flagged(one, "INBOX"))
    run(rename(one, "Sent"))
    assert moving.copy in one.between.handed and mailboxes.rename in one.between.handed


def test_each_batch_looks_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was copied before the right went is taken out again: all or none (RFC 9051 6.4.7)."""
    monkeypatch.setattr(jobs, "BATCH", 1)
    one = Shared(database)
    one.between.revoking(*one.ids[NEWS], "i", skip=1)
    view = run(selected(one, "INBOX"))
    with pytest.raises(NotPermitted):
        run(view.copy(uid_set(EVERY), NEWS))
    assert {row[1]: row[2] for row in one.state() if row[0] == PUBLIC}["News"] == 3
