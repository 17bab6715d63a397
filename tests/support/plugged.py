"""A plug-in that answers what a test wants, and keeps what it was told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from imsd.plugins.loading import PlugIn
from imsd.plugins.plugins import Plugins
from imsd.settings import LiveSettings
from imsd.settings.hooks import PlugInRow


class Made:
    """says: what each method answers, or a function that does; told: what each was given."""

    def __init__(self) -> None:
        self.says: dict[str, Any] = {}
        self.told: dict[str, list[Any]] = {}

    def method(self, event: str) -> Any:
        async def method(fact: Any) -> Any:
            self.told.setdefault(event, []).append(fact)
            said = self.says[event]
            return said(fact) if callable(said) else said

        method.__name__ = event
        return method

    def plugins(self, settings: LiveSettings, reactor: Any, **says: Any) -> Plugins:
        """Plug-ins of which this is the only one, with these methods."""
        self.says = says
        found = Plugins(settings, reactor, Path("/nowhere"))
        row = PlugInRow(name="tests.support.plugged.make", settings={"made": self})
        found._replace((PlugIn(row, Path("/nowhere"), reactor),))
        return found


def make(settings: dict[str, Any]) -> Any:
    made = settings["made"]
    return SimpleNamespace(**{event: made.method(event) for event in made.says})
