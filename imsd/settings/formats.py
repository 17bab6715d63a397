"""Formats that addresses are made by (ims_spec 4.1, 4.2).

format  = *( "%%" / "%r" x y / "%" [count] ("s" / "g" / "i" / "d" / "m") / character )
SMTP    = format "@" domain                    ; nothing before the @: %m
X.400   = 1*( key "=" value ";" )              ; without s, g, i, q and cn: s=%s;g=%g;
MS      = network "/" post-office ["/" format]
CCMAIL  = [format] ["at "] post-office         ; "%m at SITE", "at SITE", "SITE"

%s %g %i %d %m are surname, given name, middle initial, display name and alias, %3s the first three
characters of one; %rxy has y stand for x in what follows.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator

from imsd.settings.domains import normal_domain

ATEXT: Final = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~")
"""RFC 5322 3.2.3."""
DOT_ATEXT: Final = ATEXT | {"."}
PRINTABLE: Final = frozenset(string.ascii_letters + string.digits + " '()+-./:?")
"""X.208's PrintableString but for what separates the parts of an address as text."""
MS_TEXT: Final = frozenset(string.ascii_letters + string.digits + " !#$&'()+-.@^_`{}~")
CCMAIL_TEXT: Final = (MS_TEXT | {",", "/"}) - {"@"}

X400_LENGTHS: Final = {
    "c": 2, "a": 16, "p": 16, "o": 64, "ou1": 32, "ou2": 32, "ou3": 32, "ou4": 32,
    "s": 40, "g": 16, "i": 5, "q": 3, "cn": 64,
}  # fmt: skip
"""The upper bounds of X.411, in characters."""
X400_PERSONAL: Final = ("s", "g", "i", "q", "cn")
MS_LENGTH: Final = 10
CCMAIL_LENGTH: Final = 20

_TOKEN = re.compile(r"%(?:(%)|r(.)(.)|([0-9]{0,3})([sgidm]))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Text:
    """Characters that stand for themselves."""

    text: str


@dataclass(frozen=True, slots=True)
class Swap:
    """In what follows, old becomes new; nothing, if new is empty."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Name:
    """letter: of s, g, i, d, m. most: characters; 0 for all."""

    letter: str
    most: int = 0


Piece = Text | Swap | Name


def pieces(text: str) -> tuple[Piece, ...]:
    """What a format consists of. Raises ValueError."""
    made: list[Piece] = []
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            if text[position] == "%":
                raise ValueError(f"{text}: {text[position : position + 2]} is none of %s %g %i %d %m %rxy %%")
            end = text.find("%", position)
            end = len(text) if end < 0 else end
            made.append(Text(text[position:end]))
            position = end
            continue
        position = token.end()
        percent, old, new, count, letter = token.groups()
        if percent:
            made.append(Text("%"))
        elif old is not None:
            # To delete a dot would be the rule, to keep it is the documented example (15-A9).
            made.append(Swap(old, "." if old == new == "." else "" if old == new else new))
        else:
            made.append(Name(letter, int(count or 0)))
    return tuple(made)


def _check(text: str, legal: frozenset[str]) -> None:
    for piece in pieces(text):
        given = piece.text if isinstance(piece, Text) else piece.new if isinstance(piece, Swap) else ""
        wrong = "".join(sorted(set(given) - legal))
        if wrong:
            raise ValueError(f"{text}: an address cannot have {wrong!r} there")


def _smtp(text: str) -> str:
    user_format, at, domain = text.strip().rpartition("@")
    if not at:
        raise ValueError(f"{text}: a format of addresses is format@domain")
    normal_domain(domain)
    _check(user_format, DOT_ATEXT)
    return text.strip()


def x400_parts(text: str) -> list[tuple[str, str]]:
    """Keys and values, or formats of them. Raises ValueError."""
    made = []
    for part in text.split(";"):
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        key = key.strip().lower()
        if not equals or key not in X400_LENGTHS:
            raise ValueError(f"{part!r}: an X.400 address has parts such as c=US;a= ;p=Org;o=Site;")
        if key in X400_PERSONAL:
            _check(value, PRINTABLE)
        elif set(value) - PRINTABLE or not value or len(value) > X400_LENGTHS[key]:
            raise ValueError(f"{part}: up to {X400_LENGTHS[key]} letters, digits, spaces and '()+-./:?")
        made.append((key, value))
    keys = [key for key, _ in made]
    if len(keys) != len(set(keys)):
        raise ValueError(f"{text}: each part once")
    return made


def _x400(text: str) -> str:
    keys = {key for key, _ in x400_parts(text)}
    if text.strip() and not {"c", "a"} <= keys:
        raise ValueError(f"{text}: a country and an administration domain are needed: c=US;a= ;p=Org;o=Site;")
    return text.strip()


def ms_parts(text: str) -> tuple[str, str]:
    """NETWORK/POSTOFFICE, and the format of the mailbox. Raises ValueError."""
    network, _, rest = text.partition("/")
    office, slash, user_format = rest.partition("/")
    for name in (network, office):
        if not name or len(name) > MS_LENGTH or set(name) - MS_TEXT:
            raise ValueError(f"{text}: it is NETWORK/POSTOFFICE, of {MS_LENGTH} characters at most each")
    if slash:
        _check(user_format, MS_TEXT)
    return f"{network}/{office}", user_format or "%m"


def _ms(text: str) -> str:
    if text.strip():
        ms_parts(text.strip())
    return text.strip()


def ccmail_parts(text: str) -> tuple[str, str]:
    """The post office, and the format of who is there. Raises ValueError."""
    user_format, at, office = text.rpartition(" at ")
    if not at:
        office = text.removeprefix("at ")
    office = office.strip()
    if not office or len(office) > CCMAIL_LENGTH or set(office) - CCMAIL_TEXT:
        raise ValueError(f"{text}: a post office of {CCMAIL_LENGTH} characters at most is needed")
    _check(user_format, CCMAIL_TEXT)
    return office, user_format or "%m"


def _ccmail(text: str) -> str:
    if text.strip():
        ccmail_parts(text.strip())
    return text.strip()


def _domain(text: str) -> str:
    normal_domain(text)
    return text.strip()


DomainName = Annotated[str, AfterValidator(_domain)]
SmtpFormat = Annotated[str, AfterValidator(_smtp)]
X400Format = Annotated[str, AfterValidator(_x400)]
MsFormat = Annotated[str, AfterValidator(_ms)]
CcmailFormat = Annotated[str, AfterValidator(_ccmail)]
"""The types of fields of settings."""
