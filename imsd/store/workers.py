"""Workers: threads for work that blocks on files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

_Job = tuple[Callable[..., Any], tuple[Any, ...], Any]


class Workers:
    """A few threads; `deliver(done, result, error)` is called in them."""

    def __init__(self, deliver: Callable[[Any, Any, Exception | None], None], count: int = 2) -> None:
        self._deliver = deliver
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name="imsd-files", daemon=True) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], args: tuple[Any, ...], done: Any) -> None:
        self._jobs.put((fn, args, done))

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            fn, args, done = job
            try:
                result = fn(*args)
            except Exception as error:
                self._deliver(done, None, error)
            else:
                self._deliver(done, result, None)

    def stop(self) -> None:
        """Finish what waits; blocks."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
