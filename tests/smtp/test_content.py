"""Where a message ends, what its content may be, and that nothing smuggles another."""

from __future__ import annotations

import pytest

from protocols.smtp.interfaces import Limits
from tests.smtp.fakes import FakeDoor, Refusal, Reply, Talk

ENVELOPE = b"EHLO c.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.test>\r\n"
NEXT = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nevil\r\n.\r\n"


def ready(limits: Limits | None = None, extra: bytes = b"") -> Talk:
    talk = Talk(FakeDoor(limits=limits))
    talk.say(ENVELOPE.replace(b"net>", b"net>" + extra, 1))
    return talk


def codes(data: bytes) -> list[bytes]:
    return [line[:9] for line in data.split(b"\r\n") if line[3:4] == b" "]


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\r.\r",
        b"\r\n.\n",
        b"\n.\r\n",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\r\n.\r\r\n",
        b"\n\n.\n\n",
        b"\r\n\x00.\r\n",
        b"\r\r\n.\r\r\n",
        b"\n.\n\r\n",
    ],
)
def test_no_other_end_of_data_ends_the_message(end: bytes) -> None:
    talk = ready()
    talk.say(b"DATA\r\n")
    assert talk.say(b"Subject: x\r\n\r\nhello" + end + NEXT[:-5]) == b""
    answer = talk.say(b"\r\n.\r\n")
    # One answer to one message: what was smuggled is content, and bare CR or LF is refused.
    assert len(codes(answer)) == 1
    assert len(talk.door.begun) == 1
    if b"\x00" not in end:
        assert answer.startswith(b"554 5.6.0 ")
        assert talk.door.accepted == []


def test_bare_lf_message_is_refused_and_the_conversation_goes_on() -> None:
    talk = ready()
    talk.say(b"DATA\r\n")
    assert talk.say(b"a\nb\r\n.\r\n").startswith(b"554 5.6.0 ")
    assert talk.door.begun[0].over == "abandoned"
    assert codes(talk.say(NEXT)) == [b"250 2.1.0", b"250 2.1.5", b"354 Start", b"250 2.0.0"]


def test_dots_are_unstuffed_and_every_octet_arrives() -> None:
    talk = ready()
    body = b"..\r\n...two\r\n\x00\xff\xfe caf\xc3\xa9\r\n.x\r\n"
    talk.say(b"DATA\r\n")
    talk.say(body + b".\r\n")
    assert talk.door.accepted[0].content == b".\r\n..two\r\n\x00\xff\xfe caf\xc3\xa9\r\nx\r\n"


def test_empty_message() -> None:
    talk = ready()
    talk.say(b"DATA\r\n")
    assert talk.say(b".\r\n") == b"250 2.0.0 Ok: queued as ID1\r\n"
    assert talk.door.accepted[0].content == b""


def test_pipelined_group_gets_its_replies_in_order() -> None:
    talk = Talk()
    talk.say(b"EHLO c.example\r\n")
    answer = talk.say(
        b"MAIL FROM:<a@example.net>\r\nRCPT TO:<unknown@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n"
    )
    assert codes(answer) == [b"250 2.1.0", b"550 5.1.1", b"250 2.1.5", b"354 Start"]
    answer = talk.say(b"x\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n")
    assert codes(answer) == [b"250 2.0.0", b"250 2.0.0", b"250 2.0.0", b"221 2.0.0"]
    assert talk.closed


def test_data_with_only_refused_recipients_is_refused() -> None:
    talk = Talk()
    answer = talk.say(
        b"HELO c\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<unknown@example.test>\r\nDATA\r\nQUIT\r\n"
    )
    assert codes(answer)[3:] == [b"554 5.5.1", b"221 2.0.0"]


def test_declared_and_counted_size() -> None:
    talk = ready(Limits(message=100))
    assert talk.say(b"RSET\r\nMAIL FROM:<a@b.example> SIZE=101\r\n").endswith(
        b"552 5.3.4 Message size exceeds fixed limit\r\n"
    )
    talk.say(b"MAIL FROM:<a@b.example> SIZE=100\r\nRCPT TO:<b@example.test>\r\nDATA\r\n")
    assert talk.say(b"x" * 99 + b"\r\n.\r\n").startswith(b"552 5.3.4 ")
    talk.say(b"MAIL FROM:<a@b.example> SIZE=100\r\nRCPT TO:<b@example.test>\r\nDATA\r\n")
    assert talk.say(b"x" * 98 + b"\r\n.\r\n").startswith(b"250 ")


