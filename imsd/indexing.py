"""Keeps the search index filled: starts the process that does it when there is enough to do.

What is not indexed yet is read by whoever searches, so a few messages may wait; the process is
started for `BACKLOG` of them, or for any after `ROUND`, and ends by itself when it is idle.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from imsd.store.changes import Change, MessagesAdded
from imsd.store.database import Database, Watch
from imsd.store.search.index import SearchIndex

BACKLOG: Final = 64
"""Blobs that wait before the process is started at once."""
ROUND: Final = 30.0
RETREAT: Final = 300.0
"""Seconds at most before a process that failed is started again."""
GRACE: Final = 3.0
"""Seconds in which the process ends when it is told to, before it is killed."""
UNUSABLE: Final = 3


class Indexing:
    """url: of the database, for the process."""

    log = Logger()

    def __init__(self, db: Database, index: SearchIndex, url: str, reactor: Any) -> None:
        self.index = index
        self.newest = 0
        self.upto = 0
        self._db = db
        self._url = url
        self._reactor = reactor
        self._process: _Process | None = None
        self._watch: Watch | None = None
        self._failures = 0
        self._not_before = 0.0
        self._stopped = False
        self._looking = False
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor

    def start(self) -> None:
        self._watch = self._db.feed.watch_all(self._heard)
        self._loop.start(ROUND)

    async def stop(self) -> None:
        self._stopped = True
        if self._watch is not None:
            self._watch.stop()
        if self._loop.running:
            self._loop.stop()
        await self._end_process()

    # What there is to do -----------------------------------------------------------------

    def _heard(self, change: Change) -> None:
        if type(change) is MessagesAdded:
            blob = change.rows[-1].blob
            if blob > self.newest:
                self.newest = blob
                if blob - self.upto >= BACKLOG and self._process is None:
                    self._begin_process()

    def _look(self) -> None:
        if not self._looking:
            self._looking = True
            done = Deferred.fromCoroutine(self._round())
            done.addErrback(
                lambda failure: self.log.failure("the search index could not be looked at", failure)
            )
            done.addBoth(self._looked)

    def _looked(self, _: Any) -> None:
        self._looking = False

    async def _round(self) -> None:
        if not self.index.incarnation:
            await self.index.start()
        if self.index.unusable:
            await self.rebuild()
        self.newest = max(self.newest, await self.index.newest())
        if self._process is None:
            self.upto = (await self.index.state()).upto
        if self.newest > self.upto:
            self._begin_process()

    async def rebuild(self) -> None:
        """Make the index anew; answers come from reading until it is there."""
        if self.index.unusable:
            self.log.warn("the search index is made anew: {reason}", reason=self.index.unusable)
        self._not_before = self._reactor.seconds() + GRACE + 1
        await self._end_process()
        await self.index.forget()
        self.upto = 0
        self._not_before = 0.0
        self._begin_process()

    # The process ---------------------------------------------------------------------------

    def _begin_process(self) -> None:
        if (
            self._process is not None
            or self._stopped
            or not self.index.incarnation
            or self._reactor.seconds() < self._not_before
        ):
            return
        asked = {"home": str(self._db.home), "url": self._url, "incarnation": self.index.incarnation}
        self._process = _Process(self, json.dumps(asked).encode() + b"\n")
        root = str(Path(__file__).parent.parent)
        # The package as this process has it, wherever that came from.
        self._reactor.spawnProcess(
            self._process,
            sys.executable,
            [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}); "
             "from imsd.indexer import main; sys.exit(main())"],
            env=None,
        )  # fmt: skip

    async def _end_process(self) -> None:
        process = self._process
        if process is not None:
            process.end()
            timer = self._reactor.callLater(GRACE, process.kill)
            await process.ended
            if timer.active():
                timer.cancel()

    def told(self, line: bytes) -> None:
        """The process says something."""
        word, _, rest = line.partition(b" ")
        if word == b"upto" and rest.isdigit():
            self.upto = int(rest)
            self._failures = 0

    def process_ended(self, reason: Failure) -> None:
        self._process = None
        if reason.check(ProcessDone) is not None or self._stopped:
            return
        self._failures += 1
        self._not_before = self._reactor.seconds() + min(RETREAT, 2.0**self._failures)
        status = getattr(reason.value, "exitCode", None)
        self.log.warn("the indexer failed: {reason}", reason=reason.getErrorMessage())
        if status == UNUSABLE:
            again = Deferred.fromCoroutine(self.rebuild())
            again.addErrback(lambda failure: self.log.failure("the search index cannot be removed", failure))


class _Process(ProcessProtocol):
    log = Logger()

    def __init__(self, indexing: Indexing, asked: bytes) -> None:
        self._indexing = indexing
        self._asked = asked
        self._kept = b""
        self.ended: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._asked)

    def outReceived(self, data: bytes) -> None:
        *lines, self._kept = (self._kept + data).split(b"\n")
        for line in lines:
            self._indexing.told(line)

    def errReceived(self, data: bytes) -> None:
        self.log.error("indexer: {text}", text=data[-2000:].decode("utf-8", "replace"))

    def processEnded(self, reason: Failure) -> None:
        self._indexing.process_ended(reason)
        self.ended.callback(None)

    def end(self) -> None:
        if self.transport is not None:
            self.transport.closeStdin()

    def kill(self) -> None:
        assert self.transport is not None
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass
