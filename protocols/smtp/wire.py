"""The client's end of the wire: bytes in, replies out, within bounds and time.

One waiter at a time. Whatever goes wrong closes the connection and stays as `failure`. What is sent is
gathered until somebody waits for the answer, and goes out at once then. One timer serves all waits: one
that ends early is not taken back, it looks when it fires whether somebody waits too long.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from protocols.smtp.responses import Reply, plain

MAX_LINE = 4096  # RFC 5321 4.5.3.1.5 says 512; the field is not always so modest
MAX_LINES = 256
FLUSH_AT = 64 * 1024
"""Octets that are gathered."""
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?")
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)")


class ClientError(Exception):
    """Base of what a client's method raises."""


class Rejected(ClientError):
    """The server said no, in its own words."""

    def __init__(self, reply: Reply, command: str) -> None:
        super().__init__(f"{command}: {reply}")
        self.reply = reply
        self.command = command


class MissingExtension(ClientError):
    """The message needs what this server does not offer (RFC 6531 3.2, RFC 3030 3)."""

    def __init__(self, extension: str) -> None:
        super().__init__(f"{extension} is not offered")
        self.extension = extension


class Disconnected(ClientError):
    """The connection was lost before the answer came."""


class OutOfSequence(ClientError):
    """503 where the sequence was right: the server takes one message and no more."""


class TimedOut(ClientError):
    """No answer within the time-out of RFC 5321 4.5.3.2."""


class BadReply(ClientError):
    """What the server sent is no SMTP reply, or one without bounds."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds (RFC 5321 4.5.3.2)."""

    greeting: float = 300
    hello: float = 300
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    block: float = 180
    final: float = 600
    other: float = 120


