"""Fills the index in PostgreSQL; of several nodes the one that holds the lock does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imsd.store import postgresql
from imsd.store.search import filling, shared
from imsd.store.transaction import Unit

_TIDY_IDS = 10_000


class SharedFiller:
    def __init__(self, url: str, home: Path, incarnation: str) -> None:
        self._home = home
        self._incarnation = incarnation
        self._raw = postgresql.connect(url)
        self._horizon = shared.Horizon()
        self.upto = 0
        self.mine: bool = self._unit(shared.may_fill)
        if self.mine:
            self.upto = self._unit(shared.begin, incarnation)

    def _execute(self, text: str, params: Any = None) -> Any:
        return self._raw.execute(text, params, binary=True)

    def _many(self, text: str, rows: Any) -> None:
        with self._raw.cursor() as cursor:
            cursor.executemany(text, rows)

    def _unit(self, fn: Any, *args: Any) -> Any:
        with self._raw.transaction():
            return fn(Unit(1, self._execute, self._many), *args)

    def step(self) -> bool:
        return bool(self._unit(self._step))

    def _step(self, unit: Unit) -> bool:
        # Another node may have had it cleared.
        self.upto = shared.begin(unit, self._incarnation)
        limit = self._horizon.look(unit)
        if limit <= self.upto:
            return False
        documents, upto = filling.documents(unit, self._home, self.upto, limit)
        shared.add(unit, documents, upto)
        self.upto = upto
        return True

    def rest(self) -> None:
        pass

    def tidy(self) -> None:
        for after in range(0, self.upto, _TIDY_IDS):
            while self._unit(shared.drop_dead, after, after + _TIDY_IDS):
                pass

    def close(self) -> None:
        self._raw.close()
