"""Many records at once: each refusal is one record's, and nothing of it stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import fail

from imsd.directory import bulk, undeleting
from imsd.directory.bulk import Done, Pass, Wanted
from imsd.directory.directory import Directory
from imsd.errors import EntryExists, NoSuchRecipient, TryLater
from imsd.store import credentials, mailboxes
from imsd.store.ids import AccountId
from tests.directory.support import configure, found, open_directory
from tests.support.stores import StoreReactor, open_store, run

BELOW = "cn=Recipients,ou=Main,o=Example"


def person(name: str, *lines: str) -> bytes:
    return "\n".join(
        [f"dn: cn={name},{BELOW}", "objectClass: inetOrgPerson", f"sn: {name}", f"uid: {name}", *lines, ""]
    ).encode()


@pytest.fixture
def directory(database_url: str, tmp_path: Path, store_reactor: StoreReactor) -> Directory:
    return open_directory(open_store(tmp_path / "home", database_url))


def put(directory: Directory, *texts: bytes, **wanted: bool) -> list[bulk.Outcome]:
    return run(bulk.apply(directory, texts, Wanted(**wanted)))


def test_one_bad_record_among_many_is_the_only_one_refused(directory: Directory) -> None:
    texts = [person(f"p{n}") for n in range(40)]
    texts[7] = person("p7", "mail: p3@example.test")  # taken
    texts[20] = b"dn: cn=p20\nnonsense\n"
    texts[21] = person("p21", "nonsense: x")
    outcomes = put(directory, *texts)
    assert {n for n, one in enumerate(outcomes) if one.done is not Done.ADDED} == {7, 20, 21}
    assert outcomes[7].kind == "ConstraintViolation"
    assert outcomes[20].text == "line 2 of the record: attribute: value is wanted"
    assert outcomes[21].kind == "UndefinedAttribute"
    assert len(found(directory, "(uid=p*)")) == 37
    last = run(directory.person_by_login("p39"))
    assert last is not None
    names = {box.name for box in run(directory.db.read(mailboxes.list_mailboxes, AccountId(last.entry)))}
    assert "INBOX" in names and "Sent" in names
    assert all(one.done is Done.THERE for one in put(directory, *(person(f"p{n}") for n in range(5))))
    run(directory.db.close())


def test_a_rehearsal_says_the_same_and_changes_nothing(directory: Directory) -> None:
    texts = [person("a"), person("b", "nonsense: x"), person("a")]
    outcomes = put(directory, *texts, rehearse=True)
    assert [one.done for one in outcomes] == [Done.ADDED, Done.REFUSED, Done.THERE]
    with pytest.raises(NoSuchRecipient):
        run(directory.resolve("a@example.test"))
    assert [one.done for one in put(directory, *texts)] == [Done.ADDED, Done.REFUSED, Done.THERE]
    run(directory.db.close())


def test_changes_are_made_in_order_and_may_be_repeated(directory: Directory) -> None:
    added = put(
        directory,
        f"dn: cn=a,{BELOW}\nchangetype: add\nobjectClass: inetOrgPerson\nsn: A\n".encode(),
        f"dn: cn=a,{BELOW}\nchangetype: modify\nadd: telephoneNumber\ntelephoneNumber: +1\n-\n"
        "replace: l\nl: Rome\n".encode(),
        f"dn: cn=a,{BELOW}\nchangetype: modrdn\nnewrdn: cn=b\ndeleteoldrdn: 1\n".encode(),
        f"dn: cn=none,{BELOW}\nchangetype: delete\n".encode(),
    )
    assert [one.done for one in added] == [Done.ADDED, Done.CHANGED, Done.RENAMED, Done.REFUSED]
    assert added[3].kind == "NoSuchEntry"
    (entry,) = found(directory, "(cn=b)", "l", "telephoneNumber").values()
    assert entry == {"l": ["Rome"], "telephoneNumber": ["+1"]}
    again = f"dn: cn=b,{BELOW}\nchangetype: modify\nadd: telephoneNumber\ntelephoneNumber: +1\n".encode()
    assert put(directory, again)[0].kind == "AttributeOrValueExists"
    assert put(directory, again, repeated=True)[0].done is Done.THERE
    gone = f"dn: cn=b,{BELOW}\nchangetype: delete\n".encode()
    assert [one.done for one in put(directory, gone)] == [Done.DELETED]
    assert [one.done for one in put(directory, gone, repeated=True)] == [Done.THERE]
    run(directory.db.close())


def test_references_are_put_in_later_and_those_that_are_there_stay(directory: Directory) -> None:
    members = f"member: cn=a,{BELOW}\nmember: cn=b,{BELOW}\n"
    group = f"dn: cn=team,{BELOW}\nobjectClass: groupOfNames\n{members}".encode()
    first = put(directory, group, person("a"), person("b"), person("c"))
    assert [one.later for one in first] == [True, False, False, False]
    second = run(bulk.apply(directory, [group], Wanted(Pass.REFERENCES)))
    assert second[0].done is Done.CHANGED
    run(directory.change_members(f"cn=team,{BELOW}", add=["c"]))
    assert run(bulk.apply(directory, [group], Wanted(Pass.REFERENCES)))[0].done is Done.THERE
    assert len(found(directory, "(cn=team)", "member")[f"cn=team,{BELOW}"]["member"]) == 3
    replaced = run(bulk.apply(directory, [group], Wanted(Pass.REFERENCES, replace=True)))
    assert replaced[0].done is Done.CHANGED
    assert len(found(directory, "(cn=team)", "member")[f"cn=team,{BELOW}"]["member"]) == 2
    run(directory.db.close())


def test_records_of_one_unit_may_rest_on_each_other(directory: Directory) -> None:
    staff = f"cn=Staff,{BELOW}"
    outcomes = put(
        directory,
        f"dn: {staff}\nobjectClass: container\n".encode(),
        person("a", "mail: a@example.test"),
        f"dn: cn=b,{staff}\nobjectClass: inetOrgPerson\nsn: B\nuid: b\n".encode(),
        f"dn: cn=also,{staff}\nobjectClass: alias\nobjectClass: extensibleObject\n"
        f"aliasedObjectName: cn=a,{BELOW}\n".encode(),
        f"dn: cn=c,cn=Nowhere,{BELOW}\nobjectClass: inetOrgPerson\nsn: C\n".encode(),
        person("d", "mail: a@example.test"),
        person("d", "mail: d@example.test"),
        person("e", "userPassword: secret of e", "imsMessageQuota: 7"),
    )
    assert [one.done for one in outcomes] == [
        Done.ADDED, Done.ADDED, Done.ADDED, Done.ADDED, Done.REFUSED, Done.REFUSED, Done.ADDED, Done.ADDED,
    ]  # fmt: skip
    assert [one.kind for one in outcomes if one.kind] == ["NoSuchEntry", "ConstraintViolation"]
    assert list(found(directory, "(uid=b)")) == [f"cn=b,{staff}"]
    assert found(directory, "(mail=*)", "mail", base=BELOW)[f"cn=d,{BELOW}"]["mail"] == ["d@example.test"]
    last = run(directory.person_by_login("e"))
    assert last is not None
    account = AccountId(last.account)
    assert run(directory.db.read(mailboxes.usage, account)).quota_messages == 7
    assert run(directory.db.read(credentials.read, last.entry)).password == "plain:secret of e"
    run(directory.db.close())


def test_what_is_replaced_may_take_what_a_record_before_it_took(directory: Directory) -> None:
    assert put(directory, person("a"))[0].done is Done.ADDED
    outcomes = put(
        directory,
        person("b", "mail: shared@example.test"),
        person("a", "mail: shared@example.test"),
        person("a", "mail: own@example.test"),
        person("c"),
        replace=True,
    )
    assert [one.done for one in outcomes] == [Done.ADDED, Done.REFUSED, Done.CHANGED, Done.ADDED]
    names = found(directory, "(mail=own@example.test)")
    assert list(names) == [f"cn=a,{BELOW}"]
    run(directory.db.close())


def test_a_piece_that_was_written_in_part_is_finished_by_its_repetition(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_TOGETHER", 4)
    team = f"dn: cn=team,{BELOW}\nobjectClass: groupOfNames\nmember: cn=p1,{BELOW}\n".encode()
    texts = [team, *(person(f"p{n}") for n in range(20)), person("bad", "nonsense: x")]
    write, calls = directory.db.write, []

    def some(fn: Any, *args: Any, **more: Any) -> Any:
        calls.append(fn)
        if len(calls) > 3:
            raise TryLater
        return write(fn, *args, **more)

    monkeypatch.setattr(directory.db, "write", some)
    with pytest.raises(TryLater):
        run(bulk.apply(directory, texts, Wanted()))
    monkeypatch.undo()
    there = len(found(directory, "(uid=p*)"))
    assert 0 < there < 20
    again = run(bulk.apply(directory, texts, Wanted(repeated=True)))
    done = [one.done for one in again]
    assert (done.count(Done.THERE), done.count(Done.ADDED), done[-1]) == (there + 1, 20 - there, Done.REFUSED)
    # Whether its references were put in, nobody knows: they are, in any case.
    assert again[0].later
    assert len(found(directory, "(uid=p*)")) == 20
    run(directory.db.close())


@pytest.mark.parametrize("why", ["a record is refused when it is changed", "the unit fails for a moment"])
def test_what_stands_below_what_an_undone_unit_adds_is_added(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(bulk, "_TOGETHER", 4)
    staff = f"cn=Staff,{BELOW}"
    write, calls = directory.db.write, []

    def some(fn: Any, *args: Any, **more: Any) -> Any:
        calls.append(fn)
        return fail(TryLater()) if len(calls) == 1 else write(fn, *args, **more)

    assert put(directory, f"dn: cn=p0,{BELOW}\nobjectClass: groupOfNames\n".encode())[0].done is Done.ADDED
    if "moment" in why:
        monkeypatch.setattr(directory.db, "write", some)
    texts = [
        f"dn: {staff}\nobjectClass: container\n".encode(),
        *(person(f"p{n}") for n in range(0 if "changed" in why else 1, 6)),
        *(person(f"s{n}").replace(BELOW.encode(), staff.encode()) for n in range(6)),
    ]
    refused = [one for one in put(directory, *texts, replace=True) if one.done is not Done.ADDED]
    assert [one.kind for one in refused] == (["UnwillingToPerform"] if "changed" in why else [])
    assert len(found(directory, "(uid=s*)", base=staff)) == 6
    run(directory.db.close())


def test_an_entry_uuid_is_one_entrys(directory: Directory) -> None:
    mine = "entryUUID: 11111111-2222-4333-8444-555555555555"
    wanted = [Done.ADDED, Done.REFUSED, Done.ADDED]
    outcomes = put(directory, person("a", mine), person("b", mine), person("c"))
    assert [one.done for one in outcomes] == wanted and "entryUUID" in outcomes[1].text
    late = f"dn: cn=d,{BELOW}\nchangetype: add\nobjectClass: person\nsn: D\n{mine}\n".encode()
    assert [put(directory, each)[0].done for each in (person("b", mine), late)] == [Done.REFUSED] * 2
    assert list(found(directory, f"({mine.replace(': ', '=')})")) == [f"cn=a,{BELOW}"]
    # Who was deleted does not come back beside one that was made of an export of him.
    configure(directory, deletion__keep_days="30")
    run(directory.delete("a"))
    assert put(directory, person("other", mine))[0].done is Done.ADDED
    with pytest.raises(EntryExists):
        run(directory.db.write(undeleting.undelete, "a", directory.now()))
    run(directory.delete("other", at_once=True))
    run(directory.db.write(undeleting.undelete, "a", directory.now()))
    assert list(found(directory, f"({mine.replace(': ', '=')})")) == [f"cn=a,{BELOW}"]
    run(directory.db.close())


def test_the_last_of_two_records_of_one_entry_is_what_replaces_it(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_TOGETHER", 2)
    assert put(directory, f"dn: cn=p0,{BELOW}\nobjectClass: groupOfNames\n".encode())[0].done is Done.ADDED
    texts = [person("p0"), person("a", "title: Before"), person("b"), person("a", "title: After")]
    outcomes = put(directory, *texts, replace=True)
    assert [one.done for one in outcomes] == [Done.REFUSED, Done.ADDED, Done.ADDED, Done.CHANGED]
    assert list(found(directory, "(title=*)", "1.1")) == list(found(directory, "(title=After)", "1.1")) != []
    run(directory.db.close())
