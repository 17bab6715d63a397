"""Named searches: FILTER as a search key (RFC 5466 3.1), replaced by what it stands for.

1. What is private goes before what is shared of the same name.
2. A filter may name others, `PASSES` deep; what is left then, and what does not parse, is as one that
   does not exist.
3. What a command becomes is bounded like what it might have said itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from protocols.errors import BadSyntax
from protocols.imap4 import keys
from protocols.imap4.commands import searchkeys
from protocols.imap4.dialect import Dialect
from protocols.imap4.grammar import Cursor
from protocols.imap4.keys import Key
from protocols.imap4.responses import No

FILTERS: Final = ("/private/filters/values", "/shared/filters/values")
#: filter-name = 1*<any ATOM-CHAR except "/">
FILTER_NAME: Final = re.compile(rb"[!#$&'+,\-.0-9:;<=>?@A-Z\[^_`a-z|}~]{1,100}")
PASSES: Final = 5


def filters_of(key: Key) -> list[bytes]:
    """The names of the filters in a key."""
    bare = (leaf.key if isinstance(leaf, keys.Fuzzy) else leaf for leaf in keys.leaves(key))
    return [leaf.name for leaf in bare if isinstance(leaf, keys.Filter)]


async def resolved(key: Key, account: Any, dialect: Dialect) -> Key:
    """The key without filters. Raises No [UNDEFINED-FILTER]."""
    known: dict[bytes, Key] = {}
    for _ in range(PASSES):
        names = dict.fromkeys(filters_of(key))
        if not names:
            break
        for name in names:
            if name not in known:
                known[name] = await _stored(name, account, dialect)
        key = keys.changed(key, partial(_replaced, known))
        if sum(1 for _ in keys.leaves(key)) > searchkeys.COUNT:
            raise _undefined(next(iter(names)))
    left = filters_of(key)
    if left:
        raise _undefined(left[0])
    return key


async def _stored(name: bytes, account: Any, dialect: Dialect) -> Key:
    wanted = [f"{root}/{name.decode().lower()}" for root in FILTERS]
    values = dict((await account.metadata("", wanted)).values)
    value = next((values[each] for each in wanted if values.get(each) is not None), None)
    if value is None:
        raise _undefined(name)
    try:
        return searchkeys.parse(Cursor(value, dialect=dialect), "utf-8")
    except BadSyntax:
        raise _undefined(name) from None


def _undefined(name: bytes) -> No:
    return No(b"UNDEFINED-FILTER " + name, "There is no such filter")


def _replaced(known: Mapping[bytes, Key], leaf: Key) -> Key:
    if isinstance(leaf, keys.Filter):
        return known[leaf.name]
    if isinstance(leaf, keys.Fuzzy) and isinstance(leaf.key, keys.Filter):
        return keys.fuzzy(known[leaf.key.name])
    return leaf
