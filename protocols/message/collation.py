"""i;unicode-casemap: the order and equality of text without case (RFC 5051, RFC 5255 4.2).

Each character is mapped to title case where that is one character, then decomposed whole;
what is compared is the octets of the result as UTF-8. Nothing depends on its neighbours, so
text may be mapped in pieces.
"""

from unicodedata import normalize

_REMEMBERED = 20_000


class _Table(dict[int, str]):
    """Characters to what they are mapped to, as they are met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        titled = character.title()
        mapped = normalize("NFKD", titled if len(titled) == 1 else character)
        if len(self) < _REMEMBERED:
            self[code] = mapped
        return mapped


_TABLE = _Table()


def fold(text: str) -> str:
    """The text to look in, or for."""
    # Title case of one ASCII letter is its capital.
    return text.upper() if text.isascii() else text.translate(_TABLE)


def casemap(text: str) -> bytes:
    """The octets to compare."""
    return fold(text).encode("utf-8", "replace")
