"""The cache answers what the rows say: a warm directory against a cold one, after any change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imsd.directory.access import ANONYMOUS, SERVER, Viewer
from imsd.directory.attributes import Visible
from imsd.directory.directory import Directory
from imsd.errors import Refusal
from imsd.store.changes import DIRECTORY, EntriesChanged, Missed
from imsd.store.ids import AccountId, EntryId
from tests.directory.support import PlainPasswords, found, open_directory
from tests.support.stores import StoreReactor, open_store, run

RECIPIENTS = "cn=Recipients,ou=Main,o=Example"
ALIASES = ("ann", "bob", "cat")
LISTS = ("one", "two")

_alias, _list = st.sampled_from(ALIASES), st.sampled_from(LISTS)
_anything = st.sampled_from([*ALIASES, *LISTS])
_place = st.sampled_from([RECIPIENTS, f"ou=A,{RECIPIENTS}", f"ou=B,ou=A,{RECIPIENTS}"])
OPERATIONS = st.one_of(
    st.tuples(st.just("user"), _alias),
    st.tuples(st.just("list"), _list),
    st.tuples(st.just("delete"), _anything),
    st.tuples(st.just("hide"), _anything, st.sampled_from(["TRUE", "FALSE"])),
    st.tuples(st.just("hide-members"), _list, st.sampled_from(["TRUE", "FALSE"])),
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
