"""Connections that are brought up when they are due and taken down when they are idle (ims_spec 3.8).

1. A link comes up by its schedule; when mail waits for it and it was not up for `queued_after_min`
   minutes, so never twice within that time; or when somebody says so.
2. Up means that its command ended well, or that it has none: then it is a window of time. What waits for
   it in the queue is started, what arrives meanwhile is sent, and a host is asked for what it has for us.
3. It goes down when nothing was sent or received for `idle_min` minutes and nothing waits for it. One that
   somebody brought up stays up until somebody takes it down.
4. Of nodes that share a database one looks after a link (`imsd.duties`), and no other brings it up; all send
   while it is up, and who sends says so, which keeps it up. A node that may have lost it takes it down.
5. One thing at a time happens to a link. A command that fails or hangs is logged (event 4106), and the
   next occasion tries again. What was up when the server stops is taken down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.errors import NoSuchEntry, Refusal, UnwillingToPerform
from imsd.mail.programs import CommandFailed
from imsd.mail.retrieving import CannotRetrieve
from imsd.settings.links import Dialup, Link
from imsd.settings.schedules import next_of

if TYPE_CHECKING:
    from imsd.duties import Duties
    from imsd.mail.connectors import Connectors
    from imsd.settings import LiveSettings

LOOK: Final = 1.0
"""Seconds between looks."""
USED: Final = 20.0
"""Seconds between notes that a link is used that another node looks after."""

Run = Callable[[Sequence[str], float, str], Awaitable[str]]


def local(seconds: float) -> datetime:
    """By the server's clock and time zone."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().replace(tzinfo=None)


def _duty(link: Link) -> str:
    return f"link {link.name.lower()}"


class State(Enum):
    DOWN = "down"
    RAISING = "coming up"
    UP = "up"
    LOWERING = "going down"


@dataclass(slots=True)
class Standing:
    """How a link is. Times in seconds. held: somebody brought it up. due: by its schedule.
    elsewhere: the node that looks after it. used: when this node said that it uses it. row: as the settings
    had it last."""

    state: State = State.DOWN
    held: bool = False
    raised: float = 0.0
    tried: float = 0.0
    active: float = 0.0
    due: datetime | None = None
    schedule: tuple[str, ...] = ()
    error: str = ""
    asked: str = ""
    elsewhere: str = ""
    used: float = 0.0
    at_work: Deferred[None] | None = None
    row: Link | None = None


