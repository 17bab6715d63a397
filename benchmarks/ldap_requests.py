"""What `benchmarks.compare` asks of a directory that holds user0 to user49."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from benchmarks import ldap
from protocols.ldap import client, filters
from protocols.ldap.messages import (
    Attribute,
    Change,
    ChangeKind,
    Deref,
    ModifyRequest,
    Scope,
    SearchRequest,
)

_NAMES: Final = ("cn", "sn", "givenName", "mail", "uid")


def _search(base: str, wanted: filters.Filter) -> Sequence[bytes]:
    return [client.write(7, SearchRequest(base, Scope.SUBTREE, Deref.NEVER, 0, 0, False, wanted))]


def equality(base: str, people: str) -> Sequence[bytes]:
    return [ldap.search(base, "uid=user7")]


def substrings(base: str, people: str) -> Sequence[bytes]:
    """user4 and user40 to user49."""
    return _search(base, filters.Substrings("uid", any=(b"ser4",)))


def names(base: str, people: str) -> Sequence[bytes]:
    """What mail clients send for what somebody has typed; the same eleven."""
    return _search(base, filters.Or(tuple(filters.Substrings(name, initial=b"user4") for name in _NAMES)))


def modify(base: str, people: str) -> Sequence[bytes]:
    """Each connection changes a title of its own to and fro."""
    return [
        client.write(
            7,
            ModifyRequest(
                f"cn=user{at},{people}", (Change(ChangeKind.REPLACE, Attribute("title", (title,))),)
            ),
        )
        for title in (b"Engineer", b"Inspector")
        for at in range(ldap.CONNECTIONS)
    ]


REQUESTS: Final[dict[str, Callable[[str, str], Sequence[bytes]]]] = {
    "equality": equality,
    "substrings": substrings,
    "modify": modify,
    "names": names,
}
