"""What the cache of the directory is made of: mappings that are bounded.

`DESCRIPTIVE` attributes are those that nobody reads but who reads their entry. What else is kept (names,
rights, recipients, prepared filters, other entries as they are shown) does not rest on them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

G = TypeVar("G", bound=Hashable)
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

DESCRIPTIVE: Final = frozenset(
    {
        "title", "description", "street", "businesscategory", "postaladdress", "postalcode", "postofficebox",
        "physicaldeliveryofficename", "telephonenumber", "telexnumber", "teletexterminalidentifier",
        "facsimiletelephonenumber", "x121address", "internationalisdnnumber", "registeredaddress",
        "destinationindicator", "preferreddeliverymethod", "l", "st", "c", "co", "houseidentifier",
        "roomnumber", "homephone", "homepostaladdress", "personaltitle", "generationqualifier", "mobile",
        "pager", "info", "jpegphoto", "labeleduri", "carlicense", "departmentnumber", "employeenumber",
        "employeetype", "company", "department", "secretary", "telephone-office2", "telephone-number",
        "telephone-home2", "telephone-assistant", "url",
    }
)  # fmt: skip


class Bounded(dict[K, V], Generic[K, V]):
    """A dictionary that forgets its oldest quarter when it is full."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: K, value: V) -> None:
        if len(self) >= self._most:
            for old in list(self)[: max(1, self._most // 4)]:
                del self[old]
        self[key] = value


_NOTHING: Final[Mapping[Any, Any]] = MappingProxyType({})


class Grouped(Generic[G, K, V]):
    """Values by group and key, of which a group can be forgotten. When it is full, all are."""

    __slots__ = ("_count", "_groups", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._groups: dict[G, dict[K, V]] = {}

    def __len__(self) -> int:
        return self._count

    def of(self, group: G) -> Mapping[K, V]:
        """What there is of a group now."""
        return self._groups.get(group, _NOTHING)

    def keep(self, group: G, key: K, value: V) -> None:
        if self._count >= self._most:
            self.clear()
        held = self._groups.setdefault(group, {})
        if key not in held:
            self._count += 1
        held[key] = value

    def forget(self, group: G) -> None:
        self._count -= len(self._groups.pop(group, ()))

    def clear(self) -> None:
        self._groups.clear()
        self._count = 0


class Numbers:
    """A number for each of many values, so that they are hashed once; none is given twice."""

    __slots__ = ("_known", "_most", "_next")

    def __init__(self, most: int) -> None:
        self._most = most
        self._next = 0
        self._known: dict[Hashable, int] = {}

    def of(self, value: Hashable) -> int:
        found = self._known.get(value)
        if found is None:
            if len(self._known) >= self._most:
                self._known.clear()
            found = self._known[value] = self._next = self._next + 1
        return found
