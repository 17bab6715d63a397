"""Parts of values are found in memory as they are in the rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.directory import pools
from imsd.directory.directory import Directory
from imsd.directory.pieces import Body, Piece, pieces
from imsd.directory.pools import Pool
from imsd.store import entry_index
from imsd.store.changes import DIRECTORY, Missed
from imsd.store.database import Database
from imsd.store.ids import EntryId
from tests.directory.support import found, open_directory
from tests.support.stores import run

ROWS = st.lists(st.tuples(st.text("abä\n", max_size=6), st.integers(1, 50)), max_size=40)


@given(ROWS, st.text("abä", min_size=1, max_size=3), st.integers(1, 12))
def test_what_has_the_part_is_found_and_nothing_else(
    rows: list[tuple[str, int]], part: str, most: int
) -> None:
    made = list(pieces(rows, 24))
    wanted = {entry for value, entry in rows if part in value}
    for held in (made, _joined(made), [Body(made, 1 << 20)]):
        seen: dict[EntryId, None] = {}
        for piece in held:
            piece.find(part.encode(), seen, most)
        assert set(seen) <= wanted and (set(seen) == wanted or len(seen) >= most)


def _joined(made: list[Piece]) -> list[Piece]:
    while len(made) > 1:
        made = [made[0].joined(made[1]), *made[2:]]
    return made


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every look is worth a pool, which is of small pieces."""
    monkeypatch.setattr(pools, "SLOW", -1.0)
    monkeypatch.setattr(pools, "PIECE", 24)
    monkeypatch.setattr(pools, "TAIL", 24)
    monkeypatch.setattr(pools, "REST", 0)
    yield


@pytest.fixture
def directory(database: Database) -> Directory:
    directory = open_directory(database)
    for number in range(12):
        run(
            directory.add_contact(
                f"p{number}@example.test", f"p{number}@far.test", name=f"Person {number} Lee"
            )
        )
    return directory


def pool_of(directory: Directory) -> Pool | None:
    return directory.cache.pools._pools.get("cn")


def look(directory: Directory, part: str) -> list[EntryId]:
    """What is found; the same by the rows, but for what was there before."""
    asked = directory.cache.pools.containing("cn", part, 100)
    there = sorted(run(asked))
    rows = sorted(run(directory.db.read(entry_index.containing, "cn", part, 100)))
    assert set(rows) <= set(there)
    return there


def until(directory: Directory, done: Callable[[], object]) -> None:
    """Wait for what a thread reads."""
    limit = time.monotonic() + 20
    while not done():
        assert time.monotonic() < limit
        run(directory.db.read(entry_index.present, "cn", 1))


def held(directory: Directory, key: str = "cn") -> Pool:
    run(directory.cache.pools.containing(key, "lee", 100))
    pool = directory.cache.pools._pools[key]
    until(directory, lambda: pool.body is not None)
    return pool


def test_a_pool_is_made_of_what_takes_long_and_follows_changes(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "FEW", 3)
    pool = held(directory)
    assert pool.body is not None and len(pool.body.pieces) > 3
    (seven,) = look(directory, "son 7")
    assert len(look(directory, "lee")) == 12
    assert len(run(directory.cache.pools.containing("cn", "lee", 5))) == 5
    run(directory.change("p7@example.test", {"displayName": ["Somebody Else"]}))
    assert look(directory, "body el") == [seven]
    assert list(found(directory, "(cn=*body el*)")) == ["cn=p7,cn=Recipients,ou=Main,o=Example"]
    # What it was before is found as well, and verified.
    assert seven in look(directory, "son 7") and not found(directory, "(cn=*son 7*)")
    for number in range(5):
        run(directory.add_contact(f"q{number}@example.test", f"q{number}@far.test", name=f"Quaint {number}"))
    assert len(pool.changed) > 3
    assert len(look(directory, "quaint")) == 5
    assert pool_of(directory) is pool and not pool.changed
    assert len(look(directory, "quaint")) == 5
    run(directory.delete("q3@example.test"))
    assert len(found(directory, "(cn=*quaint*)")) == 4
    run(directory.db.close())


def test_a_long_value_is_found_by_what_is_cut_off(directory: Directory) -> None:
    long = "x" * 300 + " the end"
    run(directory.change("p3@example.test", {"employeeNumber": [long]}))
    pool = held(directory, "employeenumber")
    assert len(pool.long) == 1
    assert len(found(directory, "(employeeNumber=*the end*)")) == 1
    run(directory.change("p4@example.test", {"employeeNumber": [long]}))
    assert len(found(directory, "(employeeNumber=*the end*)")) == 2
    run(directory.db.close())


def test_what_was_missed_or_grew_too_much_is_read_again(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "FEW", 0)
    held(directory)
    directory.cache._changed(Missed(DIRECTORY, 0, 0))
    assert pool_of(directory) is None
    pool = held(directory)
    for turn in range(40):
        run(directory.change("p1@example.test", {"displayName": [f"Turned {turn} {'y' * 150}"]}))
        assert found(directory, f"(cn=*ned {turn}*)")
        if pool_of(directory) is not pool:
            break
    else:
        raise AssertionError("it holds what was for ever")
    monkeypatch.setattr(pools, "MOST_CHANGED", 2)
    pool = held(directory)
    run(directory.change("p1@example.test", {"title": ["Poet"]}))
    assert not pool.changed  # a title is in no name
    title = held(directory, "title")
    run(directory.change("p2@example.test", {"title;lang-de": ["Dichter"]}))
    assert title.changed and list(found(directory, "(title=*icht*)"))
    for number in range(3):
        run(directory.change(f"p{number}@example.test", {"displayName": ["Poet"]}))
    assert pool_of(directory) is None
    run(directory.db.close())


def test_no_pool_is_made_where_there_is_no_room(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "MOST_OCTETS", 50)
    monkeypatch.setattr(pools, "REST", 1_000_000)
    assert len(look(directory, "lee")) == 12
    until(directory, lambda: pool_of(directory) is None)
    assert len(look(directory, "lee")) == 12
    assert pool_of(directory) is None  # nor is it tried again and again
    run(directory.db.close())
