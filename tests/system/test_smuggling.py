"""SMTP smuggling (CVE-2023-51764 and its kin), against the running server: DATA ends at CRLF.CRLF and at
nothing else (RFC 5321 4.1.1.4), wherever the network cuts. What looks like an end to somebody else is
part of the one message, or the one message is refused; what follows is never read as commands."""

from __future__ import annotations

import email
import imaplib
import itertools
import re
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

LINE_ENDS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\r\n",
    b"\n\r",
    b"\0\r\n",
    b"\r\0\n",
    b"\x0b",
    b"\x85",
    b"\xe2\x80\xa8",
]
FALSE_ENDS = [
    before + b"." + after
    for before, after in itertools.product(LINE_ENDS, LINE_ENDS)
    if (before, after) != (b"\r\n", b"\r\n") and not (before + b"." + after).endswith(b"\r\n.\r\n")
] + [b"\r\n..\r\n", b"\r\n. \r\n", b"\r\n.\t\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n .\r\n"]

SMUGGLED = (
    b"MAIL FROM:<smuggled@evil.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
    b"Subject: smuggled\r\n\r\nsmuggled body"
)


class Peer:
    def __init__(self, server: RunningServer) -> None:
        self.wire = socket.create_connection(("127.0.0.1", server.port("smtp")), timeout=10)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.wire.makefile("rb")
        self.reply()

    def reply(self) -> bytes:
        while (line := self.file.readline())[3:4] == b"-":
            pass
        return line

    def say(self, data: bytes) -> bytes:
        self.wire.sendall(data)
        return self.reply()

    def close(self) -> None:
        self.file.close()
        self.wire.close()


@pytest.fixture(scope="module")
def target(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    one = make_server()
    one.add_user("alice")
    yield one
    one.stop()


def inbox(server: RunningServer) -> list[bytes]:
    """What alice has, and then has no more."""
    imap = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=10)
    imap.login("alice@example.test", PASSWORD)
    imap.select("INBOX")
    found = [part[1] for part in imap.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
    imap.store("1:*", "+FLAGS", r"(\Deleted)")
    imap.expunge()
    imap.logout()
    return found


def deliver(server: RunningServer, false_end: bytes, cut: int | None) -> bool:
    """One DATA with something in it that is no end; whether the message was accepted."""
    peer = Peer(server)
    try:
        peer.say(b"EHLO x.test\r\n")
        peer.say(b"MAIL FROM:<outer@x.test>\r\n")
        peer.say(b"RCPT TO:<alice@example.test>\r\n")
        assert peer.say(b"DATA\r\n").startswith(b"354 ")
        before = b"Subject: outer\r\n\r\nouter body"
        content = before + false_end + SMUGGLED
        if cut is None:
            peer.wire.sendall(content)
        else:
            peer.wire.sendall(content[: len(before) + cut])
            time.sleep(0.003)
            peer.wire.sendall(content[len(before) + cut :])
        # Nothing is answered until the real end.
        peer.wire.settimeout(0.02)
        with pytest.raises(TimeoutError):
            peer.wire.recv(1, socket.MSG_PEEK)
        peer.wire.settimeout(10)
        reply = peer.say(b"\r\n.\r\n")
        assert re.match(rb"250 2\.0\.0 |554 5\.6\.0 ", reply), (false_end, cut, reply)
        # One reply, and both sides are in step.
        assert peer.say(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
        return reply.startswith(b"250")
    finally:
        peer.close()


def test_one_message_or_a_refusal_for_every_false_end(target: RunningServer) -> None:
    accepted = [end for end in FALSE_ENDS if deliver(target, end, None)]
    found = inbox(target)
    assert len(found) == len(accepted)
    for one in found:
        parsed = email.message_from_bytes(one)
        # What has NUL octets is kept in base64.
        assert parsed["Return-Path"] == "<outer@x.test>"
        assert b"Subject: smuggled" in parsed.get_payload(decode=True)
    # Whatever has a bare CR or LF is refused.
    assert not [end for end in accepted if re.search(rb"\r(?!\n)|(?<!\r)\n", end)]


def test_wherever_the_network_cuts(target: RunningServer) -> None:
    accepted = 0
    ends = [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\r\n.\r\r\n",
        b"\r\n..\r\n",
        b"\r\n\r\n..\r\n",
    ]
    for end in ends:
        for cut in range(len(end) + 1):
            accepted += deliver(target, end, cut)
    found = inbox(target)
    assert len(found) == accepted
    assert all(b"Return-Path: <outer@x.test>" in one for one in found)


def test_two_real_messages_are_two_wherever_the_network_cuts(target: RunningServer) -> None:
    first = b"Subject: one\r\n\r\nbody\r\n.\r\n"
    second = b"MAIL FROM:<second@x.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n"
    for cut in range(len(first) - 6, len(first) + 4):
        peer = Peer(target)
        peer.say(b"EHLO x.test\r\n")
        peer.say(b"MAIL FROM:<first@x.test>\r\n")
        peer.say(b"RCPT TO:<alice@example.test>\r\n")
        peer.say(b"DATA\r\n")
        both = first + second
        peer.wire.sendall(both[:cut])
        time.sleep(0.003)
        peer.wire.sendall(both[cut:])
        assert [peer.reply()[:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
        assert peer.say(b"Subject: two\r\n\r\nbody\r\n.\r\n").startswith(b"250 ")
        peer.close()
    found = inbox(target)
    assert len(found) == 20
    assert sum(b"<first@x.test>" in one for one in found) == 10
