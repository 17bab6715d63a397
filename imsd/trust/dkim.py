"""DKIM signatures (RFC 6376, RFC 8301, RFC 8463): what is hashed, keys, records. Values alone.

1. Both canonicalizations are relaxed: programs on the way fold fields and trim lines.
2. All of the body counts, there is no `l=`. Fields that a reader sees, or that say how the body is to be
   read, are signed once more often than they are there, so that none can be put before ours (8.15).
3. rsa-sha256 with 2,048 bits, which all verify, and ed25519-sha256, which some do; a domain may have both.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from protocols.message.headers import Field, fields

Algorithm = Literal["rsa", "ed25519"]
PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

BITS: Final = 2048
LEAST_BITS: Final = 1024
"""RFC 8301 3.2: signers use no shorter ones."""

SEALED_FIELDS: Final = (
    b"from", b"reply-to", b"sender", b"subject", b"date", b"message-id", b"to", b"cc", b"mime-version",
    b"content-type", b"content-transfer-encoding",
)  # fmt: skip
"""Signed, and none can be added."""
SIGNED_FIELDS: Final = (
    b"in-reply-to", b"references", b"content-id", b"content-description", b"content-disposition",
    b"resent-date", b"resent-from", b"resent-to", b"resent-cc", b"list-id", b"list-help",
    b"list-unsubscribe", b"list-unsubscribe-post", b"list-subscribe", b"list-post", b"list-owner",
    b"list-archive", b"auto-submitted", b"tls-required", b"tls-report-domain", b"tls-report-submitter",
)  # fmt: skip
"""Signed where they are there (5.4.1; RFC 8460 3; RFC 8689 5 asks for TLS-Required)."""

_SPACES = re.compile(rb"[ \t]+")
_LINE_ENDS = re.compile(rb" \r\n")
_FOLDS = re.compile(rb"\r?\n(?=[ \t])")


class BadKey(ValueError):
    """Not a private key that can sign."""


# What is hashed ------------------------------------------------------------------------


class BodyHash:
    """The hash of a body that is relaxed (3.4.4), given in pieces of any size; lines end in CRLF."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._rest = b""
        self._empty = 0
        """Empty lines that do not count unless something follows."""
        self._any = self._open = False
        """Whether something counted, and its last line has no end yet."""

    def update(self, data: bytes) -> None:
        data = self._rest + data
        # Up to the last line end; what is behind it may be white space of a line that is not over.
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > _LONGEST:
            # A line without end: its white space is relaxed so far, but for what it ends in now.
            cut = len(data.rstrip(b" \t\r"))
        self._rest = data[cut:]
        if cut:
            self._take(data[:cut])

    def _take(self, data: bytes) -> None:
        lines = _LINE_ENDS.sub(b"\r\n", _SPACES.sub(b" ", data))
        kept = lines.rstrip(b"\r\n")
        if kept:
            behind = len(kept)
            ended = lines.startswith(b"\r\n", behind)
            self._hash.update(b"\r\n" * self._empty + kept + (b"\r\n" if ended else b""))
            self._empty = (len(lines) - behind) // 2 - (1 if ended else 0)
            self._any = True
            self._open = not ended
        else:
            self._empty += len(lines) // 2

    def digest(self) -> bytes:
        """No more is given after this."""
        rest = self._rest.rstrip(b"\r\n \t") if self._rest.strip(b" \t\r\n") else b""
        if rest:
            self._take(rest)
        if self._any and self._open:
            self._hash.update(b"\r\n")
        return self._hash.digest()


_LONGEST: Final = 1024 * 1024
"""Octets of a line that are waited for."""


def relaxed(name: bytes, value: bytes) -> bytes:
    """A field without its line end (3.4.2)."""
    return name.lower() + b":" + _SPACES.sub(b" ", _FOLDS.sub(b"", value)).strip(b" \t\r\n")


def names_to_sign(found: Iterable[Field]) -> tuple[bytes, ...]:
    """The value of h=: each field there is, and those nobody may add once more."""
    present: dict[bytes, int] = {}
    for each in found:
        name = each.name.lower()
        present[name] = present.get(name, 0) + 1
    sealed = [name for name in SEALED_FIELDS for _ in range(min(present.get(name, 0), _MOST) + 1)]
    return (*sealed, *(name for name in SIGNED_FIELDS for _ in range(min(present.get(name, 0), _MOST))))


