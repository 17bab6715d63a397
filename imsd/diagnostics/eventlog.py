"""Events as lines of JSON, for programs: HOME/log/events.jsonl."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from twisted.logger import LogLevel, formatEvent, globalLogPublisher

from imsd.diagnostics.files import Growing
from imsd.events import EVENTS
from imsd.settings.diagnostics import Diagnostics

LONGEST: Final = 4_000
"""Characters of what is said of one."""

_NAMES: Final = {LogLevel.info: "information", LogLevel.warn: "warning"}


class EventLog:
    """Listens to the log from `start` to `stop`. call: has something done in the reactor's thread."""

    def __init__(self, file: Growing, settings: Any, call: Callable[..., None]) -> None:
        self._file = file
        self._settings = settings
        self._call = call

    def start(self) -> None:
        globalLogPublisher.addObserver(self._heard)  # type: ignore[arg-type]

    def stop(self) -> None:
        globalLogPublisher.removeObserver(self._heard)  # type: ignore[arg-type]

    def _heard(self, event: Any) -> None:
        """In whatever thread something is logged."""
        number = event.get("event_id")
        known = EVENTS.get(number)
        if known is None or not self._settings[Diagnostics].events_file:
            return
        line = json.dumps(
            {
                "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
                "event_id": number,
                "category": known.category.value,
                "level": _NAMES.get(event["log_level"], "error"),
                "text": formatEvent(event)[:LONGEST],
            },
            ensure_ascii=False,
        )
        self._call(self._file.write, line)
