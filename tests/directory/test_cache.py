"""The cache answers what the rows say: a warm directory against a cold one, after any change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imsd.directory.access import ANONYMOUS, SERVER, Viewer
from imsd.directory.attributes import Visible
from imsd.directory.directory import Directory
from imsd.directory.kept import Grouped, Numbers
from imsd.directory.search import Search
from imsd.errors import Refusal
from imsd.store.changes import DIRECTORY, EntriesChanged, Missed
from imsd.store.ids import AccountId, EntryId
from protocols.ldap.filters import parse
from protocols.ldap.messages import Deref, Scope, SearchRequest
from protocols.ldap.selection import selection
from tests.directory.support import PlainPasswords, found, open_directory
from tests.support.stores import StoreReactor, open_store, run

RECIPIENTS = "cn=Recipients,ou=Main,o=Example"
ALIASES = ("ann", "bob", "cat")
LISTS = ("one", "two")

_alias, _list = st.sampled_from(ALIASES), st.sampled_from(LISTS)
_anything = st.sampled_from([*ALIASES, *LISTS])
_description = st.sampled_from(["title", "telephoneNumber", "description", "sn", "AutoReply-Subject"])
_place = st.sampled_from([RECIPIENTS, f"ou=A,{RECIPIENTS}", f"ou=B,ou=A,{RECIPIENTS}"])
OPERATIONS = st.one_of(
    st.tuples(st.just("user"), _alias),
    st.tuples(st.just("list"), _list),
    st.tuples(st.just("delete"), _anything),
    st.tuples(st.just("hide"), _anything, st.sampled_from(["TRUE", "FALSE"])),
    st.tuples(st.just("hide-members"), _list, st.sampled_from(["TRUE", "FALSE"])),
    st.tuples(st.just("describe"), _anything, _description, st.sampled_from(["1", "2"])),
    st.tuples(st.just("describe"), _anything, _description, st.sampled_from(["1", "2"])),
    st.tuples(st.just("manager"), _alias, _alias),
    st.tuples(st.just("join"), _list, _anything),
    st.tuples(st.just("leave"), _list, _anything),
    st.tuples(st.just("mail"), _alias, st.sampled_from(["x@example.test", "ann@example.test", "y@b.test"])),
    st.tuples(st.just("move"), _anything, _place),
    st.tuples(st.just("rename"), _anything, st.sampled_from(["Q", "R"])),
)


def perform(directory: Directory, what: str, who: str, *more: str) -> None:
    """Do it, or be refused: both leave the cache true."""
    address = f"{who}@example.test"
    try:
        match what:
            case "user":
                run(directory.add_user(address))
            case "list":
                run(directory.add_group(address))
            case "delete":
                run(directory.delete(address, delete_mailbox=True))
            case "hide":
                run(directory.change(address, {"Hide-From-Address-Book": [*more]}))
            case "hide-members":
                run(directory.change(address, {"Hide-DL-Membership": [*more]}))
            case "describe":
                run(directory.change(address, {more[0]: [more[1]]}))
            case "manager":
                name, _ = run(directory.attributes(f"{more[0]}@example.test"))
                run(directory.change(address, {"manager": [name]}))
            case "join":
                run(directory.change_members(address, add=[f"{more[0]}@example.test"]))
            case "leave":
                run(directory.change_members(address, remove=[f"{more[0]}@example.test"]))
            case "mail":
                run(directory.change(who, {"mail": [*more]}))
            case "move" | "rename":
                name, shown = run(directory.attributes(address))
                rdn = f"cn={more[0]}" if what == "rename" else f"cn={shown['rdn'][0]}"
                place = more[0] if what == "move" else None
                run(directory.rename_entry(name, rdn, True, place, SERVER))
    except Refusal:
        pass


def answers(directory: Directory) -> list[Any]:
    """A sample of everything that is cached."""
    ann = run(directory.person_by_login("ann"))
    viewers = [SERVER, ANONYMOUS]
    if ann is not None:
        viewers.append(Viewer(ann.entry, Visible.AUTHENTICATED))
    collected: list[Any] = [found(directory, "(objectClass=*)", "*", "+", asking=each) for each in viewers]
    for text in ("(title=1)", "(title=*)", "(|(telephoneNumber=1*)(sn=1))", "(&(uid=ann)(title=2))"):
        collected += [at_once(directory, text, asking) for asking in viewers]
    for alias in (*ALIASES, *LISTS, "x"):
        for asking in viewers:
            collected.append(found(directory, f"(|(uid={alias})(mail={alias}@*))", "cn", asking=asking))
        collected.append(run(directory.person_by_login(alias)))
        try:
            recipient = run(directory.resolve(f"{alias}@example.test"))
            collected += [recipient, run(directory.expand(recipient))]
        except Refusal as refusal:
            collected.append(type(refusal))
    return collected


def at_once(directory: Directory, text: str, asking: Viewer) -> list[bytes]:
    """The same as a session searches: from memory where that can be."""
    search = Search(directory.db, directory.cache, directory.policy, asking)
    request = SearchRequest("o=Example", Scope.SUBTREE, Deref.NEVER, 0, 0, False, parse(text))

    async def gathered() -> list[bytes]:
        there = search.at_hand(request)
        if there is not None:
            return there
        return [each async for some in search.run(request) if isinstance(some, list) for each in some]

    return sorted(run(gathered()))


def test_a_warm_directory_answers_as_a_cold_one(tmp_path: Path, store_reactor: StoreReactor) -> None:
    database = open_store(tmp_path / "home")
    warm = open_directory(database)
    for name, parent in (("A", RECIPIENTS), ("B", f"ou=A,{RECIPIENTS}")):
        run(warm.add_entry(f"ou={name},{parent}", [("objectClass", [b"organizationalUnit"])], SERVER))

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(OPERATIONS, min_size=1, max_size=6))
    def check(operations: list[tuple[str, ...]]) -> None:
        for operation in operations:
            perform(warm, *operation)
            answers(warm)
        cold = Directory(database, warm.settings, database.reactor, PlainPasswords())
        run(cold.start())
        try:
            assert answers(warm) == answers(cold)
        finally:
            cold.stop()

    check()
    run(database.close())


def test_a_missed_change_makes_everything_cold(tmp_path: Path, store_reactor: StoreReactor) -> None:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    before = run(directory.person_by_login("administrator"))
    assert before is not None and directory.cache.entries and directory.cache.derived
    directory.cache._changed(Missed(DIRECTORY, 1, 100))
    assert not directory.cache.entries and not directory.cache.derived
    assert run(directory.person_by_login("administrator")) == before
    run(database.close())


def test_what_was_read_before_a_change_is_not_kept(tmp_path: Path, store_reactor: StoreReactor) -> None:
    """A change that comes while an entry is read: the answer is given, and not remembered."""
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    admin = run(directory.person_by_login("administrator"))
    assert admin is not None
    directory.cache._changed(Missed(DIRECTORY, 1, 2))
    whole = database.read_few

    async def slowly(fn: Any, *args: Any) -> Any:
        result = await whole(fn, *args)
        directory.cache._changed(EntriesChanged(DIRECTORY, 2, 3, (EntryId(4711),)))
        return result

    database.read_few = slowly  # type: ignore[method-assign]
    assert run(directory.person(AccountId(admin.account))) == admin
    assert not directory.cache.entries and not directory.cache.derived and not directory.cache.relative
    database.read_few = whole  # type: ignore[method-assign]
    run(database.close())


def test_what_was_looked_at_before_a_change_is_shown_and_not_kept(
    tmp_path: Path, store_reactor: StoreReactor
) -> None:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    run(directory.add_user("ann@example.test"))
    run(directory.add_group("one@example.test", members=["ann@example.test"]))
    ann = run(directory.person_by_login("ann"))
    assert ann is not None
    search = Search(database, directory.cache, directory.policy, SERVER)
    shown = selection(("title", "memberOf"))
    for attribute, value, who in (("title", "Poet", "ann@example.test"), ("cn", "Two", "one@example.test")):
        entry = run(directory.cache.entry(ann.entry))
        before = search.view(entry, 0)
        assert before is not None
        run(before.prepare(["memberof"]))
        if attribute == "cn":
            name, _ = run(directory.attributes(who))
            run(directory.rename_entry(name, f"cn={value}", True, None, SERVER))
        else:
            run(directory.change(who, {attribute: [value]}))
        run(before.encode(shown, False))
        assert not directory.cache.encoded
        late = search.view(entry, 0)
        assert late is not None
        run(late.encode(shown, False))
        # Of ann's own row nothing changed when a list that she is in was given another name.
        assert bool(directory.cache.encoded) is (attribute == "cn")
        now = search.view(run(directory.cache.entry(ann.entry)), 0)
        assert now is not None and value.encode() in run(now.encode(shown, False))
        assert directory.cache.encoded
    run(database.close())


def test_a_description_leaves_what_does_not_rest_on_it(tmp_path: Path, store_reactor: StoreReactor) -> None:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    for name in ("ann", "bob"):
        run(directory.add_user(f"{name}@example.test"))
    filters = ("(uid=ann)", "(title=1)", "(|(uid=ann)(uid=bob))")

    def known() -> list[bool]:
        cache = directory.cache
        search = Search(database, cache, directory.policy, SERVER)
        requests = [
            SearchRequest("o=Example", Scope.SUBTREE, Deref.NEVER, 0, 0, False, parse(each))
            for each in filters
        ]
        return [search.at_hand(request) is not None for request in requests]

    def asked() -> None:
        for each in filters:
            assert at_once(directory, each, SERVER) == at_once(directory, each, SERVER)

    asked()
    assert known() == [True, True, True]
    standing, generation = directory.cache.standing, directory.cache.generation
    ann = run(directory.person_by_login("ann"))
    run(directory.change("bob", {"title": ["1"]}))
    # Who was found by titles, and where bob is shown, must be read again; ann is as she was.
    assert known() == [True, False, False]
    assert run(directory.resolve("bob@example.test")) is directory.known_recipient("bob@example.test")
    assert (directory.cache.standing, directory.cache.generation) == (standing, generation + 1)
    asked()
    assert known() == [True, True, True] and len(at_once(directory, "(title=1)", SERVER)) == 1
    run(directory.change("ann", {"telephoneNumber": ["1"]}))
    now = run(directory.person_by_login("ann"))
    assert ann is not None and now is not None and now.rights_version > ann.rights_version
    asked()
    run(directory.change("bob", {"Hide-From-Address-Book": ["TRUE"]}))
    assert directory.cache.standing == standing + 1 and known() == [False, False, False]
    run(database.close())


def test_groups_are_bounded_and_numbers_are_given_once() -> None:
    kept: Grouped[str, int, str] = Grouped(3)
    for key in (1, 2, 2):
        kept.keep("a", key, "x")
    kept.keep("b", 1, "y")
    assert len(kept) == 3 and kept.of("a") == {1: "x", 2: "x"} and kept.of("c") == {}
    kept.forget("a")
    kept.forget("c")
    assert len(kept) == 1 and not kept.of("a") and kept.of("b") == {1: "y"}
    for key in range(4):
        kept.keep("c", key, "z")
    assert len(kept) <= 3
    numbers = Numbers(2)
    given = [numbers.of(each) for each in ("a", "b", "a", "c", "a", "b")]
    assert given[0] == given[2] and len(set(given)) == 5
