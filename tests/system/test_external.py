"""SASL EXTERNAL over the real listeners: who a client certificate proves its holder to be."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import ldap3
import pytest
from cryptography import x509

from imsd import config
from tests.support.certificates import Authority
from tests.support.servers import DOMAIN, RunningServer

pytestmark = pytest.mark.system

REFUSED = (ssl.SSLError, OSError, EOFError, imaplib.IMAP4.error, smtplib.SMTPException, poplib.error_proto)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def ours(folder: Path) -> Authority:
    return Authority(folder, "ours")


@pytest.fixture(scope="module")
def server(make_server: Callable[..., RunningServer], ours: Authority) -> Iterator[RunningServer]:
    one = make_server(start=False)
    (one.home / "tls/clients.pem").write_bytes(ours.file.read_bytes())
    file = one.home / config.FILE
    file.write_text(file.read_text().replace("# client_ca", "client_ca"))
    one.start()
    one.add_user("alice")
    yield one
    one.stop()


@pytest.fixture(scope="module")
def alices(ours: Authority) -> Path:
    return ours.sign("alice here", x509.RFC822Name(f"alice@{DOMAIN}"))


@pytest.fixture(scope="module")
def others(folder: Path) -> Path:
    """In alice's name, by somebody whom we do not believe."""
    return Authority(folder, "theirs").sign("alice elsewhere", x509.RFC822Name(f"alice@{DOMAIN}"))


@pytest.fixture(scope="module")
def expired(ours: Authority) -> Path:
    return ours.sign("alice yesterday", x509.RFC822Name(f"alice@{DOMAIN}"), days=-1)


@pytest.fixture(scope="module")
def nobodys(ours: Authority) -> Path:
    return ours.sign("nobody", x509.RFC822Name(f"nobody@{DOMAIN}"))


def context(server: RunningServer, certificate: Path | None) -> ssl.SSLContext:
    made = server.tls()
    if certificate is not None:
        made.load_cert_chain(certificate)
    return made


def by_imap(server: RunningServer, certificate: Path | None) -> bool:
    tls = context(server, certificate)
    client = imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=tls, timeout=20)
    offered = "AUTH=EXTERNAL" in client.capabilities
    client.authenticate("EXTERNAL", lambda _: b"")
    assert client.select("INBOX")[0] == "OK"
    client.logout()
    return offered


def by_imap_starttls(server: RunningServer, certificate: Path | None) -> bool:
    client = imaplib.IMAP4("localhost", server.port("imap"), timeout=20)
    assert "AUTH=EXTERNAL" not in client.capabilities
    client.starttls(context(server, certificate))
    offered = "AUTH=EXTERNAL" in client.capabilities
    client.authenticate("EXTERNAL", lambda _: f"alice@{DOMAIN}".encode())
    client.logout()
    return offered


def by_smtp(server: RunningServer, certificate: Path | None) -> bool:
    client = smtplib.SMTP("localhost", server.port("submission"), timeout=20)
    client.starttls(context=context(server, certificate))
    client.ehlo("client.example.org")
    offered = "EXTERNAL" in client.esmtp_features["auth"].split()
    code, text = client.docmd("AUTH", "EXTERNAL =")
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, text)
    alice = server.address("alice")
    client.sendmail(alice, [alice], f"From: {alice}\r\nSubject: proved\r\n\r\nx\r\n")
    client.quit()
    return offered


def by_pop3(server: RunningServer, certificate: Path | None) -> bool:
    client = poplib.POP3_SSL(
        "localhost", server.port("pop3s"), context=context(server, certificate), timeout=20
    )
    offered = "EXTERNAL" in client.capa()["SASL"]
    client._shortcmd("AUTH EXTERNAL =")
    client.stat()
    client.quit()
    return offered


def by_ldap(server: RunningServer, certificate: Path | None) -> bool:
    file = str(certificate) if certificate is not None else None
    tls = ldap3.Tls(
        local_private_key_file=file, local_certificate_file=file, validate=ssl.CERT_REQUIRED,
        ca_certs_file=str(server.home / "tls/server.crt"), valid_names=["localhost"],
    )  # fmt: skip
    where = ldap3.Server("localhost", server.port("ldaps"), use_ssl=True, tls=tls, get_info=ldap3.NONE)
    client = ldap3.Connection(
        where, authentication=ldap3.SASL, sasl_mechanism="EXTERNAL", sasl_credentials=()
    )
    try:
        client.open()
        client.search("", "(objectClass=*)", ldap3.BASE, attributes=["supportedSASLMechanisms"])
        offered = "EXTERNAL" in client.response[0]["attributes"]["supportedSASLMechanisms"]
        if not client.bind():
            raise OSError(client.result["description"])
        identity = client.extend.standard.who_am_i()
        assert identity is not None
        assert "alice" in identity.lower()
        client.unbind()
    except (ldap3.core.exceptions.LDAPException, IndexError, TypeError) as error:
        raise OSError(str(error)) from error
    return bool(offered)


WAYS = [by_imap, by_imap_starttls, by_smtp, by_pop3, by_ldap]


@pytest.mark.parametrize("way", WAYS)
def test_a_certificate_of_ours_logs_in(
    server: RunningServer, alices: Path, way: Callable[[RunningServer, Path | None], bool]
) -> None:
    assert way(server, alices), "EXTERNAL is announced to who can use it"


@pytest.mark.parametrize("bad", ["others", "expired", "nobodys"])
@pytest.mark.parametrize("way", WAYS)
def test_a_certificate_that_proves_nothing_does_not(
    server: RunningServer,
    way: Callable[[RunningServer, Path | None], bool],
    bad: str,
    request: pytest.FixtureRequest,
) -> None:
    with pytest.raises(REFUSED):
        way(server, request.getfixturevalue(bad))


@pytest.mark.parametrize("way", WAYS)
def test_without_a_certificate_there_is_no_external(
    server: RunningServer, way: Callable[[RunningServer, Path | None], bool]
) -> None:
    with pytest.raises(REFUSED):
        way(server, None)


def test_without_a_certificate_the_rest_works(server: RunningServer) -> None:
    client = imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=server.tls(), timeout=20)
    assert "AUTH=EXTERNAL" not in client.capabilities
    client.login(server.address("alice"), "s3cret-enough")
    client.logout()


def test_a_certificate_of_another_ends_the_handshake(server: RunningServer, others: Path) -> None:
    """It is refused as such, not only by EXTERNAL: nobody reads a greeting with it."""
    with pytest.raises((ssl.SSLError, OSError, EOFError, imaplib.IMAP4.error)):
        imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=context(server, others), timeout=20)


def test_no_surprise_in_the_log(server: RunningServer) -> None:
    assert "Traceback" not in server.log, server.log[-3000:]
