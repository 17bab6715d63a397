"""What the server tells of what merely happens, as the levels of diagnostics want it (ims_spec 3.9)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from imsd.diagnostics.eventlog import EventLog
from imsd.diagnostics.files import Growing
from imsd.diagnostics.protocol import Trace
from imsd.events import EVENTS, LEVELS, Category
from imsd.settings.diagnostics import Diagnostics, ProtocolLog
from imsd.settings.networks import address, network

if TYPE_CHECKING:
    from imsd.settings import LiveSettings

MEGABYTE: Final = 1_000_000
EVENT_FILES: Final = (10 * MEGABYTE, 5)

PAGES: Final = {
    Category.INITIALIZATION: "initialization",
    Category.ADDRESSING: "addressing",
    Category.TRANSFER: "message_transfer",
    Category.INTERFACE: "smtp_interface",
    Category.PROCESSING: "internal_processing",
}


class Diagnosis:
    """Levels take effect at once: those of the protocol log for the connections that begin then."""

    log = Logger()

    def __init__(
        self, settings: LiveSettings, folder: Path, reactor: Any, in_thread: Callable[..., Any]
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._conversations = Growing(folder / "smtp.log", self._bounds, reactor, in_thread)
        self._events_file = Growing(folder / "events.jsonl", lambda: EVENT_FILES, reactor, in_thread)
        self._events = EventLog(self._events_file, settings, reactor.callFromThread)
        self._number = 0
        self._on = False

    def start(self) -> None:
        """Have events written, and tell whether conversations are."""
        self._events.start()
        self._settings.on_change(self._changed)
        self._changed()

    async def stop(self) -> None:
        """Write what waits. What is logged after it is not in the files."""
        self._events.stop()
        await self._conversations.close()
        await self._events_file.close()

    def tell(self, number: int, text: str, **values: Any) -> None:
        """Log what happened if it is wanted. text: a format of twisted.logger."""
        if self.wants(number):
            self.log.info(text, event_id=number, **values)

    def wants(self, number: int) -> bool:
        """Is an event of this number to be logged now?"""
        event = EVENTS[number]
        if not event.level:
            return True
        return LEVELS[getattr(self._settings[Diagnostics], PAGES[event.category])] >= event.level

    # The protocol log ----------------------------------------------------------------------

    def accepted(self, peer: str) -> Trace | None:
        """Somebody has connected; what his conversation is written by, None where it is not."""
        self.tell(2003, "a connection was accepted from {peer}", peer=peer or "here")
        trace = self._trace(peer)
        if trace is not None:
            trace.note(f"A connection was accepted from {peer or 'here'}.")
        return trace

    def connected(self, peer: str, name: str) -> Trace | None:
        """We have connected to a host."""
        self.tell(2003, "a connection to {name} was made", name=name)
        trace = self._trace(peer)
        if trace is not None:
            trace.note(f"A connection to {name} was established.")
        return trace

    def _trace(self, peer: str) -> Trace | None:
        page = self._settings[ProtocolLog]
        if page.level == "none" or not _among(peer, page.peers):
            return None
        self._number += 1
        name = f"{self._number:X}"

        def write(text: str) -> None:
            when = datetime.fromtimestamp(self._reactor.seconds(), UTC)
            self._conversations.write(_classic(when, text) if page.classic else f"{_iso(when)} {name} {text}")

        return Trace(write, LEVELS[page.level])

    def _bounds(self) -> tuple[int, int]:
        page = self._settings[ProtocolLog]
        return page.megabytes * MEGABYTE, page.files

    def _changed(self) -> None:
        level = self._settings[ProtocolLog].level
        on, self._on = self._on, level != "none"
        if self._on and not on:
            self.log.info(
                "protocol logging is on, level {depth}: {path}",
                depth=level, path=str(self._conversations.path), event_id=2004,
            )  # fmt: skip


def _among(peer: str, networks: tuple[str, ...]) -> bool:
    if not networks:
        return True
    where = address(peer)
    return where is not None and any(where in network(text) for text in networks)


def _iso(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z"


def _classic(when: datetime, text: str) -> str:
    hour = when.hour % 12 or 12
    return f"{when.month}/{when.day}/{when:%y} {hour}:{when:%M:%S %p} : {text}"
