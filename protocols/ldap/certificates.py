"""certificateExactMatch (RFC 4523 2.4): a certificate is found by its serial number and issuer.

What is asserted is `{ serialNumber 42, issuer rdnSequence:"CN=CA" }` (GSER, RFC 4523 A.1), the older
`42$CN=CA`, or a whole certificate.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import InvalidVersion, load_der_x509_certificate

from protocols.errors import BadSyntax
from protocols.ldap import dn

Key = tuple[int, str]
"""Serial number, and the normal form of the issuer's name."""

_SERIAL: Final = r"serialNumber\s+(?P<serial>-?[0-9]{1,60})"
# rdnSequence holds a StringValue (RFC 3641 3.2): a quotation mark in it is written twice.
_ISSUER: Final = r'issuer\s+rdnSequence\s*:\s*"(?P<issuer>(?:[^"]|"")*)"'
_ASSERTIONS: Final = (
    re.compile(rf"\s*\{{\s*{_SERIAL}\s*,\s*{_ISSUER}\s*\}}\s*"),
    re.compile(rf"\s*\{{\s*{_ISSUER}\s*,\s*{_SERIAL}\s*\}}\s*"),
)
_KEPT: Final = 8_192
"""Octets of a certificate that is remembered when it was read."""
_OLDER: Final = re.compile(r"\s*(?P<serial>-?[0-9]{1,60})\s*\$\s*(?P<issuer>.*)", re.DOTALL)


def certificate(value: bytes) -> Key:
    """Of a certificate in DER. Raises BadSyntax."""
    return _remembered(value) if len(value) <= _KEPT else _read(value)


def _read(value: bytes) -> Key:
    try:
        found = load_der_x509_certificate(value)
        issuer = found.issuer.rfc4514_string()
        return found.serial_number, dn.parse(issuer).normal
    except (ValueError, TypeError, InvalidVersion, UnsupportedAlgorithm):
        raise BadSyntax("a certificate") from None


_remembered = lru_cache(maxsize=1024)(_read)


def assertion(value: bytes) -> Key:
    """Of what is asserted (RFC 4523 2.3), or of a whole certificate. Raises BadSyntax."""
    if value[:1] == b"0" and value[1:2] >= b"\x80":
        return certificate(value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise BadSyntax("UTF-8") from None
    for pattern in _ASSERTIONS:
        match = pattern.fullmatch(text)
        if match is not None:
            return int(match["serial"]), dn.parse(match["issuer"].replace('""', '"')).normal
    match = _OLDER.fullmatch(text)
    if match is None:
        raise BadSyntax('{ serialNumber 42, issuer rdnSequence:"CN=..." }')
    return int(match["serial"]), dn.parse(match["issuer"]).normal
