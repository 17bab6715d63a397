"""Domain names in their two forms (RFC 5890, IDNA 2008)."""

import idna


def to_ascii(host: bytes) -> bytes | None:
    """A-label form of a domain, lower case; None where it has none."""
    if host.isascii():
        return host.lower()
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
