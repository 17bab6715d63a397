"""Transactions in a conversation (RFC 5805)."""

from __future__ import annotations

import pytest

from protocols.ldap import ber, client, controls
from protocols.ldap.commands.transactions import EndTransaction, StartTransaction
from protocols.ldap.messages import BindRequest, Control, ExtendedRequest, PasswordModify, Simple
from protocols.ldap.results import ResultCode
from protocols.ldap.session import TRANSACTIONS, UPDATES
from tests.ldap.fake import Peer
from tests.ldap.test_server import ADD, WHO_AM_I, bound, code, replace

START = ExtendedRequest(StartTransaction.oid)


def end(identifier: bytes, commit: bool | None = None) -> ExtendedRequest:
    parts = [b"" if commit is None else ber.boolean(commit), ber.octets(identifier)]
    return ExtendedRequest(EndTransaction.oid, ber.sequence(parts))


def of(identifier: bytes) -> Control:
    return Control(controls.TRANSACTION, True, identifier)


@pytest.fixture
def peer() -> Peer:
    return bound(Peer())


def start(peer: Peer, message_id: int = 10) -> bytes:
    value: bytes = peer.ask(message_id, START)[0].value
    return value


def test_updates_are_done_at_the_end_together(peer: Peer) -> None:
    one = start(peer)
    assert code(peer.ask(11, ADD, of(one))[0]) is ResultCode.SUCCESS
    image = Control(controls.POST_READ, True, ber.sequence([]))
    assert code(peer.ask(12, replace("uid=new,dc=test"), of(one), image)[0]) is ResultCode.SUCCESS
    assert peer.door.done == []
    [answer] = peer.ask(13, end(one))
    assert code(answer) is ResultCode.SUCCESS
    assert peer.door.done == ["settled uid=new,dc=test", "settled uid=new,dc=test"]
    told = ber.Cursor(answer.value).enter().enter().enter()
    assert told.integer() == 12
    assert code(peer.ask(14, end(one))[0]) is ResultCode.UNWILLING_TO_PERFORM


def test_which_failed_is_said(peer: Peer) -> None:
    one = start(peer)
    peer.ask(11, ADD, of(one))
    peer.ask(12, replace("cn=refused"), of(one))
    [answer] = peer.ask(13, end(one, True))
    assert code(answer) is ResultCode.CONSTRAINT_VIOLATION
    assert ber.Cursor(answer.value).enter().integer() == 12 and peer.door.done == []


def test_what_is_aborted_is_not_done(peer: Peer) -> None:
    one, two = start(peer, 10), start(peer, 11)
    peer.ask(12, ADD, of(one))
    peer.ask(13, ADD, of(two))
    assert code(peer.ask(14, end(one, False))[0]) is ResultCode.SUCCESS
    peer.ask(15, BindRequest(3, "uid=bob", Simple(b"secret")))
    assert code(peer.ask(16, end(two))[0]) is ResultCode.UNWILLING_TO_PERFORM
    assert peer.door.done == []


def test_limits_and_misuse(peer: Peer) -> None:
    one = start(peer)
    for number in range(1, TRANSACTIONS):
        start(peer, 10 + number)
    assert code(peer.ask(20, START)[0]) is ResultCode.ADMIN_LIMIT_EXCEEDED
    assert code(peer.ask(21, ADD, of(b"nonsense"))[0]) is ResultCode.UNWILLING_TO_PERFORM
    assert code(peer.ask(22, WHO_AM_I, of(one))[0]) is ResultCode.UNWILLING_TO_PERFORM
    proxied = Control(controls.PROXIED, True, b"u:ann")
    assert code(peer.ask(23, ADD, of(one), proxied)[0]) is ResultCode.UNWILLING_TO_PERFORM
    assert code(peer.ask(24, START, of(one))[0]) is ResultCode.UNAVAILABLE_CRITICAL_EXTENSION
    assert code(peer.ask(25, ExtendedRequest(StartTransaction.oid, b"x"))[0]) is ResultCode.PROTOCOL_ERROR
    assert code(peer.ask(26, ExtendedRequest(EndTransaction.oid))[0]) is ResultCode.PROTOCOL_ERROR
    for number in range(UPDATES):
        peer.ask(100 + number, ADD, of(one))
    assert code(peer.ask(99, ADD, of(one))[0]) is ResultCode.ADMIN_LIMIT_EXCEEDED
    two = Peer()
    assert code(two.ask(1, START)[0]) is ResultCode.STRONGER_AUTH_REQUIRED


def test_whoever_the_start_names_is_who_does_it(peer: Peer) -> None:
    """RFC 5805 4.4."""
    proxied = Control(controls.PROXIED, True, b"u:ann")
    one: bytes = peer.ask(10, START, proxied)[0].value
    assert code(peer.ask(11, ADD, of(one))[0]) is ResultCode.SUCCESS
    assert code(peer.ask(12, end(one), proxied)[0]) is ResultCode.UNAVAILABLE_CRITICAL_EXTENSION
    assert code(peer.ask(13, end(one))[0]) is ResultCode.SUCCESS
    assert peer.door.done == ["settled uid=new,dc=test as ann"]
    stranger = Peer()
    assert code(stranger.ask(1, START, proxied)[0]) is ResultCode.STRONGER_AUTH_REQUIRED


def test_passwords_are_set_with_the_rest(peer: Peer) -> None:
    one = start(peer)
    passwd = "1.3.6.1.4.1.4203.1.11.1"
    assert code(peer.ask(11, ExtendedRequest(passwd), of(one))[0]) is ResultCode.UNWILLING_TO_PERFORM
    value = client.encode_password_modify(PasswordModify(None, b"old", b"new"))
    [taken] = peer.ask(12, ExtendedRequest(passwd, value), of(one))
    assert code(taken) is ResultCode.SUCCESS and taken.value is None
    assert code(peer.ask(13, end(one))[0]) is ResultCode.SUCCESS
    assert peer.door.done == ["settled password"]
