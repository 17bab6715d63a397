"""Addresses made anew by the server, and what a stop leaves of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imsd import readdresser
from imsd.directory import readdressing
from imsd.directory.directory import Directory
from imsd.duties import Duties
from imsd.readdresser import Readdresser
from imsd.store import entries
from tests.directory.support import configure, found, open_directory
from tests.support.stores import StoreReactor, open_store, run


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor, monkeypatch: pytest.MonkeyPatch) -> Directory:
    monkeypatch.setattr(readdressing, "MOST", 3)
    made = open_directory(open_store(tmp_path / "home"))
    for number in range(6):
        run(made.add_user(f"p{number}@example.test", name=f"Person {number}"))
    configure(made, addressing__smtp='["%g.%s@example.test"]')
    return made


def worker(directory: Directory) -> Readdresser:
    reactor = directory.db.reactor
    return Readdresser(directory, Duties(directory.db, reactor, "here"), reactor)


def settled(work: Readdresser) -> Any:
    if work._round is not None:
        run(work._round)
    return run(work.progress())


def new(directory: Directory) -> int:
    return len(found(directory, "(mail=Person.*)", "mail"))


def test_everybody_is_looked_at_and_changes_are_told(directory: Directory) -> None:
    work = worker(directory)
    begun = run(work.begin(keep_old=True))
    assert (begun.total, begun.ended) == (7, 0)
    ended = settled(work)
    assert (ended.looked, ended.changed, ended.refused, bool(ended.ended)) == (7, 7, 0, True)
    number, told = work.since(0)
    assert {one.alias for one in told} == {"administrator", *(f"p{n}" for n in range(6))}
    assert work.since(number) == (number, []) and new(directory) == 6
    assert not run(work.begin(keep_old=True)).ended
    assert settled(work).changed == 0
    run(directory.db.close())


def test_what_a_stop_interrupted_goes_on_where_it_was(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, asked = worker(directory), []
    real = readdressing.readdress

    async def dies(at: Directory, after: Any, keep_old: bool) -> Any:
        if len(asked) == 3:
            raise SystemError("killed")
        asked.append(after)
        return await real(at, after, keep_old)

    monkeypatch.setattr(readdressing, "readdress", dies)
    run(first.begin(keep_old=True))
    before = settled(first)
    assert 0 < before.looked < 7 and not before.ended and before.after
    monkeypatch.setattr(readdressing, "readdress", real)
    # Whoever asks for it meanwhile is told how far it is, and nothing begins anew.
    second = worker(directory)
    joined = run(second.begin(keep_old=False))
    assert joined.looked == before.looked and joined.keep_old
    ended = settled(second)
    assert (ended.looked, ended.changed) == (7, 7) and new(directory) == 6
    run(directory.db.close())


def test_other_formats_begin_again_with_the_first(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, real = worker(directory), readdressing.readdress

    async def changes(at: Directory, after: Any, keep_old: bool) -> Any:
        batch = await real(at, after, keep_old)
        monkeypatch.setattr(readdressing, "readdress", real)
        configure(directory, addressing__smtp='["x.%m@example.test"]')
        return batch

    monkeypatch.setattr(readdressing, "readdress", changes)
    run(work.begin(keep_old=True))
    assert settled(work).looked == 7
    assert len(found(directory, "(mail=x.*)", "mail")) == 7
    run(directory.db.close())


def test_an_administrator_stops_it(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    work, real = worker(directory), readdressing.readdress

    async def stops(at: Directory, after: Any, keep_old: bool) -> Any:
        await directory.db.write(readdresser.halt, 5)
        return await real(at, after, keep_old)

    monkeypatch.setattr(readdressing, "readdress", stops)
    run(work.begin(keep_old=True))
    ended = settled(work)
    assert ended.stopped and ended.ended == 5 and ended.looked == 0
    run(directory.db.close())


def test_nobody_waits_for_one_over_whom_we_stumble(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was tried every fifteen seconds for ever, and who came behind him kept his addresses."""
    proper = readdressing._one

    def stumbling(unit: Any, entry: Any, *more: Any) -> Any:
        if entries.load(unit, entry).uuid == stone:
            raise ZeroDivisionError
        return proper(unit, entry, *more)

    person = run(directory.person_by_login("p2"))
    assert person is not None
    stone = run(directory.db.read(entries.load, person.entry)).uuid
    monkeypatch.setattr(readdressing, "_one", stumbling)
    work = worker(directory)
    run(work.begin(keep_old=True))
    ended = settled(work)
    assert (ended.looked, ended.changed, ended.refused, bool(ended.ended)) == (7, 6, 1, True)
    assert [one.alias for one in work.since(0)[1] if one.refusal] == ["p2"]
    run(directory.db.close())
