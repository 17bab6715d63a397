"""GENURLAUTH and URLFETCH at their bounds, and switched off (RFC 4467)."""

from __future__ import annotations

import re

import pytest

from imsd.errors import Throttled
from protocols.imap4.commands import urlauth
from tests.support.imap4 import Client, world_with

RUMP = b"imap://alice@example.test/INBOX/;UID=%d;URLAUTH=authuser"


def client() -> Client:
    return Client(world_with(3)).login()


def signed(one: Client, uid: int = 1) -> bytes:
    found = re.search(rb'"([^"]+)"', one.say(b'g GENURLAUTH "%b" INTERNAL' % (RUMP % uid)))
    assert found is not None
    return found[1]


def test_a_command_is_about_so_many_urls() -> None:
    one = client()
    pair = b" %b INTERNAL" % (RUMP % 1)
    assert b"\r\na OK" in one.say(b"a GENURLAUTH" + pair * urlauth.URLS)
    assert one.say(b"b GENURLAUTH" + pair * (urlauth.URLS + 1)).startswith(b"b BAD ")
    answer = one.say(b"c URLFETCH" + b" x" * urlauth.URLS)
    assert answer.count(b'* URLFETCH "x" NIL\r\n') == urlauth.URLS
    assert one.say(b"d URLFETCH" + b" x" * (urlauth.URLS + 1)).startswith(b"d BAD ")
    assert one.say(b"e URLFETCH " + b"x" * 4097).startswith(b"e BAD ")
    assert b"NIL" in one.say(b"f URLFETCH " + b"x" * 4096)


def test_a_command_gives_so_many_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    one = client()
    url = signed(one)
    # The first is given whatever it has, so that every message can be had.
    monkeypatch.setattr(urlauth, "OCTETS", 10)
    answer = one.say(b"a URLFETCH %b %b" % (url, url))
    assert answer.count(b"* URLFETCH ") == 1
    assert b"\r\na NO [LIMIT] " in answer
    part = signed(one).replace(b";UID=1", b";UID=2")
    assert b"\r\nb OK" in one.say(b"b URLFETCH %b %b" % (url, part))


def test_the_longest_url_that_is_signed_is_taken() -> None:
    one = client()
    longest = RUMP % 1
    section = b"/;SECTION=HEADER.FIELDS%20(" + b"X" * (4096 - urlauth.TOKEN - len(longest) - 28) + b")"
    longest = longest.replace(b";URLAUTH", section + b";URLAUTH")
    assert len(longest) == 4096 - urlauth.TOKEN
    found = re.search(rb"\{\d+\}\r\n(imap:.*)\r\n", one.say(b'a GENURLAUTH "%b" INTERNAL' % longest))
    assert found is not None
    assert b"* URLFETCH " in (answer := one.say(b'b URLFETCH "%b"' % found[1]))
    assert b" NIL" not in answer
    assert one.say(b'c GENURLAUTH "%b" INTERNAL' % longest.replace(b"X", b"XX", 1)).startswith(b"c BAD ")


def test_any_octets_may_be_brought_as_a_url() -> None:
    one = client()
    answer = one.say(b'a URLFETCH {3+}\r\n\xff"\\ {0+}\r\n')
    assert b'{3}\r\n\xff"\\ NIL\r\n' in answer
    assert b'* URLFETCH "" NIL\r\n' in answer


def test_a_part_that_is_not_there_is_nil() -> None:
    one = client()
    rump = (RUMP % 1).replace(b";URLAUTH", b"/;SECTION=7.7;URLAUTH")
    found = re.search(rb'"([^"]+)"', one.say(b'g GENURLAUTH "%b" INTERNAL' % rump))
    assert found is not None
    assert b" NIL\r\na OK" in one.say(b"a URLFETCH " + found[1])
    assert b"[BADURL " in one.say(b"b APPEND INBOX CATENATE (URL %b)" % found[1])


def test_who_has_to_wait_is_told_so() -> None:
    one = client()
    url = signed(one)
    one.world.fail = Throttled()
    assert one.say(b"a URLFETCH " + url).startswith(b"a NO ")
    assert one.say(b"b APPEND INBOX CATENATE (URL %b)" % url).startswith(b"b NO ")


def test_it_can_be_switched_off() -> None:
    url = signed(client())
    world = world_with(1)
    world.capabilities_off = frozenset({b"URLAUTH"})
    one = Client(world).login()
    assert b" URLAUTH" not in one.say(b"a CAPABILITY")
    for verb in (b"GENURLAUTH %b INTERNAL" % url, b"URLFETCH " + url, b"RESETKEY"):
        assert one.say(b"b " + verb).startswith(b"b BAD ")
    assert b"URLMECH" not in one.say(b"c SELECT INBOX")
    assert b"BADURL" in one.say(b"d APPEND INBOX CATENATE (URL %b)" % url)
