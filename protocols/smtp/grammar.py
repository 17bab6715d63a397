"""Paths, parameters and arguments of SMTP commands (RFC 5321 4.1.2), from bytes to values and back.

A `Cursor` walks over one command line without its CRLF. Every production here either gives a
value or raises `BadArgument` (501 5.5.4) or `BadPath` (501/553 5.1.x); nothing else. Text is
UTF-8 (RFC 6531 3.3); whether non-ASCII is allowed at this place is the command's question,
because the permission may come after the path on the same line.
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

from protocols.errors import BadSyntax
from protocols.values import value

MAX_LOCAL = 64  # RFC 5321 4.5.3.1.1
MAX_DOMAIN = 255  # RFC 5321 4.5.3.1.2
MAX_ENCAPSULATED = 1024
MAX_PATH = 256  # RFC 5321 4.5.3.1.3, with the brackets


class BadArgument(BadSyntax):
    """An argument that is not what the command's grammar allows (501 5.5.4)."""


class BadPath(BadSyntax):
    """A path that is none (501 5.1.3 for recipients, 5.1.7 for originators)."""


@value(frozen=True, slots=True)
class Path:
    """A reverse-path or forward-path: local part without quoting, domain without its dot.

    Both empty: the null reverse-path. Only the domain empty: `<Postmaster>` (RFC 5321 4.5.1).
    A source route is dropped, as RFC 5321 F.2 tells a server to do.
    """

    local: str
    domain: str

    def __str__(self) -> str:
        if not self.domain:
            return self.local
        return f"{quote_local(self.local)}@{self.domain}"

    def __bool__(self) -> bool:
        return bool(self.local or self.domain)

    @property
    def ascii(self) -> bool:
        return self.local.isascii() and self.domain.isascii()


NULL_PATH = Path("", "")

# atext = ALPHA / DIGIT / specials (RFC 5322 3.2.3) / UTF8-non-ascii (RFC 6531 3.3)
_ATEXT = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]"
# Dot-string = Atom *("." Atom)
_DOT_STRING = _ATEXT + rb"+(?:\." + _ATEXT + rb"+)*"
# Quoted-string = DQUOTE *QcontentSMTP DQUOTE
_QUOTED = rb'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\x20-\x7e])*"'
# sub-domain = Let-dig [Ldh-str] / U-label; "_" is seen in the field and harmless
_LABEL = rb"[A-Za-z0-9_\x80-\xff](?:[A-Za-z0-9_\x80-\xff-]*[A-Za-z0-9_\x80-\xff])?"
_DOMAIN = _LABEL + rb"(?:\." + _LABEL + rb")*\.?"
# address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General ) "]"
_LITERAL = rb"\[[\x21-\x5a\x5e-\x7e]+\]"
# A-d-l = At-domain *( "," At-domain )
_ROUTE = rb"(?:@" + _DOMAIN + rb"(?:,@" + _DOMAIN + rb")*:)?"

