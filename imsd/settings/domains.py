"""Domain patterns and the tables made of them: the one rule of every domain list (ims_spec 3.11.2).

pattern      = "*" / "#" domain / "*." domain / domain / "[" address "]"

1. `domain` is the domain and everything below it, by whole labels; `#domain` is it alone; `*.domain`
   is what is below it alone; `*` is every domain.
2. The most specific pattern wins, whatever the order: `#domain`, then more labels before fewer; for
   one domain `*.domain` before `domain`, because it says less. `*` is the last.
3. Case, a dot at the end and the form of an international name do not matter. An address literal
   equals itself alone; IPv6 is compared as an address (RFC 5321 4.1.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator

from protocols.message.domains import to_ascii

T = TypeVar("T")

EVERY = "*"

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")


def normal_domain(text: str) -> str:
    """A domain or an address literal as it is compared. Raises ValueError."""
    text = text.strip(" ")
    if text.startswith("["):
        return _normal_literal(text)
    name = to_ascii(text.rstrip(".").encode())
    domain = name.decode("ascii") if name is not None else ""
    if not domain or len(domain) > 255 or not all(map(_LABEL.match, domain.split("."))):
        raise ValueError(f"{text or 'nothing'} is no domain")
    return domain


def _normal_literal(text: str) -> str:
    inner = text[1:-1] if text.endswith("]") else ""
    if inner[:5].lower() == "ipv6:":
        inner = inner[5:]
    try:
        address = ip_address(inner)
    except ValueError:
        raise ValueError(f"{text} is no address literal") from None
    return f"[{address}]" if address.version == 4 else f"[ipv6:{address}]"


def normal_pattern(text: str) -> str:
    """A pattern as it is stored. Raises ValueError."""
    text = text.strip(" ")
    if text == EVERY:
        return text
    for sign in ("#", "*."):
        if text.startswith(sign):
            rest = text[len(sign) :]
            if rest.startswith("["):
                raise ValueError(f"{text}: an address literal stands alone")
            return sign + normal_domain(rest)
    return normal_domain(text)


DomainPattern = Annotated[str, AfterValidator(normal_pattern)]
"""The type of a field of settings that holds a pattern."""


def once_each(patterns: Iterable[str]) -> None:
    """Raises ValueError for a pattern that stands twice in one list."""
    seen: set[str] = set()
    for pattern in patterns:
        if pattern in seen:
            raise ValueError(f"{pattern} is there twice")
        seen.add(pattern)


class DomainTable(Generic[T]):
    """Patterns with what they stand for. The first of equal patterns counts."""

    __slots__ = ("_below", "_every", "_exact", "_suffix", "patterns")

    def __init__(self, rows: Iterable[tuple[str, T]]) -> None:
        self.patterns: dict[str, T] = {}
        self._exact: dict[str, str] = {}
        self._suffix: dict[str, str] = {}
        self._below: dict[str, str] = {}
        self._every = False
        for pattern, value in rows:
            pattern = normal_pattern(pattern)
            if pattern in self.patterns:
                continue
            self.patterns[pattern] = value
            if pattern == EVERY:
                self._every = True
            elif pattern[0] in "#[":
                self._exact[pattern.removeprefix("#")] = pattern
            elif pattern.startswith("*."):
                self._below[pattern[2:]] = pattern
            else:
                self._suffix[pattern] = pattern

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def matches(self, domain: str) -> Iterator[str]:
        """Every pattern that fits, the most specific first. What is no domain fits none but `*`."""
        try:
            name = normal_domain(domain)
        except ValueError:
            name = ""
        if name:
            found = self._exact.get(name)
            if found is not None:
                yield found
        rest = name if name[:1] != "[" else ""
        while rest:
            if rest != name:
                found = self._below.get(rest)
                if found is not None:
                    yield found
            found = self._suffix.get(rest)
            if found is not None:
                yield found
            rest = rest.partition(".")[2]
        if self._every:
            yield EVERY

    def match(self, domain: str) -> str | None:
        """The pattern that wins."""
        return next(self.matches(domain), None) if self.patterns else None

    def find(self, domain: str) -> T | None:
        """What the pattern that wins stands for."""
        pattern = self.match(domain)
        return None if pattern is None else self.patterns[pattern]
