"""SearchIndex: what the server holds of the index, on either database."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sqlalchemy import bindparam, select

from imsd.errors import Refusal
from imsd.store.database import Database
from imsd.store.search import embedded, filling, shared
from imsd.store.search.matches import NONE, Matches, State
from imsd.store.sql import SQLITE, insert_row, sql
from imsd.store.tables import store
from imsd.store.transaction import Transaction, Unit

_FACT = sql(select(store.c.value).where(store.c.name == bindparam("name")))
_ADD_FACT = insert_row(store)


FINDINGS = 100
"""From which on it is clear that the index has to be made anew."""


class SearchIndex:
    """Asks the index; never refuses: what it cannot say, whoever searches reads."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._embedded = embedded.Reader(db.home) if db.dialect == SQLITE else None
        self.incarnation = ""

    async def start(self) -> None:
        """Know which store this is; before that, and without it, the index says nothing."""
        self.incarnation = await self._db.read(incarnation) or await self._db.write(name_incarnation)
        if self._embedded is not None:
            self._embedded.incarnation = self.incarnation

    async def match(self, heads: Sequence[str], bodies: Sequence[str], low: int, high: int) -> Matches:
        """Blobs from low to high whose header or body may hold these texts."""
        if not self.incarnation:
            return NONE
        if self._embedded is not None:
            return await self._db.in_thread(self._embedded.match, heads, bodies, low, high)
        try:
            return await self._db.read(shared.match, self.incarnation, heads, bodies, low, high)
        except Refusal:
            return NONE

    async def state(self) -> State:
        if self._embedded is not None:
            return await self._db.in_thread(self._embedded.state)
        return await self._db.read(shared.state, self.incarnation)

    async def newest(self) -> int:
        """The highest id of content there is."""
        return await self._db.read(filling.newest)

    async def check(self) -> list[str]:
        """What is wrong with the index."""
        if self._embedded is not None:
            return await self._db.in_thread(self._embedded.check)
        found: list[str] = []
        after = 0
        while len(found) < FINDINGS:
            some, after = await self._db.read(shared.check, self.incarnation, self._db.home, after)
            found += some
            if not after:
                break
        return found

    @property
    def unusable(self) -> str:
        """Why the index must be made anew; "" where it need not."""
        return self._embedded.unusable if self._embedded is not None else ""

    async def forget(self) -> None:
        """Remove the index; nobody may be filling it."""
        if self._embedded is not None:
            await self._db.in_thread(self._embedded.forget)
        else:
            await self._db.write(shared.forget)

    def close(self) -> None:
        if self._embedded is not None:
            self._embedded.close()


def incarnation(tx: Transaction) -> str:
    """What tells this store from every other, and from itself before it was restored."""
    return tx.value(_FACT, name="incarnation") or ""


def name_incarnation(unit: Unit) -> str:
    """Give a store that has none its incarnation."""
    found = incarnation(unit)
    if not found:
        found = secrets.token_hex(8)
        unit.run(_ADD_FACT, name="incarnation", value=found)
    return found
