"""Changes of attributes that stand for themselves end as they would by way of the whole entry."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam, select

from imsd.directory import amending
from imsd.directory.access import SERVER
from imsd.directory.changes import Change, Modification
from imsd.directory.conditions import Conditions
from imsd.directory.directory import Directory
from imsd.errors import NoSuchEntry, Refusal
from imsd.store.database import Database
from imsd.store.entry_tables import entry_value
from imsd.store.sql import sql
from tests.directory.support import open_directory, viewer
from tests.support.stores import run

ADD, DELETE, REPLACE, INCREMENT = Change
RECIPIENTS = "cn=Recipients,ou=Main,o=Example"
_INDEXED = sql(
    select(entry_value.c.attribute, entry_value.c.value).where(entry_value.c.entry == bindparam("id"))
)


@pytest.fixture
def directory(database: Database) -> Directory:
    directory = open_directory(database)
    for name in ("ann", "bob"):
        run(directory.add_user(f"{name}@example.test", name="A Person"))
    return directory


def of(change: Change, attribute: str, *values: bytes) -> Modification:
    return Modification(change, attribute, values)


CHANGES: list[list[Modification]] = [
    [of(REPLACE, "title", b"Engineer")],
    [of(REPLACE, "title", b"Inspector")],
    [of(REPLACE, "Title", b"ENGINEER"), of(ADD, "title", b"engineer")],
    [of(ADD, "2.5.4.12", b"Poet", b"Nurse"), of(DELETE, "title", b"inspector")],
    [of(REPLACE, "title", b"Poet"), of(ADD, "telephoneNumber", b"+1 2"), of(REPLACE, "title", b"Cook")],
    [of(REPLACE, "telephoneNumber", b"+12")],
    [of(DELETE, "telephoneNumber", b"+1 3")],
    [of(DELETE, "telephoneNumber"), of(DELETE, "telephoneNumber")],
    [of(DELETE, "telephoneNumber")],
    [of(REPLACE, "description", *(b"%d" % number for number in range(200)))],
    [of(REPLACE, "description")],
    [of(REPLACE, "description")],
    [of(ADD, "description")],
    [of(REPLACE, "title", b"")],
    [of(REPLACE, "title", b"\xff")],
    [of(REPLACE, "title", b"x" * 65)],
    [of(REPLACE, "title", b"x" * 64), of(REPLACE, "sn", b"Lee")],
    [of(DELETE, "sn")],
    [of(REPLACE, "sn"), of(ADD, "sn", b"Two", b"Three")],
    [of(REPLACE, "employeeNumber", b"1", b"2")],
    [of(REPLACE, "employeeNumber", b"1")],
    [of(INCREMENT, "employeeNumber", b"1")],
    [of(REPLACE, "mailPreferenceOption", b"1"), of(INCREMENT, "mailPreferenceOption", b"2")],
    [of(REPLACE, "Home-MTA", b"one"), of(REPLACE, "AutoReply", b"TRUE")],
    [of(REPLACE, "AutoReply", b"perhaps")],
    [of(REPLACE, "Folder-Pathname", b"a")],
    [of(REPLACE, "associatedDomain", b"a.test")],
    [of(REPLACE, "postalAddress", b"A$B"), of(REPLACE, "userCertificate;binary", b"none")],
    [of(REPLACE, "jpegPhoto", bytes(range(256)) * 600)],
    [of(REPLACE, "info", b"x" * 300), of(REPLACE, "department", b"y" * 64)],
    [of(REPLACE, "department", b"Y" * 64)],
    [of(REPLACE, "entryUUID", b"x")],
    [of(REPLACE, "nonsense", b"x")],
    [of(REPLACE, "title", b"x"), of(REPLACE, "nonsense", b"x")],
    [of(REPLACE, "title;lang-de", b"Dichter"), of(REPLACE, "title")],
    [of(REPLACE, "title", b"dichter")],
    [of(REPLACE, "title", b"Poet")],
    [of(REPLACE, "title;lang-de")],
    [of(REPLACE, "title", b"Dichter")],
    [],
]


def outcome(directory: Directory, who: str, changes: list[Modification], **conditions: Any) -> Any:
    """What became of an entry, and of its index, or what was said."""
    name, asking = f"cn={who},{RECIPIENTS}", viewer(directory, "administrator")
    try:
        run(directory.modify_entry(name, changes, asking, Conditions(**conditions)))
        refused = None
    except Refusal as error:
        refused = type(error), str(error)
    found, row = run(directory.attributes(name))
    assert found == name
    entry = run(directory.cache.entry(run(directory.cache.locate(name))[0]))
    indexed = run(directory.db.read(lambda tx: tx.all(_INDEXED, id=entry.id)))
    mine = {(key, value) for key, value in indexed if key != "entryuuid" and who not in value}
    shown = {key: values for key, values in row.items() if not any(who in value for value in values)}
    return refused, shown, mine, entry.row.version, entry.row.modifier


@pytest.mark.parametrize("permissive", [False, True])
def test_both_ways_end_alike(directory: Directory, monkeypatch: pytest.MonkeyPatch, permissive: bool) -> None:
    begun = amending.begun
    short = 0
    for changes in CHANGES:
        before = outcome(directory, "ann", [])[3]
        one = outcome(directory, "ann", changes, permissive=permissive)
        short += one[3] != before
        monkeypatch.setattr(amending, "begun", lambda entry, modifications: None)
        other = outcome(directory, "bob", changes, permissive=permissive)
        monkeypatch.setattr(amending, "begun", begun)
        assert (one[0], one[1], one[2], one[4]) == (other[0], other[1], other[2], other[4]), changes
        assert (one[3] == before) is (one[0] is not None or not changes), changes
    assert short > 12


def test_what_something_follows_from_is_not_of_this_sort(directory: Directory) -> None:
    entry = run(directory.cache.entry(run(directory.cache.locate(f"cn=ann,{RECIPIENTS}"))[0]))
    assert amending.begun(entry, [of(REPLACE, "title", b"Poet"), of(ADD, "telephoneNumber", b"1")])
    for key in (
        "cn", "uid", "mail", "displayName", "objectClass", "rdn", "proxyAddresses", "manager", "userPassword",
        "imsAdministrator", "imsAccountDisabled", "Protocol-Settings", "DXA-Task", "title;lang-de",
        "memberOf", "entryUUID", "nonsense",
    ):  # fmt: skip
        assert not amending.begun(entry, [of(REPLACE, "title", b"Poet"), of(REPLACE, key, b"x")]), key
    top = run(directory.cache.entry(run(directory.cache.locate("o=Example"))[0]))
    assert not amending.begun(top, [of(REPLACE, "description", b"x")])
    assert not amending.begun(entry, [])


def test_rights_are_those_of_the_rows_at_once(directory: Directory) -> None:
    """What is remembered of a row is not remembered of the next one."""
    ann = viewer(directory, "ann")
    name, phone = f"cn=ann,{RECIPIENTS}", [of(REPLACE, "telephoneNumber", b"1")]
    run(directory.modify_entry(name, phone, ann))
    run(directory.modify_entry(name, [of(REPLACE, "imsAccountDisabled", b"TRUE")], SERVER))
    with pytest.raises(Refusal):
        run(directory.modify_entry(name, phone, ann))
    run(directory.modify_entry(name, [of(REPLACE, "imsAccountDisabled")], SERVER))
    run(directory.modify_entry(name, phone, ann))
    with pytest.raises(NoSuchEntry):
        run(directory.modify_entry(f"cn=nobody,{RECIPIENTS}", phone, ann))
