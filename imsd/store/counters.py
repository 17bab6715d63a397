"""Counters: how a scope's number is advanced and read.

Account and named scopes live in the `counter` table. A scope whose number is a column of a
table of its own says so with `counted_by(MailboxScope, advance, read)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from imsd.store.changes import DIRECTORY, QUEUE, SETTINGS, AccountScope, NamedScope, Scope
from imsd.store.sql import insert, sql
from imsd.store.tables import counter

if TYPE_CHECKING:
    from imsd.store.transaction import Transaction, Unit

Advance = Callable[["Unit", Any], tuple[int, int]]
Read = Callable[["Transaction", Any], int]

_ACCOUNT = 1
_NAMED = {DIRECTORY.name: 2, SETTINGS.name: 3, QUEUE.name: 4}

_ADVANCE = sql(
    insert(counter)
    .values(kind=bindparam("kind"), owner=bindparam("owner"), value=1)
    .on_conflict_do_update(index_elements=["kind", "owner"], set_={"value": counter.c.value + 1})
    .returning(counter.c.value)
)
_READ = sql(
    select(counter.c.value).where(counter.c.kind == bindparam("kind"), counter.c.owner == bindparam("owner"))
)


_ADVANCE_BY = sql(
    insert(counter)
    .values(kind=bindparam("kind"), owner=bindparam("owner"), value=bindparam("by"))
    .on_conflict_do_update(
        index_elements=["kind", "owner"], set_={"value": counter.c.value + bindparam("by")}
    )
    .returning(counter.c.value)
)


def _key(scope: AccountScope | NamedScope) -> tuple[int, int]:
    if isinstance(scope, AccountScope):
        return _ACCOUNT, scope.account
    return _NAMED[scope.name], 0


def _advance_row(unit: Unit, scope: AccountScope | NamedScope) -> tuple[int, int]:
    kind, owner = _key(scope)
    value: int = unit.value(_ADVANCE, kind=kind, owner=owner)
    return value - 1, value


def _read_row(tx: Transaction, scope: AccountScope | NamedScope) -> int:
    kind, owner = _key(scope)
    return tx.value(_READ, kind=kind, owner=owner) or 0


_ways: dict[type, tuple[Advance, Read]] = {
    AccountScope: (_advance_row, _read_row),
    NamedScope: (_advance_row, _read_row),
}


def counted_by(scope: type, advance: Advance, read: Read) -> None:
    """Give a kind of scope its own counter; called once, where the table is defined."""
    _ways[scope] = (advance, read)


def advance(unit: Unit, scope: Scope) -> tuple[int, int]:
    """Move the scope's counter by one; (previous, next)."""
    return _ways[type(scope)][0](unit, scope)


def advance_account(unit: Unit, scope: AccountScope, steps: int) -> Iterator[tuple[int, int]]:
    """Move an account's counter by several at once; (previous, next) of each step."""
    kind, owner = _key(scope)
    last: int = unit.value(_ADVANCE_BY, kind=kind, owner=owner, by=steps)
    return ((at, at + 1) for at in range(last - steps, last))


def read(tx: Transaction, scope: Scope) -> int:
    """The scope's number now; 0 when nothing ever changed in it."""
    return _ways[type(scope)][1](tx, scope)
