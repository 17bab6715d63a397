"""Proxy addresses: what they look like, and how they are generated (ims_spec 4).

proxy = type ":" value        ; the type in capitals: primary, in small letters: secondary

user format (ims_spec 4.2):
%s %g %i %d %m   surname, given name, middle initial, display name, alias
%<n>s ...        the first n characters
%rxy             in what follows, x becomes y; x = y deletes x, but a dot is kept
%%               a percent sign
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from imsd.directory.canonical import canonical_address, canonical_domain, spelled_address
from imsd.errors import AttributeOrValueExists, ConstraintViolation, InvalidSyntax, LimitReached
from imsd.store.entries import NameKind
from protocols.ldap import preparation

MOST_PROXIES = 500
"""Addresses of one recipient."""

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}\Z")
# atext of RFC 5322 3.2.3; a dot stays only where the format says so.
_ATEXT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~")
_DOT_ATEXT = _ATEXT | {"."}
_TOKEN = re.compile(r"%(?:(%)|r(.)(.)|([0-9]{0,3})([sgidm]))", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Proxy:
    """One address. type: in capitals."""

    type: str
    value: str
    primary: bool

    def __str__(self) -> str:
        return f"{self.type if self.primary else self.type.lower()}:{self.value}"

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Raises InvalidSyntax."""
        kind, colon, value = text.partition(":")
        if not colon or not _TYPE.match(kind):
            raise InvalidSyntax("An address is TYPE:value")
        return cls.of(kind, value, kind.isupper())

    @classmethod
    def of(cls, kind: str, value: str, primary: bool) -> Proxy:
        """Raises InvalidSyntax."""
        if not _TYPE.match(kind) or not value or "\0" in value:
            raise InvalidSyntax("An address is TYPE:value")
        if kind.upper() == "SMTP":
            value = spelled_address(value)
        return cls(kind.upper(), value, primary)

    @property
    def name(self) -> str:
        """What is unique in the organisation. No domain holds a colon outside brackets."""
        if self.type == "SMTP":
            return canonical_address(self.value)
        return f"{preparation.canonical(self.value)}@:{self.type.lower()}"

    @property
    def kind(self) -> NameKind:
        if self.type != "SMTP":
            return NameKind.FOREIGN
        return NameKind.PRIMARY if self.primary else NameKind.SECONDARY


def ordered(proxies: Iterable[Proxy]) -> tuple[Proxy, ...]:
    """Primary SMTP first, then the others as they are; checked.

    Raises AttributeOrValueExists for one that is there twice, ConstraintViolation for two
    primary ones of a type, LimitReached.
    """
    listed = sorted(proxies, key=lambda proxy: (proxy.type != "SMTP", not proxy.primary))
    if len(listed) > MOST_PROXIES:
        raise LimitReached("Too many addresses")
    primaries = [proxy.type for proxy in listed if proxy.primary]
    if len(primaries) != len(set(primaries)):
        raise ConstraintViolation("One primary address of each type")
    names = [proxy.name for proxy in listed]
    if len(names) != len(set(names)):
        raise AttributeOrValueExists("The entry has the address already")
    return tuple(listed)


@dataclass(frozen=True, slots=True)
class Naming:
    """What addresses are generated from."""

    alias: str
    display: str = ""
    given: str = ""
    surname: str = ""
    initials: str = ""


def local_part(user_format: str, naming: Naming) -> str:
    """The local part a format makes; the alias for an empty format; "" if nothing is left."""
    values = {
        "s": naming.surname,
        "g": naming.given,
        "i": naming.initials,
        "d": naming.display,
        "m": naming.alias,
    }
    swaps: dict[str, str] = {}
    made: list[str] = []
    position = 0
    user_format = user_format or "%m"
    for token in _TOKEN.finditer(user_format):
        made.append(user_format[position : token.start()])
        position = token.end()
        percent, old, new, count, letter = token.groups()
        if percent:
            made.append("%")
        elif old is not None:
            # Deleting a dot would be the rule, keeping it is the documented example (15-A9).
            swaps[old] = "." if old == new == "." else "" if old == new else new
        else:
            # A dot in an alias is meant; elsewhere it is punctuation.
            legal = _DOT_ATEXT if letter == "m" else _ATEXT
            text = "".join(_swapped(character, swaps, legal) for character in _plain(values[letter]))
            made.append(text[: int(count)] if count else text)
    made.append(user_format[position:])
    return ".".join(filter(None, "".join(made).split(".")))


def _swapped(character: str, swaps: dict[str, str], legal: frozenset[str]) -> str:
    if character in swaps:
        return swaps[character]
    return character if character in legal else ""


def _plain(text: str) -> str:
    """Letters without their marks."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def generate(template: str, naming: Naming, taken: Callable[[str], bool]) -> Proxy:
    """A new primary address by `format@domain`; a number is appended while it is taken.

    Raises InvalidSyntax for a template without a domain, ConstraintViolation when nothing
    is left of the name.
    """
    user_format, at, domain = template.rpartition("@")
    if not at:
        raise InvalidSyntax("A format of addresses is format@domain")
    domain = canonical_domain(domain)
    local = local_part(user_format, naming) or local_part("%m", naming)
    if not local:
        raise ConstraintViolation("No address can be made of this name")
    local = local[:60]
    for number in range(1, 10_000):
        address = f"{local}{number if number > 1 else ''}@{domain}"
        if not taken(canonical_address(address)):
            return Proxy("SMTP", address, True)
    raise LimitReached("Too many addresses of this name")


def generate_ms(place: str, naming: Naming, taken: Callable[[str], bool]) -> Proxy:
    """A Microsoft Mail address, NETWORK/POSTOFFICE/USER, of ten characters each."""
    return _numbered("MS", f"{place}/", _plain(naming.alias), 10, "", taken)


def generate_ccmail(place: str, naming: Naming, taken: Callable[[str], bool]) -> Proxy:
    """A cc:Mail address, user at POSTOFFICE."""
    return _numbered("CCMAIL", "", _plain(naming.alias), 60, f" at {place}", taken)


def _numbered(
    kind: str, before: str, name: str, most: int, behind: str, taken: Callable[[str], bool]
) -> Proxy:
    for number in range(1, 10_000):
        digits = str(number) if number > 1 else ""
        made = Proxy(kind, f"{before}{name[: most - len(digits)]}{digits}{behind}", True)
        if not taken(made.name):
            return made
    raise LimitReached("Too many addresses of this name")


def generate_x400(partial: str, naming: Naming) -> Proxy:
    """An X.400 address as text: the site's part with surname and given name."""
    surname = _x400_value(naming.surname or naming.alias)
    given = _x400_value(naming.given)
    text = f"{partial.rstrip(';')};s={surname};" + (f"g={given};" if given else "")
    return Proxy("X400", text, True)


def _x400_value(text: str) -> str:
    return re.sub(r"[;=,]", "", text)[:40]
