"""Named subordinate references (RFC 3296): entries that say where a part of the tree is held.

A referral entry is of the class `referral`; its `ref` values are URLs. With the ManageDsaIT control it
is an entry like any other. Without it, whoever asks for it or for what would be below is told
where to go, and a search gives a continuation for each one in its scope.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote

from imsd.directory.entry import Entry
from imsd.errors import InvalidSyntax
from protocols.ldap.messages import Scope

MOST: Final = 1_000
"""Referral entries that a search looks at."""

_LDAP: Final = re.compile(r"(ldap[si]?://[^/?]*)(?:/([^?]*)(?:\?[^?]*){0,3}(?:\?(.*))?)?", re.IGNORECASE)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_SCOPES: Final = {Scope.BASE: "base", Scope.ONE: "one", Scope.SUBTREE: "sub", Scope.CHILDREN: "sub"}


def check(values: Iterable[bytes]) -> None:
    """Raises InvalidSyntax for what is no URI."""
    for value in values:
        if not _URI.fullmatch(value.decode("utf-8", "replace")):
            raise InvalidSyntax("ref: not a URL")


def urls(entry: Entry, name: str, below: str = "", scope: Scope | None = None) -> tuple[str, ...]:
    """Where the entry of a referral is, or what is below it.

    name: of the referral entry. below: RDNs of what is asked for. scope: for searches, None for other
    requests (RFC 3296 5.2 to 5.4).
    """
    return tuple(
        url(value.decode("utf-8", "replace"), name, below, scope) for value in entry.user.get("ref", ())
    )


def url(text: str, name: str, below: str, scope: Scope | None) -> str:
    """One such URL, completed."""
    found = _LDAP.fullmatch(text)
    if found is None:
        return text  # not an LDAP URL: as it is
    host, place, extensions = found.groups()
    target = unquote(place or "") or name
    if below:
        target = f"{below},{target}"
    made = f"{host}/{quote(target, safe='=,+;@:!$&()*~')}"
    if scope is not None:
        made += f"??{_SCOPES[scope]}"
    if extensions:
        made += ("??" if scope is not None else "????") + extensions
    return made


def continued(scope: Scope) -> Scope:
    """Of a continuation: what is left to be searched there."""
    if scope is Scope.ONE:
        return Scope.BASE
    return Scope.SUBTREE if scope is Scope.CHILDREN else scope
