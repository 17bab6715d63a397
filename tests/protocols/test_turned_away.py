"""Who is turned away stays in no limit's count, and so does not stay."""

from __future__ import annotations

from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from protocols.connection import MOST_PARTING, PARTING, Admission, Connection, ConnectionFactory, Limits


def turned_away(factory: ConnectionFactory) -> tuple[Protocol, StringTransport]:
    refused = factory.buildProtocol(None)
    assert refused is not None and not isinstance(refused, Connection)
    transport = StringTransport()
    refused.makeConnection(transport)
    return refused, transport


def full(clock: Clock) -> ConnectionFactory:
    return ConnectionFactory(
        lambda: Connection(clock), Admission(clock, Limits), b"busy\r\n", room=lambda: False
    )


def test_where_the_process_has_no_room_nobody_is_counted() -> None:
    factory = full(Clock())
    _, transport = turned_away(factory)
    assert transport.value() == b"busy\r\n" and transport.disconnecting
    assert factory._admission.count == 0


def test_who_does_not_take_the_reason_is_cut_off() -> None:
    # As a TLS transport does, this one closes only when the peer has done its part.
    clock = Clock()
    refused, transport = turned_away(full(clock))
    clock.advance(PARTING - 0.1)
    assert not transport.disconnected
    clock.advance(0.2)
    assert transport.disconnected
    refused.connectionLost()
    assert not clock.getDelayedCalls()


def test_who_took_it_leaves_nothing_behind() -> None:
    clock = Clock()
    factory = full(clock)
    refused, _ = turned_away(factory)
    refused.connectionLost()
    assert not clock.getDelayedCalls() and not factory._parting


def test_a_storm_is_told_nothing() -> None:
    clock = Clock()
    factory = full(clock)
    first, _ = turned_away(factory)
    for _ in range(MOST_PARTING - 1):
        turned_away(factory)
    _, late = turned_away(factory)
    assert late.disconnected and not late.value()
    first.connectionLost()
    _, next_one = turned_away(factory)
    assert not next_one.disconnected and next_one.value() == b"busy\r\n"
