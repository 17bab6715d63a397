"""Malformed LDAP: recorded traffic, mutated, and what a server may do with it.

A hundred thousand take some seconds in one process; `python -m benchmarks.ldap_malformed` goes on for
millions. The server ends the connection with a notice, answers, or waits for more; what it answers is
well-formed and to a request that was sent; it never says "Internal error", and a neighbour on the
same door is answered all the while.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from protocols.ldap import ber, client, controls, filters, syncing
from protocols.ldap.channel import Kind
from protocols.ldap.messages import (
    AbandonRequest,
    AddRequest,
    Attribute,
    BindRequest,
    Change,
    ChangeKind,
    CompareRequest,
    Control,
    DeleteRequest,
    Deref,
    ExtendedRequest,
    ExtendedResponse,
    ModifyDnRequest,
    ModifyRequest,
    PasswordModify,
    Request,
    Sasl,
    Scope,
    SearchRequest,
    Simple,
    UnbindRequest,
)
from protocols.ldap.reader import Budget, Reader
from protocols.ldap.results import ResultCode
from protocols.ldap.server import LdapConnection
from protocols.lines import NEED_DATA
from tests.ldap.fake import FakeDoor, Transport

WHO_AM_I: Final = ExtendedRequest("1.3.6.1.4.1.4203.1.11.3")
_LONELY: Final = Failure(ConnectionDone())


def recorded(base: str, person: str, password: bytes) -> list[bytes]:
    """Requests of every kind, with every control, as clients send them."""
    searches = [
        "(&(objectClass=person)(|(cn=a*)(sn=*b*c)(!(mail=x)))(uid>=a)(uid<=z)(cn~=q)(title=*))",
        "(:dn:2.5.13.2:=x)", "(cn:caseExactMatch:=x)", "(cn;lang-en-=x)", "(member=cn=x,dc=y)", "(&)", "(|)",
    ]  # fmt: skip
    plain: list[Request] = [
        BindRequest(3, person, Simple(password)), BindRequest(3, "", Sasl("PLAIN", b"\0x\0y")),
        BindRequest(3, "", Sasl("SCRAM-SHA-256", b"n,,n=x,r=abc")), BindRequest(2, "", Simple(b"")),
        *(SearchRequest(base, scope, Deref.ALWAYS, 999, 9, False, filters.parse(text), ("cn", "*", "+"))
          for text in searches for scope in (Scope.SUBTREE, Scope.BASE)),
        SearchRequest("", Scope.BASE, Deref.NEVER, 0, 0, True, filters.Present("objectClass"), ("+",)),
        AddRequest(f"cn=n,{base}", (Attribute("objectClass", (b"person", b"top")), Attribute("sn", (b"x",)))),
        ModifyRequest(person, (Change(ChangeKind.REPLACE, Attribute("info", (b"x",))),
                               Change(ChangeKind.DELETE, Attribute("title", ())))),
        DeleteRequest(f"cn=x,{base}"), ModifyDnRequest(f"cn=x,{base}", "cn=y", True, base),
        CompareRequest(person, "cn", b"x"), AbandonRequest(3), UnbindRequest(), WHO_AM_I,
        ExtendedRequest("1.3.6.1.4.1.1466.20037"), ExtendedRequest("1.3.6.1.1.21.1"),
        ExtendedRequest("1.3.6.1.1.8", ber.sequence([ber.integer(3)])),
        ExtendedRequest("1.3.6.1.1.21.3", ber.sequence([ber.boolean(True), ber.octets(b"1")])),
        ExtendedRequest("1.3.6.1.4.1.4203.1.11.1",
                        client.encode_password_modify(PasswordModify("u:x", b"o", b"n"))),
    ]  # fmt: skip
    item = client.encode_filter(filters.Equal("cn", b"x"))
    values: dict[str, bytes | None] = {
        controls.PAGED_RESULTS: ber.sequence([ber.integer(2), ber.octets(b"")]),
        controls.SORT: ber.sequence([ber.sequence([ber.octets(b"cn"), ber.boolean(True, 0x81)])]),
        controls.VLV: ber.sequence(
            [ber.integer(1), ber.integer(1), ber.sequence([ber.integer(1), ber.integer(0)], 0xA0)]
        ),
        controls.MATCHED_VALUES: ber.sequence([item]),
        controls.ASSERTION: item,
        controls.PRE_READ: ber.sequence([ber.octets(b"cn")]),
        controls.POST_READ: ber.sequence([ber.octets(b"*")]),
        controls.PROXIED: b"dn:" + person.encode(),
        controls.SUBENTRIES: ber.boolean(True),
        controls.TRANSACTION: b"1",
        syncing.SYNC: ber.sequence([ber.integer(1, ber.ENUMERATED), ber.octets(b"c")]),
        syncing.PERSISTENT_SEARCH: ber.sequence([ber.integer(15), ber.boolean(True), ber.boolean(True)]),
        **dict.fromkeys(
            (controls.MANAGE_DSA_IT, controls.DONT_USE_COPY, controls.TREE_DELETE, controls.PERMISSIVE_MODIFY,
             controls.RELAX, controls.PASSWORD_POLICY)
        ),
    }  # fmt: skip
    assert set(values) == set(controls.TABLE), "every control that is announced"
    made = [client.write(2, request) for request in plain]
    updates = [each for each in plain if isinstance(each, ModifyRequest | AddRequest | DeleteRequest)]
    for oid, value in values.items():
        for critical in (True, False):
            made += [
                client.write(2, each, (Control(oid, critical, value),)) for each in (*updates, *plain[4:6])
            ]
    every = tuple(Control(oid, False, value) for oid, value in values.items())
    return [*made, client.write(2, plain[4], every)]


# Mutations -------------------------------------------------------------------------------

_INTERESTING: Final = (
    b"\x00", b"\xff", b"\x80", b"\x84\xff\xff\xff\xff", b"\x88" + b"\x7f" * 8, b"\x30\x00", b"\x30\x80",
    b"\x7f",    b"\x02\x09" + b"\x01" * 9, b"\x04\x00", b"\xa0\x00", b"\x0a\x01\x7f",
    b"\x31\x84\x00\x00\x00\x02", b"\x1f\x81\x00",
)  # fmt: skip


def elements(data: bytes, at: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Where the elements of a message stand: of the tag, of the contents, of the end."""
    end = len(data) if end is None else end
    while at + 2 <= end:
        try:
            tag, start, stop = ber.element(data, at, end)
        except ber.BadEncoding:
            return
        yield at, start, stop
        if tag & 0x20:
            yield from elements(data, start, stop)
        at = stop


