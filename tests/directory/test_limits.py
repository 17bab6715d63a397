"""Limits of mailboxes: from the entry, or from the site; enforced by the store at once."""

from __future__ import annotations

import pytest

from imsd.directory.limits import limits_of
from imsd.directory.values import Person
from imsd.store import mailboxes, quotas
from imsd.store.database import Database
from imsd.store.quotas import NOTHING, Bounds
from tests.directory.support import configure, open_directory
from tests.support.stores import run

SITE = Bounds(100, 200, 300, 4)


@pytest.mark.parametrize(
    ("values", "own", "bounds"),
    [
        ({}, False, SITE),
        ({"mdb-storage-quota": "5"}, True, Bounds(5 * 1024)),
        ({"mdb-storage-quota": "5", "mdb-use-defaults": "TRUE"}, False, SITE),
        ({"mdb-use-defaults": "FALSE"}, True, Bounds()),
        ({"dxa-task": "0", "imsmessagequota": "0"}, True, Bounds(most=NOTHING, messages=NOTHING)),
        (
            {"mdb-storage-quota": "1", "mdb-over-quota-limit": "2", "dxa-task": "3", "imsmessagequota": "4"},
            True,
            Bounds(1024, 2048, 3072, 4),
        ),
    ],
)
def test_whose_limits_hold(values: dict[str, str], own: bool, bounds: Bounds) -> None:
    found = limits_of({key: (text.encode(),) for key, text in values.items()}, SITE)
    assert (found.own, found.bounds) == (own, bounds)


def test_sizes_of_one_message() -> None:
    values = {"deliv-cont-length": (b"20",), "incoming-msg-size-limit": (b"10",)}
    assert limits_of(values, SITE).receives == 10 * 1024
    assert limits_of({"submission-cont-length": (b"0",)}, SITE).sends == 0
    assert limits_of({}, SITE).receives is None


def enforced(database: Database, person: Person) -> tuple[int, int]:
    usage = run(database.read_few(mailboxes.usage, person.account))
    return usage.quota_bytes, usage.quota_messages


def test_the_store_enforces_what_the_entry_says(database: Database) -> None:
    directory = open_directory(database)
    alice = run(directory.add_user("alice@example.test", name="Alice"))
    assert enforced(database, alice) == (0, 0)
    run(directory.change(alice.dn, {"DXA-Task": ["7"], "imsMessageQuota": ["3"]}))
    assert enforced(database, alice) == (7 * 1024, 3)
    assert run(directory.limits(alice.account)).own
    run(directory.change(alice.dn, {"MDB-Use-Defaults": ["TRUE"]}))
    assert enforced(database, alice) == (0, 0)


def test_the_site_s_limits_reach_those_without_their_own(database: Database) -> None:
    directory = open_directory(database)
    alice = run(directory.add_user("alice@example.test", name="Alice"))
    bob = run(directory.add_user("bob@example.test", name="Bob"))
    run(directory.change(bob.dn, {"DXA-Task": ["7"]}))
    before = run(directory.limits(alice.account))
    assert before.bounds == Bounds()
    configure(directory, quotas__most_kb="50")
    assert run(directory.limits(alice.account)).bounds.most == 50 * 1024
    assert run(database.write(quotas.default, -1, directory.rules.bounds)) is None
    assert enforced(database, alice) == (50 * 1024, 0)
    assert enforced(database, bob) == (7 * 1024, 0)
    # Who comes later has them from the start.
    carol = run(directory.add_user("carol@example.test", name="Carol"))
    assert enforced(database, carol) == (50 * 1024, 0)
