"""Peers that do not wait for our answer where they have to (RFC 5321 3.1, RFC 2920 3.1)."""

from __future__ import annotations

import pytest

from tests.smtp.fakes import FakeDoor, Talk

MAIL = b"MAIL FROM:<a@example.net>\r\n"
RCPT = b"RCPT TO:<b@example.test>\r\n"
SENT_AWAY = b"554 5.5.0 Wait for the answer (RFC 2920)\r\n"


def strict() -> Talk:
    door = FakeDoor()
    door.strict = True
    return Talk(door)


def test_patience_before_the_greeting() -> None:
    door = FakeDoor()
    door.patience = 2.0
    talk = Talk(door)
    assert talk.greeting == b""
    talk.clock.advance(1.9)
    assert talk.heard() == b""
    talk.clock.advance(0.2)
    assert talk.heard().startswith(b"220 ")
    assert talk.say(b"EHLO c.example\r\n").startswith(b"250-")
    assert door.early == []


def test_early_talker_is_sent_away_unheard() -> None:
    door = FakeDoor()
    door.patience = 2.0
    talk = Talk(door)
    assert (
        talk.say(b"EHLO spam.example\r\nMAIL FROM:<>\r\n") == b"554 5.5.0 You talked before the greeting\r\n"
    )
    assert talk.closed
    assert door.early == [b"EHLO spam.example\r\nMAIL FROM:<>\r\n"]
    assert door.sessions_closed == 1
    assert not [call for call in talk.clock.getDelayedCalls() if call.getTime() == 2.0]


def test_peer_that_hangs_up_before_the_greeting() -> None:
    door = FakeDoor()
    door.patience = 2.0
    talk = Talk(door)
    talk.server.connectionLost()
    talk.clock.advance(3)
    assert talk.heard() == b""
    assert door.sessions_closed == 1


def test_server_that_stops_does_not_wait_for_the_greeting() -> None:
    door = FakeDoor()
    door.patience = 20.0
    talk = Talk(door)
    talk.server.goodbye()
    assert talk.heard().startswith(b"421 4.3.2 ")
    assert talk.closed


@pytest.mark.parametrize(
    ("before", "burst"),
    [
        (b"", b"EHLO c.example\r\n" + MAIL),
        (b"", b"HELO c.example\r\nX"),
        (b"HELO c.example\r\n", MAIL + RCPT),
        (b"HELO c.example\r\n" + MAIL, RCPT + b"DATA\r\n"),
        (b"EHLO c.example\r\n" + MAIL + RCPT, b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"),
    ],
)
def test_who_does_not_wait_is_sent_away(before: bytes, burst: bytes) -> None:
    talk = strict()
    for line in before.splitlines(True):
        assert talk.say(line).startswith(b"250")
    assert talk.say(burst) == SENT_AWAY
    assert talk.closed
    assert len(talk.door.early) == 1
    assert talk.door.accepted == []


def test_the_same_is_taken_from_who_is_trusted() -> None:
    talk = Talk()
    assert talk.say(
        b"EHLO c.example\r\n" + MAIL + RCPT + b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
    ).endswith(b"221 2.0.0 Closing transmission channel\r\n")
    assert len(talk.door.accepted) == 1


def test_pipelining_where_it_may_be_is_no_fault() -> None:
    talk = strict()
    talk.say(b"EHLO c.example\r\n")
    for _ in range(2):
        assert talk.say(MAIL + RCPT + RCPT + b"DATA\r\n").endswith(
            b"354 Start mail input; end with <CRLF>.<CRLF>\r\n"
        )
        # The next transaction may follow the content at once.
        assert talk.say(b"Subject: x\r\n\r\nx\r\n.\r\nRSET\r\n" + MAIL + b"RSET\r\n").count(b"250 ") == 4
    assert talk.say(MAIL + RCPT + b"BDAT 3 LAST\r\nx\r\nQUIT\r\n").endswith(b"channel\r\n")
    assert len(talk.door.accepted) == 3