@dataclass
class Node:
    """An element of a message: constructed (`inner`) or with contents."""

    tag: int
    contents: bytes = b""
    inner: list[Node] | None = None

    @classmethod
    def parse(cls, data: bytes, at: int = 0, end: int | None = None) -> Node:
        tag, start, stop = ber.element(data, at, len(data) if end is None else end)
        if not tag & 0x20:
            return cls(tag, data[start:stop])
        inner = []
        while start < stop:
            inner.append(cls.parse(data, start, stop))
            start = ber.element(data, start, stop)[2]
        return cls(tag, b"", inner)

    def count(self) -> int:
        return 1 + sum(each.count() for each in self.inner or ())

    def encoded(self, number: list[int], change: Callable[[bytes], bytes]) -> bytes:
        """With the element whose number comes down to 0 changed; lengths around it are right."""
        number[0] -= 1
        own = number[0] == 0
        contents = self.contents
        if self.inner is not None:
            contents = b"".join([each.encoded(number, change) for each in self.inner])
        made = ber.wrap(self.tag, contents)
        return change(made) if own else made


def mutated(data: bytes, tree: Node, rng: random.Random, other: bytes) -> bytes:
    """One message with something wrong: one element of it, or any octets."""
    if rng.random() < 0.7:
        return tree.encoded([rng.randint(2, tree.count())], lambda element: _changed(element, rng, other))
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = _once(data, rng, other)
    if data and rng.random() < 0.4:
        # So that what is inside is reached.
        found = next(elements(data), None)
        data = ber.wrap(0x30, data[found[1] if found else min(2, len(data)) :])
    return data


_CONTENTS: Final = (
    b"", b"\0", b"\x01", b"\xff", b"\x7f\xff\xff\xff", b"\0" * 9, b"*", b"+", b"1.1", b"\xc3", b"cn=",
    b"a" * 300, "\u0344\ufdfa".encode(), b"cn;lang-", b"objectClass", b"2.5.13.2", b"(", b"\\", b"u:", b"dn:",
)  # fmt: skip


def _changed(element: bytes, rng: random.Random, other: bytes) -> bytes:
    _, start, stop = ber.element(element, 0, len(element))
    match rng.randrange(7):
        case 0:
            return bytes([rng.randrange(256)]) + element[1:]
        case 1:
            return ber.wrap(element[0], rng.choice(_CONTENTS))
        case 2:
            return element * rng.randrange(3)
        case 3:
            long = (stop - start).to_bytes(rng.choice((4, 8)), "big")
            return element[:1] + bytes([0x80 | len(long)]) + long + element[start:]
        case 4:
            inner = element
            for _ in range(rng.choice((1, 2, 20, 200))):
                inner = ber.wrap(rng.choice((0xA0, 0xA1, 0xA2, 0x30)), inner)
            return inner
        case 5:
            at = rng.randrange(start, stop + 1)
            return ber.wrap(element[0], element[start:at] + bytes([rng.randrange(256)]) + element[at + 1 :])
    return ber.wrap(element[0], element[start:] + other[: rng.randrange(60)])


