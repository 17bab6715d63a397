"""Postfix as a peer in both directions: what goes through it comes back whole, and nothing is smuggled in."""

from __future__ import annotations

import json
import smtplib
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.support.clients import poll, texts
from tests.support.postfix import Postfix
from tests.support.servers import RunningServer, free_offset
from tests.system.test_smuggling import FALSE_ENDS, SMUGGLED, Peer

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def here(
    make_server: Callable[..., RunningServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """Mail for far.test goes to a Postfix that sends all of it back to alice."""
    one = make_server()
    one.add_user("alice")
    peer = Postfix(
        tmp_path_factory.mktemp("postfix"),
        free_offset() + 25,
        f"relayhost = [127.0.0.1]:{one.port('smtp')}",
        "virtual_alias_domains = far.test",
        "virtual_alias_maps = static:alice@example.test",
        "smtp_tls_security_level = may",
    )
    peer.wait()
    rows = [{"domain": "far.test", "route": f"host:127.0.0.1:{peer.port}"}]
    for key, value in (
        ("ims.domains", rows),
        ("ims.delivery.loopback_check", False),
        ("routing.restrictions.allow", ["127.0.0.1"]),
    ):
        one.ask("settings.set", key=key, value=json.dumps(value))
    try:
        yield one
    finally:
        peer.stop()
        one.stop()


def test_a_message_goes_through_postfix_and_comes_back(here: RunningServer) -> None:
    text = "Subject: round\r\n\r\n.dot\r\nGr\u00fc\u00dfe\r\n..\r\n".encode()
    with smtplib.SMTP("127.0.0.1", here.port("smtp"), timeout=20) as smtp:
        smtp.sendmail("a@x.test", ["j\u00f6rg@far.test"], text, ["BODY=8BITMIME", "SMTPUTF8"])
    poll(lambda: texts(here))
    (found,) = texts(here)
    assert found.endswith(b"\r\n\r\n.dot\r\nGr\xc3\xbc\xc3\x9fe\r\n..\r\n")
    assert b"by postfix.test (Postfix)" in found and b"with UTF8SMTP" in found


def test_nothing_is_smuggled_into_postfix(here: RunningServer) -> None:
    before, accepted = len(texts(here)), 0
    for end in FALSE_ENDS:
        peer = Peer(here)
        for line in (b"EHLO x.test", b"MAIL FROM:<outer@x.test>", b"RCPT TO:<b@far.test>", b"DATA"):
            peer.say(line + b"\r\n")
        reply = peer.say(b"Subject: outer\r\n\r\nouter body" + end + SMUGGLED + b"\r\n.\r\n")
        accepted += reply.startswith(b"250")
        assert peer.say(b"NOOP\r\n").startswith(b"250")
        peer.close()
    poll(lambda: len(texts(here)) - before >= accepted)
    poll(lambda: not here.ask("queue.list"))
    found = texts(here)[before:]
    assert accepted and len(found) == accepted
    assert all(one.startswith(b"Return-Path: <outer@x.test>\r\n") for one in found)


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r"], ids=repr)
def test_by_bdat_neither(here: RunningServer, end: bytes) -> None:
    before = len(texts(here))
    content = (
        b"Subject: outer\r\n\r\nouter body" + end + SMUGGLED.replace(b"alice@example", b"b@far") + b"\r\n"
    )
    peer = Peer(here)
    for line in (b"EHLO x.test", b"MAIL FROM:<outer@x.test>", b"RCPT TO:<b@far.test>"):
        peer.say(line + b"\r\n")
    reply = peer.say(b"BDAT %d LAST\r\n" % len(content) + content)
    peer.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.close()
    expected = before + reply.startswith(b"250")
    poll(lambda: len(texts(here)) >= expected and not here.ask("queue.list"))
    found = texts(here)
    assert len(found) == expected
    assert not any(b"Return-Path: <smuggled" in one for one in found)
