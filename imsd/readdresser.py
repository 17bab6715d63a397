"""Addresses made anew for everybody, while the server runs (ims_spec 4.1, "update all existing addresses").

1. An administrator begins it; how far it is stands in a row that is written after each batch, and a server
   that stops in the midst goes on behind the last of them when it is started again. A batch that was done
   and not noted is done again and changes nothing.
2. Of nodes that share a database one works (`imsd.duties`).
3. Formats that change meanwhile are those of everybody: it begins again with the first recipient.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.directory import readdressing
from imsd.directory.readdressing import Batch, Readdressed
from imsd.errors import Refusal
from imsd.store import long_jobs
from imsd.store.ids import EntryId
from imsd.store.transaction import Unit

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.directory.working import Rules
    from imsd.duties import Duties

NAME: Final = "readdressing"
LOOK: Final = 15.0
"""Seconds until work that another node was asked for, or that failed, is looked at."""
MOST_TOLD: Final = 10_000
"""Changes that are kept for who looks on."""


@dataclass(frozen=True, slots=True)
class Progress:
    """after: the entry that was looked at last. looked, changed, refused, total: recipients. formats: a mark
    of those that it works by. began, ended: microseconds, ended 0 while it goes on. stopped: by an
    administrator."""

    keep_old: bool
    total: int
    formats: str
    began: int
    after: int = 0
    looked: int = 0
    changed: int = 0
    refused: int = 0
    ended: int = 0
    stopped: bool = False

    @classmethod
    def of(cls, text: str) -> Progress | None:
        return cls(**json.loads(text)) if text else None

    @property
    def text(self) -> str:
        return json.dumps(asdict(self))


class Readdresser:
    """One for the process."""

    log = Logger()

    def __init__(self, directory: Directory, duties: Duties, reactor: Any) -> None:
        self._directory = directory
        self._db = directory.db
        self._duties = duties
        self._round: Deferred[None] | None = None
        self._told: deque[tuple[int, Readdressed]] = deque(maxlen=MOST_TOLD)
        self._number = 0
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Go on with what a stop has interrupted."""
        self._loop.start(LOOK)

    def stop(self) -> None:
        """The batch under way is the last."""
        if self._loop.running:
            self._loop.stop()
        if self._round is not None:
            self._round.cancel()

    async def begin(self, keep_old: bool) -> Progress:
        """Set it going, or say how far it is where it goes on already."""
        total = await self._db.read(readdressing.count)
        formats = _mark(self._directory.rules)
        fresh = Progress(keep_old, total, formats, self._directory.now())
        progress = await self._db.write(_begin, fresh)
        if progress == fresh:
            self._told.clear()
        self._look()
        return progress

    async def progress(self) -> Progress | None:
        return Progress.of(await self._db.read(long_jobs.read, NAME))

    def since(self, number: int) -> tuple[int, list[Readdressed]]:
        """What changed on this node behind a number, and the number to ask with next."""
        return self._number, [each for at, each in self._told if at > number]

    def _look(self) -> None:
        if self._round is None:
            self._round = Deferred.fromCoroutine(self._work())
            self._round.addBoth(self._ended)

    def _ended(self, outcome: Any) -> None:
        self._round = None
        if outcome is not None and outcome.check(CancelledError, Refusal) is None:
            self.log.failure("addresses could not be made anew; it is tried again", outcome)

    async def _work(self) -> None:
        while (progress := await self.progress()) is not None and not progress.ended:
            if not await self._duties.has(NAME):
                return
            formats = _mark(self._directory.rules)
            if formats != progress.formats:
                progress = replace(progress, formats=formats, after=0, looked=0)
            batch = await readdressing.readdress(self._directory, EntryId(progress.after), progress.keep_old)
            await self._note(progress, batch)

    async def _note(self, progress: Progress, batch: Batch) -> None:
        refused = [one for one in batch.changed if one.refusal]
        for one in batch.changed:
            self._number += 1
            self._told.append((self._number, one))
        for one in refused:
            self.log.warn("{who} keeps the addresses: {why}", who=one.alias, why=one.refusal)
        now = replace(
            progress,
            after=batch.last,
            looked=progress.looked + batch.looked,
            changed=progress.changed + len(batch.changed) - len(refused),
            refused=progress.refused + len(refused),
            ended=0 if batch.last else max(1, self._directory.now()),
        )
        if await self._db.write(_advance, now) and now.ended:
            self.log.info(
                "addresses were made anew: {looked} recipients, {changed} changed, {refused} refused",
                looked=now.looked,
                changed=now.changed,
                refused=now.refused,
                event_id=20_070,
            )


def _mark(rules: Rules) -> str:
    formats = (rules.templates, rules.x400, rules.ms, rules.ccmail)
    return sha256(repr(formats).encode()).hexdigest()[:16]


def _begin(unit: Unit, fresh: Progress) -> Progress:
    present = Progress.of(long_jobs.read(unit, NAME))
    if present is not None and not present.ended:
        return present
    long_jobs.put(unit, NAME, fresh.text)
    return fresh


def _advance(unit: Unit, now: Progress) -> bool:
    """False where somebody ended it, or began another, meanwhile."""
    present = Progress.of(long_jobs.read(unit, NAME))
    if present is None or present.ended or present.began != now.began:
        return False
    long_jobs.put(unit, NAME, now.text)
    return True


def halt(unit: Unit, now: int) -> Progress | None:
    """Have it stop for good; who has new addresses keeps them."""
    present = Progress.of(long_jobs.read(unit, NAME))
    if present is None or present.ended:
        return present
    ended = replace(present, ended=now, stopped=True)
    long_jobs.put(unit, NAME, ended.text)
    return ended
