"""The current value of every page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from imsd.errors import ConstraintViolation, NoSuchEntry
from imsd.settings.page import Page

P = TypeVar("P", bound=Page)


class LiveSettings:
    """Pages by class, always current.

    `replace` is called with all stored rows at start and whenever the change feed says that
    settings changed; whoever needs to act on a change registers with `on_change`.
    """

    def __init__(self, pages: Iterable[type[Page]]) -> None:
        self._classes = {page.section: page for page in pages}
        self._values: dict[type[Page], Page] = {page: page() for page in self._classes.values()}
        self._watchers: list[Callable[[], None]] = []
        self.rejected: dict[str, str] = {}

    def __getitem__(self, page: type[P]) -> P:
        value = self._values[page]
        assert isinstance(value, page)
        return value

    @property
    def sections(self) -> Mapping[str, type[Page]]:
        return self._classes

    def replace(self, rows: Mapping[str, str]) -> None:
        """Take dotted keys with JSON values as the whole truth.

        A row that does not fit its page any more (another version wrote it) is left out and
        named in `rejected`: one bad row must not stop the server.
        """
        self.rejected = {}
        given: dict[str, dict[str, Any]] = {}
        for key, text in rows.items():
            section, _, name = key.partition(".")
            page = self._classes.get(section)
            if page is None or name not in page.model_fields:
                self.rejected[key] = "no such setting"
                continue
            try:
                value = json.loads(text)
                page.model_validate({name: value})
            except (ValueError, ValidationError) as error:
                self.rejected[key] = str(error)
                continue
            given.setdefault(section, {})[name] = value
        self._values = {page: page(**given.get(section, {})) for section, page in self._classes.items()}
        for watcher in list(self._watchers):
            watcher()

    def on_change(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after each change; returns what stops that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def parse(self, key: str, text: str) -> tuple[str, str]:
        """A dotted key and a value as typed by a person, to the row that stores it.

        The text is JSON where it is that, else a string. Raises NoSuchEntry for an unknown
        key and ConstraintViolation for a value that does not fit.
        """
        section, _, name = key.partition(".")
        page = self._classes.get(section)
        if page is None or name not in page.model_fields:
            raise NoSuchEntry(f"There is no setting {key}; see imsctl settings list")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        for candidate in (value, text):
            try:
                checked = page.model_validate({name: candidate})
            except ValidationError as error:
                reason = "; ".join(str(item["msg"]) for item in error.errors())
                continue
            return key, json.dumps(checked.model_dump(mode="json")[name])
        raise ConstraintViolation(f"{key}: {reason}")

    def describe(self) -> list[tuple[str, Any, Any, str]]:
        """Each setting: key, value, default, help text."""
        rows = []
        for section, page in self._classes.items():
            value, default, texts = self._values[page], page(), page.help()
            for name in page.model_fields:
                current, standard = getattr(value, name), getattr(default, name)
                rows.append((f"{section}.{name}", current, standard, texts[name]))
        return rows
