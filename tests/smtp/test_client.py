"""The client: against our own server in one process, and against scripted ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from protocols.lines import CanonicalLines, DotStuffer
from protocols.smtp import client as smtp
from protocols.smtp.interfaces import Limits, Role
from protocols.smtp.parameters import BINARY, MailParameters, RcptParameters
from protocols.smtp.server import Server
from tests.smtp.fakes import FakeDoor, Transport


class Link:
    """Client and server, each on a memory transport; octets move when `pump` is called."""

    def __init__(self, door: FakeDoor | None = None, host: str = "127.0.0.1") -> None:
        self.clock = Clock()
        self.door = door or FakeDoor()
        self.server = Server(self.door, self.clock)
        self.server_side = Transport(host)
        self.client_side = StringTransport()
        self.client_side.abortConnection = self.lose  # type: ignore[method-assign]
        self.protocol: Any = None

    def connect(self, factory: Any) -> Deferred[Any]:
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.client_side)
        done: Deferred[Any] = Deferred()
        done.callback(self.protocol)
        self.server.makeConnection(self.server_side)
        return done

    def lose(self) -> None:
        from twisted.internet.error import ConnectionAborted
        from twisted.python.failure import Failure

        if not self.client_side.disconnected:
            self.client_side.disconnected = True
            self.protocol.connectionLost(Failure(ConnectionAborted()))
            self.server.connectionLost(Failure(ConnectionAborted()))

    def run(self, awaitable: Any) -> Any:
        results: list[Any] = []
        Deferred.fromCoroutine(awaitable).addBoth(results.append)
        for _ in range(2000):
            if results:
                break
            self.clock.advance(0)
            for source, target in ((self.client_side, self.server), (self.server_side, self.protocol)):
                data = source.value()
                source.clear()
                if data and target is not None and not self.client_side.disconnected:
                    target.dataReceived(data)
        assert results, "the client waits for ever"
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def connected(door: FakeDoor | None = None, hello: bool = True) -> tuple[Link, smtp.Client]:
    link = Link(door)
    client: smtp.Client = link.run(smtp.connect(link, link.clock))  # type: ignore[arg-type]
    if hello:
        link.run(client.hello("client.example"))
    return link, client


def test_whole_transaction_by_chunks_with_everything_offered() -> None:
    link, client = connected()
    assert client.extensions["SIZE"] == "52428800"
    parameters = MailParameters(20, "8BITMIME", True, "HDRS", "id+1", "<>")
    rcpt = RcptParameters(("SUCCESS", "DELAY"), "rfc822", "b+c@example.test")
    replies = link.run(
        client.envelope("ä@example.net", [("b@example.test", rcpt), "unknown@example.test"], parameters)
    )
    assert [reply.code for reply in replies] == [250, 550]
    assert replies[1].enhanced == "5.1.1"
    reply = link.run(client.data(pieces(b"Subject: x\r\n", b"\r\n.dot\r\n")))
    assert str(reply) == "250 2.0.0 Ok: queued as ID1"
    (got,) = link.door.accepted
    assert got.content == b"Subject: x\r\n\r\n.dot\r\n"
    assert str(got.path) == "ä@example.net"
    assert got.parameters == parameters
    assert got.recipients == [("b@example.test", rcpt)]
    link.run(client.reset())
    link.run(client.quit())


@pytest.mark.parametrize("missing", [("CHUNKING",), ("CHUNKING", "PIPELINING"), ()])
def test_content_arrives_whatever_is_offered(missing: tuple[str, ...]) -> None:
    link, client = connected()
    for word in missing:
        del client.extensions[word]
    for number in (1, 2):
        link.run(client.envelope("", ["b@example.test"], MailParameters(5)))
        reply = link.run(client.data(pieces(b"..a\r\n", b".b\r\n.", b"c\r\n.\r\n")))
        assert reply.text.endswith(f"ID{number}")
    assert [each.content for each in link.door.accepted] == [b"..a\r\n.b\r\n.c\r\n.\r\n"] * 2


def test_bare_line_ends_are_made_canonical_for_data() -> None:
    link, client = connected()
    del client.extensions["CHUNKING"]
    link.run(client.envelope("", ["b@example.test"]))
    assert link.run(client.data(pieces(b"a\n.\nb\r", b"\n.\rc"))).code == 250
    assert link.door.accepted[0].content == b"a\r\n.\r\nb\r\n.\r\nc\r\n"


def test_refused_mail_is_raised_and_the_connection_is_usable() -> None:
    link, client = connected(FakeDoor(limits=Limits(message=100)))
    with pytest.raises(smtp.Rejected) as refused:
        link.run(client.envelope("", ["b@example.test"], MailParameters(101)))
    assert refused.value.reply.enhanced == "5.3.4"
    client.extensions.pop("SIZE")
    link.run(client.envelope("", ["b@example.test"], MailParameters(99)))
    assert client.usable


def test_all_recipients_refused_then_reset() -> None:
    link, client = connected()
    replies = link.run(client.envelope("", ["unknown@example.test", "unknown2@example.test"]))
    assert not any(reply.positive for reply in replies)
    link.run(client.reset())
    assert link.door.begun[0].over == "abandoned"


def test_failing_source_never_completes_the_message() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        yield b"more"
        raise OSError("lease lapsed")

    for missing in ((), ("CHUNKING",)):
        link, client = connected()
        for word in missing:
            del client.extensions[word]
        link.run(client.envelope("", ["b@example.test"]))
        with pytest.raises(OSError, match="lease"):
            link.run(client.data(broken()))
        assert not client.usable
        assert link.door.accepted == []


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_login_by_each_mechanism(mechanism: str) -> None:
    door = FakeDoor(Role.SUBMISSION)
    door.authenticator.allowed = (mechanism,)  # type: ignore[assignment]
    link, client = connected(door)
    client.encrypted = True
    link.run(client.auth("alice", "secret"))
    link.run(client.envelope("alice@example.test", ["b@example.test"]))


def test_wrong_password_is_rejected() -> None:
    link, client = connected(FakeDoor(Role.SUBMISSION))
    with pytest.raises(smtp.Rejected) as refused:
        link.run(client.auth("alice", "wrong"))
    assert refused.value.reply.code == 535


def test_password_is_not_sent_in_the_clear() -> None:
    door = FakeDoor(Role.SUBMISSION)
    door.authenticator.allowed = ("PLAIN", "LOGIN")  # type: ignore[assignment]
    link, client = connected(door)
    with pytest.raises(smtp.MissingExtension):
        link.run(client.auth("alice", "secret"))


def test_needs_that_are_not_offered() -> None:
    link, client = connected()
    client.extensions.clear()
    with pytest.raises(smtp.MissingExtension):
        link.run(client.envelope("", ["ä@example.test"]))
    with pytest.raises(smtp.MissingExtension):
        link.run(client.envelope("", ["a@example.test"], MailParameters(body=BINARY)))


def test_command_cannot_be_smuggled_into_an_address() -> None:
    link, client = connected()
    with pytest.raises(ValueError, match="one line"):
        link.run(client.envelope("a@example.net>\r\nRSET", ["b@example.test"]))


# Scripted servers ----------------------------------------------------------------------


class Script:
    """A server that says what it is told, whatever it hears."""

    def __init__(self, greeting: bytes = b"220 hello\r\n") -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self.transport.abortConnection = lambda: None  # type: ignore[method-assign]
        self.protocol: Any = None
        self.result: list[Any] = []
        self.start(smtp.connect(self, self.clock))  # type: ignore[arg-type]
        self.say(greeting)

    def connect(self, factory: Any) -> Deferred[Any]:
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        done: Deferred[Any] = Deferred()
        done.callback(self.protocol)
        return done

    def start(self, coroutine: Any) -> None:
        self.result = []
        Deferred.fromCoroutine(coroutine).addBoth(self.result.append)

    def say(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    @property
    def error(self) -> Any:
        return self.result[0].value


def test_no_greeting_in_time() -> None:
    script = Script(b"")
    script.clock.advance(299)
    assert not script.result
    script.clock.advance(2)
    assert isinstance(script.error, smtp.TimedOut)


def test_unfriendly_greeting() -> None:
    assert Script(b"554-go\r\n554 away\r\n").error.reply.text == "go\naway"


def test_helo_where_ehlo_is_unknown() -> None:
    script = Script()
    client = script.result[0]
    script.start(client.hello("c.example"))
    script.say(b"502 what\r\n")
    assert script.transport.value().endswith(b"HELO c.example\r\n")
    script.say(b"250 ok\r\n")
    assert script.result == [None]
    assert client.extensions == {}


def test_extensions_of_old_servers() -> None:
    script = Script()
    script.start(script.result[0].hello("c.example"))
    client_result = script.result
    script.say(b"250-me\r\n250-AUTH=LOGIN\r\n250-auth PLAIN\r\n250 size 10\r\n")
    assert client_result == [None]


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello\r\n",
        b"25 x\r\n",
        b"250-a\r\n251 b\r\n",
        b"x" * 5000,
        b"250-a\r\n" * 300,
        b"999 x\r\n",
        b"\r\n",
    ],
)
def test_what_is_no_reply_ends_the_connection(garbage: bytes) -> None:
    script = Script(garbage)
    assert isinstance(script.error, smtp.BadReply)


def test_text_after_the_reply_to_starttls_is_refused() -> None:
    script = Script()
    client = script.result[0]
    client.extensions["STARTTLS"] = ""
    script.start(client.starttls(object()))
    script.say(b"220 go\r\n250 injected\r\n")
    assert isinstance(script.error, smtp.BadReply)
    assert not client.usable


def test_421_ends_the_connection() -> None:
    script = Script()
    client = script.result[0]
    script.start(client.reset())
    script.say(b"421 4.3.2 bye\r\n")
    assert script.error.reply.code == 421
    assert not client.usable


async def _some(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("replies", [b"354 go\r\n250 ok\r\n", b"250 ok\r\n354 go\r\n"])
def test_an_intermediate_reply_accepts_neither_originator_nor_recipient(replies: bytes) -> None:
    script = Script()
    client = script.result[0]
    client.extensions = {"PIPELINING": ""}
    script.start(client.envelope("a@example.net", ["b@example.test"]))
    script.say(replies)
    assert isinstance(script.error, smtp.BadReply)
    assert not client.usable


def test_an_intermediate_reply_to_the_final_dot_takes_no_message() -> None:
    script = Script()
    script.start(script.result[0].data(_some(b"x\r\n")))
    script.say(b"354 go\r\n")
    script.say(b"354 go on\r\n")
    assert isinstance(script.error, smtp.BadReply)


@pytest.mark.parametrize("extension", ["", "CHUNKING"])
def test_what_was_said_before_the_content_was_whole_takes_no_message(extension: str) -> None:
    script = Script()
    client = script.result[0]
    client.extensions = {extension: ""}
    script.start(client.data(_some(b"x\r\n", b"y\r\n")))
    script.say(b"250 ok\r\n250 ok\r\n" if extension else b"354 go\r\n250 ok\r\n")
    assert isinstance(script.error, smtp.BadReply)
    assert b"\r\n.\r\n" not in script.transport.value()


def test_goodbye_before_a_command_is_a_connection_that_was_lost() -> None:
    script = Script()
    client = script.result[0]
    script.say(b"421 4.4.2 idle\r\n")
    script.start(client.envelope("a@example.net", ["b@example.test"]))
    assert isinstance(script.error, smtp.Disconnected)
    assert script.transport.value() == b""


def test_enhanced_code_must_agree_with_the_code() -> None:
    script = Script()
    script.start(script.result[0].noop())
    script.say(b"250 5.0.0 odd\r\n")
    assert script.result[0].enhanced == ""


def test_what_a_server_says_steers_nothing() -> None:
    """It goes into reports, logs and terminals: no escape, and no line end that others take for one."""
    script = Script()
    script.start(script.result[0].noop())
    script.say(b"250-2.0.0 one\x1b[2J\x07\ttwo\rX-Sent: yes\r\n250 2.0.0 \xc2\x9bthree\r\n")
    assert script.result[0].text == "one?[2J? two?X-Sent: yes\n?three"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b".", b"\r\n.\r\n", b"\n."]), max_size=30),
    st.data(),
)
def test_stuffed_content_has_no_end_of_data_inside(parts: list[bytes], data: st.DataObject) -> None:
    content = b"".join(parts)
    cut = data.draw(st.integers(0, len(content)))
    lines, stuffer = CanonicalLines(), DotStuffer()
    wire = b"".join(stuffer.stuff(lines.feed(piece)) for piece in (content[:cut], content[cut:]))
    wire += stuffer.stuff(lines.finish()) + stuffer.finish()
    assert (b"\r\n" + wire).find(b"\r\n.\r\n") == len(wire) - 3
    assert wire.replace(b"\r\n", b"").count(b"\n") == wire.replace(b"\r\n", b"").count(b"\r") == 0
