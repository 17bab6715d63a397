"""A directory in a dict, behind the interfaces of LDAP; and a client for a StringTransport."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import implementer

from protocols.ldap import client, dn
from protocols.ldap.controls import (
    NONE,
    POST_READ,
    Controls,
    PasswordError,
    password_control,
    read_control,
    sort_control,
)
from protocols.ldap.evaluation import compiled
from protocols.ldap.interfaces import Answered, IDoor, IIdentity, Limits, SearchLimits, SpecialEntry, ignored
from protocols.ldap.messages import (
    AddRequest,
    ChangeKind,
    CompareRequest,
    Control,
    DeleteRequest,
    Message,
    ModifyDnRequest,
    ModifyRequest,
    PasswordModify,
    Request,
    Scope,
    SearchRequest,
)
from protocols.ldap.reader import Budget, Reader
from protocols.ldap.responses import encode_attribute, encode_entry
from protocols.ldap.results import Failed, FailedUpdate, Result, ResultCode
from protocols.ldap.schema import AttributeType, Schema
from protocols.ldap.selection import selection
from protocols.ldap.server import LdapConnection
from protocols.ldap.syncing import PERSISTING, Answer, State, state_control
from protocols.lines import NEED_DATA
from protocols.sasl import IAuthenticator, ScramKeys
from protocols.security import Security

STRING = "1.3.6.1.4.1.1466.115.121.1.15"
SCHEMA = Schema(
    AttributeType(
        name,
        (name,),
        equality="caseIgnoreMatch",
        ordering="caseIgnoreOrderingMatch",
        substrings="caseIgnoreSubstringsMatch",
        syntax=STRING,
    )
    for name in ["objectClass", "cn", "sn", "uid", "mail", "telephoneNumber", "description", "o", "dc", "ou"]
)


class Refused(Exception):
    """What the fake's `explain` knows."""


@dataclass
class FakeEntry:
    dn: dn.DN
    attributes: dict[str, tuple[bytes, ...]]

    @property
    def name(self) -> dn.DN:
        return self.dn

    def values(self, description: str) -> Iterable[bytes]:
        return self.attributes.get(description.lower(), ())

    def descriptions(self) -> Iterable[str]:
        return self.attributes


