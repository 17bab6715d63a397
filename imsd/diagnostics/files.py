"""A text file that grows by lines, and is turned over: NAME, NAME.1 (the last), NAME.2 ...

Lines are gathered for a moment and written in a thread. What a slow or a full disk does not take is
dropped, not waited for, and the file says how much is missing where it goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

MOMENT: Final = 0.2
"""Seconds that lines are gathered."""
MOST: Final = 8 * 1024 * 1024
"""Characters that wait for the disk."""
MODE: Final = 0o640

InThread = Callable[..., Any]


class Growing:
    """bounds: octets of one file, and how many files there are. in_thread: gives a Deferred."""

    log = Logger()

    def __init__(
        self, path: Path, bounds: Callable[[], tuple[int, int]], clock: IReactorTime, in_thread: InThread
    ) -> None:
        self.path = path
        self._bounds = bounds
        self._clock = clock
        self._in_thread = in_thread
        self._lines: list[str] = []
        self._waiting = 0
        self._missing = 0
        self._failing = False
        self._timer: Any = None
        self._writing: Deferred[None] | None = None

    def write(self, line: str) -> None:
        """Have a line written, without its end."""
        if self._waiting + len(line) > MOST:
            self._missing += 1
            return
        self._lines.append(line)
        self._waiting += len(line) + 1
        if self._timer is None and self._writing is None:
            self._timer = self._clock.callLater(MOMENT, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        lines, self._lines = self._lines, []
        missing, self._missing = self._missing, 0
        self._waiting = 0
        if missing:
            lines.append(f"({missing} lines are missing here)")
        done: Deferred[None] = Deferred()
        self._writing = done
        text = "\n".join(lines) + "\n"
        writing: Deferred[None] = self._in_thread(_append, self.path, text, *self._bounds())
        writing.addCallbacks(self._written, self._failed, errbackArgs=(len(lines) - bool(missing) + missing,))
        writing.addBoth(self._next, done)

    def _written(self, _: Any) -> None:
        self._failing = False

    def _failed(self, failure: Any, lines: int) -> None:
        self._missing += lines
        if not self._failing:
            self._failing = True
            self.log.error(
                "{path} cannot be written: {why}", path=str(self.path), why=failure.getErrorMessage()
            )

    def _next(self, _: Any, done: Deferred[None]) -> None:
        self._writing = None
        done.callback(None)
        if self._lines and self._timer is None:
            self._timer = self._clock.callLater(MOMENT, self._go_on)

    async def close(self) -> None:
        """Write what waits."""
        while self._lines or self._writing is not None:
            if self._writing is None:
                if self._timer is not None:
                    self._timer.cancel()
                self._go_on()
            writing = self._writing
            if writing is not None:
                await writing


def _append(path: Path, text: str, most: int, files: int) -> None:
    data = text.encode("utf-8", "backslashreplace")
    path.parent.mkdir(mode=0o750, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, MODE)
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)
        size = file.tell()
    if size >= most:
        _turn_over(path, files)


def _turn_over(path: Path, files: int) -> None:
    """path becomes path.1, and so on; what is over goes."""
    kept = sorted(
        (int(each.suffix[1:]), each) for each in path.parent.glob(f"{path.name}.*") if _number(each)
    )
    for number, each in reversed(kept):
        if number >= files - 1:
            each.unlink(missing_ok=True)
        else:
            each.rename(path.with_name(f"{path.name}.{number + 1}"))
    if files > 1:
        path.rename(path.with_name(f"{path.name}.1"))
    else:
        path.unlink(missing_ok=True)


def _number(path: Path) -> bool:
    return path.suffix[1:].isdecimal()
