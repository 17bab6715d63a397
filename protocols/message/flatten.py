"""A message in a simpler form than it was composed in: for programs that cannot show it otherwise.

    plain      its text in plain; attachments as they are
    html       its text in HTML
    both       its text in both, multipart/alternative
    uuencode   one text, plain, with attachments in it between begin and end
    binhex     the same, attachments in BinHex 4.0

Nothing but the content of the message is asked, so that it comes out the same octet for octet
every time. What is signed or encrypted is never changed, nor are reports, which programs read, nor what
has the form already.
"""

import binascii
import hashlib
import html
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from protocols.message import binhex, charsets, compose, headers, transfer, words
from protocols.message.mime import parameters
from protocols.message.part import LEAF, MULTIPART, Part, Scan
from protocols.message.scan import scan
from protocols.message.text import part_text

Form = Literal["plain", "html", "both", "uuencode", "binhex"]

_TEXTS: Final = {b"PLAIN": "plain", b"HTML": "html"}
_SEALED: Final = {
    (b"MULTIPART", b"SIGNED"), (b"MULTIPART", b"ENCRYPTED"), (b"APPLICATION", b"PKCS7-MIME"),
    (b"APPLICATION", b"X-PKCS7-MIME"), (b"MULTIPART", b"REPORT"),
}  # fmt: skip
_BLANKS: Final = re.compile(r"\n[ \t\n]*\n")
_PIECE: Final = compose.HARD_LINE // 4
"""Characters that are no longer than a line may be, in whatever charset."""


@dataclass(slots=True)
class _Found:
    """plain, html: the parts that are the text. whole_html: with the pictures it shows. rest: what
    else there is; pictures: what belongs to the HTML."""

    plain: Part | None = None
    html: Part | None = None
    whole_html: Part | None = None
    pictures: list[Part] = field(default_factory=list)
    rest: list[Part] = field(default_factory=list)


def needed(tree: Scan, form: Form) -> bool:
    """Would `flatten` change this message?"""
    if any((part.content.type, part.content.subtype) in _SEALED for part in tree.walk()):
        return False
    found = _find(tree)
    if form == "plain":
        return found.html is not None
    if form == "html":
        return found.plain is not None
    if form == "both":
        return (found.plain is None) != (found.html is None)
    return found.html is not None or bool(found.rest)


def flatten(data: bytes, form: Form, charset: str = "UTF-8", wrap: int = 72) -> bytes:
    """The message in that form. wrap: characters of a line of text that was made, 0 for any number."""
    tree = scan(data)
    if not needed(tree, form):
        return data
    found = _find(tree)
    token = hashlib.sha256(data).hexdigest()[:24]
    if form in ("uuencode", "binhex"):
        entity = _one_text(data, found, form, charset, wrap)
    else:
        entity = _entities(data, found, form, charset, wrap, token)
    kept = _fields(data[: tree.root.body], described=False)
    return kept + b"MIME-Version: 1.0\r\n" + entity


def _find(tree: Scan) -> _Found:
    found = _Found()
    compounds: list[tuple[Part, list[Part]]] = []
    waiting: list[tuple[Part, Part | None]] = [(tree.root, None)]
    while waiting:
        part, related = waiting.pop()
        subtype = part.content.subtype
        if part.kind == MULTIPART and part.children:
            if subtype == b"RELATED":
                first, *pictures = part.children
                waiting.append((first, part))
                compounds.append((part, pictures))
            else:
                waiting.extend((child, related) for child in reversed(part.children))
        elif part.is_text and subtype in _TEXTS and not part.is_attachment:
            if subtype == b"PLAIN" and found.plain is None and not found.rest:
                found.plain = part
            elif subtype == b"HTML" and found.html is None and not found.rest:
                found.html, found.whole_html = part, related or part
            else:
                found.rest.append(part)
        else:
            found.rest.append(part)
    for compound, pictures in compounds:
        if compound is found.whole_html:
            found.pictures = pictures
        else:
            # Nothing that is kept has them with it.
            found.rest += pictures
    return found


