"""ESEARCH on the wire (RFC 7377): which mailboxes are searched, and within what bounds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from imsd import errors
from protocols.imap4.commands import esearch
from protocols.imap4.dialect import Dialect
from protocols.imap4.events import Event, Group, Mailboxes
from protocols.imap4.responses import correlators
from protocols.imap4.server import Limits
from tests.support.imap4 import Client, FakeView, World, message, world_with

TREE = (
    "INBOX/below", "Work", "Work/a", "Work/a/deep", "Workshop", "Other Users/bob/INBOX",
    "Public Folders/News", "Public Folders/News/old",
)  # fmt: skip


def world_of(*names: str) -> World:
    world = world_with(1)
    for name in names:
        world.make(name).add(message())
    return world


def searched(client: Client, scope: bytes, key: bytes = b"ALL") -> list[str]:
    answer = client.say(b"e ESEARCH IN (%b) %b" % (scope, key))
    assert answer.endswith(b"e OK ESEARCH completed\r\n"), answer
    found = re.findall(rb'\(TAG "e" MAILBOX (?:"([^"]*)"|(\S+)) UIDVALIDITY', answer)
    return [(quoted or atom).decode() for quoted, atom in found]


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        (b"inboxes", ["INBOX"]),
        (b"personal", ["INBOX", "INBOX/below", "Work", "Work/a", "Work/a/deep", "Workshop"]),
        (b"subscribed", ["Public Folders/News", "Work/a"]),
        (b"subtree Work", ["Work", "Work/a", "Work/a/deep"]),
        (b"subtree-one Work", ["Work", "Work/a"]),
        (b"subtree-one inbox", ["INBOX", "INBOX/below"]),
        (b'subtree "Public Folders"', ["Public Folders/News", "Public Folders/News/old"]),
        (b'subtree-one ("Other Users/bob" Work/a)', ["Other Users/bob/INBOX", "Work/a", "Work/a/deep"]),
        (b"subtree (Work Work/a)", ["Work", "Work/a", "Work/a/deep"]),
        (b"mailboxes (Workshop Nowhere) subtree Work/a", ["Workshop", "Work/a", "Work/a/deep"]),
        (b"MAILBOXES inbox PERSONAL INBOXES", ["INBOX", "INBOX/below", "Work", "Work/a", "Work/a/deep",
                                               "Workshop"]),
    ],
)  # fmt: skip
def test_filters_choose_the_mailboxes(scope: bytes, names: list[str]) -> None:
    world = world_of(*TREE)
    world.subscribed |= {"Work/a", "Public Folders/News", "Gone"}
    assert searched(Client(world).login(), scope) == names


def test_rights_decide_and_nothing_says_why() -> None:
    world = world_of("Read", "Named", "Listed", "Shut")
    for name, rights in [("Read", "lr"), ("Named", "r"), ("Listed", "ls"), ("Shut", "")]:
        world.boxes[name].acl["alice"] = rights
    client = Client(world).login()
    assert searched(client, b"personal") == ["INBOX", "Read"]
    assert searched(client, b"mailboxes (Listed Named Nowhere Read Shut)") == ["Named", "Read"]
    assert searched(client, b"subtree (Named Read Shut)") == ["Read"]


def test_views_are_closed_whatever_happens() -> None:
    world = world_of("Work")
    client = Client(world).login()
    assert searched(client, b"personal") == ["INBOX", "Work"]
    assert not any(box.views for box in world.boxes.values())

    async def fails(self: FakeView, key: Any, comparator: str = "") -> None:
        raise errors.StoreUnavailable

    kept, FakeView.search = FakeView.search, fails  # type: ignore[method-assign, assignment]
    try:
        assert b"e NO [UNAVAILABLE]" in client.say(b"e ESEARCH IN (personal) ALL")
    finally:
        FakeView.search = kept  # type: ignore[method-assign]
    assert not any(box.views for box in world.boxes.values())


def test_each_mailbox_is_open_alone() -> None:
    world = world_of(*(f"m{number}" for number in range(20)))
    client = Client(world).login()
    most: list[int] = []
    kept = FakeView.search

    async def counts(self: FakeView, key: Any, comparator: str = "") -> Any:
        most.append(sum(len(box.views) for box in world.boxes.values()))
        return await kept(self, key)

    FakeView.search = counts  # type: ignore[method-assign, assignment]
    try:
        assert len(searched(client, b"personal")) == 21
    finally:
        FakeView.search = kept  # type: ignore[method-assign]
    assert most == [1] * 21


def test_there_are_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(esearch, "MOST", 3)
    client = Client(world_of("a", "b")).login()
    assert searched(client, b"personal") == ["INBOX", "a", "b"]
    assert b"e BAD Expected at most 3 mailboxes" in client.say(b"e ESEARCH IN (mailboxes (a b c)) ALL")
    client = Client(world_of("a", "b", "c")).login()
    assert client.say(b"e ESEARCH IN (personal) ALL") == b"e NO [LIMIT] At most 3 mailboxes\r\n"


def test_the_message_limit_is_of_each_mailbox() -> None:
    world = world_with(3)
    work = world.make("Work")
    for _ in range(4):
        work.add(message())
    client = Client(world, limits=lambda: Limits(messages=3)).login()
    assert client.say(b"a ESEARCH IN (personal) RETURN (MIN) ALL").split(b"\r\n") == [
        b'* ESEARCH (TAG "a" MAILBOX INBOX UIDVALIDITY 101) UID MIN 1',
        b'* ESEARCH (TAG "a" MAILBOX Work UIDVALIDITY 102) UID MIN 2',
        b"a OK [LIMIT] There are more messages",
        b"",
    ]
    client.say(b"s SELECT Work")
    assert b"b OK [MESSAGELIMIT 3 2]" in client.say(b"b ESEARCH ALL")
    assert b"c OK ESEARCH" in client.say(b"c ESEARCH IN (mailboxes INBOX) ALL")


def test_no_message_numbers_once_uids_are_all_there_is() -> None:
    client = Client(world_with(3)).login()
    client.say(b"u ENABLE UIDONLY")
    client.say(b"s SELECT INBOX")
    assert b"a BAD [UIDREQUIRED]" in client.say(b"a ESEARCH 1:2")
    assert b"UID ALL 2\r\nb OK" in client.say(b"b ESEARCH UID 2")


def test_an_unknown_charset_loses_what_was_saved() -> None:
    client = Client(world_with(3)).select()
    client.say(b"a ESEARCH RETURN (SAVE) UID 2")
    assert b"b NO [BADCHARSET" in client.say(b"b ESEARCH IN (personal) CHARSET nonsense ALL")
    assert b"UID ALL 2\r\n" in client.say(b"c ESEARCH $")
    assert b"d NO [BADCHARSET" in client.say(b"d ESEARCH RETURN (SAVE) CHARSET nonsense ALL")
    assert client.say(b"e ESEARCH $") == b"e OK ESEARCH completed\r\n"


def test_names_are_in_the_dialect() -> None:
    assert correlators("\xe4", 7, Dialect()) == b" MAILBOX &AOQ- UIDVALIDITY 7"
    assert correlators("\xe4", 7, Dialect(utf8=True)) == ' MAILBOX "ä" UIDVALIDITY 7'.encode()


def test_notify_has_one_level_of_a_subtree_too() -> None:
    client = Client(world_of("Work")).login()
    assert b"a OK" in client.say(b"a NOTIFY SET (subtree-one Work (MessageNew MessageExpunge))")
    group = Group(Mailboxes.SUBTREE_ONE, ("Work",), Event.MESSAGES)
    assert client.world.accounts[0].notices.wanted.groups == (group,)
    covered = [name for name in TREE if group.covers(name, True, ())]
    assert covered == ["Work", "Work/a"]
