"""Logging in with an identity provider's tokens, against the running server."""

from __future__ import annotations

import imaplib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import DNSName

from tests.support.certificates import Authority
from tests.support.servers import RunningServer, need, run

pytestmark = pytest.mark.system

KEY = rsa.generate_private_key(65537, 2048)


class Provider:
    """OpenID Connect Discovery on https://localhost."""

    def __init__(self, folder: Path) -> None:
        authority = Authority(folder, "provider")
        certificate = authority.sign("localhost", DNSName("localhost"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.ca = authority.file
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = provider.documents.get(self.path)
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(json.dumps(found).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.issuer = f"https://localhost:{self.server.server_port}"
        jwk = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "k"}
        self.documents = {
            "/.well-known/openid-configuration": {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"},
            "/keys": {"keys": [jwk]},
        }
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, who: str, **changed: Any) -> str:
        claims = {"iss": self.issuer, "aud": "imsd", "exp": time.time() + 300, "email": who} | changed
        return jwt.encode(claims, KEY, "RS256", headers={"kid": "k"})


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    made = Provider(tmp_path_factory.mktemp("provider"))
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def home(make_server: Callable[..., RunningServer], provider: Provider) -> RunningServer:
    one = make_server()
    one.add_user("alice")
    one.add_user("bob")
    for key, value in (("issuer", provider.issuer), ("audience", '["imsd"]'), ("ca_file", str(provider.ca))):
        one.set(f"tokens.{key}", value)
    return one


def curl(home: RunningServer, url: str, token: str, who: str, *more: str) -> Any:
    return run(
        need("curl"), "--silent", "--show-error", "--ssl-reqd", "--url", url, "--cacert",
        str(home.home / "tls/server.crt"), "--user", f"{who}:", "--oauth2-bearer", token, *more, check=False,
    )  # fmt: skip


def test_curl_reads_and_sends_with_a_token(home: RunningServer, provider: Provider, tmp_path: Path) -> None:
    alice = home.address("alice")
    letter = tmp_path / "letter"
    letter.write_text(f"From: {alice}\r\nTo: {alice}\r\nSubject: by token\r\n\r\nhello\r\n")
    sent = curl(
        home, f"smtp://localhost:{home.port('submission')}", provider.token(alice), alice,
        "--mail-from", alice, "--mail-rcpt", alice, "--upload-file", str(letter),
    )  # fmt: skip
    assert sent.returncode == 0, (sent.stderr, home.log)
    for url in (
        f"imap://localhost:{home.port('imap')}/INBOX;MAILINDEX=1",
        f"pop3://localhost:{home.port('pop3')}/1",
    ):
        read = curl(home, url, provider.token(alice), alice)
        assert read.returncode == 0, read.stderr
        assert "Subject: by token" in read.stdout
    refused = curl(home, f"imap://localhost:{home.port('imap')}/", provider.token(alice, aud="other"), alice)
    assert refused.returncode == 67, refused.stderr  # CURLE_LOGIN_DENIED


def test_xoauth2_and_a_refusal_that_leaves_the_connection(home: RunningServer, provider: Provider) -> None:
    alice, bob = home.address("alice"), home.address("bob")

    def answers(user: str, token: str) -> Callable[[bytes], bytes]:
        given = iter([f"user={user}\1auth=Bearer {token}\1\1".encode(), b""])
        return lambda _: next(given)

    with imaplib.IMAP4("localhost", home.port("imap")) as imap:
        imap.starttls(home.tls())
        capabilities = imap.capability()[1][0].decode()
        assert "AUTH=XOAUTH2" in capabilities and "AUTH=OAUTHBEARER" in capabilities
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap.authenticate("XOAUTH2", answers(alice, provider.token(alice, exp=time.time() - 99)))
        with pytest.raises(imaplib.IMAP4.error, match="AUTHORIZATIONFAILED"):
            imap.authenticate("XOAUTH2", answers(bob, provider.token(alice)))
        imap.authenticate("XOAUTH2", answers(alice, provider.token(alice)))
        assert imap.select("INBOX")[0] == "OK"


def test_without_a_provider_no_mechanism_is_offered(home: RunningServer, provider: Provider) -> None:
    home.set("tokens.issuer", "")
    try:
        with imaplib.IMAP4("localhost", home.port("imap")) as imap:
            imap.starttls(home.tls())
            assert "XOAUTH2" not in imap.capability()[1][0].decode()
            with pytest.raises(imaplib.IMAP4.error):
                imap.authenticate("XOAUTH2", lambda _: b"user=x\1auth=Bearer y\1\1")
    finally:
        home.set("tokens.issuer", provider.issuer)
