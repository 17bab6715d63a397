"""One LDAP connection (RFC 4511): messages in, operations beside each other, answers out.

Theory of operation. `received` feeds the reader; the pump takes messages and starts an
`Operation` for each, which runs at once as far as it gets without waiting.

1. At most `Limits.operations` are in progress; at this number, during a Bind or StartTLS,
   after a slice of work and while the transport is full, the pump stops and reading pauses.
2. Reads run beside everything. Updates run one after the other, in the order they came.
3. A BindRequest abandons reads and updates not begun, waits for the update in progress, and
   runs alone (RFC 4511 4.2.1). StartTLS is refused with operationsError when anything is
   in progress; what came after it before the handshake is thrown away (RFC 4511 4.14).
4. A message that cannot be decoded at all, has id 0 or the id of an operation in progress, or
   asks for an unknown operation, ends the session with a Notice of Disconnection
   (RFC 4511 4.1.1, 4.4.1); a value out of its range is answered with protocolError.
5. A lost connection cancels reads and forgets updates not begun; an update in progress is
   never cancelled. `goodbye` lets that update end and be answered, then gives notice; so does
   the end of the account that is bound.
6. Whatever an operation raises becomes a result in `finished`, the one place: own errors,
   then the door's `explain`; what that does not know is a bug, logged with an id.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from protocols.connection import NEVER, Connection
from protocols.errors import BadSyntax
from protocols.ldap import controls, responses
from protocols.ldap.ber import BadEncoding, BadValue
from protocols.ldap.channel import Kind
from protocols.ldap.dn import BadDN
from protocols.ldap.interfaces import IDoor
from protocols.ldap.messages import ExtendedResponse, Response
from protocols.ldap.operation import SLICE, Operation
from protocols.ldap.reader import Budget, NoRoom, Reader
from protocols.ldap.requests import Envelope
from protocols.ldap.results import Failed, Result, ResultCode
from protocols.ldap.session import Answers, Session
from protocols.ldap.verbs import ANSWERS, CONTROLS, EXTENDED, START_TLS, VERBS
from protocols.lines import NEED_DATA

NOTICE_OF_DISCONNECTION: Final = "1.3.6.1.4.1.1466.20036"


def notice(code: ResultCode, text: str) -> bytes:
    """A Notice of Disconnection (RFC 4511 4.4.1), also what a full listener says."""
    response = ExtendedResponse(Result(code, text=text), NOTICE_OF_DISCONNECTION)
    return responses.message(0, responses.encode(response))


FULL: Final = notice(ResultCode.BUSY, "Too many connections")


class LdapConnection(Connection):
    """A peer that speaks LDAP.

    tls: gives the context factory for StartTLS; None where that is not offered.
    budget: for unfinished large messages, shared by the connections of a listener.
    """

    def __init__(
        self,
        clock: IReactorTime,
        door: IDoor,
        tls: Callable[[], Any] | None = None,
        budget: Budget | None = None,
    ) -> None:
        super().__init__(clock)
        self._door = door
        self._tls = tls
        self._reader = Reader(door.limits.unbound_message, budget)
        self.operations: dict[int, Operation] = {}
        """Those in progress and waiting, by message id."""
        self._updates: deque[Operation] = deque()
        """The first is in progress, the others wait for it."""
        self._exclusive: Operation | None = None
        """A Bind or StartTLS, running or waiting to run alone."""
        self._pumping = False
        self._paused = False
        self._rested = 0.0
        self._later: Any = None
        self._draining = False
        self._farewell: Result | None = None
        """Why the session ends once no operation is in progress."""
        extensions = sorted(oid for oid in EXTENDED if tls is not None or oid != START_TLS)
        self.session = Session(
            door,
            self._dispose,
            self._account_ended,
            tls is not None,
            controls=tuple(sorted(CONTROLS)),
            extensions=tuple(extensions),
        )

    # Coming and going ------------------------------------------------------------------

    def opened(self) -> None:
        self.session.security = self.security
        self._rest()

    def received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._pump()

    def lost(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._reader.clear()
        self._end_reads()
        self.session.forget()

    def timed_out(self) -> None:
        if self.operations:
            self._rest()
        else:
            self._disconnect(ResultCode.ADMIN_LIMIT_EXCEEDED, "Idle for too long")

    def goodbye(self) -> None:
        self._part(Result(ResultCode.UNAVAILABLE, text="The server is stopping"))

    def _account_ended(self) -> None:
        self._part(Result(ResultCode.STRONGER_AUTH_REQUIRED, text="The account was changed; bind again"))

    def _part(self, why: Result) -> None:
        self._farewell = why
        self._end_reads(why)
        self._leave()
        self.flush()

    def _leave(self) -> None:
        if self._farewell is not None and not self.operations:
            self._disconnect(self._farewell.code, self._farewell.text)

    def _disconnect(self, code: ResultCode, text: str) -> None:
        if not self.closing:
            self.send(notice(code, text))
            self.unbound()

    def unbound(self) -> None:
        """The session is over: nothing more is read or answered."""
        self._reader.clear()
        self.close()
        self._end_reads()

    def _end_reads(self, verdict: Result | None = None) -> None:
        """End what can be ended: reads, and updates that have not begun."""
        for operation in list(self.operations.values()):
            if operation.command.kind is Kind.READ or not operation.started:
                operation.end(verdict)

    def _rest(self) -> None:
        self._rested = self.clock.seconds()
        idle = self._door.limits.idle
        if idle:
            self.extend(idle)

    def retimed(self) -> None:
        if self._alive and not self.closing and not self.congested:
            idle = self._door.limits.idle
            self.extend(max(0.0, self._rested + idle - self.clock.seconds()) if idle else NEVER)

    # Input -----------------------------------------------------------------------------

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        start = self.clock.seconds()
        most = self._door.limits.operations
        waits = False
        took = False
        try:
            while not self.closing:
                if self._held(most):
                    waits = True
                    break
                taken = self._reader.next()
                if taken is NEED_DATA:
                    break
                took = True
                self._accept(taken)
                if self.clock.seconds() - start > SLICE and self._reader:
                    waits = True
                    self._come_back()
                    break
        except BadEncoding as error:
            self._disconnect(ResultCode.PROTOCOL_ERROR, f"Expected {error.what}")
        except NoRoom:
            self._disconnect(ResultCode.BUSY, "Too many large requests at once; try again")
        finally:
            self._pumping = False
        self.flush()
        if self.closing:
            return
        if took:
            # Only whole messages count: an octet a minute is no life.
            self._rest()
        if waits is not self._paused:
            self._pause(waits)
        if self.congested and not self._draining:
            self._draining = True
            self._drive(self._when_drained())

    def _held(self, most: int) -> bool:
        """Whether the next message has to wait."""
        return (
            self._exclusive is not None
            or len(self.operations) >= most
            or self.congested
            or self._farewell is not None
        )

    def _pause(self, wanted: bool) -> None:
        self._paused = wanted
        if wanted:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    def _come_back(self) -> None:
        if self._later is None:
            self._later = self.clock.callLater(0, self._again)

    def _again(self) -> None:
        self._later = None
        self._pump()

    def _accept(self, data: bytes) -> None:
        """Begin the operation of one message. Raises BadEncoding where the session must end."""
        envelope = Envelope.read(data)
        message_id, tag = envelope.message_id, envelope.tag
        parse = VERBS.get(tag)
        if parse is None:
            raise BadEncoding("a request")
        if not message_id or message_id in self.operations:
            raise BadEncoding("a message id that is not in use")
        try:
            command = parse(envelope.cursor)
            with_controls = envelope.controls and tag in ANSWERS
            asked = controls.read(envelope.controls, tag) if with_controls else controls.NONE
        except BadValue as error:
            self._refuse(message_id, tag, Result(ResultCode.PROTOCOL_ERROR, text=f"Expected {error.what}"))
            return
        except Failed as error:
            self._refuse(message_id, tag, error.result)
            return
        Connection.doing.verb = type(command).__name__
        kind = command.kind
        operation = Operation(self, message_id, command, asked)
        if kind is Kind.READ:
            self.session.exchange = None
            self.operations[message_id] = operation
            operation.start()
        elif kind is Kind.UPDATE:
            self.session.exchange = None
            self.operations[message_id] = operation
            self._updates.append(operation)
            if len(self._updates) == 1:
                operation.start()
        elif kind is Kind.AT_ONCE:
            operation.start()
        elif kind is Kind.ALONE and self.operations:
            busy = Result(ResultCode.OPERATIONS_ERROR, text="Other operations are in progress")
            self._refuse(message_id, tag, busy)
        else:
            self._alone(operation)

    def _refuse(self, message_id: int, tag: int, result: Result) -> None:
        answer = ANSWERS.get(tag)
        if answer is not None:
            self.send(responses.message(message_id, responses.ending(answer, result)))

    def _alone(self, operation: Operation) -> None:
        others = list(self.operations.values())
        self._exclusive = self.operations[operation.message_id] = operation
        for other in others:
            if other.command.kind is Kind.READ or not other.started:
                other.end(None)
        if not operation.started and len(self.operations) == 1:
            operation.start()

    # Output ----------------------------------------------------------------------------

    def finished(self, operation: Operation, response: Response | None, error: BaseException | None) -> None:
        """An operation has ended: answer it, and go on with what waited for it."""
        self.operations.pop(operation.message_id, None)
        if error is not None:
            result = self._result(operation, error)
            if operation.controls.password_policy and isinstance(error, Exception):
                wrong = self._door.password_error(error)
                if wrong is not None:
                    operation.answer_controls += (controls.password_control(error=wrong),)
            answer = operation.command.answer
            encoded = b"" if result is None or not answer else responses.ending(answer, result)
        else:
            encoded = b"" if response is None else responses.encode(response)
        if encoded and not self.closing:
            self.send(responses.message(operation.message_id, encoded, operation.answer_controls))
        if operation.after is not None and error is None and not self.closing:
            operation.after()
        self._next(operation)

    def _next(self, operation: Operation) -> None:
        """Start what waited for this operation to end."""
        if operation is self._exclusive:
            self._exclusive = None
            limits = self._door.limits
            bound = self.session.bound is not None
            self._reader.limit = limits.bound_message if bound else limits.unbound_message
        elif operation.command.kind is Kind.UPDATE:
            first = self._updates[0] is operation
            self._updates.remove(operation)
            if first and self._updates and not self.closing:
                self._updates[0].start()
        waiting = self._exclusive
        if waiting is not None and not waiting.started and len(self.operations) == 1 and not self.closing:
            waiting.start()
        if self._farewell is not None:
            self._leave()
        elif not self._pumping and (self._reader or self._paused) and not self.closing:
            self._come_back()

    def _result(self, operation: Operation, error: BaseException) -> Result | None:
        if isinstance(error, Failed):
            return error.result
        if isinstance(error, CancelledError):
            return operation.verdict
        if isinstance(error, BadDN):
            return Result(ResultCode.INVALID_DN_SYNTAX, text=f"Expected {error.what}")
        if isinstance(error, BadSyntax):
            return Result(ResultCode.PROTOCOL_ERROR, text=f"Expected {error.what}")
        explained = self._door.explain(error) if isinstance(error, Exception) else None
        if explained is not None:
            return explained
        mark = secrets.token_hex(4)
        try:
            raise error
        except BaseException:
            self.log.failure(
                "{verb} failed by an error of the server, {mark}",
                verb=operation.command.verb,
                mark=mark,
                event_id=4037,
            )
        return Result(ResultCode.OTHER, text=f"Internal error {mark}")

    # For operations --------------------------------------------------------------------

    def begin_tls(self) -> None:
        """The answer to StartTLS is out: the handshake is next (RFC 4511 4.14.1)."""
        assert self._tls is not None
        self._reader.clear()
        self.start_tls(self._tls())
        self.session.security = self.security

    def _dispose(self, answers: Answers) -> None:
        self._drive(answers.aclose())

    async def _when_drained(self) -> None:
        try:
            await self.drained()
        finally:
            self._draining = False
        self._pump()

    def _drive(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what no operation waits for."""
        Deferred.fromCoroutine(work).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if not isinstance(failure.value, CancelledError):
            self.log.failure("work beside the operations failed", failure)