def test_store_that_fails_in_the_middle_answers_at_the_end_of_data() -> None:
    talk = ready()
    talk.door.fails_with = Refusal(Reply(452, "4.3.1", "Insufficient system storage"))
    talk.say(b"DATA\r\n")
    assert talk.say(b"line\r\n") == b""
    assert talk.say(b"QUIT\r\n.\r\n") == b"452 4.3.1 Insufficient system storage\r\n"
    assert not talk.closed


def test_content_that_trickles_for_ever_is_ended() -> None:
    talk = ready(Limits(content=1000, idle=300))
    talk.say(b"DATA\r\n")
    for _ in range(10):
        talk.clock.advance(100)
        talk.say(b"x\r\n")
    assert not talk.closed
    talk.clock.advance(1)
    talk.say(b"x\r\n")
    assert talk.closed


# BDAT ----------------------------------------------------------------------------------


def test_chunks_are_one_message_and_commands_inside_are_content() -> None:
    talk = ready()
    answer = talk.say(
        b"BDAT 8\r\nRSET\r\nx\r\nBDAT 2\r\n\r\nBDAT 3 LAST\r\n.\r\nNOOP\r\n".replace(b"x\r\n", b"\r\n", 1)
    )
    assert codes(answer) == [b"250 2.0.0", b"250 2.0.0", b"250 2.0.0", b"250 2.0.0"]
    assert talk.door.accepted[0].content == b"RSET\r\n\r\n\r\n.\r\n"


def test_crlf_split_between_chunks_is_no_bare_cr() -> None:
    talk = ready()
    assert codes(talk.say(b"BDAT 3\r\nab\rBDAT 3 LAST\r\n\ncd")) == [b"250 2.0.0", b"250 2.0.0"]


@pytest.mark.parametrize(
    "chunks", [b"BDAT 3 LAST\r\na\nb", b"BDAT 2\r\na\rBDAT 1 LAST\r\nb", b"BDAT 2 LAST\r\na\r"]
)
def test_bare_cr_or_lf_is_refused_in_text_chunks(chunks: bytes) -> None:
    talk = ready()
    assert codes(talk.say(chunks))[-1] == b"554 5.6.0"
    assert talk.door.accepted == []


def test_binary_chunks_take_any_octet() -> None:
    talk = ready(extra=b" BODY=BINARYMIME")
    everything = bytes(range(256))
    assert codes(talk.say(b"BDAT 256 LAST\r\n" + everything)) == [b"250 2.0.0"]
    assert talk.door.accepted[0].content == everything


def test_chunk_without_transaction_is_read_and_refused() -> None:
    talk = Talk()
    assert codes(talk.say(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")) == [b"503 5.5.1", b"250 2.0.0"]


def test_chunks_after_a_failed_one_are_read_and_refused() -> None:
    talk = ready(Limits(message=10))
    answer = talk.say(b"BDAT 11\r\n" + b"x" * 11 + b"BDAT 6\r\nQUIT\r\nBDAT 0 LAST\r\nNOOP\r\n")
    assert codes(answer) == [b"552 5.3.4", b"503 5.5.1", b"503 5.5.1", b"250 2.0.0"]
    assert talk.door.begun[0].over == "abandoned"
    assert codes(talk.say(NEXT)) == [b"250 2.1.0", b"250 2.1.5", b"354 Start", b"250 2.0.0"]


def test_data_after_a_chunk_is_refused() -> None:
    talk = ready()
    assert codes(talk.say(b"BDAT 2\r\n\r\nDATA\r\nRSET\r\n")) == [b"250 2.0.0", b"503 5.5.1", b"250 2.0.0"]


@pytest.mark.parametrize(
    "line", [b"BDAT", b"BDAT x", b"BDAT -1", b"BDAT 1 FIRST", b"BDAT 1234567890123456789"]
)
def test_chunk_size_that_is_none_closes_the_connection(line: bytes) -> None:
    talk = ready()
    assert codes(talk.say(line + b"\r\nQUIT\r\n")) == [b"501 5.5.4"]
    assert talk.closed


def test_endless_chunk_is_not_read() -> None:
    talk = ready()
    assert codes(talk.say(b"RSET\r\nBDAT 999999999999 LAST\r\n"))[1] == b"501 5.5.4"
    assert talk.closed
