"""The conversation: locks, endings, limits, streams, splits."""

from __future__ import annotations

from base64 import b64encode
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure

from protocols.pop3.commands.content import Cut, needs_utf8
from protocols.sasl.client import ScramClient
from tests.pop3.fakes import MESSAGES, FakeDoor, Talk


def hang_up(talk: Talk) -> None:
    talk.server.connectionLost(Failure(ConnectionLost()))


def test_the_lock_is_held_and_given_back() -> None:
    door = FakeDoor()
    one, two = Talk(door), Talk(door)
    one.login()
    assert two.say(b"USER user", b"PASS pen cil").endswith(b"-ERR [IN-USE] Mailbox is in use\r\n")
    hang_up(one)
    assert not door.locked
    two.login()
    assert two.say(b"QUIT") == b"+OK Bye\r\n"
    assert not door.locked and two.closed


def test_a_lost_connection_deletes_nothing() -> None:
    talk = Talk()
    talk.login()
    talk.say(b"DELE 1", b"DELE 2")
    hang_up(talk)
    assert talk.door.messages == list(MESSAGES)


def test_an_idle_connection_ends_without_a_word_and_without_update() -> None:
    talk = Talk(FakeDoor(idle=600))
    talk.login()
    talk.say(b"DELE 1")
    talk.clock.advance(599)
    assert not talk.closed
    talk.say(b"NOOP")
    talk.clock.advance(599)
    assert not talk.closed
    talk.clock.advance(2)
    assert talk.closed and talk.heard() == b""
    hang_up(talk)
    assert talk.door.messages == list(MESSAGES) and not talk.door.locked


def test_deletions_that_fail_are_told() -> None:
    talk = Talk()
    talk.login()
    talk.door.removal_fails = True
    assert talk.say(b"DELE 1", b"QUIT").endswith(b"-ERR Some messages were not deleted\r\n")
    assert not talk.door.locked and talk.closed


def test_a_session_that_must_end() -> None:
    talk = Talk()
    talk.login()
    talk.say(b"DELE 1")
    talk.door.ended()
    assert talk.closed and talk.heard() == b""
    hang_up(talk)
    assert talk.door.messages == list(MESSAGES) and not talk.door.locked


def test_a_long_answer_of_a_session_that_must_end_is_cut() -> None:
    talk = Talk(FakeDoor([b"Subject: x\r\n\r\n" + b"x" * 1000]))
    talk.door.piece = 100
    talk.login()
    talk.transport.producer.pauseProducing()
    talk.say(b"RETR 1")
    talk.door.ended()
    talk.transport.producer.resumeProducing()
    assert talk.transport.disconnected or talk.transport.disconnecting
    assert not talk.heard().endswith(b".\r\n")


def test_content_waits_for_the_transport() -> None:
    size = 10_000_000
    talk = Talk(FakeDoor([b"Subject: x\r\n\r\n" + b"x" * size]))
    talk.login()
    talk.transport.producer.pauseProducing()
    first = talk.say(b"RETR 1", b"NOOP")
    assert len(first) < 1_000_000
    talk.transport.producer.resumeProducing()
    for _ in range(200):
        talk.clock.advance(0)
    rest = talk.heard()
    assert len(first) + len(rest) > size and rest.endswith(b"\r\n.\r\n+OK\r\n")


def test_a_reader_that_reads_nothing_is_cut_off() -> None:
    talk = Talk(FakeDoor([b"\r\n" + b"x" * 1_000_000]))
    talk.login()
    talk.transport.producer.pauseProducing()
    talk.say(b"RETR 1")
    talk.clock.advance(301)
    assert talk.transport.disconnected or talk.transport.disconnecting
    hang_up(talk)
    assert not talk.door.locked


