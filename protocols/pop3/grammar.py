"""A cursor over one command line.

command = keyword *(SP argument) CRLF      (RFC 2449 3)
Spaces at the end of a line are ignored, except in the argument of PASS: some clients send them.
"""

from __future__ import annotations

from typing import Final

from protocols.errors import BadSyntax

_MOST_DIGITS: Final = 10


class Cursor:
    """What follows the keyword."""

    __slots__ = ("_rest",)

    def __init__(self, rest: bytes) -> None:
        self._rest = rest

    @property
    def more(self) -> bool:
        """Is there another argument?"""
        return bool(self._rest.strip(b" "))

    def nothing(self) -> None:
        """No (more) arguments."""
        if self.more:
            raise BadSyntax("no argument expected")

    def word(self, what: str) -> bytes:
        """One argument."""
        word, _, self._rest = self._rest.lstrip(b" ").partition(b" ")
        if not word:
            raise BadSyntax(f"{what} expected")
        return word

    def optional(self) -> bytes | None:
        """One argument, if there is one."""
        return self.word("argument") if self.more else None

    def number(self, what: str) -> int:
        """1*DIGIT (RFC 1939 3)."""
        word = self.word(what)
        if not word.isdigit() or len(word) > _MOST_DIGITS:
            raise BadSyntax(f"{what} expected")
        return int(word)

    def text(self, what: str) -> str:
        """Everything after one space: UTF-8 (RFC 6856 2.2), spaces included (RFC 1939 7, PASS)."""
        rest, self._rest = self._rest, b""
        try:
            value = rest.decode()
        except UnicodeDecodeError:
            raise BadSyntax("UTF-8 expected") from None
        if not value:
            raise BadSyntax(f"{what} expected")
        return value
