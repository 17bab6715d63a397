"""The current value of every page.

A page has the site's values, and on pages `of_servers` a server may have its own for single
settings (ims_spec 1.1: the others are "use site defaults"). The row of a server's value has the
key `section.field@server`, where server is the hostname of its imsd.toml.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from imsd.errors import ConstraintViolation, NoSuchEntry
from imsd.settings.page import Page
from imsd.settings.secrets import Sealer
from imsd.settings.typed import from_json

P = TypeVar("P", bound=Page)


@dataclass(frozen=True, slots=True)
class Key:
    """`section.field`, and of which server ("" for the site)."""

    section: str
    field: str
    server: str = ""

    @classmethod
    def of(cls, text: str) -> Key:
        dotted, _, server = text.partition("@")
        section, _, field = dotted.rpartition(".")
        return cls(section, field, server.lower().strip("."))

    def __str__(self) -> str:
        return f"{self.section}.{self.field}" + (f"@{self.server}" if self.server else "")


Values = dict[str, dict[str, Any]]
"""Field to value, by section."""


def _said(error: Any) -> str:
    """What is wrong, and in which row and field of a list."""
    text = str(error["msg"]).removeprefix("Value error, ").replace("valid tuple", "list, as JSON")
    where = [f"row {at + 1}" if isinstance(at, int) else str(at) for at in error["loc"][1:] if at != "[key]"]
    return f"{', '.join(where)}: {text}" if where else text


class LiveSettings:
    """Pages by class, always current; `settings[Page]` is the page as it holds on this server.

    `replace` is called with all stored rows at start and whenever the change feed says that
    settings changed; whoever needs to act on a change registers with `on_change`.
    server: this server's name. sealer: seals the secrets that are set.
    """

    def __init__(self, pages: Iterable[type[Page]], server: str = "", sealer: Sealer | None = None) -> None:
        self.server = server.lower().strip(".")
        self._sealer = sealer
        self._classes = {page.section: page for page in pages}
        self._values: dict[type[Page], Page] = {page: page() for page in self._classes.values()}
        self._rows: dict[str, Values] = {}
        """What is stored, by server."""
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
        """Take keys with JSON values as the whole truth.

        A row that does not fit its page any more (another version wrote it) is left out and
        named in `rejected`: one bad row must not stop the server.
        """
        self.rejected = {}
        self._rows = {}
        for text, stored in rows.items():
            key = Key.of(text)
            page = self._page(key)
            if page is None:
                self.rejected[text] = "no such setting"
                continue
            try:
                value = json.loads(stored)
                page.model_validate({key.field: value})
            except (ValueError, ValidationError) as error:
                self.rejected[text] = str(error)
                continue
            self._rows.setdefault(key.server, {}).setdefault(key.section, {})[key.field] = value
        self._values = {page: self._made(page, self.server) for page in self._classes.values()}
        for watcher in list(self._watchers):
            watcher()

    def with_rows(self, rows: Mapping[str, str]) -> LiveSettings:
        """The same pages as other rows would have them; nobody watches those."""
        made = LiveSettings(self._classes.values(), self.server, self._sealer)
        made.replace(rows)
        return made

    def _page(self, key: Key) -> type[Page] | None:
        page = self._classes.get(key.section)
        if page is None or key.field not in page.model_fields or (key.server and not page.of_servers):
            return None
        return page

    def _made(self, page: type[Page], server: str) -> Page:
        """The page as it holds on a server; "": as the site has it."""
        site = self._rows.get("", {}).get(page.section, {})
        own = self._rows.get(server, {}).get(page.section, {}) if server else {}
        return page(**{**site, **own})

    def on_change(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call `watcher` after each change; returns what stops that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def level(self, section: str, field: str) -> str:
        """Who decided what holds here: "server", "site" or "default"."""
        for server, level in ((self.server, "server"), ("", "site")):
            if field in self._rows.get(server, {}).get(section, {}) and (server or level == "site"):
                return level
        return "default"

    def parse(self, text: str, typed: str) -> tuple[str, str]:
        """A key and a value as typed by a person, to the row that stores it.

        The text is JSON where it is that, else a string. Raises NoSuchEntry for an unknown
        key and ConstraintViolation for a value that does not fit.
        """
        key = self._known(text)
        page = self._classes[key.section]
        try:
            value = from_json(typed)
        except ValueError:
            value = typed
        reason = ""
        for candidate in (value, typed):
            try:
                checked = page.model_validate({key.field: candidate}, context={"sealer": self._sealer})
            except ValidationError as error:
                # What is wrong within a list says more than that its text is none.
                if not reason or not isinstance(value, (list, dict)):
                    reason = "; ".join(map(_said, error.errors()))
                continue
            return str(key), json.dumps(checked.model_dump(mode="json")[key.field])
        raise ConstraintViolation(f"{key}: {reason}")

    def _known(self, text: str) -> Key:
        key = Key.of(text)
        if self._page(key) is None:
            if key.server and self._page(Key(key.section, key.field)) is not None:
                raise NoSuchEntry(f"{key.section}.{key.field} is the site's; servers have none of their own")
            raise NoSuchEntry(f"There is no setting {text}; see imsctl settings list")
        return key

    def find(self, text: str) -> tuple[str, Any, Any, str]:
        """One setting: key, value, what holds without it (a server's: the site's), help text.

        Raises NoSuchEntry.
        """
        key = self._known(text)
        page = self._classes[key.section]
        site = self._made(page, "")
        value = getattr(self._made(page, key.server), key.field)
        standard = getattr(site if key.server else page(), key.field)
        return str(key), value, standard, page.help()[key.field]

    def own(self, server: str, section: str = "") -> list[str]:
        """Keys of what a server has of its own, in one section or in all."""
        server = Key.of(f".@{server}").server
        return [
            str(Key(of, field, server))
            for of, fields in self._rows.get(server, {}).items()
            if not section or of == section
            for field in fields
        ]

    def stored(self) -> dict[str, Any]:
        """Everything that was set, by key; what is not named here has its default."""
        return {
            str(Key(section, field, server)): value
            for server, sections in self._rows.items()
            for section, fields in sections.items()
            for field, value in fields.items()
        }

    def describe(self) -> list[tuple[str, Any, Any, str]]:
        """Each setting of the site, then what servers have of their own, as `find` gives it."""
        keys = [f"{section}.{name}" for section, page in self._classes.items() for name in page.model_fields]
        keys += sorted(key for key in self.stored() if "@" in key)
        return [self.find(key) for key in keys]
