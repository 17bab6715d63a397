"""Distinguished names (RFC 4514): parsed, formatted, normalised, compared.

`parse` keeps the writing of types and values; `DN.normal` is a key: two names of the same
entry have the same one (types by their short names, values prepared by caseIgnoreMatch, AVAs
of one RDN in order). Values are str; a #hexstring must hold a BER string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from protocols.errors import BadSyntax
from protocols.ldap.preparation import Unprepared, canonical

MAX_LENGTH: Final = 8192
"""Characters of one DN; longer ones are refused before they are looked at."""
MAX_RDNS: Final = 64

# descr = keystring / numericoid (RFC 4512 1.4)
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*|(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_SIMPLE: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*)=([A-Za-z0-9@._-]+(?: [A-Za-z0-9@._-]+)*)")
"""An RDN with nothing to unescape, as nearly all are."""

SHORT_NAMES: Final[dict[str, str]] = {
    # RFC 4514 3, and the names of RFC 4519 for them.
    "commonname": "cn", "2.5.4.3": "cn",
    "localityname": "l", "2.5.4.7": "l",
    "stateorprovincename": "st", "2.5.4.8": "st",
    "organizationname": "o", "2.5.4.10": "o",
    "organizationalunitname": "ou", "2.5.4.11": "ou",
    "countryname": "c", "2.5.4.6": "c",
    "streetaddress": "street", "2.5.4.9": "street",
    "domaincomponent": "dc", "0.9.2342.19200300.100.1.25": "dc",
    "userid": "uid", "0.9.2342.19200300.100.1.1": "uid",
    "surname": "sn", "2.5.4.4": "sn",
    "rfc822mailbox": "mail", "0.9.2342.19200300.100.1.3": "mail",
}  # fmt: skip

_RUN: Final = re.compile(r"[^\0\\\",;+<>]+")
"""Characters of a value that stand for themselves."""
_QUOTED_RUN: Final = re.compile(r"[^\0\\\"]+")

_ESCAPED: Final = {ord(c): "\\" + c for c in '"+,;<>\\'} | {0: "\\00"}


class BadDN(BadSyntax):
    """Text that is no distinguished name."""


@dataclass(frozen=True, slots=True)
class AVA:
    """One type and value, as written."""

    type: str
    value: str

    def __str__(self) -> str:
        return f"{self.type}={escape(self.value)}"

    @property
    def normal(self) -> str:
        kind = self.type.lower()
        try:
            value = canonical(self.value)
        except Unprepared as error:
            raise BadDN(error.what) from None
        return f"{SHORT_NAMES.get(kind, kind)}={escape(value)}"


@dataclass(frozen=True, slots=True)
class RDN:
    """One or more AVAs; compared by `normal`, as DN is."""

    avas: tuple[AVA, ...] = field(compare=False)
    normal: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        avas = self.avas
        normal = avas[0].normal if len(avas) == 1 else "+".join(sorted(ava.normal for ava in avas))
        object.__setattr__(self, "normal", normal)

    def __str__(self) -> str:
        return "+".join(map(str, self.avas))

    @property
    def type(self) -> str:
        """The type of the first AVA, which is the only one of nearly all RDNs."""
        return self.avas[0].type

    @property
    def value(self) -> str:
        return self.avas[0].value


@dataclass(frozen=True, slots=True)
class DN:
    """RDNs, the entry's own first. The empty name is the root's."""

    rdns: tuple[RDN, ...] = field(compare=False)
    normal: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "normal", ",".join([rdn.normal for rdn in self.rdns]))

    def __str__(self) -> str:
        return ",".join(map(str, self.rdns))

    def __bool__(self) -> bool:
        return bool(self.rdns)

    def __len__(self) -> int:
        return len(self.rdns)

    @property
    def rdn(self) -> RDN:
        return self.rdns[0]

    @property
    def parent(self) -> DN:
        return DN(self.rdns[1:])

    def child(self, rdn: RDN) -> DN:
        return DN((rdn, *self.rdns))

    def under(self, ancestor: DN) -> bool:
        """Whether this is `ancestor` or below it."""
        depth = len(self.rdns) - len(ancestor.rdns)
        return depth >= 0 and self.rdns[depth:] == ancestor.rdns

    def ancestors(self) -> Iterator[DN]:
        """The parent, its parent, and so on, without the root."""
        for depth in range(1, len(self.rdns)):
            yield DN(self.rdns[depth:])


ROOT: Final = DN(())


def escape(value: str) -> str:
    """RFC 4514 2.4: escape what needs it and nothing else."""
    text = value.translate(_ESCAPED)
    if text.startswith((" ", "#")):
        text = "\\" + text
    if text.endswith(" ") and text != "\\ ":
        text = text[:-1] + "\\ "
    return text


def rdn(**avas: str) -> RDN:
    """rdn(cn="Smith, John")."""
    return RDN(tuple(AVA(kind, value) for kind, value in avas.items()))


@lru_cache(maxsize=4096)
def parse(text: str) -> DN:
    """A DN from text; raises BadDN. Spaces around separators are dropped (RFC 2253 4).

    RFC 4514, wider: also ";" between RDNs and quoted values of RFC 1779, as older clients
    write them.
    """
    if len(text) > MAX_LENGTH:
        raise BadDN(f"a DN of at most {MAX_LENGTH} characters", MAX_LENGTH)
    if not text.strip(" "):
        return ROOT
    rdns: list[RDN] = []
    position = 0
    while True:
        simple = _SIMPLE.match(text, position)
        stop = simple.end() if simple else 0
        if simple and (stop == len(text) or text[stop] == ","):
            rdns.append(_plain(simple[1], simple[2]))
        else:
            avas, stop = _rdn(text, position)
            rdns.append(RDN(tuple(avas)))
        if len(rdns) > MAX_RDNS:
            raise BadDN(f"a DN of at most {MAX_RDNS} RDNs", stop)
        if stop == len(text):
            return DN(tuple(rdns))
        position = stop + 1


@lru_cache(maxsize=1024)
def _plain(kind: str, value: str) -> RDN:
    """The same few stand at the end of most names."""
    return RDN((AVA(kind, value),))


def parse_rdn(text: str) -> RDN:
    """Exactly one RDN, as newrdn is; raises BadDN."""
    name = parse(text)
    if len(name.rdns) != 1:
        raise BadDN("one RDN")
    return name.rdns[0]


def _rdn(text: str, position: int) -> tuple[list[AVA], int]:
    avas: list[AVA] = []
    while True:
        position = _skip(text, position)
        kind = _TYPE.match(text, position)
        if kind is None:
            raise BadDN("an attribute type", position)
        position = _skip(text, kind.end())
        if text[position : position + 1] != "=":
            raise BadDN("'='", position)
        value, position = _value(text, _skip(text, position + 1))
        avas.append(AVA(kind[0], value))
        if position == len(text) or text[position] in ",;":
            return avas, position
        if text[position] != "+":
            raise BadDN("',' or '+'", position)
        position += 1


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] == " ":
        position += 1
    return position


def _value(text: str, position: int) -> tuple[str, int]:
    if text.startswith("#", position):
        return _hexstring(text, position + 1)
    quoted = text.startswith('"', position)
    start = position = position + quoted
    octets = bytearray()
    kept = 0  # octets that trailing spaces must not take away: escaped ones
    plain = _QUOTED_RUN if quoted else _RUN
    while position < len(text):
        run = plain.match(text, position)
        if run is not None:
            octets += run[0].encode("utf-8", "surrogatepass")
            position = run.end()
            continue
        c = text[position]
        if quoted and c == '"':
            return _utf8(octets, start), _skip(text, position + 1)
        if not quoted and c in ",;+":
            break
        if c != "\\":
            raise BadDN("an escaped character", position)
        octet, position = _pair(text, position + 1)
        octets += octet
        kept = len(octets)
    if quoted:
        raise BadDN("a closing quote", position)
    while len(octets) > kept and octets[-1] == 0x20:
        del octets[-1]
    return _utf8(octets, start), position


def _pair(text: str, position: int) -> tuple[bytes, int]:
    c = text[position : position + 1]
    if c and c in ' "#+,;<=>\\':
        return c.encode(), position + 1
    return _octet(text, position), position + 2


def _octet(text: str, position: int) -> bytes:
    pair = text[position : position + 2]
    if len(pair) == 2 and all(c in "0123456789abcdefABCDEF" for c in pair):
        return bytes.fromhex(pair)
    raise BadDN("two hexadecimal digits", position)


def _hexstring(text: str, position: int) -> tuple[str, int]:
    start = position
    octets = bytearray()
    while position < len(text) and text[position] not in ",;+ ":
        octets += _octet(text, position)
        position += 2
    # Tags of strings: OCTET STRING, UTF8String, PrintableString, IA5String, TeletexString.
    if len(octets) < 2 or octets[0] not in b"\x04\x0c\x13\x16\x14" or octets[1] != len(octets) - 2:
        raise BadDN("the BER encoding of a string", start)
    return _utf8(octets[2:], start), _skip(text, position)


def _utf8(octets: bytearray, position: int) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise BadDN("UTF-8", position) from None