_MAILBOX = re.compile(
    rb"<" + _ROUTE + rb"(" + _DOT_STRING + rb"|" + _QUOTED + rb")@(" + _DOMAIN + rb"|" + _LITERAL + rb")>"
)
_ROUTE_ONLY = re.compile(rb"@" + _DOMAIN + rb"(?:,@" + _DOMAIN + rb")*:")
_POSTMASTER = re.compile(rb"<(postmaster)>", re.IGNORECASE)
_DOT_STRING_TEXT = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
    r"(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*"
)
_DOMAIN_ONLY = re.compile(_DOMAIN)
_LITERAL_ONLY = re.compile(_LITERAL)
# esmtp-param = esmtp-keyword ["=" esmtp-value]
_PARAMETER = re.compile(rb" +([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\x80-\xff]+))?")
_XTEXT = re.compile(rb"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(rb"\+([0-9A-F]{2})")
# utf-8-addr-unitext: EmbeddedUnicodeChar = "\x{" HEXPOINT "}" (RFC 6533 3)
_UNICHAR = re.compile(rb"\\x\{([0-9A-F]{2,6})\}")


class Cursor:
    """A place on one command line. It does not copy: patterns match at an offset."""

    __slots__ = ("lenient", "line", "position")

    def __init__(self, line: bytes, position: int = 0, lenient: bool = False) -> None:
        self.line = line
        self.position = position
        self.lenient = lenient

    def take(self, pattern: "re.Pattern[bytes]") -> "re.Match[bytes] | None":
        match = pattern.match(self.line, self.position)
        if match is not None:
            self.position = match.end()
        return match

    def literal(self, word: bytes) -> bool:
        """Step over `word`, compared without case."""
        end = self.position + len(word)
        if self.line[self.position : end].upper() != word:
            return False
        self.position = end
        return True

    def spaces(self) -> bool:
        start = self.position
        while self.line[self.position : self.position + 1] == b" ":
            self.position += 1
        return self.position > start

    def rest(self) -> bytes:
        """What is left, without the blanks around it; the cursor is at the end afterwards."""
        text = self.line[self.position :].strip(b" \t")
        self.position = len(self.line)
        return text

    def end(self) -> None:
        if self.line[self.position :].strip(b" \t"):
            raise BadArgument("unexpected argument")


def parse_reverse_path(cursor: Cursor) -> Path:
    """Reverse-path = Path / "<>" (RFC 5321 4.1.2)."""
    return _path(cursor) or (NULL_PATH if cursor.literal(b"<>") else _no_path(cursor))


def parse_forward_path(cursor: Cursor) -> Path:
    """Forward-path = Path / "<Postmaster>", without case (RFC 5321 4.1.1.3)."""
    path = _path(cursor)
    if path is not None:
        return path
    match = cursor.take(_POSTMASTER)
    if match is not None:
        return Path(match[1].decode("ascii"), "")
    return _no_path(cursor) or _nobody()


def parse_address(text: bytes) -> Path:
    """A mailbox without its angle brackets, whole: for ORCPT, IMCEA and header addresses."""
    cursor = Cursor(b"<" + text + b">")
    path = _path(cursor)
    if path is None or cursor.position != len(cursor.line):
        raise BadPath("not an address")
    return path


def _path(cursor: Cursor) -> Path | None:
    """Path = "<" [ A-d-l ":" ] Mailbox ">"; None where there is no such thing."""
    start = cursor.position
    match = cursor.take(_MAILBOX)
    if match is None:
        return None
    raw, domain = match.group(1, 2)
    if cursor.position - start > MAX_LOCAL:
        _check_lengths(raw, domain, cursor.position - start)
    try:
        local = raw.decode("utf-8")
        name = domain.decode("utf-8")
    except UnicodeDecodeError:
        raise BadPath("not UTF-8") from None
    if raw[0] == 0x22:
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
        if not local:
            raise BadPath("empty local part")
    if name[0] == "[":
        _check_literal(name)
    elif name[-1] == ".":
        name = name[:-1]
    return Path(local, name)


def _check_lengths(raw: bytes, domain: bytes, path: int) -> None:
    # An address within an address needs more room: X.400 ones are long (ims_spec 4.4).
    longest = MAX_ENCAPSULATED if raw[:5].upper() == b"IMCEA" else MAX_LOCAL
    if len(raw) > longest or len(domain) > MAX_DOMAIN or path > MAX_PATH + max(256, longest):
        raise BadPath("path too long")


def _no_path(cursor: Cursor) -> Path:
    if cursor.lenient:
        return _malformed(cursor)
    raise BadPath("not a path")


_LOOSE_PATH = re.compile(rb"<[ \t]*([^<>]*?)[ \t]*>|([^<> \t]+)")


def _malformed(cursor: Cursor) -> Path:
    """What is no path and yet names somebody (ims_spec 5.1, AcceptMalformed821Adrs): brackets left out,
    blanks in them, characters in the local part that want quotes. The domain must be one."""
    match = cursor.take(_LOOSE_PATH)
    text = b"" if match is None else match[1] or match[2] or b""
    local, _, domain = text.rpartition(b"@")
    if not text:
        return NULL_PATH if match is not None and match[1] is not None else _nobody()
    if _ROUTE_ONLY.match(local):
        local = local.partition(b":")[2]
    try:
        name = local.strip(b" \t").decode("utf-8")
        quoted = quote_local(name.strip('"')).encode()
    except UnicodeDecodeError:
        raise BadPath("not UTF-8") from None
    if not name or not name.isprintable() or b"@" in local:
        _nobody()
    return parse_address(quoted + b"@" + domain.strip(b" \t"))


def _nobody() -> Path:
    raise BadPath("not a path")


def _check_literal(text: str) -> None:
    """IPv4 and IPv6 literals alone (RFC 5321 4.1.3); no general literal is standardised."""
    inner = text[1:-1]
    try:
        if inner[:5].upper() == "IPV6:":
            IPv6Address(inner[5:])
        else:
            IPv4Address(inner)
    except ValueError:
        raise BadPath("not an address literal") from None


def quote_local(local: str) -> str:
    """The local part as it is written: quoted only where it has to be (RFC 5321 4.1.2)."""
    if local.isalnum() or _DOT_STRING_TEXT.fullmatch(local):
        return local
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_hello(argument: bytes) -> str:
    """Domain or address-literal of EHLO and HELO (RFC 5321 4.1.1.1).

    Looser than the RFC where clients are: any run of printable characters names a client, for
    the argument is only shown, in Received and in the log, and never believed.
    """
    if not argument or len(argument) > MAX_DOMAIN:
        raise BadArgument("domain expected")
    if _DOMAIN_ONLY.fullmatch(argument) or _LITERAL_ONLY.fullmatch(argument) or _LOOSE.fullmatch(argument):
        try:
            return argument.decode("utf-8")
        except UnicodeDecodeError:
            pass
    raise BadArgument("domain expected")


_LOOSE = re.compile(rb"[A-Za-z0-9._:\[\]-]+")


def parse_node(text: bytes) -> str:
    """node-name of ETRN: a domain (RFC 1985 5.1), lower case, without its dot."""
    if len(text) > MAX_DOMAIN or not _DOMAIN_ONLY.fullmatch(text):
        raise BadArgument("domain expected")
    try:
        return text.decode("utf-8").rstrip(".").lower()
    except UnicodeDecodeError:
        raise BadArgument("domain expected") from None


def parse_parameters(cursor: Cursor) -> Mapping[bytes, bytes]:
    """Mail-parameters or Rcpt-parameters to the end of the line: upper-case keyword to value.

    A keyword without "=" has the value b"". Repeating one is an error (RFC 5321 4.1.1.11 leaves
    it open; taking the first or the last would hide a mistake).
    """
    found: dict[bytes, bytes] = {}
    line = cursor.line
    while cursor.position < len(line):
        match = cursor.take(_PARAMETER)
        if match is None:
            cursor.end()
            break
        keyword = match[1].upper()
        if keyword in found:
            raise BadArgument(f"{keyword.decode('ascii')} given twice")
        found[keyword] = match[2] or b""
    return found


def decode_xtext(value: bytes) -> bytes:
    """xtext = *( xchar / hexchar ) (RFC 3461 4)."""
    if not _XTEXT.fullmatch(value):
        raise BadArgument("not xtext")
    return _HEXCHAR.sub(lambda match: bytes([int(match[1], 16)]), value)


def encode_xtext(value: bytes) -> bytes:
    return b"".join(
        bytes([octet]) if 0x21 <= octet <= 0x7E and octet not in b"+=" else b"+%02X" % octet
        for octet in value
    )


def decode_orcpt(value: bytes) -> tuple[str, str]:
    """ORCPT = original-recipient-address = addr-type ";" xtext (RFC 3461 4.2, RFC 6533 3)."""
    kind, separator, address = value.partition(b";")
    if not separator or not re.fullmatch(rb"[A-Za-z0-9-]+", kind) or not address or len(value) > 500:
        raise BadArgument("ORCPT: type;address expected")
    if kind.lower() == b"utf-8":
        try:
            text = _UNICHAR.sub(lambda m: chr(int(m[1], 16)).encode("utf-8"), address).decode("utf-8")
        except (ValueError, OverflowError):
            raise BadArgument("ORCPT: not utf-8-address") from None
    else:
        text = decode_xtext(address).decode("utf-8", "replace")
    if not text.isprintable():
        raise BadArgument("ORCPT: not printable")
    return kind.decode("ascii"), text
