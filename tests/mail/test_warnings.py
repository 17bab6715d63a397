"""Who comes near a limit of his mailbox is told, once, in his language."""

from __future__ import annotations

from typing import Any

import pytest

from imsd.directory.directory import Directory
from imsd.directory.values import Person
from imsd.mail import texts
from imsd.mail.warnings import Warner, level
from imsd.store import mailboxes, messages, quotas
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.ids import INBOX
from imsd.store.quotas import NOTHING, Bounds
from tests.directory.support import configure, open_directory
from tests.support.mail import content
from tests.support.stores import run

KB = 1024


class World:
    def __init__(self, database: Database) -> None:
        self.db = database
        self.directory: Directory = open_directory(database)
        self.alice: Person = run(self.directory.add_user("alice@example.test", name="Alice"))
        self.warner = Warner(database, self.directory, self.directory.settings, database.reactor)

    def limits(self, **values: int) -> None:
        run(self.directory.change(self.alice.dn, {key: [str(value)] for key, value in values.items()}))

    def fill(self, kilobytes: int) -> None:
        item = messages.Delivery(self.alice.account)
        (done,) = run(self.db.write(messages.deliver, [item], content("x" * kilobytes * KB), 1))
        assert isinstance(done, messages.Stored), done

    def inbox(self) -> list[Any]:
        return run(self.db.read(messages.rows, self.alice.account, INBOX, list(range(1, 100))))

    def letter(self) -> bytes:
        row = self.inbox()[-1]
        return bytes(row.prefix) + run(self._content(row.blob))

    async def _content(self, blob: Any) -> bytes:
        return b"".join([piece async for piece in Blobs(self.db).stream(blob)])


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def warn(world: World) -> int:
    return int(run(world.warner.look()))


def test_one_letter_for_each_threshold(world: World) -> None:
    world.limits(**{"MDB-Storage-Quota": 10, "MDB-Over-Quota-Limit": 20, "DXA-Task": 40})
    world.fill(9)
    assert warn(world) == 0
    world.fill(2)
    assert (warn(world), warn(world)) == (1, 0)
    # It has become worse: told at once.
    world.fill(10)
    assert (warn(world), warn(world)) == (1, 0)
    assert len(world.inbox()) == 5


def test_it_is_told_again_when_the_time_is_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.limits(**{"MDB-Storage-Quota": 1})
    world.fill(2)
    from imsd.mail import warnings

    time = warnings.now()
    assert warn(world) == 1
    for hours, expected in ((23, 0), (25, 1), (47, 0), (50, 1)):
        monkeypatch.setattr(warnings, "now", lambda hours=hours: time + hours * warnings.HOUR)
        assert warn(world) == expected, hours


def test_a_full_mailbox_takes_the_warning(world: World) -> None:
    world.limits(**{"DXA-Task": 10})
    world.fill(9)
    with pytest.raises(AssertionError, match="Refused"):
        world.fill(2)
    assert warn(world) == 0
    run(world.directory.change(world.alice.dn, {"DXA-Task": ["9"]}))
    assert warn(world) == 1
    usage = run(world.db.read(mailboxes.usage, world.alice.account))
    assert usage.bytes > usage.quota_bytes
    letter = world.letter()
    assert letter.startswith(b"Return-Path: <>\r\nDelivered-To: alice@example.test\r\n")
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in letter
    assert b"It is full" in letter


def test_the_site_s_thresholds_hold_for_those_without_their_own(world: World) -> None:
    world.fill(11)
    configure(world.directory, quotas__warn_kb="10")
    assert warn(world) == 1
    run(world.directory.change(world.alice.dn, {"MDB-Use-Defaults": ["FALSE"]}))
    run(world.db.write(quotas.claim_warning, world.alice.account, 0, 0, 0))
    assert warn(world) == 0


def test_in_the_language_of_the_person(world: World) -> None:
    run(world.directory.change(world.alice.dn, {"preferredLanguage": ["de-AT, en;q=0.5"]}))
    world.limits(**{"MDB-Storage-Quota": 1})
    world.fill(2)
    assert warn(world) == 1
    assert b"Bitte l=C3=B6schen" in world.letter()


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize("reached", [1, 2, 3])
def test_every_text_says_how_much_and_what_to_do(language: str, reached: int) -> None:
    subject, text = texts.over_quota(language, reached, 5 * KB + 1, Bounds(KB, 2 * KB, 7 * KB))
    assert subject
    assert all(number in text for number in ("6", "1", "2", "7"))
    assert "{" not in text


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("", "en"), ("fr", "fr"), ("FR-ca", "fr"), ("xx, es;q=0.5", "es"), ("pt", "en"), ("de_CH", "de")],
)
def test_languages(wanted: str, found: str) -> None:
    assert texts.language_of(wanted) == found


@pytest.mark.parametrize(
    ("used", "bounds", "expected"),
    [
        (0, Bounds(), 0),
        (100, Bounds(warn=100), 1),
        (99, Bounds(warn=100), 0),
        (100, Bounds(warn=10, send=100), 2),
        (97, Bounds(most=100), 0),
        (98, Bounds(most=100), 3),
        (1, Bounds(most=NOTHING), 3),
    ],
)
def test_levels(used: int, bounds: Bounds, expected: int) -> None:
    assert level(used, bounds) == expected
