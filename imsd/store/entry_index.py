"""Finding entries by indexed values and by what they refer to.

An answer may hold too many entries (long values are cut, patterns are coarse), never too few:
whoever asks verifies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import bindparam, func, or_, select, tuple_

from imsd.store.entry_tables import entry_reference, entry_value
from imsd.store.ids import EntryId
from imsd.store.sql import among, sql
from imsd.store.tables import Number, String
from imsd.store.transaction import Transaction

INDEXED_LENGTH = 256
"""Characters of a normalised value that are indexed."""

_v, _r = entry_value.c, entry_reference.c

_EQUAL = sql(
    select(_v.entry)
    .where(_v.attribute == bindparam("attribute"), _v.value == bindparam("value"))
    .order_by(_v.entry)
    .limit(bindparam("most"))
)
_PRESENT = sql(
    select(_v.entry).where(_v.attribute == bindparam("attribute")).distinct().limit(bindparam("most"))
)
_BETWEEN = sql(
    select(_v.entry)
    .where(
        _v.attribute == bindparam("attribute"),
        _v.value >= bindparam("low"),
        _v.value < bindparam("high"),
    )
    .distinct()
    .limit(bindparam("most"))
)
_LIKE = sql(
    select(_v.entry)
    .where(
        _v.attribute == bindparam("attribute"),
        or_(
            _v.value.like(bindparam("pattern"), escape="!"),
            # What is cut off may hold the rest.
            func.length(_v.value) >= INDEXED_LENGTH,
        ),
    )
    .distinct()
    .limit(bindparam("most"))
)
_PAGE = 10_000
_VALUES = sql(
    select(_v.value, _v.entry)
    .where(
        _v.attribute == bindparam("attribute"),
        tuple_(_v.value, _v.entry)
        > tuple_(bindparam("value", type_=String), bindparam("last", type_=Number)),
    )
    .order_by(_v.value, _v.entry)
    .limit(bindparam("most"))
)
_VALUES_OF = sql(
    # By the index of entries: an attribute has a value for each of all of them.
    select(_v.value, _v.entry).where(
        among(_v.entry, "ids"), func.coalesce(_v.attribute, "") == bindparam("attribute")
    )
)
_REFERRING = sql(
    select(_r.entry)
    .where(_r.target == bindparam("target"), _r.attribute == bindparam("attribute"))
    .order_by(_r.entry)
    .limit(bindparam("most"))
)


def equal(tx: Transaction, attribute: str, value: str, most: int) -> list[EntryId]:
    """Entries that may hold the normalised value (long ones may differ), ascending."""
    return _ids(tx.all(_EQUAL, attribute=attribute, value=value[:INDEXED_LENGTH], most=most))


def present(tx: Transaction, attribute: str, most: int) -> list[EntryId]:
    """Entries that have an indexed attribute."""
    return _ids(tx.all(_PRESENT, attribute=attribute, most=most))


def starting(tx: Transaction, attribute: str, initial: str, most: int) -> list[EntryId]:
    """Entries with a value that may start so."""
    initial = initial[:INDEXED_LENGTH]
    return _ids(tx.all(_BETWEEN, attribute=attribute, low=initial, high=initial + "\U0010ffff", most=most))


def starting_each(tx: Transaction, asked: Sequence[tuple[str, str]], most: int) -> list[list[EntryId]]:
    """What `starting` gives for each (attribute, initial)."""
    return [starting(tx, attribute, initial, most) for attribute, initial in asked]


def containing(tx: Transaction, attribute: str, part: str, most: int) -> list[EntryId]:
    """Entries with a value that may contain the part; walks the attribute's whole index."""
    # No more of it stands in the index; and SQLite takes no pattern of more than 50,000 octets.
    pattern = part[:INDEXED_LENGTH].replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return _ids(tx.all(_LIKE, attribute=attribute, pattern=f"%{pattern}%", most=most))


def values(tx: Transaction, attribute: str) -> Iterator[tuple[str, EntryId]]:
    """All there is of an attribute, with whose it is."""
    value, last = "", 0
    while rows := tx.all(_VALUES, attribute=attribute, value=value, last=last, most=_PAGE):
        yield from rows
        value, last = rows[-1]


def values_of(tx: Transaction, attribute: str, ids: Sequence[EntryId]) -> list[tuple[str, EntryId]]:
    """What these entries have of an attribute."""
    return tx.all(_VALUES_OF, attribute=attribute, ids=ids)


def referring(tx: Transaction, attribute: str, target: EntryId, most: int) -> list[EntryId]:
    """Entries whose attribute names the target, ascending."""
    return _ids(tx.all(_REFERRING, attribute=attribute, target=target, most=most))


def _ids(rows: list[tuple[Any, ...]]) -> list[EntryId]:
    return [row[0] for row in rows]
