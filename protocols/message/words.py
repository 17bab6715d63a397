"""Encoded words in header values and extended parameters (RFC 2047, RFC 2231)."""

import binascii
import re
import string
from urllib.parse import unquote_to_bytes

from protocols.message import charsets
from protocols.message.headers import unfold
from protocols.message.mime import Parameters

# encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="
# Wider than RFC 2047: spaces in the text, and any length, are read because senders write them.
_WORD = re.compile(rb"=\?([!-)+->@-~]{1,60})(?:\*[^?\s]*)?\?([bBqQ])\?([^?\r\n]*)\?=")
_BETWEEN = re.compile(rb"[ \t\r\n]*")
_Q = re.compile(rb"=([0-9A-Fa-f]{2})")
_NOT_BASE64 = bytes(set(range(256)) - set((string.ascii_letters + string.digits + "+/").encode()))

MAX_WORD = 75


def decode(value: bytes) -> str:
    """A header value as text: unfolded, encoded words decoded, raw octets guessed. Never raises.

    White space between two encoded words is not shown (RFC 2047 6.2); neighbours in one
    charset are joined before decoding, for senders that cut a character in two.
    """
    value = unfold(value)
    if b"=?" not in value:
        return value.decode("ascii") if value.isascii() else charsets.guess(value)
    pieces: list[str] = []
    pending = bytearray()
    charset = b""
    at = 0
    for match in _WORD.finditer(value):
        between = value[at : match.start()]
        if pending and (_BETWEEN.fullmatch(between) is None or match[1].lower() != charset):
            pieces.append(charsets.decode(bytes(pending), charset.decode("ascii")))
            pending.clear()
            if _BETWEEN.fullmatch(between) is None:
                pieces.append(charsets.guess(between))
        elif not pending and (at == 0 or between.strip()):
            pieces.append(charsets.guess(between))
        charset = match[1].lower()
        pending += _q(match[3]) if match[2] in b"qQ" else _b(match[3])
        at = match.end()
    if pending:
        pieces.append(charsets.decode(bytes(pending), charset.decode("ascii")))
    pieces.append(charsets.guess(value[at:]))
    return "".join(pieces).replace("\r", "").replace("\n", "").replace("\0", "")


def _q(text: bytes) -> bytes:
    text = text.replace(b"_", b" ")
    return _Q.sub(lambda match: bytes((int(match[1], 16),)), text) if b"=" in text else text


def _b(text: bytes) -> bytes:
    return binascii.a2b_base64(padded(text.translate(None, _NOT_BASE64)))


def padded(clean: bytes) -> bytes:
    """Base64 digits made complete: a lone last digit, which says nothing, is dropped."""
    over = len(clean) % 4
    if over == 1:
        return clean[:-1]
    return clean + b"=" * (-len(clean) % 4)


def encode(text: str, *, used: int = 0) -> bytes:
    """Text as header octets: as it stands if it is plain ASCII, else as UTF-8 encoded words.

    Several words are separated by a fold. used: octets that stand before it on the line.
    """
    text = "".join(c for c in text if c not in "\r\n\0")
    if text.isascii() and text.isprintable() and "=?" not in text:
        return text.encode("ascii")
    words: list[bytes] = []
    room = (MAX_WORD - 12 - used % MAX_WORD) // 4 * 3
    if room < 9:
        room = 9
    piece = bytearray()
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(piece) + len(octets) > room:
            words.append(_encoded(piece))
            piece.clear()
            room = 45
        piece += octets
    words.append(_encoded(piece))
    return b"\r\n ".join(words)


def _encoded(piece: bytearray) -> bytes:
    return b"=?UTF-8?B?" + binascii.b2a_base64(bytes(piece), newline=False) + b"?="


def parameter(parameters: Parameters, name: bytes) -> str | None:
    """A parameter as text by upper-case name: RFC 2231 form first, then the plain one.

    Encoded words in a plain value, which RFC 2047 5 forbids but clients send, are decoded too.
    """
    plain: bytes | None = None
    for found, value in parameters:
        if found == name + b"*":
            return extended(value)
        if found == name and plain is None:
            plain = value
    return None if plain is None else decode(plain)


def extended(value: bytes) -> str:
    """The text of charset'language'percent-encoded (RFC 2231 4)."""
    charset, quote, rest = value.partition(b"'")
    if quote:
        _, quote, text = rest.partition(b"'")
        if quote:
            return charsets.decode(unquote_to_bytes(text), charset.decode("ascii", "replace"))
    return charsets.guess(unquote_to_bytes(value))
