"""What a person does with the server, with the programs a person has."""

from __future__ import annotations

import imaplib
import os
import pty
import re
import select
import smtplib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.servers import DOMAIN, PASSWORD, RunningServer, need, run

pytestmark = pytest.mark.system


def imap(server: RunningServer, alias: str) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=server.tls(), timeout=20)
    client.login(server.address(alias), PASSWORD)
    return client


def subjects(server: RunningServer, alias: str) -> list[str]:
    client = imap(server, alias)
    client.select("INBOX", readonly=True)
    _, rows = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    client.logout()
    return [row[1].decode().strip().removeprefix("Subject: ") for row in rows if isinstance(row, tuple)]


def test_swaks_delivers_to_alice_and_she_reads_it(server: RunningServer) -> None:
    swaks = need("swaks")
    to, port = server.address("alice"), str(server.port("smtp"))
    run(
        swaks, "--server", "127.0.0.1", "--port", port, "--from", "someone@example.org", "--to", to,
        "--header", "Subject: by swaks",
    )  # fmt: skip
    assert "by swaks" in subjects(server, "alice")


def test_swaks_submits_for_bob_with_tls_and_auth(server: RunningServer) -> None:
    swaks = need("swaks")
    run(
        swaks, "--server", "127.0.0.1", "--port", str(server.port("submission")), "--tls",
        "--auth", "PLAIN", "--auth-user", server.address("bob"), "--auth-password", PASSWORD,
        "--from", server.address("bob"), "--to", server.address("alice"), "--header", "Subject: submitted",
    )  # fmt: skip
    assert "submitted" in subjects(server, "alice")


def test_swaks_cannot_relay(server: RunningServer) -> None:
    swaks = need("swaks")
    done = run(
        swaks, "--server", "127.0.0.1", "--port", str(server.port("smtp")),
        "--from", "someone@example.org", "--to", "victim@example.net", check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "550 5.7.1" in done.stdout


@pytest.mark.parametrize("scheme", ["imaps", "pop3s"])
def test_curl_reads_a_message(server: RunningServer, scheme: str, tmp_path: Path) -> None:
    curl = need("curl")
    server.deliver("Subject: for curl\r\n\r\nHello curl\r\n", [server.address("bob")])
    path = "INBOX;MAILINDEX=1" if scheme == "imaps" else "1"
    done = run(
        curl, "--silent", "--show-error", "--cacert", str(server.home / "tls/server.crt"),
        "--user", f"{server.address('bob')}:{PASSWORD}", f"{scheme}://localhost:{server.port(scheme)}/{path}",
    )  # fmt: skip
    assert "Subject: for curl" in done.stdout
    assert "Hello curl" in done.stdout


def test_mutt_reads_the_mailbox(server: RunningServer, tmp_path: Path) -> None:
    mutt = need("mutt")
    server.deliver("Subject: for mutt\r\n\r\nHello mutt\r\n", [server.address("alice")])
    copy = tmp_path / "copy"
    config = tmp_path / "muttrc"
    config.write_text(
        f'set folder="imaps://localhost:{server.port("imaps")}/"\n'
        f'set imap_user="{server.address("alice")}"\nset imap_pass="{PASSWORD}"\n'
        f'set ssl_force_tls=yes\nset certificate_file="{server.home / "tls/server.crt"}"\n'
        "set mail_check=1\nset sleep_time=0\nset confirmappend=no\nset copy=no\nset mbox_type=mbox\n"
    )
    box = f"imaps://localhost:{server.port('imaps')}/INBOX"
    keys = f'push "<limit>~s \\"for mutt\\"<enter><copy-message>{copy}<enter>y<quit>"'
    # It wants a terminal: it gets one, and nobody who types.
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [mutt, "-n", "-F", str(config), "-f", box, "-e", keys],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "TERM": "xterm", "HOME": str(tmp_path)},
    )
    os.close(its)
    screen = b""
    give_up = time.monotonic() + 30
    try:
        while process.poll() is None and time.monotonic() < give_up:
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    screen += os.read(ours, 65536)
                except OSError:
                    break
            if copy.exists() and b"Hello mutt" in copy.read_bytes():
                break
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert copy.exists(), screen[-2000:]
    assert "Hello mutt" in copy.read_text()


