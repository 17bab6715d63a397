"""One operation in progress: its coroutine, driven by hand, and how it ends.

A search that needs no wait costs no Deferred and no timer. What an operation waits for is
cancelled when it is abandoned, cancelled, or out of time; `verdict` then says how it is
answered, None for not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from protocols.ldap.channel import Command, Kind
from protocols.ldap.controls import Controls
from protocols.ldap.messages import Control, Response
from protocols.ldap.responses import message, messages
from protocols.ldap.results import Failed, Result, ResultCode

if TYPE_CHECKING:
    from protocols.ldap.server import LdapConnection

SLICE: Final = 0.002
"""Seconds an operation works before it gives way."""

TIME_OVER: Final = Result(ResultCode.TIME_LIMIT_EXCEEDED)


class Operation:
    """The `Channel` of one command."""

    __slots__ = (
        "_connection",
        "_deadline",
        "_slice_start",
        "_steps",
        "_timer",
        "_waiting",
        "after",
        "answer_controls",
        "command",
        "controls",
        "ended",
        "message_id",
        "verdict",
    )

    def __init__(
        self,
        connection: LdapConnection,
        message_id: int,
        command: Command,
        controls: Controls,
    ) -> None:
        self._connection = connection
        self.message_id = message_id
        self.command = command
        self.controls = controls
        self.answer_controls: tuple[Control, ...] = ()
        self.verdict: Result | None = None
        self.after: Callable[[], None] | None = None
        """Done once the operation has been answered."""
        self.ended = False
        """Told to end before its time."""
        self._deadline = 0.0
        self._slice_start = 0.0
        self._steps: Coroutine[Any, Any, Response | None] | None = None
        self._timer: Any = None
        self._waiting: Deferred[Any] | None = None

    # The pump --------------------------------------------------------------------------

    def start(self) -> None:
        self._steps = self.command.run(self._connection.session, self)
        self._resume(None)

    @property
    def started(self) -> bool:
        return self._steps is not None

    def end(self, verdict: Result | None) -> None:
        """Cancel what it waits for; an operation that has not started never will."""
        if self.ended:
            return
        self.ended = True
        self.verdict = verdict
        if self._steps is None:
            self._finish(None, CancelledError())
        elif self._waiting is not None:
            self._waiting.cancel()

    def _resume(self, error: BaseException | None) -> None:
        steps = self._steps
        assert steps is not None
        self._slice_start = self._connection.clock.seconds()
        told = self.ended
        try:
            waiting = steps.send(None) if error is None else steps.throw(error)
        except StopIteration as end:
            self._finish(end.value, None)
            return
        except BaseException as raised:
            self._finish(None, raised)
            return
        self._waiting = waiting
        if self._deadline and self._timer is None:
            left = max(0.0, self._deadline - self._connection.clock.seconds())
            self._timer = self._connection.clock.callLater(left, self._out_of_time)
        if self.ended and not told:
            waiting.cancel()
        waiting.addBoth(self._fired)

    def _fired(self, result: object) -> None:
        self._waiting = None
        self._resume(result.value if isinstance(result, Failure) else None)
        self._connection.flush()

    def _finish(self, response: Response | None, error: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._connection.finished(self, response, error)

    def _out_of_time(self) -> None:
        self._timer = None
        self.end(TIME_OVER)

    # For commands ----------------------------------------------------------------------

    def send(self, operation: bytes, controls: tuple[Control, ...] = ()) -> None:
        self._connection.send(message(self.message_id, operation, controls))

    def send_all(self, operations: list[bytes]) -> None:
        self._connection.send(messages(self.message_id, operations))

    async def breathe(self) -> None:
        connection = self._connection
        now = connection.clock.seconds()
        if self._deadline and now >= self._deadline:
            raise Failed(ResultCode.TIME_LIMIT_EXCEEDED)
        if now - self._slice_start > SLICE:
            turn: Deferred[None] = Deferred()
            connection.clock.callLater(0, _fire, turn)
            connection.flush()
            await turn
        if connection.congested:
            await connection.drained()

    def limit_time(self, seconds: int) -> None:
        self._deadline = self._connection.clock.seconds() + seconds

    def unlimit_time(self) -> None:
        self._deadline = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def start_tls(self) -> None:
        self.after = self._connection.begin_tls

    def abandon(self, message_id: int) -> None:
        other = self._connection.operations.get(message_id)
        if other is not None and other is not self and _may_end(other):
            other.end(None)

    def cancel(self, message_id: int) -> Result:
        other = self._connection.operations.get(message_id)
        if other is None or other is self:
            return Result(ResultCode.NO_SUCH_OPERATION)
        if other.ended:
            return Result(ResultCode.TOO_LATE)
        if not _may_end(other):
            # RFC 3909 2.2: Bind and StartTLS cannot be cancelled; an update cannot once begun.
            update = other.command.kind is Kind.UPDATE
            return Result(ResultCode.TOO_LATE if update else ResultCode.CANNOT_CANCEL)
        other.end(Result(ResultCode.CANCELED))
        return Result(ResultCode.SUCCESS)

    def close(self) -> None:
        self._connection.unbound()


def _may_end(operation: Operation) -> bool:
    kind = operation.command.kind
    return kind is Kind.READ or (kind is Kind.UPDATE and not operation.started)


def _fire(turn: Deferred[None]) -> None:
    if not turn.called:
        turn.callback(None)