def test_pipelined_commands_are_answered_in_order() -> None:
    talk = Talk()
    heard = talk.say(b"USER user", b"PASS pen cil", b"STAT", b"DELE 2", b"STAT", b"QUIT", b"NOOP")
    assert heard.splitlines()[2:] == [b"+OK 4 135", b"+OK Message 2 deleted", b"+OK 3 119", b"+OK Bye"]


def test_what_came_before_the_handshake_is_thrown_away() -> None:
    talk = Talk()
    talk.door.context = object()
    assert talk.say(b"STLS", b"USER user", b"PASS pen cil") == b"+OK Begin TLS negotiation\r\n"
    assert talk.transport.tls is talk.door.context


def test_scram() -> None:
    from base64 import b64decode

    talk = Talk()
    client = ScramClient("user", "pen cil")
    challenge = talk.say(b"AUTH SCRAM-SHA-256 " + b64encode(client.initial() or b""))
    final = talk.say(b64encode(client.respond(b64decode(challenge[2:]))))
    client.respond(b64decode(final[2:]))
    client.finish()
    assert talk.say(b"").startswith(b"+OK Maildrop has 4")


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r"])
def test_a_dot_between_bare_line_ends_does_not_end_the_answer(end: bytes, piece: int) -> None:
    """For a client that takes LF for CRLF, what follows would look like answers of ours."""
    message = end.join([b"A: b", b"", b"x", b".", b"-ERR", b".y", b""])
    door = FakeDoor([message])
    door.piece = piece
    talk = Talk(door)
    talk.login()
    assert talk.say(b"RETR 1").partition(b"\r\n")[2] == b"A: b\r\n\r\nx\r\n..\r\n-ERR\r\n..y\r\n.\r\n"
    assert talk.say(b"TOP 1 1").partition(b"\r\n")[2] == b"A: b\r\n\r\nx\r\n.\r\n"


def test_long_lines() -> None:
    talk = Talk(FakeDoor(bad_commands=1000))
    assert talk.say(b"USER " + b"x" * 248).startswith(b"+OK")
    assert talk.say(b"USER " + b"x" * 249) == b"-ERR Syntax error: line of at most 255 octets\r\n"
    assert talk.say(b"x" * 200_000).startswith(b"-ERR")
    assert talk.say(b"AUTH PLAIN " + b"QUJD" * 2000).startswith(b"-ERR")
    assert talk.say(b"AUTH PLAIN " + b"QUJD" * 20_000).startswith(b"-ERR")
    assert talk.say(b"AUTH PLAIN") == b"+ \r\n"
    assert talk.say(b"QUJD" * 20_000) == b"-ERR Response too long\r\n"
    talk.login()
    assert talk.say(b"AUTH " + b"x" * 300).startswith(b"-ERR")


def test_bare_line_endings_are_refused() -> None:
    talk = Talk()
    talk.server.dataReceived(b"CAPA\nCA\rPA\r\nCA\0PA\r\n")
    assert talk.heard().count(b"-ERR Syntax error: CRLF") == 3


def test_a_flood_ends_the_connection() -> None:
    talk = Talk()
    for _ in range(40):
        talk.server.dataReceived(b"x" * 65_536)
    assert talk.closed


def test_too_many_bad_commands() -> None:
    talk = Talk(FakeDoor(bad_commands=3))
    assert talk.say(b"A", b"B", b"C").count(b"-ERR") == 3
    assert not talk.closed
    assert talk.say(b"D", b"CAPA").count(b"-ERR") == 1
    assert talk.closed


def test_too_many_failed_logins() -> None:
    talk = Talk(FakeDoor(bad_commands=10))
    for _ in range(3):
        assert not talk.closed
        talk.say(b"USER user", b"PASS wrong")
    assert talk.closed