def _once(data: bytes, rng: random.Random, other: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    kind = rng.randrange(9)
    if kind == 0:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + rng.choice(_INTERESTING) + data[at:]
    if kind == 3:
        return data[:at] + data[at + rng.randrange(1, 5) :]
    places = list(islice(elements(data), 100))
    if not places:
        return data + other
    place, start, stop = rng.choice(places)
    if kind == 4:
        # Another tag.
        return data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :]
    if kind == 5:
        # The element's contents are others, its length is right.
        inside = rng.choice((b"", b"\0" * 9, data[place:stop], other[:40], bytes([rng.randrange(256)])))
        return data[:place] + ber.wrap(data[place], inside) + data[stop:]
    if kind == 6:
        # Twice, or not at all.
        return data[:stop] + data[place:stop] * rng.randrange(3) + data[stop:]
    if kind == 7:
        # A long form that is not needed, or a length that lies.
        long = (stop - start + rng.choice((0, 0, 1, 1 << 20))).to_bytes(rng.choice((4, 8)), "big")
        return data[: place + 1] + bytes([0x80 | len(long)]) + long + data[start:]
    # Deep inside itself.
    inner = data[place:stop]
    for _ in range(rng.choice((3, 30))):
        inner = ber.wrap(rng.choice((0xA0, 0xA1, 0xA2, 0x30)), inner)
    return data[:place] + inner + data[stop:]


# A server under attack ---------------------------------------------------------------------


@dataclass
class Siege:
    """Connections of an attacker, one after the other, and a neighbour's.

    connect: makes a connection. settle: lets its operations end, as far as they do.
    """

    connect: Callable[[], LdapConnection]
    settle: Callable[[LdapConnection], None]
    seeds: list[bytes]
    seed: int = 1
    outcomes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self._trees = [(data, Node.parse(data)) for data in self.seeds]
        self.neighbour = self._open()
        self.connection = self._open()
        self._asked = 0

    def _open(self) -> LdapConnection:
        made = self.connect()
        made.makeConnection(Transport(peerAddress=IPv4Address("TCP", "127.0.0.1", 4444)))
        return made

    def run(self, count: int) -> None:
        for number in range(count):
            data, tree = self.rng.choice(self._trees)
            self.attack(mutated(data, tree, self.rng, self.rng.choice(self.seeds)))
            if not number % 512:
                self.ask_neighbour()

    def attack(self, data: bytes) -> None:
        """One malformed message. The connection goes on where the server lets it."""
        connection = self.connection
        connection.dataReceived(data)
        self.settle(connection)
        answers = _read(connection.transport)
        for each in answers:
            result = getattr(each.operation, "result", None)
            said = "" if result is None else result.text
            assert "Internal error" not in said, (data, said)
        assert len(connection.operations) <= 32
        notice = any(each.message_id == 0 for each in answers)
        if connection.closing:
            unbound = not notice and not answers
            self.outcomes["notice" if notice else "unbound" if unbound else "ended"] += 1
            self._again()
        elif connection._reader or connection.operations or connection.transport.tls:
            # It waits for the rest, or for changes: as it would with a slow peer.
            assert not notice, data
            self.outcomes["waits"] += 1
            self._again()
        else:
            self.outcomes["answered" if answers else "silent"] += 1

    def _again(self) -> None:
        connection = self.connection
        connection.connectionLost(_LONELY)
        self.settle(connection)
        # An update in progress goes on; what reads is over.
        left = connection.operations.values()
        assert all(each.ended or each.command.kind is not Kind.READ for each in left)
        self.connection = self._open()

    def ask_neighbour(self) -> None:
        """Another connection is answered, whatever this one sends."""
        self._asked += 1
        self.neighbour.dataReceived(client.write(self._asked % 2_000_000_000 + 1, WHO_AM_I))
        self.settle(self.neighbour)
        (answer,) = _read(self.neighbour.transport)
        assert isinstance(answer.operation, ExtendedResponse)
        assert answer.operation.result.code is ResultCode.SUCCESS


def _read(transport: Any) -> list[Any]:
    """What was answered: all of it is LDAP."""
    reader = Reader(1 << 30)
    reader.feed(transport.value())
    transport.clear()
    found = []
    while (taken := reader.next()) is not NEED_DATA:
        found.append(client.read(taken))
    assert not reader, "the end of an answer is missing"
    return found


def besieged(seed: int) -> Siege:
    """A siege of a door of its own."""
    door, clock, budget = FakeDoor(), Clock(), Budget()
    for number in range(5):
        door.put(f"uid=u{number},dc=test", objectClass=(b"person",), uid=(b"u%d" % number,))

    def settle(connection: LdapConnection) -> None:
        for _ in range(200):
            clock.advance(0)
            if not connection.operations:
                break
        for name in list(door.entries)[50:]:
            del door.entries[name]
        for seen in (door.done, door.asked, door.watching):
            seen.clear()  # type: ignore[attr-defined]

    def connect() -> LdapConnection:
        assert budget.left == Budget().left, "what a message announced was given back"
        return LdapConnection(clock, door, lambda: None, budget)

    return Siege(connect, settle, recorded("dc=test", "uid=bob,dc=test", b"secret"), seed)