def _entities(data: bytes, found: _Found, form: Form, charset: str, wrap: int, token: str) -> bytes:
    parts: list[bytes] = []
    if form in ("plain", "both"):
        parts.append(_entity(data, found.plain) if found.plain else _text(_plain(data, found, wrap), charset))
    if form in ("html", "both"):
        made = _whole_html(data, found, form, token)
        parts.append(made or _text(_as_html(data, found), charset, "html"))
    entity = parts[0]
    if len(parts) > 1:
        entity = compose.multipart("alternative", parts, compose.boundary_for(parts, f"{token}a"))
    # What stands within HTML that is kept whole is there already.
    whole = None if form == "plain" or _taken_apart(found, form) else found.whole_html
    rest = [_entity(data, part) for part in found.rest if not _within(part, whole)]
    if form == "plain":
        rest += [_entity(data, part) for part in found.pictures]
    if not rest:
        return entity
    every = [entity, *rest]
    return compose.multipart("mixed", every, compose.boundary_for(every, token))


def _whole_html(data: bytes, found: _Found, form: Form, token: str) -> bytes | None:
    """The HTML with its pictures; without the plain text that some programs put in with it."""
    part, whole = found.html, found.whole_html
    if part is None or whole is None:
        return None
    if _taken_apart(found, form):
        related = [_entity(data, each) for each in (part, *found.pictures)]
        return compose.multipart("related", related, compose.boundary_for(related, f"{token}r"))
    return _entity(data, whole)


def _taken_apart(found: _Found, form: Form) -> bool:
    """Is there plain text within the HTML with its pictures, where that is not wanted?"""
    return form == "html" and found.plain is not None and _within(found.plain, found.whole_html)


def _within(part: Part, whole: Part | None) -> bool:
    return whole is not None and whole.start <= part.start and part.stop <= whole.stop


def _entity(data: bytes, part: Part) -> bytes:
    """A part as it stands, with the fields that describe it alone."""
    body = data[part.body : part.stop]
    end = b"" if body.endswith(b"\r\n") or not body else b"\r\n"
    return _fields(data[part.start : part.body], described=True) + b"\r\n" + body + end


def _fields(header: bytes, described: bool) -> bytes:
    """The fields that describe a body (RFC 2045 9), or all the others but MIME-Version."""
    kept = []
    for each in headers.fields(header):
        name = each.name.upper()
        if name.startswith(b"CONTENT-") is described and name != b"MIME-VERSION":
            raw = header[each.start : each.stop]
            kept.append(raw if raw.endswith(b"\n") else raw + b"\r\n")
    return b"".join(kept)


def _plain(data: bytes, found: _Found, wrap: int) -> str:
    part = found.plain or found.html
    if part is None:
        return ""
    text = part_text(part, data[part.body : part.stop]).replace("\r\n", "\n").replace("\r", "\n")
    if part is found.html:
        text = _BLANKS.sub("\n\n", "\n".join(line.strip() for line in text.split("\n"))).strip("\n") + "\n"
    elif found.plain is not None:
        return text
    return _wrapped(text, wrap)


def _wrapped(text: str, wrap: int) -> str:
    if not wrap:
        return text
    lines: list[str] = []
    for line in text.split("\n"):
        at, size = 0, len(line)
        while size - at > wrap:
            cut = line.rfind(" ", at + 1, at + wrap + 1)
            if cut < 0:
                cut = line.find(" ", at + wrap)
            if cut < 0:
                break
            lines.append(line[at:cut].rstrip())
            at = cut + 1
            while at < size and line[at].isspace():
                at += 1
        lines.append(line[at:])
    return "\n".join(lines)


def _short(text: str, wrap: int) -> str:
    """The same in lines that every server takes (RFC 5321 4.5.3.1.6), where no encoding makes them short."""
    return "\n".join(
        line[at : at + _PIECE]
        for line in _wrapped(text, wrap or compose.LINE).split("\n")
        for at in range(0, max(len(line), 1), _PIECE)
    )


