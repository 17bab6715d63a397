"""Addresses of any type inside Internet addresses (ims_spec 4.4).

encapsulated = "IMCEA" type "-" encoded "@" domain

Letters, digits, "=" and "-" stand for themselves, "_" for "/", "+XX" for the octet of that hexadecimal
number (an underscore is +5F); text is UTF-8. The prefix is written in capitals, because others
compare it with case, and read without (stricter readers than us must not be needed). It takes
more than the 64 octets of RFC 5321 4.5.3.1.1 often: X.400 addresses are long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PREFIX = "IMCEA"

LONGEST = 1_024
"""Octets of an encoded address that is taken apart."""

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789=-")
_FORM = re.compile(r"IMCEA([A-Z][A-Z0-9]{0,15})-((?:[A-Z0-9=_.-]|\+[0-9A-F]{2})+)\Z", re.I | re.ASCII)
_OCTET = re.compile(rb"\+([0-9A-Fa-f]{2})")
_ADDRESS_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}\Z")


@dataclass(frozen=True, slots=True)
class Foreign:
    """An address of a type: EX (a DN with slashes), SMTP, X400, MS, CCMAIL or another."""

    type: str
    value: str

    def __str__(self) -> str:
        return f"{self.type}:{self.value}"


def encode(address: Foreign) -> str:
    """The local part that holds an address. Raises ValueError for what has none."""
    if not _ADDRESS_TYPE.match(address.type) or not address.value:
        raise ValueError(f"{address} is no address")
    made = "".join(
        "_" if octet == 0x2F else chr(octet) if octet in _PLAIN else f"+{octet:02X}"
        for octet in address.value.encode()
    )
    return f"{PREFIX}{address.type.upper()}-{made}"


def decode(local: str) -> Foreign | None:
    """The address inside a local part; None where there is none.

    What decodes to control characters or to no UTF-8 is none: no address has those.
    """
    if len(local) > LONGEST or local[:5].upper() != PREFIX:
        return None
    match = _FORM.match(local)
    if match is None:
        return None
    raw = match[2].replace("_", "/").encode("ascii")
    try:
        value = _OCTET.sub(lambda found: bytes([int(found[1], 16)]), raw).decode()
    except UnicodeDecodeError:
        return None
    if not value.isprintable():
        return None
    return Foreign(match[1].upper(), value)


def distinguished_name(value: str) -> str | None:
    """The DN of LDAP for an address of type EX: /o=Org/ou=Site/cn=Recipients/cn=alias, reversed."""
    if not value.startswith("/"):
        return None
    parts = value[1:].split("/")
    rdns = []
    for part in parts:
        kind, equals, name = part.partition("=")
        if not equals or not kind.isalpha() or not name:
            return None
        rdns.append(f"{kind.lower()}={_escaped(name)}")
    return ",".join(reversed(rdns))


def site_of(value: str) -> tuple[str, str] | None:
    """Organisation and site of an address of type EX, in lower case."""
    parts = (part.partition("=") for part in reversed(value.strip("/").split("/")))
    found = {kind.lower(): name.lower() for kind, equals, name in parts if equals}
    return (found["o"], found["ou"]) if "o" in found and "ou" in found else None


def _escaped(text: str) -> str:
    """RFC 4514 2.4."""
    made = re.sub(r'([,+"\\<>;=])', r"\\\1", text)
    if made[:1] in (" ", "#"):
        made = "\\" + made
    return made[:-1] + "\\ " if made.endswith(" ") and len(made) > 1 else made
