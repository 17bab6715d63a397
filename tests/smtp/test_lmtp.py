"""LMTP (RFC 2033): another greeting, and a reply for each recipient."""

from __future__ import annotations

import pytest

from protocols.smtp.interfaces import Limits, Role
from tests.smtp.fakes import FakeDoor, Talk


def lmtp(**limits: int) -> Talk:
    talk = Talk(FakeDoor(Role.LMTP, Limits(**limits)), host="127.0.0.1")
    assert talk.greeting == b"220 mx.example.test LMTP ready\r\n"
    return talk


def begun(*recipients: bytes, **limits: int) -> Talk:
    talk = lmtp(**limits)
    talk.say(b"LHLO c.example\r\nMAIL FROM:<a@b.example>\r\n")
    for each in recipients:
        talk.say(b"RCPT TO:<" + each + b"@example.test>\r\n")
    return talk


def test_greeting() -> None:
    talk = lmtp()
    for word in (b"EHLO", b"HELO", b"ETRN", b"XCLIENT"):
        assert talk.say(word + b" c.example\r\n") == b"500 5.5.1 Command not recognized\r\n"
    reply = talk.say(b"LHLO c.example\r\n")
    # RFC 2033 4.1, 5: these must be there.
    for word in (b"PIPELINING", b"ENHANCEDSTATUSCODES", b"8BITMIME"):
        assert b"-" + word + b"\r\n" in reply
    assert b"LHLO" in talk.say(b"HELP\r\n")
    assert Talk().say(b"LHLO c.example\r\n").startswith(b"500 ")


def test_reply_for_each_recipient_that_was_taken_in_order() -> None:
    talk = begun(b"one", b"unknown", b"full", b"two")
    assert talk.say(b"DATA\r\n").startswith(b"354 ")
    assert talk.say(b"Subject: x\r\n\r\nx\r\n.\r\n") == (
        b"250 2.0.0 Ok: queued as ID1\r\n452 4.2.2 Mailbox is full\r\n250 2.0.0 Ok: queued as ID1\r\n"
    )
    assert talk.say(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
    assert talk.door.begun[-1].client.lmtp


def test_chunks_are_answered_alike() -> None:
    talk = begun(b"one", b"full")
    assert talk.say(b"BDAT 3\r\na\r\n") == b"250 2.0.0 Chunk received\r\n"
    assert talk.say(b"BDAT 3 LAST\r\nb\r\n").count(b"\r\n") == 2


def test_no_recipient_no_data() -> None:
    """RFC 2033 4.2: without a recipient that was taken DATA fails."""
    assert begun(b"unknown").say(b"DATA\r\n").startswith(b"554 5.5.1 ")
    assert begun().say(b"DATA\r\n").startswith(b"503 5.5.1 ")


@pytest.mark.parametrize(
    ("content", "limits", "reply"),
    [
        (b"bare\nline\r\n.\r\n", {}, b"554 5.6.0 "),
        (b"x" * 90 + b"\r\n.\r\n", {"message": 50}, b"552 5.3.4 "),
    ],
)
def test_content_that_is_refused_is_refused_for_each(
    content: bytes, limits: dict[str, int], reply: bytes
) -> None:
    talk = begun(b"one", b"two", b"three", **limits)
    talk.say(b"DATA\r\n")
    lines = talk.say(content).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(reply) for line in lines)
    assert talk.say(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"


def test_bug_is_told_to_each_and_logged() -> None:
    talk = begun(b"one", b"two")
    talk.door.fails_with = ZeroDivisionError()
    talk.say(b"DATA\r\n")
    lines = talk.say(b"x\r\n.\r\n").splitlines()
    assert [line[:9] for line in lines] == [b"451 4.3.0"] * 2
