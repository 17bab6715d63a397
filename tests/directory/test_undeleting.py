"""Recipients who were deleted and come back, or do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imsd.directory import undeleting
from imsd.directory.access import Viewer
from imsd.directory.attributes import Visible
from imsd.directory.conditions import Conditions
from imsd.directory.directory import Directory
from imsd.directory.putting_away import DAY
from imsd.errors import EntryExists, NoSuchEntry, NoSuchRecipient, UnwillingToPerform
from imsd.store import credentials, mailboxes
from imsd.store.deleted_entries import Deleted
from imsd.store.ids import AccountId, EntryId
from tests.directory.support import configure, open_directory
from tests.support.stores import StoreReactor, open_store, run

ADDRESS = "ann@example.test"


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    run(directory.add_user(ADDRESS, name="Ann Lee", password="correct horse battery"))
    yield directory
    run(database.close())


def kept(directory: Directory) -> list[Deleted]:
    return [each for each, _ in run(directory.db.read(undeleting.listed))]


def undelete(directory: Directory, who: str = ADDRESS, later: int = 0) -> EntryId:
    return run(directory.db.write(undeleting.undelete, who, directory.now() + later))


def administrator(directory: Directory) -> Viewer:
    found = run(directory.person_by_login("administrator"))
    assert found is not None
    return Viewer(found.entry, Visible.ADMINISTRATOR)


def over_ldap(directory: Directory) -> None:
    name = run(directory.person_by_login("ann")).dn  # type: ignore[union-attr]
    run(directory.delete_entry(name, administrator(directory)))


@pytest.mark.parametrize(
    "delete", [lambda directory: run(directory.delete_user("ann", delete_mailbox=True)), over_ldap]
)
def test_whoever_comes_back_has_his_mailboxes_and_password(
    directory: Directory, delete: Callable[[Directory], None]
) -> None:
    entry = run(directory.resolve(ADDRESS)).entry  # type: ignore[union-attr]
    account = AccountId(entry)
    before = run(directory.db.read(mailboxes.list_mailboxes, account))
    password = run(directory.db.read(credentials.read, entry))
    assert before and password.password
    delete(directory)
    with pytest.raises(NoSuchRecipient):
        run(directory.resolve(ADDRESS))
    (one,) = kept(directory)
    assert (one.id, undeleting.primary(one)) == (entry, ADDRESS)
    assert one.until - one.deleted == 30 * DAY
    assert undelete(directory, "Ann@Example.TEST") == entry
    assert run(directory.resolve(ADDRESS)).entry == entry  # type: ignore[union-attr]
    assert run(directory.db.read(mailboxes.list_mailboxes, account)) == before
    assert run(directory.db.read(credentials.read, entry)) == password
    assert kept(directory) == []


def test_it_is_known_who_did_it(directory: Directory) -> None:
    over_ldap(directory)
    assert kept(directory)[0].actor == administrator(directory).entry


def test_whose_container_is_gone_comes_back_among_the_recipients(directory: Directory) -> None:
    above = administrator_container(directory)
    asking = administrator(directory)
    run(directory.add_entry(f"cn=Leavers,{above}", [("objectClass", [b"container"])], asking))
    run(directory.rename_entry(f"cn=ann,{above}", "cn=ann", True, f"cn=Leavers,{above}", asking))
    run(directory.delete_entry(f"cn=Leavers,{above}", asking, Conditions(tree=True)))
    undelete(directory)
    assert run(directory.person_by_login("ann")).dn == f"cn=ann,{above}"  # type: ignore[union-attr]


def test_lists_contacts_and_folders_come_back_too(directory: Directory) -> None:
    run(directory.add_group("all@example.test", members=[ADDRESS]))
    run(directory.add_contact("far@example.test", "far@elsewhere.test"))
    run(directory.add_folder("news@example.test", "News"))
    names = ("all@example.test", "far@example.test", "news@example.test")
    before = [run(directory.resolve(name)) for name in names]
    for name in names:
        run(directory.delete(name))
    for name in names:
        undelete(directory, name)
    assert [run(directory.resolve(name)) for name in names] == before
    (member,) = run(directory.expand(before[0])).recipients
    assert member.address == ADDRESS


def test_after_his_time_nobody_comes_back_and_all_goes(directory: Directory) -> None:
    configure(directory, deletion__keep_days="1")
    entry = run(directory.resolve(ADDRESS)).entry  # type: ignore[union-attr]
    run(directory.delete_user("ann", delete_mailbox=True))
    until = directory.now() + DAY
    run(undeleting.purge_all_due(directory.db, lambda: until - 1))
    assert len(kept(directory)) == 1
    with pytest.raises(NoSuchEntry, match=r"time of ann@example\.test is over"):
        undelete(directory, later=DAY)
    run(undeleting.purge_all_due(directory.db, lambda: until))
    assert gone(directory, entry)


def test_an_administrator_need_not_wait(directory: Directory) -> None:
    entry = run(directory.resolve(ADDRESS)).entry  # type: ignore[union-attr]
    run(directory.delete_user("ann", delete_mailbox=True))
    one = run(directory.db.write(undeleting.purge, f"#{entry}", directory.now()))
    assert one.id == entry and gone(directory, entry)
    with pytest.raises(NoSuchEntry, match="imsctl directory deleted"):
        undelete(directory)


@pytest.mark.parametrize("setting", [True, False])
def test_nothing_is_kept_where_that_is_wanted(directory: Directory, setting: bool) -> None:
    entry = run(directory.resolve(ADDRESS)).entry  # type: ignore[union-attr]
    if setting:
        configure(directory, deletion__keep_days="0")
    run(directory.delete_user("ann", delete_mailbox=True, at_once=not setting))
    assert gone(directory, entry)


def gone(directory: Directory, entry: EntryId) -> bool:
    return (
        run(directory.db.read(mailboxes.list_mailboxes, AccountId(entry))) == []
        and run(directory.db.read(credentials.read, entry)) == credentials.Credentials()
        and kept(directory) == []
    )


def test_the_last_administrator_is_not_put_away(directory: Directory) -> None:
    with pytest.raises(UnwillingToPerform):
        run(directory.delete_user("administrator", delete_mailbox=True))
    assert kept(directory) == []


def test_who_asks_for_the_address_meanwhile_has_it(directory: Directory) -> None:
    first = run(directory.resolve(ADDRESS)).entry  # type: ignore[union-attr]
    run(directory.delete_user("ann", delete_mailbox=True))
    run(directory.add_user(ADDRESS, name="Ann Other", alias="other"))
    with pytest.raises(EntryExists, match=r"ann@example\.test.*belongs to another entry now"):
        undelete(directory)
    second = run(directory.resolve(ADDRESS)).entry  # type: ignore[union-attr]
    run(directory.delete_user("other", delete_mailbox=True))
    assert undelete(directory) == second, "the last who had it"
    run(directory.delete_user("other", delete_mailbox=True, at_once=True))
    assert undelete(directory) == first


def test_no_address_is_made_that_somebody_had_who_may_come_back(directory: Directory) -> None:
    configure(directory, addressing__smtp='["%m@example.test"]')
    run(directory.delete_user("ann", delete_mailbox=True))
    above = administrator_container(directory)
    run(
        directory.add_entry(
            f"cn=ann,{above}",
            [("objectClass", [b"inetOrgPerson", b"Mailbox"]), ("cn", [b"Ann Two"]), ("uid", [b"ann"])],
            administrator(directory),
        )
    )
    assert run(directory.person_by_login("ann")).address == "ann2@example.test"  # type: ignore[union-attr]


def administrator_container(directory: Directory) -> str:
    return run(directory.person_by_login("administrator")).dn.partition(",")[2]  # type: ignore[union-attr, no-any-return]
