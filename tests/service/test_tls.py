"""Certificates: SNI, live reload, and a bad file that changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from OpenSSL import SSL

from imsd import config, tls


def home(path: Path, extra: str = "") -> config.Config:
    (path / config.FILE).write_text(config.render("a.example.test") + extra)
    tls.make_self_signed("a.example.test", path / "tls/server.crt", path / "tls/server.key")
    return config.load(path)


def served_to(contexts: tls.ServerContexts, name: bytes) -> str:
    """The common name of the certificate that a client asking for `name` is shown."""
    server = contexts.serverConnectionForTLS(None)
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    client.set_tlsext_host_name(name)
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(10):
        for side, other in ((client, server), (server, client)):
            try:
                side.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                other.bio_write(side.bio_read(65536))
            except SSL.WantReadError:
                pass
    shown = client.get_peer_certificate(as_cryptography=True)
    assert shown is not None
    return str(shown.subject.rfc4514_string().removeprefix("CN="))


def test_the_private_key_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    home(tmp_path)
    assert (tmp_path / "tls/server.key").stat().st_mode & 0o777 == 0o600


def test_the_name_asked_for_chooses_the_certificate(tmp_path: Path) -> None:
    tls.make_self_signed("b.example.test", tmp_path / "tls/b.crt", tmp_path / "tls/b.key")
    pair = '{ certificate = "tls/b.crt", key = "tls/b.key" }'
    contexts = tls.ServerContexts(home(tmp_path, f'[tls.names]\n"b.example.test" = {pair}\n'))
    assert served_to(contexts, b"a.example.test") == "a.example.test"
    assert served_to(contexts, b"B.example.test") == "b.example.test"
    assert served_to(contexts, b"unknown.test") == "a.example.test"


def test_new_files_are_taken_up_and_bad_ones_are_not(tmp_path: Path) -> None:
    contexts = tls.ServerContexts(home(tmp_path))
    assert not contexts.reload()
    certificate, key = tmp_path / "tls/server.crt", tmp_path / "tls/server.key"
    tls.make_self_signed("new.example.test", certificate, key)
    assert contexts.reload()
    assert served_to(contexts, b"x.test") == "new.example.test"
    certificate.write_text("garbage")
    assert not contexts.reload()
    assert served_to(contexts, b"x.test") == "new.example.test"
    os.unlink(certificate)
    assert not contexts.reload()


def test_a_key_of_another_certificate_is_refused_at_start(tmp_path: Path) -> None:
    loaded = home(tmp_path)
    tls.make_self_signed("c.test", tmp_path / "tls/other.crt", tmp_path / "tls/server.key")
    with pytest.raises(config.ConfigError):
        tls.ServerContexts(loaded)
