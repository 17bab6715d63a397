"""Mailbox names as the store keeps them: NFC, "/" between levels, INBOX in capitals.

Design rule 21: names are compared as bytes after this, so that no database's collation
takes part.
"""

import unicodedata
from functools import lru_cache

from imsd.errors import InvalidName

INBOX = "INBOX"
SEPARATOR = "/"
MAX_LENGTH = 900
MAX_DEPTH = 30


@lru_cache(maxsize=1024)
def canonical(name: str) -> str:
    """The stored form of a name; refuses what RFC 9051 5.1 and 5.1.1 forbid or discourage."""
    name = unicodedata.normalize("NFC", name)
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_LENGTH:
        raise InvalidName("Mailbox name is empty or too long")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        raise InvalidName("Mailbox name has control characters")
    levels = name.split(SEPARATOR)
    if len(levels) > MAX_DEPTH:
        raise InvalidName("Mailbox name has too many levels")
    # The empty level of "a//b" and the relative ones confuse clients that map names to files.
    if any(level in ("", ".", "..") for level in levels):
        raise InvalidName("Mailbox name has an empty or relative level")
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    return SEPARATOR.join(levels)


def parents(name: str) -> list[str]:
    """The names above, outermost first."""
    if SEPARATOR not in name:
        return []
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:n]) for n in range(1, len(levels))]


def is_below(name: str, parent: str) -> bool:
    return name.startswith(parent + SEPARATOR)
