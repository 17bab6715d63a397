"""Logging in to another's mailbox: who may, by which protocol, and until when (ims_spec 7.1.1)."""

from __future__ import annotations

from typing import Any

import pytest

from imsd.auth.account import NOBODY
from imsd.auth.protocols import Methods
from imsd.errors import AuthenticationFailed, NotAuthorized
from imsd.store import acl, mailboxes
from imsd.store.database import Database
from imsd.store.ids import INBOX, AccountId, EntryId
from tests.auth.fakes import LOOPBACK, Office, touch
from tests.support.stores import run

ALICE, BOB = AccountId(1), AccountId(2)
FORMS = (("EXAMPLE/bob/alice", ""), ("EXAMPLE\\bob\\alice", ""), ("bob", "alice@example.test"))


def every() -> Methods:
    return Methods(True, True, True, True)


class Shared(Office):
    """bob logs in where mailboxes are opened."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.give_password(2, "bob bob b")
        run(database.write(mailboxes.create_account_mailboxes, ALICE, 1))
        self.opening = self.authenticator.of_protocol("imap", every, opens=True)

    def open(self, name: str, authzid: str) -> Any:
        return run(self.opening.password(authzid, name, "bob bob b", LOOPBACK))


@pytest.mark.parametrize(("name", "authzid"), FORMS)
def test_a_delegate_opens_the_mailbox(database: Database, name: str, authzid: str) -> None:
    office = Shared(database)
    with pytest.raises(NotAuthorized):
        office.open(name, authzid)
    office.directory.named = {ALICE: frozenset({EntryId(BOB)})}
    account = office.open(name, authzid)
    assert (account.id, account.actor, account.restricted, account.is_admin) == (ALICE, BOB, True, False)
    # Mail and the directory are used under one's own name, which may be typed in any form.
    if authzid:
        with pytest.raises(NotAuthorized):
            office.login(name, "bob bob b", authzid=authzid)
    else:
        own = office.login(name, "bob bob b")
        assert (own.id, own.actor, own.restricted) == (BOB, BOB, False)


def test_whoever_may_read_the_inbox_opens_it(database: Database) -> None:
    office = Shared(database)
    run(database.write(acl.grant, ALICE, INBOX, BOB, "l"))
    with pytest.raises(NotAuthorized):
        office.open(*FORMS[0])
    run(database.write(acl.grant, ALICE, INBOX, BOB, "lr"))
    account = office.open(*FORMS[0])
    assert run(office.opening.rights_on(account, ALICE, INBOX)) == set("lr")


def test_who_is_a_delegate_no_more_is_sent_away(sqlite_database: Database) -> None:
    office = Shared(sqlite_database)
    office.directory.named = {ALICE: frozenset({EntryId(BOB)})}
    heard: list[Any] = []
    office.opening.watch_rights(office.open(*FORMS[0]), heard.append)
    office.settle()
    assert heard == []
    office.directory.named = {}
    office.change(1)
    office.settle()
    assert heard == [None]


@pytest.mark.parametrize(("rights", "stays"), [("", False), ("l", False), ("lrs", True)])
def test_who_is_taken_off_the_list_is_sent_away(database: Database, rights: str, stays: bool) -> None:
    office = Shared(database)
    run(database.write(acl.grant, ALICE, INBOX, BOB, "lr"))
    heard: list[Any] = []
    watch = office.opening.watch_rights(office.open(*FORMS[0]), heard.append)
    office.settle()
    assert heard == []
    run(database.write(acl.grant, ALICE, INBOX, BOB, rights))
    office.settle()
    assert heard == ([] if stays else [None])
    watch.stop()
    assert office.opening._rights._restricted == set()


def test_who_is_in_a_group_no_more_is_sent_away(sqlite_database: Database) -> None:
    office = Shared(sqlite_database)
    team = EntryId(77)
    office.directory.groups = {EntryId(BOB): frozenset({team})}
    run(sqlite_database.write(acl.grant, ALICE, INBOX, AccountId(team), "lr"))
    heard: list[Any] = []
    office.opening.watch_rights(office.open(*FORMS[0]), heard.append)
    office.settle()
    assert heard == []
    office.directory.groups = {}
    run(sqlite_database.write(touch, team))
    office.settle()
    assert heard == [None]


def test_nobody_comes_in_only_where_that_is_on(sqlite_database: Database) -> None:
    office = Shared(sqlite_database)
    on = office.authenticator.of_protocol("imap", every, anonymous=lambda: True)
    assert "ANONYMOUS" in on.mechanisms(LOOPBACK) and "ANONYMOUS" not in office.opening.mechanisms(LOOPBACK)
    assert run(on.anonymous("sirhc", LOOPBACK)) is NOBODY
    with pytest.raises(AuthenticationFailed):
        run(office.opening.anonymous("sirhc", LOOPBACK))
