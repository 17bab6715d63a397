"""People who were deleted and come back, or do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imsd.directory import undeleting
from imsd.directory.directory import Directory
from imsd.errors import ConstraintViolation, NoSuchEntry, NoSuchRecipient, UnwillingToPerform
from imsd.store import credentials, mailboxes
from imsd.store.ids import AccountId, EntryId
from tests.directory.support import open_directory
from tests.support.stores import StoreReactor, open_store, run

NOW = 1_700_000_000_000_000
ADDRESS = "ann@example.test"


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    run(directory.add_user(ADDRESS, name="Ann Lee", password="correct horse battery"))
    yield directory
    run(database.close())


def put_away(directory: Directory, days: int = 30) -> EntryId:
    return run(directory.db.write(undeleting.put_away, ADDRESS, days, NOW))


def test_whoever_comes_back_has_his_mailboxes_and_password(directory: Directory) -> None:
    entry = run(directory.resolve(ADDRESS)).entry
    account = AccountId(entry)
    before = run(directory.db.read(mailboxes.list_mailboxes, account))
    password = run(directory.db.read(credentials.read, entry))
    assert before and password.password
    assert put_away(directory) == entry
    with pytest.raises(NoSuchRecipient):
        run(directory.resolve(ADDRESS))
    (kept,) = run(directory.db.read(undeleting.listed))
    assert (kept.id, undeleting.primary(kept), kept.until - kept.deleted) == (
        entry,
        ADDRESS,
        30 * undeleting.DAY,
    )
    assert run(directory.db.write(undeleting.undelete, "Ann@Example.TEST", NOW + 1)) == entry
    assert run(directory.resolve(ADDRESS)).entry == entry
    assert run(directory.db.read(mailboxes.list_mailboxes, account)) == before
    assert run(directory.db.read(credentials.read, entry)) == password


def test_after_his_time_nobody_comes_back_and_all_goes(directory: Directory) -> None:
    entry = put_away(directory, 1)
    account = AccountId(entry)
    assert run(directory.db.write(undeleting.purge, NOW + undeleting.DAY - 1)) == []
    with pytest.raises(NoSuchEntry):
        run(directory.db.write(undeleting.undelete, ADDRESS, NOW + undeleting.DAY))
    assert run(directory.db.write(undeleting.purge, NOW + undeleting.DAY)) == [entry]
    assert run(directory.db.write(undeleting.purge, NOW + undeleting.DAY)) == []
    assert run(directory.db.read(mailboxes.list_mailboxes, account)) == []
    assert run(directory.db.read(credentials.read, entry)) == credentials.Credentials()
    assert run(directory.db.read(undeleting.listed)) == []


def test_the_last_administrator_is_not_put_away(directory: Directory) -> None:
    with pytest.raises(UnwillingToPerform):
        run(directory.db.write(undeleting.put_away, "administrator@example.test", 30, NOW))
    assert run(directory.db.read(undeleting.listed)) == []


def test_nobody_else_is_given_the_address_meanwhile(directory: Directory) -> None:
    put_away(directory, 1)
    with pytest.raises(ConstraintViolation):
        run(directory.add_user(ADDRESS, name="Ann Other"))
    run(directory.db.write(undeleting.purge, NOW + undeleting.DAY))
    run(directory.add_user(ADDRESS, name="Ann Other"))
    assert run(directory.resolve(ADDRESS)).entry
