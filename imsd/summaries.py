"""Describes content that is in memory: its hash and its summary, in a process beside this one.

What is computed of a message at its delivery is a fifth of what SMTP takes from the interpreter, and
more for mail of many parts. Where there is a second processor it does that, while the reactor goes on
(design rule 12). The process is a convenience: what it cannot take at once, and what it does not
answer, is computed here, in slices.

1. One packet is one question; answers come in the order of the questions.
2. At most `MOST` questions wait. A process that answers none of them for `PATIENCE` seconds is killed.
3. Where every processor is busy an answer costs the wait for one: when answers take over `SLOW` seconds
   on average none is asked for during `REST`. That is until they were made, not until they were heard:
   how long the reactor's turns are says nothing of the processors.
4. A process that ended is started again, later and later while it goes on to fail.
"""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from imsd.slices import in_slices
from imsd.store.blobs import NewBlob, new_blob
from imsd.summarizer import ANSWER, PACKET, read
from protocols.message.summary import Summary, summarizing

MOST: Final = 16
PATIENCE: Final = 2.0
SLOW: Final = 0.003
REST: Final = 1.0
WEIGHT: Final = 0.1
"""Of the last answer in the average."""
RETREAT: Final = 300.0
"""Seconds at most before a process that failed is started again."""

Answer = tuple[float, bytes, Summary]


class Summaries:
    """Describes content; by itself until `start`, and after `stop`."""

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._helper: Helper | None = None
        self._again: Any = None
        self._failures = 0
        self._stopped = True

    async def describe(self, data: bytes) -> NewBlob:
        """Whole content with its hash and its summary."""
        helper = self._helper
        if helper is not None:
            waiting = helper.ask(data)
            answer = None if waiting is None else await waiting
            if answer is not None:
                _, digest, summary = answer
                return NewBlob(len(data), digest, data, "", summary)
        return new_blob(data, await in_slices(summarizing(data), self._reactor))

    def start(self) -> None:
        """Have it done by a process, if this machine has room for one."""
        self._stopped = False
        if processors() > 1:
            self._begin()

    async def stop(self) -> None:
        self._stopped = True
        if self._again is not None and self._again.active():
            self._again.cancel()
        if self._helper is not None:
            helper, self._helper = self._helper, None
            helper.end()
            await helper.ended

    @property
    def ready(self) -> bool:
        """Whether a process answers."""
        return self._helper is not None and self._helper.ready

    def _begin(self) -> None:
        try:
            self._helper = Helper(self._reactor, self._lost)
        except OSError as error:
            self._later(str(error))

    def _lost(self, helper: Helper) -> None:
        if not self._stopped:
            self._helper = None
            if helper.answered:
                self._failures = 0
            self._later(helper.reason)

    def _later(self, reason: str) -> None:
        self._failures += 1
        self.log.warn("the summarizer ended: {reason}", reason=reason)
        self._again = self._reactor.callLater(min(RETREAT, 2.0**self._failures), self._begin)


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@implementer(IReadDescriptor)
class Helper(ProcessProtocol):
    """The process and our end of its socket. lost: called once, when it has ended."""

    log = Logger()

    def __init__(self, reactor: Any, lost: Any) -> None:
        self.ready = False
        self.answered = 0
        self.reason = ""
        self.ended: Deferred[None] = Deferred()
        self._reactor = reactor
        self._lost = lost
        self._waiting: deque[tuple[float, Deferred[Answer | None]]] = deque()
        self._mean = 0.0
        self._rests_until = 0.0
        self._seen = 0
        self._read = bytearray(ANSWER + 1)
        self._view = memoryview(self._read)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._spawn(theirs)
        except OSError:
            self._socket.close()
            raise
        reactor.addReader(self)
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._looking.start(PATIENCE, now=False)

    def _spawn(self, theirs: socket.socket) -> None:
        for end in (self._socket, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * PACKET)
        self._socket.setblocking(False)
        root = str(Path(__file__).parent.parent)
        # The package as this process has it, wherever that came from.
        self._reactor.spawnProcess(
            self,
            sys.executable,
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}); "
             "from imsd.summarizer import main; sys.exit(main())"],
            env=None,
            childFDs={0: theirs.fileno(), 1: 2, 2: "r"},
        )  # fmt: skip

    def ask(self, data: bytes) -> Deferred[Answer | None] | None:
        """The answer, when it comes, or None instead; None at once where it cannot be asked."""
        now = self._reactor.seconds()
        if not self.ready or len(self._waiting) >= MOST or now < self._rests_until:
            return None
        try:
            self._socket.send(data)
        except OSError:
            # It is full, or the content is too large for a packet; a process that ended is heard of.
            return None
        answer: Deferred[Answer | None] = Deferred()
        self._waiting.append((now, answer))
        return answer

    def end(self) -> None:
        """End the process; nothing more is answered."""
        self._close()
        self._kill()

    # The socket --------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._socket.fileno()

    def logPrefix(self) -> str:
        return "summaries"

    def doRead(self) -> Failure | None:
        for _ in range(max(1, len(self._waiting))):
            try:
                count = self._socket.recv_into(self._read)
            except BlockingIOError:
                return None
            except OSError:
                count = 0
            if not count:
                self._close()
                self._kill()
                return None
            if not self.ready:
                self.ready = True
                continue
            self.answered += 1
            answer = read(self._view[:count])
            asked, waiting = self._waiting.popleft()
            if answer is not None:
                self._took(answer[0] - asked)
            if not waiting.called:
                waiting.callback(answer)
        return None

    def _took(self, seconds: float) -> None:
        self._mean += WEIGHT * (seconds - self._mean)
        if self._mean > SLOW:
            self._rests_until = self._reactor.seconds() + REST
            # After its rest it has a few answers to prove itself.
            self._mean = SLOW / 2

    def connectionLost(self, reason: Failure) -> None:
        """The reactor stops, or could not read."""
        self._close()

    def _close(self) -> None:
        """No more answers: whoever waits does without."""
        self.ready = False
        if self._socket.fileno() >= 0:
            self._reactor.removeReader(self)
            self._socket.close()
        if self._looking.running:
            self._looking.stop()
        waiting, self._waiting = self._waiting, deque()
        for _, answer in waiting:
            if not answer.called:
                answer.callback(None)

    def _look(self) -> None:
        if self._waiting and self.answered == self._seen:
            self.reason = "it did not answer"
            self.end()
        self._seen = self.answered

    # The process -------------------------------------------------------------------------

    def _kill(self) -> None:
        assert self.transport is not None
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass

    def errReceived(self, data: bytes) -> None:
        self.log.error("summarizer: {text}", text=data[-2000:].decode("utf-8", "replace"))

    def processEnded(self, reason: Failure) -> None:
        self.reason = self.reason or reason.getErrorMessage()
        self._close()
        self._lost(self)
        self.ended.callback(None)
