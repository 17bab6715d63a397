"""Searches that are answered from memory give what they give when they are run."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from imsd.directory.access import ANONYMOUS, SERVER, Viewer, rights_class, seen_as, sees
from imsd.directory.attributes import Visible
from imsd.directory.directory import Directory
from imsd.directory.entry import Entry, Kind
from imsd.directory.search import Search
from imsd.store.database import Database
from imsd.store.entries import EntryRow
from imsd.store.ids import EntryId
from protocols.ldap.filters import parse
from protocols.ldap.messages import Deref, Scope, SearchRequest
from tests.directory.support import configure, open_directory, viewer
from tests.support.stores import run

RECIPIENTS = "cn=Recipients,ou=Main,o=Example"
FILTERS = (
    "(uid=ann)",
    "(uid=*a*)",
    "(|(cn=a*)(mail=b*)(uid=c*))",
    "(&(objectClass=*)(uid=bob))",
    "(&(objectClass=person)(!(title=Poet))(uid=*))",
    "(name=a*)",
    "(title=poet)",
    "(title=P*t)",
    "(title;lang-de=Dichter)",
    "(imsAdministrator=TRUE)",
    "(Hide-From-Address-Book=TRUE)",
    "(AutoReply-Subject=away)",
    "(uid>=b)",
    "(entryUUID=nonsense)",
    "(nonsense=1)",
    "(uid=nobody)",
)
BASES = ("", "o=Example", "dc=example,dc=test", RECIPIENTS, f"CN=ann,{RECIPIENTS}")


@pytest.fixture
def directory(database: Database) -> Directory:
    directory = open_directory(database)
    for name in ("ann", "bob", "carl"):
        run(directory.add_user(f"{name}@example.test", name=f"{name.title()} Lee"))
    run(directory.change("ann", {"title": ["Poet"], "AutoReply-Subject": ["Away"]}))
    run(directory.change("bob", {"title;lang-de": ["Dichter"], "Hide-From-Address-Book": ["TRUE"]}))
    return directory


def answers(directory: Directory, who: Viewer, request: SearchRequest) -> tuple[Any, Any]:
    """What is found by running it, and what is at hand after that."""

    async def ran() -> list[bytes]:
        found = []
        async for answer in Search(directory.db, directory.cache, directory.policy, who).run(request):
            if isinstance(answer, list):
                found += answer
        return found

    wanted = run(ran())
    return wanted, Search(directory.db, directory.cache, directory.policy, who).at_hand(request)


def test_what_is_at_hand_is_what_is_found(directory: Directory) -> None:
    there = 0
    for change in ({}, {"Hide-From-Address-Book": ["TRUE"]}, {"title": ["Poet"], "AutoReply-Subject": []}):
        if change:
            run(directory.change("carl", change))
        for name, text, base, scope in product(("ann", "administrator", ""), FILTERS, BASES, Scope):
            who = viewer(directory, name) if name else ANONYMOUS
            request = SearchRequest(base, scope, Deref.NEVER, 0, 0, False, parse(text), ("cn", "title"))
            wanted, found = answers(directory, who, request)
            assert found is None or found == wanted, (name, text, base, scope, change)
            there += found is not None
    assert there > 800


def test_a_change_is_seen_at_once(directory: Directory) -> None:
    ann = viewer(directory, "ann")
    request = SearchRequest(
        "o=Example", Scope.SUBTREE, Deref.NEVER, 0, 0, False, parse("(&(uid=carl)(cn=*carl*))")
    )
    for hidden, count in (([], 1), (["TRUE"], 0), ([], 1)):
        run(directory.change("carl", {"Hide-From-Address-Book": hidden}))
        for _ in range(2):
            wanted, found = answers(directory, ann, request)
            assert len(wanted) == count and found == wanted
    before = Search(directory.db, directory.cache, directory.policy, ann)
    configure(directory, ldap__attributes='{"cn": "administrator"}')
    # One that began before the setting changed leaves nothing behind for those after it.
    run(before.prepare(request.filter))
    for _ in range(2):
        assert answers(directory, ann, request) == ([], [])


def test_what_must_be_run_is_not_at_hand(directory: Directory) -> None:
    ann = viewer(directory, "ann")
    alias = [("objectClass", [b"alias", b"extensibleObject"]), ("aliasedObjectName", [b"o=Example"])]
    request = SearchRequest("o=Example", Scope.SUBTREE, Deref.ALWAYS, 0, 0, False, parse("(uid=ann)"))
    # Where there are no aliases, it is the same whether they are followed.
    assert answers(directory, ann, request)[1]
    run(directory.add_entry(f"cn=other,{RECIPIENTS}", alias, SERVER))
    for text, deref in (
        ("(uid=ann)", Deref.ALWAYS),
        ("(uid=ann)", Deref.SEARCHING),
        ("(uid=ann)", Deref.FINDING),
        ("(cn:dn:=ann)", Deref.NEVER),
        ("(!(uid=ann))", Deref.NEVER),
        ("(numSubordinates=0)", Deref.NEVER),
    ):
        request = SearchRequest("o=Example", Scope.SUBTREE, deref, 0, 0, False, parse(text))
        assert answers(directory, ann, request)[1] is None, text
    for number in range(20):
        run(directory.add_user(f"many{number}@example.test"))
    request = SearchRequest("o=Example", Scope.SUBTREE, Deref.NEVER, 0, 0, False, parse("(uid=many*)"))
    wanted, found = answers(directory, ann, request)
    assert len(wanted) == 20 and found is None
    # Too many to look at is refused, here as there.
    search = Search(directory.db, directory.cache, directory.policy, ann)
    search.look_through = 0
    one = SearchRequest("o=Example", Scope.SUBTREE, Deref.NEVER, 0, 0, False, parse("(uid=ann)"))
    assert answers(directory, ann, one)[1] and search.at_hand(one) is None


def entry(kind: Kind, parent: int, hidden: bool, owners: tuple[int, ...]) -> Entry:
    attributes = {"hide-from-address-book": (b"TRUE",)} if hidden else {}
    owned = {"owner": tuple(map(EntryId, owners))} if owners else {}
    return Entry(
        EntryRow(
            EntryId(7), EntryId(parent), "cn", "x", "cn=x", kind, 1, 0, 0, EntryId(0), EntryId(0), bytes(16),
            attributes, owned, {},
        )
    )  # fmt: skip


def test_who_sees_what_is_said_alike_in_one_and_in_two() -> None:
    shut = frozenset({EntryId(3)})
    viewers = [ANONYMOUS, SERVER, Viewer(EntryId(0), Visible.EVERYONE, shut)]
    for who, level, closed in product(
        (7, 8, 9), (Visible.AUTHENTICATED, Visible.ADMINISTRATOR), (shut, frozenset())
    ):
        viewers.append(Viewer(EntryId(who), level, closed))
    for kind, parent, hidden, owners, who in product(Kind, (3, 4), (False, True), ((), (8,)), viewers):
        one = entry(kind, parent, hidden, owners)
        rights = rights_class(who, one)
        assert seen_as(who, one) == (rights if sees(rights, one, who.shut) else None)