def test_mbsync_syncs_both_ways(server: RunningServer, tmp_path: Path) -> None:
    mbsync = need("mbsync")
    server.add_user("mia")
    for number in range(20):
        server.deliver(f"Subject: letter {number}\r\n\r\nbody {number}\r\n", [server.address("mia")])
    local = tmp_path / "mail"
    local.mkdir()
    rc = tmp_path / "mbsyncrc"
    rc.write_text(
        f"IMAPStore far\nHost localhost\nPort {server.port('imaps')}\nUser {server.address('mia')}\n"
        f"Pass {PASSWORD}\nSSLType IMAPS\nCertificateFile {server.home / 'tls/server.crt'}\n\n"
        f"MaildirStore near\nPath {local}/\nInbox {local}/INBOX\nSubFolders Verbatim\n\n"
        "Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nRemove Both\nExpunge Both\n"
        "SyncState *\nSync All\n"
    )

    def sync() -> None:
        run(mbsync, "-c", str(rc), "-a")

    def here() -> list[Path]:
        return [path for name in ("cur", "new") for path in (local / "INBOX" / name).iterdir()]

    sync()
    assert len(here()) == 20

    # Here: one is read, one deleted, one is new. There: one is flagged, one deleted.
    def by_subject(number: int) -> Path:
        return next(
            path for path in here() if f"Subject: letter {number}\n" in path.read_text().replace("\r", "")
        )

    read, gone = by_subject(1), by_subject(2)
    read.rename(local / "INBOX/cur" / (re.sub(r":2,.*", "", read.name) + ":2,S"))
    gone.rename(local / "INBOX/cur" / (re.sub(r":2,.*", "", gone.name) + ":2,T"))
    (local / "INBOX/new/1.new.host").write_text("Subject: from here\n\nwritten here\n")
    client = imap(server, "mia")
    client.select("INBOX")
    (flagged,) = client.search(None, "SUBJECT", '"letter 3"')[1][0].split()
    (expunged,) = client.search(None, "SUBJECT", '"letter 4"')[1][0].split()
    client.store(flagged, "+FLAGS", r"(\Flagged)")
    client.store(expunged, "+FLAGS", r"(\Deleted)")
    client.expunge()
    sync()
    sync()
    client.noop()
    assert client.search(None, "ALL")[1][0].split() == [str(n).encode() for n in range(1, 20)]
    assert len(client.search(None, "SEEN")[1][0].split()) >= 1
    assert client.search(None, "SUBJECT", '"letter 2"')[1] == [b""]
    assert client.search(None, "SUBJECT", '"from here"')[1] != [b""]
    client.logout()
    assert len(here()) == 19
    assert "F" in by_subject(3).name.partition(":2,")[2]


def test_new_mail_reaches_an_idling_client_in_under_10_ms(server: RunningServer) -> None:
    server.add_user("ida")
    raw = socket.create_connection(("127.0.0.1", server.port("imap")), timeout=10)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire = raw.makefile("rwb", buffering=0)

    def until(mark: bytes) -> bytes:
        while True:
            line = wire.readline()
            assert line, "the server closed the connection"
            if line.startswith(mark):
                return line

    until(b"* OK")
    wire.write(f"a LOGIN {server.address('ida')} {PASSWORD}\r\n".encode())
    until(b"a OK")
    wire.write(b"b SELECT INBOX\r\n")
    until(b"b OK")
    wire.write(b"c IDLE\r\n")
    until(b"+")
    delays = []
    with smtplib.SMTP("127.0.0.1", server.port("smtp"), timeout=20) as smtp:
        for number in range(1, 21):
            smtp.ehlo_or_helo_if_needed()
            smtp.mail("someone@example.org")
            smtp.rcpt(server.address("ida"))
            smtp.putcmd("DATA")
            assert smtp.getreply()[0] == 354
            smtp.send(b"Subject: quick\r\n\r\nquick\r\n.\r\n")
            assert smtp.getreply()[0] == 250
            accepted = time.perf_counter()
            assert until(b"* %d EXISTS" % number)
            delays.append(time.perf_counter() - accepted)
    wire.write(b"DONE\r\n")
    until(b"c OK")
    raw.close()
    delays.sort()
    assert delays[len(delays) // 2] < 0.010


def test_ldapsearch_finds_alice_and_ldapmodify_changes_her_number(server: RunningServer) -> None:
    search, modify = need("ldapsearch"), need("ldapmodify")
    where = [
        "-x",
        "-H",
        f"ldap://127.0.0.1:{server.port('ldap')}",
        "-D",
        server.address("alice"),
        "-w",
        PASSWORD,
    ]
    base = ",".join(f"dc={label}" for label in DOMAIN.split("."))
    query = [search, *where, "-LLL", "-o", "ldif-wrap=no", "-b", base, "(uid=alice)"]
    found = run(*query, "mail", "cn").stdout
    assert f"mail: {server.address('alice')}" in found
    dn = re.search(r"^dn: (.*)$", found, re.MULTILINE)
    assert dn is not None
    change = f"dn: {dn[1]}\nchangetype: modify\nreplace: telephoneNumber\ntelephoneNumber: +49 30 1234567\n"
    run(modify, *where, input=change)
    assert "telephoneNumber: +49 30 1234567" in run(*query, "telephoneNumber").stdout


def test_a_killed_server_has_every_acknowledged_message(make_server: Callable[..., RunningServer]) -> None:
    one = make_server()
    one.add_user("alice")
    acknowledged: set[str] = set()
    for generation in range(3):
        with smtplib.SMTP("127.0.0.1", one.port("smtp"), timeout=20) as smtp:
            for number in range(25):
                name = f"{generation}-{number}"
                smtp.sendmail("a@example.org", [one.address("alice")], f"Subject: {name}\r\n\r\nx\r\n")
                acknowledged.add(name)
        one.kill()
        one.start()
    found = subjects(one, "alice")
    assert sorted(found) == sorted(acknowledged)
    assert one.imsctl("verify").stdout == "Nothing found.\n"


def test_python_ssl_refuses_a_wrong_name(server: RunningServer) -> None:
    peer = socket.create_connection(("127.0.0.1", server.port("imaps")), timeout=10)
    with peer, pytest.raises(ssl.SSLCertVerificationError):
        server.tls().wrap_socket(peer, server_hostname="other.example.net")
