"""Certificates of a running server: a second name by SNI, and new files taken up under load."""

from __future__ import annotations

import imaplib
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imsd import config, tls
from tests.support.clients import poll
from tests.support.servers import PASSWORD, RunningServer, need

pytestmark = pytest.mark.system

SECOND = "mail.second.test"


@pytest.fixture(scope="module")
def server(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    one = make_server(start=False)
    folder = one.home / "tls"
    tls.make_self_signed(SECOND, folder / "second.crt", folder / "second.key")
    with (one.home / config.FILE).open("a") as file:
        file.write(f'\n[tls.names."{SECOND}"]\ncertificate = "tls/second.crt"\nkey = "tls/second.key"\n')
    one.start()
    one.add_user("alice")
    yield one
    one.stop()


def shown(server: RunningServer, name: str, listener: str = "imaps") -> bytes:
    """The certificate that a client asking for `name` is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    peer = socket.create_connection(("127.0.0.1", server.port(listener)), timeout=10)
    with context.wrap_socket(peer, server_hostname=name) as shielded:
        found = shielded.getpeercert(binary_form=True)
    assert found is not None
    return found


def der(file: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(file.read_text())


@pytest.mark.parametrize("listener", ["imaps", "submissions", "pop3s", "ldaps"])
def test_the_name_asked_for_chooses_the_certificate(server: RunningServer, listener: str) -> None:
    assert shown(server, SECOND, listener) == der(server.home / "tls/second.crt")
    assert shown(server, "localhost", listener) == der(server.home / "tls/server.crt")
    assert shown(server, "unknown.test", listener) == der(server.home / "tls/server.crt")


def test_imaplib_trusts_the_second_name_after_starttls(server: RunningServer) -> None:
    context = ssl.create_default_context(cafile=str(server.home / "tls/second.crt"))

    class Second(imaplib.IMAP4):
        def _create_socket(self, timeout: float | None) -> socket.socket:
            return socket.create_connection(("127.0.0.1", self.port), timeout)

    client = Second(SECOND, server.port("imap"), timeout=20)
    assert client.starttls(context)[0] == "OK"
    client.login(server.address("alice"), PASSWORD)
    client.logout()


@pytest.mark.parametrize(
    ("listener", "word"), [("smtp", "smtp"), ("imap", "imap"), ("pop3", "pop3"), ("ldap", "ldap")]
)
def test_openssl_verifies_it_after_starttls(server: RunningServer, listener: str, word: str) -> None:
    openssl = need("openssl")
    done = subprocess.run(
        [
            openssl, "s_client", "-connect", f"127.0.0.1:{server.port(listener)}", "-starttls", word,
            "-servername", SECOND, "-verify_hostname", SECOND, "-verify_return_error",
            "-CAfile", str(server.home / "tls/second.crt"),
        ],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert "Verify return code: 0 (ok)" in done.stdout, done.stdout + done.stderr


def test_new_files_under_load_disturb_nobody(server: RunningServer) -> None:
    """While clients come and go, each handshake shows the old certificate or the new one."""
    old = der(server.home / "tls/server.crt")
    kept = imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=server.tls(), timeout=20)
    kept.login(server.address("alice"), PASSWORD)
    seen: list[bytes] = []
    failures: list[Exception] = []
    ended = threading.Event()

    def load() -> None:
        while not ended.is_set():
            try:
                seen.append(shown(server, "localhost"))
            except Exception as error:
                failures.append(error)
                return

    clients = [threading.Thread(target=load) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        poll(lambda: len(seen) > 20)
        tls.make_self_signed("localhost", server.home / "tls/server.crt", server.home / "tls/server.key")
        new = der(server.home / "tls/server.crt")
        assert server.process is not None
        server.process.send_signal(signal.SIGHUP)
        poll(lambda: seen[-1] == new)
        after = len(seen)
        poll(lambda: len(seen) > after + 20)
    finally:
        ended.set()
        for client in clients:
            client.join()
    assert not failures
    assert set(seen) == {old, new}
    assert kept.noop()[0] == "OK", "who was connected stays so"
    kept.logout()


def test_a_bad_file_changes_nothing_and_is_named_in_the_log(server: RunningServer) -> None:
    before = shown(server, SECOND)
    (server.home / "tls/second.crt").write_text("no certificate")
    assert server.process is not None
    server.process.send_signal(signal.SIGHUP)
    poll(lambda: "certificates were not reloaded" in server.log)
    assert "second.crt" in server.log
    assert shown(server, SECOND) == before
    assert "Traceback" not in server.log
