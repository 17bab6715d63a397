"""Channel bindings and client certificates of real TLS connections, both ends in this process."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from OpenSSL.crypto import X509

from protocols.sasl import offered
from protocols.security import Security
from tests.sasl.fakes import EVERYTHING


def certificate(name: str) -> tuple[Any, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    return key, made


SERVER_KEY, SERVER = certificate("server")
CLIENT_KEY, CLIENT = certificate("client")


def connected(version: int, *, trusted: bool | None = None) -> tuple[Security, Any]:
    """The server's security, and the client's end. trusted: of the client's certificate, if any."""
    contexts = [SSL.Context(SSL.TLS_METHOD) for _ in range(2)]
    for context in contexts:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    contexts[0].use_privatekey(SERVER_KEY)
    contexts[0].use_certificate(SERVER)
    if trusted is not None:
        contexts[1].use_privatekey(CLIENT_KEY)
        contexts[1].use_certificate(CLIENT)
        contexts[0].set_verify(SSL.VERIFY_PEER, lambda _conn, _cert, _error, _depth, ok: bool(ok))
        if trusted:
            store = contexts[0].get_cert_store()
            assert store is not None
            store.add_cert(X509.from_cryptography(CLIENT))
    server, client = (SSL.Connection(context, None) for context in contexts)
    server.set_accept_state()
    client.set_connect_state()
    for _ in range(10):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(one.bio_read(65_536))
            except SSL.WantReadError:
                pass
    return Security(encrypted=True, peer="192.0.2.1", _handle=server), client


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_server_end_point(version: int) -> None:
    security, client = connected(version)
    seen = client.get_peer_certificate(as_cryptography=True).public_bytes(Encoding.DER)
    assert security.channel_binding("tls-server-end-point") == hashlib.sha256(seen).digest()
    assert security.channel_binding("made-up") is None
    assert "SCRAM-SHA-256-PLUS" in offered(security, EVERYTHING)


def test_exporter_of_tls_1_3() -> None:
    security, client = connected(SSL.TLS1_3_VERSION)
    exported = client.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    assert security.channel_binding("tls-exporter") == exported
    assert security.channel_binding("tls-unique") is None


def test_unique_of_tls_1_2() -> None:
    security, client = connected(SSL.TLS1_2_VERSION)
    assert security.channel_binding("tls-unique") == client.get_finished()
    assert security.channel_binding("tls-exporter") is None


def test_only_verified_certificates_count() -> None:
    security, _ = connected(SSL.TLS1_3_VERSION, trusted=True)
    assert security.client_certificate == CLIENT
    assert "EXTERNAL" in offered(security, EVERYTHING)
    with pytest.raises(SSL.Error):
        connected(SSL.TLS1_3_VERSION, trusted=False)
    security, _ = connected(SSL.TLS1_3_VERSION)
    assert security.client_certificate is None
