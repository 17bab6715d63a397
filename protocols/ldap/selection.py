"""Which attributes of an entry a search answer carries (RFC 4511 4.5.1.8, RFC 3673, RFC 4529).

A Selection is hashable and shared between equal requests, so that it can be part of the key
of a cache of encoded entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Selection:
    """user: all user attributes; operational: all operational ones; names: those asked for.

    `names` holds lower-case descriptions, each with its options in order ("cn;lang-de").
    """

    user: bool
    operational: bool
    names: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    """Object classes whose attributes are asked for (RFC 4529: "@person"), lower case."""

    def wants(self, name: str, operational: bool = False) -> bool:
        """Whether the attribute described by `name` (lower case) is to be returned.

        A request for "cn" covers "cn;lang-de" too (RFC 4512 2.5.2). Subtypes and `classes`
        are the caller's to expand.
        """
        if self.operational if operational else self.user:
            return True
        names = self.names
        if name in names:
            return True
        return ";" in name and bool(names) and any(_covers(asked, name) for asked in names)


def _covers(asked: str, name: str) -> bool:
    wanted, _, wanted_options = asked.partition(";")
    base, _, options = name.partition(";")
    return wanted == base and set(filter(None, wanted_options.split(";"))) <= set(options.split(";"))


@lru_cache(maxsize=512)
def selection(attributes: tuple[str, ...]) -> Selection:
    """The Selection of a request's list: none or "*" all user attributes, "+" all operational
    ones, "1.1" alone none at all."""
    user = operational = False
    names = set()
    classes = set()
    for attribute in attributes:
        if attribute == "*":
            user = True
        elif attribute == "+":
            operational = True
        elif attribute.startswith("@"):
            classes.add(attribute[1:].lower())
        elif attribute != "1.1":
            base, *options = attribute.lower().split(";")
            names.add(";".join([base, *sorted(options)]))
    if not attributes:
        user = True
    return Selection(user, operational, frozenset(names), frozenset(classes))
