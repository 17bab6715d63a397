"""BinHex 4.0 (RFC 1741 4): a file of the data fork alone, as eight-bit-clean text for a Macintosh."""

import binascii
import re
from typing import Final

_ALPHABET: Final = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
_NOTICE: Final = b"(This file must be converted with BinHex 4.0)\r\n"
_FROM_BASE64: Final = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", _ALPHABET
)
_RUN: Final = re.compile(rb"(.)\1{3,254}", re.DOTALL)
_MARK: Final = b"\x90"


def encode(name: str, data: bytes) -> bytes:
    """Lines of 64 characters between colons."""
    title = name.encode("mac-roman", "replace").replace(b":", b"-")[:63] or b"file"
    header = bytes([len(title)]) + title + b"\0" + b"????" + b"????" + b"\0\0"
    header += len(data).to_bytes(4, "big") + bytes(4)
    whole = _with_crc(header) + _with_crc(data) + _with_crc(b"")
    packed = _RUN.sub(_shorten, whole.replace(_MARK, _MARK + b"\0"))
    digits = binascii.b2a_base64(packed, newline=False).rstrip(b"=").translate(_FROM_BASE64)
    text = b":" + digits + b":"
    return _NOTICE + b"".join(text[at : at + 64] + b"\r\n" for at in range(0, len(text), 64))


def _with_crc(part: bytes) -> bytes:
    # Octet by octet as here it is what RFC 1741 appendix A computes bit by bit, with two zeros behind.
    return part + binascii.crc_hqx(part, 0).to_bytes(2, "big")


def _shorten(found: re.Match[bytes]) -> bytes:
    """octet, mark, count; a mark that stands for itself, and the zero behind it, are left alone."""
    if found[1] in (_MARK, b"\0"):
        return found[0]
    return found[1] + _MARK + bytes([len(found[0])])
