"""A full disk is a temporary refusal in each protocol's own words, and over when there is space.

The home is a file system of its own, a few megabytes of memory. What was accepted before and
while it was full is there afterwards, whole.
"""

from __future__ import annotations

import imaplib
import os
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import ldap3
import pytest

from tests.support.clients import imap, poll, texts
from tests.support.servers import DOMAIN, PASSWORD, RunningServer

pytestmark = pytest.mark.system

SIZE = "48m"
SMALL = b"0123456789" * 7 + b"\r\n"
LARGE = SMALL * 30_000  # two megabytes: a file
BASE = ",".join(f"dc={label}" for label in DOMAIN.split("."))


@pytest.fixture(scope="module")
def server(
    make_server: Callable[..., RunningServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    home = tmp_path_factory.mktemp("small")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "imsd-test", str(home)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    try:
        one = make_server(home=home)
        one.add_user("alice")
        # What is tried here is a disk that is full, not one that is nearly full.
        one.ask("settings.set", key="spool.low_water_bytes", value="0")
        yield one
        one.stop()
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=False)


def fill(server: RunningServer) -> None:
    """Take every byte that is left."""
    with (server.home / "filler").open("ab", buffering=0) as filler:
        for piece in (1 << 20, 4096, 1):
            try:
                while True:
                    filler.write(b"x" * piece)
            except OSError:
                continue


def free(server: RunningServer) -> None:
    (server.home / "filler").unlink(missing_ok=True)


def send(server: RunningServer, subject: str, body: bytes) -> tuple[int, bytes]:
    """The reply to the message or to what came before it."""
    with smtplib.SMTP("127.0.0.1", server.port("smtp"), timeout=30) as smtp:
        smtp.ehlo("client.example.org")
        for code, text in (smtp.mail("a@example.org"), smtp.rcpt(server.address("alice"))):
            if code != 250:
                return code, text
        return smtp.data(f"Subject: {subject}\r\n\r\n".encode() + body)


def append(server: RunningServer, subject: str, body: bytes) -> tuple[str, bytes]:
    client = imap(server)
    answer, (text, *_) = client.append("INBOX", "", "", f"Subject: {subject}\r\n\r\n".encode() + body)
    client.logout()
    return answer, bytes(text)


def ldap(server: RunningServer) -> ldap3.Connection:
    where = ldap3.Server("127.0.0.1", server.port("ldap"), get_info=ldap3.NONE)
    return ldap3.Connection(where, server.address("alice"), PASSWORD, auto_bind=True)


def modify(server: RunningServer, number: str) -> str:
    """The result of changing alice's telephone number."""
    with ldap(server) as client:
        client.search(BASE, "(uid=alice)")
        (entry,) = [one for one in client.response if one["type"] == "searchResEntry"]
        client.modify(entry["dn"], {"telephoneNumber": [(ldap3.MODIFY_REPLACE, [number])]})
        return str(client.result["description"])


def kept(server: RunningServer) -> dict[bytes, bytes]:
    """Subject to body of what is in alice's INBOX."""
    found = {}
    for text in texts(server):
        head, _, body = text.partition(b"\r\n\r\n")
        (subject,) = [line[9:] for line in head.split(b"\r\n") if line.startswith(b"Subject: ")]
        assert subject not in found, "kept twice"
        found[subject] = body
    return found


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_smtp_says_452_and_loses_nothing(server: RunningServer, body: bytes) -> None:
    kind = f"smtp {len(body)}"
    assert send(server, f"{kind} before", body)[0] == 250
    fill(server)
    accepted, refused = [], []
    try:
        # A little is left in the log that the database writes to.
        for number in range(400):
            name = f"{kind} {number}"
            code, text = send(server, name, body)
            if code == 250:
                accepted.append(name)
                fill(server)
                continue
            assert (code, text[:5]) == (452, b"4.3.1"), (code, text)
            refused.append(name)
            if len(refused) == 3:
                break
        assert len(refused) == 3
    finally:
        free(server)
    assert send(server, f"{kind} after", body)[0] == 250
    found = kept(server)
    for name in (f"{kind} before", *accepted, f"{kind} after"):
        assert found[name.encode()] == body
    assert not {name.encode() for name in refused} & set(found)


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_append_says_no_unavailable(server: RunningServer, body: bytes) -> None:
    kind = f"append {len(body)}"
    fill(server)
    accepted = []
    try:
        for number in range(400):
            answer, text = append(server, f"{kind} {number}", body)
            if answer != "OK":
                break
            accepted.append(f"{kind} {number}")
            fill(server)
        assert answer == "NO"
        assert text.startswith(b"[UNAVAILABLE]"), text
    finally:
        free(server)
    assert append(server, f"{kind} after", body)[0] == "OK"
    found = kept(server)
    for name in (*accepted, f"{kind} after"):
        assert found[name.encode()] == body


def test_reading_and_searching_go_on_and_modify_is_unwilling(server: RunningServer) -> None:
    assert send(server, "to be read", LARGE)[0] == 250
    fill(server)
    try:
        for number in range(400):
            result = modify(server, f"+49 30 {number}")
            if result != "success":
                break
            fill(server)
        assert result == "unwillingToPerform"
        assert kept(server)[b"to be read"] == LARGE
        client = imap(server)
        # \Seen of what is fetched cannot be kept now: the reader gets the text all the same, or
        # is told; the connection lives on.
        try:
            client.fetch("1", "(BODY[])")
        except imaplib.IMAP4.error:
            pass
        assert client.noop()[0] == "OK"
        assert client.fetch("1:*", "(FLAGS RFC822.SIZE)")[0] == "OK"
        client.logout()
    finally:
        free(server)
    assert modify(server, "+49 30 1000") == "success"
    with ldap(server) as reader:
        reader.search(BASE, "(uid=alice)", attributes=["telephoneNumber"])
        assert "+49 30 1000" in str(reader.response)


def test_a_kill_on_a_full_disk_loses_nothing(server: RunningServer) -> None:
    before = kept(server)
    fill(server)
    try:
        for number in range(400):
            name = f"last {number}"
            if send(server, name, SMALL)[0] != 250:
                break
            before[name.encode()] = SMALL
            fill(server)
    finally:
        server.kill()
        free(server)
    server.start()
    assert kept(server) == before
    assert send(server, "again", SMALL)[0] == 250
    assert server.imsctl("verify").stdout == "Nothing found.\n"


def test_no_temporary_file_is_left(server: RunningServer) -> None:
    folder: Path = server.home / "data/blobs/tmp"
    poll(lambda: not os.listdir(folder))


def test_nothing_of_it_was_a_surprise(server: RunningServer) -> None:
    assert "Traceback" not in server.log, server.log[-3000:]
