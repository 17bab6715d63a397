"""Addresses of header fields: which become primary ones, and what else stays as it was written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imsd.mail.resolving import MOST, resolved
from imsd.store.database import Database
from tests.sessions.test_smtp import Site
from tests.support.stores import run

HEADER = (
    b"From: Bob <BOBBY@example.test>\r\n"
    b'To: alice@example.test, "bobby@example.test" <x@out.test>,\r\n\t(the) bobby@example.test\r\n'
    b"Cc: bobby+tag@example.test, postmaster@example.test, notbobby@x.test, bobby@example.test.a\r\n"
    b"X-To: bobby@example.test\r\n"
)


@pytest.fixture
def site(sqlite_database: Database) -> Any:
    made = Site(sqlite_database)
    run(made.directory.change(made.bob.dn, {"otherMailbox": ["smtp$bobby@example.test"]}))
    yield made
    made.stop()


def stored(site: Site) -> bytes:
    return site.text(site.inbox(site.alice)[-1]).replace(b"\r\n\t", b" ")


def test_addresses_of_people_here_become_their_primary_ones(site: Site) -> None:
    content = HEADER + b"Subject: s\r\n\r\nbobby@example.test"
    site.submission("bob").send(b"bob@example.test", content, b"alice@example.test")
    assert b"BOBBY@" in stored(site)
    site.configure(routing__resolve_headers=json.dumps(["from", "to", "cc"]))
    site.submission("bob").send(b"bob@example.test", content, b"alice@example.test")
    text = stored(site)
    assert b"From: Bob <bob@example.test>\r\n" in text
    # What stands in a name is part of it.
    assert b'To: alice@example.test, "bobby@example.test" <x@out.test>, (the) bob@example.test\r\n' in text
    assert (
        b"Cc: bobby+tag@example.test, postmaster@example.test, notbobby@x.test, bobby@example.test.a\r\n"
        b"X-To: bobby@example.test\r\n" in text
    )
    assert text.endswith(b"\r\n\r\nbobby@example.test\r\n")


def test_what_comes_from_outside_only_where_that_is_asked_for(site: Site) -> None:
    def bring(content: bytes) -> bytes:
        talk = site.talk()
        talk.say(b"EHLO out.example")
        assert talk.send(b"x@out.example", content, b"alice@example.test").startswith("250 ")
        return stored(site)

    content = b"From: x@out.example\r\nTo: bobby@example.test\r\n\r\nx"
    site.configure(routing__resolve_headers='["to"]')
    assert b"To: bobby@example.test" in bring(content)
    site.configure(routing__resolve_headers='["to"]', routing__resolve_for='"all"')
    assert b"To: bob@example.test" in bring(content)
    assert b"To: bobby@example.test" in bring(b"DKIM-Signature: v=1; h=to\r\n" + content)


def test_the_work_is_bounded(site: Site) -> None:
    many = ", ".join(f"n{number}@example.test" for number in range(MOST)).encode()
    header = b"To: " + many + b"\r\nCc: bobby@example.test\r\n\r\n"
    assert run(resolved(header, ("cc",), site.directory)).endswith(b"Cc: bob@example.test\r\n\r\n")
    assert run(resolved(header, ("to", "cc"), site.directory)) == header
