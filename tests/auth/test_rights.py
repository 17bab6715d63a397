"""Sessions hear that their account ended or changed."""

from __future__ import annotations

from typing import Any

from imsd.store import credentials
from imsd.store.database import Database
from imsd.store.ids import EntryId
from tests.auth.fakes import Office
from tests.support.stores import run


def watched(database: Database) -> tuple[Office, Any, list[Any], Any]:
    office = Office(database)
    office.give_password(1, "alice alice")
    account = office.login("alice", "alice alice")
    heard: list[Any] = []
    watch = office.authenticator.watch_rights(account, heard.append)
    office.settle()
    assert heard == []
    return office, account, heard, watch


def test_disabled(database: Database) -> None:
    office, _, heard, _ = watched(database)
    office.change(1, disabled=True)
    office.settle()
    assert heard == [None]
    office.change(1, disabled=True)
    office.settle()
    assert heard == [None], "told once"


def test_deleted(sqlite_database: Database) -> None:
    office, _, heard, _ = watched(sqlite_database)
    office.change(1, gone=True)
    office.settle()
    assert heard == [None]


def test_new_password(database: Database) -> None:
    office, _, heard, _ = watched(database)
    office.give_password(1, "another one")
    office.settle()
    assert heard == [None]


def test_app_password_taken_back(sqlite_database: Database) -> None:
    office, _, heard, _ = watched(sqlite_database)
    run(office.authenticator.add_app_password(EntryId(1), "telephone"))
    office.settle()
    assert heard == []
    run(sqlite_database.write(credentials.remove_app_password, EntryId(1), 1))
    office.settle()
    assert heard == [None]


def test_rights_moved(sqlite_database: Database) -> None:
    office, account, heard, _ = watched(sqlite_database)
    office.change(1, is_admin=True, rights_version=2)
    office.settle()
    assert [(one.is_admin, one.rights_version) for one in heard] == [(True, 2)]
    assert heard[0].id == account.id


def test_others_and_the_stopped_hear_nothing(sqlite_database: Database) -> None:
    office, _, heard, watch = watched(sqlite_database)
    office.change(2, disabled=True)
    office.settle()
    watch.stop()
    watch.stop()
    office.change(1, disabled=True)
    office.settle()
    assert heard == []


def test_ended_between_login_and_watching(sqlite_database: Database) -> None:
    office = Office(sqlite_database)
    office.give_password(1, "alice alice")
    account = office.login("alice", "alice alice")
    office.change(1, disabled=True)
    heard: list[Any] = []
    office.authenticator.watch_rights(account, heard.append)
    office.settle()
    assert heard == [None]


def test_who_acts_for_another_ends_with_either(sqlite_database: Database) -> None:
    office = Office(sqlite_database, administrators_act=True)
    office.give_password(9, "root root")
    heard: list[Any] = []
    account = office.login("root", "root root", authzid="alice")
    office.authenticator.watch_rights(account, heard.append)
    office.settle()
    assert heard == []
    office.change(9, is_admin=False)
    office.settle()
    assert heard == [None]


def test_one_bad_session_does_not_keep_others_from_hearing(sqlite_database: Database) -> None:
    office, account, heard, _ = watched(sqlite_database)

    def broken(_: Any) -> None:
        raise ZeroDivisionError

    for _ in range(3):
        office.authenticator.watch_rights(account, broken)
    office.change(1, disabled=True)
    office.settle()
    assert heard == [None]