class Links:
    """run: runs a command for a link of that name. retrieve: asks a host. busy: whether mail moves now.
    waits: whether mail waits for a link. moved: called when a link came up or went down. duties: which links
    are this node's."""

    log = Logger()

    def __init__(
        self,
        settings: LiveSettings,
        connectors: Connectors,
        reactor: Any,
        *,
        run: Run,
        retrieve: Callable[[Link], Awaitable[object]],
        busy: Callable[[], bool],
        waits: Callable[[str], Awaitable[bool]],
        moved: Callable[[], None],
        duties: Duties,
    ) -> None:
        self._settings = settings
        self._connectors = connectors
        self._reactor = reactor
        self._run = run
        self._retrieve = retrieve
        self._busy = busy
        self._waits = waits
        self._moved = moved
        self._duties = duties
        self.standings: dict[str, Standing] = {}
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor
        self._looking: Deferred[None] | None = None

    def start(self) -> None:
        self._loop.start(LOOK)

    async def stop(self) -> None:
        """Take down what is up."""
        if self._loop.running:
            self._loop.stop()
        if self._looking is not None:
            self._looking.cancel()
        for link in self._settings[Dialup].links:
            standing = self._standing(link)
            if standing.at_work is not None:
                standing.at_work.cancel()
            if standing.state is State.UP:
                await self._lower(link, standing)

    def _now(self) -> float:
        now: float = self._reactor.seconds()
        return now

    def _standing(self, link: Link) -> Standing:
        standing = self.standings.setdefault(link.name.lower(), Standing())
        standing.row = link
        if standing.schedule != link.schedule:
            standing.schedule = link.schedule
            standing.due = self._next(link)
        return standing

    def _next(self, link: Link) -> datetime | None:
        return next_of(link.schedule, local(self._now()))

    def _named(self, name: str) -> Link:
        link = self._settings[Dialup].link(name)
        if link is None:
            raise NoSuchEntry(f"There is no link {name} in ims.dialup.links")
        return link

    # Looking -----------------------------------------------------------------------------------

    def _look(self) -> Deferred[None]:
        self._looking = Deferred.fromCoroutine(self.look())
        return self._looking.addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        if not failure.check(CancelledError, Refusal):
            self.log.failure("links could not be looked after; it is tried again", failure)

    async def look(self) -> None:
        """Bring up what is due and take down what is idle."""
        links = self._settings[Dialup].links
        for name in self.standings.keys() - {link.name.lower() for link in links}:
            await self._part(name, self.standings.pop(name))
        for link in links:
            standing = self._standing(link)
            if not await self._is_ours(link, standing):
                await self._follow(link, standing)
            elif standing.state is State.UP:
                await self._look_after(link, standing)
            elif standing.state is State.DOWN and await self._is_due(link, standing):
                self._begin(link, standing)

    async def _part(self, name: str, standing: Standing) -> None:
        """It is gone from the settings: what is up is not left so, by the command it had."""
        if standing.at_work is not None:
            standing.at_work.cancel()
        self._connectors.up.discard(name)
        if standing.row is not None and standing.state is State.UP:
            await self._lower(standing.row, standing)

    async def _is_ours(self, link: Link, standing: Standing) -> bool:
        ours = await self._duties.has(_duty(link))
        standing.elsewhere = self._duties.elsewhere(_duty(link))
        return ours

    async def _is_due(self, link: Link, standing: Standing) -> bool:
        now = self._now()
        if standing.due is not None and local(now) >= standing.due:
            return True
        wait = link.queued_after_min * 60
        last = max(standing.raised, standing.tried)
        return bool(wait) and (not last or now - last >= wait) and await self._waits(link.name)

    async def _look_after(self, link: Link, standing: Standing) -> None:
        now = self._now()
        if standing.at_work is not None or self._busy() or await self._waits(link.name):
            standing.active = now
        elif not standing.held and now - standing.active >= link.idle_min * 60:
            used = (await self._duties.shown(_duty(link))).used / 1e6
            if now - used < max(link.idle_min * 60, 2 * USED):
                standing.active = used
            else:
                await self._lower(link, standing)

    async def _follow(self, link: Link, standing: Standing) -> None:
        """Another node looks after it: send while it is up there."""
        if standing.state is State.UP:
            await self._lower(link, standing)
        name = link.name.lower()
        up = (await self._duties.shown(_duty(link))).state == State.UP.value
        if up != (name in self._connectors.up):
            (self._connectors.up.add if up else self._connectors.up.discard)(name)
            self._moved()
        if up and self._busy() and self._now() - standing.used >= USED:
            standing.used = self._now()
            await self._duties.use(_duty(link))

    # Up and down -------------------------------------------------------------------------------

    def _begin(self, link: Link, standing: Standing) -> Deferred[None]:
        standing.state = State.RAISING
        work = Deferred.fromCoroutine(self._raise(link, standing))
        if not work.called:
            standing.at_work = work
        return work.addErrback(self._failed)

    async def _raise(self, link: Link, standing: Standing) -> None:
        standing.tried = self._now()
        standing.due = self._next(link)
        standing.error = standing.asked = ""
        try:
            if link.up:
                try:
                    await self._run(link.up, link.command_seconds, link.name)
                except CommandFailed as error:
                    standing.state, standing.error = State.DOWN, str(error)
                    self.log.warn("link {name}: {why}", name=link.name, why=str(error), event_id=4106)
                    return
            standing.state = State.UP
            standing.raised = standing.active = self._now()
            self._connectors.up.add(link.name.lower())
            self.log.info("link {name} is up", name=link.name)
            self._moved()
            await self._duties.show(_duty(link), State.UP.value)
            await self._ask(link, standing)
            standing.active = self._now()
        finally:
            if standing.state is State.RAISING:
                standing.state = State.DOWN
            standing.at_work = None

    async def _ask(self, link: Link, standing: Standing) -> None:
        if link.retrieve == "none":
            return
        try:
            if link.retrieve == "command":
                standing.asked = await self._run(link.command, link.command_seconds, link.name)
            else:
                standing.asked = str(await self._retrieve(link))
            self.log.info("link {name}: {said}", name=link.name, said=standing.asked)
        except (CannotRetrieve, CommandFailed) as error:
            standing.error = f"mail could not be asked for: {error}"
            self.log.warn("link {name}: {why}", name=link.name, why=standing.error)

    async def _lower(self, link: Link, standing: Standing) -> None:
        standing.state = State.LOWERING
        # What is not sent yet waits for the next time, and no connection is begun.
        self._connectors.up.discard(link.name.lower())
        self._moved()
        await self._say_down(link)
        try:
            if link.down:
                await self._run(link.down, link.command_seconds, link.name)
        except CommandFailed as error:
            standing.error = str(error)
            self.log.warn("link {name}: {why}", name=link.name, why=str(error), event_id=4106)
        finally:
            standing.state, standing.held = State.DOWN, False
        self.log.info("link {name} is down", name=link.name)

    async def _say_down(self, link: Link) -> None:
        try:
            await self._duties.show(_duty(link), State.DOWN.value)
        except Refusal:
            pass  # The others see it when the lease is over.

    # By hand -----------------------------------------------------------------------------------

    async def up(self, name: str, hold: bool = True) -> Standing:
        """Bring a link up; hold: until it is taken down. Raises NoSuchEntry, UnwillingToPerform."""
        link = self._named(name)
        standing = self._standing(link)
        await self._must_be_ours(link, standing)
        if standing.state is State.DOWN:
            self._begin(link, standing)
        standing.held = hold
        return standing

    async def down(self, name: str) -> Standing:
        """Take a link down. Raises NoSuchEntry, UnwillingToPerform."""
        link = self._named(name)
        standing = self._standing(link)
        await self._must_be_ours(link, standing)
        standing.held = False
        if standing.state is State.UP:
            if standing.at_work is not None:
                standing.at_work.cancel()
            await self._lower(link, standing)
        return standing

    async def _must_be_ours(self, link: Link, standing: Standing) -> None:
        if not await self._is_ours(link, standing):
            where = standing.elsewhere or "another node"
            raise UnwillingToPerform(f"{where} looks after link {link.name}: run this command there")

    def status(self) -> list[tuple[Link, Standing]]:
        return [(link, self._standing(link)) for link in self._settings[Dialup].links]
