"""One command at a time: the pump under SMTP, POP3 and IMAP4.

Theory of operation. A conversation is one coroutine that lives as long as its connection. It
pulls: `await self.pull(take)` calls `take()` until that gives something other than
NEED_DATA, and sleeps in between; so a command, a DATA stream, a literal, the answer to an
AUTH prompt and the wait for IDLE's DONE are all read the same way, from wherever the code
happens to be.

1. The coroutine is driven by hand and not through a Deferred of its own: a command whose
   work needs no wait costs no Deferred at all.
2. While a command runs, input is kept; over `KEEP` octets the transport is paused until the
   coroutine asks for input again.
3. A burst of pipelined commands runs for a slice (`protocols.turns`), then gives way to other
   connections. Answers are flushed when the coroutine goes to sleep.
4. The deadline covers the whole of one `pull`, not each packet: a peer that sends an octet a
   minute is out of time all the same.
5. A lost connection raises Disconnected where the coroutine waits for input or output, and
   cancels the Deferred it waits for; a write that was submitted to the store is not undone.
6. `goodbye` takes effect where `pull` was told that nothing is under way (`between=True`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, Final, Literal, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from protocols.connection import Connection, Disconnected
from protocols.deflate import BadStream, Deflate
from protocols.lines import NEED_DATA, InputBuffer, NeedData
from protocols.turns import SHORT, another_turn, patience

T = TypeVar("T")

KEEP: Final = 64 * 1024

_INPUT: Final = object()


@coroutine
def _input() -> Generator[object, None, None]:
    """Sleep until bytes arrive."""
    yield _INPUT


class Conversation(Connection):
    """A connection that runs `converse` from its first to its last byte.

    Subclasses implement `converse` (greet, then pull commands and run them until `closing`)
    and `farewell` (what is sent when the server ends the session), and set `idle_time_out`
    (seconds one pull may take).
    """

    idle_time_out: float = 300.0

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__(clock)
        self.input = InputBuffer()
        self.layer: Deflate | None = None
        self._coroutine: Coroutine[Any, Any, None] | None = None
        self._waiting: object = None
        self._between = False
        self._leaving = False
        self._paused = False
        self._running = False
        self._more = False
        self._slice_start = 0.0
        self._asked = 0.0

    async def converse(self) -> None:
        """The whole conversation."""
        raise NotImplementedError

    def farewell(self, timed_out: bool) -> bytes:
        """The last words when the server ends the session."""
        return b""

    # For commands ------------------------------------------------------------------------

    async def pull(self, take: Callable[[], T | Literal[NeedData.NEED_DATA]], between: bool = False) -> T:
        """What `take` gives, waiting for input as often as it asks for more.

        between: nothing is under way here, so the server may end the session.
        Raises what `take` raises, and Disconnected.
        """
        taken = take()
        if taken is NEED_DATA and self.layer is not None:
            taken = await self._unpacked(take)
        if taken is not NEED_DATA:
            return taken
        if between and self._leaving:
            self._leave(timed_out=False)
        if self.closing:
            raise Disconnected
        self._asked = self.clock.seconds()
        self.extend(self.idle_time_out)
        self._between = between
        while True:
            if self._out:
                self.flush()
            if self._paused:
                self._paused = False
                self.transport.resumeProducing()
            await _input()
            taken = take()
            if taken is NEED_DATA and self.layer is not None:
                taken = await self._unpacked(take)
            if taken is not NEED_DATA:
                self._between = False
                return taken

    def nudge(self) -> None:
        """What `pull` takes may have come from elsewhere: ask it again."""
        if self._waiting is _INPUT and self._alive:
            self._resume(None)

    async def _unpacked(
        self, take: Callable[[], T | Literal[NeedData.NEED_DATA]]
    ) -> T | Literal[NeedData.NEED_DATA]:
        """What `take` gives of what the layer still holds packed, others having their turn."""
        assert self.layer is not None
        try:
            while self.layer.into(self.input):
                await self.breathe()
                taken = take()
                if taken is not NEED_DATA:
                    return taken
        except BadStream:
            self.abort()
            raise Disconnected from None
        return NEED_DATA

    async def breathe(self) -> None:
        """Give way to other connections if this one has had its slice."""
        spent = self.clock.seconds() - self._slice_start
        if spent > SHORT and spent > patience(self.clock):
            await another_turn(self.clock)
        if self.congested:
            await self.drained()

    async def discard_and_start_tls(self, context_factory: Any) -> None:
        """Throw away what came before the handshake (RFC 3207 4.2) and begin it."""
        self.input.clear()
        self.start_tls(context_factory)

    def begin_layer(self, layer: Deflate) -> None:
        """From here on everything is packed, in both directions."""
        self.flush()
        self.layer = layer
        self._pack = layer.pack

    # Ending ------------------------------------------------------------------------------

    def goodbye(self) -> None:
        self._leaving = True
        if self._between and self._waiting is _INPUT:
            self._leave(timed_out=False)

    def timed_out(self) -> None:
        if self._waiting is _INPUT:
            self._leave(timed_out=True)
        else:
            # A command is at work; its time is the server's, not the peer's.
            self.extend(self.idle_time_out)

    def _leave(self, timed_out: bool) -> None:
        self.send(self.farewell(timed_out))
        self.close()

    @property
    def leaving(self) -> bool:
        """Whether the session is to end as soon as nothing is under way."""
        return self._leaving

    def patience(self) -> float:
        """Seconds that one pull may take, as it is now."""
        return self.idle_time_out

    def retimed(self) -> None:
        """Time-outs may have changed: who waits for input waits as long as who begins to wait now."""
        if self._waiting is _INPUT and self._alive and not self.closing:
            self.idle_time_out = self.patience()
            self.extend(max(0.0, self._asked + self.idle_time_out - self.clock.seconds()))

    # The pump ----------------------------------------------------------------------------

    def opened(self) -> None:
        self._coroutine = self.converse()
        self._resume(None)

    def received(self, data: bytes) -> None:
        if self.layer is None:
            self.input.feed(data)
        else:
            self.layer.feed(data)
        self._more = True
        if self._waiting is _INPUT:
            self._resume(None)
            if self._waiting is _INPUT:
                return
        kept = len(self.input) if self.layer is None else self.layer.waiting
        if kept > KEEP and not self._paused and self._alive:
            self._paused = True
            self.transport.pauseProducing()

    def lost(self) -> None:
        waiting = self._waiting
        if waiting is _INPUT:
            self._resume(Disconnected())
        elif isinstance(waiting, Deferred):
            waiting.cancel()

    def _resume(self, error: BaseException | None) -> None:
        steps = self._coroutine
        if steps is None or self._running:
            return
        self._running = True
        self._slice_start = self.clock.seconds()
        try:
            while True:
                self._more = False
                self._waiting = None
                waiting = steps.send(None) if error is None else steps.throw(error)
                error = None
                self._waiting = waiting
                if waiting is not _INPUT:
                    break
                if not self._alive:
                    error = Disconnected()
                elif not self._more:
                    return
                # More input came in while it ran (a transport without a network does that).
        except (StopIteration, CancelledError):
            self._coroutine = None
            self.close()
            return
        except BaseException:
            self._coroutine = None
            self.log.failure("conversation ended by an error outside of any command")
            self.abort()
            return
        finally:
            self._running = False
        self.flush()
        assert isinstance(waiting, Deferred)
        waiting.addBoth(self._fired)

    def _fired(self, result: object) -> None:
        if isinstance(result, Failure):
            self._resume(result.value)
        else:
            self._resume(None)
