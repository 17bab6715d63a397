"""A door with one maildrop, and a conversation with the server over a string transport."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from protocols.pop3.interfaces import Explained, IDoor, IMaildrop, Limits
from protocols.pop3.server import Server
from protocols.security import Security
from tests.sasl.fakes import FakeAuthenticator, Wrong

MESSAGES = (
    b"From: a@example.test\r\nSubject: one\r\n\r\n.hidden\r\nline 2\r\n..\r\nline 4\r\n",
    b"Subject: two\r\n\r\n",
    "Subject: drei \u00fc\r\n\r\nText \u00fc\r\n".encode(),
    b"Subject: four\r\n\r\nno end",
)


class Refusal(Exception):
    def __init__(self, text: str, code: bytes = b"") -> None:
        super().__init__(text)
        self.code = code


@implementer(IMaildrop)
class FakeMaildrop:
    def __init__(self, door: FakeDoor) -> None:
        self.door = door
        self.messages = list(door.messages)
        self.sizes = [len(message) for message in self.messages]
        self.closed = False
        self.piece = 7

    def unique_id(self, index: int) -> bytes:
        return b"7.%d" % (index + 100)

    async def content(self, index: int) -> AsyncIterator[bytes]:
        if self.messages[index] == b"bug":
            raise ZeroDivisionError
        if self.messages[index] == b"gone":
            raise Refusal("The message is gone")
        if self.messages[index] == b"half":
            yield b"A: b\r\n\r\nhalf"
            raise Refusal("The rest is gone")
        message = self.messages[index]
        for start in range(0, len(message), self.door.piece):
            yield message[start : start + self.door.piece]

    async def remove(self, indexes: Collection[int]) -> bool:
        if self.door.removal_fails:
            return False
        self.door.messages = [m for i, m in enumerate(self.messages) if i not in set(indexes)]
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.door.locked = False


@implementer(IDoor)
class FakeDoor:
    hostname = "pop.example.test"
    implementation = "imsd-test"

    def __init__(self, messages: Collection[bytes] = MESSAGES, **limits: Any) -> None:
        self.messages = list(messages)
        self.authenticator = FakeAuthenticator("user", "pen cil")
        self._limits = Limits(**limits)
        self.context: Any = None
        self.delay = 0
        self.locked = False
        self.removal_fails = False
        self.piece = 1 << 18
        self.ended: Callable[[], None] = lambda: None
        self.drops: list[FakeMaildrop] = []

    def limits(self) -> Limits:
        return self._limits

    def login_delay(self) -> int:
        return self.delay

    def tls(self) -> Any:
        return self.context

    def clear_text(self, security: Security) -> Explained | None:
        return None if security.private else Explained(b"", "Encryption is required")

    async def open(self, identity: Any, ended: Callable[[], None]) -> Any:
        if self.locked:
            raise Refusal("Mailbox is in use", b"IN-USE")
        self.locked = True
        self.ended = ended
        self.drops.append(FakeMaildrop(self))
        return self.drops[-1]

    def explain(self, error: Exception) -> Explained | None:
        if isinstance(error, Wrong):
            return Explained(b"AUTH", "Authentication failed")
        return Explained(error.code, str(error)) if isinstance(error, Refusal) else None


class Transport(StringTransport):
    """A peer at `host`."""

    def __init__(self, host: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 4321))
        self.tls: Any = None

    def startTLS(self, context: Any) -> None:
        self.tls = context


class Talk:
    """One conversation. `say` sends octets and gives what came back."""

    def __init__(self, door: FakeDoor | None = None, host: str = "127.0.0.1") -> None:
        self.door = door or FakeDoor()
        self.clock = Clock()
        self.transport = Transport(host)
        self.server = Server(self.door, self.clock)
        self.server.makeConnection(self.transport)
        self.greeting = self.heard()

    def heard(self) -> bytes:
        data = self.transport.value()
        self.transport.clear()
        return data

    def say(self, *lines: bytes) -> bytes:
        self.server.dataReceived(b"".join(line + b"\r\n" for line in lines))
        for _ in range(50):
            self.clock.advance(0)
        return self.heard()

    def login(self) -> None:
        assert self.say(b"USER user", b"PASS pen cil").count(b"+OK") == 2

    @property
    def closed(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.disconnected)
