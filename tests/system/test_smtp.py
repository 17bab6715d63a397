"""SMTP with smtplib, swaks and bare sockets against the real process."""

from __future__ import annotations

import imaplib
import smtplib
import socket
import ssl
import time

import pytest

from tests.support.servers import PASSWORD, RunningServer, need, run

pytestmark = pytest.mark.system


def mx(server: RunningServer) -> smtplib.SMTP:
    return smtplib.SMTP("localhost", server.port("smtp"), timeout=20)


def submit(server: RunningServer, who: str = "alice") -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", server.port("submission"), timeout=20)
    client.starttls(context=server.tls())
    client.login(server.address(who), PASSWORD)
    return client


def texts(server: RunningServer, alias: str, wait_for: bytes = b"") -> list[bytes]:
    """The messages in the INBOX; waits for one that holds `wait_for`."""
    give_up = time.monotonic() + 20
    while True:
        with imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=server.tls()) as client:
            client.login(server.address(alias), PASSWORD)
            client.select("INBOX", readonly=True)
            _, rows = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
        found = [row[1] for row in rows if isinstance(row, tuple)]
        if any(wait_for in text for text in found) or time.monotonic() > give_up:
            return found
        time.sleep(0.05)


class Wire:
    """A bare connection."""

    def __init__(self, server: RunningServer, listener: str = "smtp") -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port(listener)), timeout=20)
        self.file = self.socket.makefile("rb")
        self.reply()

    def reply(self) -> bytes:
        while True:
            line = self.file.readline()
            if line[3:4] != b"-":
                return line

    def say(self, data: bytes) -> bytes:
        self.socket.sendall(data)
        return self.reply()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def test_extensions_by_port(server: RunningServer) -> None:
    with mx(server) as client:
        client.ehlo("c.example")
        offered = set(client.esmtp_features)
        assert {
            "pipelining", "size", "8bitmime", "binarymime", "chunking", "smtputf8", "enhancedstatuscodes",
            "dsn", "starttls", "auth", "help",
        } <= offered  # fmt: skip
        client.starttls(context=server.tls())
        client.ehlo("c.example")
        assert "starttls" not in client.esmtp_features
        names = set(client.esmtp_features["auth"].split())
        assert {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "PLAIN", "LOGIN"} <= names


def test_implicit_tls_submission(server: RunningServer) -> None:
    with smtplib.SMTP_SSL("localhost", server.port("submissions"), context=server.tls()) as client:
        client.login(server.address("alice"), PASSWORD)
        client.sendmail(server.address("alice"), [server.address("bob")], "Subject: implicit\r\n\r\nx\r\n")
    text = next(text for text in texts(server, "bob") if b"Subject: implicit" in text)
    assert b"with ESMTPSA (TLSv1.3 " in text
    assert b"\r\nMessage-ID: <" in text


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_swaks_logs_in(server: RunningServer, mechanism: str) -> None:
    swaks = need("swaks")
    if mechanism.startswith("SCRAM"):
        probe = run(need("perl"), "-MAuthen::SASL::Perl::SCRAM_SHA_256", "-e", "1", check=False)
        if probe.returncode:
            pytest.skip("swaks has no SCRAM here")
    done = run(
        swaks, "--server", "localhost", "--port", str(server.port("submission")), "--tls",
        "--auth", mechanism, "--auth-user", "alice", "--auth-password", PASSWORD,
        "--from", server.address("alice"), "--to", server.address("bob"), "--quit-after", "AUTH",
    )  # fmt: skip
    assert "235 2.7.0" in done.stdout


def test_wrong_password(server: RunningServer) -> None:
    with smtplib.SMTP_SSL("localhost", server.port("submissions"), context=server.tls()) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login("nobody-here", "wrong")
        assert refused.value.smtp_code == 535


def test_foreign_sender_is_refused_to_submit(server: RunningServer) -> None:
    client = submit(server)
    code, text = client.mail("bob@example.test")
    assert (code, text[:5]) == (550, b"5.7.1")
    client.quit()


def test_nothing_is_relayed(server: RunningServer) -> None:
    with mx(server) as client:
        client.ehlo("c.example")
        client.mail("x@example.org")
        for address in (
            "x@example.net", "x%example.net@example.test", "@example.test:x@example.net",
            '"x@example.net"@example.test', "example.net!x@example.test",
            "IMCEASMTP-x+40example+2Enet@example.test", "x@example.net.", "x@[192.0.2.1]",
        ):  # fmt: skip
            code, text = client.docmd(f"RCPT TO:<{address}>")
            assert (code, text[:5]) == (550, b"5.7.1"), address


