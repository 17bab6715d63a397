"""The grammar that all schema descriptions share (RFC 4512 4.1): read into fields, and written."""

from __future__ import annotations

import re
from typing import Final

from protocols.errors import BadSyntax

_TOKEN: Final = re.compile(r"\s*([()$]|'(?:[^'\\]|\\[0-9A-Fa-f]{2})*'|[^\s()$']+)")
_OID: Final = re.compile(r"[A-Za-z][A-Za-z0-9;_-]*|[0-9]+(?:\.[0-9]+)*")

Extensions = tuple[tuple[str, tuple[str, ...]], ...]


class Fields:
    """The parts of one description, in any order; each is taken once."""

    def __init__(self, text: str) -> None:
        tokens = _tokens(text)
        if len(tokens) < 3 or tokens[0] != "(" or tokens[-1] != ")":
            raise BadSyntax("a description in parentheses", 0)
        self.oid = tokens[1]
        if not _OID.fullmatch(self.oid):
            raise BadSyntax("an object identifier")
        self._fields: dict[str, list[str]] = {}
        tokens = tokens[2:-1]
        while tokens:
            word, values, tokens = _field(tokens)
            if word in self._fields:
                raise BadSyntax(f"{word} once")
            self._fields[word] = values
        self.names = tuple(map(_unquote, self._fields.pop("NAME", [])))

    def flag(self, word: str) -> bool:
        values = self._fields.pop(word, None)
        if values:
            raise BadSyntax(f"no value after {word}")
        return values is not None

    def one(self, word: str) -> str:
        values = self.many(word)
        if len(values) > 1:
            raise BadSyntax(f"one value after {word}")
        return values[0] if values else ""

    def many(self, word: str) -> tuple[str, ...]:
        values = self._fields.pop(word, None)
        if values == []:
            raise BadSyntax(f"a value after {word}")
        # Quoted OIDs are written by some older servers; they mean the same.
        return tuple(value.strip("'") for value in values or ())

    def text(self, word: str) -> str:
        values = self._fields.pop(word, ["''"])
        if len(values) != 1:
            raise BadSyntax(f"one string after {word}")
        return _unquote(values[0])

    def extensions(self) -> Extensions:
        taken = [word for word in self._fields if word.startswith("X-")]
        return tuple((word, tuple(map(_unquote, self._fields.pop(word)))) for word in taken)

    def done(self) -> None:
        if self._fields:
            raise BadSyntax(f"a known word instead of {next(iter(self._fields))}")


def _tokens(text: str) -> list[str]:
    tokens = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise BadSyntax("a word, a quoted string or a parenthesis", position)
        tokens.append(token[1])
        position = token.end()
    return tokens


def _field(tokens: list[str]) -> tuple[str, list[str], list[str]]:
    """One word with its values, and what follows: WORD, WORD value, or WORD ( value ... )."""
    word, *rest = tokens
    if word in "()$" or word.startswith("'"):
        raise BadSyntax("a word")
    if not rest or word in _FLAGS:
        return word, [], rest
    if rest[0] != "(":
        return word, [rest[0]], rest[1:]
    if ")" not in rest:
        raise BadSyntax("a closing parenthesis")
    end = rest.index(")")
    return word, [value for value in rest[1:end] if value != "$"], rest[end + 1 :]


_FLAGS: Final = frozenset(
    ["OBSOLETE", "SINGLE-VALUE", "COLLECTIVE", "NO-USER-MODIFICATION", "ABSTRACT", "STRUCTURAL", "AUXILIARY"]
)


def _unquote(text: str) -> str:
    if len(text) < 2 or text[0] != "'":
        raise BadSyntax("a quoted string")
    return text[1:-1].replace("\\27", "'").replace("\\5C", "\\").replace("\\5c", "\\")


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\5C").replace("'", "\\27") + "'"


def description(*parts: str) -> str:
    return f"( {' '.join(filter(None, parts))} )"


def names(names: tuple[str, ...]) -> str:
    quoted = [_quote(name) for name in names]
    return "" if not quoted else f"NAME {quoted[0]}" if len(quoted) == 1 else f"NAME ( {' '.join(quoted)} )"


def quoted(word: str, text: str) -> str:
    return f"{word} {_quote(text)}" if text else ""


def word(word: str, value: str) -> str:
    return f"{word} {value}" if value else ""


def words(name: str, values: tuple[str, ...]) -> str:
    return word(name, values[0] if len(values) == 1 else f"( {' $ '.join(values)} )" if values else "")


def extensions(extensions: Extensions) -> list[str]:
    return [
        f"{word} {_quote(values[0])}" if len(values) == 1 else f"{word} ( {' '.join(map(_quote, values))} )"
        for word, values in extensions
    ]
