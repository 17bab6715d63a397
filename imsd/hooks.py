"""Commands on events: programs of the administrator's that are run when the log has an event of a number.

1. `hooks.commands` names them; a program gets IMSD_EVENT, the number, and IMSD_TEXT, what the log says.
2. At most `RUNNING` run at once, and `WAITING` wait for that; what comes beyond is dropped and counted, for a
   storm of events is no reason for a storm of processes.
3. A command that fails is an event itself (20023), for which no command is run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger, formatEvent, globalLogPublisher

from imsd.mail import programs
from imsd.settings.hooks import Hook, Hooks

if TYPE_CHECKING:
    from imsd.settings import LiveSettings

RUNNING: Final = 4
WAITING: Final = 100
LONGEST: Final = 4_000
"""Characters of the text."""

FAILED: Final = 20_023

Run = Callable[[Any, Sequence[str], float, Mapping[str, str]], Awaitable[str]]


class EventCommands:
    """Listens to the log from `start` to `stop`."""

    log = Logger()

    def __init__(self, settings: LiveSettings, reactor: Any, run: Run = programs.run) -> None:
        self._settings = settings
        self._reactor = reactor
        self._run = run
        self._waiting: deque[tuple[Hook, int, str]] = deque()
        self._running = 0
        self.dropped = 0

    def start(self) -> None:
        globalLogPublisher.addObserver(self._heard)  # type: ignore[arg-type]

    def stop(self) -> None:
        globalLogPublisher.removeObserver(self._heard)  # type: ignore[arg-type]
        self._waiting.clear()

    def _heard(self, event: Any) -> None:
        """In whatever thread something is logged."""
        number = event.get("event_id")
        if number is None or number == FAILED or not self._settings[Hooks].commands:
            return
        text = formatEvent(event).replace("\0", "")[:LONGEST]
        self._reactor.callFromThread(self._happened, number, text)

    def _happened(self, number: int, text: str) -> None:
        for hook in self._settings[Hooks].commands:
            if number in hook.events:
                if len(self._waiting) >= WAITING:
                    self.dropped += 1
                else:
                    self._waiting.append((hook, number, text))
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._running < RUNNING:
            self._running += 1
            Deferred.fromCoroutine(self._do(*self._waiting.popleft()))

    async def _do(self, hook: Hook, number: int, text: str) -> None:
        try:
            more = {"IMSD_EVENT": str(number), "IMSD_TEXT": text}
            await self._run(self._reactor, hook.command, hook.seconds, more)
        except programs.CommandFailed as error:
            self.log.error("command on event {number}: {why}", number=number, why=str(error), event_id=FAILED)
        except Exception:
            self.log.failure("command on event {number}", number=number, event_id=FAILED)
        finally:
            self._running -= 1
        self._go_on()