def test_commands_before_the_handshake_are_not_run_after_it(server: RunningServer) -> None:
    wire = Wire(server)
    wire.say(b"EHLO c.example\r\n")
    assert wire.say(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n").startswith(b"220 ")
    wire.file.detach()
    with server.tls().wrap_socket(wire.socket, server_hostname="localhost") as tls:
        tls.sendall(b"NOOP\r\n")
        assert tls.recv(1000) == b"250 2.0.0 OK\r\n"
        tls.sendall(b"EHLO c.example\r\n")
        tls.recv(4000)
        tls.sendall(b"RCPT TO:<alice@example.test>\r\n")
        assert tls.recv(1000).startswith(b"503 5.5.1 MAIL first")


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\r\n.\n", b"\n.\r\n", b"\r\n.\r"])
def test_smuggled_message_is_not_delivered(server: RunningServer, end: bytes) -> None:
    wire = Wire(server)
    to = b"RCPT TO:<bob@example.test>\r\n"
    for line in (b"EHLO c.example\r\n", b"MAIL FROM:<x@example.org>\r\n", to, b"DATA\r\n"):
        wire.say(line)
    smuggled = b"MAIL FROM:<admin@example.test>\r\n" + to + b"DATA\r\nSubject: smuggled\r\n\r\nx"
    assert wire.say(b"Subject: cover\r\n\r\nx" + end + smuggled + b"\r\n.\r\n").startswith(b"554 5.6.0 ")
    assert wire.say(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
    wire.close()
    assert not any(b"smuggled" in text or b"cover" in text for text in texts(server, "bob"))


def test_pipelined_session_in_one_packet(server: RunningServer) -> None:
    wire = Wire(server)
    content = b"Subject: in one packet\r\n\r\nbody\r\n"
    wire.socket.sendall(
        b"EHLO c.example\r\nMAIL FROM:<x@example.org>\r\nRCPT TO:<alice@example.test>\r\n"
        + b"BDAT %d LAST\r\n%bQUIT\r\n" % (len(content), content)
    )
    assert [wire.reply()[:3] for _ in range(5)] == [b"250", b"250", b"250", b"250", b"221"]
    wire.close()


def test_utf8_addresses_and_headers(server: RunningServer) -> None:
    with mx(server) as client:
        client.ehlo("c.example")
        client.sendmail(
            "jörg@exämple.org", ["alice@example.test"], "Subject: grüße\r\n\r\nä\r\n".encode(),
            mail_options=["SMTPUTF8", "BODY=8BITMIME"],
        )  # fmt: skip
    (text,) = [text for text in texts(server, "alice") if "grüße".encode() in text]
    assert "Return-Path: <jörg@exämple.org>".encode() in text
    assert b"with UTF8SMTP " in text


def test_list_reaches_its_members_and_success_is_reported(server: RunningServer) -> None:
    server.ask("group.add", address="team@example.test", members=["alice@example.test", "bob@example.test"])
    with mx(server) as client:
        client.ehlo("c.example")
        client.sendmail("x@example.org", ["team@example.test"], "Subject: to the team\r\n\r\nx\r\n")
    for who in ("alice", "bob"):
        assert any(b"Subject: to the team" in text for text in texts(server, who))
    client = submit(server)
    client.sendmail(
        server.address("alice"), [server.address("bob")], "Subject: tell me\r\n\r\nx\r\n",
        rcpt_options=["NOTIFY=SUCCESS"],
    )  # fmt: skip
    client.quit()
    assert any(b"Subject: tell me" in text for text in texts(server, "bob", b"Subject: tell me"))
    report = texts(server, "alice", b"Action: delivered")
    assert any(b"Action: delivered" in text and b"bob@example.test" in text for text in report)


def test_large_message_comes_back_whole(server: RunningServer) -> None:
    line = b"0123456789" * 7 + b"\r\n"
    content = b"Subject: large\r\n\r\n" + line * 70_000
    client = submit(server)
    client.sendmail(server.address("alice"), [server.address("bob")], content)
    client.quit()
    (text,) = [text for text in texts(server, "bob") if b"Subject: large" in text[:2000]]
    assert text.endswith(line * 70_000)
    assert text.count(line) == 70_000


def test_tls_versions_below_1_2_are_refused(server: RunningServer) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    except ValueError:
        pytest.skip("this OpenSSL has no TLS 1.1")
    with pytest.raises((ssl.SSLError, OSError)):
        smtplib.SMTP_SSL("localhost", server.port("submissions"), context=context, timeout=10)
