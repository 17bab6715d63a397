"""The name of the server in Home-MTA and Home-MDB: a DN below cn=Servers, or the bare name."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from protocols.errors import BadSyntax
from protocols.ldap import dn


def server_name(values: Iterable[str]) -> str:
    """In lower case; of the first that is not empty, "" where there is none."""
    for value in values:
        if value.strip():
            return _of(value).strip().lower()[:255]
    return ""


def _of(value: str) -> str:
    if "=" not in value:
        return value
    try:
        names = [rdn.avas[0].value for rdn in dn.parse(value).rdns]
    except BadSyntax:
        return value
    # cn=Microsoft MTA,cn=NAME,cn=Servers,cn=Configuration,...
    for below, above in pairwise(names):
        if above.lower() == "servers":
            return below
    return names[0] if names else ""
