"""Protocol-Settings: what a mailbox says of a protocol, in the form of the directory of 5.5.

    PROTO§enabled§useDefaults§encoding§charset§rtf[§listPublic§fast§delegate]
    IMAP4§1§1§1§ISO-8859-1§0§1§1§0          one value for each protocol

(ims_spec 7.4; § is U+00A7.) A field that is empty says nothing. Fields behind the known ones are kept.
Lists of values are joined by % where one line has to hold them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from imsd.errors import ConstraintViolation, InvalidSyntax

SIGN: Final = "\u00a7"
JOINT: Final = "%"
KEY: Final = "protocol-settings"
NAMES: Final = ("IMAP4", "POP3", "LDAP", "HTTP", "NNTP")
"""NNTP and HTTP are kept for those who read them; they are not served here."""


class Format(StrEnum):
    """How a message is handed out (the Message Format page)."""

    AS_COMPOSED = "as-composed"
    BOTH = "both"
    PLAIN = "plain"
    BINHEX = "binhex"
    UUENCODE = "uuencode"
    HTML = "html"


_CODES: Final = {
    "": Format.AS_COMPOSED,
    "0": Format.BOTH,
    "1": Format.PLAIN,
    "2": Format.BINHEX,
    "3": Format.UUENCODE,
    "4": Format.HTML,
}
_CODE_OF: Final = {form: code for code, form in _CODES.items()}


@dataclass(frozen=True, slots=True)
class ProtocolSettings:
    """enabled: may the mailbox be used by the protocol. use_defaults: the server's page holds for the
    rest. None: not said."""

    protocol: str
    enabled: bool = True
    use_defaults: bool = True
    form: Format = Format.AS_COMPOSED
    charset: str = ""
    rich_text: bool | None = None
    list_public: bool | None = None
    fast: bool | None = None
    delegate: bool | None = None
    rest: tuple[str, ...] = field(default=())

    @classmethod
    def parse(cls, text: str) -> ProtocolSettings:
        """Raises InvalidSyntax."""
        name, *fields = text.split(SIGN)
        name = name.strip().upper()
        if name not in NAMES or not 1 <= len(fields) <= 32:
            raise InvalidSyntax(
                f"Protocol-Settings: one of {', '.join(NAMES)}, and fields between section signs"
            )
        given = [each.strip() for each in fields] + [""] * 8
        code = given[2]
        if code not in _CODES:
            raise InvalidSyntax("Protocol-Settings: the encoding is 0 to 4 or empty")
        charset = given[3]
        if len(charset) > 64 or not charset.isascii() or any(letter in charset for letter in " \t;\"'"):
            raise InvalidSyntax("Protocol-Settings: no charset")
        return cls(
            name,
            enabled=_yes(given[0], True),
            use_defaults=_yes(given[1], True),
            form=_CODES[code],
            charset=charset,
            rich_text=_maybe(given[4]),
            list_public=_maybe(given[5]),
            fast=_maybe(given[6]),
            delegate=_maybe(given[7]),
            rest=tuple(fields[8:]),
        )

    def __str__(self) -> str:
        fields = [
            self.protocol,
            _digit(self.enabled),
            _digit(self.use_defaults),
            _CODE_OF[self.form],
            self.charset,
            _digit(self.rich_text),
            _digit(self.list_public),
            _digit(self.fast),
            _digit(self.delegate),
            *self.rest,
        ]
        return SIGN.join(fields)


def _maybe(text: str) -> bool | None:
    if text not in ("", "0", "1"):
        raise InvalidSyntax("Protocol-Settings: 0, 1 or nothing")
    return None if not text else text == "1"


def _yes(text: str, otherwise: bool) -> bool:
    found = _maybe(text)
    return otherwise if found is None else found


def _digit(value: bool | None) -> str:
    return "" if value is None else str(int(value))


def parse_all(texts: Iterable[str]) -> tuple[ProtocolSettings, ...]:
    """Each protocol once. Raises InvalidSyntax, ConstraintViolation."""
    found = tuple(ProtocolSettings.parse(text) for text in texts)
    if len({each.protocol for each in found}) != len(found):
        raise ConstraintViolation("Protocol-Settings: one value for each protocol")
    return found


def lenient(values: Iterable[bytes]) -> tuple[ProtocolSettings, ...]:
    """Of a stored entry: what cannot be read says nothing."""
    found: dict[str, ProtocolSettings] = {}
    for value in values:
        try:
            one = ProtocolSettings.parse(value.decode())
        except (InvalidSyntax, UnicodeDecodeError):
            continue
        found[one.protocol] = one
    return tuple(found.values())


def of(settings: Iterable[ProtocolSettings], protocol: str) -> ProtocolSettings:
    """What is said of one protocol; the defaults where nothing is."""
    return next((each for each in settings if each.protocol == protocol), ProtocolSettings(protocol))


def put(settings: Iterable[ProtocolSettings], one: ProtocolSettings) -> tuple[ProtocolSettings, ...]:
    """The same with one protocol's replaced."""
    return (*(each for each in settings if each.protocol != one.protocol), one)
