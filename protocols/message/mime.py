"""The MIME description of a part, from its header fields (RFC 2045, 2183, 2231, 3282, 2557).

`describe` reads the Content-* fields of a header block into a `Content`; it takes whatever
is there, and falls back to the defaults of RFC 2045 5.2 where a field says nothing usable.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from protocols.message.headers import unfold

Parameters = tuple[tuple[bytes, bytes], ...]

MAX_PARAMETERS = 100
MAX_BOUNDARY = 998
MAX_FIELD = 16_384

_TYPE = re.compile(rb"\s*([!#$%&'*+\-.^_`{|}~0-9A-Za-z]+)\s*/\s*([!#$%&'*+\-.^_`{|}~0-9A-Za-z]+)\s*")
_TOKEN = re.compile(rb"\s*([^\s;()<>@,:\"/\[\]?=\\]+)")
_PARAMETER = re.compile(rb';\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*+)"?|([^\s;"]*))', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT_STOPS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|\\.|[()]', re.DOTALL)

TEXT = b"TEXT"
PLAIN = b"PLAIN"
DEFAULT_PARAMETERS: Parameters = ((b"CHARSET", b"US-ASCII"),)


class Content:
    """What the header of a part says about its body. Names are upper case, values as sent.

    defaulted: there was no usable Content-Type, so text/plain (or message/rfc822 inside
    multipart/digest) is assumed (RFC 2046 5.1.5).
    """

    __slots__ = (
        "defaulted", "description", "disposition", "disposition_parameters", "encoding", "id", "language",
        "location", "md5", "parameters", "subtype", "type",
    )  # fmt: skip

    def __init__(self) -> None:
        self.type = TEXT
        self.subtype = PLAIN
        self.parameters: Parameters = ()
        self.encoding = b"7BIT"
        self.id: bytes | None = None
        self.description: bytes | None = None
        self.md5: bytes | None = None
        self.disposition: bytes | None = None
        self.disposition_parameters: Parameters = ()
        self.language: tuple[bytes, ...] = ()
        self.location: bytes | None = None
        self.defaulted = True

    def parameter(self, name: bytes) -> bytes | None:
        """A parameter of Content-Type by upper-case name, or None."""
        for found, value in self.parameters:
            if found == name:
                return value
        return None

    @property
    def charset(self) -> bytes:
        return self.parameter(b"CHARSET") or b""

    @property
    def boundary(self) -> bytes:
        """The boundary of a multipart, without the white space that cannot end one (RFC 2046 5.1.1)."""
        value = (self.parameter(b"BOUNDARY") or b"").rstrip()
        return value if len(value) <= MAX_BOUNDARY else b""


def describe(fields: Mapping[bytes, bytes], in_digest: bool = False) -> Content:
    """The Content of a part from its fields (`headers.first`).

    Of each field MAX_FIELD octets are looked at.
    """
    content = Content()
    value = fields.get(b"content-type")
    if value is not None:
        value = value[:MAX_FIELD]
    match = _TYPE.match(value) if value is not None else None
    if match is None and value is not None and b"(" in value:
        value = without_comments(value)
        match = _TYPE.match(value)
    if match is not None and value is not None:
        content.type = match[1].upper()
        content.subtype = match[2].upper()
        content.defaulted = False
        if match.end() < len(value):
            content.parameters = parameters(value[match.end() :])
    elif in_digest and value is None:
        content.type, content.subtype = b"MESSAGE", b"RFC822"
    else:
        content.parameters = DEFAULT_PARAMETERS
    value = fields.get(b"content-transfer-encoding")
    if value is not None:
        content.encoding = _token(value[:MAX_FIELD]) or b"7BIT"
    value = fields.get(b"content-disposition")
    if value is not None:
        value = value[:MAX_FIELD]
        content.disposition = _token(value)
        if b";" in value and content.disposition:
            content.disposition_parameters = parameters(value)
    if b"content-id" in fields:
        content.id = unfold(fields[b"content-id"][:MAX_FIELD])
    if b"content-description" in fields:
        content.description = unfold(fields[b"content-description"][:MAX_FIELD])
    if b"content-md5" in fields:
        content.md5 = unfold(fields[b"content-md5"][:MAX_FIELD])
    if b"content-language" in fields:
        tags = unfold(without_comments(fields[b"content-language"][:MAX_FIELD])).split(b",")
        content.language = tuple(tag.strip() for tag in tags[:MAX_PARAMETERS] if tag.strip())
    if b"content-location" in fields:
        # RFC 2557 4.4.2: white space inside a folded URI is not part of it.
        content.location = b"".join(fields[b"content-location"][:MAX_FIELD].split())
    return content


def _token(value: bytes) -> bytes:
    match = _TOKEN.match(value)
    if match is None:
        match = _TOKEN.match(without_comments(value))
    return match[1].upper() if match is not None else b""


def parameters(value: bytes) -> Parameters:
    """The `;name=value` list of a field value, RFC 2231 continuations joined.

    A parameter with an extended part keeps the form NAME*=charset'language'percent-encoded;
    `words.parameter` decodes it. Names are upper case; a repeated name keeps its first value.
    """
    return _short(value) if len(value) <= 48 else _parameters(value)


def _parameters(value: bytes) -> Parameters:
    if b"(" in value:
        value = without_comments(value)
    if b"\n" in value:
        value = unfold(value)
    found: dict[bytes, bytes] = {}
    for name, quoted, plain in _PARAMETER.findall(value)[:MAX_PARAMETERS]:
        if b"\\" in quoted:
            quoted = _ESCAPED.sub(rb"\1", quoted)
        found.setdefault(name.upper(), quoted or plain)
    if b"*" in value:
        for name in found:
            if b"*" in name:
                return _joined(found)
    return tuple(found.items())


_short = lru_cache(1024)(_parameters)
_SEGMENT = re.compile(rb"(.+?)\*([0-9]{1,4})(\*?)")


def _joined(found: Mapping[bytes, bytes]) -> Parameters:
    # RFC 2231 3 and 4.1: NAME*0, NAME*1* ... in numeric order until the first gap.
    segments: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    whole: dict[bytes, bytes] = {}
    for name, value in found.items():
        match = _SEGMENT.fullmatch(name)
        if match is None:
            whole[name] = value
            continue
        segments.setdefault(match[1], {}).setdefault(int(match[2]), (value, bool(match[3])))
    for name, pieces in segments.items():
        if 0 not in pieces:
            continue
        extended = any(flag for _, flag in pieces.values())
        value = b""
        number = 0
        while number in pieces:
            piece, encoded = pieces[number]
            value += piece if encoded or not extended else _percent(piece)
            number += 1
        if extended and not pieces[0][1]:
            value = b"''" + value
        whole.setdefault(name + b"*" if extended else name, value)
    return tuple(whole.items())


def _percent(value: bytes) -> bytes:
    return _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], value)


_UNSAFE = re.compile(rb"[^!#$&+\-.^_`{|}~0-9A-Za-z]")


def without_comments(value: bytes) -> bytes:
    """The value with its comments, nested ones too, taken out (RFC 5322 3.2.2)."""
    if b"(" not in value:
        return value
    depth = 0
    kept: list[bytes] = []
    mark = 0
    for match in _COMMENT_STOPS.finditer(value):
        stop = match[0]
        if stop == b"(":
            if depth == 0:
                kept.append(value[mark : match.start()])
            depth += 1
        elif stop == b")" and depth:
            depth -= 1
            if depth == 0:
                mark = match.end()
    if depth == 0:
        kept.append(value[mark:])
    return b" ".join(kept)
