"""POP3 hands messages out in the form a mailbox wants; sizes told are sizes sent."""

from __future__ import annotations

from typing import Any

import pytest

from imsd.sessions import retrieval
from imsd.store import messages
from imsd.store.blobs import new_blob
from imsd.store.database import Database
from imsd.store.ids import INBOX
from protocols.message.summary import summarize
from tests.sessions.test_pop3_door import ALICE, Post
from tests.support.mail import NOW
from tests.support.stores import run

HTML = b"Subject: h\r\nContent-Type: text/html\r\n\r\n<p>one</p><p>two</p>" + b"<br>x" * 9000 + b"\r\n"
PLAIN = b"Subject: p\r\n\r\nplain\r\n"
PREFIX = b"Return-Path: <>\r\n"


def deliver(database: Database, data: bytes) -> None:
    item = messages.Delivery(ALICE, PREFIX, INBOX)
    run(database.write(messages.deliver, [item], new_blob(data, summarize(data)), NOW))


@pytest.fixture
def post(database: Database) -> Post:
    post = Post(database)
    for data in (HTML, PLAIN, HTML[:60] + b"\r\n"):
        deliver(database, data)
    return post


def taken(post: Post) -> tuple[list[bytes], list[bytes]]:
    drop: Any = post.open()
    try:
        contents = [post.content(drop, index) for index in range(len(drop.sizes))]
        assert [len(content) for content in contents] == list(drop.sizes)
        return contents, [drop.unique_id(index) for index in range(len(drop.sizes))]
    finally:
        drop.close()


def test_sizes_are_those_of_what_is_sent_and_ids_stay(post: Post) -> None:
    composed, ids = taken(post)
    assert composed[0] == PREFIX + HTML
    for form in ("plain", "html", "both", "uuencode", "binhex"):
        post.set(format=form)
        made, same = taken(post)
        assert same == ids
        assert made == taken(post)[0]
    post.set(format="plain")
    made, _ = taken(post)
    assert b"text/plain" in made[0]
    assert b"<p>" not in made[0]
    assert made[1] == PREFIX + PLAIN
    post.set(format="as-composed")
    assert taken(post)[0] == composed


def test_newest_first(post: Post) -> None:
    post.set(format="plain")
    oldest = taken(post)[0]
    post.office.settings.replace({"pop3.format": '"plain"', "pop3.order": '"newest_first"'})
    assert taken(post)[0] == oldest[::-1]


def test_what_is_very_large_is_not_touched(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "LARGEST", 1000)
    post.set(format="plain")
    made, _ = taken(post)
    assert made[0] == PREFIX + HTML
    assert b"text/plain" in made[2]
