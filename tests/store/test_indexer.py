"""The process that fills the index: it may be killed at any moment."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from imsd.store.search import embedded
from imsd.store.search.index import SearchIndex
from imsd.store.search.indexer import EmbeddedFiller
from tests.support.mail import make_account, put
from tests.support.servers import environment
from tests.support.stores import run

COUNT = 700


@pytest.fixture
def index(database: Any) -> Iterator[SearchIndex]:
    make_account(database)
    put(database, COUNT, body="a body of some length, number")
    index = SearchIndex(database)
    run(index.start())
    yield index
    index.close()


def start(database: Any, url: str, index: SearchIndex) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "imsd.indexer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    asked = {"home": str(database.home), "url": url, "incarnation": index.incarnation}
    assert process.stdin is not None
    process.stdin.write(json.dumps(asked).encode() + b"\n")
    process.stdin.flush()
    return process


def finished(process: subprocess.Popen[bytes]) -> None:
    """Let it get to the end, and end it as the server does."""
    assert process.stdout is not None and process.stdin is not None
    for line in process.stdout:
        if line == b"upto %d\n" % COUNT:
            break
    process.stdin.close()
    assert process.wait(20) == 0


def test_the_index_survives_the_death_of_the_process(
    database: Any, database_url: str, index: SearchIndex
) -> None:
    chance = random.Random(5)
    for _ in range(4):
        process = start(database, database_url, index)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.wait()
        process.stdout.close()
        state = run(index.state())
        assert state.documents == state.upto
    finished(start(database, database_url, index))
    assert run(index.state()).documents == COUNT
    assert run(index.check()) == []
    matches = run(index.match([], ["number 69"], 1, COUNT))
    assert matches.upto == COUNT and {70, 691, 700} <= matches.bodies["number 69"]


def test_of_two_processes_none_spoils_the_index(database: Any, database_url: str, index: SearchIndex) -> None:
    one, other = start(database, database_url, index), start(database, database_url, index)
    ended = [one, other] if database_url == "sqlite" else [one]
    try:
        if database_url == "sqlite":
            for process in ended:
                finished(process)
        else:
            # The one that does not hold the lock has nothing to do.
            first = next(each for each in iter_ended(one, other))
            finished(other if first is one else one)
        assert run(index.state()).documents == COUNT
        assert run(index.check()) == []
    finally:
        for process in (one, other):
            process.kill()
            process.wait()


def iter_ended(*processes: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """The processes as they end by themselves."""
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        for process in processes:
            if process.poll() is not None:
                yield process
        time.sleep(0.02)


def test_a_damaged_index_is_told(sqlite_database: Any) -> None:
    make_account(sqlite_database)
    put(sqlite_database, 1)
    index = SearchIndex(sqlite_database)
    run(index.start())
    embedded.path_of(sqlite_database.home).write_bytes(b"no database " * 400)
    process = start(sqlite_database, "sqlite", index)
    assert process.wait(20) == 3
    index.close()


def test_the_log_beside_the_index_is_small_and_emptied_when_all_is_indexed(sqlite_database: Any) -> None:
    """Of small messages it was more than the index itself."""
    make_account(sqlite_database)
    put(sqlite_database, 120, body="".join(chr(0x4E00 + n) for n in range(4000)))
    search = SearchIndex(sqlite_database)
    run(search.start())
    filler = EmbeddedFiller(sqlite_database.home, search.incarnation)
    log = embedded.path_of(sqlite_database.home).with_name("search.db-wal")
    while filler.step():
        assert 0 < log.stat().st_size < 6 << 20
    filler.rest()
    assert log.stat().st_size == 0
    assert run(search.state()).documents == 120
    filler.close()
    search.close()
