"""Limits, time-outs, bad input and endings of the server's conversation."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.smtp.interfaces import Limits, Role
from protocols.smtp.responses import Reply
from tests.smtp.fakes import FakeDoor, Talk

SCRIPT = (
    b"EHLO c.example\r\nMAIL FROM:<a@example.net> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<b@example.test>\r\n"
    b"RCPT TO:<unknown@example.test>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nNOPE\r\nMAIL FROM:<>\r\n"
    b"RCPT TO:<b@example.test> NOTIFY=NEVER\r\nBDAT 4\r\nab\r\nBDAT 3 LAST\r\nc\r\n"
    b"Bare\nHELP\r\nVRFY x\r\nQUIT\r\n"
)


def run_script(pieces: list[bytes]) -> tuple[bytes, list[bytes]]:
    talk = Talk()
    out = b"".join([talk.greeting, *(talk.say(piece) for piece in pieces)])
    return out, [transaction.content for transaction in talk.door.accepted]


WHOLE = run_script([SCRIPT])


def test_script_whole() -> None:
    assert WHOLE[1] == [b"Subject: x\r\n\r\n.dot\r\n", b"ab\r\nc\r\n"]
    assert WHOLE[0].endswith(b"221 2.0.0 Closing transmission channel\r\n")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, len(SCRIPT)), max_size=12))
def test_any_split_of_the_input_gives_the_same_output(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(SCRIPT)]
    assert run_script([SCRIPT[a:b] for a, b in pairwise(edges)]) == WHOLE


@given(st.text(max_size=600), st.sampled_from(["", "5.7.1"]))
def test_lines_of_replies_are_bounded_in_octets(text: str, enhanced: str) -> None:
    """RFC 5321 4.5.3.1.5."""
    for reply in (Reply(550, enhanced, text), Reply(550, enhanced, "ü" * 600 + text)):
        lines = reply.wire.split(b"\r\n")
        assert lines.pop() == b""
        assert all(len(line) + 2 <= 512 for line in lines)
        reply.wire.decode()


def test_octet_by_octet() -> None:
    assert run_script([bytes([octet]) for octet in SCRIPT]) == WHOLE


WORDS = [
    b"EHLO",
    b"MAIL FROM:",
    b"RCPT TO:",
    b"<a@b.example>",
    b"DATA",
    b"BDAT 3",
    b"LAST",
    b"AUTH PLAIN",
    b"\r\n",
    b"\r\n.\r\n",
    b" ",
    b"\n",
    b"\r",
    b"=",
    b"\x00",
    b"\xff",
    b"STARTTLS",
    b"<",
    b">",
    b"@",
    b'"',
    b"\\",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)), max_size=40))
def test_garbage_gets_replies_only(parts: list[bytes]) -> None:
    talk = Talk(FakeDoor(), "127.0.0.1")
    talk.server.log = Silent()  # type: ignore[assignment]
    out = talk.greeting + talk.say(b"EHLO x\r\n") + talk.say(b"".join(parts)) + talk.say(b"\r\n")
    for line in out.split(b"\r\n")[:-1]:
        assert line[:3].isdigit() and line[3:4] in b" -", line
    assert not Silent.bugs


class Silent:
    bugs: list[str] = []

    def failure(self, text: str, *failures: object, **values: object) -> None:
        self.bugs.append(text)


def test_bug_is_answered_with_an_id_and_the_conversation_goes_on() -> None:
    talk = Talk()
    quiet = Silent()
    talk.server.log = quiet  # type: ignore[assignment]
    talk.say(b"HELO c\r\nMAIL FROM:<>\r\n")
    assert talk.say(b"RCPT TO:<bug@example.test>\r\n").startswith(b"451 4.3.0 Local error ")
    assert len(quiet.bugs) == 1
    Silent.bugs.clear()
    assert talk.say(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"


def test_lines_have_limits_by_verb() -> None:
    talk = Talk()
    assert talk.say(b"NOOP " + b"x" * 505 + b"\r\n") == b"250 2.0.0 OK\r\n"
    assert talk.say(b"NOOP " + b"x" * 506 + b"\r\n") == b"500 5.5.2 Line too long\r\n"
    talk.say(b"HELO c\r\nMAIL FROM:<>\r\n")
    long = b"RCPT TO:<b@example.test> ORCPT=rfc822;" + b"x" * 400 + b"@example.test"
    assert talk.say(long + b"\r\n") == b"250 2.1.5 Recipient OK\r\n"
    assert talk.say(b"RCPT TO:<" + b"x" * 5000 + b"@example.test>\r\n") == b"500 5.5.2 Line too long\r\n"


def test_line_without_end_is_skipped_in_constant_memory_then_cut_off() -> None:
    talk = Talk()
    for _ in range(40):
        talk.say(b"x" * 65536)
        assert len(talk.server.input) <= 65536
    assert talk.closed


def test_too_many_bad_commands_end_the_connection() -> None:
    talk = Talk(FakeDoor(limits=Limits(bad_commands=3)))
    out = talk.say(b"FROB\r\n" * 10)
    assert out.count(b"500 5.5.1") == 4
    assert out.endswith(b"421 4.7.0 Too many bad commands\r\n")
    assert talk.closed


def test_failed_logins_count_as_bad_commands() -> None:
    talk = Talk(FakeDoor(limits=Limits(bad_commands=3)), "127.0.0.1")
    talk.say(b"EHLO c\r\n")
    out = talk.say(b"AUTH PLAIN AGFsaWNlAHdyb25n\r\n" * 10)
    assert out.count(b"535 5.7.8") == 4
    assert talk.closed


def test_browser_is_sent_away_before_its_body() -> None:
    talk = Talk()
    out = talk.say(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<>\r\n")
    assert out == b"500 5.5.1 Command not recognized\r\n"
    assert talk.closed


def test_too_many_refused_recipients_end_the_connection() -> None:
    talk = Talk(FakeDoor(limits=Limits(refused=2)))
    out = talk.say(b"HELO c\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<unknown@example.test>\r\n" * 5)
    assert out.count(b"550 5.1.1") == 3
    assert talk.closed


def test_recipients_and_transactions_are_limited() -> None:
    talk = Talk(FakeDoor(limits=Limits(recipients=2, transactions=2)))
    out = talk.say(b"HELO c\r\nMAIL FROM:<>\r\n" + b"RCPT TO:<b@example.test>\r\n" * 3)
    assert out.endswith(b"452 4.5.3 Too many recipients\r\n")
    out = talk.say(b"RSET\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\n")
    assert out.endswith(b"421 4.7.0 Too many transactions on this connection\r\n")
    assert talk.closed


def test_idle_peer_is_told_and_left() -> None:
    talk = Talk()
    talk.clock.advance(299)
    assert talk.heard() == b""
    talk.clock.advance(2)
    assert talk.heard().startswith(b"421 4.4.2 ")
    assert talk.closed


def test_stopping_server_says_421_between_commands_but_lets_data_finish() -> None:
    talk = Talk()
    talk.say(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n")
    talk.server.goodbye()
    assert talk.heard() == b""
    answer = talk.say(b"x\r\n.\r\n")
    assert answer.startswith(b"250 2.0.0 Ok")
    assert b"421 4.3.2" in answer
    assert talk.closed


def test_what_came_before_the_handshake_is_discarded() -> None:
    door = FakeDoor()
    door.context = object()
    talk = Talk(door)
    talk.say(b"EHLO c\r\nMAIL FROM:<a@example.net>\r\n")
    out = talk.say(b"STARTTLS\r\nRCPT TO:<b@example.test>\r\nNOOP\r\n")
    assert out == b"220 2.0.0 Ready to start TLS\r\n"
    assert talk.transport.tls is door.context
    assert door.begun[0].over == "abandoned"
    assert talk.say(b"MAIL FROM:<>\r\n").startswith(b"503 5.5.1 EHLO")


def test_lost_connection_abandons_the_transaction() -> None:
    from twisted.internet.error import ConnectionDone
    from twisted.python.failure import Failure

    talk = Talk()
    talk.say(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nhalf")
    talk.server.connectionLost(Failure(ConnectionDone()))
    assert talk.door.begun[0].over == "abandoned"
    assert talk.door.accepted == []
    assert talk.door.sessions_closed == 1


def test_implicit_tls_role_asks_for_login() -> None:
    talk = Talk(FakeDoor(Role.SUBMISSIONS), "127.0.0.1")
    talk.say(b"EHLO c\r\n")
    assert talk.say(b"MAIL FROM:<a@example.test>\r\n").startswith(b"530 5.7.0 Authentication")


def test_long_pipeline_gives_way() -> None:
    talk = Talk()
    out = talk.say(b"NOOP\r\n" * 2000)
    assert out.count(b"250 2.0.0 OK\r\n") == 2000


def test_a_connection_may_start_a_queue_twenty_times_and_only_where_that_is_offered() -> None:
    talk = Talk(FakeDoor(limits=Limits(etrn=True)))
    talk.say(b"EHLO c.example\r\n")
    for _ in range(20):
        assert talk.say(b"ETRN held.test\r\n").startswith(b"253 ")
    assert talk.say(b"ETRN held.test\r\n") == b"459 4.7.0 Asked too often\r\n"
    assert len(talk.door.asked) == 20
    silent = Talk()
    assert b"ETRN" not in silent.say(b"EHLO c.example\r\n")
    assert silent.say(b"ETRN held.test\r\n").startswith(b"502 ")


def test_an_address_within_an_address_may_be_long() -> None:
    talk = Talk()
    talk.say(b"EHLO c.example\r\n")
    talk.say(b"MAIL FROM:<a@example.net>\r\n")
    assert talk.say(b"RCPT TO:<IMCEAX400-" + b"a" * 900 + b"@example.test>\r\n").startswith(b"250 ")
    assert talk.say(b"RCPT TO:<" + b"a" * 65 + b"@example.test>\r\n").startswith(b"501 5.1.3")
    assert talk.say(b"RCPT TO:<IMCEAX400-" + b"a" * 1100 + b"@example.test>\r\n").startswith(b"501 5.1.3")
