"""Building messages: folded fields, text and multipart entities, reports, message ids.

An entity is bytes: its fields, an empty line, its body, CRLF everywhere. What is built here
is valid whatever text is given: line ends and NULs inside values go, long lines are folded
or encoded, text beyond ASCII becomes encoded words or UTF-8 quoted-printable.
"""

import binascii
import re
from collections.abc import Sequence

from protocols.message import words

LINE = 78  # RFC 5322 2.1.1: no more than 78 characters should stand on a line
HARD_LINE = 998

_ATOM = re.compile(r"[!#-'*+\-/-9=?A-Z^-~]+(?: [!#-'*+\-/-9=?A-Z^-~]+)*")
_TOKEN = re.compile(rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")
_EXTENDED = re.compile(rb"[^!#$&+\-.0-9A-Z^_`a-z{|}~]")  # attribute-char of RFC 2231 7
_LINE_END = re.compile(r"\r\n|\r|\n")
_CONTROLS = re.compile(rb"[\0\r\n]+")


def field(name: str, value: str) -> bytes:
    """An unstructured field (Subject and the like), encoded where needed, folded (RFC 5322 2.2.3)."""
    return raw_field(name, words.encode(value, used=len(name) + 2))


def raw_field(name: str, value: bytes) -> bytes:
    """A field whose value is ready, folded at white space where it is too long."""
    lines: list[bytes] = []
    for piece in value.split(b"\r\n"):
        lines.append(_CONTROLS.sub(b" ", piece))
    folded: list[bytes] = []
    line = name.encode("ascii") + b":"
    for index, piece in enumerate(lines):
        if index:
            folded.append(line)
            line = b""
        for word in piece.split(b" "):
            if not word:
                continue
            if len(line) + 1 + len(word) > LINE and line.strip() and not line.endswith(b":"):
                folded.append(line)
                line = b""
            line += b" " + word
    folded.append(line)
    return b"\r\n".join(folded) + b"\r\n"


def mailbox(spec: str, name: str = "") -> bytes:
    """A mailbox of an address field: display name, quoted or encoded where needed, and address."""
    clean = "".join(c for c in spec if c not in "\r\n\0<>").encode("utf-8", "replace")
    name = " ".join(name.split())
    if not name:
        return b"<" + clean + b">"
    if _ATOM.fullmatch(name) and "=?" not in name:
        shown = name.encode("ascii")
    elif name.isascii() and name.isprintable() and "=?" not in name:
        shown = b'"' + name.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'
    else:
        shown = words.encode(name)
    return shown + b" <" + clean + b">"


def message_id(domain: str, token: str) -> bytes:
    """<token@domain>; the caller makes the token unique (RFC 5322 3.6.4)."""
    return f"<{token}@{domain}>".encode("ascii", "replace")


def parameter(name: str, value: str) -> bytes:
    """`; name=value`, quoted or in the extended form of RFC 2231 4 where needed."""
    octets = value.encode("utf-8", "replace")
    if _TOKEN.fullmatch(octets):
        return b"; " + name.encode("ascii") + b"=" + octets
    if octets.isascii() and value.isprintable():
        return b"; " + name.encode("ascii") + b'="' + re.sub(rb'(["\\])', rb"\\\1", octets) + b'"'
    encoded = _EXTENDED.sub(lambda match: b"%%%02X" % match[0][0], octets)
    return b"; " + name.encode("ascii") + b"*=UTF-8''" + encoded


def text(content: str, subtype: str = "plain", *, fields: Sequence[bytes] = ()) -> bytes:
    """A text entity: 7bit when it is ASCII in short lines, else UTF-8 quoted-printable."""
    body = "\r\n".join(_LINE_END.split(content.replace("\0", ""))).encode("utf-8", "replace")
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    short = all(len(line) <= LINE for line in body.split(b"\r\n"))
    charset, encoding = ("us-ascii", "7bit") if body.isascii() and short else ("utf-8", "quoted-printable")
    if encoding == "quoted-printable":
        body = quoted_printable(body)
    head = [
        f"Content-Type: text/{subtype}; charset={charset}\r\n".encode("ascii"),
        f"Content-Transfer-Encoding: {encoding}\r\n".encode("ascii"),
    ]
    return b"".join(head) + b"".join(fields) + b"\r\n" + body


def quoted_printable(body: bytes) -> bytes:
    """CRLF text encoded (RFC 2045 6.7): lines of at most 76, no white space at their ends."""
    lines = []
    for line in body.split(b"\r\n"):
        lines.append(binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n"))
    return b"\r\n".join(lines)


def base64(body: bytes) -> bytes:
    """Any octets in lines of 76 (RFC 2045 6.8)."""
    return b"".join(
        binascii.b2a_base64(body[at : at + 57], newline=False) + b"\r\n" for at in range(0, len(body), 57)
    )


def entity(content_type: str, body: bytes, *, fields: Sequence[bytes] = ()) -> bytes:
    """An entity whose body goes as it is."""
    return f"Content-Type: {content_type}\r\n".encode("ascii") + b"".join(fields) + b"\r\n" + body


def multipart(
    subtype: str, parts: Sequence[bytes], boundary: str, *, parameters: bytes = b"", preamble: bytes = b""
) -> bytes:
    """A multipart entity of entities. boundary must not occur in them: see `boundary_for`."""
    mark = boundary.encode("ascii")
    kind = subtype.encode("ascii")
    head = b'Content-Type: multipart/%b%b;\r\n boundary="%b"\r\n\r\n' % (kind, parameters, mark)
    pieces = [head, preamble]
    for part in parts:
        # The line end before a delimiter belongs to it: a part that ends a line needs one more.
        pieces += (b"--", mark, b"\r\n", part, b"\r\n")
    pieces += (b"--", mark, b"--\r\n")
    return b"".join(pieces)


def boundary_for(parts: Sequence[bytes], token: str) -> str:
    """A boundary made from a random token that occurs in none of the parts."""
    boundary = f"=_{token}"
    number = 0
    while any(boundary.encode("ascii") in part for part in parts):
        number += 1
        boundary = f"=_{token}_{number}"
    return boundary


def message(fields: Sequence[bytes], content: bytes) -> bytes:
    """A message: its fields, MIME-Version, and an entity."""
    return b"".join(fields) + b"MIME-Version: 1.0\r\n" + content
