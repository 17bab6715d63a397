"""Values that are certificates: is it one (RFC 4523 2.1), is it S/MIME's (RFC 2798 2.8)?

What is no certificate helps nobody who asks for one to encrypt with. That it is one is all that is
looked at: who issued it and until when it holds is for the client that uses it to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs7

from imsd.errors import InvalidSyntax


def _certificate(value: bytes) -> None:
    x509.load_der_x509_certificate(value)


def _signed_data(value: bytes) -> None:
    if not pkcs7.load_der_pkcs7_certificates(value):
        raise ValueError


_READERS: Final[Mapping[str, tuple[Callable[[bytes], None], str]]] = {
    "usercertificate": (_certificate, "an X.509 certificate in DER"),
    "usersmimecertificate": (_signed_data, "PKCS #7 signed data with certificates in DER"),
}
KEYS: Final = frozenset(_READERS)


def check(key: str, value: bytes) -> None:
    """Raises InvalidSyntax. key: one of KEYS."""
    reader, wanted = _READERS[key]
    try:
        reader(value)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise InvalidSyntax(f"{key}: {wanted} is wanted") from None