class Wire(Protocol):
    """Bytes in, replies out; one waiter at a time; the transport's producer side for data."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._buffer = bytearray()
        self._lines: list[tuple[int, str]] = []
        self._replies: deque[Reply] = deque()
        self._waiter: Deferred[Any] | None = None
        self._drain: Deferred[None] | None = None
        self._paused = False
        self._out: list[bytes] = []
        self._gathered = 0
        self._direct = False
        self._timer: IDelayedCall | None = None
        self._until: float | None = None
        self.failure: ClientError | None = None
        self._other: Protocol | None = None
        self.closed: Deferred[None] = Deferred()
        self.trace: Any = None
        """protocols.smtp.interfaces.ITrace, or None."""

    def connectionMade(self) -> None:
        self._direct = type(self.transport) is tcp.Client and hasattr(self.transport, "_tempDataLen")

    # Replies -------------------------------------------------------------------------------

    def give_to(self, other: Protocol) -> None:
        """From here on another protocol has the connection (RFC 2645 5.3)."""
        self._other = other

    def dataReceived(self, data: bytes) -> None:
        if self._other is not None:
            self._other.dataReceived(data)
            return
        if self.failure is not None:
            return
        self._buffer += data
        self._take_lines()
        # Only now: what came along with a reply was there before anything is said to it.
        if self._replies:
            self._wake()

    def _take_lines(self) -> None:
        while self.failure is None:
            end = self._buffer.find(b"\n")
            if end < 0 and len(self._buffer) <= MAX_LINE:
                return
            if end < 0 or end > MAX_LINE:
                self.fail(BadReply("line too long"))
                return
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            self._line(line)

    def _line(self, line: bytes) -> None:
        if self.trace is not None:
            self.trace.heard(line)
        match = _LINE.fullmatch(line)
        if match is None or (self._lines and int(match[1]) != self._lines[0][0]):
            self.fail(BadReply(f"not a reply: {line[:80]!r}"))
            return
        text = (match[3] or b"").replace(b"\t", b" ").decode("utf-8", "replace")
        self._lines.append((int(match[1]), plain(text)))
        if match[2] == b"-":
            if len(self._lines) >= MAX_LINES:
                self.fail(BadReply("too many lines"))
            return
        lines, self._lines = self._lines, []
        if self._waiter is None and len(self._replies) >= MAX_LINES:
            self.fail(BadReply("replies to nothing"))
            return
        self._replies.append(_assemble(lines))

    def _wake(self) -> None:
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            waiter.callback(None)

    async def reply(self, seconds: float) -> Reply:
        """The next reply, within that time."""
        while not self._replies:
            if self.failure is not None:
                raise self.failure
            self._waiter = Deferred()
            self.flush()
            self._start(seconds)
            try:
                await self._waiter
            finally:
                self._stop()
        return self._replies.popleft()

    @property
    def early(self) -> Reply | None:
        """The reply that nobody has asked for yet, if there is one."""
        return self._replies[0] if self._replies else None

    def unread(self) -> bool:
        return bool(self._replies or self._buffer or self._lines)

    # Time, loss ----------------------------------------------------------------------------

    def _start(self, seconds: float) -> None:
        self._until = until = self._clock.seconds() + seconds
        timer = self._timer
        if timer is None:
            self._timer = self._clock.callLater(seconds, self._expired)
        elif timer.getTime() > until:
            timer.reset(seconds)

    def _stop(self) -> None:
        self._until = None

    def _expired(self) -> None:
        self._timer = None
        if self._until is None:
            return
        left = self._until - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._expired)
        else:
            self.fail(TimedOut("no answer in time"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._other is not None:
            self._other.connectionLost(reason)
        if self.trace is not None:
            self.trace.note(f"The connection is over: {self.failure or reason.getErrorMessage()}")
        self._fail(Disconnected(reason.getErrorMessage()))
        self.closed.callback(None)

    def fail(self, error: ClientError) -> None:
        self._fail(error)
        transport: Any = self.transport
        if transport is not None:
            transport.abortConnection()

    def _fail(self, error: ClientError) -> None:
        if self.failure is None:
            self.failure = error
        self._out.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()
        self.resumeProducing()

    # Output --------------------------------------------------------------------------------

    def say(self, line: bytes) -> None:
        """Send a command, or several: what a trace is told of; content is sent by `send`."""
        if self.trace is not None:
            self.trace.said(line)
        self.send(line)

    def send(self, data: bytes) -> None:
        if self.failure is not None:
            raise self.failure
        self._out.append(data)
        self._gathered += len(data)

    def flush(self) -> None:
        """Write what is gathered, at once where the socket takes it."""
        if not self._out:
            return
        data = b"".join(self._out)
        self._out.clear()
        self._gathered = 0
        transport: Any = self.transport
        if (
            self._direct
            and not transport.TLS
            and not transport._tempDataLen
            and not transport.dataBuffer
            and not transport.disconnecting
        ):
            try:
                sent = transport.socket.send(data)
            except OSError:
                sent = 0  # It is full; or gone, of which the reactor hears.
            if sent == len(data):
                return
            data = data[sent:]
        transport.write(data)

    async def drained(self, seconds: float) -> None:
        """Wait until the transport takes more: back-pressure while data is sent."""
        if self._gathered >= FLUSH_AT:
            self.flush()
        while self._paused and self.failure is None:
            self._drain = Deferred()
            self._start(seconds)
            try:
                await self._drain
            finally:
                self._stop()
        if self.failure is not None:
            raise self.failure

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if self._drain is not None:
            drain, self._drain = self._drain, None
            drain.callback(None)

    def stopProducing(self) -> None:
        self.resumeProducing()


@implementer(IPushProducer)
class Output:
    """Hands the transport's signals to the wire (a Protocol has no such interface itself)."""

    def __init__(self, wire: Wire) -> None:
        self.pauseProducing = wire.pauseProducing
        self.resumeProducing = wire.resumeProducing
        self.stopProducing = wire.stopProducing


def _assemble(lines: list[tuple[int, str]]) -> Reply:
    return _single(*lines[0]) if len(lines) == 1 else _reply(lines)


@lru_cache(512)
def _single(code: int, text: str) -> Reply:
    """Most replies are said again and again."""
    return _reply([(code, text)])


def _reply(lines: list[tuple[int, str]]) -> Reply:
    code = lines[0][0]
    match = _ENHANCED.match(lines[0][1])
    enhanced = match[1] if match and int(match[1][0]) == code // 100 else ""
    texts = [text.removeprefix(enhanced).lstrip() if enhanced else text for _, text in lines]
    return Reply(code, enhanced, "\n".join(texts))
