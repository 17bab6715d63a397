"""The one form of a mail address, by which addresses are compared and stored.

Local part: unquoted, canonical caseless form (Unicode 3.13, D145: fold of NFD) in NFC;
RFC 5321 2.4 leaves the local part's case to us. Domain: A-labels in lower case
(RFC 5891, IDNA 2008), no trailing dot; an address literal in lower case.

Rows carry what version CANONICAL_VERSION computed; a change of the rules here is a new
version and a migration that computes the rows again.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import idna

from imsd.errors import InvalidSyntax

CANONICAL_VERSION = 1

MAX_LOCAL = 64  # RFC 5321 4.5.3.1.1, octets
MAX_DOMAIN = 255  # RFC 5321 4.5.3.1.2, octets

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_LITERAL = re.compile(r"\[[0-9A-Za-z.:-]{2,}\]\Z")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f]")
# RFC 5322 3.2.3 with RFC 6532 3.2: what needs no quotes.
_DOT_ATOM = re.compile(r"[^\x00-\x20()<>\[\]:;@\\,.\"\x7f]+(?:\.[^\x00-\x20()<>\[\]:;@\\,.\"\x7f]+)*\Z")


def canonical_local(local: str) -> str:
    """A local part as it is compared. Raises InvalidSyntax."""
    if local.startswith('"'):
        if len(local) < 2 or not local.endswith('"'):
            raise InvalidSyntax("Malformed quoted local part")
        local = re.sub(r"\\(.)", r"\1", local[1:-1], flags=re.DOTALL)
    if local.isascii():
        folded = local.lower()
    else:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", local).casefold())
    if not folded or _FORBIDDEN.search(folded):
        raise InvalidSyntax("Malformed local part")
    if len(folded) > MAX_LOCAL or len(folded.encode("utf-8", "replace")) > MAX_LOCAL * 4:
        raise InvalidSyntax("Local part too long")
    try:
        folded.encode()
    except UnicodeEncodeError:
        raise InvalidSyntax("Malformed local part") from None
    return folded


@lru_cache(maxsize=1024)
def canonical_domain(domain: str) -> str:
    """A domain in A-labels, or an address literal, as it is compared. Raises InvalidSyntax."""
    if domain.startswith("["):
        if not _LITERAL.match(domain):
            raise InvalidSyntax("Malformed address literal")
        return domain.lower()
    domain = domain.rstrip(".")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True, transitional=False).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise InvalidSyntax("Malformed domain") from None
    domain = domain.lower()
    if len(domain) > MAX_DOMAIN or not all(map(_LABEL.match, domain.split("."))):
        raise InvalidSyntax("Malformed domain")
    return domain


@lru_cache(maxsize=2048)
def canonical_address(address: str) -> str:
    """`local@domain` as it is compared and stored. Raises InvalidSyntax."""
    local, at, domain = address.rpartition("@")
    if not at:
        raise InvalidSyntax("An address needs a domain")
    return f"{canonical_local(local)}@{canonical_domain(domain)}"


def spelled_address(address: str) -> str:
    """An address as it is shown and mailed: the local part as given (NFC), the domain canonical."""
    local, at, domain = address.rpartition("@")
    if not at:
        raise InvalidSyntax("An address needs a domain")
    canonical_local(local)
    return f"{unicodedata.normalize('NFC', local)}@{canonical_domain(domain)}"


def quoted_local(local: str) -> str:
    """A plain local part as RFC 5321 writes it: quoted only where it must be."""
    if _DOT_ATOM.match(local):
        return local
    return '"' + re.sub(r'([\\"])', r"\\\1", local) + '"'
