"""A door that remembers everything, and a conversation with the server over a string transport."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from protocols.sasl import ScramKeys, offered
from protocols.sasl.interfaces import IAuthenticator
from protocols.sasl.keys import client_key, salted_password, server_key, stored_key
from protocols.smtp.grammar import Path
from protocols.smtp.interfaces import Client, IDoor, ISession, ITransaction, Limits, Role, TurnRefused
from protocols.smtp.parameters import MailParameters, RcptParameters
from protocols.smtp.responses import Reply
from protocols.smtp.server import Server


class Refusal(Exception):
    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


UNKNOWN = Reply(550, "5.1.1", "No such recipient here")
WRONG = Reply(535, "5.7.8", "Authentication failed")


@implementer(IAuthenticator)
class FakeAuthenticator:
    """alice, whose password is secret."""

    allowed = ("PLAIN", "LOGIN", "SCRAM-SHA-256")

    def mechanisms(self, security: Any) -> list[str]:
        return offered(security, self.allowed)

    async def password(self, authzid: str, authcid: str, password: str, security: Any) -> Any:
        if (authcid, password) != ("alice", "secret"):
            raise Refusal(WRONG)
        return authcid

    async def scram(self, authcid: str, security: Any) -> ScramKeys:
        salted = salted_password("secret", b"salt" * 4, 4096)
        return ScramKeys(b"salt" * 4, 4096, stored_key(client_key(salted)), server_key(salted))

    async def scram_done(self, authzid: str, authcid: str, keys: Any, proved: bool, security: Any) -> Any:
        if not proved or authcid != "alice":
            raise Refusal(WRONG)
        return authcid

    async def external(self, authzid: str, security: Any) -> Any:
        raise Refusal(WRONG)


@implementer(ITransaction)
class FakeTransaction:
    def __init__(self, door: FakeDoor, client: Client, path: Path, parameters: MailParameters) -> None:
        self.door = door
        self.client = client
        self.path = path
        self.parameters = parameters
        self.recipients: list[tuple[str, RcptParameters]] = []
        self.content = b""
        self.over = ""
        self.lowered: int | None = None

    async def add(self, forward_path: Path, parameters: RcptParameters) -> None:
        if forward_path.local.startswith("unknown"):
            raise Refusal(UNKNOWN)
        if forward_path.local == "bug":
            raise ZeroDivisionError
        self.recipients.append((str(forward_path), parameters))

    def write(self, data: bytes) -> None:
        assert not self.over
        if self.door.fails_with is not None:
            raise self.door.fails_with
        self.content += data

    async def drained(self) -> None:
        return None

    async def commit(self) -> str:
        assert not self.over
        self.over = "committed"
        self.door.accepted.append(self)
        return f"ID{len(self.door.accepted)}"

    async def commit_each(self) -> list[str | Exception]:
        queue_id = await self.commit()
        full = Refusal(Reply(452, "4.2.2", "Mailbox is full"))
        return [full if address.startswith("full") else queue_id for address, _ in self.recipients]

    def refused(self, error: Exception) -> None:
        assert not self.over

    def abandon(self) -> None:
        self.over = self.over or "abandoned"


@implementer(IDoor, ISession)
class FakeDoor:
    """Door and session in one."""

    hostname = "mx.example.test"
    patience = 0.0
    strict = False
    trace: Any = None
    proxied = False
    vouches = False

    def __init__(self, role: Role = Role.MX, limits: Limits | None = None) -> None:
        self.role = role
        self._limits = limits or Limits()
        self.context: Any = None
        self.authenticator = FakeAuthenticator()
        self.begun: list[FakeTransaction] = []
        self.accepted: list[FakeTransaction] = []
        self.fails_with: Exception | None = None
        self.sessions_closed = 0
        self.early: list[bytes] = []
        self.time_outs: list[bool] = []
        self.names: list[str] = []
        self.securities: list[Any] = []
        self.asked: list[tuple[str, bool]] = []
        self.end: Any = None

    def limits(self) -> Limits:
        return self._limits

    def tls(self) -> Any:
        return self.context

    async def verify(self, text: str) -> str:
        if "unknown" in text:
            raise Refusal(UNKNOWN)
        return "b@example.test"

    async def expand(self, text: str) -> list[str]:
        if "unknown" in text:
            raise Refusal(UNKNOWN)
        return [] if text == "empty" else ["b@example.test", "c@example.test"]

    async def vouched(self, login: str) -> Any:
        if login != "alice":
            raise Refusal(WRONG)
        return login

    def named(self, name: str) -> None:
        self.names.append(name)

    def session(self, security: Any) -> Any:
        self.securities.append(security)
        return self

    def timed_out(self, message: bool) -> None:
        self.time_outs.append(message)

    def talked_early(self, early: bytes) -> None:
        self.early.append(early)

    def explain(self, error: Exception) -> Reply | None:
        return error.reply if isinstance(error, Refusal) else None

    async def begin(self, client: Client, reverse_path: Path, parameters: MailParameters) -> Any:
        self.begun.append(FakeTransaction(self, client, reverse_path, parameters))
        return self.begun[-1]

    async def turn(self, domains: tuple[str, ...]) -> Any:
        raise TurnRefused(453, "4.3.0", "You have no mail")

    async def start_held(self, domain: str, below: bool) -> int:
        self.asked.append((domain, below))
        if domain not in ("held.test", "empty.test"):
            raise Refusal(Reply(458, "4.3.0", "Node does not store mail here"))
        return 0 if domain == "empty.test" else 2 + below

    def logged_in(self, identity: Any, end: Any) -> None:
        self.end = end

    def forget(self) -> None:
        self.end = None

    def secured(self, security: Any) -> None:
        self.security = security

    def closed(self) -> None:
        self.sessions_closed += 1


class Transport(StringTransport):
    """A peer at `host`; closing tells the protocol, as a network does."""

    def __init__(self, host: str = "192.0.2.7") -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 4321))
        self.tls: Any = None

    def startTLS(self, context: Any) -> None:
        self.tls = context


class Talk:
    """One conversation. `say` sends octets and gives what came back."""

    def __init__(self, door: FakeDoor | None = None, host: str = "192.0.2.7") -> None:
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

    def say(self, data: bytes) -> bytes:
        self.server.dataReceived(data)
        self.clock.advance(0)
        return self.heard()

    @property
    def closed(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.disconnected)
