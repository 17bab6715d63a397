"""Proxy addresses: what they look like, and how they are generated (ims_spec 4).

proxy = type ":" value        ; the type in capitals: primary, in small letters: secondary

`imsd.settings.formats` has the formats that they are made by.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from imsd.directory.canonical import canonical_address, canonical_domain, spelled_address
from imsd.errors import AttributeOrValueExists, ConstraintViolation, InvalidSyntax, LimitReached
from imsd.settings import formats
from imsd.store.entries import NameKind
from protocols.ldap import preparation

MOST_PROXIES = 500
"""Addresses of one recipient."""
_LONGEST = 60
"""Characters of a name that is made; a number goes behind it."""

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}\Z")
# Letters that are no others with a mark, as passports and address books write them.
_LETTERS = str.maketrans(
    {
        "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "đ": "d",
        "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ł": "l", "Ł": "L", "ħ": "h", "Ħ": "H",
        "ı": "i", "ŋ": "ng", "Ŋ": "Ng", "ŧ": "t", "Ŧ": "T", "’": "'",
    }
)  # fmt: skip


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
    if len(names) > 1 and len(names) != len(set(names)):
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
    made = _made(user_format or "%m", naming, formats.DOT_ATEXT, formats.ATEXT)
    return ".".join(filter(None, made.split(".")))


def _made(user_format: str, naming: Naming, legal: frozenset[str], of_names: frozenset[str]) -> str:
    """legal: characters of what is made. of_names: those of names but the alias, where a dot is
    punctuation and not meant. Raises InvalidSyntax."""
    values = {
        "s": naming.surname,
        "g": naming.given,
        "i": naming.initials,
        "d": naming.display,
        "m": naming.alias,
    }
    try:
        pieces = formats.pieces(user_format)
    except ValueError as error:
        raise InvalidSyntax(str(error)) from None
    swaps: dict[str, str] = {}
    made: list[str] = []
    for piece in pieces:
        match piece:
            case formats.Text(text):
                made.extend(character for character in text if character in legal)
            case formats.Swap(old, new):
                swaps[old] = new if new in legal else ""
            case formats.Name(letter, most):
                kept = legal if letter == "m" else of_names
                text = "".join(
                    swaps.get(character, character if character in kept else "")
                    for character in _plain(values[letter], swaps)
                )
                made.append(text[:most] if most else text)
    return "".join(made)


def _plain(text: str, swaps: Iterable[str] = ()) -> str:
    """Letters without their marks, in the alphabet of addresses where there is one for them."""
    # What the format itself replaces is left as it is: %rüu before the mark is lost.
    return "".join(
        character if character in swaps else _unmarked(character)
        for character in unicodedata.normalize("NFC", text)
    )


def _unmarked(character: str) -> str:
    if character.isascii():
        return character
    plain = unicodedata.normalize("NFKD", character.translate(_LETTERS))
    return "".join(c for c in plain if not unicodedata.combining(c))


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
    local = local[:_LONGEST].rstrip(".")
    return _free("SMTP", lambda digits: f"{local}{digits}@{domain}", taken)


def generate_ms(site: str, naming: Naming, taken: Callable[[str], bool]) -> Proxy | None:
    """A Microsoft Mail address, NETWORK/POSTOFFICE/USER, of ten characters each; None of a name that
    makes none."""
    place, user_format = formats.ms_parts(site)
    return _within(
        "MS", f"{place}/", user_format, naming, formats.MS_TEXT, formats.MS_LENGTH, "", taken
    )  # fmt: skip


def generate_ccmail(site: str, naming: Naming, taken: Callable[[str], bool]) -> Proxy | None:
    """A cc:Mail address, user at POSTOFFICE; None of a name that makes none."""
    place, user_format = formats.ccmail_parts(site)
    return _within(
        "CCMAIL", "", user_format, naming, formats.CCMAIL_TEXT, _LONGEST, f" at {place}", taken
    )  # fmt: skip


def _within(
    kind: str,
    before: str,
    user_format: str,
    naming: Naming,
    legal: frozenset[str],
    most: int,
    behind: str,
    taken: Callable[[str], bool],
) -> Proxy | None:
    name = _made(user_format, naming, legal, legal).strip() or _made("%m", naming, legal, legal).strip()
    if not name:
        return None
    return _free(kind, lambda digits: f"{before}{name[: most - len(digits)].strip()}{digits}{behind}", taken)


def generate_x400(site: str, naming: Naming, taken: Callable[[str], bool]) -> Proxy | None:
    """An X.400 address as text: the site's part with surname and given name; None of a name that makes
    none. A number is appended to the surname while it is taken."""
    parts = formats.x400_parts(site)
    if not any(key in formats.X400_PERSONAL for key, _ in parts):
        parts += [("s", "%s"), ("g", "%g")]
    legal = formats.PRINTABLE
    made: dict[str, str] = {}
    for key, text in parts:
        personal = key in formats.X400_PERSONAL
        value = _made(text, naming, legal, legal).strip() if personal else text
        if not value and key in ("s", "cn"):
            value = _made("%m", naming, legal, legal).strip()
        if value or not personal:
            made[key] = value[: formats.X400_LENGTHS[key]]
    counted = next((key for key in ("s", "cn", "g") if key in made), None)
    if counted is None:
        return None

    def text_of(digits: str) -> str:
        short = made[counted][: formats.X400_LENGTHS[counted] - len(digits)]
        return "".join(
            f"{key}={short.strip() + digits if key == counted else value};" for key, value in made.items()
        )

    return _free("X400", text_of, taken)


def _free(kind: str, made: Callable[[str], str], taken: Callable[[str], bool]) -> Proxy:
    """The first that is nobody's. made: an address with a number, or "", in it."""
    for number in range(1, 10_000):
        proxy = Proxy(kind, made(str(number) if number > 1 else ""), True)
        if not taken(proxy.name):
            return proxy
    raise LimitReached("Too many addresses of this name")