def _as_html(data: bytes, found: _Found) -> str:
    text = html.escape(_plain(data, found, 0), quote=False)
    return f'<html><body><div style="white-space: pre-wrap">{text}</div></body></html>\n'


def _encoded(text: str, charset: str) -> tuple[bytes, str]:
    """Octets with CRLF, and the charset: the wanted one, or UTF-8 where that cannot hold the text."""
    lines = text.replace("\r\n", "\n").replace("\n", "\r\n")
    if lines and not lines.endswith("\r\n"):
        lines += "\r\n"
    if lines.isascii():
        return lines.encode(), "us-ascii"
    try:
        name = charsets.codec(charset)
        # Charsets in which CR and LF are not what they are in ASCII cannot be a body as it stands.
        if name is not None and "\r\n".encode(name) == b"\r\n":
            return lines.encode(name), charset
    except (UnicodeEncodeError, LookupError):
        pass
    return lines.encode("utf-8", "replace"), "utf-8"


def _text(text: str, charset: str, subtype: str = "plain") -> bytes:
    body, name = _encoded(text, charset)
    encoding = b"7bit"
    if not body.isascii() or any(len(line) > compose.LINE for line in body.split(b"\r\n")):
        encoding, body = b"quoted-printable", compose.quoted_printable(body)
    return (
        f"Content-Type: text/{subtype}; charset={name}\r\n".encode()
        + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body
    )  # fmt: skip


# Attachments in the text -----------------------------------------------------------------


def _one_text(data: bytes, found: _Found, form: Form, charset: str, wrap: int) -> bytes:
    text = _plain(data, found, wrap)
    body, name = _encoded(text, charset)
    if any(len(line) > compose.HARD_LINE for line in body.split(b"\r\n")):
        body, name = _encoded(_short(text, wrap), charset)
    pieces = [body]
    for number, part in enumerate([*found.rest, *found.pictures], 1):
        title = _name(data, part, number)
        content = _content(data, part)
        encoded = binhex.encode(title, content) if form == "binhex" else _uuencoded(title, content)
        pieces += [b"\r\n", encoded]
    whole = b"".join(pieces)
    encoding = b"7bit" if whole.isascii() else b"8bit"
    return (
        f"Content-Type: text/plain; charset={name}\r\n".encode()
        + b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + whole
    )  # fmt: skip


def _content(data: bytes, part: Part) -> bytes:
    body = data[part.body : part.stop]
    if part.kind != LEAF:
        return body
    try:
        return transfer.decode(body, part.content.encoding)
    except transfer.UnknownEncoding:
        return body


def _name(data: bytes, part: Part, number: int) -> str:
    """A file name without folders, blanks at its ends or what ends a line."""
    fields = headers.first(data[part.start : part.body])
    for name, parameter in ((b"content-disposition", b"FILENAME"), (b"content-type", b"NAME")):
        value = fields.get(name)
        if value is None:
            continue
        _, _, listed = headers.unfold(value).partition(b";")
        text = words.parameter(parameters(b";" + listed), parameter) or ""
        text = re.sub(r"[\x00-\x1f\x7f]", "", text).replace("\\", "/").rpartition("/")[2].strip()
        if text:
            return text[:100]
    return f"attachment-{number}{'.eml' if part.content.type == b'MESSAGE' else ''}"


def _uuencoded(name: str, data: bytes) -> bytes:
    """begin 644 name ... end (POSIX uuencode, with ` for zero)."""
    title = name.encode("ascii", "replace").replace(b"?", b"_")
    lines = [b"begin 644 " + title + b"\r\n"]
    lines += [
        binascii.b2a_uu(data[at : at + 45], backtick=True).rstrip(b"\n") + b"\r\n"
        for at in range(0, len(data), 45)
    ]
    return b"".join([*lines, b"`\r\nend\r\n"])
