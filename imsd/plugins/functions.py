"""One Python function that a setting names, and how what an administrator names is imported.

`module.function` is imported from HOME/plugins, else from what is installed. It is imported at start and when
the setting changes, not at a message's expense. It runs in threads (imsd.plugins.threads).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from imsd.plugins.threads import LONGEST, PluginFailed, Threads


class Plugin:
    """One function. reactor: calls from threads, and time. folder: where modules are looked for first.
    what: the setting that names it."""

    log = Logger()

    def __init__(self, reactor: Any, folder: Path, what: str) -> None:
        self._folder = folder
        self._what = what
        self._threads = Threads(reactor, what)
        self._function: Callable[..., Any] | None = None
        self.name = ""
        self.problem = ""
        """Why it cannot be called, "" if it can."""

    def __bool__(self) -> bool:
        return bool(self.name)

    def use(self, name: str) -> None:
        """Import what a setting names now; "": nothing."""
        if name == self.name:
            return
        self.name, self._function, self.problem = name, None, ""
        if not name:
            return
        try:
            self._function = load(name, self._folder)
            self.log.info("{what} is {name}", what=self._what, name=name)
        except PluginFailed as failed:
            self.problem = str(failed)
            self.log.error("{what}: {why}", what=self._what, why=self.problem, event_id=20_020)

    async def call(self, seconds: float, *arguments: Any) -> Any:
        """Its answer. Raises PluginFailed."""
        if self._function is None:
            raise PluginFailed(self.problem or "no function is named")
        return await self._threads.call(self.name, self._function, seconds, *arguments)

    def stop(self) -> None:
        """Let the threads go."""
        self._threads.stop()


def load(name: str, folder: Path) -> Callable[..., Any]:
    """The function (or class) of a dotted name; its module is read anew. Raises PluginFailed."""
    module_name, _, function_name = name.rpartition(".")
    place = str(folder)
    if folder.is_dir() and place not in sys.path:
        sys.path.insert(0, place)
    importlib.invalidate_caches()
    try:
        known = sys.modules.get(module_name)
        own = known is not None and str(getattr(known, "__file__", "") or "").startswith(place)
        module = (
            importlib.reload(known) if known is not None and own else importlib.import_module(module_name)
        )
        function = getattr(module, function_name)
    except (Exception, SystemExit) as error:
        raise PluginFailed(f"{name} cannot be imported: {type(error).__name__}: {error}"[:LONGEST]) from error
    if not callable(function):
        raise PluginFailed(f"{name} is no function")
    return function  # type: ignore[no-any-return]
