"""DANE (RFC 6698, RFC 7672): whether a chain of certificates is the one that DNSSEC names.

1. Usages DANE-TA(2) and DANE-EE(3) alone are for SMTP; others, unknown selectors and digests, and a
   bare key as trust anchor without its certificate are unusable (RFC 7672 3.1.3, RFC 7671 5.2).
2. DANE-EE is the server's certificate or key itself: neither names nor dates matter (RFC 7672 3.1.1).
3. DANE-TA is a certificate above it: the chain must verify up to it, with dates and with a name
   (RFC 7672 3.1.2, 3.2.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from OpenSSL import crypto

ANCHOR, LEAF = 2, 3
_DIGESTS: dict[int, Callable[[bytes], bytes]] = {
    0: lambda data: data,
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}
_LENGTHS = {1: 32, 2: 64}


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One record: usage, selector (0 certificate, 1 key), matching (0 all, 1 SHA-256, 2 SHA-512)."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def usable(self) -> bool:
        return (
            self.usage in (ANCHOR, LEAF)
            and self.selector in (0, 1)
            and self.matching in _DIGESTS
            and len(self.data) == _LENGTHS.get(self.matching, len(self.data) or -1)
        )

    def __str__(self) -> str:
        """As it stands in a zone (RFC 6698 2.2)."""
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"

    def is_of(self, certificate: x509.Certificate) -> bool:
        """Whether the record names this certificate, or its key."""
        if self.selector == 0:
            octets = certificate.public_bytes(Encoding.DER)
        else:
            octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return _DIGESTS[self.matching](octets) == self.data


def usable(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    return tuple(record for record in records if record.usable)


def is_leaf(records: Iterable[Tlsa], chain: Sequence[x509.Certificate]) -> bool:
    """Whether DANE-EE names the server's certificate."""
    return bool(chain) and any(one.usage == LEAF and one.is_of(chain[0]) for one in records)


def is_below_anchor(records: Iterable[Tlsa], chain: Sequence[x509.Certificate]) -> bool:
    """Whether the chain verifies up to a certificate that DANE-TA names. Names are another matter."""
    if not chain:
        return False
    anchors = []
    for record in records:
        if record.usage != ANCHOR:
            continue
        anchors += [one for one in chain if record.is_of(one)]
        if record.selector == 0 and record.matching == 0:
            try:
                anchors.append(x509.load_der_x509_certificate(record.data))
            except ValueError:
                continue
    return any(_verifies(chain, anchor) for anchor in anchors)


def _verifies(chain: Sequence[x509.Certificate], anchor: x509.Certificate) -> bool:
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(anchor))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    leaf, *others = map(crypto.X509.from_cryptography, chain)
    try:
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True
