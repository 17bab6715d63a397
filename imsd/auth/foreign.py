"""Verifiers of other servers, kept until the first login with them (rule 17).

{SHA}, {SSHA}, {SHA256}, {SSHA256}, {SHA512}, {SSHA512}   base64 of digest and salt (RFC 2307 5.3)
{CRYPT}   crypt(3): SHA-512, SHA-256, MD5, bcrypt where its library is there, traditional DES
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode

_SCHEME = re.compile(r"\{(?P<name>[A-Za-z0-9_-]+)\}(?P<value>.+)", re.DOTALL)

_HASHED = re.compile(
    r"(?:S?SHA|S?MD5|CRYPT|BCRYPT|PBKDF2|SCRAM|ARGON2|TOTP|SASL|NT$|LM|LANMAN)", re.IGNORECASE
)

_DIGESTS = {
    "SHA": ("sha1", False),
    "SSHA": ("sha1", True),
    "SHA256": ("sha256", False),
    "SSHA256": ("sha256", True),
    "SHA512": ("sha512", False),
    "SSHA512": ("sha512", True),
}

_CRYPTS = ("sha512_crypt", "sha256_crypt", "md5_crypt", "bcrypt", "des_crypt")

LONGEST_CRYPT = 1000


def known(verifier: str) -> bool:
    """Is this the verifier of another server, of a kind we can verify?"""
    parsed = _SCHEME.fullmatch(verifier)
    if parsed is None:
        return False
    name = parsed["name"].upper()
    if name == "CRYPT":
        return len(parsed["value"]) <= LONGEST_CRYPT and _crypt(parsed["value"]) is not None
    return name in _DIGESTS and _digest(name, parsed["value"]) is not None


def looks_hashed(password: str) -> bool:
    """Does it name a scheme of RFC 2307 5.3 or of its successors, of those we can verify or not?

    Such a text is somebody's stored hash: whoever stole that must not log in with it.
    """
    parsed = _SCHEME.fullmatch(password)
    return parsed is not None and _HASHED.match(parsed["name"]) is not None


def matches(password: str, verifier: str) -> bool:
    """Is this the password? May be slow: call it in a thread."""
    parsed = _SCHEME.fullmatch(verifier)
    if parsed is None:
        return False
    name = parsed["name"].upper()
    if name == "CRYPT":
        scheme = _crypt(parsed["value"])
        try:
            return scheme is not None and bool(scheme.verify(password, parsed["value"]))
        except (ValueError, TypeError):
            return False
    found = _digest(name, parsed["value"]) if name in _DIGESTS else None
    if found is None:
        return False
    digest, salt = found
    made = hashlib.new(_DIGESTS[name][0], password.encode() + salt).digest()
    return hmac.compare_digest(made, digest)


def _digest(name: str, value: str) -> tuple[bytes, bytes] | None:
    """Digest and salt; None where they cannot be that."""
    algorithm, salted = _DIGESTS[name]
    try:
        octets = b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    size = hashlib.new(algorithm).digest_size
    if len(octets) < size or (len(octets) > size) != salted:
        return None
    return octets[:size], octets[size:]


# passlib is typed nowhere, and costs 20 ms to import: only who has such passwords pays.
def _crypt(value: str):  # type: ignore[no-untyped-def]
    from passlib import hash as hashes
    from passlib.exc import MissingBackendError

    for name in _CRYPTS:
        scheme = getattr(hashes, name)
        if not scheme.identify(value):
            continue
        if name == "bcrypt":
            try:
                scheme.get_backend()
            except MissingBackendError:
                return None
        return scheme
    return None