@implementer(IIdentity)
class FakeIdentity:
    def __init__(self, door: FakeDoor, name: str) -> None:
        self.door = door
        self.name = name
        self.limits = SearchLimits()

    def watch(self, ended: Callable[[], None]) -> None:
        self.door.watching.append(ended)

    def leave(self) -> None:
        self.door.watching.clear()

    def who_am_i(self) -> str:
        return f"dn:{self.name}" if self.name else ""

    async def proxied(self, authorization: str) -> IIdentity:
        if self.name != "uid=bob":
            raise Failed(ResultCode.AUTHORIZATION_DENIED)
        return FakeIdentity(self.door, authorization.partition(":")[2])

    async def search(
        self, request: SearchRequest, controls: Controls = NONE, note: Callable[[Control], None] = ignored
    ) -> AsyncGenerator[bytes | Answer, None]:
        self.door.asked.append(controls)
        if controls.sort:
            note(sort_control(0))
        base = dn.parse(request.base)
        door = self.door
        if base not in door.entries and base:
            raise Failed(ResultCode.NO_SUCH_OBJECT, matched="dc=test")
        test = compiled(request.filter, SCHEMA)
        wanted = selection(request.attributes)
        try:
            for entry in list(door.entries.values()):
                await door.pass_gate("search")
                depth = len(entry.dn) - len(base)
                if not entry.dn.under(base) or (
                    (request.scope is Scope.CHILDREN and not depth)
                    or (request.scope in (Scope.BASE, Scope.ONE) and depth != request.scope)
                ):
                    continue
                if test(entry):
                    yield encode_entry(
                        str(entry.dn).encode(),
                        b"".join(
                            encode_attribute(name.encode(), values)
                            for name, values in entry.attributes.items()
                            if wanted.wants(name)
                        ),
                    )
            if door.stay:
                yield PERSISTING
                door.closed_gates.add("stay")
                await door.pass_gate("stay")
                for _ in range(2):
                    entry = encode_entry(b"uid=told,dc=test", b"")
                    yield Answer(entry, (state_control(State.ADD, b"u" * 16),))
        finally:
            door.done.append("search closed")

    async def compare(self, request: CompareRequest, controls: Controls = NONE) -> bool:
        return request.value in self._entry(request.dn).values(request.attribute)

    def _entry(self, name: str) -> FakeEntry:
        try:
            return self.door.entries[dn.parse(name)]
        except KeyError:
            raise Failed(ResultCode.NO_SUCH_OBJECT) from None

    async def add(self, request: AddRequest, controls: Controls = NONE) -> Answered:
        self.door.asked.append(controls)
        await self.door.pass_gate("update")
        self.door.done.append(f"add {request.dn}")
        self.door.put(request.dn, **{each.name: each.values for each in request.attributes})
        return ()

    async def modify(self, request: ModifyRequest, controls: Controls = NONE) -> Answered:
        self.door.asked.append(controls)
        await self.door.pass_gate("update")
        self.door.done.append(f"modify {request.dn}")
        if request.dn == "cn=bug":
            raise KeyError("a bug")
        if request.dn == "cn=refused":
            raise Refused
        entry = self._entry(request.dn)
        for change in request.changes:
            if change.kind is not ChangeKind.REPLACE:
                raise Failed(ResultCode.UNWILLING_TO_PERFORM)
            entry.attributes[change.attribute.name.lower()] = change.attribute.values
        return () if controls.post_read is None else (read_control(POST_READ, b"image"),)

    async def delete(self, request: DeleteRequest, controls: Controls = NONE) -> Answered:
        self.door.asked.append(controls)
        await self.door.pass_gate("update")
        self._entry(request.dn)
        del self.door.entries[dn.parse(request.dn)]
        return ()

    async def modify_dn(self, request: ModifyDnRequest, controls: Controls = NONE) -> Answered:
        self.door.asked.append(controls)
        await self.door.pass_gate("update")
        entry = self._entry(request.dn)
        del self.door.entries[entry.dn]
        self.door.put(str(entry.dn.parent.child(dn.parse_rdn(request.new_rdn))), **entry.attributes)
        return ()

    async def settle(self, updates: Sequence[tuple[Any, Controls]]) -> list[Answered]:
        for number, (request, _) in enumerate(updates):
            if getattr(request, "dn", "") == "cn=refused":
                raise FailedUpdate(number, Result(ResultCode.CONSTRAINT_VIOLATION))
        of = "" if self.name == "uid=bob" else f" as {self.name}"
        self.door.done += [f"settled {getattr(request, 'dn', 'password')}{of}" for request, _ in updates]
        return [
            () if controls.post_read is None else (read_control(POST_READ, b"image"),)
            for _, controls in updates
        ]

    async def password_policy(self) -> Control:
        return password_control(logins=3)

    async def password_modify(self, request: PasswordModify) -> bytes | None:
        await self.door.pass_gate("update")
        return b"generated" if request.new is None else None


@implementer(IAuthenticator)
class FakeAuthenticator:
    def mechanisms(self, security: Security) -> list[str]:
        return ["PLAIN", "LOGIN"] if security.private else []

    async def password(self, authzid: str, authcid: str, password: str, security: Security) -> Any:
        if password != "secret":
            raise Failed(ResultCode.INVALID_CREDENTIALS)
        return authcid

    async def scram(self, authcid: str, security: Security) -> ScramKeys:
        raise NotImplementedError

    async def scram_done(
        self, authzid: str, authcid: str, keys: ScramKeys, proved: bool, security: Security
    ) -> Any:
        raise NotImplementedError

    async def external(self, authzid: str, security: Security) -> Any:
        raise NotImplementedError


