"""What a client says before it was answered (RFC 2920), and what it makes of answers that do not fit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from protocols.smtp import client as smtp
from tests.smtp.test_client import Script

ENVELOPE = b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n"
TAKEN = b"250 ok\r\n250 ok\r\n354 go\r\n"


async def content() -> AsyncIterator[bytes]:
    yield b"x\r\n"


class Two:
    """A script, and two transactions on it; results by number."""

    def __init__(self, offered: str = "PIPELINING") -> None:
        self.script = Script()
        self.client: smtp.Client = self.script.result[0]
        self.client.extensions = dict.fromkeys(offered.split(), "")
        self.results: dict[int, Any] = {}
        self.sent: list[int] = []

    def begin(self, number: int) -> None:
        done = Deferred.fromCoroutine(self._transaction(number))
        done.addBoth(lambda result: self.results.setdefault(number, result))

    async def _transaction(self, number: int) -> Any:
        replies = await self.client.envelope("a@x.test", ["b@y.test"], data=True)
        if not replies[0].positive:
            await self.client.reset()
            return replies[0].code
        return (await self.client.data(content(), sent=lambda: self.sent.append(number))).code

    def said(self) -> bytes:
        data: bytes = self.script.transport.value()
        self.script.transport.clear()
        return data


def test_a_transaction_is_two_groups() -> None:
    two = Two()
    two.begin(1)
    assert two.said() == ENVELOPE
    two.script.say(TAKEN)
    assert two.said() == b"x\r\n.\r\n"
    two.script.say(b"250 taken\r\n")
    assert two.results == {1: 250}


def test_the_next_envelope_goes_behind_the_content() -> None:
    two = Two()
    two.begin(1)
    two.said()
    two.script.say(TAKEN)
    assert two.sent == [1] and two.said() == b"x\r\n.\r\n"
    two.begin(2)
    assert two.said() == ENVELOPE
    two.script.say(b"250 taken\r\n")
    assert two.results == {1: 250}
    two.script.say(TAKEN)
    two.script.say(b"554 no\r\n")
    assert two.results == {1: 250, 2: 554}


def test_all_answers_at_once_are_told_apart() -> None:
    two = Two()
    two.begin(1)
    two.script.say(TAKEN)
    two.begin(2)
    two.script.say(b"550 5.7.1 spam\r\n" + TAKEN)
    assert two.results == {1: 550}
    assert two.said().endswith(b"x\r\n.\r\n")
    two.script.say(b"250 taken\r\n")
    assert two.results == {1: 550, 2: 250}


def test_what_is_lost_with_the_one_before_was_not_sent() -> None:
    two = Two()
    two.begin(1)
    two.script.say(TAKEN)
    two.begin(2)
    two.said()
    two.script.say(b"421 4.3.2 bye\r\n")
    assert two.results[1] == 421
    assert isinstance(two.results[2].value, smtp.Disconnected)
    assert b"x\r\n" not in two.said()


def test_a_reply_too_many_takes_no_message() -> None:
    two = Two()
    two.begin(1)
    two.script.say(TAKEN)
    two.begin(2)
    two.said()
    two.script.say(b"250 taken\r\n250 and again\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    assert two.results[1] == 250
    assert not isinstance(two.results[2], int) or two.results[2] >= 400
    assert b"\r\n.\r\n" not in two.said()


def test_content_is_never_begun_before_it_is_asked_for() -> None:
    """A server that says yes to everything in advance."""
    two = Two()
    two.begin(1)
    two.script.say(TAKEN + b"250 taken\r\n")
    assert isinstance(two.results[1].value, smtp.BadReply)
    assert b"\r\n.\r\n" not in two.said()


def test_354_for_nobody_is_answered_by_a_dot() -> None:
    """RFC 2920 3.1"""
    two = Two()
    two.begin(1)
    two.said()
    two.script.say(b"250 ok\r\n550 5.1.1 who\r\n354 go\r\n")
    assert two.said() == b".\r\n"
    two.script.say(b"554 5.5.1 no recipients\r\n")
    assert two.said() == b"RSET\r\n"
    two.script.say(b"250 ok\r\n")
    assert two.results == {1: 550} and two.client.usable


@pytest.mark.parametrize("rcpt", [b"250 ok\r\n", b"503 MAIL first\r\n"])
def test_354_without_originator_ends_the_connection(rcpt: bytes) -> None:
    """The server would put the content into a transaction of its own imagination."""
    two = Two()
    two.begin(1)
    two.script.say(b"503 again?\r\n" + rcpt + b"354 go\r\n")
    assert isinstance(two.results[1].value, smtp.Rejected)
    assert not two.client.usable
    assert b"\r\n.\r\n" not in two.said()


def test_bdat_waits_and_nothing_follows_it() -> None:
    two = Two("PIPELINING CHUNKING")
    two.begin(1)
    assert two.said() == ENVELOPE.removesuffix(b"DATA\r\n")
    two.script.say(b"250 ok\r\n250 ok\r\n")
    assert two.said() == b"BDAT 3 LAST\r\nx\r\n"
    two.script.say(b"250 taken\r\n")
    assert two.results == {1: 250} and not two.sent


def test_without_pipelining_one_command_waits_for_the_other() -> None:
    two = Two("")
    two.begin(1)
    said = []
    for reply in (b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        said.append(two.said())
        two.script.say(reply)
    assert said == ENVELOPE.splitlines(keepends=True)
    assert two.said() == b"x\r\n.\r\n" and not two.sent


def test_goodbye_waits_for_the_last_answer() -> None:
    two = Two()
    two.begin(1)
    two.script.say(TAKEN)
    two.said()
    two.script.start(two.client.quit())
    two.script.say(b"250 taken\r\n")
    assert two.said() == b"QUIT\r\n"
    two.script.say(b"221 bye\r\n")
    assert two.results == {1: 250} and two.script.result == [None]


def test_one_timer_serves_all_waits() -> None:
    two = Two()
    two.begin(1)
    two.script.clock.advance(299)
    two.script.say(TAKEN)
    two.script.clock.advance(599)
    assert not two.results
    assert len(two.script.clock.getDelayedCalls()) == 1
    two.script.clock.advance(1)
    assert isinstance(two.results[1].value, smtp.TimedOut)
    assert two.script.clock.getDelayedCalls() == []