def test_a_bug_is_logged_once_and_answered() -> None:
    talk = Talk(FakeDoor([b"bug", b"gone"]))
    talk.login()
    logged: list[Any] = []
    globalLogPublisher.addObserver(logged.append)
    try:
        heard = talk.say(b"RETR 1")
    finally:
        globalLogPublisher.removeObserver(logged.append)
    assert heard.startswith(b"-ERR [SYS/TEMP] Local error ")
    bugs = [event for event in logged if "label" in event]
    assert len(bugs) == 1 and bugs[0]["label"].encode() in heard and bugs[0]["verb"] == "RETR"
    assert talk.say(b"RETR 2") == b"-ERR The message is gone\r\n"


def test_half_a_message_does_not_look_whole() -> None:
    talk = Talk(FakeDoor([b"half"]))
    talk.login()
    heard = talk.say(b"RETR 1")
    assert b"\r\n.\r\n" not in heard
    assert talk.transport.disconnected or talk.transport.disconnecting


def test_passwords_are_in_no_representation() -> None:
    from protocols.pop3.commands.security import Auth, Pass

    assert "secret" not in repr(Pass("secret")) + repr(Auth(b"PLAIN", b"secret"))


def test_listings_of_many() -> None:
    talk = Talk(FakeDoor([b"x"] * 5000))
    talk.login()
    assert talk.say(b"LIST").count(b"\r\n") == 5002
    assert talk.say(b"UIDL").count(b"\r\n") == 5002


@pytest.mark.parametrize(
    ("header", "needed"),
    [
        (b"Subject: x\r\n\r\n", False),
        ("Subject: \u00fc\r\n\r\n".encode(), True),
        (b"Subject: \xfc\r\n\r\n", False),
        (b"", False),
    ],
)
def test_which_messages_need_utf8(header: bytes, needed: bool) -> None:
    assert needs_utf8(header) is needed


@given(st.binary(max_size=60), st.lists(st.integers(1, 9), max_size=20), st.integers(0, 4))
def test_top_does_not_depend_on_pieces(body: bytes, splits: list[int], lines: int) -> None:
    message = b"A: b\r\n\r\n" + body
    whole = Cut(lines).take(message)
    cut, got, position = Cut(lines), b"", 0
    for size in [*splits, len(message)]:
        if cut.done:
            break
        got += cut.take(message[position : position + size])
        position += size
    assert got == whole
    assert whole == b"A: b\r\n\r\n" + _lines(body, lines)


def _lines(body: bytes, count: int) -> bytes:
    parts = body.split(b"\n")
    return b"\n".join(parts[:count]) + (b"\n" if count and len(parts) > count else b"")


SESSION = (
    b"CAPA\r\nUSER user\r\nPASS pen cil\r\nSTAT\r\nLIST\r\nUIDL 2\r\nRETR 1\r\nTOP 1 1\r\nbad\n"
    b"DELE 2\r\nFOO\r\nRETR 4\r\n" + b"x" * 300 + b"\r\nRSET\r\nQUIT\r\n"
)


def replies(pieces: list[bytes], piece: int) -> bytes:
    talk = Talk()
    talk.door.piece = piece
    heard = b""
    for data in pieces:
        talk.server.dataReceived(data)
        for _ in range(5):
            talk.clock.advance(0)
        heard += talk.heard()
    assert talk.closed
    return heard


@given(st.lists(st.integers(1, len(SESSION)), max_size=30), st.integers(1, 100))
@settings(max_examples=100, deadline=None)
def test_any_split_of_the_input_gives_the_same_output(cuts: list[int], piece: int) -> None:
    edges = [0, *sorted(set(cuts)), len(SESSION)]
    pieces = [SESSION[a:b] for a, b in pairwise(edges) if a < b]
    assert replies(pieces, piece) == replies([SESSION], 1 << 18)


@given(st.lists(st.binary(max_size=100), max_size=10), st.booleans())
@settings(max_examples=150, deadline=None)
def test_garbage_gets_answers_and_no_bugs(lines: list[bytes], logged_in: bool) -> None:
    talk = Talk(FakeDoor(bad_commands=1000))
    if logged_in:
        talk.login()
    for line in lines:
        heard = talk.say(line)
        assert b"Local error" not in heard