_MOST: Final = 10
"""Fields of one name that are signed; a message has one."""


def signed_input(found: Sequence[Field], names: Iterable[bytes], signature: bytes) -> bytes:
    """What is signed (3.7): the fields, the last of each name first, and the signature's own, without b=."""
    left: dict[bytes, list[Field]] = {}
    for each in found:
        left.setdefault(each.name.lower(), []).append(each)
    pieces = []
    for name in names:
        rest = left.get(name.lower())
        if rest:
            field = rest.pop()
            pieces.append(relaxed(field.name, field.value) + b"\r\n")
    pieces.append(relaxed(b"dkim-signature", signature))
    return b"".join(pieces)


# Keys ----------------------------------------------------------------------------------


def make_key(algorithm: Algorithm) -> str:
    """A new private key: PKCS #8, DER, base64."""
    made: PrivateKey
    if algorithm == "rsa":
        made = rsa.generate_private_key(65537, BITS)
    else:
        made = ed25519.Ed25519PrivateKey.generate()
    der = made.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return base64.b64encode(der).decode("ascii")


def read_key(text: str | bytes) -> PrivateKey:
    """A private key in PEM, or DER in base64. Raises BadKey."""
    data = text.encode("ascii", "replace") if isinstance(text, str) else text
    made: object
    try:
        if b"-----BEGIN" in data:
            made = serialization.load_pem_private_key(data, None)
        else:
            made = serialization.load_der_private_key(base64.b64decode(data, validate=True), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(f"this is no private key: {error}") from None
    if isinstance(made, rsa.RSAPrivateKey):
        if made.key_size < LEAST_BITS:
            raise BadKey(f"an RSA key of {made.key_size} bits is too short (RFC 8301)")
        return made
    if isinstance(made, ed25519.Ed25519PrivateKey):
        return made
    raise BadKey("the key is neither RSA nor Ed25519")


def algorithm_of(key: PrivateKey) -> Algorithm:
    return "rsa" if isinstance(key, rsa.RSAPrivateKey) else "ed25519"


def sign(key: PrivateKey, data: bytes) -> bytes:
    """b=, before base64. RFC 8463 3: Ed25519 signs the hash."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(sha256(data).digest())


def public_value(key: PrivateKey) -> str:
    """p= of the record (3.6.1; RFC 8463 4)."""
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        data = public.public_bytes_raw()
    else:
        data = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return base64.b64encode(data).decode("ascii")


def record(key: PrivateKey) -> str:
    """The text of SELECTOR._domainkey.DOMAIN."""
    return f"v=DKIM1; k={algorithm_of(key)}; p={public_value(key)}"


def tags(text: str) -> dict[str, str]:
    """A tag list (3.2); white space in values goes."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            found.setdefault(name.strip(), "".join(value.split()))
    return found


# Signatures ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs: d=, s= and the key."""

    domain: str
    selector: str
    key: PrivateKey


def signature(who: Identity, header: bytes, body_hash: bytes, time: int, expires: int = 0) -> bytes:
    """The DKIM-Signature field of a message, with its line end. time, expires: seconds since the epoch."""
    found = fields(header)
    names = names_to_sign(found)
    algorithm = algorithm_of(who.key)
    lines = [
        f"v=1; a={algorithm}-sha256; c=relaxed/relaxed; d={who.domain};",
        f"s={who.selector}; t={time};" + (f" x={expires};" if expires else ""),
        *_listed(names),
        f"bh={base64.b64encode(body_hash).decode('ascii')};",
        "b=",
    ]
    value = " " + "\r\n\t".join(lines)
    made = base64.b64encode(sign(who.key, signed_input(found, names, value.encode("ascii"))))
    folded = b"\r\n\t ".join(made[at : at + 72] for at in range(0, len(made), 72))
    return b"DKIM-Signature:" + value.encode("ascii") + folded + b"\r\n"


def _listed(names: Sequence[bytes]) -> list[str]:
    """h= on lines of reasonable length."""
    lines, line = [], "h="
    for number, name in enumerate(names):
        word = name.decode("ascii") + (";" if number == len(names) - 1 else ":")
        if len(line) + len(word) > 74:
            lines.append(line)
            line = ""
        line += word
    return [*lines, line]
