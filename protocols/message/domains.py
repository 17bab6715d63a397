"""Domain names in their two forms (RFC 5890, IDNA 2008)."""

from functools import lru_cache

import idna


def to_ascii(host: bytes) -> bytes | None:
    """A-label form of a domain, lower case; None where it has none."""
    if host.isascii():
        return host.lower()
    return _encoded(host)


@lru_cache(512)
def _encoded(host: bytes) -> bytes | None:
    if len(host) > 512:
        return None
    try:
        return idna.encode(host.decode("utf-8"), uts46=True)
    except (UnicodeError, ValueError):
        return None


def to_unicode(host: bytes) -> str:
    """U-label form for display; what cannot be decoded stays as it is."""
    try:
        return idna.decode(host.decode("ascii"))
    except (UnicodeError, ValueError):
        return host.decode("utf-8", "replace")
