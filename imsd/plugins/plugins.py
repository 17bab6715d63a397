"""All plug-ins, as `hooks.plugins` has them now.

1. Rows that did not change keep their plug-in when the setting changes; the others are made anew. `reload`
   makes all of them anew.
2. They are asked one after the other, in the order of the rows, each about what those before it let pass.
3. What they are told waits in a queue of each: at most `WAITING` facts, of which `AT_ONCE` are being told.
   What comes beyond is dropped and counted (event 20025): a slow plug-in must not cost the server's memory.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imsd.errors import PolicyRejected, TryLater
from imsd.plugins.answers import MOST_FIELDS
from imsd.plugins.interfaces import EVENTS, TRACKED
from imsd.plugins.loading import SAME, PlugIn
from imsd.plugins.threads import PluginFailed
from imsd.plugins.values import Fate
from imsd.settings.hooks import Hooks
from protocols.values import value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from imsd.settings import LiveSettings
    from imsd.store.tracking import Event

WAITING: Final = 10_000
AT_ONCE: Final = 4


@value(frozen=True, slots=True)
class Verdict:
    """discarded: the name of the plug-in that wants nobody to have the message, "" for none."""

    fields: str = ""
    discarded: str = ""


PASSED: Final = Verdict()


class Plugins:
    """`start` loads them; before it, and where there are none, nobody is asked or told."""

    log = Logger()

    def __init__(self, settings: LiveSettings, reactor: Any, folder: Path) -> None:
        self._settings = settings
        self._reactor = reactor
        self._folder = folder
        self._unwatch: Any = None
        self._facts: dict[PlugIn, deque[tuple[str, Any]]] = {}
        self._telling: dict[PlugIn, int] = {}
        self._by_event: dict[str, tuple[PlugIn, ...]] = {}
        self._silent_until = 0.0
        self.all: tuple[PlugIn, ...] = ()

    def start(self) -> None:
        self._unwatch = self._settings.on_change(self._changed)
        self._changed()

    def stop(self) -> None:
        """What was not told yet is told to nobody."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
            self._replace(())

    def reload(self) -> None:
        """Read all modules anew. What the old plug-ins were not told yet, the new ones are."""
        if self._unwatch is None:
            return
        old, waiting = self.all, self._facts
        self._facts = {}
        self._replace(())
        made = tuple(PlugIn(each.row, self._folder, self._reactor) for each in old)
        self._replace(made)
        for before, after in zip(old, made, strict=True):
            for event, fact in waiting.get(before, ()):
                if event in after.methods:
                    self._tell(after, event, fact)

    def _changed(self) -> None:
        rows = self._settings[Hooks].plugins
        if rows == tuple(each.row for each in self.all):
            return
        left, made = list(self.all), []
        for row in rows:
            known = next((each for each in left if each.row == row), None)
            if known is not None:
                left.remove(known)
            made.append(known or PlugIn(row, self._folder, self._reactor))
        self._replace(tuple(made))

    def _replace(self, made: tuple[PlugIn, ...]) -> None:
        gone = [each for each in self.all if each not in made]
        self.all = made
        self._by_event = {
            event: found for event in EVENTS if (found := tuple(each for each in made if each.takes(event)))
        }
        for each in gone:
            self._facts.pop(each, None)
            self._telling.pop(each, None)
            each.close()

    def wants(self, event: str) -> bool:
        """Whether anybody is to be asked about it, or told of it."""
        return event in self._by_event

    async def ask(self, event: str, question: Any) -> Verdict:
        """Raises PolicyRejected and TryLater, as a plug-in says, or for want of its answer."""
        fields, room = "", MOST_FIELDS
        for each in self._by_event.get(event, ()):
            try:
                said = await each.ask(event, question)
            except PluginFailed:
                if each.row.failure == "closed":
                    raise TryLater("A part of this server does not answer") from None
                continue
            match said.word:
                case "refuse":
                    raise PolicyRejected(said.text or "Refused by policy")
                case "later":
                    raise TryLater(said.text or "Try again later")
                case "discard":
                    return Verdict(discarded=each.row.name)
            for line in said.fields:
                room -= len(line)
                if room >= 0:
                    fields += line
        return Verdict(fields) if fields else PASSED

    # Facts ---------------------------------------------------------------------------------

    def tell(self, event: str, fact: Any) -> None:
        """Nobody waits for it."""
        for each in self._by_event.get(event, ()):
            if event in each.methods:
                self._tell(each, event, fact)

    def _tell(self, plugin: PlugIn, event: str, fact: Any) -> None:
        waiting = self._facts.setdefault(plugin, deque())
        if len(waiting) >= WAITING:
            self._dropped(plugin)
        else:
            waiting.append((event, fact))
            self._go_on(plugin)

    def tracked(self, events: Iterable[Event]) -> None:
        """Tell what was tracked."""
        for one in events:
            name = TRACKED.get(one.event, "")
            if name in self._by_event:
                self.tell(
                    name,
                    Fate(one.time, one.queue_id, one.sender, one.recipient, one.reason, one.peer, one.size),
                )

    @property
    def hears_fates(self) -> bool:
        """Whether `tracked` has somebody to tell."""
        return any(name in self._by_event for name in TRACKED.values())

    def _dropped(self, plugin: PlugIn) -> None:
        plugin.dropped += 1
        time = self._reactor.seconds()
        if time >= self._silent_until:
            self._silent_until = time + SAME
            self.log.error(
                "plug-in {name} is too slow: {count} facts were dropped so far",
                name=plugin.row.name, count=plugin.dropped, event_id=20_025,
            )  # fmt: skip

    def _go_on(self, plugin: PlugIn) -> None:
        if self._facts.get(plugin) and self._telling.get(plugin, 0) < AT_ONCE:
            self._telling[plugin] = self._telling.get(plugin, 0) + 1
            # Not in the middle of what the fact is about.
            self._reactor.callLater(0, self._begin, plugin)

    def _begin(self, plugin: PlugIn) -> None:
        telling = Deferred.fromCoroutine(self._tell_all(plugin))
        telling.addErrback(lambda failure: self.log.failure("plug-in {name}", failure, name=plugin.row.name))

    async def _tell_all(self, plugin: PlugIn) -> None:
        try:
            while waiting := self._facts.get(plugin):
                await plugin.tell(*waiting.popleft())
        finally:
            if plugin in self._telling:
                self._telling[plugin] -= 1
