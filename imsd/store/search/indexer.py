"""Who fills the index, step by step, with connections of its own."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Protocol

from imsd.errors import StoreUnavailable
from imsd.store import sqlite
from imsd.store.search import embedded, filling
from imsd.store.search.matches import Unusable as Unusable


class Filler(Protocol):
    """upto: every blob up to this id is indexed."""

    @property
    def upto(self) -> int: ...

    def step(self) -> bool:
        """Index some; False when there was nothing to do."""

    def rest(self) -> None:
        """What is done when the last of what was waiting is indexed."""

    def tidy(self) -> None:
        """What is done while there is nothing else to do."""

    def close(self) -> None: ...


def make_filler(url: str, home: Path, incarnation: str) -> Filler | None:
    """None where another node fills."""
    if url == "sqlite":
        return EmbeddedFiller(home, incarnation)
    from imsd.store.search.shared_filler import SharedFiller

    filler = SharedFiller(url, home, incarnation)
    return filler if filler.mine else None


class EmbeddedFiller:
    """Reads HOME/data/imsd.db, writes HOME/data/search.db."""

    def __init__(self, home: Path, incarnation: str) -> None:
        self._home = home
        self._source = sqlite.ReadConnection(home / "data" / "imsd.db")
        self._index = embedded.Writer(home, incarnation)

    @property
    def upto(self) -> int:
        return self._index.upto

    def step(self) -> bool:
        base = self._index.upto
        tx = self._source.begin()
        try:
            newest = filling.newest(tx)
            if newest <= base:
                return False
            documents, upto = filling.documents(tx, self._home, base, newest)
        finally:
            self._source.end()
        try:
            self._index.add(documents, base, upto)
        except sqlite3.OperationalError:
            # Busy, or no space: later.
            return False
        return True

    def rest(self) -> None:
        self._index.rest()

    def tidy(self) -> None:
        number = self._index.stale(self._alive)
        if number is not None:
            self._index.renew(number, self._documents)

    def _alive(self, after: int, upto: int) -> int:
        return self._read(filling.alive, after, upto)  # type: ignore[no-any-return]

    def _documents(self, after: int, upto: int) -> tuple[list[filling.Document], int]:
        return self._read(filling.documents, self._home, after, upto)  # type: ignore[no-any-return]

    def _read(self, fn: Any, *args: Any) -> Any:
        tx = self._source.begin()
        try:
            return fn(tx, *args)
        finally:
            self._source.end()

    def close(self) -> None:
        self._index.close()
        self._source.close()


__all__ = ["EmbeddedFiller", "Filler", "StoreUnavailable", "Unusable", "make_filler"]
