"""Channel bindings of a TLS connection (RFC 5929, RFC 9266).

Works on what pyOpenSSL calls a Connection, without importing it.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

TYPES: Final = ("tls-exporter", "tls-server-end-point", "tls-unique")
"""The types clients ask for, the best first."""

_EXPORTER_LABEL: Final = b"EXPORTER-Channel-Binding"


def channel_binding(connection: Any, name: str, certificate: bytes | None) -> bytes | None:
    """The binding data of the server's end of a TLS connection, None when there is none.

    certificate: the server's own certificate in DER.
    """
    modern = connection.get_protocol_version_name() == "TLSv1.3"
    if name == "tls-exporter" and modern:
        # RFC 9266 2 and 4.2: a 32 octet export with an empty context. Not offered before TLS 1.3,
        # where it is unique only with an extended master secret, which cannot be asked for here.
        exported: bytes = connection.export_keying_material(_EXPORTER_LABEL, 32, b"")
        return exported
    if name == "tls-unique" and not modern:
        # RFC 5929 3: the first Finished message; the client's, as our servers resume no session
        # before TLS 1.3.
        finished: bytes | None = connection.get_peer_finished()
        return finished
    if name == "tls-server-end-point" and certificate is not None:
        return end_point(certificate)
    return None


def end_point(certificate: bytes) -> bytes | None:
    """The hash of the server's certificate as it was sent (RFC 5929 4.1)."""
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        algorithm = parsed.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return None
    if algorithm is None:  # Ed25519 and the like: RFC 5929 leaves it undefined
        return None
    if algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(parsed.public_bytes(Encoding.DER))
    return digest.finalize()