@implementer(IDoor)
class FakeDoor:
    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.authenticator = FakeAuthenticator()
        self.entries: dict[dn.DN, FakeEntry] = {}
        self.gates: dict[str, list[Deferred[None]]] = {}
        self.closed_gates: set[str] = set()
        self.done: list[str] = []
        self.asked: list[Controls] = []
        self.let_anonymous = True
        self.stay = False
        self.watching: list[Callable[[], None]] = []
        self.search_limits = SearchLimits()
        self.put("dc=test", objectClass=(b"domain",), dc=(b"test",))

    def put(self, name: str, **attributes: tuple[bytes, ...]) -> None:
        parsed = dn.parse(name)
        self.entries[parsed] = FakeEntry(parsed, {key.lower(): value for key, value in attributes.items()})

    async def pass_gate(self, name: str) -> None:
        if name in self.closed_gates:
            waiting: Deferred[None] = Deferred()
            self.gates.setdefault(name, []).append(waiting)
            await waiting

    def open_gate(self, name: str) -> None:
        self.closed_gates.discard(name)
        for waiting in self.gates.pop(name, []):
            if not waiting.called:
                waiting.callback(None)

    def root_dse(self) -> SpecialEntry:
        return SpecialEntry("", (("objectClass", (b"top",)),), (("namingContexts", (b"dc=test",)),))

    def subschema(self) -> SpecialEntry:
        values = tuple(str(each).encode() for each in SCHEMA.attributes)
        return SpecialEntry("cn=Subschema", (("cn", (b"Subschema",)),), (("attributeTypes", values),))

    def anonymous(self, security: Security) -> IIdentity | None:
        return self._identity("") if self.let_anonymous else None

    def _identity(self, name: str) -> FakeIdentity:
        identity = FakeIdentity(self, name)
        identity.limits = self.search_limits
        return identity

    async def bind(self, name: str, password: bytes, security: Security) -> IIdentity:
        await self.pass_gate("bind")
        if password != b"secret":
            raise Failed(ResultCode.INVALID_CREDENTIALS)
        return self._identity(name)

    def bound(self, identity: Any, security: Security) -> IIdentity:
        return self._identity(f"uid={identity}")

    def password_error(self, error: Exception) -> PasswordError | None:
        return PasswordError.LOCKED if isinstance(error, Refused) else None

    def explain(self, error: Exception) -> Result | None:
        return Result(ResultCode.CONSTRAINT_VIOLATION) if isinstance(error, Refused) else None


class Transport(StringTransport):
    """A StringTransport that notes StartTLS and aborts."""

    tls: Any = None
    aborted = False

    def startTLS(self, context_factory: Any) -> None:
        self.tls = context_factory

    def abortConnection(self) -> None:
        self.aborted = True


@dataclass
class Peer:
    """A client of one LdapConnection, in the same process."""

    door: FakeDoor = field(default_factory=FakeDoor)
    clock: Clock = field(default_factory=Clock)
    tls: Callable[[], Any] | None = None
    address: str = "127.0.0.1"
    budget: Budget | None = None

    def __post_init__(self) -> None:
        from twisted.internet.address import IPv4Address

        self.transport = Transport(peerAddress=IPv4Address("TCP", self.address, 4444))
        self.connection = LdapConnection(self.clock, self.door, self.tls, self.budget)
        self.connection.makeConnection(self.transport)
        self._reader = Reader(1 << 30)

    def send(self, message_id: int, request: Request, *controls: Control) -> None:
        self.feed(client.write(message_id, request, controls))

    def feed(self, data: bytes) -> None:
        self.connection.dataReceived(data)

    def receive(self) -> list[Message]:
        """All that was answered since the last time."""
        self._reader.feed(self.transport.value())
        self.transport.clear()
        found = []
        while (taken := self._reader.next()) is not NEED_DATA:
            found.append(client.read(taken))
        return found

    def ask(self, message_id: int, request: Request, *controls: Control) -> list[Any]:
        """The operations of what answers this request."""
        self.send(message_id, request, *controls)
        answers = self.receive()
        assert {answer.message_id for answer in answers} <= {message_id}
        return [answer.operation for answer in answers]

    @property
    def disconnecting(self) -> bool:
        return self.transport.disconnecting
