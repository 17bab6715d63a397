"""The pump: one command at a time over any transport."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from protocols.connection import (
    Admission,
    Connection,
    ConnectionFactory,
    Disconnected,
    Limits,
    network_of,
)
from protocols.conversation import KEEP, Conversation


class Echo(Conversation):
    """Echoes lines; `wait` waits for a Deferred, `two` pulls another line."""

    idle_time_out = 60

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.work: Deferred[bytes] | None = None
        self.ended: BaseException | None = None

    def farewell(self, timed_out: bool) -> bytes:
        return b"time\r\n" if timed_out else b"stop\r\n"

    async def converse(self) -> None:
        self.send(b"hello\r\n")
        try:
            while not self.closing:
                line = await self.pull(lambda: self.input.line(100), between=True)
                if line == b"wait":
                    self.work = Deferred()
                    self.send(await self.work + b"\r\n")
                elif line == b"two":
                    self.send(b"? ")
                    self.send(await self.pull(lambda: self.input.line(100)) + b"!\r\n")
                elif line == b"quit":
                    self.send(b"bye\r\n")
                    self.close()
                else:
                    self.send(line + b"\r\n")
                await self.breathe()
        except BaseException as error:
            self.ended = error
            raise


def connected() -> tuple[Echo, StringTransport, Clock]:
    clock = Clock()
    echo, transport = Echo(clock), StringTransport()
    echo.makeConnection(transport)
    return echo, transport, clock


def said(transport: StringTransport) -> bytes:
    value = transport.value()
    transport.clear()
    return value


def test_commands_are_answered_in_order_whatever_the_split() -> None:
    wire = b"a\r\ntwo\r\nb\r\nc\r\nquit\r\nlate\r\n"
    for size in (1, 2, 3, 7, 100):
        echo, transport, _ = connected()
        for start in range(0, len(wire), size):
            echo.dataReceived(wire[start : start + size])
        assert said(transport) == b"hello\r\na\r\n? b!\r\nc\r\nbye\r\n"
        assert transport.disconnecting


def test_input_is_kept_while_a_command_runs() -> None:
    echo, transport, _ = connected()
    echo.dataReceived(b"wait\r\nnext\r\n")
    assert said(transport) == b"hello\r\n"
    assert echo.work is not None
    echo.work.callback(b"done")
    assert said(transport) == b"done\r\nnext\r\n"


def test_reading_pauses_when_too_much_is_kept_and_resumes() -> None:
    echo, transport, _ = connected()
    echo.dataReceived(b"wait\r\n" + b"x\r\n" * KEEP)
    assert transport.producerState == "paused"
    assert echo.work is not None
    echo.work.callback(b"done")
    assert transport.producerState == "producing"


def test_a_failed_wait_is_raised_in_the_command() -> None:
    echo, transport, _ = connected()
    echo.dataReceived(b"wait\r\n")
    assert echo.work is not None
    echo.log.failure = lambda *a, **k: None  # type: ignore[method-assign]
    echo.work.errback(ZeroDivisionError())
    assert isinstance(echo.ended, ZeroDivisionError)
    assert transport.disconnected


def test_losing_the_connection_cancels_the_wait_and_ends_the_coroutine() -> None:
    echo, _, _ = connected()
    echo.dataReceived(b"wait\r\n")
    echo.connectionLost()
    assert echo.ended is not None
    echo, _, _ = connected()
    echo.connectionLost()
    assert isinstance(echo.ended, Disconnected)


def test_a_slow_peer_runs_out_of_time_even_when_it_sends_an_octet_a_minute() -> None:
    echo, transport, clock = connected()
    for _ in range(3):
        clock.advance(19)
        echo.dataReceived(b"x")
    assert not transport.disconnecting
    clock.advance(4)
    assert said(transport).endswith(b"time\r\n")
    assert transport.disconnecting


def test_a_command_at_work_is_not_timed_out() -> None:
    echo, transport, clock = connected()
    echo.dataReceived(b"wait\r\n")
    clock.advance(61)
    clock.advance(61)
    assert not transport.disconnecting


def test_another_time_out_goes_for_who_waits_already() -> None:
    echo, transport, clock = connected()
    clock.advance(50)
    echo.idle_time_out = 100.0
    echo.retimed()
    clock.advance(49)
    assert not transport.disconnecting
    clock.advance(2)
    assert transport.disconnecting


def test_a_time_out_that_is_over_already_ends_the_session() -> None:
    echo, transport, clock = connected()
    clock.advance(50)
    echo.idle_time_out = 20.0
    echo.retimed()
    clock.advance(0)
    assert transport.disconnecting


def test_goodbye_waits_for_the_command_under_way() -> None:
    echo, transport, _ = connected()
    echo.dataReceived(b"wait\r\n")
    echo.goodbye()
    assert not transport.disconnecting
    assert echo.work is not None
    echo.work.callback(b"done")
    assert said(transport) == b"hello\r\ndone\r\nstop\r\n"
    assert transport.disconnecting


def test_goodbye_ends_an_idle_conversation_at_once() -> None:
    echo, transport, _ = connected()
    echo.goodbye()
    assert said(transport) == b"hello\r\nstop\r\n"
    assert transport.disconnecting


def test_a_peer_that_reads_nothing_is_cut_off() -> None:
    echo, transport, clock = connected()
    assert transport.producer is not None
    transport.producer.pauseProducing()
    echo.dataReceived(b"a\r\n")
    clock.advance(Connection.stall_time_out + 1)
    assert transport.disconnected


def test_admission_bounds_connections_and_their_rate() -> None:
    clock = Clock()
    limits = Limits(connections=3, per_address=2, rate=4)
    admission = Admission(clock, lambda: limits)
    a, b = admission.admit("192.0.2.1"), admission.admit("192.0.2.1")
    assert a and b
    assert admission.admit("192.0.2.1") is None
    assert admission.admit("192.0.2.2")
    assert admission.admit("192.0.2.3") is None
    admission.leave(a)
    assert admission.admit("192.0.2.1")
    admission.leave(b)
    assert admission.admit("192.0.2.1") is None, "the rate is used up"
    clock.advance(60)
    assert admission.admit("192.0.2.1")


def test_neighbours_in_one_ipv6_network_count_as_one_peer() -> None:
    admission = Admission(Clock(), lambda: Limits(per_address=1))
    assert admission.admit("2001:db8::1")
    assert admission.admit("2001:db8::2") is None
    assert admission.admit("2001:db8:0:1::1")


def test_ipv4_on_a_socket_of_both_families_is_no_neighbourhood() -> None:
    """A server that listens on every address has one dual-stack socket."""
    clock = Clock()
    asked: list[str] = []
    factory = ConnectionFactory(
        lambda: Echo(clock),
        Admission(clock, lambda: Limits(per_address=1)),
        refused=asked.append,
    )
    here = [IPv6Address("TCP", f"::ffff:192.0.2.{number}", 4_000) for number in (1, 2, 1)]
    assert [isinstance(factory.buildProtocol(peer), Echo) for peer in here] == [True, True, False]
    assert asked == ["192.0.2.1", "192.0.2.2", "192.0.2.1"]
    # The loopback is this machine in this form, too.
    exempt = Admission(clock, lambda: Limits(per_address=1, loopback_exempt=True))
    local = ConnectionFactory(lambda: Echo(clock), exempt)
    mine = IPv6Address("TCP", "::ffff:127.0.0.1", 4_000)
    assert all(isinstance(local.buildProtocol(mine), Echo) for _ in range(3))
    assert network_of("::ffff:192.0.2.1") == network_of("::ffff:c000:201") == "192.0.2.1"
    assert network_of("::ffff:1") == "::/64" and network_of("::ffff:x") == "::ffff:x"


def test_a_stopping_factory_waits_for_its_connections() -> None:
    clock = Clock()
    factory = ConnectionFactory(lambda: Echo(clock), Admission(clock, Limits), b"busy\r\n")
    echo = factory.buildProtocol(None)
    transport = StringTransport()
    assert echo is not None
    echo.makeConnection(transport)
    stopped = factory.stop()
    assert transport.disconnecting and not stopped.called
    refused = factory.buildProtocol(None)
    other = StringTransport()
    assert refused is not None
    refused.makeConnection(other)
    assert other.value() == b"busy\r\n" and other.disconnecting
    echo.connectionLost(None)  # type: ignore[arg-type]
    assert stopped.called
